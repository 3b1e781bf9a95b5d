package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/topology"
)

// Switchover is a planned change of the primary of several databases.
type Switchover struct {
	Release *topology.Release
	// To is the database that shall be the primary, by its name or that of its pod; empty is
	// any other than the one that is.
	To string
	// Pods runs the attested client that asks for it, on one of Nodes; none is any.
	Pods interface {
		Run(ctx context.Context, client kube.Client) ([]byte, error)
	}
	Nodes []string
	// Tell is told what keeps the client from starting.
	Tell func(text string)
}

// operateLifetime bounds the client that asks.
const operateLifetime = 2 * time.Minute

// Do changes the primary, and returns the name of the new one. No commit that was
// acknowledged is lost; transactions that are open are ended, and are for their clients to
// repeat.
func (s Switchover) Do(ctx context.Context) (primary string, err error) {
	if s.Release.Architecture != topology.Replicated {
		return "", fmt.Errorf("release %s/%s is of the architecture %s: only a replicated one has a primary that can be changed", s.Release.Namespace, s.Release.Name, s.Release.Architecture)
	}
	instances := s.Release.Instances(topology.Database)
	to := slices.IndexFunc(instances, func(i topology.Instance) bool { return s.To == i.Name || s.To == i.Pod })
	if s.To != "" && to < 0 {
		return "", &UnknownInstanceError{s.To, instances}
	}
	output, err := s.Pods.Run(ctx, kube.Client{
		Name: "confidb-operate", Namespace: s.Release.Namespace, How: s.Release.Pod, Nodes: s.Nodes, Program: topology.ProgramProbe, Lifetime: operateLifetime, Tell: s.Tell,
		Environment: map[string]string{"SCONE_CONFIG_ID": s.Release.Session(topology.Client).Name + "/" + topology.ServiceOperate, "CONFIDB_TO": s.To},
	})
	if ended, ok := errors.AsType[*kube.ExitError](err); ok {
		return "", fmt.Errorf("the primary was not changed: %w", ended)
	}
	if err != nil {
		return "", err
	}
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	said := check.Said(strings.TrimSpace(lines[len(lines)-1]))
	at := slices.IndexFunc(instances, func(i topology.Instance) bool { return said == i.Name })
	if at < 0 || to >= 0 && at != to {
		return "", fmt.Errorf("whether the primary was changed is not known: the client says %.80q", said)
	}
	return said, nil
}

// UnknownInstanceError means that a release has no database of a name.
type UnknownInstanceError struct {
	Got   string
	Known []topology.Instance
}

func (e *UnknownInstanceError) Error() string {
	var names []string
	for _, i := range e.Known {
		names = append(names, i.Name)
	}
	return fmt.Sprintf("got %.80q, want one of %s, or the name of its pod", e.Got, strings.Join(names, ", "))
}

// ExitCode is that of a command line that is wrong.
func (*UnknownInstanceError) ExitCode() int { return 2 }
