package printers_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/verify"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-update rewrites it):\n%s", path, diff)
	}
}

// everything has a finding of each outcome, and each part that can be left out.
func everything() printers.Result {
	return printers.Result{
		Head: printers.Head{Kind: "confidb.verification/v1"}, Subject: "release shop/db1",
		Findings: check.Report{
			{ID: "cas-quote", Title: "the quote is genuine", Outcome: check.Pass, Got: "not shown", Hint: "not shown"},
			{ID: "cas-tcb", Title: "the platform of the CAS has all security updates that Intel knows of as of today", Outcome: check.Warn,
				Got: "SWHardeningNeeded (INTEL-SA-00334, INTEL-SA-00615)", Want: "UpToDate", Reason: "the policy names SWHardeningNeeded"},
			{ID: "database-session", Title: "CAS holds the session", Outcome: check.Fail,
				Got:  "0000000000000000000000000000000000000000000000000000000000000000 of another session",
				Want: "1111111111111111111111111111111111111111111111111111111111111111", Reason: "it was changed", Hint: "find out who changed it with kubectl confidb session get db1/db, then install under another release name"},
			{ID: "database-encryption-of-everything", Title: "Größe und Übung sind breit, aber hier zählt jedes Zeichen nur einmal, auch äöü", Outcome: check.Skip,
				Reason: "the database was not asked", Hint: "kubectl confidb verify db1"},
		},
		Origins:     map[string]string{"policy": "--policy", "cas": "$SCONE_CAS_ADDR", "database-session": "chosen at random, and recorded"},
		Limitations: []evidence.Limitation{{ID: "binlog", Text: "What MariaDB writes to files that it does not encrypt can be read by whoever has the disk, and nothing notices a change."}},
	}
}

func with(v check.Verdict, simulated bool, change func(*printers.Result)) printers.Result {
	r := everything()
	r.Verdict, r.Simulated = v, simulated
	if change != nil {
		change(&r)
	}
	return r
}

func text(t *testing.T, format string, r printers.Result) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := printers.Print(&out, format, r); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func onePass(r *printers.Result) {
	r.Findings, r.Origins, r.Limitations = r.Findings[:1], nil, nil
}

// invited has a client of each kind.
func invited(r *printers.Result) {
	onePass(r)
	account := verify.GuestAccount{GuestAccount: topology.GuestAccount{Name: "say \x1b[2Jx", CommonName: "confidb-account-say", Rights: `SELECT ON "shop".*; UPDATE ON column "seen" of "shop"."cards"`, Limits: []string{"MAX_USER_CONNECTIONS 3"}}, Until: "365 days"}
	account.Tried = []verify.Tried{{Certificate: "certificate of another CA", Outcome: check.Pass}, {Certificate: "expired certificate", Outcome: check.Skip}, {Certificate: "certificate of another client", Outcome: check.Fail}}
	r.Guests = []verify.Guest{
		{Client: "web", Admitted: true, Who: "the enclave " + strings.Repeat("0a", 32) + ", on the machines of the release", Accounts: []verify.GuestAccount{account}},
		{Client: "report", Admitted: true, Proven: true, Outside: &verify.Outside{Reason: "the migration of November", Until: time.Date(2026, 11, 28, 4, 0, 0, 0, time.UTC)}},
		{Client: "former", Proven: true, Accounts: []verify.GuestAccount{account}},
	}
}

// tiers has findings about each tier of a release with several databases.
func tiers(r *printers.Result) {
	onePass(r)
	about := func(id, member, title string, outcome check.Outcome) check.Finding {
		f := check.Finding{ID: id, Subject: member, Title: member + ": " + title, Outcome: outcome}
		if outcome == check.Skip {
			f.Reason, f.Hint = "it is behind", "kubectl confidb verify db1"
		}
		return f
	}
	r.Findings = append(r.Findings, about("enc-01", "mariadb-0", "all tables are encrypted", check.Pass), about("rep-04", "mariadb-0", "it has the history of the primary", check.Pass),
		about("enc-01", "mariadb-1", "all tables are encrypted", check.Pass), about("rep-04", "mariadb-1", "it has the history of the primary", check.Skip),
		about("enc-01", "mariadb-2", "all tables are encrypted", check.Pass), about("rep-04", "mariadb-2", "it has the history of the primary", check.Skip),
		about("mxs-01", "maxscale-0", "it demands a certificate", check.Pass), about("mxs-01", "maxscale-1", "it demands a certificate", check.Fail))
	r.Path = verify.Path{
		{Name: "HAProxy", Count: 2, Members: []verify.TierMember{{Name: "haproxy", State: verify.NotAsked}}},
		{Name: "MaxScale", Count: 2, Members: []verify.TierMember{{Name: "maxscale-0", State: verify.Proven}, {Name: "maxscale-1", State: verify.Failed}}},
		{Name: "MariaDB", Count: 3, Members: []verify.TierMember{{Name: "mariadb-0", State: verify.Proven, Primary: true}, {Name: "mariadb-1", State: verify.Unproven}, {Name: "mariadb-2", State: verify.Unproven}}},
	}
}

