package pcs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Bounds of one request.
const (
	maxBody        = 1 << 20 // the largest TCB info seen has 18 KB
	requestTimeout = 30 * time.Second
	maxTries       = 3
	maxWait        = time.Minute
	maxRedirects   = 3
)

// answer is what a service said; what names it in messages.
type answer struct {
	what   string
	header http.Header
	body   []byte
}

// StatusError is an answer other than 200.
type StatusError struct {
	// Code is the HTTP status.
	Code int
	// What was asked for, in words, and the URL of it.
	What, URL string
	// RetryAfter is how long the service wants to be left alone; zero when it did not say.
	RetryAfter time.Duration
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("fetching %s: %s answered %s, want 200", e.What, e.URL, strings.TrimSpace(fmt.Sprint(e.Code, " ", e.words())))
	if e.RetryAfter > 0 {
		text += ", and to come back after " + e.RetryAfter.String()
	}
	return text
}

// words are those of HTTP, or what a PCCS means by a number of its own.
func (e *StatusError) words() string {
	switch e.Code {
	case dataDamaged:
		return "(the PCCS cannot verify the data)"
	case platformUnknown:
		return "(the PCCS does not know the platform)"
	case noCertificates:
		return "(the PCCS has no certificates for the platform's TCB)"
	}
	return http.StatusText(e.Code)
}

// Statuses that only a PCCS has (Intel SGX PCCS Design Guide).
const (
	dataDamaged     = 460
	platformUnknown = 461
	noCertificates  = 462
)

// Hint says what to do.
func (e *StatusError) Hint() string {
	switch {
	case e.Code == platformUnknown || e.Code == noCertificates:
		return "Register the platform with this PCCS, or let it refresh its cache; or fetch from Intel, " + Intel + ", which asks for no platform."
	case e.Code == dataDamaged:
		return "Put the data into the PCCS anew, or fetch from Intel, " + Intel + "."
	case e.Code == http.StatusBadRequest:
		return "Check the FMSPC, the CA and the evaluation number: the service does not understand the request."
	case e.Code == http.StatusNotFound:
		return "Check the FMSPC ({attest quote FILE} prints it): the service does not know it. A PCCS that is offline only knows what was put into it."
	case e.Code == http.StatusGone:
		return "Ask for a newer TCB evaluation number, or for the standard update: Intel has retired this number."
	case e.Code == http.StatusTooManyRequests:
		return "Try again later, or fetch from a PCCS: the service wants fewer requests."
	case e.Code == http.StatusUnauthorized || e.Code == http.StatusForbidden:
		return "Check the address of the service, and a proxy on the way: collateral is public."
	case e.Code >= 500:
		return "Try again later, or fetch from another service: this one is out of order."
	}
	return "Check the address of the service."
}

// again reports whether the same request may succeed later.
func (e *StatusError) again() bool { return e.Code == http.StatusTooManyRequests || e.Code >= 500 }

// Sleep waits for a duration, or until the context is done.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// get asks until there is an answer, a refusal, or nothing more to hope for.
func (s Source) get(ctx context.Context, what, url string) (*answer, error) {
	wait := s.Wait
	if wait == nil {
		wait = Sleep
	}
	for try := 1; ; try++ {
		a, err := s.once(ctx, what, url)
		var status *StatusError
		if !errors.As(err, &status) || !status.again() || try == maxTries || status.RetryAfter > maxWait {
			return a, err
		}
		pause := max(status.RetryAfter, time.Duration(try)*time.Second)
		if err := wait(ctx, pause); err != nil {
			return nil, fmt.Errorf("fetching %s: waiting %s after status %d: %w", what, pause, status.Code, err)
		}
	}
}

func (s Source) once(ctx context.Context, what, url string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", what, err)
	}
	response, err := s.client().Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", what, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, &StatusError{Code: response.StatusCode, What: what, URL: url, RetryAfter: retryAfter(response.Header)}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", what, err)
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("fetching %s: the answer is longer than %d bytes", what, maxBody)
	}
	return &answer{what, response.Header, body}, nil
}

// client is the caller's, but for redirects.
func (s Source) client() *http.Client {
	c := http.Client{}
	if s.Client != nil {
		c = *s.Client
	}
	c.CheckRedirect = sameHost
	return &c
}

// sameHost refuses redirects that would take the request to somebody whom the user
// did not name, or off TLS.
func sameHost(to *http.Request, via []*http.Request) error {
	from := via[0].URL
	if to.URL.Host != from.Host || to.URL.Scheme != from.Scheme {
		return fmt.Errorf("a redirect to %s://%s is not followed, want %s://%s", to.URL.Scheme, to.URL.Host, from.Scheme, from.Host)
	}
	if len(via) > maxRedirects {
		return fmt.Errorf("got more than %d redirects", maxRedirects)
	}
	return nil
}

// retryAfter reads the header (RFC 9110 §10.2.3): seconds, or a date, which is
// compared with the clock of the same server. Zero when it says nothing usable.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return max(0, until.Sub(now))
}
