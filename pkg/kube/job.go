package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/topology"
)

// Client is one run of a program of the client session, as a Job.
type Client struct {
	// Name is the beginning of the Job's name; the cluster completes it.
	Name, Namespace string
	// How says how clients of this database are started.
	How topology.Pod
	// Program is started, with arguments and environment that the session decides.
	Program string
	// Environment are further variables of the host, such as SCONE_CONFIG_ID. They
	// are not secret.
	Environment map[string]string
	// Interactive makes the pod wait for Exec, which starts the program.
	Interactive bool
	// Nodes are the machines on which it may run; empty means any. A machine that
	// runs the database is one that the sessions admit.
	Nodes []string
	// Reader makes it no attested client: a script that reads a volume in clear, in the same
	// image; nil means a client.
	Reader *Reader
	// Lifetime ends the program whatever happens.
	Lifetime time.Duration
	// Tell is told what keeps it from starting; nil means nobody is.
	Tell func(text string)
}

// clientUser is the uid and gid of the pods; our images give it no privilege.
const clientUser = 101

// jobAge is how long a finished Job stays when this program was killed before it
// could remove it.
const jobAge = 15 // seconds

const containerName = "client"

func (d Client) job() *batchv1.Job {
	once, age, lifetime := int32(0), int32(jobAge), int64(d.Lifetime.Seconds())
	labels := map[string]string{"app.kubernetes.io/managed-by": "confidb", "app.kubernetes.io/name": d.Name}
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{GenerateName: d.Name + "-", Namespace: d.Namespace, Labels: labels},
		Spec: batchv1.JobSpec{
			BackoffLimit: &once, TTLSecondsAfterFinished: &age, ActiveDeadlineSeconds: &lifetime,
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: d.podSpec()},
		},
	}
}

func (d Client) podSpec() corev1.PodSpec {
	user, yes, no := int64(clientUser), true, false
	var secrets []corev1.LocalObjectReference
	for _, s := range d.How.PullSecrets {
		secrets = append(secrets, corev1.LocalObjectReference{Name: s})
	}
	placed := d.How.Placement
	if len(d.Nodes) > 0 { // they are chosen already, such as one that the chart has left
		placed.NodeSelector = nil
	}
	spec := corev1.PodSpec{
		RestartPolicy:                corev1.RestartPolicyNever,
		Affinity:                     onNodes(d.Nodes, placed.NodeAffinity),
		Tolerations:                  placed.Tolerations,
		NodeSelector:                 placed.NodeSelector,
		SchedulerName:                placed.Scheduler,
		RuntimeClassName:             placed.RuntimeClass,
		PriorityClassName:            placed.PriorityClass,
		ServiceAccountName:           placed.ServiceAccount,
		AutomountServiceAccountToken: &no,
		EnableServiceLinks:           &no,
		ImagePullSecrets:             secrets,
		SecurityContext:              &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user, FSGroup: &user, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
		Containers: []corev1.Container{{
			Name:            containerName,
			Image:           d.How.Image,
			Command:         d.command(),
			Env:             d.environment(),
			Stdin:           d.Interactive,
			StdinOnce:       d.Interactive,
			Resources:       d.resources(),
			SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
			VolumeMounts:    []corev1.VolumeMount{{Name: "enclave", MountPath: "/run/confidb"}},
		}},
		// where the lab keeps injected files; an enclave keeps them in its own memory
		Volumes: []corev1.Volume{{Name: "enclave", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}}},
	}
	if d.Reader != nil {
		d.Reader.replace(&spec, corev1.ResourceName(d.How.SGXResource))
	}
	return spec
}

// program is what is attested.
func (d Client) program() []string { return append(slices.Clone(d.How.Command), d.Program) }

// command is what the container starts. An interactive one waits, in clear, until its
// standard input ends: the kubelet keeps what a container writes in a file on the node,
// but not what a program writes that is started in the container.
func (d Client) command() []string {
	if d.Interactive {
		return []string{"cat"}
	}
	return d.program()
}

