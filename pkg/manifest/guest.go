package manifest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// Guest is what the pods of a client of the user's own are compared with.
type Guest struct {
	topology.Details
	promise Promise
}

// GuestOf is that of a client of a release. It fails with a topology.UnknownClientError.
func GuestOf(r *topology.Release, client string) (*Guest, error) {
	d, err := r.Details(client)
	if err != nil {
		return nil, err
	}
	own := r.Session(topology.ApplicationRole(client))
	parsed, err := session.Parse(own.Name, []byte(cmp.Or(own.Next, own.Text)))
	if err != nil {
		return nil, fmt.Errorf("reading the session of the client: %w", err)
	}
	return &Guest{d, Promise{
		CASAddress: r.CASAddress, Database: Session{own.Name, true, parsed.Services}, Deviations: r.Trust.Deviations,
		Enclaves: map[string][]sgx.Measurement{client: d.MRENCLAVEs}, Settings: map[string]policy.Settings{client: d.Settings},
	}}, nil
}

// Judged is what was found about a file.
type Judged struct {
	Report check.Report
	// Others are objects that start something else than the client, or may: they were not
	// looked at.
	Others []string
}

// placed is an object with its place in a file.
type placed struct {
	Object
	at string
}

// Judge reads the objects of a file, as kubectl takes them, and judges each pod that runs
// as the client, with all of its containers, as those of our own chart are judged. What is
// wrong with the text is a document.Error.
func (g *Guest) Judge(file string, text []byte) (*Judged, error) {
	objects, err := readPlaced(file, text)
	if err != nil {
		return nil, err
	}
	j := &Judged{}
	var asks []string
	for _, o := range objects {
		made, err := o.maker()
		if err != nil {
			return nil, err
		}
		switch {
		case slices.Contains(idle(), o.GroupKind()):
		case made == nil:
			j.Others = append(j.Others, o.at+o.String())
		case g.runs(&made.template.Spec):
			j.Report = append(j.Report, g.pod(o, made)...)
		default:
			asks = append(asks, configIDs(&made.template.Spec)...)
			j.Others = append(j.Others, o.at+o.String())
		}
	}
	if len(j.Report) == 0 {
		j.Report = check.Report{{
			ID: "client-pod", Outcome: check.Fail, Title: fmt.Sprintf("%s has a pod that runs as the client %s", file, g.Client), Got: strings.Join(asks, ", "), Want: configID + "=" + g.ConfigID,
			Reason: "no container has the config ID of the client", Hint: "{client manifest} prints what the container needs.",
		}}
	}
	return j, nil
}

// pod judges what an object starts.
func (g *Guest) pod(o placed, made *maker) check.Report {
	title := fmt.Sprintf("%s%s runs as the client %s, as it was promised", o.at, o.String(), g.Client)
	var report check.Report
	add := func(outcome check.Outcome, reason, hint string) {
		report = append(report, check.Finding{ID: "client-pod", Title: title, Outcome: outcome, Reason: check.Said(reason), Hint: hint})
	}
	problems := slices.Concat(g.promise.JudgePod(&made.template.Spec, "", nil), annotationProblems(made.template.Annotations, made.template.Annotations), g.names(o, &made.template.Spec))
	refused, accepted := g.promise.Refused(problems)
	for _, p := range refused {
		hint := "{client manifest} prints what the container needs."
		if p.Deviation != "" {
			hint = "Change it; or name " + string(p.Deviation) + " under accept-deviations of the policy if you can live with it."
		}
		add(check.Fail, p.String(), hint)
	}
	for _, text := range slices.Concat(g.unknown(&made.template.Spec), notRead(o, &made.template.Spec)) {
		add(check.Skip, text, "Record the heap of the measurement ({client update --heap}); remove from the pod what cannot be compared, or compare it yourself.")
	}
	for _, p := range accepted {
		add(check.Warn, p.String()+" (the policy accepts "+string(p.Deviation)+")", "")
	}
	if len(report) == 0 {
		add(check.Pass, "", "")
	}
	return report
}

