package inventory

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/session"
)

// ChangeKind says how the machines and what sessions admit differ.
type ChangeKind string

// The kinds of changes. A kind whose comment ends in "Work." yields the verdict none;
// every other kind contradicts what was promised.
const (
	// NodeAdded means that no session admits the node yet. Work.
	NodeAdded ChangeKind = "added"
	// NodeRemoved means that sessions admit a machine that no node is.
	NodeRemoved ChangeKind = "removed"
	// IDChanged means that a node has another ID than the inventory says.
	IDChanged ChangeKind = "id-changed"
	// IDCloned means that several nodes have one ID.
	IDCloned ChangeKind = "cloned"
	// NodeRenamed means that the inventory has the ID under another node's name,
	// which the cluster no longer has. Work.
	NodeRenamed ChangeKind = "renamed"
	// NodeUnlisted means that sessions admit a node that the inventory does not have,
	// or has as retired. Work.
	NodeUnlisted ChangeKind = "unlisted"
	// IDUnknown means that no source knows the ID of a node. Work.
	IDUnknown ChangeKind = "unknown"
	// IDUnattributed means that sessions admit an ID that may be that of a node
	// whose ID is not known. Work.
	IDUnattributed ChangeKind = "unattributed"
	// SourcesDisagree means that sources contradict each other.
	SourcesDisagree ChangeKind = "contradiction"
	// GenerationsMixed means that there are IDs of two generations.
	GenerationsMixed ChangeKind = "generation"
	// OutOfStep means that some services admit a machine and others do not.
	OutOfStep ChangeKind = "out-of-step"
	// AdmitsAny means that a service names no machine.
	AdmitsAny ChangeKind = "open"
)

// contraindicated reports whether a kind contradicts what was promised. A kind that
// nobody knows does.
func (k ChangeKind) contraindicated() bool {
	return !slices.Contains([]ChangeKind{NodeAdded, NodeRenamed, NodeUnlisted, IDUnknown, IDUnattributed}, k)
}

// Change is one difference. Node, ID and Was may be empty.
type Change struct {
	Kind ChangeKind `json:"kind"`
	Node string     `json:"node"`
	ID   string     `json:"id"`
	// Was is the ID that the inventory has for the node.
	Was string `json:"was"`
	// Meaning and Do are sentences for people.
	Meaning string `json:"meaning"`
	Do      string `json:"do"`
}

// Service is what one service of a session admits.
type Service struct {
	// Name is SESSION/SERVICE.
	Name      string
	Platforms []attest.PlatformID
}

// Services returns the services of a session. which names the session.
func Services(which string, s *session.Session) []Service {
	var all []Service
	for _, v := range s.Services {
		all = append(all, Service{which + "/" + v.Name, v.Platforms})
	}
	return all
}

// Tolerable are the contradictions with which the rest can still be compared. With a
// stranger, or a source that was refused, nothing that is compared would be right.
func Tolerable() []platform.ProblemKind {
	return slices.DeleteFunc(platform.ProblemKinds(), func(k platform.ProblemKind) bool {
		return k == platform.Stranger || k == platform.Refused
	})
}

// Comparison is what is compared. File may be nil.
type Comparison struct {
	// Nodes are those of the cluster, also without SGX.
	Nodes []platform.Node
	// Problems are those of an inventory of the cluster that contradicts itself.
	Problems []platform.Problem
	Services []Service
	File     *File
}

// Difference is what a comparison found.
type Difference struct {
	// Changes are sorted: what contradicts the promise first, then by node and ID.
	Changes []Change `json:"changes"`
	// InStep is true if all services of all sessions admit the same machines.
	InStep bool `json:"inStep"`
}

// Verdict is affirming if nothing differs, contraindicated if something contradicts
// what was promised, and none if there is work to be done.
func (d *Difference) Verdict() check.Verdict {
	if slices.ContainsFunc(d.Changes, func(c Change) bool { return c.Kind.contraindicated() }) || !d.InStep {
		return check.Contraindicated
	}
	if len(d.Changes) > 0 {
		return check.None
	}
	return check.Affirming
}

// Compare compares the machines of a cluster with what sessions admit.
func (c Comparison) Compare() *Difference {
	d := &differ{Comparison: c, exists: map[string]bool{}, nodes: map[string][]platform.Node{}, admitting: map[string][]string{}, ids: map[string]attest.PlatformID{}}
	d.index()
	d.problems()
	d.services()
	for _, n := range c.Nodes {
		d.node(n)
	}
	for _, k := range slices.Sorted(maps.Keys(d.admitting)) {
		d.admitted(k)
	}
	d.generations()
	sort.Slice(d.changes, func(i, j int) bool { return compareChanges(&d.changes[i], &d.changes[j]) < 0 })
	return &Difference{Changes: append([]Change{}, d.changes...), InStep: d.inStep}
}

