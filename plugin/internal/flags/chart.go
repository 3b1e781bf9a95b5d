package flags

import (
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/topology"
)

// Chart are the flags that say what Helm installs, with which values. Their names are
// Helm's.
type Chart struct {
	// Chart is as Helm takes it; empty is our own.
	Chart string
	// CreateNamespace creates the namespace if it is missing.
	CreateNamespace bool

	version, repo                           string
	files, set, setString, setFile, setJSON []string
	keys                                    deploy.Keys
}

// AddFlags registers the flags.
func (f *Chart) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.version, "version", "", "version of the chart")
	flags.StringVar(&f.repo, "repo", "", "URL of the chart's repository")
	flags.StringSliceVarP(&f.files, "values", "f", nil, "file or URL with values for the chart; may be repeated")
	flags.StringArrayVar(&f.set, "set", nil, "values as KEY=VALUE; may be repeated")
	flags.StringArrayVar(&f.setString, "set-string", nil, "values as KEY=VALUE that stay texts")
	flags.StringArrayVar(&f.setFile, "set-file", nil, "values as KEY=FILE")
	flags.StringArrayVar(&f.setJSON, "set-json", nil, "values as KEY=JSON")
	flags.BoolVar(&f.CreateNamespace, "create-namespace", false, "create the namespace if it is missing")
	flags.StringVar(&f.keys.ConfigID, "config-id-key", "", "key of the chart's values for the session (default "+deploy.ConfigIDKey+", perhaps in a subchart)")
	flags.StringVar(&f.keys.CAS, "cas-key", "", "key of the chart's values for the CAS (default "+deploy.CASKey+", perhaps in a subchart)")
	flags.StringVar(&f.keys.LAS, "las-key", "", "key of the chart's values for the LAS, used with --las (default "+deploy.LASKey+", perhaps in a subchart)")
	flags.StringVar(&f.keys.Service, "config-id-service", "", "service to append to the session for a chart that wants session/service (not for our own chart)")
	flags.StringVar(&f.keys.LASAddress, "las", "", "address of the LAS for the pods (default: what the chart does, for our own chart the node's own)")
}

// Resolve returns the chart, the user's values, and which of them the session goes to.
// An earlier run's chart and values are used when none are given now.
func (f *Chart) Resolve(earlier *topology.Release) (topology.Chart, map[string]any, deploy.Keys, error) {
	chart := topology.Chart{Name: f.Chart, Version: f.version, Repo: f.repo}
	values, err := release.MergeValues(f.files, f.set, f.setString, f.setFile, f.setJSON)
	if err != nil {
		return chart, nil, f.keys, err
	}
	if earlier != nil && chart == (topology.Chart{}) {
		chart = earlier.Chart
	}
	if given := len(f.files) + len(f.set) + len(f.setString) + len(f.setFile) + len(f.setJSON); earlier != nil && given == 0 {
		values = earlier.Values
	}
	return chart, values, f.keys, nil
}
