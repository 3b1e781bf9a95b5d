package confidb

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/internal/realquotes"
	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// runCollateral runs the command without a kubeconfig.
func runCollateral(t *testing.T, arguments ...string) (code int, out, errOut string) {
	t.Helper()
	t.Setenv("KUBECONFIG", "/does/not/exist")
	streams, _, stdout, stderr := genericiooptions.NewTestIOStreams()
	code = Main(append([]string{"collateral"}, arguments...), streams)
	return code, stdout.String(), stderr.String()
}

// collateralDocument is the document of all verbs of collateral.
type collateralDocument struct {
	Kind, Verdict string
	Simulated     *bool
	Bundles       []struct {
		File, FMSPC, PCEID, CA, Verdict, Done        string
		EvaluationDataNumber, QEEvaluationDataNumber int
		Validities                                   []struct {
			Part        string
			From, Until time.Time
			DaysLeft    *int
		}
		Findings []struct{ ID, Outcome, Reason, Hint string }
	}
}

// pccs serves minted collateral with a certificate that nobody knows.
type pccs struct {
	*httptest.Server
	authority *sgxmint.Authority
	files     map[string][]byte
	root, to  string
	asked     []string
	instead   http.HandlerFunc
}

const bundleName = "c0ffee000000-platform.json"

func newPCCS(t *testing.T) *pccs {
	t.Helper()
	a, err := sgxmint.NewAuthority(time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	p := &pccs{authority: a, to: filepath.Join(t.TempDir(), "new", "collateral"), root: filepath.Join(t.TempDir(), "root.pem")}
	writeAll(t, filepath.Dir(p.root), map[string][]byte{"root.pem": a.RootPEM()})
	p.issue(t, time.Now().Add(-time.Hour)) // so that days that are left are the same all the time
	p.Server = httptest.NewTLSServer(p)
	p.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of who does not trust it
	t.Cleanup(p.Close)
	return p
}

// issue makes collateral of a day.
func (p *pccs) issue(t *testing.T, day time.Time) {
	t.Helper()
	files, err := p.authority.CollateralFiles(day)
	if err != nil {
		t.Fatal(err)
	}
	p.files = files
	p.files["pckSignChain.pem"] = slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.authority.PCKCA.Certificate}), p.authority.RootPEM())
}

