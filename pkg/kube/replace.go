package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Replace makes an object that exists what it is in a manifest (JSON). What belongs to
// the cluster stays: further labels and annotations, addresses, the claims of a
// StatefulSet, which cannot change.
func (c *Cluster) Replace(ctx context.Context, namespace, kind string, object []byte) error {
	apps, core := c.clientset.AppsV1(), c.clientset.CoreV1()
	switch kind {
	case "StatefulSet":
		return replace(ctx, apps.StatefulSets(namespace), object, func(want, live *appsv1.StatefulSet) {
			want.Spec.VolumeClaimTemplates, want.Status = live.Spec.VolumeClaimTemplates, live.Status
		})
	case "Deployment":
		return replace(ctx, apps.Deployments(namespace), object, func(want, live *appsv1.Deployment) { want.Status = live.Status })
	case "DaemonSet":
		return replace(ctx, apps.DaemonSets(namespace), object, func(want, live *appsv1.DaemonSet) { want.Status = live.Status })
	case "ReplicaSet":
		return replace(ctx, apps.ReplicaSets(namespace), object, func(want, live *appsv1.ReplicaSet) { want.Status = live.Status })
	case "ReplicationController":
		return replace(ctx, core.ReplicationControllers(namespace), object, func(want, live *corev1.ReplicationController) { want.Status = live.Status })
	case "CronJob":
		return replace(ctx, c.clientset.BatchV1().CronJobs(namespace), object, func(want, live *batchv1.CronJob) { want.Status = live.Status })
	case "Service":
		return replace(ctx, core.Services(namespace), object, keepAddresses)
	case "ConfigMap":
		return replace(ctx, core.ConfigMaps(namespace), object, func(_, _ *corev1.ConfigMap) {})
	case "NetworkPolicy":
		return replace(ctx, c.clientset.NetworkingV1().NetworkPolicies(namespace), object, func(_, _ *networkingv1.NetworkPolicy) {})
	case "PodDisruptionBudget":
		return replace(ctx, c.clientset.PolicyV1().PodDisruptionBudgets(namespace), object, func(want, live *policyv1.PodDisruptionBudget) { want.Status = live.Status })
	}
	return fmt.Errorf("this program replaces no objects of the kind %s", kind)
}

// client is what the API has for each kind.
type client[T any] interface {
	Get(ctx context.Context, name string, o metav1.GetOptions) (T, error)
	Update(ctx context.Context, object T, o metav1.UpdateOptions) (T, error)
}

// object is a pointer to one of the API's types.
type object[T any] interface {
	*T
	metav1.Object
}

func replace[T any, P object[T]](ctx context.Context, c client[P], text []byte, keep func(want, live P)) error {
	want := P(new(T))
	if err := json.Unmarshal(text, want); err != nil {
		return err
	}
	live, err := c.Get(ctx, want.GetName(), metav1.GetOptions{})
	if err != nil {
		return err
	}
	labels, annotations := maps.Clone(live.GetLabels()), maps.Clone(live.GetAnnotations())
	if labels == nil {
		labels = map[string]string{}
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	maps.Copy(labels, want.GetLabels())
	maps.Copy(annotations, want.GetAnnotations())
	want.SetLabels(labels)
	want.SetAnnotations(annotations)
	want.SetNamespace(live.GetNamespace())
	want.SetUID(live.GetUID())
	want.SetResourceVersion(live.GetResourceVersion()) // refused if somebody else changes it meanwhile
	want.SetOwnerReferences(live.GetOwnerReferences())
	want.SetFinalizers(live.GetFinalizers())
	keep(want, live)
	_, err = c.Update(ctx, want, metav1.UpdateOptions{FieldManager: "confidb"})
	return err
}

// keepAddresses keeps what the cluster gave to a Service, where the manifest leaves it
// to the cluster.
func keepAddresses(want, live *corev1.Service) {
	want.Status = live.Status
	if want.Spec.ClusterIP == "" && live.Spec.ClusterIP != corev1.ClusterIPNone && live.Spec.Type != corev1.ServiceTypeExternalName {
		want.Spec.ClusterIP, want.Spec.ClusterIPs = live.Spec.ClusterIP, live.Spec.ClusterIPs
		want.Spec.IPFamilies, want.Spec.IPFamilyPolicy = live.Spec.IPFamilies, live.Spec.IPFamilyPolicy
	}
	for i := range want.Spec.Ports {
		for _, p := range live.Spec.Ports {
			port := &want.Spec.Ports[i]
			nodePorts := want.Spec.Type == corev1.ServiceTypeNodePort || want.Spec.Type == corev1.ServiceTypeLoadBalancer
			if port.NodePort == 0 && port.Port == p.Port && nodePorts {
				port.NodePort = p.NodePort
			}
		}
	}
}
