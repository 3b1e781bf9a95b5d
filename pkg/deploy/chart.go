package deploy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"

	"github.com/confidb/confidb/pkg/manifest"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/topology"
)

// Keys of the public documentation of SCONE's charts, with or without the name of
// a subchart before them.
const (
	ConfigIDKey = "scone.attestation.config_id"
	CASKey      = "scone.attestation.cas"
	LASKey      = "scone.attestation.las"
)

// Keys say which of a chart's values make it run under a session. The zero Keys are
// those of SCONE's documentation, wherever the chart has them.
type Keys struct {
	// ConfigIDs are keys for sessions, each as KEY or KEY=ROLE[/SERVICE]: a chart with
	// parts of its own has one for each. None means the documented one.
	ConfigIDs []string
	// CAS and LAS are keys; empty means the documented one.
	CAS, LAS string
	// Service is appended to the session for a chart that wants session/service.
	Service string
	// LASAddress is the address of the LAS for the pods; empty means what the chart does.
	LASAddress string
}

// setting is a value that is set, and the flag that names its key.
type setting struct{ flag, key, fallback, value string }

// values returns a copy of the user's values with those that make the chart run under
// the sessions of a release.
func (k Keys) values(user map[string]any, chart *release.Chart, r *topology.Release) (map[string]any, error) {
	values := copyValues(user)
	settings, err := k.sessions(r, chart.Own)
	if err != nil {
		return nil, err
	}
	settings = append(settings, setting{"--cas-key", k.CAS, CASKey, r.CASAddress})
	if k.LASAddress != "" {
		settings = append(settings, setting{"--las-key", k.LAS, LASKey, k.LASAddress})
	}
	for _, s := range settings {
		keys, err := chartKeys(chart, user, r.Chart, s)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			if err := release.SetPath(values, key, s.value); err != nil {
				return nil, fmt.Errorf("setting %s of the chart: %w", key, err)
			}
		}
	}
	return values, nil
}

// Keys of our own chart for several databases: those of MaxScale's session, and behind that
// of a session the hash of its document, so that who reads it starts anew when it changes.
const (
	architectureKey = "architecture"
	maxScaleKey     = "maxscale." + ConfigIDKey
	replicasKey     = "replicas"
	hashOf          = "hash"
)

// sessions are the settings of the keys for sessions.
func (k Keys) sessions(r *topology.Release, own bool) ([]setting, error) {
	keys := k.ConfigIDs
	var all []setting
	switch {
	case len(keys) > 0:
	case own && r.Architecture != topology.Single:
		all = append(all, setting{"", architectureKey, "", r.Architecture.String()})
		keys = []string{ConfigIDKey + "=" + string(topology.Database), maxScaleKey + "=" + string(topology.MaxScale)}
		for _, key := range keys {
			key, role, _ := strings.Cut(key, "=")
			all = append(all, setting{"", strings.TrimSuffix(key, "config_id") + hashOf, "", documentHash(r.Session(topology.Role(role)))})
		}
	default:
		keys = []string{""}
	}
	for _, text := range keys {
		key, target, named := strings.Cut(text, "=")
		role, service, _ := strings.Cut(target, "/")
		if !named {
			role, service = string(topology.Database), k.Service
		}
		id := r.Session(topology.Role(role)).Name
		if id == "" || named && key == "" || role == string(topology.Namespace) {
			return nil, &RoleError{Text: text, Roles: r.Roles()}
		}
		if service != "" {
			id += "/" + service
		}
		all = append(all, setting{"--config-id-key", key, ConfigIDKey, id})
	}
	return all, nil
}

// documentHash is the hash of the document that a session has, or is to have: it is known
// before CAS has it. Empty means that there is none yet.
func documentHash(s topology.Session) string {
	document := cmp.Or(s.Next, s.Text)
	if document == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(document))
	return hex.EncodeToString(sum[:])
}

// count takes the numbers of databases and MaxScales from the values of our own chart.
func count(plan *topology.Plan, chart *release.Chart) error {
	if plan.Architecture == topology.Single {
		return nil
	}
	if !chart.Own {
		return fmt.Errorf("the architecture %s: got the chart %s, want our own", plan.Architecture, chart.Name)
	}
	var err error
	if plan.Databases, err = chart.Number(plan.Values, replicasKey); err == nil {
		plan.MaxScales, err = chart.Number(plan.Values, "maxscale."+replicasKey)
	}
	return err
}

// RoleError means that a key is for a session that there is not.
type RoleError struct {
	// Text is KEY=ROLE[/SERVICE] as the user wrote it.
	Text string
	// Roles are those of the sessions that there are.
	Roles []topology.Role
}

func (e *RoleError) Error() string {
	var roles []string
	for _, role := range e.Roles {
		roles = append(roles, string(role))
	}
	return fmt.Sprintf("--config-id-key: got %.100q, want KEY or KEY=ROLE[/SERVICE] with one of the roles %s", e.Text, strings.Join(roles, ", "))
}