// change signs a document anew with other values.
func (p *pccs) change(t *testing.T, file, member, key string, value any) {
	t.Helper()
	var wrapper map[string]json.RawMessage
	var body map[string]any
	if err := json.Unmarshal(p.files[file], &wrapper); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(wrapper[member], &body); err != nil {
		t.Fatal(err)
	}
	body[key] = value
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := x509.ParsePKCS8PrivateKey(p.authority.TCBSigner.Key)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(text)
	r, s, err := ecdsa.Sign(rand.Reader, signer.(*ecdsa.PrivateKey), digest[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	p.files[file] = fmt.Appendf(nil, `{%q:%s,"signature":"%x"}`, member, text, signature)
}

// evaluation makes Intel evaluate anew.
func (p *pccs) evaluation(t *testing.T, number int) {
	t.Helper()
	p.change(t, "tcbInfo.json", "tcbInfo", "tcbEvaluationDataNumber", number)
	p.change(t, "qeIdentity.json", "enclaveIdentity", "tcbEvaluationDataNumber", number)
}

func (p *pccs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.asked = append(p.asked, r.URL.RequestURI())
	if p.instead != nil {
		p.instead(w, r)
		return
	}
	const base = "/sgx/certification/v4/"
	switch r.URL.Path {
	case base + "tcb":
		w.Header().Set("TCB-Info-Issuer-Chain", url.PathEscape(string(p.files["tcbSignChain.pem"])))
		w.Write(p.files["tcbInfo.json"])
	case base + "qe/identity":
		w.Header().Set("SGX-Enclave-Identity-Issuer-Chain", url.PathEscape(string(p.files["tcbSignChain.pem"])))
		w.Write(p.files["qeIdentity.json"])
	case base + "pckcrl":
		w.Header().Set("SGX-PCK-CRL-Issuer-Chain", url.PathEscape(string(p.files["pckSignChain.pem"])))
		w.Write(p.files["pckCaCrl.der"])
	case base + "rootcacrl":
		fmt.Fprint(w, hex.EncodeToString(p.files["rootCaCrl.der"]))
	default:
		http.NotFound(w, r)
	}
}

// fetch fetches the platform's bundle from the PCCS.
func (p *pccs) fetch(t *testing.T, more ...string) (code int, out, errOut string) {
	t.Helper()
	return runCollateral(t, append([]string{"fetch", "--from", p.URL, "--insecure-pccs-tls", "--fmspc", "c0ffee000000", "--ca", "platform", "--to", p.to, "--sgx-root-ca", p.root}, more...)...)
}

// fetched is the bundle that was fetched, and fails the test unless it was.
func (p *pccs) fetched(t *testing.T, more ...string) (file string, text []byte) {
	t.Helper()
	if code, out, errOut := p.fetch(t, more...); code != 5 || errOut != "" {
		t.Fatalf("fetch: exit %d, want 5\n%s%s", code, out, errOut)
	}
	file = filepath.Join(p.to, bundleName)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return file, text
}

// names lists a folder; none when there is none.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// decodeCollateral reads the document, of either format.
func decodeCollateral(t *testing.T, text string) collateralDocument {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	var d collateralDocument
	if err == nil {
		err = json.Unmarshal(raw, &d)
	}
	if err != nil || d.Kind != "confidb.collateral/v1" || d.Simulated == nil {
		t.Fatalf("%v in %s", err, text)
	}
	return d
}

func TestCollateralFetchRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change     func(*testing.T, *pccs)
		want, hint string
		arguments  []string
	}{
		"an unknown family": {func(_ *testing.T, p *pccs) { p.instead = http.NotFound }, "answered 404 Not Found, want 200", "does not know it", nil},
		"a retired number": {func(_ *testing.T, p *pccs) {
			p.instead = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }
		}, "answered 410", "for the standard update", []string{"--tcb-evaluation-number", "12"}},
		"too many requests": {func(_ *testing.T, p *pccs) {
			p.instead = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "3600")
				w.WriteHeader(http.StatusTooManyRequests)
			}
		}, "come back after 1h0m0s", "Try again later", nil},
		"a changed TCB info": {func(_ *testing.T, p *pccs) {
			p.files["tcbInfo.json"] = bytes.Replace(p.files["tcbInfo.json"], []byte(`Number":1`), []byte(`Number":2`), 1)
		}, "what is served is not used: tcb-info-invalid", "Fetch again", nil},
		"a changed QE identity": {func(_ *testing.T, p *pccs) {
			p.files["qeIdentity.json"] = bytes.Replace(p.files["qeIdentity.json"], []byte(`Number":1`), []byte(`Number":2`), 1)
		}, "qe-identity-invalid", "Fetch again", nil},
		"a signature that is none": {func(_ *testing.T, p *pccs) {
			p.files["tcbInfo.json"] = bytes.Replace(p.files["tcbInfo.json"], []byte(`"signature":"`), []byte(`"signature":"x`), 1)
		}, "what is served is not used: collateral-unreadable", "Fetch again", nil},
		"a changed PCK CRL":  {func(_ *testing.T, p *pccs) { flip(p.files["pckCaCrl.der"]) }, "pck-crl-invalid", "Fetch again", nil},
		"a changed root CRL": {func(_ *testing.T, p *pccs) { flip(p.files["rootCaCrl.der"]) }, "root-crl-invalid", "Fetch again", nil},
		"another CA's list":  {func(_ *testing.T, p *pccs) { p.files["pckCaCrl.der"] = p.files["rootCaCrl.der"] }, "pck-crl-foreign", "Fetch again", nil},
		"another family": {func(t *testing.T, p *pccs) { p.change(t, "tcbInfo.json", "tcbInfo", "fmspc", "c0ffee000001") },
			"is for FMSPC c0ffee000001 and the platform CA, want c0ffee000000 and platform", "refresh its cache", nil},
		"another CA":        {nil, "is for FMSPC c0ffee000000 and the platform CA, want c0ffee000000 and processor", "refresh its cache", []string{"--ca", "processor"}},
		"another number":    {nil, "has the evaluation numbers 1 (TCB info) and 1 (QE identity), want 17", "Fetch again", []string{"--tcb-evaluation-number", "17"}},
		"expired":           {func(t *testing.T, p *pccs) { p.issue(t, time.Now().AddDate(0, 0, -31)) }, "tcb-info-expired: ", "refresh its cache", nil},
		"of tomorrow":       {func(t *testing.T, p *pccs) { p.issue(t, time.Now().AddDate(0, 0, 1)) }, "tcb-info-not-yet-valid", "Fetch again", nil},
		"a revoked signer":  {revokeSigner, "tcb-signer-revoked", "Fetch again", nil},
		"another root":      {func(_ *testing.T, p *pccs) { p.root = "" }, "root-untrusted", "Fetch again", []string{"--sgx-root-ca", ""}},
		"another authority": {func(t *testing.T, p *pccs) { p.files = newPCCS(t).files }, "root-untrusted", "Fetch again", nil},
		"a certificate that nobody knows": {nil, "x509: certificate signed by unknown authority", "",
			[]string{"--insecure-pccs-tls=false"}},
		"another host": {func(t *testing.T, p *pccs) {
			other := newPCCS(t)
			p.instead = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, other.URL+r.URL.RequestURI(), http.StatusFound)
			}
		}, "is not followed", "", nil},
		"a huge body":  {func(_ *testing.T, p *pccs) { p.files["tcbInfo.json"] = make([]byte, 2<<20) }, "the answer is longer than", "", nil},
		"huge headers": {func(_ *testing.T, p *pccs) { p.files["tcbSignChain.pem"] = make([]byte, 1<<20) }, "server response headers exceeded", "", nil},
		"too late":     {nil, "context deadline exceeded", "", []string{"--timeout", "1ns"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPCCS(t)
			if c.change != nil {
				c.change(t, p)
			}
			code, out, errOut := p.fetch(t, c.arguments...)
			want := cli.Failed
			if name == "too late" {
				want = cli.TimedOut
			}
			if code != want || out != "" || !strings.HasPrefix(errOut, "error: "+p.to) || !strings.Contains(errOut, c.want) {
				t.Errorf("exit %d, want %d and %q in:\n%s%s", code, want, c.want, out, errOut)
			}
			if _, hint, _ := strings.Cut(errOut, "\nhint: "); !strings.Contains(hint, c.hint) || (hint == "") != (c.hint == "") {
				t.Errorf("got the hint %q, want %q", hint, c.hint)
			}
			if left := names(t, p.to); len(left) > 0 {
				t.Errorf("wrote %v", left)
			}
		})
	}
}

