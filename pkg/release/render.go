package release

import (
	"context"
	"fmt"
	"strings"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	helm "helm.sh/helm/v3/pkg/release"
)

// Render returns the manifests of an installation, hooks included, without a
// cluster: the chart sees no live objects, and the Kubernetes of this program's
// client library.
func (h *Helm) Render(ctx context.Context, spec Spec, c *Chart) ([]byte, error) {
	install := action.NewInstall(&action.Configuration{Log: h.settings.log()})
	install.ClientOnly, install.DryRunOption, install.Replace = true, "client", true
	install.KubeVersion = &chartutil.KubeVersion{Version: "v1.37.0", Major: "1", Minor: "37"}
	rendered, err := h.install(ctx, install, spec, c)
	if err != nil {
		return nil, err
	}
	return manifests(rendered), nil
}

// DryRunServer returns the manifests that Apply would send, rendered and checked
// with the cluster. It changes nothing there.
func (h *Helm) DryRunServer(ctx context.Context, spec Spec, c *Chart) ([]byte, error) {
	configuration, err := h.start(ctx)
	if err != nil {
		return nil, err
	}
	last, err := h.existing(configuration, spec, c)
	if err != nil {
		return nil, err
	}
	var rendered *helm.Release
	if last != nil && upgradable(last.Info.Status) {
		upgrade := h.newUpgrade(configuration, spec)
		upgrade.DryRunOption = "server"
		rendered, err = h.upgrade(ctx, upgrade, spec, c)
	} else {
		rendered, err = h.install(ctx, dryInstall(configuration), spec, c)
	}
	if err != nil {
		return nil, err
	}
	return manifests(rendered), nil
}

func dryInstall(configuration *action.Configuration) *action.Install {
	install := action.NewInstall(configuration)
	install.DryRunOption = "server"
	return install
}

func manifests(r *helm.Release) []byte {
	var all strings.Builder
	all.WriteString(r.Manifest)
	for _, hook := range r.Hooks {
		fmt.Fprintf(&all, "---\n# Source: %s\n%s\n", hook.Path, hook.Manifest)
	}
	return []byte(all.String())
}

func (h *Helm) install(ctx context.Context, install *action.Install, spec Spec, c *Chart) (*helm.Release, error) {
	install.ReleaseName, install.Namespace = spec.Name, h.namespace
	install.Timeout, install.Description, install.Labels = spec.timeout(), spec.Description, spec.labels()
	if spec.Judge != nil && install.DryRunOption == "" {
		install.PostRenderer = judge(spec.Judge)
	}
	made, err := run(spec, c, func(chart *chart.Chart, values map[string]any) (*helm.Release, error) {
		return install.RunWithContext(ctx, chart, values)
	})
	if err != nil {
		return nil, fmt.Errorf("%s release %s/%s: %w", doing("installing", install.DryRunOption), h.namespace, spec.Name, err)
	}
	return made, nil
}

func (h *Helm) newUpgrade(configuration *action.Configuration, spec Spec) *action.Upgrade {
	upgrade := action.NewUpgrade(configuration)
	upgrade.Namespace, upgrade.MaxHistory = h.namespace, h.maxHistory()
	upgrade.Timeout, upgrade.Description, upgrade.Labels = spec.timeout(), spec.Description, spec.labels()
	upgrade.ResetValues = true // the values of the spec are all of them
	if spec.Judge != nil {
		upgrade.PostRenderer = judge(spec.Judge)
	}
	return upgrade
}

func (h *Helm) upgrade(ctx context.Context, upgrade *action.Upgrade, spec Spec, c *Chart) (*helm.Release, error) {
	made, err := run(spec, c, func(chart *chart.Chart, values map[string]any) (*helm.Release, error) {
		return upgrade.RunWithContext(ctx, spec.Name, chart, values)
	})
	if err != nil {
		return nil, fmt.Errorf("%s release %s/%s: %w", doing("upgrading", upgrade.DryRunOption), h.namespace, spec.Name, err)
	}
	return made, nil
}

func doing(what, dryRun string) string {
	if dryRun != "" {
		return "rendering"
	}
	return what
}

// run gives an action a chart of its own: actions change it.
func run(spec Spec, c *Chart, do func(*chart.Chart, map[string]any) (*helm.Release, error)) (*helm.Release, error) {
	loaded, err := c.load()
	if err != nil {
		return nil, err
	}
	return do(loaded, notNil(spec.Values))
}
