package mariadb_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/outside"
	"github.com/confidb/confidb/pkg/topology"
)

// letOut has two accounts, each of a client of its own.
const letOut = "kind: confidb.accounts/v1\naccounts:\n  - {name: report, client: bi, privileges: [{database: app, grant: [SELECT]}]}\n  - {name: loader, client: migration, privileges: [{database: app, grant: [INSERT]}]}\n"

// outsider makes an identity of an account's name.
func outsider(t *testing.T, account string, now time.Time, lasts time.Duration) (*outside.Identity, tls.Certificate) {
	t.Helper()
	made := must[*outside.Identity](t)(outside.New(rand.Reader, "confidb-outside-"+account, now, lasts))
	pair := must[tls.Certificate](t)(tls.X509KeyPair(made.Certificate, made.Key))
	return made, pair
}

// attempt logs in with a certificate, whatever the server asks for.
func attempt(t *testing.T, account, password string, shown tls.Certificate, version uint16) mysql.Attempt {
	t.Helper()
	return mysql.Try(t.Context(), mysql.Login{Address: server.Address, Account: account, Password: password, AwaitAlert: true, Timeout: 3 * time.Second, TLS: &tls.Config{
		RootCAs: roots(), ServerName: mariadbtest.ServerName, MaxVersion: version,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil },
	}})
}

// forge signs a certificate with the key of an outsider, as its thief could.
func forge(t *testing.T, thief tls.Certificate, subject, issuer string, ofCA, own bool, end time.Duration) tls.Certificate {
	t.Helper()
	key := thief.PrivateKey.(*ecdsa.PrivateKey)
	if !own {
		key = must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	}
	c := &x509.Certificate{SerialNumber: thief.Leaf.SerialNumber, Subject: pkix.Name{CommonName: subject}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(end),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true, IsCA: ofCA}
	if ofCA {
		c.KeyUsage |= x509.KeyUsageCertSign
	}
	if !own {
		c.SerialNumber = big.NewInt(7)
	}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: issuer}, SubjectKeyId: []byte{1}}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, c, parent, key.Public(), thief.PrivateKey))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: must[*x509.Certificate](t)(x509.ParseCertificate(der))}
}

