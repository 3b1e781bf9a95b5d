package cas

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"time"
)

// ownKeys are CAS's own certificates and keys as they are stored.
type ownKeys struct {
	Root     pair `json:"root"`
	Instance pair `json:"instance"`
	Leaf     pair `json:"leaf"`
}

// pair is a certificate and its key (PKCS#8), in DER.
type pair struct {
	Certificate []byte `json:"certificate"`
	Key         []byte `json:"key"`
}

// authority is CAS's own chain: the software's CA, the instance's CA below it,
// and the TLS certificate below that.
type authority struct{ root, instance, leaf holder }

// holder is a certificate with its key.
type holder struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// Names in CAS's certificates; clients expect ownName whatever the address is.
const (
	ownName      = "cas"
	instanceName = "cas-instance"
)

// endlessYears is how long a certificate without end lives.
const endlessYears = 50

// ownAuthority opens CAS's own chain, and makes it at the first start.
func (s *store) ownAuthority() (*authority, error) {
	var own *authority
	err := s.update(func(t *transaction) (err error) {
		if len(t.state.Own.Root.Certificate) == 0 {
			if t.state.Own, err = newOwnKeys(t.now); err != nil {
				return fmt.Errorf("making CAS's certificates: %w", err)
			}
			t.changed = true
		}
		own, err = t.state.Own.open()
		return err
	})
	return own, err
}

func newOwnKeys(now time.Time) (ownKeys, error) {
	root, err := newHolder(ownTemplate(ownName, true, now), nil)
	if err != nil {
		return ownKeys{}, err
	}
	instance, err := newHolder(ownTemplate(instanceName, true, now), root)
	if err != nil {
		return ownKeys{}, err
	}
	template := ownTemplate(ownName, false, now)
	template.DNSNames, template.ExtKeyUsage = []string{ownName, "localhost"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf, err := newHolder(template, instance)
	if err != nil {
		return ownKeys{}, err
	}
	keys := ownKeys{}
	for into, h := range map[*pair]*holder{&keys.Root: root, &keys.Instance: instance, &keys.Leaf: leaf} {
		if *into, err = h.pair(); err != nil {
			return ownKeys{}, err
		}
	}
	return keys, nil
}

func ownTemplate(name string, ca bool, now time.Time) *x509.Certificate {
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true, IsCA: ca,
		NotBefore: now, NotAfter: now.AddDate(endlessYears, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if ca {
		c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
	return c
}

// newHolder makes a P-256 key and a certificate for it. Without issuer it signs itself.
func newHolder(template *x509.Certificate, issuer *holder) (*holder, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if issuer == nil {
		issuer = &holder{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.certificate, key.Public(), issuer.key)
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	return &holder{c, key}, err
}

func (h *holder) pair() (pair, error) {
	key, err := x509.MarshalPKCS8PrivateKey(h.key)
	return pair{h.certificate.Raw, key}, err
}

func (p pair) open() (holder, error) {
	c, err := x509.ParseCertificate(p.Certificate)
	if err != nil {
		return holder{}, fmt.Errorf("CAS's certificate: %w", err)
	}
	key, err := parseKey(p.Key)
	return holder{c, key}, err
}

func (k *ownKeys) open() (*authority, error) {
	a := &authority{}
	for into, p := range map[*holder]pair{&a.root: k.Root, &a.instance: k.Instance, &a.leaf: k.Leaf} {
		var err error
		if *into, err = p.open(); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// tlsCertificate is what the REST server shows: leaf, instance and root.
func (a *authority) tlsCertificate() tls.Certificate {
	return tls.Certificate{
		Certificate: [][]byte{a.leaf.certificate.Raw, a.instance.certificate.Raw, a.root.certificate.Raw}, PrivateKey: a.leaf.key,
	}
}

// chainPEM is the chain of the evidence, with the line ends that SCONE uses.
func (a *authority) chainPEM() []byte {
	text := certificatePEM(a.instance.certificate, a.root.certificate)
	return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
}

func certificatePEM(certificates ...*x509.Certificate) []byte {
	var text []byte
	for _, c := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}
