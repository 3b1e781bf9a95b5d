package flags

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/attest"
)

func TestCASEvidence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	const nonce = "00112233445566778899aabbccddeeff"
	for line, c := range map[string]struct {
		backend attest.Backend
		report  string
		noQuote bool
		wrong   string
	}{
		"": {backend: attest.BackendReport},
		"--evidence file --report " + file + " --nonce " + nonce: {backend: attest.BackendFile, report: "content"},
		"--evidence custom-resource":                             {backend: attest.BackendResource},
		"--evidence ra-tls":                                      {backend: attest.BackendRATLS},
		"--evidence scone-cli --scone-cli other":                 {backend: attest.BackendCLI, noQuote: true},
		"--evidence pinned-ca --cas-ca " + file:                  {backend: attest.BackendPinned, report: "content", noQuote: true},
		"--evidence magic":                                       {wrong: "want one of"},
		"--evidence file --report " + file:                       {wrong: "want --nonce as well"},
		"--evidence file --report " + file + " --nonce 00":       {wrong: "--nonce: got"},
		"--evidence file --report none --nonce " + nonce:         {wrong: "no such file"},
		"--evidence pinned-ca":                                   {wrong: "want --cas-ca as well"},
		"--cas-ca " + file:                                       {wrong: "want --evidence pinned-ca"},
	} {
		var e CASEvidence
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		e.AddFlags(set)
		if err := set.Parse(strings.Fields(line)); err != nil {
			t.Fatal(err)
		}
		got, err := e.Resolve()
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%s: got %v, want an error with %q", line, err, c.wrong)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
		if got.Backend != c.backend {
			t.Errorf("%s: got the back-end %s", line, got.Backend)
		}
		if string(got.Report) != c.report {
			t.Errorf("%s: got the report %q", line, got.Report)
		}
		if e.NoQuote() != c.noQuote {
			t.Errorf("%s: no quote: %v", line, e.NoQuote())
		}
	}
}

// A flag wins over the environment, and that over the default; empty is not said.
func TestFirst(t *testing.T) {
	for _, c := range []struct{ flag, variable, want, origin string }{
		{"f", "v", "f", "--cas"}, {"", "v", "v", "$CAS"}, {"", "", "d", ByDefault}, {"f", "", "f", "--cas"},
	} {
		got, origin := First(func(string) (string, bool) { return c.variable, true }, "cas", c.flag, "CAS", "d")
		if got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
		if origin != c.origin {
			t.Errorf("%+v: got the origin %s", c, origin)
		}
	}
}

func TestTrustRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"":                       "no collateral given",
		"--policy none":          "--policy: ",
		"--policy " + empty:      empty,
		"--cas-mrenclave 00":     "--cas-mrenclave: ",
		"--sgx-root-ca none":     "--sgx-root-ca: ",
		"--sgx-root-ca " + empty: "--sgx-root-ca: ",
		"--collateral none":      "--collateral: ",
		"--collateral " + empty:  "--collateral: ",
	} {
		trust := Trust{LookupEnv: func(string) (string, bool) { return "", false }}
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		trust.AddFlags(set)
		if err := set.Parse(strings.Fields(line)); err != nil {
			t.Fatal(err)
		}
		if _, err := trust.Resolve(nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", line, err, want)
		}
		trust.NoQuote = true
		if r, err := trust.Resolve(nil); line == "" && (err != nil || r.CASAddress != DefaultCAS) {
			t.Errorf("no collateral is needed without a quote: %v", err)
		}
	}
}
