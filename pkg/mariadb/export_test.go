package mariadb

import "crypto/tls"

// AskerLogin is the Login with which a target is asked.
func AskerLogin(t Target) Login { return t.login(&t.Certificate, tls.VersionTLS12, tls.VersionTLS13) }
