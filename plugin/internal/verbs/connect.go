package verbs

import (
	"context"
	"fmt"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/contact"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// NewDesk is where the user whose records are in home meets CASes: those of the cluster
// through a port-forward, all others directly.
func NewDesk(getter genericclioptions.RESTClientGetter, home string, now func() time.Time) contact.Desk {
	return contact.Desk{Store: record.Store{Dir: home}, Now: now, Dial: func(ctx context.Context, address string) (cas.Dialer, func(), error) {
		return dialCAS(ctx, getter, address)
	}}
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

// AskOperator has SCONE's operator answer a nonce, through the custom resource that has
// the name of the CAS's Service.
func AskOperator(getter genericclioptions.RESTClientGetter) func(context.Context, string, [16]byte) ([]byte, error) {
	return func(ctx context.Context, address string, nonce [16]byte) ([]byte, error) {
		name, namespace, inCluster := kube.ServiceAddress(address)
		if !inCluster {
			return nil, cli.NewUsageError("--evidence %s: got the address %s, want NAME.NAMESPACE.svc, the name of the custom resource", attest.BackendResource, address)
		}
		c, err := kube.New(getter)
		if err != nil {
			return nil, err
		}
		return c.CASReport(ctx, namespace, name, nonce)
	}
}