// TestOutside: the certificate of a client outside of enclaves opens its account, and
// nothing else; its key signs nothing that opens anything.
func TestOutside(t *testing.T) {
	fresh(t)
	bi, shown := outsider(t, "report", time.Now(), time.Hour)
	ended, late := outsider(t, "loader", time.Now().Add(-25*time.Hour), 24*time.Hour)
	given := topology.Applications{Accounts: letOut}.WithOutside(bi.Client("bi", "a report")).WithOutside(ended.Client("migration", "the move"))
	if err := server.Give(given); err != nil {
		t.Fatal(err)
	}
	if got, said, more := mariadb.Ask(t.Context(), t, goodTarget()).Conclude("acc-04"); got != check.Pass {
		t.Errorf("acc-04: got %v (%s %v)", got, said, more)
	}
	wantClean(t, "with clients outside of enclaves")
	const name = "confidb-outside-report"
	later := forge(t, shown, name, name, false, true, 48*time.Hour)
	ca := forge(t, shown, name, name, true, true, time.Hour)
	chain := func(leaf tls.Certificate, above ...[]byte) tls.Certificate {
		leaf.Certificate = append(leaf.Certificate, above...)
		return leaf
	}
	other := must[tls.Certificate](t)(server.CA.Client(name))
	inside := must[tls.Certificate](t)(server.CA.Client("confidb-app"))
	_, foreign := outsider(t, "report", time.Now(), time.Hour)
	for what, c := range map[string]struct {
		account, password string
		shown             tls.Certificate
		in, refused       bool // logged in; refused in TLS, and not by the account
	}{
		"its own":          {"report", bi.Password, shown, true, false},
		"another password": {"report", ended.Password, shown, false, false},
		"no password":      {"report", "", shown, false, false},
		"the password, and a certificate of the CA":  {"report", bi.Password, inside, false, false},
		"the CA's certificate of the same name":      {"report", bi.Password, other, false, false},
		"another account":                            {"confidb_app", server.Passwords["SCONE::app_password:hex"], shown, false, false},
		"the account of the asker":                   {mariadbtest.Account, mariadbtest.Password, shown, false, false},
		"another account of a client outside":        {"loader", ended.Password, shown, false, false},
		"after its end":                              {"loader", ended.Password, late, false, true},
		"its key, a later end":                       {"report", bi.Password, later, false, true},
		"its key, a later end, its certificate":      {"report", bi.Password, chain(later, shown.Certificate[0]), false, true},
		"its key as a CA":                            {"report", bi.Password, ca, false, true},
		"its names, another key":                     {"report", bi.Password, foreign, false, true},
		"signed by it: another account":              {"confidb_app", server.Passwords["SCONE::app_password:hex"], forge(t, shown, "confidb-app", name, false, false, time.Hour), false, true},
		"signed by it: another account, with it":     {"confidb_app", server.Passwords["SCONE::app_password:hex"], chain(forge(t, shown, "confidb-app", name, false, false, time.Hour), shown.Certificate[0]), false, true},
		"signed by it as a CA, with that":            {"report", bi.Password, chain(forge(t, shown, name, name, false, false, time.Hour), ca.Certificate[0]), false, true},
		"signed by it in the name of the CA":         {mariadbtest.Account, mariadbtest.Password, forge(t, shown, "confidb-verify", "confidb-ca", false, false, time.Hour), false, true},
		"signed by it in the name of the CA, with":   {mariadbtest.Account, mariadbtest.Password, chain(forge(t, shown, "confidb-verify", "confidb-ca", false, false, time.Hour), forge(t, shown, "confidb-ca", "confidb-ca", true, true, time.Hour).Certificate[0]), false, true},
		"its key, with the names of the CA's client": {"confidb_app", server.Passwords["SCONE::app_password:hex"], forge(t, shown, "confidb-app", "confidb-ca", false, true, time.Hour), false, true},
	} {
		for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
			got := attempt(t, c.account, c.password, c.shown, version)
			_, alert := got.Alert()
			switch {
			case c.in != (got.Stage == mysql.LoggedIn):
				t.Errorf("%s: got %v, %v", what, got.Stage, got.Err)
			case version == tls.VersionTLS13 && c.refused != alert || version == tls.VersionTLS12 && c.refused == got.Admitted():
				t.Errorf("%s, %s: refused elsewhere: %v", what, tls.VersionName(version), got.Err)
			case !c.in && !c.refused && !got.Denied():
				t.Errorf("%s: got %v, want 1045", what, got.Err)
			}
		}
	}
	var asked *tls.CertificateRequestInfo
	mysql.Try(t.Context(), mysql.Login{Address: server.Address, Account: "report", Password: bi.Password, TLS: &tls.Config{RootCAs: roots(), ServerName: mariadbtest.ServerName,
		GetClientCertificate: func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) { asked = r; return &shown, nil }}})
	if asked == nil || len(asked.AcceptableCAs) != 0 {
		t.Logf("the server now says whom it trusts, which verify could compare: %v", asked)
	}
	execute(t, "SET PASSWORD FOR report@'%' = PASSWORD('other')")
	if got, said, more := mariadb.Ask(t.Context(), t, goodTarget()).Conclude("acc-04"); got != check.Fail || !strings.Contains(said+strings.Join(more, " "), "has another password") {
		t.Errorf("with another password acc-04: got %v (%s %v)", got, said, more)
	}

	if err := server.Give(given.Without("bi")); err != nil {
		t.Fatal(err)
	}
	if got := attempt(t, "report", bi.Password, shown, tls.VersionTLS13); got.Admitted() {
		t.Errorf("after it was sent away: %v", got.Err)
	}
	wantClean(t, "after it was sent away")
	if err := server.Give(topology.Applications{}); err != nil {
		t.Fatal(err)
	}
}
