package change_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

const cluster = "a cluster"

// release has a session that owns the names, one of clients and one of the database,
// which CAS holds as they were promised.
func release(t *testing.T) (*topology.Release, map[string]change.Version) {
	t.Helper()
	r := &topology.Release{Name: "db1", Namespace: "shop-ns", Platforms: ids(t, idB, idA)}
	versions := map[string]change.Version{}
	for _, m := range []struct {
		role topology.Role
		name string
	}{{topology.Namespace, "owner"}, {topology.Client, "client"}, {topology.Database, "shop"}} {
		text := strings.Replace(shop, "name: shop", "name: "+m.name, 1)
		versions[m.name] = held(t, text)
		r.SetSession(m.role, topology.Session{Name: m.name, Text: text, Hash: versions[m.name].Hash})
	}
	return r, versions
}

func platformsPlan(t *testing.T, r *topology.Release, versions map[string]change.Version, after ...string) *change.PlatformsPlan {
	t.Helper()
	p, err := change.NewPlatformsPlan(cluster, r, versions, ids(t, after...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func readPlatforms(t *testing.T, text []byte) *change.PlatformsPlan {
	t.Helper()
	p, err := change.ReadPlatformsPlan("plan.json", text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// admitted are the machines of each service.
func admitted(s *session.Session) string {
	var all []string
	for _, v := range s.Services {
		var machines []string
		for _, id := range v.Platforms {
			machines = append(machines, strings.TrimPrefix(id.String(), "INTEL_QE_ID:")[:1])
		}
		all = append(all, v.Name+"="+strings.Join(append(machines, v.PlatformSecrets...), "+"))
	}
	return strings.Join(all, " ")
}

func TestPlatformsPlan(t *testing.T) {
	r, versions := release(t)
	p := platformsPlan(t, r, versions, idC, idA)
	got := readPlatforms(t, written(t, p))
	if !bytes.Equal(written(t, got), written(t, p)) {
		t.Errorf("got\n%s\nwant\n%s", written(t, got), written(t, p))
	}
	if got.Empty() {
		t.Error("the plan is empty")
	}
	if len(got.Sessions) != 2 || got.Sessions[0].Name() != "client" || got.Sessions[1].Name() != "shop" {
		t.Fatalf("got %d sessions, want client and shop", len(got.Sessions))
	}
	for _, s := range got.Sessions {
		if a := admitted(s.To); a != "db=a+c backup=a+c" && a != "db=c+a backup=c+a" {
			t.Errorf("session %s: got %s", s.Name(), a)
		}
		if s.To.Predecessor != versions[s.Name()].Hash || s.To.Has("creator") {
			t.Errorf("session %s: got the predecessor %q", s.Name(), s.To.Predecessor)
		}
	}
	wants(t, got.Fits(cluster, r, ids(t, idC, idA)), "")
}

func TestEmptyPlatformsPlan(t *testing.T) {
	text := strings.Replace(shop, "["+idA+"]", "["+idB+", "+idA+"]", 1)
	v := held(t, text)
	r := &topology.Release{Name: "db1", Platforms: ids(t, idA, idB)}
	r.SetSession(topology.Database, topology.Session{Name: "shop", Text: text, Hash: v.Hash})
	p := platformsPlan(t, r, map[string]change.Version{"shop": v}, idB, idA)
	if !p.Empty() {
		t.Errorf("got %d sessions", len(p.Sessions))
	}
	r.Platforms = ids(t, idC) // a run that was killed has changed all sessions
	if p := platformsPlan(t, r, map[string]change.Version{"shop": v}, idB, idA); p.Empty() {
		t.Error("what is left to be recorded is not planned")
	}
}

func TestPlatformsPlanRefuses(t *testing.T) {
	r, versions := release(t)
	with := func(text string) map[string]change.Version {
		v := held(t, text)
		changed := map[string]change.Version{"client": versions["client"], "shop": v}
		return changed
	}
	secret := strings.Replace(shop, "["+idA+"]", `["$$SCONE::machines$$"]`, 1) + "  - {name: machines, kind: ascii, value: x}\n"
	for name, c := range map[string]struct {
		held  map[string]change.Version
		text  string // that was promised
		after []string
		want  string
	}{
		"changed by somebody else": {with("# x\n" + shop), shop, []string{idC}, "was changed in CAS"},
		"no machine":               {versions, shop, nil, "the service could run anywhere"},
		"CAS does not have it":     {map[string]change.Version{"client": versions["client"]}, shop, []string{idC}, `no session "shop"`},
		"platforms in a secret":    {with(secret), secret, []string{idC}, "are in a secret"},
		"a key would be lost":      {with(unkept), unkept, []string{idC}, "the update would replace key"},
	} {
		t.Run(name, func(t *testing.T) {
			hash := versions["shop"].Hash
			if c.text != shop {
				hash = c.held["shop"].Hash
			}
			r.SetSession(topology.Database, topology.Session{Name: "shop", Text: c.text, Hash: hash})
			_, err := change.NewPlatformsPlan(cluster, r, c.held, ids(t, c.after...))
			wants(t, err, c.want)
		})
	}
}

// unkept has a private key that CAS replaces at every update.
const unkept = `version: "0.3.11"
name: shop
services:
  - name: db
    command: [run, "$$SCONE::key:privatekey$$"]
    attestation: {mrenclave: ["0200000000000000000000000000000000000000000000000000000000000000"]}
    platforms: [` + idA + `]
secrets:
  - {name: key, kind: private-key}
`

// TestReadPlatformsPlanRefuses: a plan that does not hold together is none.
func TestReadPlatformsPlanRefuses(t *testing.T) {
	r, versions := release(t)
	good := written(t, platformsPlan(t, r, versions, idC))
	first := func(do func(s map[string]any)) []byte {
		return edit(t, good, func(d map[string]any) { do(d["sessions"].([]any)[0].(map[string]any)) })
	}
	for name, c := range map[string]struct {
		text []byte
		want string
	}{
		"nothing is wrong":    {good, ""},
		"no JSON":             {[]byte("x"), "reading the plan: plan.json: "},
		"two documents":       {append(good, good...), "more than one document"},
		"another kind":        {edit(t, good, func(d map[string]any) { d["kind"] = change.PlanKind }), "kind: got"},
		"a member too many":   {edit(t, good, func(d map[string]any) { d["extra"] = 1 }), "unknown field"},
		"no platform ID":      {edit(t, good, func(d map[string]any) { d["after"] = []string{"n1"} }), "platform ID: got"},
		"a session twice":     {edit(t, good, func(d map[string]any) { s := d["sessions"].([]any); d["sessions"] = []any{s[0], s[0]} }), `sessions[1]: got session "client" twice`},
		"another predecessor": {first(func(s map[string]any) { s["predecessor"] = hashOf("x") }), "sessions[0]: predecessor: got"},
		"no predecessor":      {first(func(s map[string]any) { s["predecessor"] = "" }), "sessions[0]: predecessor: got"},
		"another name":        {first(func(s map[string]any) { s["name"] = "shop" }), `sessions[0]: got the names "shop", "client" and "client"`},
		"no session before":   {first(func(s map[string]any) { s["from"] = "" }), "sessions[0]: from:1:1"},
		"no session after":    {first(func(s map[string]any) { s["to"] = "x" }), "sessions[0]: to:1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := change.ReadPlatformsPlan("plan.json", c.text)
			wants(t, err, c.want)
			if (p == nil) != (err != nil) {
				t.Errorf("got the plan %v beside %v", p, err)
			}
		})
	}
}

// TestFits: a plan of another release or day, and one that was edited, are refused.
func TestFits(t *testing.T) {
	r, versions := release(t)
	good := written(t, platformsPlan(t, r, versions, idC))
	first := func(do func(s map[string]any)) []byte {
		return edit(t, good, func(d map[string]any) { do(d["sessions"].([]any)[0].(map[string]any)) })
	}
	inTo := func(old, new string) []byte {
		return first(func(s map[string]any) { s["to"] = strings.ReplaceAll(s["to"].(string), old, new) })
	}
	after := *r
	after.Platforms = ids(t, idC)
	elsewhere := *r
	elsewhere.Platforms = ids(t, idB)
	for name, c := range map[string]struct {
		text     []byte
		cluster  string
		r        *topology.Release
		machines []string
		want     string
	}{
		"it fits":               {good, cluster, r, []string{idC}, ""},
		"a run was killed":      {good, cluster, &after, []string{idC}, ""},
		"another cluster":       {good, "another cluster", r, []string{idC}, "of another cluster or name"},
		"another namespace":     {edit(t, good, func(d map[string]any) { d["namespace"] = "x" }), cluster, r, []string{idC}, "of another cluster or name"},
		"another release":       {edit(t, good, func(d map[string]any) { d["name"] = "x" }), cluster, r, []string{idC}, "of another cluster or name"},
		"other machines before": {good, cluster, &elsewhere, []string{idC}, "the plan begins with the machines " + idA + ", " + idB},
		"a stranger before":     {edit(t, good, func(d map[string]any) { d["before"] = []string{idC, idB} }), cluster, r, []string{idC}, "the plan begins with"},
		"other machines now":    {good, cluster, r, []string{idC, idA}, "the machines have changed since the plan was made"},
		"a stranger after":      {edit(t, good, func(d map[string]any) { d["after"] = []string{idA, idC} }), cluster, r, []string{idC}, "the machines have changed"},
		"a stranger's session":  {edit(t, good, func(d map[string]any) { rename(d, "client", "owner") }), cluster, r, []string{idC}, `changes session "owner", which is not one of the release's`},
		"one more machine":      {inTo("["+idC+"]", "["+idC+", "+idB+"]"), cluster, r, []string{idC}, "something else than platforms"},
		"another machine":       {inTo(idC, idB), cluster, r, []string{idC}, "something else than platforms"},
		"another command":       {inTo("dump", "steal"), cluster, r, []string{idC}, "something else than platforms"},
		"another measurement":   {inTo(`"02`, `"03`), cluster, r, []string{idC}, "something else than platforms"},
		"another From":          {first(func(s map[string]any) { s["from"] = strings.Replace(s["from"].(string), "dump", "copy", 1) }), cluster, r, []string{idC}, "something else than platforms"},
		"From is what To is":    {first(func(s map[string]any) { s["from"] = s["to"] }), cluster, r, []string{idC}, "something else than platforms"},
		"From hides its machines": {first(func(s map[string]any) {
			s["from"] = strings.Replace(s["from"].(string), "["+idA+"]", `["$$SCONE::password$$"]`, 1)
		}), cluster, r, []string{idC}, "are in a secret"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := change.ReadPlatformsPlan("plan.json", c.text)
			if err != nil {
				t.Fatal(err)
			}
			wants(t, p.Fits(c.cluster, c.r, ids(t, c.machines...)), c.want)
		})
	}
}

// rename renames the first session of a plan.
func rename(d map[string]any, old, new string) {
	s := d["sessions"].([]any)[0].(map[string]any)
	for _, member := range []string{"name", "from", "to"} {
		s[member] = strings.Replace(s[member].(string), old, new, 1)
	}
}

// TestLetterCase: in whatever case of digits a plan, a record or CAS says a platform ID
// or a hash, a good plan fits and a bad one does not.
func TestLetterCase(t *testing.T) {
	r, versions := release(t)
	upper := func(text string) string {
		for _, id := range []string{idA, idB, idC} {
			digits := strings.TrimPrefix(id, "INTEL_QE_ID:")
			text = strings.ReplaceAll(text, id, "INTEL_QE_ID:"+strings.ToUpper(digits))
		}
		return text
	}
	good := string(written(t, platformsPlan(t, r, versions, idC)))
	for name, text := range map[string]string{
		"as written":      good,
		"IDs in capitals": upper(good),
		"hashes too":      strings.ReplaceAll(upper(good), versions["client"].Hash, strings.ToUpper(versions["client"].Hash)),
	} {
		t.Run(name, func(t *testing.T) {
			p := readPlatforms(t, []byte(text))
			wants(t, p.Fits(cluster, r, ids(t, upper(idC))), "")
			for _, s := range p.Sessions {
				again := held(t, upper(versions[s.Name()].Text()[:strings.Index(versions[s.Name()].Text(), "creator")]))
				inCapitals := change.Version{Hash: strings.ToUpper(versions[s.Name()].Hash), Session: again.Session}
				next, err := s.Next(inCapitals, p.After)
				if err != nil {
					t.Fatal(err)
				}
				if got := admitted(next); got != "db=c backup=c" {
					t.Errorf("got %s", got)
				}
			}
			wants(t, p.Fits(cluster, r, ids(t, strings.Replace(upper(idC), "C", "B", 1))), "the machines have changed")
			wants(t, p.Fits(cluster, &topology.Release{Name: r.Name, Namespace: r.Namespace, Platforms: ids(t, upper(idA))}, ids(t, idC)), "the plan begins with")
		})
	}
}

// TestNext: what is uploaded comes from CAS's text, and only if that is the version that
// the plan replaces.
func TestNext(t *testing.T) {
	r, versions := release(t)
	p := platformsPlan(t, r, versions, idC).Sessions[1]
	made := held(t, string(p.To.Source()))
	for name, c := range map[string]struct {
		held change.Version
		done bool
		want string
	}{
		"the version of the plan":      {p.From, false, ""},
		"a run was killed":             {made, true, ""},
		"another version":              {held(t, "# x\n"+shop), false, "was changed meanwhile"},
		"another text under this hash": {change.Version{Hash: p.From.Hash, Session: parse(t, strings.Replace(shop, "dump", "copy", 1))}, false, "was changed meanwhile"},
		"what it makes, by itself":     {change.Version{Hash: p.From.Hash, Session: withPredecessor(t, p.To, hashOf("x"))}, false, "was changed meanwhile"},
	} {
		t.Run(name, func(t *testing.T) {
			next, err := p.Next(c.held, ids(t, idC))
			wants(t, err, c.want)
			if err == nil && (next == nil) != c.done {
				t.Errorf("got %v, want done %v", next, c.done)
			}
			if err != nil && next != nil {
				t.Error("got a document beside the error")
			}
		})
	}
	t.Run("a remark of the plan is not uploaded", func(t *testing.T) {
		edited := p
		edited.To = parse(t, "# remark\n"+string(p.To.Source()))
		next, err := edited.Next(p.From, ids(t, idC))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(next.Source()), "remark") {
			t.Errorf("got\n%s", next.Source())
		}
	})
	t.Run("a plan for other machines", func(t *testing.T) {
		_, err := p.Next(p.From, ids(t, idB))
		wants(t, err, "something else than platforms")
	})
	t.Run("a plan that does nothing", func(t *testing.T) {
		same := change.PlannedSession{From: made, To: withPredecessor(t, p.To, made.Hash)}
		_, err := same.Next(made, ids(t, idC))
		wants(t, err, "something else than platforms")
	})
	t.Run("for no machine", func(t *testing.T) {
		_, err := p.Next(p.From, nil)
		wants(t, err, "could run anywhere")
	})
}

func withPredecessor(t *testing.T, s *session.Session, hash string) *session.Session {
	t.Helper()
	other := *s
	if err := other.SetPredecessor(hash); err != nil {
		t.Fatal(err)
	}
	return &other
}

// TestAgain: a plan that was carried out and set back may be carried out again, if CAS
// shows that just this has happened.
func TestAgain(t *testing.T) {
	r, versions := release(t)
	p := platformsPlan(t, r, versions, idC).Sessions[1]
	made := held(t, string(p.To.Source()))
	back := held(t, string(withPredecessor(t, parse(t, shop), made.Hash).Source()))
	narrower := held(t, string(withPredecessor(t, parse(t, strings.Replace(shop, ", "+idB, "", 1)), made.Hash).Source()))
	stranger := held(t, string(withPredecessor(t, p.To, hashOf("x")).Source()))
	for name, c := range map[string]struct {
		held, undone change.Version
		want         string
	}{
		"set back":                 {back, made, ""},
		"set back to something":    {narrower, made, "was changed meanwhile"},
		"not after the plan":       {p.From, made, "was changed meanwhile"},
		"what was undone is other": {back, change.Version{Hash: made.Hash, Session: p.From.Session}, "was changed meanwhile"},
		"another hash":             {back, change.Version{Hash: hashOf("x"), Session: made.Session}, "was changed meanwhile"},
		"another plan's":           {back, change.Version{Hash: made.Hash, Session: stranger.Session}, "was changed meanwhile"},
	} {
		t.Run(name, func(t *testing.T) {
			next, err := p.Again(c.held, c.undone, ids(t, idC))
			wants(t, err, c.want)
			if err == nil && (next.Predecessor != back.Hash || admitted(next) != "db=c backup=c") {
				t.Errorf("got the predecessor %s and %s", next.Predecessor, admitted(next))
			}
		})
	}
}

// TestBack: the way back is the earlier text, service by service, and nothing else.
func TestBack(t *testing.T) {
	anywhere := strings.Replace(shop, "    platforms: ["+idA+"]\n", "", 1)
	secret := strings.Replace(shop, "["+idA+"]", `[`+idA+`, "$$SCONE::machines$$"]`, 1) + "  - {name: machines, kind: ascii, value: x}\n"
	for name, c := range map[string]struct{ earlier, want string }{
		"services differ":       {shop, "db=a+b backup=a"},
		"one may run anywhere":  {anywhere, "db=a+b backup="},
		"platforms in a secret": {secret, "db=a+b backup=a+machines"},
	} {
		t.Run(name, func(t *testing.T) {
			earlier := held(t, c.earlier)
			current := moved(t, earlier, ids(t, idC))
			to, err := change.Back(current, earlier, strings.ToUpper(earlier.Hash))
			if err != nil {
				t.Fatal(err)
			}
			if got := admitted(to); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if to.Predecessor != current.Hash || to.Creator != "" {
				t.Errorf("got the predecessor %q and the creator %q", to.Predecessor, to.Creator)
			}
			if !session.Equal(to, earlier.Session) {
				t.Errorf("got another session:\n%s", to.Source())
			}
		})
	}
}

// moved is the version after one in which all services admit other machines.
func moved(t *testing.T, earlier change.Version, after []attest.PlatformID) change.Version {
	t.Helper()
	u, err := change.NewUpdate(earlier, earlier.Session)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range earlier.Session.Services {
		if err := u.To.SetPlatforms(v.Name, after); err != nil {
			t.Fatal(err)
		}
	}
	return held(t, string(u.To.Source()))
}

// TestBackRefuses: where CAS's answers do not hold together, there is no way back.
func TestBackRefuses(t *testing.T) {
	earlier := held(t, shop)
	current := moved(t, earlier, ids(t, idC))
	edited := func(old, new string) change.Version {
		return change.Version{Hash: earlier.Hash, Session: parse(t, strings.Replace(shop, old, new, 1))}
	}
	other := held(t, "# x\n"+shop)
	for name, c := range map[string]struct {
		current, earlier change.Version
		previous         string
		want             string
	}{
		"nothing is wrong":          {current, earlier, earlier.Hash, ""},
		"no way back is known":      {current, earlier, "", "got the predecessor"},
		"a first version":           {earlier, earlier, earlier.Hash, `got the predecessor ""`},
		"not the predecessor":       {current, other, other.Hash, "got the predecessor"},
		"CAS gives no hash":         {current, change.Version{Session: earlier.Session}, earlier.Hash, `asked CAS for the version ` + earlier.Hash + `, got ""`},
		"CAS gives another hash":    {current, change.Version{Hash: other.Hash, Session: earlier.Session}, earlier.Hash, "asked CAS for the version"},
		"CAS gives the newest":      {current, current, earlier.Hash, "asked CAS for the version"},
		"another command":           {current, edited("dump", "steal"), earlier.Hash, "in more than platforms"},
		"another measurement":       {current, edited(`"02`, `"03`), earlier.Hash, "in more than platforms"},
		"one more service":          {current, edited("  - name: backup", "  - name: extra\n    command: x\n    attestation: {mrenclave: [\""+strings.Repeat("02", 32)+"\"]}\n  - name: backup"), earlier.Hash, "in more than platforms"},
		"another service":           {current, edited("name: backup", "name: copy"), earlier.Hash, "in more than platforms"},
		"another session":           {current, edited("name: shop", "name: shed"), earlier.Hash, "in more than platforms"},
		"another secret":            {current, edited("size: 16", "size: 17"), earlier.Hash, "in more than platforms"},
		"the new one has no hash":   {change.Version{Session: current.Session}, earlier, earlier.Hash, "is not known"},
		"the new one has a bad one": {change.Version{Hash: "beef", Session: current.Session}, earlier, earlier.Hash, "setting the predecessor"},
	} {
		t.Run(name, func(t *testing.T) {
			to, err := change.Back(c.current, c.earlier, c.previous)
			wants(t, err, c.want)
			if err != nil && to != nil {
				t.Error("got a document beside the error")
			}
		})
	}
}

// TestClusterMovedIsAType: callers tell it from an edited plan.
func TestClusterMovedIsAType(t *testing.T) {
	r, versions := release(t)
	p := platformsPlan(t, r, versions, idC)
	var movedError *change.ClusterMovedError
	if err := p.Fits(cluster, r, nil); !errors.As(err, &movedError) {
		t.Errorf("got %v", err)
	}
}

// What is shown of a plan is what its file says.
func TestWrittenPlan(t *testing.T) {
	r, versions := release(t)
	p := platformsPlan(t, r, versions, idA)
	w := p.Written()
	if len(w.Sessions) != len(p.Sessions) || len(w.Sessions) == 0 {
		t.Fatalf("got %d sessions of %d", len(w.Sessions), len(p.Sessions))
	}
	for i, s := range p.Sessions {
		want := change.WrittenSession{Name: s.Name(), Predecessor: s.From.Hash, From: s.From.Text(), To: string(s.To.Source())}
		if w.Sessions[i] != want {
			t.Errorf("got %+v, want %+v", w.Sessions[i], want)
		}
	}
	if empty := (&change.PlatformsPlan{}).Written(); empty.Before == nil || empty.After == nil {
		t.Error("no machines are null instead of an empty list")
	}
}
