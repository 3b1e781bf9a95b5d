package lint

import (
	"fmt"
	"slices"
	"time"

	"github.com/confidb/confidb/pkg/session"
)

// longLife is more than what a CA of a database needs.
const longLife = 10 * 31_557_600 * time.Second

// eachCertificate applies got to the certificates that CAS issues.
//
//go:noinline
func eachCertificate(got func(session.Secret) string) finder {
	return eachSecret(func(_ *input, s session.Secret) string {
		if !slices.Contains([]session.Kind{session.X509, session.X509CA}, s.Kind) || !generated(s) {
			return ""
		}
		return got(s)
	})
}

func withoutSAN(s session.Secret) string {
	if s.Kind != session.X509 || s.Endpoint == "client" || len(s.SAN) > 0 {
		return ""
	}
	return s.Name + " without san"
}

func endless(s session.Secret) string {
	if s.ValidFor > 0 {
		return ""
	}
	return s.Name + " without valid_for"
}

func longLived(s session.Secret) string {
	if s.ValidFor <= longLife {
		return ""
	}
	return fmt.Sprintf("%s for %d days", s.Name, int(s.ValidFor/(24*time.Hour)))
}

func withoutEndpoint(s session.Secret) string {
	if s.Kind != session.X509 || s.Endpoint != "" {
		return ""
	}
	return s.Name + " without endpoint"
}

func selfSigned(s session.Secret) string {
	if s.Kind != session.X509 || s.Endpoint == "client" || s.Issuer != "" {
		return ""
	}
	return s.Name + " without issuer"
}

func findDNS(in *input) []hit {
	var hits []hit
	for i, s := range in.Secrets {
		if path := secretPath(i) + ".dns"; in.Has(path) {
			hits = append(hits, hit{path: path, got: s.Name + " with dns"})
		}
	}
	return hits
}

func weakKey(_ *input, s session.Secret) string {
	if s.KeyType != "RSA-2048" {
		return ""
	}
	return s.Name + " with key_type RSA-2048"
}
