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
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/session"
)

// ErrNotFound means that the attested CAS has no session or value of that name,
// or none that this identity may see.
var ErrNotFound = errors.New("not found")

// ErrMoved means that an update was for another version than the one that the attested
// CAS has: somebody else was faster.
var ErrMoved = errors.New("another version was uploaded meanwhile")

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

// Is makes errors.Is(err, ErrNotFound) true for status 404, and errors.Is(err, ErrMoved)
// for what CAS says of an update with another predecessor.
func (e *StatusError) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Code == http.StatusNotFound
	case ErrMoved:
		return e.Code == http.StatusConflict || e.Code == http.StatusBadRequest && slices.ContainsFunc(e.Messages, aboutPredecessor)
	}
	return false
}

func aboutPredecessor(message string) bool {
	return strings.Contains(message, "previous session digest")
}

func newStatusError(code int, body []byte) *StatusError {
	var answer struct {
		Msg []string `json:"msg"`
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Msg) == 0 {
		answer.Msg = []string{string(body)}
	}
	e := &StatusError{Code: code}
	for _, m := range answer.Msg {
		if m = check.Said(m); m != "" {
			e.Messages = append(e.Messages, m)
		}
	}
	return e
}

// Client talks to one attested CAS.
type Client struct{ http *http.Client }

// NewClient returns a client for the CAS behind dial. Only the CAS of the anchor is
// talked to. identity is the TLS client certificate by which CAS knows the user; it
// becomes the owner of what is created.
func NewClient(dial Dialer, attested attest.Anchor, identity tls.Certificate) (*Client, error) {
	config, err := config(attested, identity)
	if err != nil {
		return nil, err
	}
	return &Client{http: newHTTPClient(dial, config)}, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Session reads the newest version of a session. It returns ErrNotFound when
// there is none.
func (c *Client) Session(ctx context.Context, name string) (*session.Stored, error) {
	return c.SessionVersion(ctx, name, "")
}

// SessionVersion reads the version of a session that a hash names; the empty hash is
// the newest.
func (c *Client) SessionVersion(ctx context.Context, name, hash string) (*session.Stored, error) {
	path := "/v1/sessions/" + name
	if hash != "" {
		path += "?hash=" + hash
	}
	body, err := get(ctx, c.http, path)
	if err != nil {
		return nil, fmt.Errorf("reading session %q: %w", name, err)
	}
	var s session.Stored
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

// PutSignedSession uploads a document that its authors signed, and returns the hash
// that CAS gave it. CAS looks at the signers, not at who uploads.
func (c *Client) PutSignedSession(ctx context.Context, document []byte, signatures []session.Signature) (string, error) {
	body, err := json.Marshal(map[string]any{"session": string(document), "signatures": signatures})
	if err != nil {
		return "", err
	}
	return c.upload(ctx, http.MethodPut, "/v1/signed_sessions", body)
}

func (c *Client) upload(ctx context.Context, method, path string, content []byte) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, "https://"+attest.CASName+":"+ClientPort+path, bytes.NewReader(content))
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
func (c *Client) PublicValue(ctx context.Context, name, hash, secret string) (string, error) {
	body, err := get(ctx, c.http, fmt.Sprintf("/v1/values/session=%s,session_hash=%s,secret=%s", name, hash, secret))
	if err != nil {
		return "", fmt.Errorf("reading public value %q of session %q: %w", secret, name, err)
	}
	var answer struct {
		Value string `json:"value"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("reading public value %q of session %q: %w", secret, name, err)
	}
	if answer.Value == "" {
		return "", fmt.Errorf("reading public value %q of session %q: the answer holds no value", secret, name)
	}
	return answer.Value, nil
}
