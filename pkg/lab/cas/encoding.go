package cas

import (
	"bytes"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/lab/pkcs12"
	"github.com/confidb/confidb/pkg/session"
)

// encoding writes a secret in the form that a placeholder asks for.
type encoding func(*secret) ([]byte, error)

// encodings are the forms of one kind by the words of the placeholder, joined
// with colons. The forms that begin with a dot are older.
func encodings(kind session.Kind) map[string]encoding {
	switch kind {
	case session.ASCII:
		return map[string]encoding{"": plain}
	case session.Binary:
		return map[string]encoding{
			"": plain, "bin": plain, "hex": text(hex.EncodeToString), ".hex": text(hex.EncodeToString),
			"base64": text(base64.StdEncoding.EncodeToString), "base64url": text(base64.URLEncoding.EncodeToString),
			"base32": text(base32.StdEncoding.EncodeToString), "base32nopad": text(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString),
		}
	case session.PrivateKey:
		return map[string]encoding{"": keyPEM, "pem": keyPEM, "pkcs8:pem": keyPEM, "der": keyDER, "pkcs8:der": keyDER}
	case session.PublicKey:
		return map[string]encoding{"spki:pem": publicPEM, "spki:der": publicDER}
	case session.X509, session.X509CA:
		return map[string]encoding{
			"": ownPEM, "crt": ownPEM, "crt:pem": ownPEM, ".crt": ownPEM, "crt:der": ownDER,
			"privatekey": keyPEM, "privatekey:pem": keyPEM, "privatekey:pkcs8:pem": keyPEM, ".key": keyPEM, "privatekey:der": keyDER, "privatekey:pkcs8:der": keyDER,
			"chain": chainPEM, ".chain": olderChain, "pkcs12-with-private-key": archive,
		}
	}
	return nil
}

// kinds are all kinds that have encodings.
func kinds() []session.Kind {
	return []session.Kind{session.ASCII, session.Binary, session.PrivateKey, session.PublicKey, session.X509CA, session.X509}
}

// knownEncoding says at the upload whether a placeholder can mean something. The
// kind of an import may be open until it is used.
func knownEncoding(kind session.Kind, p session.Placeholder) error {
	candidates := kinds()
	if kind != "" {
		candidates = []session.Kind{kind}
	}
	form := strings.Join(p.Encodings, ":")
	if !slices.ContainsFunc(candidates, func(k session.Kind) bool { return encodings(k)[form] != nil }) {
		return fmt.Errorf("%s: a secret of kind %q has no encoding %q", p.Text, kind, form)
	}
	return nil
}

// encode returns what replaces a placeholder.
func encode(s *secret, p session.Placeholder) (string, error) {
	form := encodings(s.kind)[strings.Join(p.Encodings, ":")]
	if form == nil {
		return "", fmt.Errorf("a secret of kind %q has no encoding %q", s.kind, strings.Join(p.Encodings, ":"))
	}
	value, err := form(s)
	if err != nil || !p.EscapeJSON {
		return string(value), err
	}
	return escapeJSON(value)
}

// escapeJSON writes text as it stands between the quotes of a JSON string.
func escapeJSON(value []byte) (string, error) {
	if !utf8.Valid(value) {
		return "", errors.New("raw bytes do not fit into a JSON string: use another encoding")
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(string(value)); err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimPrefix(out.String(), `"`), "\"\n"), nil
}

func plain(s *secret) ([]byte, error) { return s.value, nil }

func text(encode func([]byte) string) encoding {
	return func(s *secret) ([]byte, error) { return []byte(encode(s.value)), nil }
}

func keyDER(s *secret) ([]byte, error) {
	if s.key == nil {
		return nil, errors.New("the certificate came without its private key")
	}
	return x509.MarshalPKCS8PrivateKey(s.key)
}

func keyPEM(s *secret) ([]byte, error) {
	der, err := keyDER(s)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// archive has the empty text as its password.
func archive(s *secret) ([]byte, error) {
	if s.key == nil {
		return nil, errors.New("the certificate came without its private key")
	}
	return pkcs12.Encode(s.key, append([]*x509.Certificate{s.certificate}, s.chain...)...)
}

func publicDER(s *secret) ([]byte, error) { return x509.MarshalPKIXPublicKey(s.public) }

func publicPEM(s *secret) ([]byte, error) {
	der, err := publicDER(s)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

func ownDER(s *secret) ([]byte, error) { return s.certificate.Raw, nil }

func ownPEM(s *secret) ([]byte, error) { return certificatePEM(s.certificate), nil }

func chainPEM(s *secret) ([]byte, error) { return certificatePEM(s.chain...), nil }

// olderChain begins with the root and ends with the certificate itself.
func olderChain(s *secret) ([]byte, error) {
	chain := append([]*x509.Certificate{s.certificate}, s.chain...)
	slices.Reverse(chain)
	return certificatePEM(chain...), nil
}
