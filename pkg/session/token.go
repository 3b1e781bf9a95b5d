package session

import (
	"slices"

	"github.com/confidb/confidb/pkg/document"
)

// aadFields are the keys of an aad-token. Its private_key is the key itself and no name:
// see checkTokens.
func (d *decoder) aadFields(a *AADCredentials) document.Fields {
	return document.Fields{
		"tenant_id":              d.Text(&a.TenantID),
		"client_id":              d.Text(&a.ClientID),
		"application_secret":     d.Hidden(&a.ApplicationSecret, `^(?s:.+)$`, "a secret"),
		"certificate_thumbprint": d.Matching(&a.Thumbprint, `^([0-9a-fA-F]{2}:?){20,32}$`, "the hexadecimal thumbprint of a certificate"),
	}
}

// jwtFields are the keys of a jwt.
func (d *decoder) jwtFields(j *JWTClaims) document.Fields {
	return document.Fields{
		signerKey:  d.Text(&j.Signer),
		"alg":      document.OneOf(d.Decoder, &j.Algorithm, "ES384"),
		"validity": d.Object(document.Fields{"for": d.duration(&j.ValidFor)}, nil),
		"payload":  d.payload(&j.Payload),
	}
}

// payload reads the claims of a token: texts, and none that CAS fills in itself.
func (d *decoder) payload(into *map[string]string) document.Field {
	read := func(n *document.Node, path string) {
		if n.Kind != document.Mapping {
			d.Fail(n, path, "got %s, want a mapping", document.KindOf(n))
			return
		}
		*into = map[string]string{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			claim := d.scalar(n.Content[i], path)
			if slices.Contains([]string{"iat", "nbf", "exp"}, claim) {
				d.Fail(n.Content[i], document.Member(path, claim), "CAS fills it in itself")
			}
			(*into)[claim] = d.scalar(n.Content[i+1], document.Member(path, claim))
		}
	}
	return document.Field{Read: read, Shape: func() document.Shape {
		return document.Shape{"type": "object", "additionalProperties": document.Shape{"type": []string{"string", "number", "boolean"}}}
	}}
}

// checkTokens sees that the kinds of tokens have what they need, and others none of it.
func (d *decoder) checkTokens(n *document.Node, path string, s *Secret, aad *AADCredentials, jwt *JWTClaims) {
	for _, rule := range []struct {
		kind     Kind
		keys     []string
		required []string
	}{
		{AADToken, []string{"tenant_id", "client_id", "application_secret", "certificate_thumbprint"}, []string{"tenant_id", "client_id"}},
		{JWT, []string{signerKey, "alg", "validity", "payload"}, []string{signerKey, "alg"}},
	} {
		for _, key := range rule.keys {
			if k, _ := document.Lookup(n, key); k != nil && s.Kind != "" && s.Kind != rule.kind {
				d.Fail(k, document.Member(path, key), "only a secret of kind %s has it", rule.kind)
			}
		}
		for _, key := range rule.required {
			if k, _ := document.Lookup(n, key); k == nil && s.Kind == rule.kind && s.Import == nil && !d.Misspelt(document.Member(path, key)) {
				d.Fail(n, document.Member(path, key), "it is missing")
			}
		}
	}
	switch {
	case s.Import != nil:
	case s.Kind == AADToken:
		d.checkCredentials(n, path, s, aad)
	case s.Kind == JWT:
		s.JWT = jwt
	}
}

// checkCredentials wants one way for an aad-token to log in.
func (d *decoder) checkCredentials(n *document.Node, path string, s *Secret, aad *AADCredentials) {
	aad.PrivateKey, s.PrivateKey, s.AAD = s.PrivateKey, "", aad
	switch key := aad.PrivateKey; {
	case (aad.ApplicationSecret == "") == (key == "") && !d.Under(path):
		d.Fail(n, path, "want either application_secret, or private_key with certificate_thumbprint")
	case (key == "") != (aad.Thumbprint == "") && !d.Under(path):
		d.Fail(n, path, "got one of private_key and certificate_thumbprint, want both")
	}
}
