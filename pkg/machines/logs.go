package machines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/platform"
)

// Bounds of reading logs. LAS writes its ID when it starts, so the beginning
// matters; the end is read too because the kubelet may have rotated the beginning
// away and LAS started again.
const (
	maxLogBytes   = 1 << 20
	tailLines     = 1000
	logReaders    = 8
	logReadingMax = 20 * time.Second
)

// reading is what one log gave.
type reading struct {
	pod int // index
	ids []attest.PlatformID
	err error
}

// fetchLogs reads the logs of all LAS pods, a few at a time. A log that cannot be
// read is noted at its pod; only a refusal or the end of ctx ends it all.
func (c *Cluster) fetchLogs(ctx context.Context, seen *platform.Observation, pods []lasPod) error {
	stopped, stop := context.WithCancel(ctx)
	defer stop()
	var refusal error
	for r := range c.readLogs(stopped, pods) {
		var forbidden *platform.ForbiddenError
		if errors.As(r.err, &forbidden) && refusal == nil {
			refusal = forbidden
			stop() // the other nodes' logs would be refused as well
		}
		addReading(seen, r)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("reading the logs of LAS pods: %w", ctx.Err())
	}
	return refusal
}

// addReading notes at its pod what a log gave.
func addReading(seen *platform.Observation, r reading) {
	pod := &seen.Pods[r.pod]
	if r.err != nil {
		pod.LogError = r.err.Error()
		return
	}
	for _, id := range r.ids {
		seen.Claims = append(seen.Claims, platform.Claim{Node: pod.Node, ID: id, Source: platform.SourceLog, Origin: "pod " + pod.String(), Namespace: pod.Namespace})
	}
}

// readLogs yields one reading a pod, in no order.
func (c *Cluster) readLogs(ctx context.Context, pods []lasPod) <-chan reading {
	jobs, readings := make(chan int), make(chan reading)
	var readers sync.WaitGroup
	for range logReaders {
		readers.Go(func() {
			for i := range jobs {
				ids, err := c.podIDs(ctx, &pods[i])
				readings <- reading{i, ids, err}
			}
		})
	}
	go func() {
		for i := range pods {
			jobs <- i
		}
		close(jobs)
		readers.Wait()
		close(readings)
	}()
	return readings
}

// podIDs returns the platform IDs in the logs of a pod's containers.
func (c *Cluster) podIDs(ctx context.Context, pod *lasPod) ([]attest.PlatformID, error) {
	ctx, cancel := context.WithTimeout(ctx, logReadingMax)
	defer cancel()
	var ids []attest.PlatformID
	for _, container := range pod.containers {
		log, err := c.readLog(ctx, pod, container)
		if apierrors.IsForbidden(err) {
			return nil, &platform.ForbiddenError{Doing: "reading the log of pod " + pod.String(), Err: err}
		}
		if err != nil {
			return nil, fmt.Errorf("reading the log of container %s: %w", container, err)
		}
		named, err := platform.ParseLog(log)
		if err != nil {
			return nil, fmt.Errorf("container %s: %w", container, err)
		}
		ids = append(ids, named...)
	}
	slices.SortFunc(ids, attest.PlatformID.Compare)
	return slices.Compact(ids), nil
}

// readLog returns the beginning of a log and, if there is more, its end.
func (c *Cluster) readLog(ctx context.Context, pod *lasPod, container string) ([]byte, error) {
	limit, lines := int64(maxLogBytes), int64(tailLines)
	head, err := c.readPart(ctx, pod, &corev1.PodLogOptions{Container: container, LimitBytes: &limit})
	if err != nil || len(head) < maxLogBytes {
		return head, err
	}
	tail, err := c.readPart(ctx, pod, &corev1.PodLogOptions{Container: container, LimitBytes: &limit, TailLines: &lines})
	if err != nil {
		return nil, err
	}
	return slices.Concat(wholeLines(head), wholeLines(tail)), nil
}

func (c *Cluster) readPart(ctx context.Context, pod *lasPod, options *corev1.PodLogOptions) ([]byte, error) {
	stream, err := c.Clientset.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, options).Stream(ctx)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	return io.ReadAll(io.LimitReader(stream, maxLogBytes))
}

// wholeLines cuts a line off that the limit may have cut: half a number must not
// be taken for a shorter one.
func wholeLines(log []byte) []byte {
	if len(log) < maxLogBytes {
		return log
	}
	return log[:bytes.LastIndexByte(log, '\n')+1]
}
