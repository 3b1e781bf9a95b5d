package platform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"

	"github.com/confidb/confidb/pkg/attest"
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

// logPatterns match the two wordings of LAS: up to SCONE 6, and from 7 on. There
// the log has the bare digits, to which a session needs the prefix.
func logPatterns() map[*regexp.Regexp]string {
	return map[*regexp.Regexp]string{
		regexp.MustCompile(`public key\s+([0-9A-Fa-f]{64})\b`):   "",
		regexp.MustCompile(`Intel QE ID:\s*([0-9A-Fa-f]{32})\b`): "INTEL_QE_ID:",
	}
}

// ParseLog returns the platform IDs that a LAS wrote to its log: the last one of
// each of the two wordings, because every start writes it again. More than one ID
// means that the log contradicts itself.
func ParseLog(log []byte) []attest.PlatformID {
	var ids []attest.PlatformID
	for pattern, prefix := range logPatterns() {
		matches := pattern.FindAllSubmatch(log, -1)
		if len(matches) == 0 {
			continue
		}
		if id, err := attest.ParsePlatformID(prefix + string(matches[len(matches)-1][1])); err == nil {
			ids = append(ids, id)
		}
	}
	return distinct(ids)
}

// reading is what one log gave.
type reading struct {
	pod int // index
	ids []attest.PlatformID
	err error
}

// fetchLogs reads the logs of all LAS pods, a few at a time. A log that cannot be
// read is noted at its pod; only a refusal or the end of ctx ends it all.
func (o *Observation) fetchLogs(ctx context.Context, clientset kubernetes.Interface) error {
	stopped, stop := context.WithCancel(ctx)
	defer stop()
	var refusal error
	for r := range o.readLogs(stopped, clientset) {
		var forbidden *ForbiddenError
		if errors.As(r.err, &forbidden) && refusal == nil {
			refusal = forbidden
			stop() // the other nodes' logs would be refused as well
		}
		o.addReading(r)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("reading the logs of LAS pods: %w", ctx.Err())
	}
	return refusal
}

func (o *Observation) addReading(r reading) {
	pod := &o.Pods[r.pod]
	if r.err != nil {
		pod.LogError = r.err.Error()
		return
	}
	for _, id := range r.ids {
		o.Claims = append(o.Claims, Claim{Node: pod.Node, ID: id, Source: SourceLog, Origin: "pod " + pod.String(), Namespace: pod.Namespace})
	}
}

// readLogs yields one reading a pod, in no order.
func (o *Observation) readLogs(ctx context.Context, clientset kubernetes.Interface) <-chan reading {
	jobs, readings := make(chan int), make(chan reading)
	var readers sync.WaitGroup
	for range logReaders {
		readers.Go(func() {
			for i := range jobs {
				ids, err := podIDs(ctx, clientset, &o.Pods[i])
				readings <- reading{i, ids, err}
			}
		})
	}
	go func() {
		for i := range o.Pods {
			jobs <- i
		}
		close(jobs)
		readers.Wait()
		close(readings)
	}()
	return readings
}

func podIDs(ctx context.Context, clientset kubernetes.Interface, pod *PodFacts) ([]attest.PlatformID, error) {
	ctx, cancel := context.WithTimeout(ctx, logReadingMax)
	defer cancel()
	var ids []attest.PlatformID
	for _, container := range pod.containers {
		log, err := readLog(ctx, clientset, pod, container)
		if apierrors.IsForbidden(err) {
			return nil, &ForbiddenError{Doing: "reading the log of pod " + pod.String(), Err: err}
		}
		if err != nil {
			return nil, fmt.Errorf("reading the log of container %s: %w", container, err)
		}
		ids = append(ids, ParseLog(log)...)
	}
	return distinct(ids), nil
}

// readLog returns the beginning of a log and, if there is more, its end.
func readLog(ctx context.Context, clientset kubernetes.Interface, pod *PodFacts, container string) ([]byte, error) {
	limit, lines := int64(maxLogBytes), int64(tailLines)
	head, err := readPart(ctx, clientset, pod, &corev1.PodLogOptions{Container: container, LimitBytes: &limit})
	if err != nil || len(head) < maxLogBytes {
		return head, err
	}
	tail, err := readPart(ctx, clientset, pod, &corev1.PodLogOptions{Container: container, LimitBytes: &limit, TailLines: &lines})
	if err != nil {
		return nil, err
	}
	return slices.Concat(wholeLines(head), wholeLines(tail)), nil
}

func readPart(ctx context.Context, clientset kubernetes.Interface, pod *PodFacts, options *corev1.PodLogOptions) ([]byte, error) {
	stream, err := clientset.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, options).Stream(ctx)
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
