package kube

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/confidb/confidb/pkg/check"
)

// obstacle is why something does not start, in the cluster's words. The zero value is
// none.
type obstacle struct {
	text, hint string
	// bears is for how many looks in a row it may pass by itself: none for what nobody
	// but a person mends, and forever for what is told and waited for.
	bears int
}

// forever is for what passes by itself. aWhile is about ten seconds: a quota is freed by
// a pod that ends, and a node is found when another pod moves. aMinute is for what may be
// either.
const (
	forever = math.MaxInt
	aMinute = 120
	aWhile  = 20
)

// StuckError means that something of ours does not start, and will not by waiting.
type StuckError struct{ Reason, hint string }

func (e *StuckError) Error() string { return e.Reason }

// Hint says what mends it.
func (e *StuckError) Hint() string { return e.hint }

// waiting counts for how long an obstacle has been there. The zero value has seen none.
type waiting struct {
	last  string
	looks int
	// before are the events that were there when the wait began: they may be about what
	// was mended since.
	before map[string]bool
}

// look is an error if an obstacle will not pass.
func (w *waiting) look(o obstacle) error {
	if w.last != o.text {
		w.last, w.looks = o.text, 0
	}
	w.looks++
	if o.text == "" || w.looks <= o.bears {
		return nil
	}
	return &StuckError{o.text, o.hint}
}

// obstacleOf looks for what keeps the pods of an object from being made, or from starting.
func (c *Cluster) obstacleOf(ctx context.Context, w *waiting, namespace, kind, name string, pods []corev1.Pod) obstacle {
	first := w.before == nil
	if first {
		w.before = map[string]bool{}
	}
	leaving := slices.ContainsFunc(pods, ending)
	for _, e := range slices.Backward(c.warnings(ctx, namespace, kind, name)) {
		if first && kind != "Job" { // a Job is new
			w.before[version(&e)] = true
		}
		if e.Reason != "FailedCreate" || slices.ContainsFunc(pods, func(p corev1.Pod) bool { return p.DeletionTimestamp == nil }) {
			continue
		}
		o := refusedPod(namespace, e.Message)
		if leaving || w.before[version(&e)] {
			o.bears = forever
		}
		return o
	}
	for _, p := range pods {
		if ending(p) || isReady(&p) || finished(&p) {
			continue
		}
		if o := podObstacle(&p); o.text != "" {
			return o
		}
		for _, e := range slices.Backward(c.warnings(ctx, namespace, "Pod", p.Name)) {
			if e.InvolvedObject.UID == p.UID && !slices.Contains([]string{"FailedScheduling", "BackOff", "Unhealthy"}, e.Reason) {
				return obstacle{text: said(e.Reason + ": " + e.Message), bears: forever}
			}
		}
	}
	return obstacle{}
}

func version(e *corev1.Event) string { return string(e.UID) + "/" + e.ResourceVersion }

// warnings are the events at an object, the newest last; none if they cannot be read.
func (c *Cluster) warnings(ctx context.Context, namespace, kind, name string) []corev1.Event {
	about := fields.Set{"involvedObject.kind": kind, "involvedObject.name": name}
	if kind == "Deployment" { // its ReplicaSets make the pods
		about = fields.Set{"involvedObject.kind": "ReplicaSet"}
	}
	list, err := c.clientset.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: about.String(), Limit: maxEvents})
	if err != nil {
		return nil // who may not read them learns the cause from the pods, or at the end
	}
	found := slices.DeleteFunc(list.Items, func(e corev1.Event) bool {
		o := e.InvolvedObject
		if kind == "Deployment" {
			return e.Type != corev1.EventTypeWarning || o.Kind != "ReplicaSet" || !strings.HasPrefix(o.Name, name+"-")
		}
		return e.Type != corev1.EventTypeWarning || o.Kind != kind || o.Name != name
	})
	slices.SortStableFunc(found, func(a, b corev1.Event) int { return lastSeen(&a).Compare(lastSeen(&b).Time) })
	return found
}

// maxEvents bounds how many events one question asks for.
const maxEvents = 500

func lastSeen(e *corev1.Event) metav1.MicroTime {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime
	case !e.LastTimestamp.IsZero():
		return metav1.MicroTime(e.LastTimestamp)
	}
	return e.EventTime
}

// maxReason bounds what an obstacle says, in characters.
const maxReason = 600

// said cleans what the cluster says, and cuts it.
func said(text string) string {
	text = check.Said(text)
	if r := []rune(text); len(r) > maxReason {
		return string(r[:maxReason]) + "…"
	}
	return text
}

// then is how every hint goes on.
const then = "; then run the same command again."

// refusal is one way in which the API server refuses to make a pod.
type refusal struct {
	// in is what its message contains, and what is how it is called here.
	in, what, hint string
	bears          int
}

