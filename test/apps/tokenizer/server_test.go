package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// memory is a store of the test's; it fails if err is set.
type memory struct {
	sync.Mutex
	values map[string]string
	err    error
}

func (m *memory) Put(_ context.Context, value string) (string, error) {
	m.Lock()
	defer m.Unlock()
	if m.err != nil {
		return "", m.err
	}
	token := rand.Text()
	m.values[token] = value
	return token, nil
}

func (m *memory) Get(_ context.Context, token string) (string, error) {
	m.Lock()
	defer m.Unlock()
	value, there := m.values[token]
	switch {
	case m.err != nil:
		return "", m.err
	case !there:
		return "", errNoToken
	}
	return value, nil
}

// ask sends one request to a handler.
func ask(t *testing.T, h http.Handler, method, path, body string) (status int, answer map[string]string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, httptest.NewRequest(method, path, strings.NewReader(body)))
	if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil && recorder.Code != http.StatusMethodNotAllowed {
		t.Fatalf("%s %s: got the body %q: %v", method, path, recorder.Body, err)
	}
	if recorder.Code == http.StatusOK && recorder.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%s %s: a cache may keep the answer", method, path)
	}
	return recorder.Code, answer
}

func document(t *testing.T, value string) string {
	t.Helper()
	text, err := json.Marshal(map[string]string{"value": value})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// awkward are values that come back as they were.
func awkward() []string {
	return []string{"4111111111111111", "4111 1111 1111 1111", "x", strings.Repeat("9", maxValue), "'; DROP TABLE cards; -- ",
		`\' " ` + "`", "%_?", "a\x00b", "<&>", "größe", strings.Repeat("😀", maxValue/4), " ", "null", " trailing  "}
}

func TestValuesComeBack(t *testing.T) {
	var log bytes.Buffer
	h := newHandler(&memory{values: map[string]string{}}, &log)
	comeBack(t, h)
	if log.Len() > 0 {
		t.Errorf("got the log %q, want none", log.String())
	}
}

// comeBack swaps all awkward values, and back.
func comeBack(t *testing.T, h http.Handler) {
	t.Helper()
	seen := map[string]bool{}
	for _, value := range append(awkward(), awkward()...) {
		status, answer := ask(t, h, "POST", "/tokens", document(t, value))
		token := answer["token"]
		if status != http.StatusCreated || !isToken(token) || seen[token] {
			t.Fatalf("swapping %q: got %d, %v", value, status, answer)
		}
		seen[token] = true
		if status, answer := ask(t, h, "GET", "/tokens/"+token, ""); status != http.StatusOK || answer["value"] != value {
			t.Errorf("the value of %q's token: got %d, %q", value, status, answer)
		}
	}
}

func TestRefusedRequests(t *testing.T) {
	kept := &memory{values: map[string]string{}}
	var log bytes.Buffer
	h := newHandler(kept, &log)
	for name, c := range map[string]struct {
		method, path, body string
		status             int
	}{
		"no body":              {"POST", "/tokens", "", 400},
		"no JSON":              {"POST", "/tokens", "4111111111111111", 400},
		"no value":             {"POST", "/tokens", `{}`, 400},
		"null":                 {"POST", "/tokens", `{"value": null}`, 400},
		"a number":             {"POST", "/tokens", `{"value": 4111111111111111}`, 400},
		"a list":               {"POST", "/tokens", `{"value": ["4111111111111111"]}`, 400},
		"empty":                {"POST", "/tokens", `{"value": ""}`, 400},
		"too long":             {"POST", "/tokens", document(t, strings.Repeat("4", maxValue+1)), 400},
		"too long in bytes":    {"POST", "/tokens", document(t, strings.Repeat("ö", maxValue/2+1)), 400},
		"another key":          {"POST", "/tokens", `{"value": "4111111111111111", "token": "x"}`, 400},
		"two documents":        {"POST", "/tokens", `{"value": "1"}{"value": "2"}`, 400},
		"something behind":     {"POST", "/tokens", `{"value": "1"} x`, 400},
		"cut off":              {"POST", "/tokens", `{"value": "4111111111111111"`, 400},
		"no UTF-8":             {"POST", "/tokens", "{\"value\": \"4111\xff\"}", 400},
		"half a character":     {"POST", "/tokens", `{"value": "4111\ud800"}`, 400},
		"a large body":         {"POST", "/tokens", document(t, strings.Repeat("4", maxBody)), 413},
		"blanks without end":   {"POST", "/tokens", strings.Repeat(" ", maxBody) + `{"value": "1"}`, 413},
		"unknown token":        {"GET", "/tokens/" + strings.Repeat("A", 26), "", 404},
		"short token":          {"GET", "/tokens/AAAA", "", 404},
		"token in lower case":  {"GET", "/tokens/" + strings.Repeat("a", 26), "", 404},
		"token with a quote":   {"GET", "/tokens/'" + strings.Repeat("A", 25), "", 404},
		"PUT":                  {"PUT", "/tokens", `{"value": "1"}`, 405},
		"a list of all tokens": {"GET", "/tokens", "", 405},
	} {
		if status, answer := ask(t, h, c.method, c.path, c.body); status != c.status || strings.Contains(answer["error"], "4111") || answer["token"]+answer["value"] != "" {
			t.Errorf("%s: got %d, %v, want %d and a reason without what was sent", name, status, answer, c.status)
		}
	}
	if len(kept.values) > 0 || strings.Contains(log.String(), "4111") {
		t.Errorf("got %d values kept and the log %q, want none", len(kept.values), log.String())
	}
}

func TestTheLogHoldsNoValues(t *testing.T) {
	token := strings.Repeat("A", 26)
	said := &mysql.MySQLError{Number: 1406, SQLState: [5]byte{'2', '2', '0', '0', '1'}, Message: "Data too long: 4111111111111111 " + token}
	for name, err := range map[string]error{"of the server": said, "of the connection": io.ErrUnexpectedEOF} {
		var log bytes.Buffer
		h := newHandler(&memory{err: err}, &log)
		for _, request := range [][3]string{{"POST", "/tokens", document(t, "4111111111111111")}, {"GET", "/tokens/" + token, ""}} {
			log.Reset()
			status, answer := ask(t, h, request[0], request[1], request[2])
			if status != http.StatusServiceUnavailable || answer["error"] == "" {
				t.Errorf("an error %s: got %d, %v, want 503", name, status, answer)
			}
			for _, text := range []string{log.String(), answer["error"]} {
				if strings.Contains(text, "4111") || strings.Contains(text, token) {
					t.Errorf("an error %s: a value or token is in %q", name, text)
				}
			}
			if log.Len() == 0 {
				t.Errorf("an error %s: the log does not say it", name)
			}
		}
		if status, _ := ask(t, h, "GET", "/health", ""); status != http.StatusOK {
			t.Errorf("health: got %d, want 200", status)
		}
	}
}

func TestServeEndsWhatWasBegun(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		stop()
		answer(w, http.StatusOK, map[string]string{"status": "late"})
	})
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, listener, slow) }()
	response, err := http.Get("http://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if err := <-ended; err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("got %v and status %d, want no error and 200", err, response.StatusCode)
	}
	if _, err := http.Get("http://" + listener.Addr().String()); err == nil {
		t.Error("it still serves")
	}
}

func TestDescribed(t *testing.T) {
	if got := described(errors.New("i/o timeout")); got != "i/o timeout" {
		t.Errorf("got %q, want the error", got)
	}
}
