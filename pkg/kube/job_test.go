package kube

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/confidb/confidb/pkg/topology"
)

func probe() Client {
	return Client{
		Name: "confidb-probe", Namespace: namespace, Program: "confidb-probe", Lifetime: 4 * time.Minute,
		Environment: map[string]string{"SCONE_CONFIG_ID": "shop/client/probe"},
		How: topology.Pod{
			Image: "db:1", PullSecrets: []string{"registry"}, Command: []string{"scone", "run"}, SGXResource: "sgx.intel.com/enclave",
			Environment: map[string]string{"SCONE_HEAP": "1G", "SCONE_CONFIG_ID": "shop/db/mariadbd"},
		},
	}
}

func TestJob(t *testing.T) {
	d := probe()
	j := d.job()
	if j.Name != "" || j.GenerateName != "confidb-probe-" || j.Namespace != namespace || j.Labels["app.kubernetes.io/managed-by"] != "confidb" {
		t.Errorf("metadata %+v", j.ObjectMeta)
	}
	if *j.Spec.BackoffLimit != 0 || *j.Spec.TTLSecondsAfterFinished != jobAge || *j.Spec.ActiveDeadlineSeconds != 240 {
		t.Errorf("limits %+v", j.Spec)
	}
	spec := j.Spec.Template.Spec
	if spec.RestartPolicy != corev1.RestartPolicyNever || *spec.AutomountServiceAccountToken || *spec.EnableServiceLinks || spec.HostNetwork || spec.HostPID || spec.HostIPC {
		t.Errorf("pod %+v", spec)
	}
	if s := spec.SecurityContext; !*s.RunAsNonRoot || *s.RunAsUser == 0 || *s.RunAsGroup == 0 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("security %+v", s)
	}
	if diff := cmp.Diff([]corev1.LocalObjectReference{{Name: "registry"}}, spec.ImagePullSecrets); diff != "" {
		t.Error(diff)
	}
	if len(spec.Containers) != 1 || len(spec.InitContainers) != 0 {
		t.Fatalf("containers %+v", spec.Containers)
	}
	c := spec.Containers[0]
	if s := c.SecurityContext; *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || s.Privileged != nil || len(s.Capabilities.Add) != 0 || len(s.Capabilities.Drop) != 1 || s.Capabilities.Drop[0] != "ALL" {
		t.Errorf("security of the container %+v", s)
	}
	if diff := cmp.Diff([]string{"scone", "run", "confidb-probe"}, c.Command); diff != "" || c.Args != nil || c.Image != "db:1" {
		t.Errorf("%s %q %q", diff, c.Args, c.Image)
	}
	if one := c.Resources.Limits["sgx.intel.com/enclave"]; one.String() != "1" || len(c.Resources.Limits) != 1 {
		t.Errorf("limits %v", c.Resources.Limits)
	}
	want := []corev1.EnvVar{
		{Name: "SCONE_LAS_ADDR", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.hostIP"}}},
		{Name: "SCONE_CONFIG_ID", Value: "shop/client/probe"}, {Name: "SCONE_HEAP", Value: "1G"},
	}
	if diff := cmp.Diff(want, c.Env); diff != "" {
		t.Error(diff)
	}
	if c.Stdin || c.StdinOnce || c.TTY {
		t.Error("nobody types into a probe")
	}
	if d.How.Environment["SCONE_CONFIG_ID"] != "shop/db/mariadbd" || len(d.How.Command) != 2 {
		t.Errorf("the caller's settings were changed: %+v", d.How)
	}
}

// Nothing of the cluster's secrets or disks gets into the pod.
func TestJobMountsMemoryOnly(t *testing.T) {
	d := probe()
	d.Interactive = true
	spec := d.job().Spec.Template.Spec
	if len(spec.Volumes) != 1 || spec.Volumes[0].EmptyDir == nil || spec.Volumes[0].EmptyDir.Medium != corev1.StorageMediumMemory {
		t.Errorf("volumes %+v", spec.Volumes)
	}
	c := spec.Containers[0]
	if !c.Stdin || !c.StdinOnce || c.TTY || len(c.EnvFrom) != 0 {
		t.Errorf("container %+v", c)
	}
	text, err := json.Marshal(d.job())
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"secretKeyRef", "secretRef", "secretName", "configMap", "hostPath", "serviceAccountName"} {
		if strings.Contains(string(text), word) {
			t.Errorf("the Job has a %s: %s", word, text)
		}
	}
}

