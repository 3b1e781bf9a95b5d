package deploy

import (
	"context"
	"fmt"
	"time"

	"github.com/confidb/confidb/pkg/topology"
)

// Uninstall are the options of removing a release.
type Uninstall struct {
	Name string
	// DryRun must be given; of client and server both only look.
	DryRun DryRun
	// Timeout bounds the wait until the objects are gone.
	Timeout time.Duration
}

// Uninstall removes the Helm release, and returns the record of what stays. Sessions
// cannot be deleted, so their record stays, and so do volumes that a StatefulSet
// claimed: a later installation of this name continues with them.
func (s *Site) Uninstall(ctx context.Context, o Uninstall) (*topology.Release, error) {
	clusterID, err := s.Cluster.ID()
	if err != nil {
		return nil, err
	}
	namespace := s.Cluster.Namespace()
	unlock, err := s.Store.LockRelease(clusterID, namespace, o.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	found, err := s.existing(ctx, o.Name)
	if err != nil {
		return nil, err
	}
	known, err := s.Store.Earlier(clusterID, namespace, o.Name)
	if err != nil {
		return nil, err
	}
	ours := known != nil && !known.HelmStarted.IsZero()
	if ours {
		if ours, err = s.ours(found, known); err != nil {
			return nil, err
		}
	}
	if !ours {
		return nil, &NotOursError{Namespace: namespace, Name: o.Name, Chart: found.Chart}
	}
	if o.DryRun != None {
		return known, nil
	}
	return known, s.remove(ctx, clusterID, known, o.Timeout)
}

// remove uninstalls, and then forgets that the Helm release is ours: whoever takes
// the name next may be somebody else.
func (s *Site) remove(ctx context.Context, clusterID string, known *topology.Release, timeout time.Duration) error {
	if err := s.Helm.Uninstall(ctx, known.Name, timeout); err != nil {
		return err
	}
	known.HelmStarted, known.HelmPending, known.Installed, known.Earlier = time.Time{}, false, topology.Installed{}, nil
	return s.save(clusterID, known)
}

// NotOursError means that this user's records do not know a release as theirs.
type NotOursError struct{ Namespace, Name, Chart string }

func (e *NotOursError) Error() string {
	return fmt.Sprintf("release %s/%s (chart %s) was not installed with the records of this user", e.Namespace, e.Name, e.Chart)
}

// Hint says how to go on.
func (e *NotOursError) Hint() string {
	return fmt.Sprintf("Set CONFIDB_HOME to the folder with its records; or remove it with: helm uninstall %s --namespace %s", e.Name, e.Namespace)
}
