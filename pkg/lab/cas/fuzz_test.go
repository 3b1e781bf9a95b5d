package cas

import (
	"io"
	"log"
	"strings"
	"testing"
	"time"
)

func FuzzValuesQuery(f *testing.F) {
	for _, seed := range []string{"", "session=ns/db", "session=a,session_hash=00,secret=b", "session=a,session=b", ",", "session=", "x=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := parseValuesQuery(text)
		if err == nil && (q.session == "" || strings.ContainsRune(q.session+q.hash+q.secret, ',')) {
			t.Errorf("%q was read as %+v", text, q)
		}
	})
}

// Nothing that is not signed may be taken as signed.
func FuzzSignedSession(f *testing.F) {
	for _, seed := range []string{`{}`, `{"session":"x","signatures":[{"signer":"-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----","signature":"AA=="}]}`, `[]`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, signers, err := openSigned(body); err == nil && len(signers) == 0 {
			t.Error("a document without signers was taken")
		}
	})
}

// Nobody gets a configuration without a quote.
func FuzzEnclaveRequest(f *testing.F) {
	c := &CAS{store: &store{now: time.Now}, Config: Config{Now: time.Now, Log: log.New(io.Discard, "", 0), Collateral: func() (map[string][]byte, error) { return nil, nil }}}
	for _, seed := range []string{`{}`, `{"configID":"app/s","publicKey":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","quote":"AwACAA=="}`, `[`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if a := c.answer(line, make([]byte, challengeSize)); len(a.Errors) == 0 || a.Sealed != nil {
			t.Errorf("%q was admitted", line)
		}
	})
}

// Whatever a document holds, uploading it ends, and its creator is the uploader.
func FuzzUpload(f *testing.F) {
	for _, seed := range []string{passwordDocument, "version: '0.3'\nname: a\n---\nx: 1\n", "{version: '0.3', name: a}", "version: '0.3'\nname: a\ncreator: b", "version: '0.3'\nname: a\n...", "version: '0.3'\nname: a\nsalt: |\n  x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := newVersion([]byte(text), []string{"me"})
		if err == nil && (v.parsed.Creator != "me" || !strings.HasPrefix(v.Text, strings.TrimSuffix(text, "\n"))) {
			t.Errorf("%q is stored as %q", text, v.Text)
		}
	})
}