// What the container itself writes stays on the node: the program that answers is none of it.
func TestInteractiveJobSaysNothing(t *testing.T) {
	d := probe()
	d.Interactive = true
	if diff := cmp.Diff([]string{"cat"}, d.podSpec().Containers[0].Command); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"scone", "run", "confidb-probe"}, d.program()); diff != "" {
		t.Error(diff)
	}
}

func TestJobRunsWhereTheSessionsAdmitIt(t *testing.T) {
	d := probe()
	if a := d.podSpec().Affinity; a != nil {
		t.Errorf("without nodes: got %+v", a)
	}
	d.Nodes = []string{"node-1", "node-2"}
	required := d.podSpec().Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	var got []string
	for _, term := range required.NodeSelectorTerms {
		if len(term.MatchFields) != 1 || len(term.MatchExpressions) != 0 || term.MatchFields[0].Key != "metadata.name" || term.MatchFields[0].Operator != corev1.NodeSelectorOpIn {
			t.Fatalf("term %+v", term)
		}
		got = append(got, term.MatchFields[0].Values...)
	}
	if diff := cmp.Diff(d.Nodes, got); diff != "" || len(required.NodeSelectorTerms) != 2 {
		t.Errorf("%d terms: %s", len(required.NodeSelectorTerms), diff)
	}
}

// TestJobIsPlacedAsTheDatabase: what the cluster asks of the database's pods it asks of
// clients, which bind themselves to the nodes that the sessions admit where they are known.
func TestJobIsPlacedAsTheDatabase(t *testing.T) {
	d := probe()
	class := "kata"
	zone := &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{}}}}
	d.How.Placement = topology.Placement{
		Tolerations: []corev1.Toleration{{Key: "sgx"}}, NodeSelector: map[string]string{"a": "b"}, NodeAffinity: zone, Scheduler: "other", RuntimeClass: &class,
		PriorityClass: "high", ServiceAccount: "db",
		Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{"memory": resource.MustParse("1Gi")}, Requests: corev1.ResourceList{"memory": resource.MustParse("128Mi")}},
	}
	spec := d.podSpec()
	if len(spec.Tolerations) != 1 || spec.NodeSelector["a"] != "b" || spec.Affinity.NodeAffinity != zone || spec.SchedulerName != "other" || *spec.RuntimeClassName != class || spec.PriorityClassName != "high" || spec.ServiceAccountName != "db" {
		t.Errorf("got %+v", spec)
	}
	if *spec.AutomountServiceAccountToken {
		t.Error("the client gets a token of the service account")
	}
	r := spec.Containers[0].Resources
	memory, sgx, asked := r.Limits["memory"], r.Limits["sgx.intel.com/enclave"], r.Requests["memory"]
	if memory.String() != "1Gi" || sgx.String() != "1" || asked.String() != "128Mi" || len(r.Limits) != 2 {
		t.Errorf("got %+v", r)
	}
	if _, changed := d.How.Placement.Resources.Limits["sgx.intel.com/enclave"]; changed {
		t.Error("the caller's settings were changed")
	}
	d.Nodes = []string{"node-1"}
	if a := d.podSpec().Affinity.NodeAffinity; a == zone || a.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields == nil {
		t.Errorf("got %+v, want the node by name", a)
	}
	if got := d.podSpec().NodeSelector; got != nil {
		t.Errorf("got the selector %v, which may keep the client from that node", got)
	}
}

func TestJobWithoutSettings(t *testing.T) {
	c := Client{Program: "p"}.podSpec().Containers[0]
	if diff := cmp.Diff([]string{"p"}, c.Command); diff != "" || len(c.Env) != 1 {
		t.Errorf("%s %+v", diff, c.Env)
	}
}

func TestHopeless(t *testing.T) {
	for reason, want := range map[string]bool{
		"ImagePullBackOff": true, "InvalidImageName": true, "ErrImageNeverPull": true, "CreateContainerConfigError": true,
		"ErrImagePull": false, "ContainerCreating": false, "CrashLoopBackOff": false, "PodInitializing": false,
	} {
		normal := pod("p", corev1.ContainerStatus{Name: "other", Ready: true}, waitingBecause(reason, "canary"))
		init := pod("p")
		init.Status.InitContainerStatuses = []corev1.ContainerStatus{waitingBecause(reason, "")}
		for _, p := range []*corev1.Pod{normal, init} {
			err := hopeless(p)
			if (err != nil) != want || err != nil && err.Error() != "container mariadb cannot start: "+reason {
				t.Errorf("%s: got %v, want an error %v", reason, err, want)
			}
		}
	}
	if err := hopeless(readyPodOf("p")); err != nil {
		t.Error(err)
	}
}

