package maxscale

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// fake answers as MaxScale was seen to.
type fake struct {
	t        *testing.T
	monitor  string
	servers  string
	results  []string // of fetch-cmd-result, one after the other
	async    func(w http.ResponseWriter, query string)
	requests []string
}

const (
	good    = `{"links":{"self":"x"},"data":{"id":"Mon","type":"monitors","attributes":{"module":"mariadbmon","state":"Running","ticks":7,"monitor_diagnostics":{"master":"mariadb-0","master_gtid_domain_id":0,"primary":true,"server_info":[],"state":"Idle"}}}}`
	servers = `{"data":[{"id":"mariadb-0","type":"servers","attributes":{"state":"Master, Running","last_event":"master_up","lock_held":true}},{"id":"mariadb-1","attributes":{"state":"Down","last_event":"slave_down","lock_held":null}}]}`
)

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.requests = append(f.requests, r.Method+" "+r.URL.String())
	user, password, _ := r.BasicAuth()
	switch {
	case user != "confidb" || password != "secret":
		w.Header().Set("WWW-Authenticate", `Basic realm="maxscale"`)
		w.WriteHeader(http.StatusUnauthorized)
		w.Write([]byte(`{"errors": [ { "detail": "Access denied" } ] }`))
	case r.URL.Path == "/v1/monitors/Mon":
		w.Write([]byte(f.monitor))
	case r.URL.Path == "/v1/servers":
		w.Write([]byte(f.servers))
	case r.URL.Path == "/v1/maxscale/modules/mariadbmon/async-switchover" && r.Method == http.MethodPost:
		f.async(w, r.URL.RawQuery)
	case r.URL.Path == "/v1/maxscale/modules/mariadbmon/fetch-cmd-result" && len(f.results) > 0:
		result := f.results[0]
		f.results = f.results[1:]
		w.Write([]byte(result))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func start(t *testing.T) (*fake, *Client) {
	t.Helper()
	f := &fake{t: t, monitor: good, servers: servers, async: func(w http.ResponseWriter, _ string) { w.WriteHeader(http.StatusNoContent) }}
	server := httptest.NewTLSServer(f)
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return f, New(strings.TrimPrefix(server.URL, "https://"), "example.com", roots, "confidb", "secret", "Mon", func(ctx context.Context, _ time.Duration) error { return ctx.Err() })
}

func TestState(t *testing.T) {
	_, c := start(t)
	state, err := c.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !state.Primary || state.Activity != "Idle" || len(state.Servers) != 2 {
		t.Errorf("got %+v", state)
	}
	if s := state.Servers[0]; s.Name != "mariadb-0" || !s.Is("Master") || !s.Is("Running") || s.Is("Down") || s.LastEvent != "master_up" {
		t.Errorf("got %+v", s)
	}
	if s := state.Servers[1]; s.Is("Running") || !s.Is("Down") || s.Is("Dow") {
		t.Errorf("got %+v", s)
	}
}

// TestStateRefused: what does not say it clearly is not the holder of the locks, or an error.
func TestStateRefused(t *testing.T) {
	for name, change := range map[string]func(*fake){
		"null, as without locks": func(f *fake) { f.monitor = strings.Replace(good, `"primary":true`, `"primary":null`, 1) },
		"not there":              func(f *fake) { f.monitor = strings.Replace(good, `"primary":true,`, ``, 1) },
		"false":                  func(f *fake) { f.monitor = strings.Replace(good, `"primary":true`, `"primary":false`, 1) },
	} {
		f, c := start(t)
		change(f)
		if state, err := c.State(t.Context()); err != nil || state.Primary {
			t.Errorf("%s: got %+v %v, want that it has no locks", name, state, err)
		}
	}
	for name, change := range map[string]func(*fake, *Client){
		"a text":             func(f *fake, _ *Client) { f.monitor = strings.Replace(good, `"primary":true`, `"primary":"yes"`, 1) },
		"no diagnostics":     func(f *fake, _ *Client) { f.monitor = strings.Replace(good, "monitor_diagnostics", "x", 1) },
		"another monitor":    func(f *fake, _ *Client) { f.monitor = strings.Replace(good, `"Mon"`, `"Other"`, 1) },
		"no JSON":            func(f *fake, _ *Client) { f.monitor = "<html>" },
		"no servers":         func(f *fake, _ *Client) { f.servers = `{"data":[]}` },
		"too long":           func(f *fake, _ *Client) { f.servers = `{"data":"` + strings.Repeat("x", maxAnswer) + `"}` },
		"another password":   func(_ *fake, c *Client) { c.password = "mariadb" },
		"an unknown monitor": func(_ *fake, c *Client) { c.monitor = "Mon2" },
		"another name":       func(_ *fake, c *Client) { c.http.Transport.(*http.Transport).TLSClientConfig.ServerName = "other.test" },
		"another CA": func(_ *fake, c *Client) {
			c.http.Transport.(*http.Transport).TLSClientConfig.RootCAs = x509.NewCertPool()
		},
		"nobody there":          func(_ *fake, c *Client) { c.base = "https://127.0.0.1:1/v1/" },
		"in clear, to a server": func(_ *fake, c *Client) { c.base = strings.Replace(c.base, "https", "http", 1) },
	} {
		f, c := start(t)
		change(f, c)
		if state, err := c.State(t.Context()); err == nil {
			t.Errorf("%s: got %+v, want an error", name, state)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the password is in %v", name, err)
		}
	}
}

const (
	running   = `{"links":{"self":"x"},"meta":{"errors":[{"detail":"No manual command results are available, switchover is still running."}]}}`
	completes = `{"links":{"self":"x"},"meta":"switchover completed successfully."}`
)

func TestSwitchover(t *testing.T) {
	f, c := start(t)
	f.results = []string{running, running, completes}
	if err := c.Switchover(t.Context(), "mariadb-1", "mariadb-0"); err != nil {
		t.Error(err)
	}
	if f.requests[0] != "POST /v1/maxscale/modules/mariadbmon/async-switchover?Mon&mariadb-1&mariadb-0" || len(f.requests) != 4 ||
		f.requests[3] != "GET /v1/maxscale/modules/mariadbmon/fetch-cmd-result?Mon" {
		t.Errorf("got the requests %q", f.requests)
	}
}

// TestSwitchoverRefused: MaxScale's own words arrive.
func TestSwitchoverRefused(t *testing.T) {
	locks := `Cannot perform cluster operation because this MaxScale does not have exclusive locks on a majority of servers. Run "SELECT IS_USED_LOCK()" to find the owner.`
	for name, c := range map[string]struct {
		status int
		body   string
		result []string
		want   string
	}{
		"no locks":            {400, `{"links":{},"meta":{"errors":[{"detail":` + quoted(locks) + `}]}}`, nil, "does not have exclusive locks"},
		"no primary":          {400, `{"meta":{"errors":[{"detail":"Can not autoselect a demotion target for switchover: cluster does not have a primary."}]}}`, nil, "does not have a primary"},
		"denied":              {401, `{"errors":[{"detail":"Access denied"}]}`, nil, "Access denied"},
		"fails afterwards":    {204, "", []string{running, `{"meta":{"errors":[{"detail":"Access denied; you need (at least one of) the RELOAD privilege(s) for this operation (1227)."}]}}`}, "RELOAD"},
		"another text":        {204, "", []string{`{"meta":"switchover failed."}`}, "switchover failed."},
		"says nothing":        {204, "", []string{`{}`}, "does not say"},
		"no results any more": {204, "", []string{running}, "404"},
		"no JSON":             {500, "<html>", nil, "500"},
	} {
		f, client := start(t)
		f.results, f.async = c.result, func(w http.ResponseWriter, _ string) {
			w.WriteHeader(c.status)
			w.Write([]byte(c.body))
		}
		err := client.Switchover(t.Context(), "mariadb-1", "mariadb-0")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func quoted(text string) string { return `"` + strings.ReplaceAll(text, `"`, `\"`) + `"` }

// TestSwitchoverThatHangs ends when its caller has no more time.
func TestSwitchoverThatHangs(t *testing.T) {
	f, c := start(t)
	for range 1000 {
		f.results = append(f.results, running)
	}
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	c.wait = func(context.Context, time.Duration) error {
		if asked++; asked == 3 {
			cancel()
		}
		return ctx.Err()
	}
	if err := c.Switchover(ctx, "mariadb-1", "mariadb-0"); !errors.Is(err, context.Canceled) || asked != 3 {
		t.Errorf("got %v after %d questions, want that it is cancelled after 3", err, asked)
	}
}

// TestNames cannot lead elsewhere.
func TestNames(t *testing.T) {
	f, c := start(t)
	f.results = []string{completes}
	if err := c.Switchover(t.Context(), "a&b=../x", "mariadb-0"); err != nil {
		t.Error(err)
	}
	if f.requests[0] != "POST /v1/maxscale/modules/mariadbmon/async-switchover?Mon&a%26b%3D..%2Fx&mariadb-0" {
		t.Errorf("got %q", f.requests[0])
	}
}
