package deploy

import (
	"context"
	"fmt"

	"github.com/confidb/confidb/pkg/manifest"
)

// drift shows what of the last installation somebody has changed since, and reports
// whether there is anything.
func (i *installation) drift(ctx context.Context) (bool, error) {
	if i.release.HelmStarted.IsZero() || len(i.before) == 0 {
		return false, nil
	}
	changed, err := i.changed(ctx, i.before)
	if err != nil || len(changed) == 0 {
		return false, err
	}
	i.Progress.Step("changed since it was installed, and set back now:")
	for _, c := range changed {
		for _, d := range c.differences {
			i.Progress.Detail(c.object.String() + ": " + d.String())
		}
	}
	return true, nil
}

// deviation is an object that is not as it was installed.
type deviation struct {
	object      manifest.Object
	differences []manifest.Difference
}

// changed compares the objects of a manifest with those that exist.
func (i *installation) changed(ctx context.Context, wanted manifest.Manifest) ([]deviation, error) {
	installed, err := manifest.NewInstalled(i.promise, wanted)
	if err != nil {
		return nil, err
	}
	var all []deviation
	for _, o := range wanted.Watched() {
		live, err := i.Cluster.Object(ctx, i.release.Namespace, o.Kind, o.Name)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", o, err)
		}
		found, err := installed.Differences(o, live)
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			all = append(all, deviation{o, found})
		}
	}
	return all, nil
}

// mendObjects makes the objects of the release what was sent. Helm merges, so what
// somebody has added to an object stays with it.
func (i *installation) mendObjects(ctx context.Context, sent manifest.Manifest) error {
	changed, err := i.changed(ctx, sent)
	if err != nil {
		return err
	}
	for _, c := range changed {
		i.Progress.Detail("setting back " + c.object.String())
		if err := i.Cluster.Replace(ctx, i.release.Namespace, c.object.Kind, c.object.JSON()); err != nil {
			return fmt.Errorf("setting back %s: %w", c.object, err)
		}
	}
	return nil
}

// mendPods starts pods anew that are not what their objects say, such as one with an
// ephemeral container. The objects themselves are as they should be by now.
func (i *installation) mendPods(ctx context.Context) error {
	recorded, err := manifest.Recorded(i.release.Installed)
	if err != nil {
		return err
	}
	installed, err := manifest.NewInstalled(i.promise, recorded)
	if err != nil {
		return err
	}
	pods, err := i.Cluster.Pods(ctx, i.release.Namespace)
	if err != nil {
		return err
	}
	changed := installed.Changed(pods)
	if len(changed) == 0 {
		return nil
	}
	for _, p := range changed {
		i.Progress.Detail(p.String())
	}
	i.Progress.Step("pods that are not as they were installed start anew")
	var names []string
	for _, p := range changed {
		names = append(names, p.Pod)
	}
	if err := i.Cluster.RestartPods(ctx, i.release.Namespace, names); err != nil {
		return err
	}
	return i.await(ctx)
}