// refusals are the ways that are known. The first that fits counts. NAMESPACE stands for
// that of the pod.
func refusals() []refusal {
	return []refusal{
		{"exceeded quota", "the quota of the namespace is used up", "Free some of it, or have it raised (kubectl describe resourcequota --namespace NAMESPACE)" + then, aWhile},
		{"failed quota", "the quota of the namespace wants requests and limits", "Set the resources of each container in the chart's values (kubectl describe resourcequota --namespace NAMESPACE names them)" + then, 0},
		{"violates PodSecurity", "the namespace's level of PodSecurity refuses the pod", "Change the chart's values as it says, or use a namespace of another level (kubectl get namespace NAMESPACE --show-labels)" + then, 0},
		{"failed calling webhook", "an admission webhook does not answer", "Ask whoever runs it (kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations)" + then, forever},
		{"denied the request", "an admission webhook refuses the pod", "Change the chart's values as it says, or ask whoever runs the webhook" + then, 0},
		{"ValidatingAdmissionPolicy", "an admission policy refuses the pod", "Change the chart's values as it says, or ask whoever made the policy" + then, 0},
		{" usage per ", "a limit of the namespace refuses the pod", "Change the resources in the chart's values, or have the limit changed (kubectl describe limitrange --namespace NAMESPACE)" + then, 0},
		{"PriorityClass", "there is no such priority class", "Name another one in the chart's values (kubectl get priorityclasses)" + then, 0},
		{"RuntimeClass", "there is no such runtime class", "Name another one in the chart's values (kubectl get runtimeclasses)" + then, 0},
		{"error looking up service account", "there is no such service account", "Name another one in the chart's values (kubectl get serviceaccounts --namespace NAMESPACE)" + then, aWhile},
		{"is forbidden", "the API server refuses the pod", "Change the chart's values as it says" + then, aWhile},
	}
}

// refusedPod says what the message of an event means with which no pod was made.
func refusedPod(namespace, message string) obstacle {
	for _, r := range refusals() {
		if strings.Contains(message, r.in) {
			return obstacle{r.what + ": " + said(withoutPreamble(message)), strings.ReplaceAll(r.hint, "NAMESPACE", namespace), r.bears}
		}
	}
	return obstacle{text: "no pod is made: " + said(message), bears: forever}
}

// withoutPreamble leaves out which pod was not made.
func withoutPreamble(message string) string {
	if _, after, found := strings.Cut(message, " is forbidden: "); found {
		return after
	}
	return message
}

// podObstacle is what a pod says of itself.
func podObstacle(p *corev1.Pod) obstacle {
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if s.State.Waiting == nil {
			continue
		}
		if hint, ok := unstartable()[s.State.Waiting.Reason]; ok {
			return obstacle{fmt.Sprintf("container %s cannot start: %s", s.Name, s.State.Waiting.Reason), strings.NewReplacer("POD", p.Name, "NAMESPACE", p.Namespace).Replace(hint), 0}
		}
	}
	for _, condition := range p.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return unscheduled(condition.Reason, condition.Message)
		}
	}
	return obstacle{}
}

// unstartable are the reasons for which a container waits for something that does not
// come by itself, with what mends it. POD and NAMESPACE stand for its own.
func unstartable() map[string]string {
	const image = "Check the name of the image, and that the chart's imagePullSecrets name a secret that may read it (kubectl describe pod POD --namespace NAMESPACE)" + then
	return map[string]string{
		"ImagePullBackOff": image, "InvalidImageName": image, "ErrImageNeverPull": image,
		"CreateContainerConfigError": "Create what it refers to, or change the chart's values (kubectl describe pod POD --namespace NAMESPACE names it)" + then,
	}
}

// lasting is what the scheduler says of nodes that will not come to fit by themselves, each
// with what mends it.
func lasting() map[*regexp.Regexp]string {
	return map[*regexp.Regexp]string{
		regexp.MustCompile(`had untolerated taint`): "Set tolerations in the chart's values, or remove the taint (kubectl describe nodes)" + then,
		regexp.MustCompile(`didn't match (?:Pod's )?node (?:affinity|selector)|didn't satisfy plugin\(s\) \[NodeAffinity\]`): "Change nodeSelector or affinity in the chart's values, or label a node (kubectl get nodes --show-labels)" + then,
		regexp.MustCompile(`volume node affinity conflict`):                                                                  "The volume is on another node (kubectl get persistentvolumes -o wide): make that node usable" + then,
		regexp.MustCompile(`didn't match (?:Pod's )?anti-affinity|anti-affinity r`):                                          "Change the affinity in the chart's values, or add a node" + then,
	}
}

// own is a taint that the cluster itself sets, and takes away again.
func own() *regexp.Regexp {
	return regexp.MustCompile(`taint(?:s)? \{(?:node\.kubernetes\.io|node\.cloudprovider\.kubernetes\.io)/`)
}

// unscheduled says whether a node may be found yet. That takes one reason which passes.
func unscheduled(reason, message string) obstacle {
	o := obstacle{text: said(reason + ": " + message), hint: "kubectl describe nodes shows what is free" + then, bears: forever}
	_, nodes, found := strings.Cut(message, "nodes are available: ")
	if !found {
		return o
	}
	nodes, _, _ = strings.Cut(nodes, " preemption:")
	for _, clause := range clauses(nodes) {
		hint := ""
		for pattern, mends := range lasting() {
			if pattern.MatchString(clause) && !own().MatchString(clause) {
				hint = mends
			}
		}
		if hint == "" {
			return o
		}
		o.hint = hint
	}
	o.bears = aWhile
	if strings.Contains(nodes, "untolerated taint(s)") { // newer schedulers do not say whose
		o.bears = aMinute
	}
	return o
}

// clauses splits what the scheduler says of groups of nodes: each begins with how many.
func clauses(text string) []string {
	var all []string
	for _, part := range strings.Split(text, ", ") {
		if begins := part != "" && part[0] >= '0' && part[0] <= '9'; begins || len(all) == 0 {
			all = append(all, part)
			continue
		}
		all[len(all)-1] += ", " + part
	}
	return all
}
