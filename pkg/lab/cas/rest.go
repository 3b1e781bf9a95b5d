package cas

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// Bounds of the REST server.
const (
	maxBody         = 1 << 20
	maxHeader       = 64 << 10
	requestTimeout  = 30 * time.Second
	answerTimeout   = 90 * time.Second // generating RSA keys takes a while
	idleTimeout     = 60 * time.Second
	shutdownTimeout = 5 * time.Second
)

// ServeREST answers users over TLS until ctx ends. Any client certificate is
// taken: its key is the user's identity, whoever issued it.
func (c *CAS) ServeREST(ctx context.Context, listener net.Listener) error {
	// what net/http itself would log are handshakes that came to nothing, such as
	// those of a readiness probe
	server := &http.Server{
		Handler: c.routes(), ErrorLog: log.New(io.Discard, "", 0), MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: requestTimeout, ReadTimeout: requestTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout,
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{c.own.tlsCertificate()}, ClientAuth: tls.RequestClientCert,
		},
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		stopped <- server.Shutdown(limited)
	})
	err := server.ServeTLS(listener, "", "")
	if stop() {
		return fmt.Errorf("answering users: %w", err)
	}
	return errors.Join(<-stopped, server.Close())
}

// answer is a successful response: raw bytes, or a value to be written as JSON.
type answer struct {
	status int
	raw    []byte
	value  any
}

// handler answers one request; an error that is no refusal is a fault of CAS.
type handler func(r *http.Request, identities []string) (answer, error)

func (c *CAS) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]handler{
		"GET /v1/attest":             c.getAttest,
		"GET /v1/version":            c.getVersion,
		"POST /session":              c.postSession,
		"PUT /v1/signed_sessions":    c.putSignedSession,
		"GET /v1/sessions/{name...}": c.getSession,
		"GET /v1/values/{query...}":  c.getValues,
		"/":                          notThere,
	} {
		mux.Handle(pattern, c.handle(h))
	}
	return mux
}

func notThere(*http.Request, []string) (answer, error) {
	return answer{}, refuse(http.StatusNotFound, "No such resource or method")
}

// handle runs a handler and writes what it answers, and one line to the log.
func (c *CAS) handle(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		identities := identitiesOf(r)
		a, err := h(r, identities)
		if err != nil {
			a = c.failure(err)
		}
		who := "nobody"
		if len(identities) > 0 {
			who = identities[0][:12]
		}
		c.Log.Printf("%s %.300q by %s: %d", r.Method, r.URL.Path, who, a.status)
		a.write(w)
	})
}

func (c *CAS) failure(err error) answer {
	r := refused(err)
	if r.status == http.StatusInternalServerError {
		c.Log.Printf("fault: %v", err)
	}
	return answer{status: r.status, value: map[string][]string{"msg": r.messages}}
}

func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	if a.raw != nil {
		w.Write(a.raw) // a client that went away gets nothing
		return
	}
	json.NewEncoder(w).Encode(a.value)
}

// identitiesOf are the hashes of the keys that TLS proved: one, or none.
func identitiesOf(r *http.Request) []string {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return []string{keyHash(r.TLS.PeerCertificates[0].RawSubjectPublicKeyInfo)}
}

func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return nil, refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("The request is longer than %d bytes", maxBody))
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "The request cannot be read")
	}
	return body, nil
}

func (c *CAS) getAttest(r *http.Request, _ []string) (answer, error) {
	query := r.URL.Query()
	nonce, err := hex.DecodeString(query.Get("nonce"))
	if err != nil || len(nonce) != 16 {
		return answer{}, refuse(http.StatusBadRequest, "Attestation failed", "nonce: want 32 hexadecimal digits")
	}
	if query.Get("type") != "DCAP" {
		return answer{}, refuse(http.StatusBadRequest, "Attestation failed", "type: want DCAP")
	}
	report, err := c.evidence(r.Context(), [16]byte(nonce))
	return answer{status: http.StatusOK, raw: report}, err
}

// getVersion answers {"version":…}; the form of SCONE's answer is not public.
func (c *CAS) getVersion(*http.Request, []string) (answer, error) {
	return answer{status: http.StatusOK, value: map[string]string{"version": c.Version}}, nil
}

func (c *CAS) postSession(r *http.Request, identities []string) (answer, error) {
	body, err := readBody(r)
	if err != nil {
		return answer{}, err
	}
	hash, err := c.upload(body, identities)
	return answer{status: http.StatusCreated, value: map[string]string{"hash": hash}}, err
}

func (c *CAS) getSession(r *http.Request, identities []string) (answer, error) {
	name, hash := r.PathValue("name"), r.URL.Query().Get("hash")
	var found version
	err := c.store.update(func(t *transaction) error {
		newest, ok := t.newest(name)
		if !ok {
			return refuse(http.StatusNotFound, "Reading session failed", fmt.Sprintf("Session '%s' does not exist", name))
		}
		// The current policy decides, also about older versions: whom it shuts out
		// must not come in through a policy of the past.
		if !mayRead(t.at(newest).parsed, identities) {
			return refuse(http.StatusForbidden, "Reading session failed", fmt.Sprintf("Reading session '%s' is not permitted", name))
		}
		p, ok := t.find(name, hash)
		if !ok {
			return refuse(http.StatusNotFound, "Reading session failed", fmt.Sprintf("Session '%s' has no version with this hash", name))
		}
		found = *t.at(p)
		return nil
	})
	return answer{status: http.StatusOK, value: map[string]string{"hash": found.Hash, "session": found.Text}}, err
}
