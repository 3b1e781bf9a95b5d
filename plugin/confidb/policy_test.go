package confidb

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// runPolicy runs the command alone, without a kubeconfig and without network.
func runPolicy(t *testing.T, in string, arguments ...string) (code int, out, errOut string) {
	t.Helper()
	t.Setenv("KUBECONFIG", "/does/not/exist")
	streams, stdin, stdout, stderr := genericiooptions.NewTestIOStreams()
	stdin.WriteString(in)
	root := newRootCommand(streams)
	root.SetArgs(append([]string{"policy"}, arguments...))
	code = cli.Report(cli.Kubectl, root.ExecuteContext(t.Context()), streams.ErrOut)
	return code, stdout.String(), stderr.String()
}

func writePolicy(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const (
	tens = "1010101010101010101010101010101010101010101010101010101010101010"
	ones = "0101010101010101010101010101010101010101010101010101010101010101"
)

// weakPolicy is weak in each part.
const weakPolicy = `kind: confidb.policy/v1
cas: {signer: {mrsigner: ` + tens + `, isvprodid: 7}}
enclaves: {probe: {mrenclave: [` + ones + `]}, none: {}}
accept-tcb: [SWHardeningNeeded, OutOfDate]
accept-advisories: [INTEL-SA-00615]
allow-debug-enclave: true
collateral-grace: 800h
`

func TestPolicyExample(t *testing.T) {
	code, example, errOut := runPolicy(t, "", "example")
	if code != 0 || example != policy.Example() || errOut != "" {
		t.Fatalf("exit %d: %s%s", code, example, errOut)
	}
	code, out, errOut := runPolicy(t, example, "check", "--strict", "-")
	if code != 0 || errOut != "" || !strings.HasPrefix(out, "standard input is a valid confidb.policy/v1.") || !strings.HasSuffix(out, "\nWeaknesses: 0\n") {
		t.Errorf("exit %d: %s%s", code, out, errOut)
	}
}

func TestPolicyCheckInWords(t *testing.T) {
	file := writePolicy(t, weakPolicy)
	code, out, errOut := runPolicy(t, "", "check", file)
	if code != 0 || errOut != "" {
		t.Errorf("exit %d: %s", code, errOut)
	}
	const want = `FILE is a valid confidb.policy/v1. It accepts:

CAS
      MRSIGNER ` + tens + `, ISVPRODID 7, ISVSVN at least 0

Enclaves in sessions, by MRENCLAVE
  none       none
  probe      ` + ones + `

Platforms
  UpToDate: nothing is known against the platform
  SWHardeningNeeded: the enclave's software must work around a weakness of the CPU (a warning)
  OutOfDate: microcode or firmware with published weaknesses (a warning)
  INTEL-SA-00615: platforms that this advisory of Intel concerns (a warning)
  debug enclaves: ACCEPTED: the host can read their memory
  platform IDs: any, also those that only the cluster claims

Intel's collateral
  any TCB evaluation
  issued at any time
  up to 800h after its next update was due (a warning then)

Weaknesses: 6
`
	head, weaknesses, _ := strings.Cut(strings.ReplaceAll(out, file, "FILE"), "Weaknesses: 6\n")
	if diff := cmp.Diff(want, head+"Weaknesses: 6\n"); diff != "" {
		t.Error(diff)
	}
	for _, want := range []string{"FILE:2:7: cas-signer-only\n", "FILE:2:7: signer-without-floor\n", "FILE:6:1: debug-enclave-allowed\n    DEBUG ENCLAVES ARE ACCEPTED", "FILE:4:33: out-of-date-accepted\n", "FILE:3:100: enclave-without-measurement\n", "FILE:7:1: long-grace\n", "    hint: "} {
		if !strings.Contains(weaknesses, want) {
			t.Errorf("%q is not in\n%s", want, weaknesses)
		}
	}
}

func TestPolicyCheckOtherWords(t *testing.T) {
	measured := "kind: confidb.policy/v1\ncas: {mrenclave: [" + tens + ", " + ones + "], signer: {mrsigner: " + tens + ", min-isvsvn: 3}}\nmin-tcb-evaluation-number: 17\nmax-collateral-age: 168h\naccept-tcb: [ConfigurationNeeded, ConfigurationAndSWHardeningNeeded, OutOfDateConfigurationNeeded]\n"
	for name, c := range map[string]struct{ text, want string }{
		"nothing":         {"kind: confidb.policy/v1\n", "CAS\n  none\n\nEnclaves in sessions, by MRENCLAVE\n  none\n\nPlatforms\n  UpToDate: "},
		"no debug":        {"kind: confidb.policy/v1\n", "  debug enclaves: refused\n  platform IDs: any, also those that only the cluster claims\n\nIntel's collateral\n  any TCB evaluation\n  issued at any time\n  until its next update is due\n"},
		"measurements":    {measured, "CAS\n      MRENCLAVE " + tens + "\n  or  MRENCLAVE " + ones + "\n  and MRSIGNER"},
		"collateral":      {measured, "  TCB evaluation 17 or later\n  issued at most 168h ago\n  until its next update is due\n"},
		"configuration":   {measured, "  ConfigurationNeeded: the platform is set up"},
		"hardening":       {measured, "  ConfigurationAndSWHardeningNeeded: weaker set up"},
		"all out of date": {measured, "  OutOfDateConfigurationNeeded: microcode"},
	} {
		code, out, errOut := runPolicy(t, c.text, "check", "-")
		if code != 0 || errOut != "" || !strings.Contains(out, c.want) {
			t.Errorf("%s: exit %d, want %q in\n%s%s", name, code, c.want, out, errOut)
		}
	}
}

func TestPolicyCheckDocument(t *testing.T) {
	file := writePolicy(t, weakPolicy)
	const want = `{"kind": "confidb.policy-check/v1", "file": "FILE",
  "accepts": {
    "cas": {"mrenclaves": [], "signer": {"mrsigner": "` + tens + `", "isvprodid": 7, "minISVSVN": 0}},
    "enclaves": {"none": [], "probe": ["` + ones + `"]},
    "tcb": ["UpToDate", "SWHardeningNeeded", "OutOfDate"], "advisories": ["INTEL-SA-00615"], "debugEnclave": true,
    "minTCBEvaluationNumber": 0, "collateralGrace": "800h", "requireProvenance": "", "maxCollateralAge": null
  },
  "weaknesses": ["cas-signer-only", "signer-without-floor", "debug-enclave-allowed", "out-of-date-accepted", "enclave-without-measurement", "long-grace"]}`
	for _, format := range []string{"json", "yaml"} {
		code, out, errOut := runPolicy(t, "", "check", file, "-o", format)
		if code != 0 || errOut != "" {
			t.Fatalf("%s: exit %d: %s", format, code, errOut)
		}
		if diff := cmp.Diff(decodePolicyCheck(t, strings.ReplaceAll(want, "FILE", file)), withIDsOnly(t, decodePolicyCheck(t, out))); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
	}
	_, out, _ := runPolicy(t, "kind: confidb.policy/v1\ncas: {mrenclave: "+tens+"}\nenclaves: {probe: {mrenclave: "+ones+"}}\nmax-collateral-age: 1h\n", "check", "-", "-o", "json")
	for _, want := range []string{`"weaknesses": []`, `"debugEnclave": false`, `"signer": null`, `"advisories": []`, `"maxCollateralAge": "1h"`, `"collateralGrace": "0s"`} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is not in %s", want, out)
		}
	}
}