// runs reports whether a pod is meant to run as the client, or may be: a config ID that
// comes from elsewhere, or that its command sets, can be any.
func (g *Guest) runs(spec *corev1.PodSpec) bool {
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		env := environmentOf(&c, "")
		for _, name := range []string{configID, baseConfigID} {
			value, there := env.values[name]
			if value = env.substituted(value); env.refs[name] != nil || there && (value == g.Session || strings.HasPrefix(value, g.Session+"/") || strings.Contains(value, "$(")) {
				return true
			}
			if slices.ContainsFunc(slices.Concat(c.Command, c.Args), func(word string) bool { return strings.Contains(word, name) }) {
				return true
			}
		}
		if _, literal := env.values[configID]; !literal && len(c.EnvFrom) > 0 && wantsEnclave(&c) {
			return true
		}
	}
	return false
}

// wantsEnclave reports whether a container has the device of enclaves, or a variable of
// their runtime.
func wantsEnclave(c *corev1.Container) bool {
	for name := range c.Resources.Limits {
		if strings.Contains(strings.ToLower(string(name)), "sgx") {
			return true
		}
	}
	return slices.ContainsFunc(c.Env, func(v corev1.EnvVar) bool { return strings.HasPrefix(v.Name, "SCONE_") })
}

// configIDs are those that the containers of a pod name.
func configIDs(spec *corev1.PodSpec) []string {
	var all []string
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		if id, there := environmentOf(&c, "").values[configID]; there {
			all = append(all, check.Said(id))
		}
	}
	return all
}

// names are problems of names: a namespace that is not the client's, a container that only
// what the client needs has made, and a session without its service, which CAS does not know.
func (g *Guest) names(o placed, spec *corev1.PodSpec) []Problem {
	var problems []Problem
	if o.Namespace != "" && g.Namespace != "" && o.Namespace != g.Namespace {
		problems = append(problems, Problem{"", fmt.Sprintf("namespace: got %.80q, want %s, where the client runs", o.Namespace, g.Namespace), ""})
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		if isEnclave(&c) && c.Image == "" {
			problems = append(problems, Problem{c.Name, "it has no image: a container of this name was added for the client, because the Deployment has none", ""})
		}
		if environmentOf(&c, "").values[configID] == g.Session {
			problems = append(problems, Problem{c.Name, fmt.Sprintf("%s: got %q, want %s: without a service CAS gives nothing", configID, g.Session, g.ConfigID), ""})
		}
	}
	return problems
}

// unknown is what is part of a measurement and cannot be compared, as nobody has said with
// what the measurement was taken. A signer's programs may have any.
func (g *Guest) unknown(spec *corev1.PodSpec) []string {
	if len(g.MRENCLAVEs) == 0 {
		return nil
	}
	var all []string
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		if !isEnclave(&c) {
			continue
		}
		env := environmentOf(&c, "")
		if g.Settings.Heap == "" {
			all = append(all, fmt.Sprintf("container %s: %s is %s, and nobody has said with which the measurement was taken", c.Name, heap, env.describe(heap)))
		}
		if _, there := env.values[stack]; there {
			all = append(all, fmt.Sprintf("container %s: %s is set, which is part of a measurement: it is not known whether this one was taken with it", c.Name, stack))
		}
	}
	return all
}

// stack is part of a measurement, as the heap is.
const stack = "SCONE_STACK"

// notRead names members of a pod that this program does not know: what they do is not judged.
func notRead(o placed, spec *corev1.PodSpec) []string {
	content, path := any(o.Content), []string{"spec", "template", "spec"}
	switch o.GroupKind() {
	case kindPod:
		path = path[:1]
	case kindCronJob:
		path = []string{"spec", "jobTemplate", "spec", "template", "spec"}
	}
	for _, name := range path {
		fields, _ := content.(map[string]any)
		content = fields[name]
	}
	var known any
	text, err := json.Marshal(spec)
	if err == nil {
		err = json.Unmarshal(text, &known)
	}
	if err != nil {
		return []string{"the pod cannot be read: " + err.Error()}
	}
	var all []string
	for _, at := range lost(content, known, strings.Join(path, ".")) {
		all = append(all, at+" is not known to this program, so what it does is not judged")
	}
	return all
}