// starts makes the cluster run a Job: it gives it a name and the pod.
func starts(clientset *fake.Clientset, change func(*corev1.Pod)) {
	clientset.PrependReactor("create", "jobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
		job := action.(clienttesting.CreateAction).GetObject().(*batchv1.Job).DeepCopy()
		job.Name = job.GenerateName + "x1"
		p := pod(job.Name + "-pod")
		p.Labels = map[string]string{"batch.kubernetes.io/job-name": job.Name}
		change(p)
		if err := clientset.Tracker().Create(corev1.SchemeGroupVersion.WithResource("pods"), p, namespace); err != nil {
			return true, nil, err
		}
		return true, job, clientset.Tracker().Create(batchv1.SchemeGroupVersion.WithResource("jobs"), job, namespace)
	})
}

func ended(phase corev1.PodPhase, code int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Phase, p.Status.ContainerStatuses = phase, []corev1.ContainerStatus{terminated(code, 0)}
	}
}

func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(*corev1.Pod)
		out, err string
	}{
		"it succeeds":      {ended(corev1.PodSucceeded, 0), "fake logs", ""},
		"it fails":         {ended(corev1.PodFailed, 3), "", "the client ended with exit code 3; peer says: fake logs"},
		"no exit code":     {func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, "", "the client ended with exit code -1; peer says: fake logs"},
		"it cannot start":  {func(p *corev1.Pod) { *p = withStatus(p, waitingBecause("InvalidImageName", "")) }, "", "waiting for pod shop/confidb-probe-x1-pod (InvalidImageName): container mariadb cannot start: InvalidImageName"},
		"it never ends":    {func(p *corev1.Pod) { *p = withStatus(p, waitingBecause("ContainerCreating", "")) }, "", "waiting for pod shop/confidb-probe-x1-pod (ContainerCreating): "},
		"there is no such": {func(p *corev1.Pod) { p.Labels = nil }, "", "waiting for the pod of Job shop/confidb-probe-x1: "},
	} {
		t.Run(name, func(t *testing.T) {
			cluster, clientset := newFake()
			starts(clientset, c.change)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			out, err := cluster.Run(ctx, probe())
			if string(out) != c.out || (err == nil) != (c.err == "") || err != nil && !strings.HasPrefix(err.Error(), c.err) {
				t.Errorf("got %q, %v, want %q, %s", out, err, c.out, c.err)
			}
			left, err := clientset.BatchV1().Jobs(namespace).List(t.Context(), metav1.ListOptions{})
			if err != nil || len(left.Items) != 0 {
				t.Errorf("%d Jobs are left (%v)", len(left.Items), err)
			}
		})
	}
}

func withStatus(p *corev1.Pod, s corev1.ContainerStatus) corev1.Pod {
	p.Status.ContainerStatuses = []corev1.ContainerStatus{s}
	return *p
}

func TestRunMayNotCreateJobs(t *testing.T) {
	cluster, clientset := newFake()
	clientset.PrependReactor("create", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(batchv1.Resource("jobs"), "", errors.New("no"))
	})
	_, err := cluster.Run(t.Context(), probe())
	if !apierrors.IsForbidden(errors.Unwrap(err)) || !strings.HasPrefix(err.Error(), "creating a Job in namespace shop: ") {
		t.Errorf("got %v", err)
	}
}

func TestTail(t *testing.T) {
	long := strings.Repeat("x", 3000) + "\x1b[1mthe end\r\n\n"
	got := tail([]byte(long))
	if len(got) > 2000 || !strings.HasSuffix(got, "xxthe end") {
		t.Errorf("got %d bytes that end in %q", len(got), got[len(got)-20:])
	}
	if got := tail([]byte("a\nb\tc\n")); got != "a\nb c" {
		t.Errorf("got %q", got)
	}
	if got := tail(nil); got != "" {
		t.Errorf("got %q", got)
	}
}
