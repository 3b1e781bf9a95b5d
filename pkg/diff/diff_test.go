package diff_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/diff"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
)

func parsed(t testing.TB, text string) *session.Session {
	t.Helper()
	s, err := session.Parse("s.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fixed is a document whose references are followed once and for all, so that a change of
// what was read is a change of what counts. It is false for one whose fragments make no
// sense where they are named.
func fixed(t testing.TB, text string) (*session.Session, bool) {
	t.Helper()
	s, _, err := parsed(t, text).Effective(nil)
	return s, err == nil
}

const (
	one   = "1111111111111111111111111111111111111111111111111111111111111111"
	two   = "2222222222222222222222222222222222222222222222222222222222222222"
	here  = "INTEL_QE_ID:85ffc69266c833546e5dca1c676a6151"
	there = "INTEL_QE_ID:00ffc69266c833546e5dca1c676a6151"
)

// base is a session in which everything can be widened and narrowed.
const base = `version: "0.3.11"
name: shop/db
services:
  - name: db
    image_name: i
    command: [mariadbd, --x]
    attestation: {mrenclave: [` + one + `], signer: {mrsigner: ` + two + `, isvprodid: 1, isvsvn_min: 5}}
    platforms: [` + here + `]
    environment: {A: $$SCONE::password$$}
images:
  - name: i
    provide_secrets: [password]
    volumes: [{name: data, path: /var/lib/mysql, update_policy: rollback_protected}]
    injection_files: [{path: /etc/my.cnf, content: "[mariadbd]"}]
volumes: [{name: data, files: encrypted}]
secrets:
  - {name: password, kind: ascii, size: 32, export: [{session: shop/client, session_hash: ` + one + `}]}
  - {name: ca_key, kind: private-key, migrate: true}
  - {name: ca, kind: x509-ca, private_key: ca_key, valid_for: 1 year}
access_policy: {read: [CREATOR], update: [{require-all: [` + one + `, ` + two + `]}]}
security:
  singleton_enclaves: true
  attestation: {tolerate: [software-hardening-needed], ignore_advisories: [INTEL-SA-00615], one_time_password_shared_secret: AAAAAAAAAAAAAAAAAAAAAAAAAA======}
`

func TestWhatChangesMean(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string
		verdict  diff.Verdict
		want     string
	}{
		"a platform":            {here + "]", here + ", " + there + "]", diff.Widened, "gain service db: may run on INTEL_QE_ID:00ffc69266c833546e5dca1c676a6151"},
		"another platform":      {here, there, diff.Incomparable, "loss service db: may no longer run on INTEL_QE_ID:85ffc69266c833546e5dca1c676a6151"},
		"any platform":          {"    platforms: [" + here + "]\n", "", diff.Widened, "gain service db: may run on any machine"},
		"a measurement":         {one + "], signer", one + ", " + two + "], signer", diff.Widened, "gain service db: admits the enclave MRENCLAVE 2222"},
		"any measurement":       {"mrenclave: [" + one + "], signer", "signer", diff.Widened, "gain service db: admits the enclave MRSIGNER 2222"},
		"AND becomes OR":        {"{mrenclave: [" + one + "], signer: {mrsigner: " + two + ", isvprodid: 1, isvsvn_min: 5}}", "[{mrenclave: [" + one + "]}, {signer: {mrsigner: " + two + ", isvprodid: 1, isvsvn_min: 5}}]", diff.Widened, "gain service db: admits the enclave MRENCLAVE 1111111111111111111111111111111111111111111111111111111111111111"},
		"an older version":      {"isvsvn_min: 5", "isvsvn_min: 4", diff.Widened, "version 4 to 65535"},
		"a newer version":       {"isvsvn_min: 5", "isvsvn_min: 6", diff.Narrowed, "loss service db: no longer admits"},
		"a toleration":          {"[software-hardening-needed]", "[software-hardening-needed, outdated-tcb]", diff.Widened, "gain every service: may run where outdated-tcb"},
		"all advisories":        {"ignore_advisories: [INTEL-SA-00615]", "ignore_advisories: '*'", diff.Widened, "any advisory, also those that Intel publishes tomorrow"},
		"no advisory":           {"ignore_advisories: [INTEL-SA-00615], ", "", diff.Narrowed, "may no longer run on platforms with INTEL-SA-00615"},
		"no attestation":        {"attestation: {tolerate", "attestation: {mode: none, tolerate", diff.Widened, "gain every service: is no longer attested"},
		"no password":           {", one_time_password_shared_secret: AAAAAAAAAAAAAAAAAAAAAAAAAA======", "", diff.Widened, "gain every service: no longer must fulfil a one-time password"},
		"another password":      {"AAAAAAAAAAAAAAAAAAAAAAAAAA", "BAAAAAAAAAAAAAAAAAAAAAAAAA", diff.Incomparable, "must fulfil another"},
		"copies":                {"singleton_enclaves: true", "singleton_enclaves: false", diff.Widened, "no longer must fulfil singleton_enclaves"},
		"one person":            {"{require-all: [" + one + ", " + two + "]}", one, diff.Widened, "gain the key " + one + ": may now update"},
		"anyone reads":          {"read: [CREATOR]", "read: [ANY]", diff.Widened, "gain anyone: may now read"},
		"nobody updates":        {"update: [{require-all: [" + one + ", " + two + "]}]", "update: [NONE]", diff.Narrowed, "loss the key " + one + " together with the key " + two + ": may no longer update"},
		"any version of client": {", session_hash: " + one, "", diff.Widened, "gain session shop/client: gets the secret password"},
		"a namespace":           {"{session: shop/client, session_hash: " + one + "}", "{namespace: shop}", diff.Widened, "gain every session in shop: gets"},
		"public":                {"private_key: ca_key", "private_key: ca_key, export_public: true", diff.Widened, "gain everybody: can read the public part of ca"},
		"more secrets":          {"provide_secrets: [password]", "provide_secrets: [password, ca_key]", diff.Widened, "gain service db: can now read the secret ca_key"},
		"all secrets":           {"    provide_secrets: [password]\n", "", diff.Widened, "gain image i: may use every secret"},
		"a volume unprotected":  {"update_policy: rollback_protected", "update_policy: no_rollback_protection", diff.Widened, "can do more: update_policy"},
		"a volume readable":     {"files: encrypted", "files: authenticated-only", diff.Widened, "can do more: files"},
		"another command":       {"--x", "--y", diff.Incomparable, "other service db: runs"},
		"another content":       {"[mariadbd]\"", "[server]\"", diff.Incomparable, "other image i: has another content"},
		"another value":         {"A: $$SCONE", "A: x$$SCONE", diff.Incomparable, "A has another value"},
		"a longer life":         {"valid_for: 1 year", "valid_for: 2 years", diff.Incomparable, "other the secret ca: comes from elsewhere"},
		"a comment":             {"name: shop/db", "# renamed\nname: shop/db", diff.Equal, ""},
		"order":                 {"{mrenclave: [" + one + "], signer: {mrsigner: " + two + ", isvprodid: 1, isvsvn_min: 5}}", "{signer: {isvsvn_min: 5, isvprodid: 1, mrsigner: " + two + "}, mrenclave: [" + one + "]}", diff.Equal, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Count(base, c.old) != 1 {
				t.Fatalf("%q is there %d times", c.old, strings.Count(base, c.old))
			}
			d := diff.Compare(parsed(t, base), parsed(t, strings.Replace(base, c.old, c.new, 1)))
			var lines []string
			for _, x := range d.Changes {
				lines = append(lines, fmt.Sprintf("%s %s: %s", x.Kind, x.Who, x.What))
			}
			text := strings.Join(lines, "\n")
			if d.Verdict != c.verdict || !strings.Contains(text, c.want) {
				t.Errorf("got %s, want %s and %q in:\n%s", d.Verdict, c.verdict, c.want, text)
			}
			back := diff.Compare(parsed(t, strings.Replace(base, c.old, c.new, 1)), parsed(t, base))
			opposite := map[diff.Verdict]diff.Verdict{diff.Widened: diff.Narrowed, diff.Narrowed: diff.Widened, diff.Equal: diff.Equal, diff.Incomparable: diff.Incomparable}
			if back.Verdict != opposite[c.verdict] {
				t.Errorf("the other way round: got %s: %+v", back.Verdict, back.Changes)
			}
		})
	}
}

