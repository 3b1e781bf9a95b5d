package confidb_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/inventory"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/machines/machinestest"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

const id3 = "INTEL_QE_ID:00000000000000000000000000000003"

// fits fails if a line is wider than a terminal.
func fits(t *testing.T, out string) {
	t.Helper()
	for line := range strings.Lines(out) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestPlatformsInventory(t *testing.T) {
	cluster := twoMachines()
	cluster.Nodes[2].Status.NodeInfo.KernelVersion = "6.1.0"
	kubeconfig(t, cluster.Start(t))
	path := filepath.Join(t.TempDir(), "machines.yaml")
	code, out, errOut := platforms("inventory", path)
	if code != 0 || strings.Count(out, "added ") != 2 || errOut != "nothing was written (--write does)\n" {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it was written without --write")
	}
	if code, out, errOut = platforms("inventory", path, "--write"); code != 0 || errOut != "" {
		t.Fatalf("exit %d\n%s%s", code, out, errOut)
	}
	fits(t, out)
	first, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(first), `kernelVersion: "6.1.0"`) || !strings.Contains(string(first), "provenance: claimed") {
		t.Errorf("%v\n%s", err, first)
	}
	if code, out, _ = platforms("inventory", path, "--write"); code != 0 || out != "no difference\n" {
		t.Errorf("again: exit %d\n%s", code, out)
	}
	if again, _ := os.ReadFile(path); !bytes.Equal(first, again) {
		t.Errorf("a second run changed it:\n%s", again)
	}
	if names, err := os.ReadDir(filepath.Dir(path)); err != nil || len(names) != 1 {
		t.Errorf("left over: %v, %v", names, err)
	}
	// as a source it is the user's word
	code, out, _ = platforms("--platforms-file", path, "-o", "custom-columns=P:.provenance,S:.sources", "--require-provenance", "declared")
	if code != 0 || out != "P         S\ndeclared  [file las-log]\ndeclared  [file las-log]\n" {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestPlatformsInventoryAcceptsNothingUnseen(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*machinestest.Cluster)
		node   string
		want   string
	}{
		"another ID": {func(c *machinestest.Cluster) { c.Logs["scone-system/las-node-1/las"] = "Intel QE ID: " + id3[12:] }, "node-1", "it had another ID"},
		"a clone":    {func(c *machinestest.Cluster) { c.AddSGX("node-3", "Intel QE ID: "+qe1) }, "node-3", "its ID is that of node-1"},
		"renamed": {func(c *machinestest.Cluster) {
			c.Nodes, c.Pods = c.Nodes[:2], c.Pods[:1]
			c.AddSGX("node-9", "Intel QE ID: "+qe1)
		}, "node-9", "its ID is that of node-1"},
	} {
		t.Run(name, func(t *testing.T) {
			before := twoMachines()
			kubeconfig(t, before.Start(t))
			path := filepath.Join(t.TempDir(), "machines.yaml")
			platforms("inventory", path, "--write")
			first, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			after := twoMachines()
			c.change(after)
			kubeconfig(t, after.Start(t))
			code, out, errOut := platforms("inventory", path, "--write")
			if code != 3 || !strings.Contains(strings.Join(strings.Fields(out), " "), "needs --accept-change "+c.node+": "+c.want) || !strings.Contains(errOut, "--accept-change "+c.node) {
				t.Errorf("exit %d\n%s%s", code, out, errOut)
			}
			fits(t, out)
			if now, _ := os.ReadFile(path); !bytes.Equal(first, now) {
				t.Errorf("it was written:\n%s", now)
			}
			if code, _, errOut := platforms("inventory", path, "--write", "--accept-change", "plain"); code != 3 {
				t.Errorf("another node's change: exit %d\n%s", code, errOut)
			}
			if code, _, errOut := platforms("inventory", path, "--write", "--accept-change", c.node); code != 0 {
				t.Errorf("exit %d\n%s", code, errOut)
			}
			if code, out, errOut := platforms("inventory", path); code != 0 || out != "no difference\n" {
				t.Errorf("exit %d\n%s%s", code, out, errOut)
			}
			if code, _, errOut := platforms("inventory", path, "--accept-change", c.node); code != 2 || !strings.Contains(errOut, "there is none") {
				t.Errorf("accepted for nothing: exit %d\n%s", code, errOut)
			}
		})
	}
}

