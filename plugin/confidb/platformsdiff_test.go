package confidb_test

import (
	"bufio"
	"bytes"
	"context"
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
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/machines/machinestest"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
	verb "github.com/confidb/confidb/plugin/confidb/platforms"
	"github.com/confidb/confidb/plugin/internal/cli"
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

// runAt runs the command with a clock.
func runAt(ctx context.Context, streams genericiooptions.IOStreams, now func() time.Time, pace machines.Pace, arguments ...string) error {
	c := verb.NewCommandAt(&cli.Env{
		Program: cli.Kubectl, Getter: genericclioptions.NewConfigFlags(true), IOStreams: streams, LookupEnv: os.LookupEnv, Now: now,
		Helm: func() (release.Settings, error) { return release.Settings{}, nil },
	}, pace)
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(arguments)
	return c.ExecuteContext(ctx)
}

func TestPlatformsWatch(t *testing.T) {
	cluster := twoMachines()
	kubeconfig(t, cluster.Start(t))
	w := watch(t, func(ctx context.Context, streams genericiooptions.IOStreams, now func() time.Time, pace machines.Pace) error {
		return runAt(ctx, streams, now, pace, "--watch")
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

func TestPlatformsDiffWatch(t *testing.T) {
	cluster := twoMachines()
	owner(t, cluster, id1+","+id2, id1+","+id2)
	w := watch(t, func(ctx context.Context, streams genericiooptions.IOStreams, _ func() time.Time, pace machines.Pace) error {
		return runAt(ctx, streams, time.Now, pace, "diff", "db1", "--watch", "--accept-simulated") // the CAS has certificates of today
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
