package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
)

// Client describes a pod that runs one service of the client session.
type Client struct {
	// Name is the beginning of the pod's name; the cluster completes it.
	Name, Namespace string
	// Image, PullSecrets and Command say what is started. Command begins with
	// the runtime, if one is needed.
	Image       string
	PullSecrets []string
	Command     []string
	// Environment are the variables of the host, such as SCONE_CONFIG_ID. They are not secret.
	Environment map[string]string
	// SGXResource is the resource that gives a pod access to SGX, such as sgx.intel.com/enclave.
	SGXResource string
	// Interactive keeps standard input open; Terminal makes it a terminal.
	Interactive, Terminal bool
}

// clientUser is the uid and gid of the pods; our images give it no privilege.
const clientUser = 101

// pod renders the description.
func (d Client) pod() *corev1.Pod {
	user, yes, no := int64(clientUser), true, false
	environment := []corev1.EnvVar{{Name: "SCONE_LAS_ADDR", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.hostIP"}}}}
	for _, name := range sortedKeys(d.Environment) {
		environment = append(environment, corev1.EnvVar{Name: name, Value: d.Environment[name]})
	}
	var secrets []corev1.LocalObjectReference
	for _, s := range d.PullSecrets {
		secrets = append(secrets, corev1.LocalObjectReference{Name: s})
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: d.Name + "-", Namespace: d.Namespace, Labels: map[string]string{"app.kubernetes.io/managed-by": "confidb", "app.kubernetes.io/name": d.Name}},
		Spec: corev1.PodSpec{
			RestartPolicy:                corev1.RestartPolicyNever,
			AutomountServiceAccountToken: &no,
			EnableServiceLinks:           &no,
			ImagePullSecrets:             secrets,
			SecurityContext:              &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user, FSGroup: &user, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers: []corev1.Container{{
				Name:            "client",
				Image:           d.Image,
				Command:         d.Command,
				Env:             environment,
				Stdin:           d.Interactive,
				StdinOnce:       d.Interactive,
				TTY:             d.Terminal,
				Resources:       corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceName(d.SGXResource): resource.MustParse("1")}},
				SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
				VolumeMounts:    []corev1.VolumeMount{{Name: "enclave", MountPath: "/run/confidb"}},
			}},
			// where the lab keeps injected files; an enclave keeps them in its own memory
			Volumes: []corev1.Volume{{Name: "enclave", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}}},
		},
	}
}

// maxLog bounds what is read of a pod's output, in bytes.
const maxLog = 4 << 20

// ExitError means that a pod of ours ended with a failure.
type ExitError struct {
	Code   int32
	Output string
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("the client ended with exit code %d; peer says: %s", e.Code, e.Output)
}

// Run starts the client, waits for its end and returns what it wrote. The pod is
// deleted whatever happens.
func (c *Cluster) Run(ctx context.Context, d Client) ([]byte, error) {
	pod, remove, err := c.start(ctx, d)
	if err != nil {
		return nil, err
	}
	defer remove()
	ended, err := c.await(ctx, pod, func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
	if err != nil {
		return nil, err
	}
	output, err := c.log(ctx, pod)
	if err != nil {
		return nil, err
	}
	if ended.Status.Phase == corev1.PodFailed {
		return nil, &ExitError{Code: exitCode(ended), Output: tail(output)}
	}
	return output, nil
}

// Attach starts an interactive client and connects it to the streams until it ends.
func (c *Cluster) Attach(ctx context.Context, d Client, options remotecommand.StreamOptions) error {
	pod, remove, err := c.start(ctx, d)
	if err != nil {
		return err
	}
	defer remove()
	running, err := c.await(ctx, pod, func(p *corev1.Pod) bool { return p.Status.Phase != corev1.PodPending })
	if err != nil {
		return err
	}
	if running.Status.Phase == corev1.PodRunning {
		if err := c.attach(ctx, pod, d.Terminal, options); err != nil {
			return err
		}
	}
	ended, err := c.await(ctx, pod, func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
	if err != nil {
		return err
	}
	if ended.Status.Phase == corev1.PodFailed {
		output, _ := c.log(ctx, pod)
		return &ExitError{Code: exitCode(ended), Output: tail(output)}
	}
	return nil
}

func (c *Cluster) attach(ctx context.Context, pod *corev1.Pod, terminal bool, options remotecommand.StreamOptions) error {
	request := c.clientset.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("attach").
		VersionedParams(&corev1.PodAttachOptions{Container: "client", Stdin: true, Stdout: true, Stderr: !terminal, TTY: terminal}, scheme.ParameterCodec)
	executor, err := remotecommand.NewSPDYExecutor(c.config, "POST", request.URL())
	if err != nil {
		return fmt.Errorf("attaching to pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	if err := executor.StreamWithContext(ctx, options); err != nil {
		return fmt.Errorf("attaching to pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return nil
}

func (c *Cluster) start(ctx context.Context, d Client) (*corev1.Pod, func(), error) {
	pod, err := c.clientset.CoreV1().Pods(d.Namespace).Create(ctx, d.pod(), metav1.CreateOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("creating a pod in namespace %s: %w", d.Namespace, err)
	}
	remove := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		grace := int64(0)
		_ = c.clientset.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &grace}) // it ends by itself too
	}
	return pod, remove, nil
}

// await watches a pod until done says so, and returns its last state. When ctx
// ends first, the error says what the pod was waiting for.
func (c *Cluster) await(ctx context.Context, pod *corev1.Pod, done func(*corev1.Pod) bool) (*corev1.Pod, error) {
	last := pod
	for {
		current, err := c.clientset.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return nil, c.waitError(last, err)
		}
		if last = current; done(last) {
			return last, nil
		}
		watcher, err := c.clientset.CoreV1().Pods(pod.Namespace).Watch(ctx, metav1.SingleObject(metav1.ObjectMeta{Name: pod.Name, ResourceVersion: last.ResourceVersion}))
		if err != nil {
			return nil, c.waitError(last, err)
		}
		for event := range watcher.ResultChan() {
			p, ok := event.Object.(*corev1.Pod)
			if !ok || event.Type == watch.Deleted {
				break
			}
			if last = p; done(last) {
				watcher.Stop()
				return last, nil
			}
		}
		watcher.Stop()
		if ctx.Err() != nil {
			return nil, c.waitError(last, ctx.Err())
		}
	}
}

func (c *Cluster) waitError(pod *corev1.Pod, err error) error {
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("pod %s/%s was deleted by somebody else", pod.Namespace, pod.Name)
	}
	return fmt.Errorf("waiting for pod %s/%s (%s): %w", pod.Namespace, pod.Name, state(pod), err)
}

// state says in a few words why a pod is where it is.
func state(pod *corev1.Pod) string {
	for _, s := range pod.Status.ContainerStatuses {
		if s.State.Waiting != nil && s.State.Waiting.Reason != "" {
			return s.State.Waiting.Reason + " " + s.State.Waiting.Message
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

func (c *Cluster) log(ctx context.Context, pod *corev1.Pod) ([]byte, error) {
	stream, err := c.clientset.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the output of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	defer stream.Close()
	return io.ReadAll(io.LimitReader(stream, maxLog))
}

// tail returns the end of an output, for an error message.
func tail(output []byte) string {
	output = bytes.TrimSpace(output)
	return string(output[max(0, len(output)-2000):])
}