func TestTable(t *testing.T) {
	for name, r := range map[string]printers.Result{
		"everything.txt": with(check.Contraindicated, false, nil),
		"simulated.txt":  with(check.Affirming, true, onePass),
		"guests.txt":     with(check.None, false, invited),
		"tiers.txt":      with(check.Contraindicated, false, tiers),
		"nothing.txt":    {Subject: "CAS cas.scone-system.svc", Verdict: check.None},
	} {
		got := text(t, "", r)
		golden(t, name, got)
		for line := range strings.Lines(string(got)) {
			if length := utf8.RuneCountInString(strings.TrimRight(line, "\n")); length > 80 {
				t.Errorf("%s: %d columns: %s", name, length, line)
			}
			if strings.HasSuffix(line, " \n") {
				t.Errorf("%s: a space at the end of %q", name, line)
			}
		}
	}
}

// A word that is longer than a line stays whole, so that it can be copied.
func TestTableKeepsLongWords(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 8)
	got := string(text(t, "", printers.Result{Findings: check.Report{{ID: "x", Title: "it is " + long + " there", Outcome: check.Fail, Got: long}}}))
	if strings.Count(got, long) != 2 {
		t.Errorf("got\n%s", got)
	}
}

// What an API server says about a pod cannot forge a line of ours.
func TestTableKeepsToItsLines(t *testing.T) {
	got := string(text(t, "", printers.Result{Subject: "x", Verdict: check.Contraindicated, Findings: check.Report{
		{ID: "x", Title: "it is so", Outcome: check.Fail, Got: "a\x1b[2J\x1b[H\r\nPASS everything\x7f\u009b1A", Reason: "b\n\nx: affirming", Hint: "c\x00d"},
	}}))
	if strings.ContainsAny(got, "\x00\x1b\r\x7f\u009b") {
		t.Errorf("control characters in %q", got)
	}
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "PASS") || strings.HasPrefix(line, "x: affirming") {
			t.Errorf("a forged line in\n%s", got)
		}
	}
}

func TestWords(t *testing.T) {
	for _, v := range []check.Verdict{check.Affirming, check.Warning, check.None, check.Contraindicated} {
		if got := printers.Words(v, false); got != string(v) {
			t.Errorf("%s: got %q", v, got)
		}
		if got := printers.Words(v, true); got != string(v)+" (simulated)" {
			t.Errorf("%s: got %q", v, got)
		}
	}
}

// No line says affirming without saying simulated.
func TestSimulatedIsNeverMistaken(t *testing.T) {
	got := string(text(t, "", with(check.Affirming, true, onePass)))
	if !strings.HasPrefix(got, "SIMULATED: ") {
		t.Errorf("no banner:\n%s", got)
	}
	for line := range strings.Lines(got) {
		if strings.Contains(line, "affirming") && !strings.Contains(line, "simulated") {
			t.Errorf("affirming alone: %s", line)
		}
	}
	if got := string(text(t, "", with(check.Affirming, false, onePass))); strings.Contains(strings.ToLower(got), "simulated") {
		t.Errorf("a genuine one is called simulated:\n%s", got)
	}
}

func TestDocuments(t *testing.T) {
	for format, unmarshal := range map[string]func([]byte, any) error{
		"json": json.Unmarshal,
		"yaml": func(text []byte, into any) error { return yaml.Unmarshal(text, into) },
	} {
		for _, simulated := range []bool{true, false} {
			want := with(check.None, simulated, nil)
			written := text(t, format, want)
			var fields map[string]any
			if err := unmarshal(written, &fields); err != nil {
				t.Fatalf("%s: %v in %s", format, err, written)
			}
			if fields["simulated"] != simulated || fields["kind"] != "confidb.verification/v1" || fields["verdict"] != "none" {
				t.Errorf("%s, simulated %v: got %v", format, simulated, fields)
			}
			var back printers.Result
			if err := unmarshal(written, &back); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, back); diff != "" {
				t.Errorf("%s: %s", format, diff)
			}
		}
		if got := string(text(t, format, printers.Result{})); !strings.Contains(strings.ReplaceAll(got, `"`, ""), "simulated: false") {
			t.Errorf("%s leaves out simulated: %s", format, got)
		}
	}
	if diff := cmp.Diff([]string{"json", "yaml"}, cli.Formats()); diff != "" {
		t.Error(diff)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

var errFull = errors.New("no space")

func TestPrintFails(t *testing.T) {
	for _, format := range append(cli.Formats(), "") {
		if err := printers.Print(full{}, format, everything()); !errors.Is(err, errFull) {
			t.Errorf("%q: got %v", format, err)
		}
		r := everything()
		r.Findings[0].Outcome = 9
		if err := printers.Print(new(bytes.Buffer), format, r); format != "" && err == nil {
			t.Errorf("%q: wrote an outcome that has no word", format)
		}
	}
}

// What a peer wrote moves no cursor and forges no line.
func TestWrap(t *testing.T) {
	var b printers.Page
	b.Wrap("label ", "a\x1b[2J b\r\nPASS c\u202e "+strings.Repeat("word ", 40))
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for i, line := range lines {
		if n := utf8.RuneCountInString(line); n > 80 || i > 0 && !strings.HasPrefix(line, "      word") {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	if len(lines) < 3 || strings.ContainsAny(b.String(), "\x1b\r\u202e") {
		t.Errorf("got %q", b.String())
	}
}