// lost are the paths of members that have a value and are gone from what was read.
func lost(from, kept any, path string) []string {
	var all []string
	switch from := from.(type) {
	case map[string]any:
		known, _ := kept.(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(from)) {
			value, there := known[name]
			if !there && !blank(from[name]) {
				all = append(all, check.Said(document.Member(path, name)))
			} else if there {
				all = append(all, lost(from[name], value, document.Member(path, name))...)
			}
		}
	case []any:
		known, _ := kept.([]any)
		for i := range min(len(from), len(known)) {
			all = append(all, lost(from[i], known[i], document.Item(path, i))...)
		}
	}
	return all
}

// blank reports whether a value says nothing, at any depth.
func blank(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		return !slices.ContainsFunc(slices.Collect(maps.Values(v)), func(one any) bool { return !blank(one) })
	case []any:
		return len(v) == 0
	}
	return value == nil || value == false || value == "" || value == float64(0) || value == int64(0)
}

// readPlaced reads the objects of a file of many documents. It takes what kubectl takes, so
// anchors and aliases as well, but no key twice.
func readPlaced(file string, text []byte) ([]placed, error) {
	var all []placed
	for _, part := range document.Split(text) {
		problems := &document.Problems{File: file, Origin: part.Origin}
		node := problems.Read(part.Text, document.Gate{Most: maxFile, Aliases: true})
		if node == nil {
			return nil, problems.Err()
		}
		root := node.Content[0]
		var content any
		err := yaml.Unmarshal(part.Text, &content)
		var objects Manifest
		if err == nil {
			objects, err = Manifest{}.add(content, maxDepth)
		}
		if err != nil {
			problems.Fail(root, "", "%s", document.Clip(err.Error()))
			return nil, problems.Err()
		}
		line, _ := part.Origin.Of(root.Line, root.Column)
		for _, o := range objects {
			if _, err := o.maker(); err != nil {
				at := culprit(root, err)
				problems.Fail(at, "", "%s: %s", o, document.Clip(bare(err)))
				return nil, problems.Err()
			}
			all = append(all, placed{o, fmt.Sprintf("%s:%d: ", file, line)})
		}
	}
	if len(all) == 0 {
		problems := &document.Problems{File: file}
		problems.At(1, 1, "", "got no object, want what kubectl apply takes")
		return nil, problems.Err()
	}
	return all, nil
}

// maxFile bounds a file of objects, in bytes.
const maxFile = 16 << 20

// misfit finds which member could not be read, in what encoding/json says.
func misfit() *regexp.Regexp {
	return regexp.MustCompile(`cannot unmarshal (\S+) into Go struct field [^.\s]+\.(\S+) of type (\S+)`)
}

// bare is an error without the types of this program.
func bare(err error) string {
	if found := misfit().FindStringSubmatch(err.Error()); found != nil {
		return fmt.Sprintf("%s: got %s, want %s", found[2], found[1], kindOfType(found[3]))
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err.Error()
}

// kindOfType says what a type of the API is in YAML.
func kindOfType(name string) string {
	switch {
	case strings.HasPrefix(name, "[]"):
		return "a list"
	case name == "string":
		return "text"
	case name == "bool":
		return "true or false"
	case strings.HasPrefix(name, "int"), strings.HasPrefix(name, "float"):
		return "a number"
	}
	return "a mapping"
}

// culprit is the node that could not be read, as near as the error says: it names members,
// and not which item of a list.
func culprit(root *document.Node, err error) *document.Node {
	found := misfit().FindStringSubmatch(err.Error())
	if found == nil {
		return root
	}
	at := root
	for name := range strings.SplitSeq(found[2], ".") {
		items := []*document.Node{at}
		if at.Kind == document.List {
			items = at.Content
		}
		for _, item := range items {
			if item.Alias != nil {
				item = item.Alias
			}
			if _, value := document.Lookup(item, name); value != nil {
				at = value
				break
			}
		}
	}
	return at
}