func TestPlatformsInventoryRefuses(t *testing.T) {
	cluster := twoMachines()
	kubeconfig(t, cluster.Start(t))
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.yaml")
	if err := os.WriteFile(broken, []byte("kind: confidb.inventory/v1\nnodes:\n- node: n1\n  platformid: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		arguments []string
		code      int
		want      string
	}{
		"no file":           {nil, 2, "got 0 arguments, want the name of one file"},
		"a broken file":     {[]string{broken}, 1, broken + `:4:3: nodes[0]: got the unknown key "platformid"`},
		"a list":            {[]string{filepath.Join(dir, "x"), "--platform", id1}, 2, "an inventory is by node"},
		"an unknown folder": {[]string{filepath.Join(dir, "no", "x"), "--write", "--las-namespace", "none"}, 1, "no SGX node has a platform ID"},
	} {
		code, out, errOut := platforms(append([]string{"inventory"}, c.arguments...)...)
		if code != c.code || out != "" || !strings.Contains(errOut, c.want) {
			t.Errorf("%s: exit %d, want %d and %q\n%s%s", name, code, c.code, c.want, out, errOut)
		}
	}
	if code, _, errOut := platforms("--platforms-file", broken); code != 1 || !strings.Contains(errOut, broken+":4:3: ") {
		t.Errorf("as a source: exit %d\n%s", code, errOut)
	}
}

// owner is a user with a release whose sessions admit these machines.
func owner(t *testing.T, cluster *machinestest.Cluster, client, database string) *user {
	t.Helper()
	u := newUser(t).attested(t)
	url := cluster.Start(t)
	kubeconfig(t, url)
	measured, err := sgx.ParseMeasurement(u.measured)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	entries, err := os.ReadDir(filepath.Join(u.folder, "collateral"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(u.folder, "collateral", e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.ReadFile(filepath.Join(u.folder, "root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	r := &topology.Release{Name: "db1", Namespace: "default", CASAddress: u.address, Trust: attest.Trust{
		CAS: attest.Policy{ReferenceValues: attest.ReferenceValues{MRENCLAVEs: []sgx.Measurement{measured}}}, RootCA: root, Collateral: files,
	}}
	r.Members = []topology.Member{
		{Role: topology.Client, Session: u.stored(t, "the-client", client)}, {Role: topology.Database, Session: u.stored(t, "the-database", database)},
	}
	if err := (record.Store{Dir: filepath.Join(u.folder, "home")}).SaveRelease(url, r); err != nil {
		t.Fatal(err)
	}
	return u
}

// stored creates a session whose service admits these machines.
func (u *user) stored(t *testing.T, name, admits string) topology.Session {
	t.Helper()
	text := fmt.Sprintf("version: \"0.3.11\"\nname: %s\nservices:\n  - name: db\n    command: run\n    attestation:\n      mrenclave: [\"0200000000000000000000000000000000000000000000000000000000000000\"]\n    platforms: [%s]\n", name, admits)
	code, hash, errOut := u.create(u.write(t, name+".yml", text))
	if code != 0 {
		t.Fatalf("exit %d\n%s", code, errOut)
	}
	return topology.Session{Name: name, Text: text, Hash: strings.TrimSpace(hash)}
}

// diffTest is the document of platforms diff.
type diffTest struct {
	Kind, Subject, Verdict string
	Simulated, InStep      bool
	Changes                []inventory.Change
	Nodes                  map[string]int
}

func (d diffTest) kinds() []string {
	kinds := []string{}
	for _, c := range d.Changes {
		kinds = append(kinds, string(c.Kind)+" "+c.Node+" "+c.ID)
	}
	return kinds
}

func diff(t *testing.T, want int, arguments ...string) diffTest {
	t.Helper()
	code, out, errOut := platforms(append([]string{"diff", "db1", "-o", "json"}, arguments...)...)
	var d diffTest
	if err := json.Unmarshal([]byte(out), &d); err != nil || code != want || d.Kind != "confidb.platforms-diff/v1" {
		t.Fatalf("exit %d, want %d, %v\n%s%s", code, want, err, out, errOut)
	}
	return d
}

func TestPlatformsDiff(t *testing.T) {
	for name, c := range map[string]struct {
		change           func(*machinestest.Cluster)
		client, database string
		code             int
		verdict          string
		want             []string
	}{
		"equal":    {nil, id1 + "," + id2, id2 + "," + id1, 0, "affirming", []string{}},
		"an added": {nil, id1, id1, 4, "none", []string{"added node-2 " + id2}},
		"a removed": {func(c *machinestest.Cluster) { c.Nodes, c.Pods = c.Nodes[:2], c.Pods[:1] }, id1 + "," + id2, id1 + "," + id2, 3, "contraindicated",
			[]string{"removed  " + id1}},
		"out of step": {nil, id1, id1 + "," + id2, 3, "contraindicated", []string{"out-of-step node-2 " + id2}},
		"cloned": {func(c *machinestest.Cluster) { c.AddSGX("node-3", "Intel QE ID: "+qe1) }, id1 + "," + id2, id1 + "," + id2, 3, "contraindicated",
			[]string{"cloned node-1 " + id1, "cloned node-3 " + id1}},
		"sources disagree": {func(c *machinestest.Cluster) {
			c.LAS = []any{machinestest.LASResource(map[string]any{"node-1": strings.Repeat("ab", 32)})}
		}, id1 + "," + id2, id1 + "," + id2, 3, "contraindicated", []string{"contradiction node-1 ", "unattributed  " + id1, "unknown node-1 "}},
		"LAS is down": {func(c *machinestest.Cluster) { c.Pods = c.Pods[:1] }, id1 + "," + id2, id1 + "," + id2, 4, "none",
			[]string{"unattributed  " + id1, "unknown node-1 "}},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := twoMachines()
			if c.change != nil {
				c.change(cluster)
			}
			owner(t, cluster, c.client, c.database)
			d := diff(t, c.code, "--accept-simulated")
			if differs := cmp.Diff(c.want, d.kinds()); differs != "" || d.Verdict != c.verdict || !d.Simulated || d.InStep != (name != "out of step") || d.Subject != "platforms of release default/db1" {
				t.Errorf("%s%+v", differs, d)
			}
			code, out, errOut := platforms("diff", "db1")
			want := c.code
			if want == 0 {
				want = 5 // nothing rests on Intel's root
			}
			if code != want || !strings.HasPrefix(out, "SIMULATED: ") || strings.Contains(out, ": affirming\n") {
				t.Errorf("exit %d, want %d\n%s%s", code, want, out, errOut)
			}
			fits(t, out)
		})
	}
}

func TestPlatformsDiffWithAnInventory(t *testing.T) {
	u := owner(t, twoMachines(), id1+","+id3, id1+","+id3)
	path := u.write(t, "machines.yaml", "kind: confidb.inventory/v1\nnodes:\n")
	if code, _, errOut := platforms("diff", "db1", "--inventory", path); code != 1 || !strings.Contains(errOut, path+":2:7: nodes: got nothing, want a list") {
		t.Errorf("exit %d\n%s", code, errOut)
	}
	u.write(t, "machines.yaml", fmt.Sprintf("kind: confidb.inventory/v1\nnodes:\n- {node: node-2, platformID: %q, generation: intel-qe-id, provenance: claimed, firstSeen: 2026-11-01, lastSeen: 2026-11-01}\n- {node: node-1, platformID: %q, generation: intel-qe-id, provenance: claimed, firstSeen: 2026-11-01, lastSeen: 2026-11-01}\n", id3, id1))
	d := diff(t, 3, "--inventory", path)
	if differs := cmp.Diff([]string{"id-changed node-2 " + id2, "removed node-2 " + id3}, d.kinds()); differs != "" || d.Changes[0].Was != id3 || d.Nodes["claimed"] != 2 {
		t.Errorf("%s%+v", differs, d)
	}
}

func TestPlatformsDiffRefuses(t *testing.T) {
	cluster := twoMachines()
	u := owner(t, cluster, id1, id1)
	for name, c := range map[string]struct {
		arguments []string
		code      int
		want      string
	}{
		"no name":            {[]string{"diff"}, 2, "want the name of one release"},
		"an unknown release": {[]string{"diff", "db2"}, 1, "nothing is recorded of a release default/db2"},
		"a list":             {[]string{"diff", "db1", "--platform", id1}, 2, "want the nodes of the cluster"},
		"an unknown format":  {[]string{"diff", "db1", "-o", "wide"}, 2, `-o: got "wide"`},
		"watched documents":  {[]string{"diff", "db1", "-o", "json", "--watch"}, 2, "--watch: want it without -o"},
		"no inventory":       {[]string{"diff", "db1", "--inventory", filepath.Join(u.folder, "none")}, 1, "reading the inventory: "},
		"weak IDs":           {[]string{"diff", "db1", "--require-provenance", "declared"}, 1, "want declared ones, got weaker: node-1 (claimed)"},
	} {
		code, out, errOut := platforms(c.arguments...)
		if code != c.code || out != "" || !strings.Contains(errOut, c.want) {
			t.Errorf("%s: exit %d, want %d and %q\n%s%s", name, code, c.code, c.want, out, errOut)
		}
	}
	cluster.Refuse = map[string]int{"/log": 403}
	if code, out, errOut := platforms("diff", "db1"); code != 1 || out != "" || !strings.Contains(errOut, platform.ClusterRole()) {
		t.Errorf("logs are refused: exit %d\n%s%s", code, out, errOut)
	}
}

// A CAS that is not the one of the release is not asked what it admits.
func TestPlatformsDiffOfAnotherCAS(t *testing.T) {
	cluster := twoMachines()
	u := owner(t, cluster, id1, id1)
	found, err := filepath.Glob(filepath.Join(u.folder, "home", "releases", "*", "default", "db1.json"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte(u.measured), []byte(strings.Repeat("07", 32)), 1)
	if err := os.WriteFile(found[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errOut := platforms("diff", "db1"); code != 3 || out != "" || !strings.Contains(errOut, "is not proven: cas-enclave-identity") {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
}

func TestPlatformsHelpHasTheRights(t *testing.T) {
	for _, arguments := range [][]string{{"--help"}, {"inventory", "--help"}, {"diff", "--help"}} {
		_, out, _ := platforms(arguments...)
		flat := strings.Join(strings.Fields(out), " ")
		for _, r := range platform.Rights(false) {
			resource := strings.TrimSuffix(r.Resource+"."+r.Group, ".")
			if want := strings.Join(r.Verbs, ", ") + " " + resource + " " + r.For; !strings.Contains(flat, want) {
				t.Errorf("%v: want %q", arguments, want)
			}
		}
		if strings.Contains(out, "only with --watch") != (len(arguments) == 1 || arguments[0] == "diff") {
			t.Errorf("%v: the right to watch", arguments)
		}
		usage, _, _ := strings.Cut(out, "\nAvailable Commands:")
		usage, _, _ = strings.Cut(usage, "\nFlags:")
		fits(t, usage)
	}
}

// watched is a command that watches, under a clock that the test moves.
type watched struct {
	t     *testing.T
	lines chan string
	fire  chan chan<- time.Time // of the timer that waits for nodes to settle
	ended chan error
	stop  func()
}

// watch starts run, which gets the pace and the clock.
func watch(t *testing.T, run func(ctx context.Context, streams genericiooptions.IOStreams, now func() time.Time, pace machines.Pace) error) *watched {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	streams, _, _, _ := genericiooptions.NewTestIOStreams()
	streams.Out = writer
	w := &watched{t, make(chan string, 1000), make(chan chan<- time.Time, 100), make(chan error, 1), cancel}
	pace := machines.Pace{Settle: 1, Most: 2, Every: 3, After: func(d time.Duration) <-chan time.Time {
		c := make(chan time.Time, 1)
		if d == 1 {
			w.fire <- c
		}
		return c
	}}
	now := func() time.Time { return time.Date(2026, 11, 25, 13, 0, 0, 0, time.UTC) }
	go func() { w.ended <- run(ctx, streams, now, pace); writer.Close() }()
	go func() {
		scanner := bufio.NewScanner(reader)
		for scanner.Scan() {
			w.lines <- scanner.Text()
		}
		close(w.lines)
	}()
	t.Cleanup(func() { cancel(); reader.Close() })
	return w
}

// until returns the lines up to one with this in it.
func (w *watched) until(text string) (lines []string) {
	w.t.Helper()
	for {
		select {
		case line, ok := <-w.lines:
			if !ok {
				w.t.Fatalf("it ended without %q in %q", text, lines)
			}
			if lines = append(lines, line); strings.Contains(line, text) {
				return lines
			}
		case c := <-w.fire:
			c <- time.Time{} // of a further event of the same change
		case <-time.After(time.Minute):
			w.t.Fatalf("%q does not come; got %q", text, lines)
		}
	}
}

// settle lets the nodes have settled after a change.
func (w *watched) settle() {
	w.t.Helper()
	select {
	case c := <-w.fire:
		c <- time.Time{}
	case <-time.After(time.Minute):
		w.t.Fatal("no change was noticed")
	}
}

func (w *watched) end() error {
	w.t.Helper()
	w.stop()
	select {
	case err := <-w.ended:
		return err
	case <-time.After(time.Minute):
		w.t.Fatal("it does not end")
	}
	return nil
}

func noEnvironment(string) (string, bool) { return "", false }

func TestPlatformsWatch(t *testing.T) {
	cluster := twoMachines()
	kubeconfig(t, cluster.Start(t))
	w := watch(t, func(ctx context.Context, streams genericiooptions.IOStreams, now func() time.Time, pace machines.Pace) error {
		return verbs.Platforms{Flags: verbs.NewPlatformFlags(noEnvironment), Watch: true, Timeout: time.Minute, Now: now, Pace: pace}.Run(ctx, genericclioptions.NewConfigFlags(true), streams)
	})
	w.until("node-2 ")
	cluster.Watched(t)
	cluster.Change(func() { cluster.Nodes[1].Spec.Unschedulable = false })
	w.settle()
	if got := w.until("node-2"); len(got) != 1 || got[0] != "2026-11-25T13:00:00Z node node-2: state usable, was cordoned" {
		t.Errorf("got %q", got)
	}
	cluster.Change(func() {
		cluster.Logs["scone-system/las-node-1/las"] = "Intel QE ID: " + qe2
		cluster.AddSGX("node-3", "Intel QE ID: "+id3[12:])
	})
	w.settle()
	want := []string{
		"2026-11-25T13:00:00Z node node-1: ID eee9e58d…" + qe2[24:] + ", was 85ffc692…" + qe1[24:],
		"2026-11-25T13:00:00Z new: node node-3: 00000000…00000003, claimed, usable",
		"2026-11-25T13:00:00Z new: problem: one platform ID on 2 nodes: node-1, node-2: " + id2,
	}
	if differs := cmp.Diff(want, w.until("new: problem")); differs != "" {
		t.Error(differs)
	}
	cluster.Change(func() { cluster.Nodes, cluster.Pods = cluster.Nodes[:2], cluster.Pods[:1] })
	w.settle()
	w.until("gone: node node-3")
	if err := w.end(); err != nil {
		t.Errorf("the end that was wished for is no error: %v", err)
	}
}

func TestPlatformsWatchRefuses(t *testing.T) {
	cluster := twoMachines()
	cluster.RefuseWatch = true
	kubeconfig(t, cluster.Start(t))
	code, out, errOut := platforms("--watch")
	if code != 1 || !strings.Contains(errOut, "watching nodes: ") || !strings.Contains(errOut, "resources: [nodes]\n  verbs: [list, watch]") {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
	for _, arguments := range [][]string{{"--watch", "-o", "json"}, {"--watch", "--platform", id1}} {
		if code, _, errOut := platforms(arguments...); code != 2 || !strings.Contains(errOut, "--watch: want it without") {
			t.Errorf("%q: exit %d\n%s", arguments, code, errOut)
		}
	}
}

func TestPlatformsDiffWatch(t *testing.T) {
	cluster := twoMachines()
	u := owner(t, cluster, id1+","+id2, id1+","+id2)
	w := watch(t, func(ctx context.Context, streams genericiooptions.IOStreams, _ func() time.Time, pace machines.Pace) error {
		return verbs.PlatformsDiff{ // the CAS has certificates of today
			Flags: verbs.NewPlatformFlags(noEnvironment), Name: "db1", Home: filepath.Join(u.folder, "home"), Watch: true, AcceptSimulated: true, Timeout: time.Minute,
			Now: time.Now, Pace: pace,
		}.Run(ctx, genericclioptions.NewConfigFlags(true), streams)
	})
	w.until("platforms of release default/db1: ")
	cluster.Watched(t)
	cluster.Change(func() { cluster.AddSGX("node-3", "Intel QE ID: "+id3[12:]) })
	w.settle()
	got := w.until("verdict: is none, was affirming")
	if len(got) != 2 || !strings.HasSuffix(got[0], " new: added node-3 00000000…00000003") {
		t.Errorf("got %q", got)
	}
	var verdict *cli.VerdictError
	if err := w.end(); !errors.As(err, &verdict) || verdict.Code != 4 {
		t.Errorf("got %v, want the last verdict", err)
	}
}
