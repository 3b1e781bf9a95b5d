package rollout_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/pkg/topology"
)

// operator is the attested client that asks for another primary.
type operator struct {
	said  string
	err   error
	asked []kube.Client
}

func (o *operator) Run(_ context.Context, client kube.Client) ([]byte, error) {
	o.asked = append(o.asked, client)
	return []byte(o.said), o.err
}

func TestSwitchover(t *testing.T) {
	for name, c := range map[string]struct {
		to, said string
		err      error
		want     string // of the error, or empty
	}{
		"to any":                    {"", "lab runtime: attested\nmariadb-2\n", nil, ""},
		"to one":                    {"mariadb-2", "mariadb-2\n", nil, ""},
		"to a pod":                  {"db1-mariadb-2", "mariadb-2\n", nil, ""},
		"to nobody":                 {"mariadb-3", "", nil, `got "mariadb-3", want one of mariadb-0, mariadb-1, mariadb-2`},
		"to somebody else":          {"other-mariadb-1", "", nil, "want one of"},
		"another one became it":     {"mariadb-1", "mariadb-2\n", nil, "is not known"},
		"it says somebody unknown":  {"", "mariadb-9\n", nil, "is not known"},
		"it says nothing":           {"", "", nil, "is not known"},
		"it says more":              {"", "mariadb-2 perhaps\n", nil, "is not known"},
		"it is refused":             {"mariadb-2", "", &kube.ExitError{Code: 1, Output: "error: refused: it is behind"}, "not changed: the client ended with exit code 1; peer says: error: refused: it is behind"},
		"the client does not start": {"", "", errors.New("no rights"), "no rights"},
	} {
		pods := &operator{said: c.said, err: c.err}
		r := &topology.Release{Name: "db1", Namespace: "shop", Architecture: topology.Replicated, Databases: 3, Members: []topology.Member{{Role: topology.Client, Session: topology.Session{Name: "c"}}}}
		got, err := rollout.Switchover{Release: r, To: c.to, Pods: pods}.Do(t.Context())
		switch {
		case c.want == "":
			if err != nil || got != "mariadb-2" || len(pods.asked) != 1 || pods.asked[0].Environment["SCONE_CONFIG_ID"] != "c/operate" || pods.asked[0].Environment["CONFIDB_TO"] != c.to {
				t.Errorf("%s: got %q, %v, and asked %+v", name, got, err, pods.asked)
			}
		case err == nil || !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
}

// A release of one database has no other that could be the primary.
func TestSwitchoverOfOne(t *testing.T) {
	pods := &operator{}
	_, err := rollout.Switchover{Release: &topology.Release{Name: "db1", Namespace: "shop"}, Pods: pods}.Do(t.Context())
	if err == nil || !strings.Contains(err.Error(), "architecture single") || len(pods.asked) > 0 {
		t.Errorf("got %v, and asked %+v", err, pods.asked)
	}
}
