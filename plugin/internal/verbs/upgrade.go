package verbs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/release"
)

// NoReleaseError means that Helm has no release of this name.
type NoReleaseError struct{ Namespace, Name string }

func (e *NoReleaseError) Error() string {
	return fmt.Sprintf("release %s/%s not found", e.Namespace, e.Name)
}

// Hint says where to look.
func (e *NoReleaseError) Hint() string {
	return fmt.Sprintf("helm list --namespace %s shows the releases there are", e.Namespace)
}

// uninstalled is Helm's status of a release of which only the history is left.
const uninstalled = "uninstalled"

// warnDropped names values of the last run that those given now leave out. Helm
// drops them, too.
func (i *installation) warnDropped() {
	if i.earlier == nil {
		return
	}
	var dropped []string
	for _, key := range slices.Sorted(maps.Keys(i.earlier.Values)) {
		if _, kept := i.spec.Values[key]; !kept {
			dropped = append(dropped, key)
		}
	}
	if len(dropped) > 0 {
		fmt.Fprintf(i.streams.ErrOut, "warning: values of the last run are left out, as with helm upgrade, since others are given now: %s\n", strings.Join(dropped, ", "))
	}
}

// existing reads a release that Helm has, or returns a NoReleaseError.
func existing(ctx context.Context, helm *release.Helm, namespace, name string) (*release.Release, error) {
	r, err := helm.Get(ctx, name)
	if errors.Is(err, release.ErrNotFound) || err == nil && r.Status == uninstalled {
		return nil, &NoReleaseError{Namespace: namespace, Name: name}
	}
	return r, err
}
