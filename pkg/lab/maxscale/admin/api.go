package admin

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/cluster"
)

// Operator is a monitor that can be told to do something. *cluster.Monitor is one.
type Operator interface {
	Switchover(ctx context.Context, to, from string, force bool) error
	Failover(ctx context.Context) error
	Rejoin(ctx context.Context, server string) error
	ReleaseLocks(ctx context.Context) error
	Set(server string, bit cluster.Bits, on bool) error
	Begin(ctx context.Context, command string, run func(context.Context) error) error
	Result() (string, error)
}

// Model is what there is to show and to change. Kinds are those of the paths: servers,
// services, filters, monitors, listeners, sessions.
type Model interface {
	// Objects are those of a kind, in the order of the configuration. Their parameters have
	// clear passwords.
	Objects(kind string) []Object
	// MaxScale is the instance itself.
	MaxScale() MaxScaleAttributes
	// Operator is the monitor of this name as it is now, nil if there is none.
	Operator(monitor string) Operator
	// MonitorOf is the name of the monitor of a server, empty if it has none.
	MonitorOf(server string) string
	// Change sets parameters of an object; of a monitor it makes a fresh one. The empty kind is
	// the instance itself.
	Change(kind, name string, parameters map[string]any) error
	// Filters sets the filters of a service. The next statement of open sessions is met by them.
	Filters(service string, filters []string) error
	// Saved is the section of an object as it is written down after a change, with passwords.
	Saved(kind, name string) []byte
	// Run starts or stops a monitor.
	Run(monitor string, on bool) error
	// DeleteFilter takes a filter away that no service uses.
	DeleteFilter(name string) error
	// Reload reads anew: "accounts" of a service, or "tls", or "logs".
	Reload(what, service string) error
}

// Options are what the interface needs.
type Options struct {
	Model Model
	Users *Users
	// Context is that of the process: commands that are not waited for end with it.
	Context context.Context
	// PersistDirectory is where changes are written. Empty means nowhere, which is
	// persist_runtime_changes=false.
	PersistDirectory string
	// Key is that of the interface's certificate, for tokens. Nil means no tokens.
	Key *ecdsa.PrivateKey
	Now func() time.Time
	Log func(text string)
}

// API is the interface. One request is carried out at a time: while the monitor operates for
// one, all others wait.
type API struct {
	Options
	tokens tokens
	turn   sync.Mutex
	once   sync.Map // what was said
}

// New makes an interface.
func New(o Options) *API { return &API{Options: o, tokens: tokens{key: o.Key, now: o.Now}} }

// mostBody bounds what is read of a request.
const mostBody = 1 << 20

// TLS is how the interface is served, with the certificate that is there at each handshake. A
// client's certificate is neither needed nor looked at.
func TLS(certificate func() (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate() }}
}

// ServeHTTP answers a request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, account := a.who(r)
	if account == "" || account != adminAccount && r.Method != http.MethodGet {
		w.Header().Set("WWW-Authenticate", `Basic realm="maxscale"`)
		reply(w, http.StatusUnauthorized, `{"errors": [ { "detail": "Access denied" } ] }`)
		return
	}
	a.turn.Lock()
	defer a.turn.Unlock()
	body, err := io.ReadAll(io.LimitReader(r.Body, mostBody+1))
	if err != nil || len(body) > mostBody {
		refuse(w, http.StatusBadRequest, "The body of the request could not be read.")
		return
	}
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if path[0] != "v1" || len(path) == 1 {
		a.missing(w, r)
		return
	}
	a.route(w, request{r, user, path[1:], body})
}

// who says whose request it is. Tokens are good over TLS only.
func (a *API) who(r *http.Request) (user, account string) {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		subject, err := a.tokens.subject(token)
		if err != nil || r.TLS == nil {
			return "", ""
		}
		return subject, a.Users.account(subject)
	}
	name, password, ok := r.BasicAuth()
	if !ok {
		return "", ""
	}
	return name, a.Users.check(name, password)
}

// request is one that may be carried out.
type request struct {
	*http.Request
	user string
	path []string // below v1
	body []byte
}