// resources are what the cluster asks for, and access to SGX.
func (d Client) resources() corev1.ResourceRequirements {
	r := *d.How.Placement.Resources.DeepCopy()
	if _, given := r.Limits[corev1.ResourceName(d.How.SGXResource)]; !given {
		if r.Limits == nil {
			r.Limits = corev1.ResourceList{}
		}
		r.Limits[corev1.ResourceName(d.How.SGXResource)] = resource.MustParse("1")
	}
	return r
}

// onNodes lets a pod run on nodes of these names; without any, on those that the chart
// wants.
func onNodes(names []string, otherwise *corev1.NodeAffinity) *corev1.Affinity {
	if len(names) == 0 && otherwise == nil {
		return nil
	}
	if len(names) == 0 {
		return &corev1.Affinity{NodeAffinity: otherwise}
	}
	var terms []corev1.NodeSelectorTerm // one each: a field takes one value only
	for _, name := range names {
		terms = append(terms, corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{
			{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{name}},
		}})
	}
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms}}}
}

func (d Client) environment() []corev1.EnvVar {
	all := maps.Clone(d.How.Environment)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, d.Environment)
	variables := []corev1.EnvVar{{Name: "SCONE_LAS_ADDR", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.hostIP"}}}}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		variables = append(variables, corev1.EnvVar{Name: name, Value: all[name]})
	}
	return variables
}

// maxLog bounds what is read of a pod's output, in bytes.
const maxLog = 12 << 20

// ExitError means that a program of the client session ended with a failure.
type ExitError struct {
	Code int32
	// Output is what it wrote, unless that was shown already.
	Output string
}

func (e *ExitError) Error() string {
	if e.Output == "" {
		return fmt.Sprintf("the client ended with exit code %d", e.Code)
	}
	return fmt.Sprintf("the client ended with exit code %d; peer says: %s", e.Code, e.Output)
}

// Run starts the client, waits for its end and returns what it wrote. The Job is
// deleted whatever happens.
func (c *Cluster) Run(ctx context.Context, d Client) ([]byte, error) {
	job, remove, err := c.start(ctx, d)
	if err != nil {
		return nil, err
	}
	defer remove()
	ended, err := c.await(ctx, job, d.Tell, finished)
	if err != nil {
		return nil, err
	}
	return c.outcome(ctx, ended)
}

func finished(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

func (c *Cluster) outcome(ctx context.Context, pod *corev1.Pod) ([]byte, error) {
	output, err := c.log(ctx, pod, containerName)
	if err != nil {
		return nil, err
	}
	if pod.Status.Phase == corev1.PodFailed {
		return nil, &ExitError{Code: exitCode(pod), Output: tail(output)}
	}
	return output, nil
}

func (c *Cluster) start(ctx context.Context, d Client) (*batchv1.Job, func(), error) {
	job, err := c.clientset.BatchV1().Jobs(d.Namespace).Create(ctx, d.job(), metav1.CreateOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("creating a Job in namespace %s: %w", d.Namespace, err)
	}
	remove := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		grace, background := int64(0), metav1.DeletePropagationBackground
		_ = c.clientset.BatchV1().Jobs(job.Namespace).Delete(ctx, job.Name, metav1.DeleteOptions{GracePeriodSeconds: &grace, PropagationPolicy: &background}) // its age ends it too
	}
	return job, remove, nil
}