// flip changes the last bit, which belongs to a signature.
func flip(text []byte) { text[len(text)-1] ^= 1 }

func revokeSigner(t *testing.T, p *pccs) {
	t.Helper()
	signer, err := x509.ParseCertificate(p.authority.TCBSigner.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	p.authority.Revoked = append(p.authority.Revoked, signer.SerialNumber)
	p.issue(t, time.Now())
}

func TestCollateralFetchLeavesYoungBundlesAlone(t *testing.T) {
	for name, c := range map[string]struct {
		age       int
		kept      bool
		arguments []string
	}{
		"young":                      {6, true, nil},
		"old":                        {8, false, nil},
		"young by another measure":   {8, true, []string{"--max-age", "240h"}},
		"old by another measure":     {1, false, []string{"--max-age", "1h"}},
		"never young":                {1, false, []string{"--max-age", "0"}},
		"by force":                   {1, false, []string{"--force"}},
		"standard":                   {1, true, []string{"--update", "standard"}},
		"early":                      {1, false, []string{"--update", "early"}},
		"this number":                {1, true, []string{"--tcb-evaluation-number", "1"}},
		"another number":             {1, false, []string{"--tcb-evaluation-number", "2"}},
		"young, but not current now": {31, false, []string{"--max-age", "2400h"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPCCS(t)
			p.issue(t, time.Now().AddDate(0, 0, -c.age))
			old := p.bundle(t)
			writeBundle(t, p.to, old)
			p.issue(t, time.Now())
			if name == "another number" {
				p.evaluation(t, 2)
			}
			_, text := p.fetched(t, c.arguments...)
			if kept := string(text) == string(old); kept != c.kept || (len(p.asked) == 0) != c.kept {
				t.Errorf("kept %v, want %v, and asked %v", kept, c.kept, p.asked)
			}
		})
	}
}

// bundle is what the PCCS serves, as a bundle.
func (p *pccs) bundle(t *testing.T) []byte {
	t.Helper()
	set, err := sgx.CollateralFromFiles(p.files)
	if err != nil {
		t.Fatal(err)
	}
	text, err := set[0].Bundle()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func writeBundle(t *testing.T, dir string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	writeAll(t, dir, map[string][]byte{bundleName: text})
}

func TestCollateralFetchNeverGoesBack(t *testing.T) {
	const day = 24 * time.Hour
	today := time.Now()
	for name, c := range map[string]struct {
		change func(*testing.T, *pccs)
		want   string
	}{
		"both numbers":   {func(t *testing.T, p *pccs) { p.evaluation(t, 16) }, "the evaluation number of the TCB info is 16, want at least 17"},
		"the TCB info's": {func(t *testing.T, p *pccs) { p.change(t, "tcbInfo.json", "tcbInfo", "tcbEvaluationDataNumber", 16) }, "of the TCB info is 16"},
		"the QE identity's": {func(t *testing.T, p *pccs) {
			p.change(t, "qeIdentity.json", "enclaveIdentity", "tcbEvaluationDataNumber", 16)
		}, "of the QE identity is 16"},
		"an older TCB info": {func(t *testing.T, p *pccs) {
			p.change(t, "tcbInfo.json", "tcbInfo", "issueDate", today.Add(-2*day).UTC().Format(time.RFC3339))
		}, "tcb-info was issued on "},
		"an older identity": {func(t *testing.T, p *pccs) {
			p.change(t, "qeIdentity.json", "enclaveIdentity", "issueDate", today.Add(-2*day).UTC().Format(time.RFC3339))
		}, "qe-identity was issued on "},
		"an older PCK list":  {func(t *testing.T, p *pccs) { p.older(t, "pckCaCrl.der", today.Add(-2*day)) }, "pck-crl was issued on "},
		"an older root list": {func(t *testing.T, p *pccs) { p.older(t, "rootCaCrl.der", today.Add(-2*day)) }, "root-crl was issued on "},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPCCS(t)
			p.issue(t, today.Add(-day))
			p.evaluation(t, 17)
			file, before := p.fetched(t)
			c.change(t, p)
			code, out, errOut := p.fetch(t, "--force")
			if code != 1 || out != "" || !strings.Contains(errOut, "going back is refused: ") || !strings.Contains(errOut, c.want) || !strings.Contains(errOut, "\nhint: ") {
				t.Errorf("exit %d, want %q in %s%s", code, c.want, out, errOut)
			}
			if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
				t.Errorf("the bundle was changed (%v)", err)
			}
		})
	}
}

