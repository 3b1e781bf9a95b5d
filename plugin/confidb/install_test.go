package confidb_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/machines/machinestest"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// customer is somebody with the record of a release in a cluster.
type customer struct {
	cluster        *machinestest.Cluster
	server, folder string
}

func newCustomer(t *testing.T) *customer {
	t.Helper()
	c := &customer{cluster: twoMachines(), folder: t.TempDir()}
	c.server = c.cluster.Start(t)
	isolate(t, c.folder)
	kubeconfig(t, c.server)
	return c
}

func (c *customer) records(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(c.folder, "home", "releases", "*", "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// promised is a record as install leaves it.
func (c *customer) promised(t *testing.T, change func(*topology.Release)) {
	t.Helper()
	r := &topology.Release{
		Name: "db1", Namespace: "shop", CASAddress: "cas.scone-system.svc", Members: []topology.Member{{Role: topology.Client, Session: topology.Session{Name: "db1/client"}}, {Role: topology.Database, Session: topology.Session{Name: "o'hara/db"}}},
		Platforms: []attest.PlatformID{platformID(t, id1), platformID(t, id2)}, Trust: attest.Trust{CAS: attest.Policy{ReferenceValues: attest.ReferenceValues{MRENCLAVEs: []sgx.Measurement{{7}}}}},
	}
	if change != nil {
		change(r)
	}
	if err := (record.Store{Dir: filepath.Join(c.folder, "home")}).SaveRelease(c.server, r); err != nil {
		t.Fatal(err)
	}
}

func TestEnv(t *testing.T) {
	c := newCustomer(t)
	c.promised(t, nil)
	t.Setenv("DBSESSION", "what is set now does not count")
	want := "export SCONE_CAS_ADDR='cas.scone-system.svc'\nexport CAS_MRENCLAVE='" + sgx.Measurement{7}.String() + "'\n" +
		"export DBSESSION='o'\\''hara/db'\nexport DBCLIENT='db1/client'\nexport PLATFORMS='" + id1 + "," + id2 + "'\n"
	if code, out, errOut := main("", "env", "db1", "-n", "shop"); code != 0 || out != want || errOut != "" {
		t.Errorf("exit %d, got\n%s%s\nwant\n%s", code, out, errOut, want)
	}
	if n := len(c.cluster.Requests()); n != 0 {
		t.Errorf("the cluster was asked %d times", n)
	}
	t.Run("another namespace", func(t *testing.T) {
		if code, _, errOut := main("", "env", "db1"); code != 1 || !strings.Contains(errOut, "release default/db1") {
			t.Errorf("exit %d\n%s", code, errOut)
		}
	})
	t.Run("a policy with a signer", func(t *testing.T) {
		c.promised(t, func(r *topology.Release) { r.Trust.CAS.ReferenceValues = attest.ReferenceValues{} })
		if code, out, _ := main("", "env", "db1", "-n", "shop"); code != 0 || strings.Contains(out, "CAS_MRENCLAVE") {
			t.Errorf("exit %d\n%s", code, out)
		}
	})
}

// A verification in which nobody answers proves nothing, and says so.
func TestVerifyWithoutAnswers(t *testing.T) {
	c := newCustomer(t)
	c.promised(t, func(r *topology.Release) { r.CASAddress = "127.0.0.1:1" })
	code, out, _ := main("", "verify", "db1", "-n", "shop", "-o", "json", "--accept-simulated")
	var document struct {
		Kind, Verdict string
		Simulated     *bool
		Findings      []struct{ ID, Outcome string }
	}
	if err := json.Unmarshal([]byte(out), &document); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if code != 3 && code != 4 || document.Kind != "confidb.verification/v1" || document.Simulated == nil || document.Verdict == "affirming" || len(document.Findings) < 5 {
		t.Errorf("exit %d\n%s", code, out)
	}
	for _, f := range document.Findings {
		if f.Outcome == "pass" && strings.HasPrefix(f.ID, "cas-") {
			t.Errorf("%s passes, and nobody was asked", f.ID)
		}
	}
}

// A record that others may have written is not believed.
func TestRecordOfOthers(t *testing.T) {
	c := newCustomer(t)
	c.promised(t, nil)
	found := c.records(t)
	if len(found) != 1 {
		t.Fatalf("records %v", found)
	}
	if err := os.Chmod(found[0], 0o644); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"env", "verify", "sql"} {
		if code, out, errOut := main("", verb, "db1", "-n", "shop"); code != 1 || out != "" || !strings.Contains(errOut, "got mode 0644, want 0600") {
			t.Errorf("%s: exit %d\n%s%s", verb, code, out, errOut)
		}
	}
}

func platformID(t *testing.T, text string) attest.PlatformID {
	t.Helper()
	id, err := attest.ParsePlatformID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
