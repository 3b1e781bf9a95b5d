package release

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/registry"
)

// maxFile bounds one file of the own chart, in bytes.
const maxFile = 1 << 20

// Chart is a chart as it was resolved: later calls use these very files, even
// when the folder or the repository has changed meanwhile.
type Chart struct {
	Name, Version string
	// Own says that it is the program's own chart.
	Own bool

	files    []*loader.BufferedFile
	defaults map[string]any
}

// HasValue reports whether the chart's default values have the key path, such as
// "scone.attestation.cas"; those of a subchart begin with its name or alias. A
// value that is not there is one that the chart would silently ignore.
func (c *Chart) HasValue(path string) bool { return HasPath(c.defaults, path) }

// FindValue returns the keys under which the chart's default values have path: the
// path itself, or else that path in each part of the values, such as a subchart.
func (c *Chart) FindValue(path string) []string {
	if c.HasValue(path) {
		return []string{path}
	}
	var found []string
	for _, part := range slices.Sorted(maps.Keys(c.defaults)) {
		if c.HasValue(part + "." + path) {
			found = append(found, part+"."+path)
		}
	}
	return found
}

// Number is the whole number at a path of the values: of those given, or else of the
// chart's defaults.
func (c *Chart) Number(given map[string]any, path string) (int, error) {
	value, ok := at(given, path)
	if !ok {
		value, ok = at(c.defaults, path)
	}
	number, err := strconv.Atoi(fmt.Sprint(value))
	if !ok || err != nil {
		return 0, fmt.Errorf("value %s: got %.40v, want a whole number", path, value)
	}
	return number, nil
}

// load returns a chart of its own for each use: rendering changes charts.
func (c *Chart) load() (*chart.Chart, error) { return loader.LoadFiles(c.files) }

// ChartError means that a chart cannot be had or used.
type ChartError struct {
	Chart string
	Err   error
}

func (e *ChartError) Error() string { return fmt.Sprintf("loading chart %q: %v", e.Chart, e.Err) }

// Unwrap returns what went wrong.
func (e *ChartError) Unwrap() error { return e.Err }

// Hint says how to go on.
func (e *ChartError) Hint() string {
	return "Name a folder, a .tgz file, oci://…, or a chart of a repository that `helm repo list` shows (after `helm repo update`)."
}

// Load resolves the chart that spec names and reads all of it.
func (h *Helm) Load(spec Spec) (*Chart, error) {
	if spec.Chart == "" {
		return h.loadOwn(spec)
	}
	found, err := h.locate(spec)
	if err == nil {
		err = usable(found)
	}
	if err != nil {
		secrets := h.secrets(spec)
		return nil, &ChartError{Chart: concealText(spec.Chart, secrets), Err: conceal(err, secrets)}
	}
	return newChart(found)
}

func (h *Helm) loadOwn(spec Spec) (*Chart, error) {
	if spec.Repo != "" || spec.Version != "" {
		return nil, errors.New("loading the own chart: got a repository or a version, which only a named chart has")
	}
	if h.settings.Own == nil {
		return nil, errors.New("loading the own chart: this program has none")
	}
	own, err := h.settings.Own(spec.Architecture)
	var files []*loader.BufferedFile
	if err == nil {
		files, err = readFiles(own)
	}
	if err != nil {
		return nil, fmt.Errorf("loading the own chart: %w", err)
	}
	found, err := loader.LoadFiles(files)
	if err != nil {
		return nil, fmt.Errorf("loading the own chart: %w", err)
	}
	c, err := newChart(found)
	if err == nil {
		c.Own = true
	}
	return c, err
}

func readFiles(chart fs.FS) (files []*loader.BufferedFile, err error) {
	err = fs.WalkDir(chart, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := chart.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
		if err == nil && len(data) > maxFile {
			err = fmt.Errorf("%s: got more than %d bytes", name, maxFile)
		}
		files = append(files, &loader.BufferedFile{Name: name, Data: data})
		return err
	})
	return files, err
}

// locate finds the chart as helm install does, but for downloader plugins.
func (h *Helm) locate(spec Spec) (*chart.Chart, error) {
	install := action.NewInstall(new(action.Configuration))
	install.RepoURL, install.Version = spec.Repo, spec.Version
	if registry.IsOCI(spec.Chart) {
		client, err := registry.NewClient(registry.ClientOptCredentialsFile(h.settings.RegistryConfig), registry.ClientOptEnableCache(true))
		if err != nil {
			return nil, err
		}
		install.SetRegistryClient(client)
	}
	path, err := install.LocateChart(spec.Chart, &cli.EnvSettings{
		RepositoryConfig: h.settings.RepositoryConfig,
		RepositoryCache:  h.settings.RepositoryCache,
		RegistryConfig:   h.settings.RegistryConfig,
	})
	if err != nil {
		return nil, err
	}
	return loader.Load(path)
}

// usable says why a chart cannot be installed, if so.
func usable(c *chart.Chart) error {
	if kind := c.Metadata.Type; kind != "" && kind != "application" {
		return fmt.Errorf("got a chart of type %q, want application", kind)
	}
	return action.CheckDependencies(c, c.Metadata.Dependencies)
}

func newChart(c *chart.Chart) (*Chart, error) {
	out := &Chart{Name: c.Name(), Version: c.Metadata.Version}
	for _, file := range c.Raw {
		out.files = append(out.files, &loader.BufferedFile{Name: file.Name, Data: file.Data})
	}
	defaults, err := chartutil.MergeValues(c, map[string]any{})
	if err != nil {
		return nil, &ChartError{Chart: c.Name(), Err: err}
	}
	for _, dependency := range c.Metadata.Dependencies {
		if dependency.Alias != "" {
			defaults[dependency.Alias] = defaults[dependency.Name]
		}
	}
	out.defaults = defaults
	return out, nil
}