// older replaces one file by that of an earlier day.
func (p *pccs) older(t *testing.T, name string, day time.Time) {
	t.Helper()
	files, err := p.authority.CollateralFiles(day)
	if err != nil {
		t.Fatal(err)
	}
	p.files[name] = files[name]
}

func TestCollateralFetchLooksAtWhatIsThere(t *testing.T) {
	for name, text := range map[string]func(*testing.T, *pccs) []byte{
		"collateral-unreadable: ": func(*testing.T, *pccs) []byte { return []byte("{") },
		"root-untrusted: ":        func(t *testing.T, _ *pccs) []byte { return newPCCS(t).bundle(t) },
		"got FMSPC c0ffee000001 and CA \"platform\", want": func(t *testing.T, p *pccs) []byte {
			p.change(t, "tcbInfo.json", "tcbInfo", "fmspc", "c0ffee000001")
			return p.bundle(t)
		},
	} {
		p := newPCCS(t)
		before := text(t, p)
		p.issue(t, time.Now())
		writeBundle(t, p.to, before)
		code, _, errOut := p.fetch(t, "--force")
		after, err := os.ReadFile(filepath.Join(p.to, bundleName))
		if code != 1 || !strings.Contains(errOut, "the bundle that is there cannot be used: "+name) || !strings.Contains(errOut, "\nhint: Move it away") || err != nil || string(after) != string(before) {
			t.Errorf("exit %d, want %q: %s (%v)", code, name, errOut, err)
		}
	}
}

func TestCollateralShowOfRealCollateral(t *testing.T) {
	seen := 0
	for _, c := range realquotes.All(t) {
		if len(c.Expected.RejectReasons) > 0 {
			continue
		}
		seen++
		code, out, errOut := runCollateral(t, "show", c.Folder, "--at", c.At(), "--sgx-root-ca", c.File("trustedRootCaCert.pem"), "--accept-simulated", "-o", "json")
		d := decodeCollateral(t, out)
		if b := d.Bundles[0]; *d.Simulated != strings.HasSuffix(c.ID, "-ownroot") || b.FMSPC == "" || errOut != "" || b.FMSPC != strings.ToLower(c.Expected.FMSPC) || b.EvaluationDataNumber != c.Expected.EvaluationNumber || code != map[string]int{"affirming": 0, "none": 4, "contraindicated": 3}[d.Verdict] {
			t.Errorf("%s: exit %d: %s%s", c.ID, code, out, errOut)
		}
	}
	if seen == 0 {
		t.Error("no case was looked at")
	}
}
