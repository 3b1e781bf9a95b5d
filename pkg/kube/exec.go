package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
)

// startTimeout bounds how long the pod of an interactive client may take to start.
const startTimeout = 2 * time.Minute

// Exec starts the program of an interactive client and connects it to the streams
// until it ends; an exit code other than 0 is an ExitError. The streams pass through
// the API server and the kubelet, and nobody is asked to keep them. The image must
// have the program cat. It is no method, as those are linked into every program that
// uses a Cluster through an interface, and what it needs is large.
func Exec(ctx context.Context, c *Cluster, d Client, streams remotecommand.StreamOptions) error {
	job, remove, err := c.start(ctx, d)
	if err != nil {
		return err
	}
	defer remove()
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	pod, err := c.await(starting, job, d.Tell, func(p *corev1.Pod) bool { return p.Status.Phase != corev1.PodPending })
	if err != nil {
		return err
	}
	if pod.Status.Phase != corev1.PodRunning {
		_, err := c.outcome(ctx, pod)
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	go c.hold(ctx, pod, end)
	return c.exec(ctx, pod, d.program(), streams)
}

// hold keeps the standard input of the waiting container open: when whoever holds it
// is gone, the container ends, and with it what was started in it.
func (c *Cluster) hold(ctx context.Context, pod *corev1.Pod, failed context.CancelCauseFunc) {
	silence, silent := io.Pipe()
	defer silent.Close()
	options := &corev1.PodAttachOptions{Container: containerName, Stdin: true}
	if err := c.stream(ctx, pod, "attach", options, remotecommand.StreamOptions{Stdin: silence}); err != nil && ctx.Err() == nil {
		failed(fmt.Errorf("attaching to pod %s/%s: %w", pod.Namespace, pod.Name, err))
	}
}

// exec runs a program in the waiting container.
func (c *Cluster) exec(ctx context.Context, pod *corev1.Pod, program []string, streams remotecommand.StreamOptions) error {
	options := &corev1.PodExecOptions{Container: containerName, Command: program, Stdin: true, Stdout: true, Stderr: true}
	err := c.stream(ctx, pod, "exec", options, streams)
	if ended, ok := errors.AsType[exec.CodeExitError](err); ok {
		return &ExitError{Code: int32(ended.Code)}
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("running the client in pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return nil
}

func (c *Cluster) stream(ctx context.Context, pod *corev1.Pod, subresource string, options runtime.Object, streams remotecommand.StreamOptions) error {
	request := c.clientset.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource(subresource).
		VersionedParams(options, scheme.ParameterCodec)
	executor, err := remotecommand.NewSPDYExecutor(c.config, "POST", request.URL())
	if err != nil {
		return err
	}
	return executor.StreamWithContext(ctx, streams)
}
