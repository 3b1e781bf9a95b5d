package admin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"time"
)

// lifetime is how long a token is good.
const lifetime = 8 * time.Hour

// tokens makes and reads JSON Web Tokens (RFC 7519) of ES256 (RFC 7518, section 3.4), signed
// with the key of the interface's certificate: whoever has the same key takes them.
type tokens struct {
	key *ecdsa.PrivateKey // nil means no tokens
	now func() time.Time
}

type claims struct {
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
	Issued  int64  `json:"iat"`
	Expires int64  `json:"exp"`
}

const tokenHeader = `{"alg":"ES256","typ":"JWT"}`

var errToken = errors.New("no valid token")

func (t tokens) issue(user string) (string, error) {
	if t.key == nil || t.key.Curve != elliptic.P256() {
		return "", errors.New("the interface has no key of P-256")
	}
	now := t.now()
	body, err := json.Marshal(claims{"maxscale", user, now.Unix(), now.Add(lifetime).Unix()})
	if err != nil {
		return "", err
	}
	text := encode([]byte(tokenHeader)) + "." + encode(body)
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, t.key, digest[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + encode(signature), nil
}

// subject is the user of a token that is signed and has not ended.
func (t tokens) subject(token string) (string, error) {
	parts := strings.Split(token, ".")
	if t.key == nil || t.key.Curve != elliptic.P256() || len(parts) != 3 {
		return "", errToken
	}
	header, err1 := base64.RawURLEncoding.DecodeString(parts[0])
	body, err2 := base64.RawURLEncoding.DecodeString(parts[1])
	signature, err3 := base64.RawURLEncoding.DecodeString(parts[2])
	if errors.Join(err1, err2, err3) != nil || string(header) != tokenHeader || len(signature) != 64 {
		return "", errToken
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !ecdsa.Verify(&t.key.PublicKey, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		return "", errToken
	}
	var c claims
	if err := decode(body, &c); err != nil || c.Issuer != "maxscale" || t.now().Unix() >= c.Expires {
		return "", errToken
	}
	return c.Subject, nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
