package confidb

import (
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// runPolicy runs the command without a kubeconfig and without network.
func runPolicy(t *testing.T, in string, arguments ...string) (code int, out, errOut string) {
	t.Helper()
	t.Setenv("KUBECONFIG", "/does/not/exist")
	streams, stdin, stdout, stderr := genericiooptions.NewTestIOStreams()
	stdin.WriteString(in)
	code = Main(append([]string{"policy"}, arguments...), streams)
	return code, stdout.String(), stderr.String()
}

func TestPolicyCheckReadsOnlySoMuch(t *testing.T) {
	code, out, errOut := runPolicy(t, strings.Repeat("#\n", 3<<20), "check", "-")
	if code != 1 || out != "" || !strings.HasPrefix(errOut, "error: reading the policy: standard input: longer than 4194304 bytes") {
		t.Errorf("exit %d: %s%.200s", code, out, errOut)
	}
}
