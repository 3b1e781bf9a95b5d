package record_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/topology"
)

var day = time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)

// promised is a release of its owner's, with what others must not get.
func promised() *topology.Release {
	return &topology.Release{
		Name: "db1", Namespace: "shop", CASAddress: "cas.scone-system.svc", HelmStarted: day, HelmPending: true,
		Members:   []topology.Member{{Role: topology.Database, Session: topology.Session{Name: "o/db", Text: "version: \"0.3.11\"\nname: o/db\n", Hash: "h"}}},
		Values:    map[string]any{"password": "canary"},
		Templates: map[string]string{"database": "canary"},
		Trust:     attest.Trust{RootCA: []byte("pem"), Collateral: map[string][]byte{"x": {1}}},
	}
}

func export(t *testing.T, s record.Store, r *topology.Release, at time.Time) []byte {
	t.Helper()
	text, err := s.ExportPromise(r, at)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func fingerprint(t *testing.T, s record.Store) string {
	t.Helper()
	f, err := s.Fingerprint(day)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAPromiseIsHandedOn(t *testing.T) {
	owner, other := record.Store{Dir: t.TempDir()}, record.Store{Dir: t.TempDir()}
	text := export(t, owner, promised(), day)
	identity, err := owner.Identity(day)
	if err != nil {
		t.Fatal(err)
	}
	if payload, _ := base64.StdEncoding.DecodeString(member(t, text, "payload")); bytes.Contains(payload, []byte("canary")) || bytes.Contains(text, []byte("PRIVATE")) || identity.PrivateKey == nil {
		t.Errorf("the file holds what is not for others: %s", payload)
	}
	got, err := other.ImportPromise("cluster", text, "")
	if err != nil {
		t.Fatal(err)
	}
	if got.Known || got.Signer != fingerprint(t, owner) {
		t.Errorf("got %+v, want the first promise of %s", got, fingerprint(t, owner))
	}
	kept, err := other.Promised("cluster", "shop", "db1")
	if err != nil {
		t.Fatal(err)
	}
	want := promised()
	want.Kind, want.Values, want.Templates, want.HelmStarted, want.HelmPending = kept.Kind, nil, nil, time.Time{}, false
	want.Import = &topology.Import{Signer: fingerprint(t, owner), Signed: day}
	if diff := cmp.Diff(want, kept); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if again, err := other.ImportPromise("cluster", export(t, owner, promised(), day.Add(time.Hour)), ""); err != nil || !again.Known {
		t.Errorf("a later promise of the same key: got %+v, %v", again, err)
	}
	if _, err := other.ExportPromise(kept, day); err == nil {
		t.Error("somebody else's promise was signed as one's own")
	}
}

func member(t *testing.T, text []byte, name string) string {
	t.Helper()
	var all map[string]string
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all[name]
}

// TestAPromiseIsNotBelievedFromJustAnybody: a key that was named, or that signed before, is
// not replaced by another one.
func TestAPromiseIsNotBelievedFromJustAnybody(t *testing.T) {
	owner, stranger, other := record.Store{Dir: t.TempDir()}, record.Store{Dir: t.TempDir()}, record.Store{Dir: t.TempDir()}
	good, bad := export(t, owner, promised(), day), export(t, stranger, promised(), day.Add(time.Hour))
	var another *record.SignerError
	if _, err := other.ImportPromise("c", bad, fingerprint(t, owner)); !errors.As(err, &another) || another.Hint() == "" {
		t.Errorf("another key than was named: got %v", err)
	}
	if _, err := other.Promised("c", "shop", "db1"); err == nil {
		t.Error("it was kept")
	}
	colons := strings.ToUpper(fingerprint(t, owner))
	if got, err := other.ImportPromise("c", good, colons[:2]+":"+colons[2:]); err != nil || !got.Known {
		t.Errorf("the key that was named: got %+v, %v", got, err)
	}
	if _, err := other.ImportPromise("c", bad, ""); !errors.As(err, &another) || another.Want != fingerprint(t, owner) {
		t.Errorf("another key than the last time: got %v", err)
	}
	if _, err := other.ImportPromise("c", export(t, owner, promised(), day.Add(-time.Second)), ""); err == nil || !strings.Contains(err.Error(), "an old one") {
		t.Errorf("an older promise: got %v", err)
	}
	if got, err := other.ImportPromise("c", bad, fingerprint(t, stranger)); err != nil || !got.Known {
		t.Errorf("a new key, by name: got %+v, %v", got, err)
	}
}

func TestOnesOwnRecordIsNotReplaced(t *testing.T) {
	owner, other := record.Store{Dir: t.TempDir()}, record.Store{Dir: t.TempDir()}
	if err := other.SaveRelease("c", promised()); err != nil {
		t.Fatal(err)
	}
	var own *record.OwnRecordError
	if _, err := other.ImportPromise("c", export(t, owner, promised(), day), fingerprint(t, owner)); !errors.As(err, &own) || own.Hint() == "" {
		t.Errorf("got %v, want an OwnRecordError", err)
	}
	if kept, err := other.Promised("c", "shop", "db1"); err != nil || kept.Import != nil {
		t.Errorf("got %+v, %v", kept, err)
	}
}

// TestAChangedPromiseIsRefused, whichever byte of it is another one, and whatever its signer
// says that would make it more than a promise.
func TestAChangedPromiseIsRefused(t *testing.T) {
	owner, other := record.Store{Dir: t.TempDir()}, record.Store{Dir: t.TempDir()}
	good := export(t, owner, promised(), day)
	rewrite := func(name string, change func(string) string) []byte {
		var all map[string]any
		if err := json.Unmarshal(good, &all); err != nil {
			t.Fatal(err)
		}
		all[name] = change(member(t, good, name))
		text, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	payload := func(from, to string) func(string) string {
		return func(text string) string {
			raw, _ := base64.StdEncoding.DecodeString(text)
			if !bytes.Contains(raw, []byte(from)) {
				t.Fatalf("there is no %s", from)
			}
			return base64.StdEncoding.EncodeToString(bytes.Replace(raw, []byte(from), []byte(to), 1))
		}
	}
	stranger := record.Store{Dir: t.TempDir()}
	certificate, err := stranger.Certificate(day)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"another CAS":         rewrite("payload", payload("cas.scone-system.svc", "cas.evil-system0.svc")),
		"another hash":        rewrite("payload", payload(`"hash":"h"`, `"hash":"i"`)),
		"another signer":      rewrite("signer", func(string) string { return certificate }),
		"two signers":         rewrite("signer", func(s string) string { return s + s }),
		"no signer":           rewrite("signer", func(string) string { return "" }),
		"no signature":        rewrite("signature", func(string) string { return "" }),
		"another kind":        rewrite("kind", func(string) string { return "confidb.release/v2" }),
		"an unknown member":   rewrite("more", func(string) string { return "x" }),
		"something behind it": append(bytes.Clone(good), "{}"...),
		"half of it":          good[:len(good)/2],
		"nothing":             nil,
	} {
		if _, err := other.ImportPromise("c", text, ""); err == nil {
			t.Errorf("%s was believed", name)
		}
	}
	for name, change := range map[string]func(*topology.Release){
		"a name that leaves the folder":      func(r *topology.Release) { r.Name = "../../memory" },
		"a namespace that leaves the folder": func(r *topology.Release) { r.Namespace = "../../.." },
		"a namespace that is empty":          func(r *topology.Release) { r.Namespace = "" },
	} {
		r := promised()
		change(r)
		if _, err := other.ImportPromise("c", export(t, owner, r, day), ""); err == nil {
			t.Errorf("%s was believed", name)
		}
	}
	if _, err := other.Promised("c", "shop", "db1"); err == nil {
		t.Error("something was kept")
	}
}

func TestASecretIsNotHandedOn(t *testing.T) {
	s := record.Store{Dir: t.TempDir()}
	for name, change := range map[string]func(*topology.Session){
		"a secret in the session":       func(m *topology.Session) { m.Text += "secrets: [{name: key, kind: ascii, value: canary}]\n" },
		"a session that may not exist":  func(m *topology.Session) { m.Hash = "" },
		"a session that cannot be read": func(m *topology.Session) { m.Text = "[" },
	} {
		r := promised()
		change(&r.Members[0].Session)
		if text, err := s.ExportPromise(r, day); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %s, %v", name, text, err)
		}
	}
}

// TestCredentialsOfAChartStay: what opens its repository, or a session, is not handed on.
func TestCredentialsOfAChartStay(t *testing.T) {
	s, r := record.Store{Dir: t.TempDir()}, promised()
	r.Chart = topology.Chart{Name: "https://canary@charts.example/db.tgz", Repo: "https://user:canary@charts.example"}
	r.Origins = map[string]string{"chart": "--repo https://user:canary@charts.example"}
	payload, err := base64.StdEncoding.DecodeString(member(t, export(t, s, r, day), "payload"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(payload, []byte("canary")) || !bytes.Contains(payload, []byte("charts.example")) {
		t.Errorf("got %s, want the repository without credentials", payload)
	}
	if r.Chart.Repo != "https://user:canary@charts.example" || !strings.Contains(r.Origins["chart"], "canary") {
		t.Errorf("the record itself was changed: %+v", r.Chart)
	}
	r.Pod.Environment = map[string]string{"SCONE_SERVICE_ACCESS_TOKEN": "canary"}
	if text, err := s.ExportPromise(r, day); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %s, %v, want a refusal", text, err)
	}
}

// TestAFingerprintIsWhole: what is left of one that says nothing names no key.
func TestAFingerprintIsWhole(t *testing.T) {
	owner, stranger, other := record.Store{Dir: t.TempDir()}, record.Store{Dir: t.TempDir()}, record.Store{Dir: t.TempDir()}
	if _, err := other.ImportPromise("c", export(t, owner, promised(), day), ""); err != nil {
		t.Fatal(err)
	}
	for _, signer := range []string{" ", ":", " : ", "ab", fingerprint(t, stranger) + "0", "sha256:" + fingerprint(t, stranger), strings.Repeat("g", 64)} {
		if got, err := other.ImportPromise("c", export(t, stranger, promised(), day.Add(time.Hour)), signer); err == nil {
			t.Errorf("%q: got %+v, want a refusal", signer, got)
		}
	}
}

func FuzzImportPromise(f *testing.F) {
	owner := record.Store{Dir: f.TempDir()}
	good, err := owner.ExportPromise(promised(), day)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"kind":"confidb.promise/v1"}`))
	mine, err := owner.Fingerprint(day)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := record.Store{Dir: t.TempDir()}.ImportPromise("c", text, mine)
		if err == nil && (got.Release.Name != "db1" || got.Release.Members[0].Session.Hash != "h") {
			t.Errorf("believed %s", text)
		}
	})
}