func compareChanges(a, b *Change) int {
	rank := func(c *Change) int {
		if c.Kind.contraindicated() {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Node, b.Node), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Meaning, b.Meaning))
}

// differ is a comparison while it is made. IDs are keys.
type differ struct {
	Comparison
	exists    map[string]bool
	nodes     map[string][]platform.Node // by ID
	unknown   []string                   // nodes with SGX and without ID
	admitting map[string][]string        // services by ID
	ids       map[string]attest.PlatformID
	inStep    bool
	changes   []Change
}

func (d *differ) add(kind ChangeKind, node string, id, was attest.PlatformID, meaning, do string) {
	d.changes = append(d.changes, Change{kind, node, id.String(), was.String(), meaning, do})
}

func (d *differ) index() {
	for _, n := range d.Nodes {
		d.exists[n.Name] = true
		switch {
		case !n.SGX:
		case n.ID == attest.PlatformID{}:
			d.unknown = append(d.unknown, n.Name)
		default:
			d.nodes[n.ID.String()] = append(d.nodes[n.ID.String()], n)
		}
	}
	slices.Sort(d.unknown)
	for _, s := range d.Services {
		for _, id := range s.Platforms {
			k := id.String()
			if d.ids[k] = id; !slices.Contains(d.admitting[k], s.Name) {
				d.admitting[k] = append(d.admitting[k], s.Name)
			}
		}
	}
}

// problems passes on what the sources themselves say against each other. Shared IDs,
// missing ones and generations are found here anyway.
func (d *differ) problems() {
	for _, p := range d.Problems {
		switch p.Kind {
		case platform.Shared, platform.Missing, platform.Empty, platform.Mixed:
			continue
		}
		d.add(SourcesDisagree, strings.Join(p.Nodes, ", "), attest.PlatformID{}, attest.PlatformID{}, "The sources contradict each other: "+p.Text+".",
			"Find out which source is wrong: {platforms -o wide} shows them. Do not change sessions before.")
	}
}

// services looks whether all services admit the same.
func (d *differ) services() {
	d.inStep = len(d.Services) > 0
	for _, s := range d.Services {
		if len(s.Platforms) == 0 {
			d.inStep = d.inStep && d.nothingAdmitted()
			d.add(AdmitsAny, "", attest.PlatformID{}, attest.PlatformID{}, fmt.Sprintf("Service %s names no platform ID: it runs on any machine, unless secrets of the session name some, which are not read here.", s.Name),
				"Name the machines under platforms: of the service.")
		}
	}
	for k, names := range d.admitting {
		if len(names) == len(d.Services) {
			continue
		}
		d.inStep = false
		var missing []string
		for _, s := range d.Services {
			if !slices.Contains(names, s.Name) {
				missing = append(missing, s.Name)
			}
		}
		d.add(OutOfStep, d.names(k), d.ids[k], attest.PlatformID{}, fmt.Sprintf("%s admits this machine, and %s does not.", strings.Join(names, ", "), strings.Join(missing, ", ")),
			"Bring both sessions to the same list: an interrupted update left them like that, or somebody changed one of them.")
	}
}

func (d *differ) nothingAdmitted() bool { return len(d.admitting) == 0 }

// names are the nodes that have an ID, or had it in the inventory.
func (d *differ) names(k string) string {
	var names []string
	for _, n := range d.nodes[k] {
		names = append(names, n.Name)
	}
	if len(names) == 0 {
		for _, n := range d.listed(k) {
			names = append(names, n.Name)
		}
	}
	return strings.Join(names, ", ")
}

// listed are the nodes of the inventory with an ID, those in use first.
func (d *differ) listed(k string) []Node {
	if d.File == nil {
		return nil
	}
	var found []Node
	for _, n := range d.File.Nodes {
		if n.ID.String() == k {
			found = append(found, n)
		}
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].Retired < found[j].Retired })
	return found
}

// node compares one node of the cluster.
func (d *differ) node(n platform.Node) {
	if !n.SGX {
		return
	}
	if n.ID == (attest.PlatformID{}) {
		d.add(IDUnknown, n.Name, n.ID, d.listedID(n.Name), "No source knows the platform ID of this node: "+cmp.Or(n.Reason, "its LAS says none")+".",
			"Start LAS there, or name the ID: {platforms diff NAME --platforms-file FILE}.")
		return
	}
	k := n.ID.String()
	admitted := len(d.admitting[k]) > 0
	if same := d.nodes[k]; len(same) > 1 {
		d.add(IDCloned, n.Name, n.ID, attest.PlatformID{}, "One machine appears as several nodes: "+d.names(k)+". One of them lies or is a copy; virtual machines of one host look like that, too.",
			"Get a quote from each of these nodes, and compare: {platforms --quotes DIR --collateral DIR}.")
	}
	switch listed := d.listedNode(n.Name); {
	case listed != nil && listed.ID != n.ID:
		d.add(IDChanged, n.Name, n.ID, listed.ID, whyNewID(n, *listed), whatWithNewID(admitted))
	case !admitted:
		d.add(NodeAdded, n.Name, n.ID, attest.PlatformID{}, "No session admits this machine yet: enclaves that start there get no keys.", "Give both sessions the new list; {platforms -o session} prints it.")
	case d.File != nil && (listed == nil || listed.Retired != ""):
		d.unlisted(n, k, listed)
	}
}

