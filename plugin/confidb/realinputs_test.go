package confidb_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/internal/realinputs"
	"github.com/confidb/confidb/plugin/confidb"
)

// said is what a case of real inputs must say. Files of the case begin with @ among the
// arguments.
type said struct {
	arguments []string
	code      int
	want, not []string
}

func realInput(t *testing.T, id string, s said) {
	t.Helper()
	folder := realinputs.Case(t, id)
	var arguments []string
	for _, a := range s.arguments {
		if name, ok := strings.CutPrefix(a, "@"); ok {
			a = filepath.Join(folder, name)
		}
		arguments = append(arguments, a)
	}
	streams, _, stdout, stderr := genericiooptions.NewTestIOStreams()
	code := confidb.Main(arguments, streams)
	all := strings.Join(strings.Fields(stdout.String()+stderr.String()), " ")
	if code != s.code {
		t.Errorf("%s: exit %d, want %d\n%s", arguments, code, s.code, all)
	}
	for _, text := range s.want {
		if !strings.Contains(all, text) {
			t.Errorf("%s: want %q in:\n%s", arguments, text, all)
		}
	}
	for _, text := range s.not {
		if strings.Contains(all, text) {
			t.Errorf("%s: got %q in:\n%s", arguments, text, all)
		}
	}
}

// Quotes and collateral as tools print and send them.
func TestRealInputsOfForms(t *testing.T) {
	at := []string{"--at", "2025-07-01T00:00:00Z"}
	show := func(name string) []string { return append([]string{"collateral", "show", name}, at...) }
	genuine := []string{"PASS tcb-info ", "PASS qe-identity ", "PASS root-crl", "PASS pck-crl", "FMSPC 00a067110000"}
	realInput(t, "collateral-intel-struct", said{show("@j-ql.json"), 0, genuine, nil})
	realInput(t, "crl-hex-file", said{show("@c-crlhex"), 0, append(genuine, "rootCaCrl.der as hexadecimal text"), nil})
	realInput(t, "pretty-identity", said{show("@c-prettyqe"), 0, genuine, nil})
	for file, as := range map[string]string{"b64w0.txt": "read as Base64", "hex1.txt": "read as hexadecimal text", "ccf.json": "read as the member quote of JSON, Base64"} {
		quote := []string{"attest", "quote", "@" + file, "--mrenclave", "33d8736db756ed4997e04ba358d27833188f1932ff7b1d156904d3f560452fbb"}
		realInput(t, "quote-as-text", said{quote, 4, []string{"PASS quote ", as}, []string{"do not believe"}})
	}
	bundle := filepath.Join(realinputs.Case(t, "collateral-intel-struct"), "j-ql.json")
	if _, err := os.Stat(bundle); err != nil {
		t.Fatal(err)
	}
	realInput(t, "quote-as-text", said{append([]string{"tcb", "--offline", "n=" + filepath.Join(realinputs.Case(t, "quote-as-text"), "hex1.txt"), "--collateral", bundle}, at...), 3, []string{"SWHardeningNeeded", "1 node"}, []string{"no SGX platform"}})
}

// Lines of logs and reports.
func TestRealInputsOfExplain(t *testing.T) {
	pages := map[string]string{
		"0xe019": "dcap-pccs-unreachable:", "0xe011": "dcap-no-platform-certificate:", "result: a002": "OutOfDate:", "collateral is out of date": "dcap-collateral-expired:",
		"SGX_QL_NO_PLATFORM": "dcap-no-platform-certificate:", "OE_TCB_LEVEL_INVALID": "OutOfDate:", "encrypted channel": "scone-cas-channel:", "UnknownIssuer": "scone-peer-certificate:",
		"Cannot sign": "scone-no-signing-key:", "Error opening SGX": "sgx-device:", "SCONE remote attestation report": "scone-report-not-verified:",
		"ERROR 2026": "mysql-self-signed:", "ERROR 3159": "mysql-no-tls:",
	}
	for _, line := range realinputs.Lines(t, "explain-missing", "lines.txt") {
		for part, page := range pages {
			if strings.Contains(line, part) {
				realInput(t, "explain-missing", said{[]string{"explain", line}, 0, []string{page}, nil})
				delete(pages, part)
			}
		}
	}
	if len(pages) > 0 {
		t.Errorf("no line is about %v", pages)
	}
	for _, line := range realinputs.Lines(t, "explain-wrong-page", "lines.txt") {
		realInput(t, "explain-wrong-page", said{[]string{"explain", line}, 0, []string{"registry-"}, []string{"scone-"}})
	}
}