// widenings make a session wider in one place each; they report whether they could.
func widenings() map[string]func(*rand.Rand, *session.Session) bool {
	service := func(r *rand.Rand, s *session.Session) *session.Service { return &s.Services[r.IntN(len(s.Services))] }
	return map[string]func(*rand.Rand, *session.Session) bool{
		"platform": func(r *rand.Rand, s *session.Session) bool {
			v := service(r, s)
			v.Platforms = append(slices.Clone(v.Platforms), attest.PlatformIDFromQEID([16]byte{byte(r.Uint32()), 99}))
			return len(v.Platforms)+len(v.PlatformSecrets) > 1
		},
		"any platform": func(r *rand.Rand, s *session.Session) bool {
			v := service(r, s)
			had := len(v.Platforms)+len(v.PlatformSecrets) > 0
			v.Platforms, v.PlatformSecrets = nil, nil
			return had
		},
		"measurement": func(r *rand.Rand, s *session.Session) bool {
			v := service(r, s)
			covered := slices.ContainsFunc(v.Attestation, func(x session.Variant) bool {
				return x.Fragment == "" && len(x.MRENCLAVEs)+len(x.MRENCLAVEFragments) == 0 && x.Signer == nil
			})
			v.Attestation = append(slices.Clone(v.Attestation), session.Variant{MRENCLAVEs: []sgx.Measurement{{byte(r.Uint32()), 99}}})
			return !covered
		},
		"toleration": func(_ *rand.Rand, s *session.Session) bool {
			if slices.Contains(s.Security.Tolerate, "debug-mode") || s.Security.Fragment+s.Security.AttestationFragment != "" {
				return false
			}
			s.Security.Tolerate = append(slices.Clone(s.Security.Tolerate), "debug-mode")
			return true
		},
		"advisories": func(_ *rand.Rand, s *session.Session) bool {
			had := slices.Contains(s.Security.IgnoreAdvisories, "*")
			s.Security.IgnoreAdvisories = []string{"*"}
			return !had
		},
		"reader": func(_ *rand.Rand, s *session.Session) bool {
			had := s.AccessPolicy.Fragment != "" || len(s.AccessPolicy.Read) == 1 && s.AccessPolicy.Read[0].Kind == session.AccessAny
			s.AccessPolicy.Read = []session.AccessRule{{Kind: session.AccessAny}}
			return !had
		},
		"export": func(r *rand.Rand, s *session.Session) bool {
			if len(s.Secrets) == 0 {
				return false
			}
			v := &s.Secrets[r.IntN(len(s.Secrets))]
			v.Exports = append(slices.Clone(v.Exports), session.Export{Peer: session.Peer{Session: fmt.Sprintf("stranger-%d", r.Uint32())}})
			return true
		},
		"public": func(r *rand.Rand, s *session.Session) bool {
			if len(s.Secrets) == 0 {
				return false
			}
			v := &s.Secrets[r.IntN(len(s.Secrets))]
			had := v.ExportPublic
			v.ExportPublic = true
			return !had
		},
	}
}