// unlisted is a node that sessions admit and that the inventory does not have.
func (d *differ) unlisted(n platform.Node, k string, listed *Node) {
	const do = "If that is right: {platforms inventory FILE --write}."
	if listed != nil {
		d.add(NodeUnlisted, n.Name, n.ID, listed.ID, "The inventory says that this machine was retired on "+string(listed.Retired)+", and it is back.", do)
		return
	}
	for _, other := range d.listed(k) {
		if !d.exists[other.Name] {
			d.add(NodeRenamed, n.Name, n.ID, attest.PlatformID{}, "The inventory knows this machine as node "+other.Name+", which the cluster no longer has.",
				"If the node was renamed: {platforms inventory FILE --accept-change "+n.Name+" --write}.")
			return
		}
	}
	d.add(NodeUnlisted, n.Name, n.ID, attest.PlatformID{}, "Sessions admit this machine, and the inventory does not have it: nobody reviewed it.", do)
}

func (d *differ) listedNode(name string) *Node {
	if d.File == nil {
		return nil
	}
	return d.File.Node(name)
}

func (d *differ) listedID(name string) attest.PlatformID {
	if n := d.listedNode(name); n != nil {
		return n.ID
	}
	return attest.PlatformID{}
}

// whyNewID says what may have happened to a node.
func whyNewID(now platform.Node, was Node) string {
	why := "The node has another platform ID than in the inventory. An SGX reset in the BIOS does that"
	if was.ID.Generation() == attest.SCONEQE {
		why += ", and so does an update of microcode or of LAS"
	}
	why += "; or it is another machine under the same name."
	switch {
	case was.BootID == "" || now.BootID == "":
	case was.BootID == now.BootID && now.ID.Generation() == attest.IntelQEID:
		why += " The node has not been started again since, which a reset needs: another machine, or a forged ID, is likelier."
	case was.BootID != now.BootID:
		why += " The node was started again since."
	}
	return why
}

func whatWithNewID(admitted bool) string {
	do := "Ask whoever maintains the machine, and get a quote of it. Then: {platforms inventory FILE --accept-change NODE --write}"
	if admitted {
		return do + "."
	}
	return do + ", and give both sessions the new list, without the old ID."
}

// admitted looks for the machine of an ID that sessions admit.
func (d *differ) admitted(k string) {
	if len(d.nodes[k]) > 0 {
		return
	}
	id := d.ids[k]
	for _, n := range d.listed(k) {
		if slices.Contains(d.unknown, n.Name) {
			return // said there
		}
	}
	const meaning, do = "Sessions still admit a machine that is no node of the cluster: who has it can start enclaves that get the keys.", "Give both sessions the new list, without this ID."
	for _, n := range d.listed(k) {
		d.add(NodeRemoved, n.Name, id, attest.PlatformID{}, meaning, do)
		return
	}
	if len(d.unknown) > 0 {
		d.add(IDUnattributed, "", id, attest.PlatformID{}, "Sessions admit this ID, which may be that of a node whose ID is not known now: "+few(d.unknown)+".",
			"Start LAS there and look again, or compare with an inventory, too: {platforms diff NAME --inventory FILE}.")
		return
	}
	d.add(NodeRemoved, "", id, attest.PlatformID{}, meaning, do+" If a node has a new ID, this may be its old one; {platforms diff NAME --inventory FILE} would tell.")
}

// few names some.
func few(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// generations refuses IDs of two generations, on nodes and in sessions together.
func (d *differ) generations() {
	where := map[attest.Generation][]string{}
	for _, k := range slices.Sorted(maps.Keys(d.nodes)) {
		n := d.nodes[k][0]
		where[n.ID.Generation()] = append(where[n.ID.Generation()], "node "+n.Name)
	}
	for _, k := range slices.Sorted(maps.Keys(d.ids)) {
		g := d.ids[k].Generation()
		if in := d.admitting[k][0]; !slices.Contains(where[g], in) {
			where[g] = append(where[g], in)
		}
	}
	if len(where) < 2 {
		return
	}
	var parts []string
	for _, g := range slices.Sorted(maps.Keys(where)) {
		parts = append(parts, fmt.Sprintf("%s: %s", g, few(where[g])))
	}
	d.add(GenerationsMixed, "", attest.PlatformID{}, attest.PlatformID{}, "There are IDs of two generations, of which a CAS knows one ("+strings.Join(parts, "; ")+").",
		"Finish the update of SCONE on all nodes, then give both sessions the new list.")
}
