//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The main job, by both plugins, as a user types it.
func TestMainJob(t *testing.T) {
	r := try(t, append(confidb("install", "db1"), labFlags(t)...)...)
	if r.code != 5 || !strings.Contains(r.out, "affirming (simulated)") || !strings.HasPrefix(r.out, "SIMULATED") {
		t.Fatalf("without --accept-simulated: want exit 5, got %v", r)
	}
	if steps := regexp.MustCompile(`(?m)^ +[0-9]+\.[0-9] s  `).FindAllString(r.err, -1); len(steps) < 8 {
		t.Errorf("want a line with its time for each step, got:\n%s", r.err)
	}
	code, report := verify(t, "db1")
	if code != 0 || report.Kind != "confidb.verification/v1" || report.Verdict != "affirming" || !report.Simulated || len(report.Limitations) == 0 || report.Origins["policy"] != "--policy" {
		t.Fatalf("exit %d: %+v", code, report)
	}
	for _, id := range []string{
		"platforms-current", "cas-quote", "cas-enclave-identity", "cas-tls-peer", "session-namespace", "session-client", "session-database", "release-session", "probe-statement", "statement-ca",
		"tls-01", "tls-02", "tls-03", "mtls-01", "mtls-02", "mtls-03", "net-01", "enc-01", "enc-02", "enc-03", "enc-06", "enc-07", "log-01", "acc-01", "acc-02", "file-01",
	} {
		if got := report.outcome(id); got != "pass" {
			t.Errorf("%s: %s", id, got)
		}
	}
	if r := sql(t, "db1", "select 1+1 as two, current_user() as me"); r.code != 0 || r.out != "two\tme\n2\tconfidb_app@%\n" {
		t.Errorf("sql: %v", r)
	}
	if r := sql(t, "db1", "select nonsense"); r.code != 1 || !strings.Contains(r.err, "Unknown column 'nonsense'") {
		t.Errorf("sql with an error: %v", r)
	}
	if r := try(t, confidb("sql", "db1", "--", "--ssl=0")...); r.code != 2 {
		t.Errorf("an option that the session decides about: %v", r)
	}
}

func TestHelmPlugin(t *testing.T) {
	installed(t, "db1")
	r := try(t, append([]string{"helm", "scone", "install", "db2", "--accept-simulated"}, labFlags(t)...)...)
	if r.code != 0 || !strings.Contains(r.out, "release default/db2: affirming (simulated)") {
		t.Fatalf("helm scone install: %v", r)
	}
	if r := try(t, "helm", "scone", "verify", "db2", "--accept-simulated"); r.code != 0 {
		t.Errorf("helm scone verify: %v", r)
	}
	if out := run(t, "helm", "list", "--short"); !slices.Contains(strings.Fields(out), "db1") || !slices.Contains(strings.Fields(out), "db2") {
		t.Errorf("helm list: %s", out)
	}
	if out := run(t, "helm", "status", "db2"); !strings.Contains(out, "STATUS: deployed") {
		t.Errorf("helm status: %s", out)
	}
	if r := try(t, "helm", "scone", "upgrade", "db2", "--accept-simulated", "--values", filepath.Join(absolute(t, lab), "values.yaml"), "--set", "podAnnotations.changed=yes"); r.code != 0 {
		t.Errorf("helm scone upgrade: %v", r)
	}
	run(t, "helm", "rollback", "db2", "1", "--wait")
	if r := try(t, "helm", "scone", "verify", "db2", "--accept-simulated"); r.code != 0 {
		t.Errorf("after helm rollback: %v", r)
	}
	if r := try(t, "helm", "scone", "uninstall", "db2"); r.code != 0 {
		t.Errorf("helm scone uninstall: %v", r)
	}
	if code, report := verify(t, "db2"); code != 4 || report.outcome("release-deployed") != "skip" {
		t.Errorf("a release that is gone: exit %d, %v", code, report)
	}
	installed(t, "db2")
	run(t, "helm", "uninstall", "db2")
}

func absolute(t testing.TB, path string) string {
	t.Helper()
	absolute, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return absolute
}

