package rollout_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/verify"
)

func TestAdmitted(t *testing.T) {
	h := newHouse(t)
	got, err := rollout.Admitted(t.Context(), h.cas, h.release)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range got.Services {
		names = append(names, s.Name)
	}
	if diff := cmp.Diff([]string{"client/db", "client/backup", "database/db", "database/backup"}, names); diff != "" {
		t.Error(diff)
	}
	if len(got.Services[0].Platforms) != 2 || len(got.Services[1].Platforms) != 1 {
		t.Errorf("got the machines %v", got.Services)
	}
	if len(got.Changed) > 0 {
		t.Errorf("got the changed sessions %v, want none", got.Changed)
	}
}

// TestAdmittedOfAnotherVersion: what CAS has counts, and that it is another version than
// the recorded one is said.
func TestAdmittedOfAnotherVersion(t *testing.T) {
	h := newHouse(t)
	h.cas.add(strings.ReplaceAll(shop, idB, idC))
	got, err := rollout.Admitted(t.Context(), h.cas, h.release)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"shop"}, got.Changed); diff != "" {
		t.Error(diff)
	}
	if id := got.Services[2].Platforms[1].String(); id != idC {
		t.Errorf("got %s, want %s, which CAS has", id, idC)
	}
}

func TestAdmittedRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(h *house)
		want   string
	}{
		"no database is recorded": {func(h *house) { h.release.SetSession(topology.Database, topology.Session{}) }, "nothing is recorded"},
		"no client is recorded":   {func(h *house) { h.release.SetSession(topology.Client, topology.Session{}) }, "nothing is recorded"},
		"CAS has none":            {func(h *house) { delete(h.cas.versions, "shop") }, "not found"},
		"no service": {func(h *house) {
			h.cas.versions["shop"] = nil
			h.cas.add("version: \"0.3.11\"\nname: shop\n")
		}, "got no service"},
		"another session's text": {func(h *house) { h.cas.versions["shop"] = h.cas.versions["client"] }, `got session "client"`},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			c.change(h)
			got, err := rollout.Admitted(t.Context(), h.cas, h.release)
			wants(t, err, c.want)
			if got != nil {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// fakePods are those of a release, and how a start of a client ends.
type fakePods struct {
	nodes []string
	err   error
	ends  error
	ran   kube.Client
}

func (p *fakePods) Occupied(context.Context) ([]string, error) { return p.nodes, p.err }

func (p *fakePods) Run(_ context.Context, client kube.Client) ([]byte, error) {
	p.ran = client
	return nil, p.ends
}

// outcomes are how the checks ended.
func outcomes(r check.Report) string {
	var all []string
	for _, f := range r {
		all = append(all, f.ID+"="+f.Outcome.String())
	}
	return strings.Join(all, " ")
}

func TestRevocation(t *testing.T) {
	refused := &kube.ExitError{Code: 1, Output: "not permitted"}
	for name, c := range map[string]struct {
		id   string
		pods fakePods
		want string
	}{
		"revoked":             {idC, fakePods{ends: refused}, "platform-not-admitted=pass platform-not-admitted=pass platform-idle=pass platform-refused=pass"},
		"still admitted":      {idB, fakePods{ends: refused}, "platform-not-admitted=fail platform-not-admitted=fail platform-idle=pass platform-refused=pass"},
		"a pod is left":       {idC, fakePods{nodes: []string{"n7"}, ends: refused}, "platform-not-admitted=pass platform-not-admitted=pass platform-idle=fail platform-refused=pass"},
		"pods are not known":  {idC, fakePods{err: errors.New("forbidden"), ends: refused}, "platform-not-admitted=pass platform-not-admitted=pass platform-idle=skip platform-refused=pass"},
		"it ran":              {idC, fakePods{}, "platform-not-admitted=pass platform-not-admitted=pass platform-idle=pass platform-refused=fail"},
		"it could not be run": {idC, fakePods{ends: errors.New("forbidden")}, "platform-not-admitted=pass platform-not-admitted=pass platform-idle=pass platform-refused=skip"},
		"it failed otherwise": {idC, fakePods{ends: &kube.ExitError{Code: 1, Output: "no LAS"}}, "platform-not-admitted=pass platform-not-admitted=pass platform-idle=pass platform-refused=skip"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			seen, err := rollout.Revocation{CAS: h.cas, Pods: &c.pods, Progress: h.progress, Release: h.release}.Observe(t.Context(), ids(t, c.id)[0], "n7")
			if err != nil {
				t.Fatal(err)
			}
			if got := outcomes(verify.Revoked(seen)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if diff := cmp.Diff([]string{"n7"}, c.pods.ran.Nodes); diff != "" {
				t.Errorf("the client was tried elsewhere: %s", diff)
			}
			if got := c.pods.ran.Environment["SCONE_CONFIG_ID"]; got != "client/probe" {
				t.Errorf("the client ran as %q, want client/probe", got)
			}
		})
	}
}

func TestRevocationNeedsTheSessions(t *testing.T) {
	h, pods := newHouse(t), &fakePods{}
	delete(h.cas.versions, "shop")
	_, err := rollout.Revocation{CAS: h.cas, Pods: pods, Progress: h.progress, Release: h.release}.Observe(t.Context(), ids(t, idC)[0], "n7")
	wants(t, err, "not found")
	if pods.ran.Name != "" {
		t.Error("a client was started, although nothing is proven without the sessions")
	}
}
