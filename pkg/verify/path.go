package verify

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/topology"
)

// Path is the way from a client to the databases, tier by tier. It is empty for a single
// database.
type Path []Tier

// Tier are the programs of one kind.
type Tier struct {
	// Name is what the program is called, and Count how many there are: of HAProxy, as the
	// cluster says; 0 if it does not.
	Name    string       `json:"name"`
	Count   int          `json:"count"`
	Members []TierMember `json:"members"`
}

// TierMember is one of them, or all where they are not told apart.
type TierMember struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// Primary means that it took the mark of this run, as the only one.
	Primary bool `json:"primary"`
}

// State is how what is said of a member ends.
type State string

// The states. What no finding is about was not asked, and Tolerated means that the policy
// names what did not pass.
const (
	Proven    State = "proven"
	Tolerated State = "tolerated"
	Unproven  State = "unproven"
	NotAsked  State = "not asked"
	Failed    State = "failed"
)

// haproxy is what the subjects of findings about HAProxy begin with.
const haproxy = "haproxy"

// path draws what was found together, by member.
func (a *appraisal) path(found check.Report) Path {
	if !a.several() {
		return nil
	}
	primary := ""
	if f, _ := found.Find(onePrimary); f.Outcome == check.Pass {
		_, primary = a.left()
	}
	state := func(name string, also ...string) State {
		found := stateOf(found, name)
		// everything rests on these: who knows the keys, and who asked
		on := append(also, casAttested, "session-client", "session-database", "client-session-policy", "database-session-policy")
		unmet := slices.ContainsFunc(on, func(id string) bool { _, is := a.unmet[id]; return is })
		if unmet && (found == Proven || found == Tolerated) {
			return Unproven
		}
		return found
	}
	front := Tier{Name: "HAProxy", Count: len(a.seen.Endpoints[a.promised.Name].Value)}
	for _, f := range found {
		name, _, _ := strings.Cut(f.Subject, "/")
		known := slices.ContainsFunc(front.Members, func(m TierMember) bool { return m.Name == name })
		if strings.HasPrefix(name, haproxy) && !known {
			front.Members = append(front.Members, TierMember{Name: name, State: state(name)})
		}
	}
	if len(front.Members) == 0 {
		front.Members = []TierMember{{Name: haproxy, State: NotAsked}}
	}
	all := Path{front}
	for _, t := range []struct {
		name string
		role topology.Role
		on   []string // the links on which it rests besides
	}{
		{"MaxScale", topology.MaxScale, []string{"session-maxscale", "maxscale-session-policy"}},
		{"MariaDB", topology.Database, []string{"enc-07"}},
	} {
		tier := Tier{Name: t.name}
		for _, i := range a.promised.Instances(t.role) {
			tier.Members = append(tier.Members, TierMember{i.Name, state(i.Name, t.on...), i.Name == primary})
		}
		tier.Count = len(tier.Members)
		all = append(all, tier)
	}
	return all
}

// stateOf is how the findings about a member end.
func stateOf(found check.Report, name string) State {
	var about check.Report
	for _, f := range found {
		if one, _, _ := strings.Cut(f.Subject, "/"); one == name {
			about = append(about, f)
		}
	}
	switch v := about.Verdict(); {
	case len(about) == 0:
		return NotAsked
	case v == check.Affirming:
		return Proven
	case v == check.Warning:
		return Tolerated
	case v == check.None:
		return Unproven
	}
	return Failed
}