// documents are the legal documents of pkg/session, which are unusual on purpose.
func documents(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../session/testdata/valid/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("got %d documents (%v)", len(files), err)
	}
	all := map[string]string{"base": base}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(file)] = string(text)
	}
	return all
}

// Every widening is reported as one: alone as widened, and beside something that
// narrows still as a gain.
func TestEveryWideningIsReported(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	done := 0
	for name, text := range documents(t) {
		old, sound := fixed(t, text)
		if !sound {
			continue
		}
		for kind, widen := range widenings() {
			for range 5 {
				new, _ := fixed(t, text)
				if len(new.Services) == 0 || !widen(r, new) {
					continue
				}
				done++
				d := diff.Compare(old, new)
				gains := func(d diff.Diff) bool {
					return slices.ContainsFunc(d.Changes, func(x diff.Change) bool { return x.Kind == diff.Gain })
				}
				if d.Verdict != diff.Widened {
					t.Errorf("%s, %s: got %s: %+v", name, kind, d.Verdict, d.Changes)
				}
				narrow := *old
				narrow.Secrets = append(slices.Clone(old.Secrets), session.Secret{Name: "zzz", Kind: session.ASCII})
				if d := diff.Compare(&narrow, new); !gains(d) || d.Verdict == diff.Narrowed || d.Verdict == diff.Equal {
					t.Errorf("%s, %s, with a loss: got %s: %+v", name, kind, d.Verdict, d.Changes)
				}
			}
		}
	}
	if done < 350 {
		t.Errorf("only %d widenings were tried", done)
	}
}

// Each field counts, so that nothing changes behind the back of whoever reads a diff.
func TestEveryFieldCounts(t *testing.T) {
	changed := 0
	policy := regexp.MustCompile(`^\.(Security|AccessPolicy|Services\[\d+\]\.(Attestation|Platform))`)
	for name, text := range documents(t) {
		old, sound := fixed(t, text)
		if !sound {
			old = parsed(t, text)
		}
		for i := range leaves(old) {
			new, _ := fixed(t, text)
			if !sound {
				new = parsed(t, text)
			}
			leaf := leaves(new)[i]
			if !sound && policy.MatchString(leaf.path) {
				continue
			}
			leaf.change()
			if session.Equal(old, new) {
				continue
			}
			changed++
			d := diff.Compare(old, new)
			if d.Verdict == diff.Equal || slices.ContainsFunc(d.Changes, func(x diff.Change) bool { return strings.HasSuffix(x.What, "not known here") }) {
				t.Errorf("%s: %s: got %s: %+v", name, leaf.path, d.Verdict, d.Changes)
			}
		}
	}
	if changed < 300 {
		t.Errorf("only %d fields were changed", changed)
	}
}

type leaf struct {
	path   string
	change func()
}

