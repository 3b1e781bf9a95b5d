// Package maxscale asks and tells a MaxScale by its interface for administration (REST), as
// far as a keeper needs it, and writes the file that says who may use that interface. It
// decides nothing.
package maxscale

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/check"
)

const (
	// maxAnswer bounds an answer. That about a dozen servers has some ten kilobytes.
	maxAnswer = 1 << 20
	// patience bounds a request. While MaxScale changes the primary it answers nothing, for
	// some seconds.
	patience = 5 * time.Second
	// poll is the time from one question after a change of the primary to the next.
	poll = 300 * time.Millisecond
)

// Client asks one MaxScale. Its zero value asks nobody.
type Client struct {
	base, account, password, monitor string
	http                             *http.Client
	wait                             func(context.Context, time.Duration) error
}

// New returns a client of the MaxScale at an address (host:port), whose certificate has
// serverName and is of roots. Monitor is the name of the monitor that is asked about.
func New(address, serverName string, roots *x509.CertPool, account, password, monitor string, wait func(context.Context, time.Duration) error) *Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: serverName, MinVersion: tls.VersionTLS12},
		MaxResponseHeaderBytes: 64 << 10, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute}
	redirects := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{base: "https://" + address + "/v1/", account: account, password: password, monitor: monitor, wait: wait,
		http: &http.Client{Transport: transport, CheckRedirect: redirects, Timeout: patience}}
}

// State is what a MaxScale says of itself and of the servers that it watches.
type State struct {
	// Primary says whether it holds the locks of most servers, so that it may change the
	// primary. MaxScale says null where it uses no locks; that is false.
	Primary bool
	// Activity is what its monitor does: "Idle", "Monitoring servers", "Demoting old primary".
	Activity string
	Servers  []Server
}

// Server is one that is watched.
type Server struct {
	// Name is that in MaxScale's configuration.
	Name string
	// State is a list of words: "Master, Running", "Down".
	State string
	// LastEvent is what was last noted of it: "master_down".
	LastEvent string
}

// Is reports whether a word is among those of the state.
func (s Server) Is(word string) bool {
	for one := range strings.SplitSeq(s.State, ",") {
		if strings.TrimSpace(one) == word {
			return true
		}
	}
	return false
}

// State asks what there is.
func (c *Client) State(ctx context.Context) (State, error) {
	var monitor struct {
		Data struct {
			ID         string `json:"id"`
			Attributes struct {
				Diagnostics *struct {
					Primary *bool  `json:"primary"`
					State   string `json:"state"`
				} `json:"monitor_diagnostics"`
			} `json:"attributes"`
		} `json:"data"`
	}
	if err := c.ask(ctx, http.MethodGet, "monitors/"+c.monitor, &monitor); err != nil {
		return State{}, err
	}
	said := monitor.Data.Attributes.Diagnostics
	if monitor.Data.ID != c.monitor || said == nil {
		return State{}, fmt.Errorf("asking MaxScale about the monitor %s: it says nothing of it", c.monitor)
	}
	state := State{Primary: said.Primary != nil && *said.Primary, Activity: check.Said(said.State)}
	var err error
	state.Servers, err = c.servers(ctx)
	return state, err
}

func (c *Client) servers(ctx context.Context) (servers []Server, err error) {
	var list struct {
		Data []struct {
			ID         string `json:"id"`
			Attributes struct {
				State     string `json:"state"`
				LastEvent string `json:"last_event"`
			} `json:"attributes"`
		} `json:"data"`
	}
	if err := c.ask(ctx, http.MethodGet, "servers", &list); err != nil {
		return nil, err
	}
	for _, s := range list.Data {
		servers = append(servers, Server{check.Said(s.ID), check.Said(s.Attributes.State), check.Said(s.Attributes.LastEvent)})
	}
	if len(servers) == 0 {
		return nil, errors.New("asking MaxScale about its servers: it has none")
	}
	return servers, nil
}

// stillRunning is what MaxScale says of a change of the primary that is not done yet.
const stillRunning = "No manual command results are available, switchover is still running."

// Switchover makes a server the primary in place of another one, and waits until MaxScale has
// done so or says why it has not. Both have the names of MaxScale's configuration.
//
// It is asked in the background: the whole interface of that MaxScale is silent else, for as
// long as it takes.
func (c *Client) Switchover(ctx context.Context, to, from string) error {
	parameters := "?" + strings.Join([]string{url.QueryEscape(c.monitor), url.QueryEscape(to), url.QueryEscape(from)}, "&")
	if err := c.ask(ctx, http.MethodPost, "maxscale/modules/mariadbmon/async-switchover"+parameters, nil); err != nil {
		return err
	}
	for {
		var result struct {
			Meta json.RawMessage `json:"meta"`
		}
		err := c.ask(ctx, http.MethodGet, "maxscale/modules/mariadbmon/fetch-cmd-result?"+url.QueryEscape(c.monitor), &result)
		switch done, refused := completed(result.Meta); {
		case err != nil && ctx.Err() != nil:
			return err
		case err != nil && !isSilence(err):
			return err
		case err == nil && done:
			return nil
		case err == nil && refused != "" && refused != stillRunning:
			return &Refusal{Status: http.StatusOK, Detail: refused}
		case err == nil && refused == "":
			return errors.New("asking MaxScale what became of the switchover: it does not say")
		}
		if err := c.wait(ctx, poll); err != nil {
			return fmt.Errorf("waiting for the switchover: %w", err)
		}
	}
}

// isSilence reports whether MaxScale did not answer in time, which it does not while it works.
func isSilence(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// completed reads the result of a command: a text, or errors.
func completed(meta json.RawMessage) (done bool, refused string) {
	var text string
	if json.Unmarshal(meta, &text) == nil {
		return text == "switchover completed successfully.", check.Said(text)
	}
	var failed errorList
	if json.Unmarshal(meta, &failed) != nil {
		return false, ""
	}
	return false, failed.text()
}

// errorList is how MaxScale says what is wrong.
type errorList struct {
	Errors []struct {
		Detail string `json:"detail"`
	} `json:"errors"`
}

func (l errorList) text() string {
	var details []string
	for _, e := range l.Errors {
		details = append(details, e.Detail)
	}
	return check.Said(strings.Join(details, " "))
}

// Refusal is what MaxScale answered in place of doing something.
type Refusal struct {
	Status int
	// Detail is its text on one line; it may be empty.
	Detail string
}

// Error says what MaxScale said.
func (r *Refusal) Error() string { return fmt.Sprintf("MaxScale refuses (%d): %s", r.Status, r.Detail) }

// ask sends a request without a body, and reads the answer into a value; nil for none. What
// MaxScale refuses is a *Refusal.
func (c *Client) ask(ctx context.Context, method, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return fmt.Errorf("asking MaxScale: %w", err)
	}
	request.SetBasicAuth(c.account, c.password)
	answer, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("asking MaxScale: %w", err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("asking MaxScale: %w", err)
	case len(body) > maxAnswer:
		return fmt.Errorf("asking MaxScale: an answer of more than %d bytes", maxAnswer)
	case answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusNoContent:
		return &Refusal{answer.StatusCode, refused(body)}
	case into == nil:
		return nil
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(into); err != nil {
		return fmt.Errorf("reading MaxScale's answer: %w", err)
	}
	return nil
}

// refused is what the body of a refusal says: those of commands have their errors in meta.
func refused(body []byte) string {
	var said struct {
		errorList
		Meta errorList `json:"meta"`
	}
	if json.Unmarshal(body, &said) != nil {
		return ""
	}
	return strings.TrimSpace(said.text() + " " + said.Meta.text())
}
