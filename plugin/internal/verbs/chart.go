package verbs

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/topology"
)

// ChartFlags say what Helm installs, with which values. Their names are Helm's.
type ChartFlags struct {
	// Chart is as Helm takes it; empty is our own.
	Chart                                   string
	version, repo                           string
	files, set, setString, setFile, setJSON []string
	CreateNamespace                         bool
	// HookTimeout bounds the chart's hooks.
	HookTimeout time.Duration

	configIDKey, casKey, lasKey, service, las string
}

// Keys of the public documentation of SCONE's charts, with or without the name of
// a subchart before them.
const (
	configIDKey = "scone.attestation.config_id"
	casKey      = "scone.attestation.cas"
	lasKey      = "scone.attestation.las"
)

// AddFlags registers the flags.
func (f *ChartFlags) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.version, "version", "", "version of the chart")
	flags.StringVar(&f.repo, "repo", "", "URL of the chart's repository")
	flags.StringSliceVarP(&f.files, "values", "f", nil, "file or URL with values for the chart; may be repeated")
	flags.StringArrayVar(&f.set, "set", nil, "values as KEY=VALUE; may be repeated")
	flags.StringArrayVar(&f.setString, "set-string", nil, "values as KEY=VALUE that stay texts")
	flags.StringArrayVar(&f.setFile, "set-file", nil, "values as KEY=FILE")
	flags.StringArrayVar(&f.setJSON, "set-json", nil, "values as KEY=JSON")
	flags.BoolVar(&f.CreateNamespace, "create-namespace", false, "create the namespace if it is missing")
	flags.StringVar(&f.configIDKey, "config-id-key", "", "key of the chart's values for the session (default "+configIDKey+", perhaps in a subchart)")
	flags.StringVar(&f.casKey, "cas-key", "", "key of the chart's values for the CAS (default "+casKey+", perhaps in a subchart)")
	flags.StringVar(&f.lasKey, "las-key", "", "key of the chart's values for the LAS, used with --las (default "+lasKey+", perhaps in a subchart)")
	flags.StringVar(&f.service, "config-id-service", "", "service to append to the session for a chart that wants session/service (not for our own chart)")
	flags.StringVar(&f.las, "las", "", "address of the LAS for the pods (default: what the chart does, for our own chart the node's own)")
}

// resolve returns the chart and the user's values. An earlier run's are used when
// none are given now.
func (f *ChartFlags) resolve(earlier *topology.Release) (topology.Chart, map[string]any, error) {
	chart := topology.Chart{Name: f.Chart, Version: f.version, Repo: f.repo}
	values, err := release.MergeValues(f.files, f.set, f.setString, f.setFile, f.setJSON)
	if err != nil {
		return chart, nil, err
	}
	if earlier != nil && chart == (topology.Chart{}) {
		chart = earlier.Chart
	}
	if given := len(f.files) + len(f.set) + len(f.setString) + len(f.setFile) + len(f.setJSON); earlier != nil && given == 0 {
		values = earlier.Values
	}
	return chart, values, nil
}

// withAttestation adds the values that make the chart run under a session.
func (f *ChartFlags) withAttestation(user map[string]any, chart *release.Chart, session, cas string) (map[string]any, error) {
	values := copyValues(user)
	id := session
	if f.service != "" {
		id += "/" + f.service
	}
	type setting struct{ flag, key, fallback, value string }
	settings := []setting{{"--config-id-key", f.configIDKey, configIDKey, id}, {"--cas-key", f.casKey, casKey, cas}}
	if f.las != "" {
		settings = append(settings, setting{"--las-key", f.lasKey, lasKey, f.las})
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
	return fmt.Sprintf("look for it with: helm show values %s; then name it with %s", cmp.Or(e.Chart, "CHART"), e.Flag)
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
