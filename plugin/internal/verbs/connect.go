package verbs

import (
	"context"
	"fmt"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/contact"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// NewDesk is where the user meets CASes: those of the cluster through a port-forward, all
// others directly.
func NewDesk(env *cli.Env) (contact.Desk, error) {
	home, err := env.Home()
	return contact.Desk{Store: record.Store{Dir: home}, Now: env.Now, Dial: func(ctx context.Context, address string) (cas.Dialer, func(), error) {
		return dialCAS(ctx, env.Getter, address)
	}}, err
}

// Connect attests a CAS as the user trusts it, and returns a connection to it.
func Connect(ctx context.Context, env *cli.Env, address string, trust attest.Trust) (*contact.Connection, error) {
	desk, err := NewDesk(env)
	if err != nil {
		return nil, err
	}
	return desk.Connect(ctx, address, trust)
}

// dialCAS returns a dialer for a CAS. The cluster is only asked when the address is
// that of a Service.
func dialCAS(ctx context.Context, getter genericclioptions.RESTClientGetter, address string) (cas.Dialer, func(), error) {
	if _, _, inCluster := kube.ServiceAddress(address); !inCluster {
		dial, err := kube.Direct(address, cas.ClientPort)
		return dial, func() {}, err
	}
	c, err := kube.New(getter)
	if err != nil {
		return nil, nil, err
	}
	dial, close, err := c.DialService(ctx, address, cas.ClientPort)
	if err != nil {
		return nil, nil, fmt.Errorf("reaching the CAS: %w", err)
	}
	return dial, close, nil
}
