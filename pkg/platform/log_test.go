package platform_test

import (
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/platform"
)

func TestClusterRole(t *testing.T) {
	var role rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict([]byte(platform.ClusterRole()), &role); err != nil {
		t.Fatal(err)
	}
	if role.Kind != "ClusterRole" || role.Name == "" || len(role.Rules) != len(platform.Rights(false)) {
		t.Errorf("got %+v", role)
	}
}

const (
	prefix6 = "[10000:INFO@25.03.2021/10:53:17] STARTER: SCONE QE has public key "
	prefix7 = "2026-02-23T10:07:36.762576Z  INFO Intel QE ID: "
)

func TestParseLog(t *testing.T) {
	a, b := "INTEL_QE_ID:"+qeA, strings.Repeat("0123456789abcdef", 2)
	for name, c := range map[string]struct {
		log  string
		want []string
	}{
		"nothing":                {"serving\n", nil},
		"SCONE 7":                {prefix7 + qeA + "\n", []string{a}},
		"SCONE 6":                {prefix6 + keyA + "\n", []string{strings.ToUpper(keyA)}},
		"a logger of SCONE 6.x":  {"2026-02-23T10:07:36.762576Z  INFO SCONE QE has public key " + keyA, []string{strings.ToUpper(keyA)}},
		"a logger with a target": {"2026-02-23T10:07:36.7Z  INFO las::server: Intel QE ID: " + qeA, []string{a}},
		"colours":                {"\x1b[2m2026-02-23T10:07:36.7Z\x1b[0m \x1b[32m INFO\x1b[0m Intel QE ID: " + qeA, []string{a}},
		"the line alone, CR LF":  {"Intel QE ID:            " + qeA + "\r\nserving\r\n", []string{a}},
		"each start says it":     {prefix7 + qeA + "\nserving\n" + prefix7 + strings.ToUpper(qeA) + "\n", []string{a}},
		"no ID yet":              {"Intel QE ID: null\npublic key \n", nil},
		"another key":            {"client has public key 0123\n", nil},
		"two IDs":                {prefix7 + qeA + "\n" + prefix7 + b + "\n", []string{"INTEL_QE_ID:" + b, a}},
		"both wordings":          {prefix7 + qeA + "\n" + prefix6 + keyA + "\n", []string{strings.ToUpper(keyA), a}},
		"more IDs than are told": {prefix7 + b + "\n" + prefix7 + b[1:] + "a\n" + prefix7 + b[1:] + "b\n" + prefix7 + b[1:] + "c\n", []string{"INTEL_QE_ID:" + b, "INTEL_QE_ID:" + b[1:] + "a", "INTEL_QE_ID:" + b[1:] + "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			ids, err := platform.ParseLog([]byte(c.log))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, id := range ids {
				got = append(got, id.String())
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// TestParseLogRefuses: text that others had a say in is not what LAS says of itself.
func TestParseLogRefuses(t *testing.T) {
	for _, line := range []string{
		"refused: Intel QE ID: " + qeA,
		prefix7 + qeA + " said the client",
		prefix7 + qeA + "0",
		"2026-02-23T10:07:36.762576Z  WARN client x sent Intel QE ID: " + qeA,
		prefix7 + "x Intel QE ID: " + qeA,
		"{\"message\":\"Intel QE ID: " + qeA + "\"}",
		"intel qe id: " + qeA,
		"Intel QE ID " + qeA,
		"Intel QE ID:\t" + qeA,
		prefix7 + keyA,
		"SCONE QE has public key " + qeA,
		"client with public key " + keyA,
		prefix6 + keyA + keyA,
		"\u00a0Intel QE ID: " + qeA,
	} {
		for name, log := range map[string]string{"alone": line, "after": prefix7 + qeA + "\n" + line, "before": line + "\r\n" + prefix7 + qeA} {
			if ids, err := platform.ParseLog([]byte(log)); err == nil || ids != nil {
				t.Errorf("%s, %q: got %v and %v, want an error only", name, line, ids, err)
			}
		}
	}
}

// FuzzParseLog: what is taken is a line that ends with the digits, and no log gives more
// than is needed for a contradiction.
func FuzzParseLog(f *testing.F) {
	f.Add([]byte(prefix7 + qeA))
	f.Add([]byte(prefix6 + keyA + "\n" + prefix6 + keyB))
	f.Add([]byte("public key " + strings.ToLower(keyA) + "\nIntel QE ID: " + strings.ToUpper(qeA)))
	f.Add([]byte("Intel QE ID: null\npublic key \n"))
	f.Add([]byte("client sent Intel QE ID: " + qeA))
	f.Fuzz(func(t *testing.T, log []byte) {
		ids, err := platform.ParseLog(log)
		if err != nil {
			if len(ids) > 0 {
				t.Fatalf("got %v and %v", ids, err)
			}
			return
		}
		if len(ids) > 3 {
			t.Fatalf("got %v", ids)
		}
		for _, id := range ids {
			digits := strings.ToLower(strings.TrimPrefix(id.String(), "INTEL_QE_ID:"))
			ends := func(line string) bool {
				line = strings.ToLower(strings.TrimRight(line, "\r "))
				return strings.HasSuffix(line, ": "+digits) || strings.HasSuffix(line, ":"+digits) || strings.HasSuffix(line, " "+digits)
			}
			if _, err := attest.ParsePlatformID(id.String()); err != nil || !slices.ContainsFunc(strings.Split(string(log), "\n"), ends) {
				t.Fatalf("got %v, %v", id, err)
			}
		}
	})
}