// A second run of install changes nothing and says so.
func TestInstallAgain(t *testing.T) {
	installed(t, "db1")
	before := run(t, confidb("env", "db1")...)
	r := install(t, "db1")
	if r.code != 0 || !strings.Contains(r.err, "unchanged, revision") || strings.Count(r.err, "is there already") != 3 {
		t.Errorf("got %v", r)
	}
	if after := run(t, confidb("env", "db1")...); after != before {
		t.Errorf("before:\n%safter:\n%s", before, after)
	}
	if r := try(t, confidb("install", "db1")...); r.code != 5 {
		t.Errorf("with nothing but the name: %v", r)
	}
}

// The names of SCONE's recipe are defaults, and the report says where they came from.
func TestRecipeVariables(t *testing.T) {
	installed(t, "db1")
	session := variable(t, "db1", "DBSESSION")
	if out := run(t, confidb("session", "get", session)...); !strings.Contains(out, "name: "+session) || !strings.Contains(out, "creator:") {
		t.Errorf("session get: %s", out)
	}
	platforms := run(t, confidb("platforms", "-o", "session")...)
	measured := variable(t, "db1", "CAS_MRENCLAVE")
	environment := []string{"PLATFORMS=" + platforms, "CAS_MRENCLAVE=" + measured, "DBSESSION=recipe-db", "DBCLIENT=recipe-client", "SCONE_CAS_ADDR=cas.scone-system.svc"}
	// a policy that says nothing of the CAS: where it does, it wins
	text, err := os.ReadFile(filepath.Join(lab, "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, regexp.MustCompile(`(?m)^cas:.*\n`).ReplaceAll(text, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	r := tryWith(t, environment, append(append(confidb("install", "recipe", "--accept-simulated", "-o", "json"), labFlags(t)...), "--policy", policy)...)
	if r.code != 0 {
		t.Fatalf("got %v", r)
	}
	var parsed report
	if err := json.Unmarshal([]byte(r.out), &parsed); err != nil {
		t.Fatal(err)
	}
	for input, want := range map[string]string{"platforms": "$PLATFORMS", "cas-mrenclave": "$CAS_MRENCLAVE", "database-session": "$DBSESSION", "client-session": "$DBCLIENT", "cas": "$SCONE_CAS_ADDR"} {
		if got := parsed.Origins[input]; got != want {
			t.Errorf("origin of %s: got %q, want %q", input, got, want)
		}
	}
	if variable(t, "recipe", "DBSESSION") != "recipe-db" {
		t.Error("$DBSESSION was not used")
	}
	run(t, "helm", "uninstall", "recipe")
}

// variable returns what "kubectl confidb env" says.
func variable(t testing.TB, release, name string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^export ` + name + `='(.*)'$`).FindStringSubmatch(run(t, confidb("env", release)...))
	if found == nil {
		t.Fatalf("env %s has no %s", release, name)
	}
	return found[1]
}

func TestDryRun(t *testing.T) {
	client := install(t, "dry", "--dry-run=client")
	for _, want := range []string{"# session dry-", "kind: StatefulSet", "SCONE_CONFIG_ID"} {
		if client.code != 0 || !strings.Contains(client.out, want) {
			t.Errorf("client: %q is missing in %v", want, client)
		}
	}
	server := install(t, "dry", "--dry-run=server")
	if server.code != 0 || strings.Count(server.err, "would be created") != 3 || !strings.Contains(server.out, "kind: StatefulSet") {
		t.Errorf("server: %v", server)
	}
	if r := try(t, "helm", "status", "dry"); r.code == 0 {
		t.Error("a dry run has left a release")
	}
	if r := try(t, confidb("verify", "dry")...); r.code != 1 || !strings.Contains(r.err, "nothing is recorded") {
		t.Errorf("a dry run has left a record: %v", r)
	}
}

func TestBadInput(t *testing.T) {
	installed(t, "db1")
	run(t, "bash", "-c", "kubectl create namespace taken --dry-run=client -o yaml | kubectl apply -f -")
	defer run(t, "kubectl", "delete", "namespace", "taken", "--wait=false")
	other := filepath.Join(t.TempDir(), "other")
	if err := os.MkdirAll(filepath.Join(other, "templates"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"Chart.yaml": "apiVersion: v2\nname: other\nversion: 1.0.0\n", "values.yaml": "scone: {attestation: {config_id: x, cas: y}}\n",
		"templates/pod.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: bare}\nspec: {containers: [{name: c, image: i}]}\n",
	} {
		if err := os.WriteFile(filepath.Join(other, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		arguments []string
		code      int
		want      string
	}{
		"unknown release":         {confidb("verify", "nobody"), 1, "nothing is recorded of a release default/nobody"},
		"a name for no Service":   {confidb("install", "DB_1"), 2, "release name"},
		"no such chart":           {append(confidb("install", "bad1", "--chart", "/does/not/exist"), labFlags(t)...), 1, "loading chart"},
		"a chart without SCONE":   {append(confidb("install", "bad1", "--chart", other), labFlags(t)...), 1, "SCONE_CONFIG_ID is not set"},
		"a key that is not there": {append(confidb("install", "bad1", "--chart", other, "--cas-key", "no.such"), labFlags(t)...), 1, "no value no.such"},
		"a bad value":             {append(confidb("install", "bad1", "--set", "nonsense=1"), labFlags(t)...), 1, "nonsense"},
		"a bad platform ID":       {append(confidb("install", "bad1", "--platform", "n1"), labFlags(t)...), 1, "platform ID: got \"n1\""},
		"a bad measurement":       {append(confidb("install", "bad1", "--cas-mrenclave", "abc"), labFlags(t)...), 1, "--cas-mrenclave"},
		"a CAS that is no CAS":    {append(confidb("install", "bad1", "--cas", "kubernetes.default.svc"), labFlags(t)...), 1, "error: "},
		"no such CAS":             {append(confidb("install", "bad1", "--cas", "cas.nowhere.svc"), labFlags(t)...), 1, "cas"},
		"no such namespace":       {append(confidb("install", "bad1", "-n", "nowhere"), labFlags(t)...), 1, "namespace \"nowhere\" does not exist"},
		"somebody's release":      {[]string{"bash", "-c", "helm -n taken list -q | grep -q db1 || helm -n taken install db1 '" + other + "' >/dev/null; kubectl confidb install db1 -n taken $CONFIDB_LAB_FLAGS"}, 1, "exists already"},
		"no cluster":              {confidb("install", "bad1", "--kubeconfig", "/does/not/exist"), 1, "error: "},
		"no permission":           {append(confidb("install", "bad1", "--as", "somebody"), labFlags(t)...), 1, "kind: Role"},
		"a session that is there": {append(confidb("install", "bad1", "--database-session", variable(t, "db1", "DBSESSION"), "--client-session", variable(t, "db1", "DBCLIENT")), labFlags(t)...), 1, "is not the one that was prepared"},
	} {
		t.Run(name, func(t *testing.T) {
			r := try(t, c.arguments...)
			if r.code != c.code || !strings.Contains(r.err, c.want) || !strings.Contains(r.err, "error: ") {
				t.Errorf("want exit %d and %q, got %v", c.code, c.want, r)
			}
			if r := try(t, "helm", "status", "bad1"); r.code == 0 {
				t.Error("something was installed all the same")
			}
		})
	}
}

// Twenty verifications of one release, four at a time, while the attested client writes: the
// machine has more to do than it can, and nothing is wrong.
func TestNoFalseAlarmUnderLoad(t *testing.T) {
	installed(t, "busy")
	load, enough := context.WithCancel(t.Context())
	var others sync.WaitGroup
	others.Go(func() {
		for n := 0; load.Err() == nil; n++ {
			if r := sql(t, "busy", fmt.Sprintf("create or replace table app.busy%d as select seq from seq_1_to_20000", n%3)); r.code != 0 {
				t.Errorf("a client beside it: %v", r)
				return
			}
		}
	})
	var verifications sync.WaitGroup
	for range 4 {
		verifications.Go(func() {
			for range 5 {
				if r := try(t, confidb("verify", "busy", "--accept-simulated")...); r.code != 0 {
					t.Errorf("a verification among others: %v", r)
				}
			}
		})
	}
	verifications.Wait()
	enough()
	others.Wait()
}
