package cas

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// ErrNotFound means that the attested CAS has no session or value of that name,
// or none that this identity may see.
var ErrNotFound = errors.New("not found")

// StatusError is an answer other than success.
type StatusError struct {
	// Code is the HTTP status.
	Code int
	// Messages are what CAS said, outermost first. They may be empty.
	Messages []string
}

func (e *StatusError) Error() string {
	if len(e.Messages) == 0 {
		return fmt.Sprintf("CAS answered with HTTP status %d", e.Code)
	}
	return fmt.Sprintf("CAS answered with HTTP status %d; peer says: %s", e.Code, strings.Join(e.Messages, ": "))
}

// Is makes errors.Is(err, ErrNotFound) true for status 404.
func (e *StatusError) Is(target error) bool {
	return target == ErrNotFound && e.Code == http.StatusNotFound
}

// maxMessage bounds how much of a peer's text is shown, in bytes.
const maxMessage = 1 << 10

func newStatusError(code int, body []byte) *StatusError {
	var answer struct {
		Msg []string `json:"msg"`
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Msg) == 0 {
		answer.Msg = []string{string(body)}
	}
	e := &StatusError{Code: code}
	for _, m := range answer.Msg {
		m = printable(m)
		if m != "" {
			e.Messages = append(e.Messages, m[:min(len(m), maxMessage)])
		}
	}
	return e
}

// printable replaces what could move the cursor or forge a line of ours.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s))
}

// Client talks to one attested CAS.
type Client struct{ http *http.Client }

// NewClient returns a client for the CAS behind dial. Only the CAS of the anchor is
// talked to. identity is the TLS client certificate by which CAS knows the user; it
// becomes the owner of what is created.
func NewClient(dial Dialer, attested Anchor, identity tls.Certificate) (*Client, error) {
	config, err := attested.config(identity)
	if err != nil {
		return nil, err
	}
	return &Client{http: newHTTPClient(dial, config)}, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// StoredSession is a session as CAS holds it.
type StoredSession struct {
	// Hash identifies this version of the session: 64 hexadecimal digits that CAS computed.
	Hash string `json:"hash"`
	// Text is the document, with the creator that CAS added.
	Text string `json:"session"`
}

// Session reads the newest version of a session. It returns ErrNotFound when
// there is none.
func (c *Client) Session(ctx context.Context, name string) (*StoredSession, error) {
	return c.SessionVersion(ctx, name, "")
}

// SessionVersion reads the version of a session that a hash names; the empty hash is
// the newest.
func (c *Client) SessionVersion(ctx context.Context, name, hash string) (*StoredSession, error) {
	path := "/v1/sessions/" + name
	if hash != "" {
		path += "?hash=" + hash
	}
	body, err := get(ctx, c.http, path)
	if err != nil {
		return nil, fmt.Errorf("reading session %q: %w", name, err)
	}
	var s StoredSession
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, fmt.Errorf("reading session %q: %w", name, err)
	}
	if !sessionHash().MatchString(s.Hash) || s.Text == "" {
		return nil, fmt.Errorf("reading session %q: got hash %q and %d bytes of text, want 64 hexadecimal digits and a document", name, s.Hash, len(s.Text))
	}
	return &s, nil
}

// CreateSession uploads a document and returns the hash that CAS gave it. A
// document without predecessor fails when the name exists already.
func (c *Client) CreateSession(ctx context.Context, document []byte) (string, error) {
	return c.upload(ctx, http.MethodPost, "/session", document)
}

// Signature is one author's, over the message that CAS wants signed for a document.
type Signature struct {
	// Signer is the public key: SPKI in PEM.
	Signer string `json:"signer"`
	// Signature is in base64.
	Signature string `json:"signature"`
}

// PutSignedSession uploads a document that its authors signed, and returns the hash
// that CAS gave it. CAS looks at the signers, not at who uploads.
func (c *Client) PutSignedSession(ctx context.Context, document []byte, signatures []Signature) (string, error) {
	body, err := json.Marshal(map[string]any{"session": string(document), "signatures": signatures})
	if err != nil {
		return "", err
	}
	return c.upload(ctx, http.MethodPut, "/v1/signed_sessions", body)
}

func (c *Client) upload(ctx context.Context, method, path string, content []byte) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, "https://"+ServerName+":"+ClientPort+path, bytes.NewReader(content))
	if err != nil {
		return "", err
	}
	if method == http.MethodPut {
		request.Header.Set("Content-Type", "application/json")
	}
	body, err := do(c.http, request)
	if err != nil {
		return "", fmt.Errorf("uploading the session: %w", err)
	}
	var answer struct {
		Hash string `json:"hash"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("uploading the session: reading the answer: %w", err)
	}
	if !sessionHash().MatchString(answer.Hash) {
		return "", fmt.Errorf("uploading the session: got hash %q, want 64 hexadecimal digits", answer.Hash)
	}
	return answer.Hash, nil
}

func sessionHash() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-fA-F]{64}$`) }

// PublicValue reads a secret that the given version of a session exports to the
// public (export_public), such as a CA certificate or a public key, as text.
func (c *Client) PublicValue(ctx context.Context, session, hash, secret string) (string, error) {
	body, err := get(ctx, c.http, fmt.Sprintf("/v1/values/session=%s,session_hash=%s,secret=%s", session, hash, secret))
	if err != nil {
		return "", fmt.Errorf("reading public value %q of session %q: %w", secret, session, err)
	}
	var answer struct {
		Value string `json:"value"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("reading public value %q of session %q: %w", secret, session, err)
	}
	if answer.Value == "" {
		return "", fmt.Errorf("reading public value %q of session %q: the answer holds no value", secret, session)
	}
	return answer.Value, nil
}
