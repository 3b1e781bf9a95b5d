package cas_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/sgx"
)

// publicSigner is the signer of SCONE's examples, whose key everybody has.
const publicSigner = "11c4e150b76c2b145f7fadb6c30455e1046b9e6fbb75b49c6e13341ad8acc5bd"

// What the linter calls fatal is refused by this CAS, or somebody gets what is not
// theirs.
func TestWhatIsFatal(t *testing.T) {
	fatal := map[string]bool{}
	const secret = "secrets: [{name: p, kind: ascii}]\n"
	refused := func(want string) func(*testing.T, *lab, string) {
		return func(t *testing.T, l *lab, example string) {
			l.refuses(t, newUser(t, "owner"), "POST", "/session", example, 400, want)
		}
	}
	stranger := func() program {
		p := honest("app/s")
		p.identity.MRENCLAVE[9]++
		return p
	}
	for code, seen := range map[string]func(t *testing.T, l *lab, example string){
		"CDB0000": refused("session:"),
		"CDB1001": func(t *testing.T, l *lab, _ string) { // any program on any machine
			l.upload(t, newUser(t, "owner"), document("app", secret+"security: {attestation: {mode: none}}", "$$SCONE::p$$"))
			if c := l.configures(t, stranger()); len(variables(c)) != 1 {
				t.Errorf("got %v", c)
			}
		},
		"CDB1003": refused("attestation is missing"),
		"CDB1008": func(t *testing.T, l *lab, _ string) { // the host reads the memory
			l.upload(t, newUser(t, "owner"), document("app", secret+"security: {attestation: {tolerate: [debug-mode]}}", "$$SCONE::p$$"))
			p := honest("app/s")
			p.quote = quoting(t, l.platform, debug)
			l.configures(t, p)
		},
		"CDB1014": func(t *testing.T, l *lab, _ string) { // whoever takes the public key signs any program
			text := strings.Replace(document("app", secret, "$$SCONE::p$$"), "mrenclave: ["+mrenclave.String()+"]", "signer: {mrsigner: "+publicSigner+", isvprodid: 3, isvsvn_min: 0}", 1)
			l.upload(t, newUser(t, "owner"), text)
			p := stranger()
			signer, err := sgx.ParseMeasurement(publicSigner)
			if err != nil {
				t.Fatal(err)
			}
			p.identity.MRSIGNER = signer
			l.configures(t, p)
		},
		"CDB2002": refused("empty list"),
		"CDB2003": refused("generation"),
		"CDB2004": refused("platform ID"),
		"CDB3010": func(t *testing.T, l *lab, _ string) { // without a certificate
			hash := l.upload(t, newUser(t, "owner"), document("app", "secrets: [{name: p, kind: ascii, export_public: true}]\n"))
			if status, body := l.request(t, tls.Certificate{}, "GET", "/v1/values/session=app,session_hash="+hash+",secret=p", ""); status != 200 || !strings.Contains(body, `"value"`) {
				t.Errorf("got %d %s", status, body)
			}
		},
		"CDB3023": refused("names no secret"),
		"CDB4002": func(t *testing.T, l *lab, _ string) { // a stranger takes it over
			text := document("app", "access_policy: {update: [ANY]}\n")
			l.upload(t, newUser(t, "thief"), successor(text, l.upload(t, newUser(t, "owner"), text)))
		},
		"CDB6012": func(t *testing.T, l *lab, example string) { // what a database does then is not the business of a CAS
			owner := newUser(t, "owner")
			namespace, _, _ := strings.Cut(strings.SplitAfter(example, "\nname: ")[1], "/")
			l.upload(t, owner, document(namespace, ""))
			l.upload(t, owner, example)
		},
	} {
		t.Run(code, func(t *testing.T) {
			example, err := os.ReadFile(filepath.Join("../../lint/testdata", code, "bad.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			seen(t, newLab(t).start(t), string(example))
		})
		fatal[code] = true
	}
	rules, err := lint.Rules()
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules {
		if (rule.Severity == lint.Fatal) != fatal[rule.Code] {
			t.Errorf("%s %s is %s, and tried here: %v", rule.Code, rule.Name, rule.Severity, fatal[rule.Code])
		}
	}
}