// Drawing is the path in lines of at most 80 columns, in ASCII: from the client on the left to
// the databases, one a line. Below each of the other tiers stands how many ended how.
func (p Path) Drawing() []string {
	if len(p) == 0 {
		return nil
	}
	last := p[len(p)-1]
	var columns [][]string
	for _, t := range p[:len(p)-1] {
		columns = append(columns, t.column())
	}
	names, height := 0, len(last.Members)
	for _, m := range last.Members {
		names = max(names, utf8.RuneCountInString(m.Name))
	}
	for _, c := range columns {
		height = max(height, len(c))
	}
	var lines []string
	for n := range height {
		line, arrow := "client", " -> "
		if n > 0 {
			line, arrow = "      ", "    "
		}
		for _, c := range columns {
			text := ""
			if n < len(c) {
				text = c[n]
			}
			line += arrow + fmt.Sprintf("%-*s", widest(c), text)
		}
		if n < len(last.Members) {
			m, role := last.Members[n], ""
			if m.Primary {
				role = "primary"
			}
			line += map[bool]string{true: " -+-> ", false: "  +-> "}[n == 0] + fmt.Sprintf("%-*s  %-7s  %s", names, m.Name, role, m.State.mark())
		}
		lines = append(lines, strings.TrimRight(line, " "))
	}
	return lines
}

// column is what stands for a tier: its name with how many there are, and a line for each
// way in which they ended.
func (t Tier) column() []string {
	lines := []string{t.Name}
	if t.Count > 0 {
		lines[0] = fmt.Sprintf("%s x%d", t.Name, t.Count)
	}
	for _, state := range []State{Failed, NotAsked, Unproven, Tolerated, Proven} {
		n := 0
		for _, m := range t.Members {
			if m.State == state {
				n++
			}
		}
		switch {
		case n == len(t.Members):
			lines = append(lines, state.mark())
		case n > 0:
			lines = append(lines, fmt.Sprintf("%d %s", n, state.mark()))
		}
	}
	return lines
}

// mark is a state as it stands out among others.
func (s State) mark() string {
	if s == Failed {
		return strings.ToUpper(string(s))
	}
	return string(s)
}

func widest(lines []string) int {
	n := 0
	for _, l := range lines {
		n = max(n, utf8.RuneCountInString(l))
	}
	return n
}

// Group are findings that are shown below one title; that of those about the whole is empty.
type Group struct {
	Title    string
	Findings check.Report
}

// Groups are the findings about the whole, and then those about each tier of the path. What
// is the same of several members is one finding, the first, which names all of them.
func (p Path) Groups(findings check.Report) []Group {
	all := make([]Group, 1, len(p)+1)
	tierOf := map[string]int{}
	for n, t := range p {
		all = append(all, Group{Title: t.Name})
		for _, m := range t.Members {
			tierOf[m.Name] = n + 1
		}
	}
	for _, f := range folded(findings) {
		member, _, _ := strings.Cut(f.Subject, "/")
		at := tierOf[member]
		all[at].Findings = append(all[at].Findings, f)
	}
	return slices.DeleteFunc(all, func(g Group) bool { return len(g.Findings) == 0 })
}

// folded makes one finding of those that are the same but for the member, with whose name
// their titles begin. What was seen of one that passed is not shown.
func folded(findings check.Report) check.Report {
	first := map[check.Finding]int{}
	var all check.Report
	for _, f := range findings {
		member, about, _ := strings.Cut(f.Subject, "/")
		title, named := strings.CutPrefix(f.Title, member+": ")
		same := f
		if same.Subject, same.Title = about, title; f.Outcome == check.Pass {
			same.Got, same.Want, same.Reason = "", "", ""
		}
		switch at, again := first[same]; {
		case !named:
			all = append(all, f)
		case again:
			all[at].Title = strings.TrimSuffix(all[at].Title, ": "+title) + ", " + f.Title
		default:
			first[same], all = len(all), append(all, f)
		}
	}
	return listed(all)
}

// listed makes one finding of those of one check that follow each other and passed, and whose
// titles differ only in what is behind the last colon, as in an account.
func listed(findings check.Report) check.Report {
	var all check.Report
	for _, f := range findings {
		about := strings.LastIndex(f.Title, ": ") + 1
		if n := len(all) - 1; n >= 0 && about > 0 && f.Outcome == check.Pass && all[n].Outcome == check.Pass && f.ID == all[n].ID && strings.HasPrefix(all[n].Title, f.Title[:about]) {
			all[n].Title += "," + f.Title[about:]
			continue
		}
		all = append(all, f)
	}
	return all
}
