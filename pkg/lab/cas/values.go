package cas

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/session"
)

// publicValue is a secret that everybody may know. Only a value that was asked
// for by name has Renew, which this CAS leaves empty.
type publicValue struct {
	Kind    string     `json:"kind"`
	Value   string     `json:"value"`
	Expires *time.Time `json:"expires"`
}

type namedValue struct {
	publicValue
	Renew *time.Time `json:"renew"`
}

// valuesQuery is session=NAME[,session_hash=HASH][,secret=NAME].
type valuesQuery struct{ session, hash, secret string }

func parseValuesQuery(text string) (valuesQuery, error) {
	var q valuesQuery
	for part := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(part, "=")
		into := map[string]*string{"session": &q.session, "session_hash": &q.hash, "secret": &q.secret}[key]
		if into == nil || *into != "" || value == "" {
			return valuesQuery{}, fmt.Errorf("got %.80q, want session=NAME, session_hash=HASH or secret=NAME, each once", part)
		}
		*into = value
	}
	if q.session == "" {
		return valuesQuery{}, errors.New("session is missing")
	}
	return q, nil
}

// refusal says the same whether a value is missing or only not public.
func (q valuesQuery) refusal() error {
	what := "values"
	if q.secret != "" {
		what = fmt.Sprintf("value '%s'", q.secret)
	}
	from := "/session=" + q.session
	if q.hash != "" {
		from += ",session_hash=" + q.hash
	}
	return refuse(http.StatusNotFound, fmt.Sprintf("Failed to read %s of '%s' requested by a public client", what, from),
		"Secret does not exist or is not visible for a public client")
}

func (c *CAS) getValues(r *http.Request, _ []string) (answer, error) {
	q, err := parseValuesQuery(r.PathValue("query"))
	if err != nil {
		return answer{}, refuse(http.StatusBadRequest, "Failed to read values", err.Error())
	}
	var out any
	err = c.store.update(func(t *transaction) (err error) {
		out, err = t.publicValues(q)
		return err
	})
	return answer{status: http.StatusOK, value: out}, err
}

func (t *transaction) publicValues(q valuesQuery) (any, error) {
	p, ok := t.find(q.session, q.hash)
	if !ok {
		return nil, q.refusal()
	}
	all := map[string]publicValue{}
	for _, declared := range t.at(p).parsed.Secrets {
		if !declared.ExportPublic || q.secret != "" && q.secret != declared.Name {
			continue
		}
		s, err := t.resolve(p, declared.Name, 0)
		if err != nil {
			continue // it rests on another session that does not give it, now
		}
		if value, ok := s.asPublic(); ok {
			all[declared.Name] = value
		}
	}
	if q.secret == "" {
		return map[string]any{"values": all}, nil
	}
	value, ok := all[q.secret]
	if !ok {
		return nil, q.refusal()
	}
	return namedValue{publicValue: value}, nil
}

// asPublic is the public part of a secret. A private key has none, whatever the
// session says.
func (s *secret) asPublic() (publicValue, bool) {
	switch s.kind {
	case session.ASCII:
		return publicValue{Kind: "string", Value: string(s.value)}, true
	case session.Binary:
		return publicValue{Kind: "binary", Value: hex.EncodeToString(s.value)}, true
	case session.PublicKey:
		text, err := publicPEM(s)
		return publicValue{Kind: "public-key", Value: string(text)}, err == nil
	case session.X509, session.X509CA:
		expires := s.certificate.NotAfter.UTC()
		return publicValue{Kind: "x509", Value: string(certificatePEM(s.certificate)), Expires: &expires}, true
	}
	return publicValue{}, false
}
