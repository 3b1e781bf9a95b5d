package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// What is accepted, in bytes.
const (
	maxBody  = 4 << 10
	maxValue = 256
)

// requestTimeout bounds what the database may take for one request.
const requestTimeout = 10 * time.Second

// errNoToken means that there is no such token.
var errNoToken = errors.New("no such token")

// store keeps values by token.
type store interface {
	Put(ctx context.Context, value string) (token string, err error)
	// Get's error is errNoToken if there is none.
	Get(ctx context.Context, token string) (value string, err error)
}

// handler answers requests.
type handler struct {
	cards store
	log   io.Writer
}

// newHandler returns the service over a store. The log gets no values and no tokens.
func newHandler(cards store, log io.Writer) http.Handler {
	h := &handler{cards, log}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /tokens", h.put)
	mux.HandleFunc("GET /tokens/{token}", h.get)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "serving"})
	})
	return mux
}

func (h *handler) put(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, long := errors.AsType[*http.MaxBytesError](err); long {
			refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("want a body of at most %d bytes", maxBody))
		} else {
			refuse(w, http.StatusBadRequest, "the body ends early")
		}
		return
	}
	value, err := parse(body)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	token, err := h.cards.Put(ctx, value)
	if err != nil {
		h.unavailable(w, "keeping a value", err)
		return
	}
	answer(w, http.StatusCreated, map[string]string{"token": token})
}

func (h *handler) get(w http.ResponseWriter, r *http.Request) {
	token := r.PathValue("token")
	if !isToken(token) {
		refuse(w, http.StatusNotFound, errNoToken.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	value, err := h.cards.Get(ctx, token)
	switch {
	case errors.Is(err, errNoToken):
		refuse(w, http.StatusNotFound, errNoToken.Error())
	case err != nil:
		h.unavailable(w, "finding a value", err)
	default:
		answer(w, http.StatusOK, map[string]string{"value": value})
	}
}

// parse reads {"value": "…"}. Its errors do not quote what was sent. What JSON would
// replace is refused: a value comes back as it was, or is not taken.
func parse(body []byte) (string, error) {
	var request struct {
		Value *string `json:"value"`
	}
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&request); err != nil || request.Value == nil {
		return "", errors.New(`want {"value": "…"}`)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return "", errors.New(`want {"value": "…"} and nothing behind it`)
	}
	value := *request.Value
	switch {
	case value == "" || len(value) > maxValue:
		return "", fmt.Errorf("want a value of 1 to %d bytes", maxValue)
	case strings.ContainsRune(value, utf8.RuneError):
		return "", errors.New("want a value of valid characters")
	}
	return value, nil
}

// isToken reports whether text has the form of crypto/rand.Text: 26 characters of base32.
func isToken(text string) bool {
	return len(text) == 26 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// unavailable says so to whoever asks, and why to the log.
func (h *handler) unavailable(w http.ResponseWriter, what string, err error) {
	fmt.Fprintf(h.log, "%s: %s\n", what, described(err))
	refuse(w, http.StatusServiceUnavailable, "the database does not serve this")
}

func refuse(w http.ResponseWriter, status int, why string) {
	answer(w, status, map[string]string{"error": why})
}

// answer writes one document that no cache may keep.
func answer(w http.ResponseWriter, status int, document map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(document) // whoever asked has gone
}