// is reports whether a request has this method and path. An asterisk is any one part.
func (r request) is(method, path string) bool {
	parts := strings.Split(path, "/")
	if r.Method != method || len(parts) != len(r.path) {
		return false
	}
	for i, p := range parts {
		if p != "*" && p != r.path[i] {
			return false
		}
	}
	return true
}

func (a *API) route(w http.ResponseWriter, r request) {
	switch {
	case r.Method == http.MethodGet && len(r.path) <= 2 && a.show(w, r):
	case r.is("GET", "auth"):
		a.authenticate(w, r)
	case r.is("PATCH", "maxscale"), r.is("PATCH", "services/*"), r.is("PATCH", "monitors/*"), r.is("PATCH", "filters/*"):
		a.patch(w, r)
	case r.is("PUT", "servers/*/set"), r.is("PUT", "servers/*/clear"):
		a.setState(w, r)
	case r.is("PUT", "monitors/*/stop"), r.is("PUT", "monitors/*/start"):
		done(w, a.Model.Run(r.path[1], r.path[2] == "start"))
	case r.is("POST", "maxscale/tls/reload"):
		done(w, a.Model.Reload("tls", ""))
	case r.is("POST", "maxscale/logs/flush"):
		done(w, a.Model.Reload("logs", ""))
	case r.is("POST", "services/*/reload"):
		if a.known(w, r, "services") {
			done(w, a.Model.Reload("accounts", r.path[1]))
		}
	case r.is("POST", "maxscale/modules/mariadbmon/*"), r.is("GET", "maxscale/modules/mariadbmon/fetch-cmd-result"):
		a.command(w, r)
	case r.is("GET", "users/inet"):
		a.list(w, "users/inet", "inet", a.Users.objects())
	case r.is("POST", "users/inet"):
		a.addUser(w, r)
	case r.is("DELETE", "users/inet/*"):
		a.removeUser(w, r)
	case r.is("DELETE", "filters/*"):
		if a.known(w, r, "filters") {
			done(w, a.Model.DeleteFilter(r.path[1]))
		}
	default:
		a.missing(w, r.Request)
	}
}

// missing answers what is not done.
func (a *API) missing(w http.ResponseWriter, r *http.Request) {
	what := r.Method + " " + r.URL.Path
	if _, said := a.once.LoadOrStore(what, true); !said {
		a.Log(Unmeasured + ": " + what + " is not done, and answered 404")
	}
	refuse(w, http.StatusNotFound, "Resource not found.")
}

// known reports whether there is an object of a kind that a path names, and answers if not.
func (a *API) known(w http.ResponseWriter, r request, kind string) bool {
	for _, o := range a.Model.Objects(kind) {
		if o.ID == r.path[1] {
			return true
		}
	}
	refuse(w, http.StatusNotFound, "Object '"+r.path[1]+"' was not found.")
	return false
}

func (a *API) authenticate(w http.ResponseWriter, r request) {
	if r.TLS == nil {
		refuse(w, http.StatusUnauthorized, "Connection is not encrypted")
		return
	}
	token, err := a.tokens.issue(r.user)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	answer(w, map[string]any{"meta": map[string]string{"token": token}})
}

// reply writes a body as it stands.
func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // whoever asked has gone if it fails
}

func answer(w http.ResponseWriter, document any) {
	text, err := json.MarshalIndent(document, "", "    ")
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	reply(w, http.StatusOK, string(text))
}

// refuse answers with an error of the interface itself.
func refuse(w http.ResponseWriter, status int, detail string) {
	text, err := json.Marshal(map[string]any{"errors": details(detail)})
	if err != nil {
		text = []byte(`{"errors": []}`)
	}
	reply(w, status, string(text))
}

func details(lines ...string) []map[string]string {
	all := []map[string]string{}
	for _, line := range lines {
		all = append(all, map[string]string{"detail": line})
	}
	return all
}

// done answers a request that has no more to say.
func done(w http.ResponseWriter, err error) {
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// errBody means that the body of a request is not what it must be.
var errBody = errors.New("The request body is not a valid JSON document.")
