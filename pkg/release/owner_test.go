package release_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	helm "helm.sh/helm/v3/pkg/release"

	"github.com/confidb/confidb/pkg/release"
)

func ownedBy(owner string) release.Spec {
	s := spec()
	s.Owner = owner
	return s
}

// TestApplyChangesOnlyOnesOwn: whatever its state, a release with the mark of somebody else
// is left as it is, also if this run would take it for one that it left pending.
func TestApplyChangesOnlyOnesOwn(t *testing.T) {
	for _, s := range []helm.Status{
		helm.StatusDeployed, helm.StatusFailed, helm.StatusSuperseded, helm.StatusPendingInstall, helm.StatusPendingUpgrade, helm.StatusUninstalled, helm.StatusUninstalling,
	} {
		t.Run(s.String(), func(t *testing.T) {
			b := newBench(t)
			b.apply(t, ownedBy("first"), never)
			b.mark(t, status(s))
			before, err := b.store.Last(name)
			if err != nil {
				t.Fatal(err)
			}
			var foreign *release.OwnerError
			if _, err := b.Apply(t.Context(), ownedBy("second"), b.own, always); !errors.As(err, &foreign) || foreign.Hint() == "" {
				t.Fatalf("got %v, want an OwnerError", err)
			}
			after, err := b.store.Last(name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before.Labels, after.Labels); diff != "" || before.Version != after.Version || before.Info.Status != after.Info.Status {
				t.Errorf("it was changed: %s", diff)
			}
		})
	}
}

// TestTheMarkStays: through upgrades, and also when a release had none.
func TestTheMarkStays(t *testing.T) {
	b := newBench(t)
	b.want(t, b.apply(t, spec(), never), release.Installed, 1, 1)
	s := with("scone.heap", "2G")
	s.Owner = "first"
	b.want(t, b.apply(t, s, never), release.Upgraded, 2, 2)
	b.want(t, b.apply(t, ownedBy("first"), never), release.Upgraded, 3, 3)
	r, err := b.Get(t.Context(), name)
	if err != nil || r.Owner != "first" {
		t.Errorf("got %+v, %v", r, err)
	}
	if _, err := b.Apply(t.Context(), ownedBy("second"), b.own, always); !errors.As(err, new(*release.OwnerError)) {
		t.Errorf("got %v, want an OwnerError", err)
	}
}