// Nothing that works offline needs a home.
func TestRealInputsWithoutHome(t *testing.T) {
	t.Setenv("HOME", "")
	t.Setenv("CONFIDB_HOME", "")
	not := []string{"home directory"}
	realInput(t, "home-unset", said{[]string{"session", "lint", "@s.yml"}, 3, []string{"CDB2001 error"}, not})
	realInput(t, "home-unset", said{[]string{"session", "diff", "@s.yml", "@s.yml"}, 0, []string{"equal"}, not})
	realInput(t, "home-unset", said{[]string{"session", "create", "@s.yml", "--dry-run=client"}, 0, []string{"name: shop-0f1e"}, not})
}

// A signed session is linted, compared and shown as the session in it.
func TestRealInputsSigned(t *testing.T) {
	realInput(t, "signed-session-json", said{[]string{"session", "lint", "@spol.json"}, 3, []string{"spol.json:1:", "CDB1008", "CDB2001", "1 session"}, []string{"CDB0000"}})
	realInput(t, "signed-session-json", said{[]string{"session", "diff", "@spol.json", "@spol.json"}, 0, []string{"equal"}, nil})
	realInput(t, "signed-session-json", said{[]string{"session", "create", "@spol.json", "--dry-run=client"}, 0, []string{"name: a-0f1e2d3c"}, []string{"signatures"}})
}

// What the language allows is read, and what is dangerous in it is seen, also behind a
// reference.
func TestRealInputsOfSessions(t *testing.T) {
	unread := []string{"CDB0000"}
	lint := func(files ...string) []string { return append([]string{"session", "lint"}, files...) }
	realInput(t, "aad-token", said{lint("@aad.yml"), 3, []string{"CDB3014", "ad_token_1"}, unread})
	realInput(t, "access-none-scalar", said{lint("@read-none-scalar.yml"), 3, []string{"CDB2001"}, unread})
	realInput(t, "access-section-fragment", said{lint("@update-fragment.yml"), 3, []string{"CDB1018", "external_update_policy"}, unread})
	realInput(t, "advisories-star-list", said{lint("@etny.yml"), 3, []string{"CDB1012", "CDB1008", "CDB2001"}, unread})
	realInput(t, "bom-session", said{lint("@bom.yml"), 3, []string{"CDB4001"}, unread})
	realInput(t, "cas-answers-persistency", said{lint("@pers.yml"), 3, []string{"CDB2001"}, unread})
	realInput(t, "export-parent-namespace", said{lint("@export-dotdot.yml"), 0, []string{"CDB3009"}, unread})
	realInput(t, "keyhash-base58", said{lint("@keyhash-base58.yml"), 3, []string{"CDB2001"}, unread})
	realInput(t, "maa-url", said{lint("@maa.yml"), 3, []string{"CDB1002", "CDB1008"}, unread})
	realInput(t, "fragment-hides-danger", said{lint("@frag-local.yml"), 3, []string{"CDB1001", "CDB1008", "CDB1012", "CDB4001", "CDB4002"}, unread})
	realInput(t, "fragment-hides-signer", said{lint("@frag-att.yml"), 3, []string{"CDB1014 fatal"}, unread})
	wider := []string{"is no longer attested", "anyone may now read", "anyone may now update", "frag-local.yml: widened"}
	realInput(t, "fragment-diff-blind", said{[]string{"session", "diff", "@frag-safe.yml", "@frag-local.yml"}, 0, wider, []string{"made otherwise"}})
}

// Documents of the shape of a case are compared in a time that grows as their size: what
// grew as its square took ten minutes for these.
func TestRealInputsOfSize(t *testing.T) {
	realinputs.Case(t, "diff-quadratic")
	var text strings.Builder
	fmt.Fprintf(&text, "name: big-0f1e2d3c4b5a69788796a5b4c3d2e1f0\nversion: \"0.3.12\"\nservices:\n")
	for i := range 3000 {
		fmt.Fprintf(&text, "  - name: s%d\n    command: x\n    attestation: {mrenclave: [%s]}\n    environment: {A: \"$$SCONE::k%d$$\"}\n", i, strings.Repeat("ab", 32), i)
	}
	text.WriteString("secrets:\n")
	for i := range 3000 {
		fmt.Fprintf(&text, "  - {name: k%d, kind: ascii, size: 32}\n", i)
	}
	file := filepath.Join(t.TempDir(), "big.yml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	realInput(t, "diff-quadratic", said{[]string{"session", "diff", "--timeout", "1m", file, file}, 0, []string{"equal"}, nil})
}
