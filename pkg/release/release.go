// Package release installs, changes, reads and removes Helm releases in one
// namespace, so that what it leaves is an ordinary release for the helm program.
// It works again after a run that was killed. It waits for no pod and does not
// know what a chart is for. Nothing here reads Helm's environment variables: the
// caller passes Settings.
package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/kube"
	helm "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/confidb/confidb/pkg/evidence"
)

// ErrNotFound means that the namespace has no release of that name.
var ErrNotFound = errors.New("release not found")

// defaultTimeout bounds a chart's hooks when a Spec gives no timeout: Helm's own default.
const defaultTimeout = 5 * time.Minute

// defaultHistory is how many revisions Helm keeps unless told otherwise.
const defaultHistory = 10

// Settings are where Helm's files are and what it may do. The zero value has no
// own chart and no repository, and reaches local charts only.
type Settings struct {
	// Own gives the files of the chart that an empty Spec.Chart means, for an architecture.
	// Nil means that there is none.
	Own func(architecture string) (fs.FS, error)
	// RepositoryConfig is Helm's repositories.yaml, RepositoryCache the folder of
	// indexes and downloaded charts, RegistryConfig the credentials for OCI registries.
	RepositoryConfig, RepositoryCache, RegistryConfig string
	// MaxHistory is how many revisions of a release are kept. Zero means 10.
	MaxHistory int
	// Log receives Helm's own messages. Nil discards them.
	Log func(format string, v ...any)
}

// Places returns Settings with Helm's files where Helm keeps them when its
// environment says nothing: in folders "helm" of the user's configuration and
// cache folders.
func Places(configuration, cache string) Settings {
	return Settings{
		RepositoryConfig: filepath.Join(configuration, "helm", "repositories.yaml"),
		RegistryConfig:   filepath.Join(configuration, "helm", "registry", "config.json"),
		RepositoryCache:  filepath.Join(cache, "helm", "repository"),
	}
}

func (s Settings) log() action.DebugLog {
	if s.Log == nil {
		return func(string, ...any) {}
	}
	return s.Log
}

// Helm works on the releases of one namespace. No type here, and none that a field
// leads to, may have an action.Configuration in it: a Helm becomes an interface of
// its callers, and through reflection all methods of what is in it are then linked,
// such as Init with its drivers of databases.
type Helm struct {
	namespace string
	settings  Settings
	getter    genericclioptions.RESTClientGetter
	// open returns where releases are kept, and what talks to Kubernetes.
	open func() (driver.Driver, kube.Interface, error)
	// capabilities are what Kubernetes can do; nil means that it is asked.
	capabilities *chartutil.Capabilities
}

// New returns a Helm for the releases of namespace in the cluster behind getter.
// Releases are stored in Secrets, as the helm program stores them unless told
// otherwise. It does not talk to the cluster.
func New(getter genericclioptions.RESTClientGetter, namespace string, settings Settings) (*Helm, error) {
	if namespace == "" {
		return nil, errors.New("preparing Helm: no namespace given")
	}
	open := func() (driver.Driver, kube.Interface, error) { return inSecrets(getter, namespace, settings.log()) }
	return &Helm{namespace: namespace, settings: settings, getter: getter, open: open}, nil
}

// inSecrets returns what keeps releases in Secrets of the namespace, and what talks
// to the cluster.
func inSecrets(getter genericclioptions.RESTClientGetter, namespace string, log action.DebugLog) (driver.Driver, kube.Interface, error) {
	client := kube.New(getter)
	client.Log = log
	client.Namespace = namespace // not the one that the kubeconfig names
	all, err := client.Factory.KubernetesClientSet()
	if err != nil {
		return nil, nil, err
	}
	records := driver.NewSecrets(all.CoreV1().Secrets(namespace))
	records.Log = log
	return records, client, nil
}

// Spec is a release as it shall be. Name is required.
type Spec struct {
	Name string
	// Chart is a folder, a .tgz file, a URL, oci://… or repository/chart. Empty
	// means the program's own chart.
	Chart string
	// Architecture is which of the program's own charts it is; empty is its default.
	Architecture string
	// Version is a version or a range of versions, and Repo the URL of a
	// repository, for charts that are not local. Empty means newest, and none.
	Version, Repo string
	Values        map[string]any
	// CreateNamespace creates the namespace when it is missing, at an installation only.
	CreateNamespace bool
	// Timeout bounds the chart's hooks. Zero means five minutes.
	Timeout time.Duration
	// Description is kept with the revision. Empty means Helm's own words.
	Description string
	// Owner marks the release, and only one with this mark, or without any, is changed.
	// It is 1 to 63 letters, digits and dashes; empty marks nothing and asks for nothing.
	Owner string
	// Again upgrades a release also when it is what it shall be already: what it made
	// may have been changed since.
	Again bool
	// Judge is given what will be sent, but for hooks, and refuses it by an error; nil
	// accepts everything.
	Judge func(manifests []byte) error
}

// ownerLabel is the label of Helm's Secret that says whose a release is.
const ownerLabel = "confidb-owner"

func (s Spec) labels() map[string]string {
	if s.Owner == "" {
		return nil
	}
	return map[string]string{ownerLabel: s.Owner}
}

