// Package kube is how the plugins reach what runs in Kubernetes: Services
// through a port-forward, and short-lived pods of their own. It decides nothing.
package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// Cluster is one Kubernetes cluster as the user reaches it.
type Cluster struct {
	config    *rest.Config
	clientset kubernetes.Interface
	namespace string
}

// New builds the clients that the user's flags and kubeconfig describe.
func New(getter genericclioptions.RESTClientGetter) (*Cluster, error) {
	config, err := getter.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = 50, 100 // the default lets a dozen small questions take seconds
	namespace, _, err := getter.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return &Cluster{config: config, clientset: clientset, namespace: namespace}, nil
}

// Namespace is the one that the user chose.
func (c *Cluster) Namespace() string { return c.namespace }

// ID tells this cluster from others: by the certificate authority of its API
// server, or by the address where a public authority vouches for it. That needs no
// permission. It is a name, not a proof.
func (c *Cluster) ID() (string, error) {
	config := rest.CopyConfig(c.config)
	if err := rest.LoadTLSFiles(config); err != nil {
		return "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	if len(config.CAData) > 0 {
		return string(config.CAData), nil
	}
	return config.Host, nil
}

// ServiceAddress splits name.namespace.svc, with or without a cluster domain and
// port. ok is false for any other address, which is dialled directly.
func ServiceAddress(address string) (name, namespace string, ok bool) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	parts := strings.Split(host, ".")
	if len(parts) < 3 || parts[2] != "svc" || parts[0] == "" || parts[1] == "" {
		return "", "", false
	}
	return parts[0], parts[1], true
}

// Direct returns a dialer for an address outside the cluster; one without port
// gets the given one.
func Direct(address, port string) (func(context.Context) (net.Conn, error), error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(withoutBrackets(address), port)
	}
	if host, _, err := net.SplitHostPort(address); err != nil || host == "" {
		return nil, fmt.Errorf("address: got %q, want HOST, HOST:PORT or NAME.NAMESPACE.svc", address)
	}
	return dialer(address), nil
}

// withoutBrackets is an IPv6 address as it stands outside of URLs.
func withoutBrackets(address string) string {
	if inner, ok := strings.CutPrefix(address, "["); ok && strings.HasSuffix(inner, "]") {
		return strings.TrimSuffix(inner, "]")
	}
	return address
}

// DialService returns a dialer for a port of a Service, through a port-forward to
// one of its ready pods. close ends the port-forward.
func (c *Cluster) DialService(ctx context.Context, address, port string) (dial func(context.Context) (net.Conn, error), close func(), err error) {
	name, namespace, ok := ServiceAddress(address)
	if !ok {
		return nil, nil, fmt.Errorf("address: got %q, want NAME.NAMESPACE.svc", address)
	}
	pod, err := c.readyPod(ctx, namespace, name)
	if err != nil {
		return nil, nil, fmt.Errorf("finding a pod of Service %s/%s: %w", namespace, name, err)
	}
	local, close, err := c.forward(ctx, pod, port)
	if err != nil {
		return nil, nil, fmt.Errorf("forwarding a port to pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return dialer(local), close, nil
}

func dialer(address string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		d := net.Dialer{Timeout: 10 * time.Second}
		return d.DialContext(ctx, "tcp", address)
	}
}

func (c *Cluster) readyPod(ctx context.Context, namespace, service string) (*corev1.Pod, error) {
	s, err := c.clientset.CoreV1().Services(namespace).Get(ctx, service, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if len(s.Spec.Selector) == 0 {
		return nil, errors.New("the Service selects no pods")
	}
	pods, err := c.clientset.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: s.Spec.Selector})})
	if err != nil {
		return nil, err
	}
	for i := range pods.Items {
		if isReady(&pods.Items[i]) {
			return &pods.Items[i], nil
		}
	}
	return nil, fmt.Errorf("none of its %d pods is ready", len(pods.Items))
}

func isReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}

// forwardTimeout bounds how long a port-forward may take to be set up.
const forwardTimeout = 20 * time.Second

func (c *Cluster) forward(ctx context.Context, pod *corev1.Pod, port string) (local string, close func(), err error) {
	roundTripper, upgrader, err := spdy.RoundTripperFor(c.config)
	if err != nil {
		return "", nil, err
	}
	url := c.clientset.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("portforward").URL()
	stop, ready, failed := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	forwarder, err := portforward.NewOnAddresses(spdy.NewDialer(upgrader, &http.Client{Transport: roundTripper}, http.MethodPost, url),
		[]string{"127.0.0.1"}, []string{"0:" + port}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		return "", nil, err
	}
	go func() { failed <- forwarder.ForwardPorts() }()
	ctx, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	select {
	case <-ready:
	case err := <-failed:
		return "", nil, err
	case <-ctx.Done():
		forwarder.Close()
		return "", nil, ctx.Err()
	}
	ports, err := forwarder.GetPorts()
	if err != nil || len(ports) != 1 {
		forwarder.Close()
		return "", nil, fmt.Errorf("no local port: %w", err)
	}
	return fmt.Sprintf("127.0.0.1:%d", ports[0].Local), forwarder.Close, nil
}
