package lint

import (
	"fmt"
	"slices"
	"time"

	"github.com/confidb/confidb/pkg/session"
)

// longLife is more than what a CA of a database needs.
const longLife = 10 * 31_557_600 * time.Second

func certificateRules() []rule {
	return []rule{
		{Rule{
			"CDB3016", "rsa-2048", Note, "a key is RSA-2048",
			"It is the weakest type that the language has, about 112 bits. Recorded traffic may outlive it.",
			"Somebody who keeps what was sent breaks the key in some years.",
			"Write key_type P-384, P-256 or Ed25519.",
		}, eachSecret(func(_ *input, s session.Secret) string {
			if s.KeyType != "RSA-2048" {
				return ""
			}
			return s.Name + " with key_type RSA-2048"
		})},
		{Rule{
			"CDB3017", "no-san", Warning, "a server's certificate has no alternative name",
			"Clients of today look at alternative names only, and not at common_name. SCONE's network shield demands them too.",
			"Somebody turns the check of the host's name off, and then every certificate of the CA is good for every server.",
			"Write san with dns:NAME for each name under which clients connect.",
		}, eachCertificate(func(s session.Secret) string {
			if s.Kind != session.X509 || s.Endpoint == "client" || len(s.SAN) > 0 {
				return ""
			}
			return s.Name + " without san"
		})},
		{Rule{
			"CDB3018", "endless-certificate", Warning, "a certificate never ends",
			"Without valid_for a certificate lives virtually forever. CAS renews those that end by itself, so a limit costs nothing.",
			"A key that leaks once is good forever: nothing revokes a certificate that CAS issued.",
			"Write valid_for, such as 1 year, or 90 days.",
		}, eachCertificate(func(s session.Secret) string {
			if s.ValidFor > 0 {
				return ""
			}
			return s.Name + " without valid_for"
		})},
		{Rule{
			"CDB3019", "long-certificate", Warning, "a certificate lives longer than ten years",
			"The algorithms and whoever had the key will have changed by then.",
			"A key that leaks once is good for decades: nothing revokes a certificate that CAS issued.",
			"Write valid_for of at most 10 years for a CA, and 1 year for others.",
		}, eachCertificate(func(s session.Secret) string {
			if s.ValidFor <= longLife {
				return ""
			}
			return fmt.Sprintf("%s for %d days", s.Name, int(s.ValidFor/(24*time.Hour)))
		})},
		{Rule{
			"CDB3020", "dns", Note, "the key dns is superseded",
			"It holds names only; san holds addresses too. It is not allowed for clients.",
			"none known",
			"Write san with dns:NAME (version 0.3.10 or later).",
		}, func(in *input) []hit {
			var hits []hit
			for i, s := range in.Secrets {
				if path := secretPath(i) + ".dns"; in.Has(path) {
					hits = append(hits, hit{path: path, got: s.Name + " with dns"})
				}
			}
			return hits
		}},
		{Rule{
			"CDB3021", "no-endpoint", Warning, "a certificate is for servers and clients alike",
			"Without endpoint it has no extended key usage, so both sides accept it.",
			"A client uses its certificate to play the server, or the reverse.",
			"Write endpoint: server or endpoint: client.",
		}, eachCertificate(func(s session.Secret) string {
			if s.Kind != session.X509 || s.Endpoint != "" {
				return ""
			}
			return s.Name + " without endpoint"
		})},
		{Rule{
			"CDB3025", "self-signed-server", Warning, "a server's certificate is self-signed",
			"Without issuer the certificate is its own root. CAS makes a new one with every update, so clients have nothing to hold on to.",
			"Clients that must accept a new certificate each time accept that of an adversary.",
			"Add a secret of kind x509-ca and name it in issuer.",
		}, eachCertificate(func(s session.Secret) string {
			if s.Kind != session.X509 || s.Endpoint == "client" || s.Issuer != "" {
				return ""
			}
			return s.Name + " without issuer"
		})},
	}
}

// eachCertificate applies got to the certificates that CAS issues.
func eachCertificate(got func(session.Secret) string) func(*input) []hit {
	return eachSecret(func(_ *input, s session.Secret) string {
		if !slices.Contains([]session.Kind{session.X509, session.X509CA}, s.Kind) || !generated(s) {
			return ""
		}
		return got(s)
	})
}