// judge is a post-renderer of Helm that changes nothing, and may refuse.
type judge func(manifests []byte) error

// Run hands on what was rendered.
func (j judge) Run(rendered *bytes.Buffer) (*bytes.Buffer, error) {
	return rendered, j(rendered.Bytes())
}

func (s Spec) timeout() time.Duration {
	if s.Timeout == 0 {
		return defaultTimeout
	}
	return s.Timeout
}

// Did says what a call of Apply did.
type Did string

// What Apply did. The zero Did means that nothing was asked of it.
const (
	Installed Did = "installed"
	Upgraded  Did = "upgraded"
	Unchanged Did = "unchanged"
)

// Release is one revision of a release.
type Release struct {
	Name, Namespace string
	Revision        int
	// Status is Helm's word for it: deployed, failed, pending-install, uninstalling, …
	Status string
	// Chart and ChartVersion are the chart's name and version.
	Chart, ChartVersion string
	// Values are the user's, without the chart's defaults.
	Values map[string]any
	// Manifest is what was sent to Kubernetes, without hooks.
	Manifest string
	Notes    string
	// Changed is when the revision was made, or when it was begun.
	Changed     time.Time
	Description string
	// Owner is the mark of whoever made it; empty without one.
	Owner string
	// Did is set by Apply only.
	Did Did
}

func newRelease(r *helm.Release) *Release {
	out := &Release{Name: r.Name, Namespace: r.Namespace, Revision: r.Version, Values: r.Config, Manifest: r.Manifest, Chart: chartName(r), Owner: r.Labels[ownerLabel]}
	if r.Info != nil {
		out.Status, out.Notes, out.Description = r.Info.Status.String(), r.Info.Notes, r.Info.Description
		out.Changed = r.Info.LastDeployed.Time
	}
	if r.Chart != nil && r.Chart.Metadata != nil {
		out.ChartVersion = r.Chart.Metadata.Version
	}
	return out
}

func chartName(r *helm.Release) string {
	if r.Chart == nil {
		return ""
	}
	return r.Chart.Name()
}

// Get reads the newest revision of a release. It returns ErrNotFound when there
// is none; a release that was uninstalled with --keep-history is found, with
// status uninstalled.
func (h *Helm) Get(ctx context.Context, name string) (*Release, error) {
	configuration, err := h.start(ctx)
	if err != nil {
		return nil, err
	}
	last, err := h.last(configuration, name)
	if err != nil {
		return nil, err
	}
	return newRelease(last), nil
}

// Observed is what Helm says of a release, for a proof, and its manifest.
func (h *Helm) Observed(ctx context.Context, name string) (evidence.HelmRelease, []byte, error) {
	r, err := h.Get(ctx, name)
	if err != nil {
		return evidence.HelmRelease{}, nil, err
	}
	return evidence.HelmRelease{Status: r.Status, Revision: r.Revision}, []byte(r.Manifest), nil
}

// Uninstall removes a release, its resources and its history, and waits until
// they are gone. Persistent volume claims of a StatefulSet stay, as with Helm.
// It returns ErrNotFound when there is no such release.
func (h *Helm) Uninstall(ctx context.Context, name string, timeout time.Duration) error {
	configuration, err := h.start(ctx)
	if err != nil {
		return err
	}
	if _, err := h.last(configuration, name); err != nil {
		return err
	}
	return h.uninstall(configuration, name, timeout)
}

func (h *Helm) uninstall(configuration *action.Configuration, name string, timeout time.Duration) error {
	uninstall := action.NewUninstall(configuration)
	uninstall.Timeout = timeout
	uninstall.Wait = timeout > 0
	uninstall.DeletionPropagation = "background"
	if _, err := uninstall.Run(name); err != nil {
		return fmt.Errorf("uninstalling release %s/%s: %w", h.namespace, name, err)
	}
	return nil
}

// start returns a configuration for one operation, unless ctx has ended: Helm's
// storage takes no context. It is a fresh one, as Helm's actions change theirs.
func (h *Helm) start(ctx context.Context) (*action.Configuration, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	records, client, err := h.open()
	if err != nil {
		return nil, fmt.Errorf("preparing Helm: %w", err)
	}
	releases := storage.Init(records)
	releases.MaxHistory = h.maxHistory()
	return &action.Configuration{
		RESTClientGetter: h.getter,
		KubeClient:       client,
		Releases:         releases,
		Capabilities:     h.capabilities,
		Log:              h.settings.log(),
		HookOutputFunc:   func(string, string, string) io.Writer { return io.Discard },
	}, nil
}

func (h *Helm) maxHistory() int {
	if h.settings.MaxHistory == 0 {
		return defaultHistory
	}
	return h.settings.MaxHistory
}

// last is the newest revision of a release, or ErrNotFound.
func (h *Helm) last(configuration *action.Configuration, name string) (*helm.Release, error) {
	last, err := configuration.Releases.Last(name)
	switch {
	case errors.Is(err, driver.ErrReleaseNotFound):
		return nil, fmt.Errorf("reading release %s/%s: %w", h.namespace, name, ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("reading release %s/%s: %w", h.namespace, name, err)
	}
	return last, nil
}
