package kube

import (
	"net"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

func TestServiceAddress(t *testing.T) {
	for _, address := range []string{"cas.scone-system.svc", "cas.scone-system.svc:8081", "cas.scone-system.svc.cluster.local", "cas.scone-system.svc.cluster.local:8081"} {
		name, namespace, ok := ServiceAddress(address)
		if !ok || name != "cas" || namespace != "scone-system" {
			t.Errorf("%s: got %q, %q, %v", address, name, namespace, ok)
		}
	}
	for _, address := range []string{"", "cas", "cas.example.org", "127.0.0.1:8081", "svc.a.b", ".b.svc", "a..svc", "[::1]:8081"} {
		if name, namespace, ok := ServiceAddress(address); ok {
			t.Errorf("%s: got %q, %q", address, name, namespace)
		}
	}
}

func TestDirectRefuses(t *testing.T) {
	for _, address := range []string{"", ":8081"} {
		if _, err := Direct(address, "8081"); err == nil {
			t.Errorf("%q is an address", address)
		}
	}
}

func TestAddressesOfIPv6(t *testing.T) {
	for _, address := range []string{"::1", "[::1]", "[::1]:8081", "fd00::1", "localhost", "10.0.0.1"} {
		if _, err := Direct(address, "8081"); err != nil {
			t.Errorf("%s: %v", address, err)
		}
		got := net.JoinHostPort(withoutBrackets(address), "1")
		if strings.HasPrefix(address, "[") && !strings.HasSuffix(address, "]") {
			continue // it has a port of its own
		}
		if _, _, err := net.SplitHostPort(got); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestReadyPod(t *testing.T) {
	service := func(selector map[string]string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "cas", Namespace: namespace}, Spec: corev1.ServiceSpec{Selector: selector}}
	}
	c, _ := newFake(service(labels()), pod("a"), readyPodOf("b"))
	if p, err := c.readyPod(t.Context(), namespace, "cas"); err != nil || p.Name != "b" {
		t.Errorf("got %v, %v", p, err)
	}
	for want, c := range map[string]*Cluster{
		"none of its 1 pods is ready": first(newFake(service(labels()), pod("a"))),
		"none of its 0 pods is ready": first(newFake(service(labels()))),
		"the Service selects no pods": first(newFake(service(nil), readyPodOf("b"))),
		`services "cas" not found`:    first(newFake(readyPodOf("b"))),
	} {
		_, _, err := c.DialService(t.Context(), "cas.shop.svc", "8081")
		if err == nil || err.Error() != "finding a pod of Service shop/cas: "+want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, _, err := c.DialService(t.Context(), "cas.example.org", "8081"); err == nil || !strings.Contains(err.Error(), "want NAME.NAMESPACE.svc") {
		t.Errorf("got %v", err)
	}
}

func first[A, B any](a A, _ B) A { return a }

func TestID(t *testing.T) {
	id := func(config rest.Config) string {
		t.Helper()
		text, err := (&Cluster{config: &config}).ID()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	private := rest.Config{Host: "https://a", TLSClientConfig: rest.TLSClientConfig{CAData: []byte("authority")}}
	moved := private
	moved.Host = "https://b"
	if id(private) != id(moved) {
		t.Error("another address of the same cluster is another cluster")
	}
	if id(rest.Config{Host: "https://a"}) == id(rest.Config{Host: "https://b"}) {
		t.Error("two clusters under public authorities are one")
	}
	if _, err := (&Cluster{config: &rest.Config{TLSClientConfig: rest.TLSClientConfig{CAFile: "/does/not/exist"}}}).ID(); err == nil {
		t.Error("an authority that cannot be read was left out")
	}
}
