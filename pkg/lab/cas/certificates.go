package cas

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/session"
)

// resolveCertificate finds or issues a certificate that this version declares.
func (t *transaction) resolveCertificate(p place, declared session.Secret, depth int) (*secret, error) {
	out := &secret{kind: declared.Kind}
	if declared.PrivateKey != "" {
		own, err := t.resolve(p, declared.PrivateKey, depth+1)
		if err != nil {
			return nil, err
		}
		out.key = own.key
	}
	var issuer *secret
	if declared.Issuer != "" {
		var err error
		if issuer, err = t.resolve(p, declared.Issuer, depth+1); err != nil {
			return nil, err
		}
		out.chain = append([]*x509.Certificate{issuer.certificate}, issuer.chain...)
	}
	var err error
	out.certificate, err = t.certificate(p, declared, out.key, issuer)
	return out, err
}

// certificate returns the stored certificate while it is good, and issues one
// otherwise. Versions that were replaced get no new one.
func (t *transaction) certificate(p place, declared session.Secret, key crypto.Signer, issuer *secret) (*x509.Certificate, error) {
	stored, err := t.storedCertificate(p, declared.Name)
	if err != nil {
		return nil, err
	}
	switch {
	case declared.Value != nil:
		return stored, belongs(stored, key, issuer)
	case stored != nil && !t.current(p), stored != nil && !t.now.After(stored.NotAfter) && belongs(stored, key, issuer) == nil:
		return stored, nil
	case !t.current(p):
		return nil, errors.New("the certificate was never issued, and its session was updated since")
	}
	c, err := issue(declared, key, issuer, t.now)
	if err != nil {
		return nil, err
	}
	t.keep(p, declared.Name, c.Raw)
	return c, nil
}

func (t *transaction) storedCertificate(p place, name string) (*x509.Certificate, error) {
	der := t.at(p).Materials[name]
	if der == nil {
		return nil, nil
	}
	return x509.ParseCertificate(der)
}

// belongs says whether a certificate is for the key and by the issuer, where
// these are declared.
func belongs(c *x509.Certificate, key crypto.Signer, issuer *secret) error {
	if key != nil && !samePublicKey(c.PublicKey, key.Public()) {
		return errors.New("the certificate is not for its private_key")
	}
	if issuer == nil {
		return nil
	}
	if !bytes.Equal(c.RawIssuer, issuer.certificate.RawSubject) {
		return errors.New("the certificate is not by its issuer")
	}
	return c.CheckSignatureFrom(issuer.certificate)
}

func samePublicKey(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}

// issue makes a certificate. Without issuer it signs itself.
func issue(declared session.Secret, key crypto.Signer, issuer *secret, now time.Time) (*x509.Certificate, error) {
	if key == nil {
		return nil, errors.New("the certificate's private key is not known")
	}
	template, err := certificateTemplate(declared, key, now)
	if err != nil {
		return nil, err
	}
	parent, signer := template, key
	if issuer != nil {
		if parent, signer, err = issuer.authority(now); err != nil {
			return nil, err
		}
		if template.NotAfter.After(parent.NotAfter) {
			template.NotAfter = parent.NotAfter // nothing outlives what vouches for it
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// authority returns what a CA signs with.
func (s *secret) authority(now time.Time) (*x509.Certificate, crypto.Signer, error) {
	switch {
	case s.key == nil:
		return nil, nil, &unavailableError{errors.New("the key of the issuer is not exported with its certificate")}
	case now.After(s.certificate.NotAfter):
		return nil, nil, errors.New("the certificate of the issuer has expired")
	}
	return s.certificate, s.key, nil
}

func certificateTemplate(declared session.Secret, key crypto.Signer, now time.Time) (*x509.Certificate, error) {
	c := &x509.Certificate{BasicConstraintsValid: true, NotBefore: now, NotAfter: now.Add(declared.ValidFor)}
	if declared.ValidFor == 0 {
		c.NotAfter = now.AddDate(endlessYears, 0, 0)
	}
	if err := addNames(c, declared); err != nil {
		return nil, err
	}
	c.Subject = pkix.Name{CommonName: commonName(declared, c)}
	c.KeyUsage = x509.KeyUsageDigitalSignature
	switch _, isRSA := key.(*rsa.PrivateKey); {
	case declared.Kind == session.X509CA:
		c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	case isRSA:
		c.KeyUsage |= x509.KeyUsageKeyEncipherment // TLS 1.2 without a key agreement
	}
	switch declared.Endpoint {
	case "server":
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	case "client":
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	return c, nil
}

func addNames(c *x509.Certificate, declared session.Secret) error {
	for _, san := range declared.SAN {
		kind, name, _ := strings.Cut(san, ":")
		if kind == "dns" {
			c.DNSNames = append(c.DNSNames, name)
			continue
		}
		ip := net.ParseIP(name)
		if kind != "ip" || ip == nil {
			return fmt.Errorf("san: got %.80q, want dns:NAME or ip:ADDRESS", san)
		}
		c.IPAddresses = append(c.IPAddresses, ip)
	}
	return nil
}

// commonName is the one that is declared, else the first DNS name, else the secret's.
func commonName(declared session.Secret, c *x509.Certificate) string {
	all := slices.Concat([]string{declared.CommonName}, c.DNSNames, []string{declared.Name})
	return all[slices.IndexFunc(all, func(s string) bool { return s != "" })]
}