// leaves are the exported fields of a session that hold text, numbers and truth.
func leaves(s *session.Session) []leaf {
	var all []leaf
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(path, v.Elem())
			}
		case reflect.Struct:
			rule, isRule := v.Interface().(session.AccessRule)
			for i := range v.NumField() {
				if isRule && rule.Kind != session.AccessThreshold && v.Type().Field(i).Name == "AtLeast" {
					continue // means nothing there
				}
				if v.Type().Field(i).IsExported() && v.Type().Field(i).Name != "Creator" && v.Type().Field(i).Name != "Predecessor" && v.Type().Field(i).Name != "AttestationIsList" {
					walk(path+"."+v.Type().Field(i).Name, v.Field(i))
				}
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
			}
		case reflect.String:
			if v.String() != "" {
				all = append(all, leaf{path, func() { v.SetString(v.String() + "x") }})
			}
		case reflect.Bool:
			all = append(all, leaf{path, func() { v.SetBool(!v.Bool()) }})
		case reflect.Int, reflect.Int64:
			all = append(all, leaf{path, func() { v.SetInt(v.Int() + 1) }})
		case reflect.Uint16, reflect.Uint32:
			all = append(all, leaf{path, func() { v.SetUint(v.Uint() ^ 1) }})
		}
	}
	walk("", reflect.ValueOf(s).Elem())
	return all
}

func TestNothingChanges(t *testing.T) {
	for name, text := range documents(t) {
		s := parsed(t, text)
		if d := diff.Compare(s, parsed(t, text)); d.Verdict != diff.Equal || len(d.Changes) != 0 {
			t.Errorf("%s: got %+v", name, d)
		}
		for _, e := range diff.Impact(s, s) {
			if e.Fate == diff.Removed {
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
}

func TestImpact(t *testing.T) {
	const shop = `version: "0.3.11"
name: shop/db
services: [{name: db, command: [a, "$$SCONE::server:crt$$", $$SCONE::password$$], attestation: {mrenclave: [` + one + `]}}]
secrets:
  - {name: password, kind: ascii, size: 32}
  - {name: unused, kind: ascii}
  - {name: ca_key, kind: private-key, migrate: true}
  - {name: ca, kind: x509-ca, private_key: ca_key, export_public: true}
  - {name: server_key, kind: private-key, migrate: true}
  - {name: server, kind: x509, private_key: server_key, issuer: ca, export: {session: ../client}}
  - {name: said_key, kind: private-key, migrate: true}
  - {name: said, kind: public-key, private_key: said_key, export_public: true}
`
	for name, c := range map[string]struct {
		old, new string
		want     []string
	}{
		"nothing":                   {"x", "x", nil},
		"another size":              {"size: 32", "size: 33", []string{"password replaced true"}},
		"without migrate":           {"ca_key, kind: private-key, migrate: true", "ca_key, kind: private-key", []string{"ca_key replaced false", "ca replaced true", "server replaced true"}},
		"another key type":          {"server_key, kind: private-key", "server_key, kind: private-key, key_type: P-384", []string{"server_key replaced false", "server replaced true"}},
		"a key for each version":    {"said_key, kind: private-key, migrate: true", "said_key, kind: private-key, migrate: false", []string{"said_key replaced false", "said replaced false"}},
		"a key that is lost":        {"said_key, kind: private-key, migrate: true", "said_key, kind: private-key", []string{"said_key replaced false", "said replaced true"}},
		"no public half":            {"  - {name: said, kind: public-key, private_key: said_key, export_public: true}\n", "", []string{"said removed true"}},
		"a CA key for each version": {"ca_key, kind: private-key, migrate: true", "ca_key, kind: private-key, migrate: false", []string{"ca_key replaced false", "ca replaced true", "server replaced true"}},
		"no password":               {"  - {name: password, kind: ascii, size: 32}\n", "", []string{"password removed true"}},
		"nobody cares":              {"  - {name: unused, kind: ascii}\n", "", []string{"unused removed false"}},
	} {
		changed := strings.Replace(shop, c.old, c.new, 1)
		if name == "no password" {
			changed = strings.Replace(changed, ", $$SCONE::password$$", "", 1)
		}
		var got []string
		for _, e := range diff.Impact(parsed(t, shop), parsed(t, changed)) {
			if e.Fate == diff.Replaced || e.Fate == diff.Removed {
				got = append(got, fmt.Sprintf("%s %s %v", e.Secret, e.Fate, e.Breaks))
			}
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	effects := diff.Impact(parsed(t, shop), parsed(t, shop))
	if i := slices.IndexFunc(effects, func(e diff.Effect) bool { return e.Secret == "server" }); i < 0 || effects[i].Fate != diff.Reissued || !slices.Equal(effects[i].Hit, []string{"service db", "session shop/client"}) {
		t.Errorf("the server's certificate: %+v", effects)
	}
}
