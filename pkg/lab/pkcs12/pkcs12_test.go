package pkcs12_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/confidb/confidb/pkg/lab/pkcs12"
)

// The parts of an archive, by RFC 7292.
type (
	info struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"tag:0,explicit"`
	}
	archive struct {
		Version int
		Safe    info
		Mac     struct {
			Digest struct {
				Algorithm pkix.AlgorithmIdentifier
				Value     []byte
			}
			Salt   []byte
			Rounds int
		}
	}
	encrypted struct {
		Version int
		Content struct {
			Type      asn1.ObjectIdentifier
			Algorithm sealing
			Sealed    []byte `asn1:"tag:0"`
		}
	}
	sealing struct {
		Type asn1.ObjectIdentifier
		By   struct {
			Derive struct {
				Type asn1.ObjectIdentifier
				By   struct {
					Salt   []byte
					Rounds int
					Hash   pkix.AlgorithmIdentifier
				}
			}
			Encrypt struct {
				Type   asn1.ObjectIdentifier
				Vector []byte
			}
		}
	}
	bag struct {
		Type       asn1.ObjectIdentifier
		Content    asn1.RawValue `asn1:"tag:0,explicit"`
		Attributes asn1.RawValue `asn1:"set,optional"`
	}
	shrouded struct {
		Algorithm sealing
		Sealed    []byte
	}
)

func read(t *testing.T, der []byte, into any) {
	t.Helper()
	if rest, err := asn1.Unmarshal(der, into); err != nil || len(rest) > 0 {
		t.Fatalf("reading %T: %v, %d bytes left", into, err, len(rest))
	}
}

// open decrypts with the empty password.
func (s sealing) open(t *testing.T, text []byte) []byte {
	t.Helper()
	key, err := pbkdf2.Key(sha256.New, "", s.By.Derive.By.Salt, s.By.Derive.By.Rounds, 32)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	plain := bytes.Clone(text)
	cipher.NewCBCDecrypter(block, s.By.Encrypt.Vector).CryptBlocks(plain, plain)
	return plain[:len(plain)-int(plain[len(plain)-1])]
}

func TestEncode(t *testing.T) {
	for _, issuers := range []int{0, 1, 2} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		var chain []*x509.Certificate
		for i := range issuers + 1 {
			chain = append(chain, certificate(t, key, int64(i)))
		}
		der, err := pkcs12.Encode(key, chain...)
		if err != nil {
			t.Fatal(err)
		}
		var a archive
		read(t, der, &a)
		var text []byte
		read(t, a.Safe.Content.Bytes, &text)
		// the key of the MAC as appendix B.2 makes it, of a password of two zero bytes
		sum := bytes.Join([][]byte{bytes.Repeat([]byte{3}, 64), bytes.Repeat(a.Mac.Salt, 64/len(a.Mac.Salt)), bytes.Repeat([]byte{0, 0}, 32)}, nil)
		for range a.Mac.Rounds {
			next := sha256.Sum256(sum)
			sum = next[:]
		}
		mac := hmac.New(sha256.New, sum)
		mac.Write(text)
		if a.Version != 3 || !hmac.Equal(mac.Sum(nil), a.Mac.Digest.Value) {
			t.Errorf("version %d, or the MAC is another", a.Version)
		}
		var parts []info
		read(t, text, &parts)
		if len(parts) != 2 {
			t.Fatalf("got %d parts", len(parts))
		}
		var sealed encrypted
		read(t, parts[0].Content.Bytes, &sealed)
		var certificates []bag
		read(t, sealed.Content.Algorithm.open(t, sealed.Content.Sealed), &certificates)
		if len(certificates) != len(chain) {
			t.Fatalf("got %d certificates, want %d", len(certificates), len(chain))
		}
		for i, b := range certificates {
			if !bytes.Contains(b.Content.Bytes, chain[i].Raw) || (len(b.Attributes.Bytes) > 0) != (i == 0) {
				t.Errorf("certificate %d is another, or has other attributes", i)
			}
		}
		read(t, parts[1].Content.Bytes, &text)
		var keys []bag
		read(t, text, &keys)
		var private shrouded
		read(t, keys[0].Content.Bytes, &private)
		got, err := x509.ParsePKCS8PrivateKey(private.Algorithm.open(t, private.Sealed))
		if err != nil || !key.Equal(got) || len(keys) != 1 || !bytes.Equal(keys[0].Attributes.Bytes, certificates[0].Attributes.Bytes) {
			t.Errorf("the key is another, or not that of the first certificate: %v", err)
		}
		if bytes.Contains(der, chain[0].Raw) {
			t.Error("the certificate is there in clear")
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	if _, err := pkcs12.Encode("no key", &x509.Certificate{}); err == nil {
		t.Error("got no error")
	}
}

func certificate(t *testing.T, key *ecdsa.PrivateKey, number int64) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(number + 1), Subject: pkix.Name{CommonName: "c"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