// await waits until the pod of a Job is as wanted, and returns it. When ctx ends
// first, or the pod cannot start, the error says what it was waiting for. tell is told
// what is in the way meanwhile; nil means nobody is.
func (c *Cluster) await(ctx context.Context, job *batchv1.Job, tell func(string), wanted func(*corev1.Pod) bool) (*corev1.Pod, error) {
	pods := c.clientset.CoreV1().Pods(job.Namespace)
	selector := "batch.kubernetes.io/job-name=" + job.Name
	watcher := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = selector
			return pods.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = selector
			return pods.Watch(ctx, o)
		},
	}
	watched, stop := context.WithCancelCause(ctx)
	looking := c.watchObstacles(watched, stop, job, selector, tell)
	var last *corev1.Pod
	_, err := watchtools.UntilWithSync(watched, watcher, &corev1.Pod{}, nil, func(event watch.Event) (bool, error) {
		p, ok := event.Object.(*corev1.Pod)
		if !ok {
			return false, nil
		}
		if last = p; event.Type == watch.Deleted {
			return false, errors.New("it was deleted by somebody else")
		}
		if wanted(p) {
			return true, nil
		}
		return false, hopeless(p)
	})
	stop(nil)
	said := <-looking
	if stuck, ok := errors.AsType[*StuckError](context.Cause(watched)); ok && err != nil {
		err = stuck
	}
	switch {
	case err == nil:
		return last, nil
	case last == nil && said != "" && ctx.Err() != nil:
		return nil, fmt.Errorf("waiting for the pod of Job %s/%s (%s): %w", job.Namespace, job.Name, said, err)
	case last == nil:
		return nil, fmt.Errorf("waiting for the pod of Job %s/%s: %w", job.Namespace, job.Name, err)
	}
	return nil, fmt.Errorf("waiting for pod %s/%s (%s): %w", last.Namespace, last.Name, state(last), err)
}

// watchObstacles looks, until ctx ends, for what keeps the pod of a Job from starting: it
// tells it, and stops the wait for what will not pass. At the end it yields what was in
// the way last.
func (c *Cluster) watchObstacles(ctx context.Context, stop context.CancelCauseFunc, job *batchv1.Job, selector string, tell func(string)) <-chan string {
	said := make(chan string, 1)
	go func() {
		w := &waiting{}
		_ = wait.PollUntilContextCancel(ctx, pollEvery, false, func(ctx context.Context) (bool, error) {
			pods, err := c.clientset.CoreV1().Pods(job.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
			if err != nil {
				return false, nil // the wait itself meets it as well
			}
			before := w.last
			err = w.look(c.obstacleOf(ctx, w, job.Namespace, "Job", job.Name, pods.Items))
			if w.last != before && w.last != "" && tell != nil {
				tell(w.last)
			}
			if err != nil {
				stop(err)
			}
			return err != nil, nil
		})
		said <- w.last
	}()
	return said
}

// hopeless is an error if a pod waits for something that does not come by itself.
func hopeless(p *corev1.Pod) error {
	if o := podObstacle(p); o.text != "" && o.bears == 0 {
		return &StuckError{o.text, o.hint}
	}
	return nil
}

// state says in a few words why a pod is where it is.
func state(pod *corev1.Pod) string {
	if ending(*pod) {
		return "told to end"
	}
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if w := s.State.Waiting; w != nil && w.Reason != "" && w.Reason != "PodInitializing" {
			return strings.TrimSpace(w.Reason + " " + w.Message)
		}
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Status == corev1.ConditionFalse && condition.Message != "" {
			return condition.Reason + ": " + condition.Message
		}
	}
	return string(pod.Status.Phase)
}

func exitCode(pod *corev1.Pod) int32 {
	for _, s := range pod.Status.ContainerStatuses {
		if s.State.Terminated != nil {
			return s.State.Terminated.ExitCode
		}
	}
	return -1
}

func (c *Cluster) log(ctx context.Context, pod *corev1.Pod, container string) ([]byte, error) {
	stream, err := c.clientset.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: container}).Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the output of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	defer stream.Close()
	return io.ReadAll(io.LimitReader(stream, maxLog))
}

// maxTail bounds how much of an output an error message shows, in bytes.
const maxTail = 2000

// tail returns the end of an output, for an error message.
func tail(output []byte) string {
	return check.SaidLines(string(output[max(0, len(output)-maxTail):]))
}
