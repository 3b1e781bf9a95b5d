package deploy

import (
	"cmp"
	"context"
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
	// ConfigID, CAS and LAS are keys; empty means the documented one.
	ConfigID, CAS, LAS string
	// Service is appended to the session for a chart that wants session/service.
	Service string
	// LASAddress is the address of the LAS for the pods; empty means what the chart does.
	LASAddress string
}

// values returns a copy of the user's values with those that make the chart run under
// a session.
func (k Keys) values(user map[string]any, chart *release.Chart, session, cas string) (map[string]any, error) {
	values := copyValues(user)
	id := session
	if k.Service != "" {
		id += "/" + k.Service
	}
	type setting struct{ flag, key, fallback, value string }
	settings := []setting{{"--config-id-key", k.ConfigID, ConfigIDKey, id}, {"--cas-key", k.CAS, CASKey, cas}}
	if k.LASAddress != "" {
		settings = append(settings, setting{"--las-key", k.LAS, LASKey, k.LASAddress})
	}
	for _, s := range settings {
		key, err := chartKey(chart, s.flag, s.key, s.fallback)
		if err != nil {
			return nil, err
		}
		if err := release.SetPath(values, key, s.value); err != nil {
			return nil, fmt.Errorf("setting %s of the chart: %w", key, err)
		}
	}
	return values, nil
}

// chartKey finds a key among the chart's values: Helm ignores one that is not there.
func chartKey(chart *release.Chart, flag, given, fallback string) (string, error) {
	if given != "" {
		if !chart.HasValue(given) {
			return "", &KeyError{Chart: chart.Name, Key: given, Flag: flag}
		}
		return given, nil
	}
	found := chart.FindValue(fallback)
	if len(found) != 1 {
		return "", &KeyError{Chart: chart.Name, Key: fallback, Flag: flag, Found: found}
	}
	return found[0], nil
}

// KeyError means that a chart does not have the value that must be set.
type KeyError struct {
	// Flag names another key.
	Chart, Key, Flag string
	// Found are the keys of subcharts that could be meant.
	Found []string
}

func (e *KeyError) Error() string {
	if len(e.Found) > 1 {
		return fmt.Sprintf("chart %s: the value %s is in several subcharts: %s", e.Chart, e.Key, strings.Join(e.Found, ", "))
	}
	return fmt.Sprintf("chart %s has no value %s", e.Chart, e.Key)
}

// Hint says how to find the key.
func (e *KeyError) Hint() string {
	return fmt.Sprintf("Look for it with: helm show values %s; then name it with %s.", cmp.Or(e.Chart, "CHART"), e.Flag)
}

// copyValues copies the maps, so that the user's values stay as they are.
func copyValues(values map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range values {
		if inner, ok := value.(map[string]any); ok {
			value = copyValues(inner)
		}
		out[key] = value
	}
	return out
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
	values, err := inputs.Keys.values(spec.Values, chart, r.Session(topology.Database).Name, r.CASAddress)
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