func decodePolicyCheck(t *testing.T, text string) map[string]any {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if err := json.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	return document
}

// withIDsOnly looks at each weakness and leaves its ID.
func withIDsOnly(t *testing.T, document map[string]any) map[string]any {
	t.Helper()
	var ids []any
	for _, w := range document["weaknesses"].([]any) {
		weakness := w.(map[string]any)
		for _, key := range []string{"where", "text", "hint"} {
			if weakness[key] == "" {
				t.Errorf("no %s in %v", key, weakness)
			}
		}
		ids = append(ids, weakness["id"])
	}
	document["weaknesses"] = ids
	return document
}

func TestPolicyCheckCodes(t *testing.T) {
	good, weak := writePolicy(t, policy.Example()), writePolicy(t, weakPolicy)
	bad := writePolicy(t, "kind: confidb.policy/v1\naccept-tcb: [Revoked]\nenclave: {}\n")
	for name, c := range map[string]struct {
		arguments []string
		code      int
		want      string
	}{
		"good, strict":       {[]string{"check", good, "--strict"}, 0, ""},
		"weak":               {[]string{"check", weak}, 0, ""},
		"weak, strict":       {[]string{"check", weak, "--strict"}, 3, ""},
		"weak, strict, json": {[]string{"check", weak, "--strict", "-o", "json"}, 3, ""},
		"invalid":            {[]string{"check", bad}, 1, "error: " + bad + ":2:14: accept-tcb[0]: got \"Revoked\", which can never be accepted"},
		"a second problem":   {[]string{"check", bad, "--strict"}, 1, "\n  " + bad + ":3:1: got the unknown key \"enclave\""},
		"hints":              {[]string{"check", bad, "-o", "yaml"}, 1, "\nhint: 2:14: remove it, and take the machine out of use: its keys prove nothing any more\n3:1: write \"enclaves\"\n"},
		"no such file":       {[]string{"check", "/does/not/exist"}, 1, "error: reading the policy: open /does/not/exist"},
		"a folder":           {[]string{"check", "/"}, 1, "error: reading the policy: "},
		"without end":        {[]string{"check", "/dev/zero"}, 1, "error: reading the policy: /dev/zero: longer than"},
		"no file":            {[]string{"check"}, 2, "error: got 0 arguments, want the name of one file, or -"},
		"two files":          {[]string{"check", good, weak}, 2, "error: got 2 arguments"},
		"an unknown format":  {[]string{"check", good, "-o", "xml"}, 2, `error: -o: got "xml", want json or yaml`},
		"an unknown flag":    {[]string{"check", good, "--lenient"}, 2, "error: unknown flag: --lenient"},
		"an example of what": {[]string{"example", "x"}, 2, "error: got 1 arguments"},
		"an unknown verb":    {[]string{"chekc"}, 2, `error: unknown command "chekc" for "kubectl confidb policy", did you mean check?`},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := runPolicy(t, "", c.arguments...)
			if code != c.code || !strings.Contains(errOut, c.want) || (c.want == "") != (errOut == "") {
				t.Errorf("exit %d, want %d and %q in:\n%s", code, c.code, c.want, errOut)
			}
			if printed := c.code == 0 || c.code == 3; printed != (out != "") {
				t.Errorf("printed %q", out)
			}
		})
	}
}

func TestPolicyCheckReadsOnlySoMuch(t *testing.T) {
	code, out, errOut := runPolicy(t, strings.Repeat("#\n", 3<<20), "check", "-")
	if code != 1 || out != "" || !strings.HasPrefix(errOut, "error: reading the policy: standard input: longer than 4194304 bytes") {
		t.Errorf("exit %d: %s%.200s", code, out, errOut)
	}
}