// Hint says who can check a chart against further sessions.
func (*RoleError) Hint() string {
	return "A session of another role is given with its document: {template --session ROLE=FILE}; a chart with such parts is checked so, and installed with Helm."
}

// ExitCode is that of a command line that is wrong.
func (*RoleError) ExitCode() int { return 2 }

// chartKeys finds a key among the chart's values, or those of the user's own, which the
// chart may use through a template: Helm ignores a value that nothing uses, and what the
// chart then runs is looked at once it is rendered. CAS and LAS are the same for each part
// of a chart that has the key; which session a part is for, somebody must say.
func chartKeys(chart *release.Chart, user map[string]any, given topology.Chart, s setting) ([]string, error) {
	if s.key != "" {
		if !chart.HasValue(s.key) && !release.HasPath(user, s.key) {
			return nil, &KeyError{Chart: chart.Name, Given: given, Key: s.key, Flag: s.flag}
		}
		return []string{s.key}, nil
	}
	found := chart.FindValue(s.fallback)
	if len(found) == 0 || len(found) > 1 && s.fallback == ConfigIDKey {
		return nil, &KeyError{Chart: chart.Name, Given: given, Key: s.fallback, Flag: s.flag, Found: found}
	}
	return found, nil
}

// KeyError means that a chart does not have the value that must be set.
type KeyError struct {
	// Flag names another key.
	Chart, Key, Flag string
	// Given is the chart as the user named it.
	Given topology.Chart
	// Found are the keys of subcharts that could be meant.
	Found []string
}

func (e *KeyError) Error() string {
	if len(e.Found) > 1 {
		return fmt.Sprintf("chart %s: the value %s is in several subcharts: %s", e.Chart, e.Key, strings.Join(e.Found, ", "))
	}
	return fmt.Sprintf("chart %s has no value %s, and the values that were given have none", e.Chart, e.Key)
}

// Hint says how to find the key, with what the user gave.
func (e *KeyError) Hint() string {
	show := "helm show values " + cmp.Or(e.Given.Name, e.Chart, "CHART")
	if e.Given.Repo != "" {
		show += " --repo " + e.Given.Repo
	}
	if e.Given.Version != "" {
		show += " --version " + e.Given.Version
	}
	return fmt.Sprintf("Look for it with: %s; then name it with %s.", show, e.Flag)
}

// copyValues copies maps and lists, so that the user's values stay as they are.
func copyValues(values map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range values {
		out[key] = copyValue(value)
	}
	return out
}

func copyValue(value any) any {
	switch value := value.(type) {
	case map[string]any:
		return copyValues(value)
	case []any:
		var out []any
		for _, item := range value {
			out = append(out, copyValue(item))
		}
		return out
	}
	return value
}

// Clients say how clients of the database are started, where that cannot be taken
// from the chart. The zero Clients are started as the database is.
type Clients struct {
	Image   string
	Command []string
	// Environment has settings of SCONE's runtime.
	Environment map[string]string
}

// over replaces what was derived from the chart. The command of our own chart's values
// starts clients as well.
func (c Clients) over(pod topology.Pod, values map[string]any) topology.Pod {
	pod.Image = cmp.Or(c.Image, pod.Image)
	pod.Environment = maps.Clone(pod.Environment)
	if list, ok := values["command"].([]any); ok {
		for _, word := range list {
			pod.Command = append(pod.Command, fmt.Sprint(word))
		}
	}
	if len(c.Command) > 0 {
		pod.Command = c.Command
	}
	maps.Copy(pod.Environment, c.Environment)
	return pod
}

// rendered is a chart as Helm would install it, checked.
type rendered struct {
	spec      release.Spec
	manifests []byte
	// promise is what it was checked against, and installed what will be recorded.
	promise   manifest.Promise
	installed topology.Installed
	hooks     manifest.Manifest
	// pod says how clients are started.
	pod topology.Pod
	// accepted are the deviations that the policy names, in words.
	accepted []string
}

// renderer makes the manifests of a chart: Helm alone, or Helm with what the cluster
// says.
type renderer func(ctx context.Context, spec release.Spec, chart *release.Chart) ([]byte, error)

// render makes the manifests and checks them, before anything is created. What Helm
// will send is checked once more before it sends it.
func (s *Site) render(ctx context.Context, how renderer, spec release.Spec, chart *release.Chart, r *topology.Release, inputs *Inputs) (*rendered, error) {
	values, err := inputs.Keys.values(spec.Values, chart, r)
	if err != nil {
		return nil, err
	}
	spec.Values = values
	promise, err := manifest.Promised(r)
	if err != nil {
		return nil, err
	}
	manifests, err := how(ctx, spec, chart)
	if err != nil {
		return nil, err
	}
	checked, err := promise.Check(manifests)
	if err != nil {
		return nil, err
	}
	spec.Judge = func(manifests []byte) error { _, err := promise.Check(manifests); return err }
	return &rendered{spec, manifests, promise, checked.Manifest.Record(), checked.Manifest.Passing(), inputs.Clients.over(checked.Client, values), checked.Accepted}, nil
}
