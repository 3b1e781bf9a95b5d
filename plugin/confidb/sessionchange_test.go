package confidb_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	shopID = "INTEL_QE_ID:11111111111111111111111111111111"
	newID  = "INTEL_QE_ID:22222222222222222222222222222222"
)

// shopSession is a session with every kind of secret that an update treats differently.
const shopSession = `version: "0.3.11"
name: shop
services:
  - name: db
    command: [run, "$$SCONE::password:hex$$", "$$SCONE::server:crt$$"]
    attestation: {mrenclave: ["0200000000000000000000000000000000000000000000000000000000000000"]}
    platforms: [` + shopID + `]
secrets:
  - {name: password, kind: binary, size: 16}
  - {name: ca_key, kind: private-key, migrate: true}
  - {name: ca, kind: x509-ca, private_key: ca_key}
  - {name: server_key, kind: private-key, migrate: true}
  - {name: server, kind: x509, private_key: server_key, issuer: ca, san: ["dns:db"]}
`

// shopOwner is a user whose CAS has the shop.
func shopOwner(t *testing.T, policy string) (u *user, file string) {
	t.Helper()
	u = newUser(t).attested(t)
	file = u.write(t, "shop.yml", shopSession+policy)
	if code, out, errOut := u.create(file); code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, errOut)
	}
	return u, file
}

func (u *user) sessions(verb string, arguments ...string) (code int, out, errOut string) {
	return main("", append([]string{"session", verb, "--cas", u.address}, arguments...)...)
}

// hash is that of the newest version in CAS.
func (u *user) hash(t *testing.T) string {
	t.Helper()
	_, _, errOut := u.get("shop")
	_, hash, ok := strings.Cut(strings.TrimSpace(errOut), "hash ")
	if !ok {
		t.Fatal(errOut)
	}
	return hash
}

// keys makes two signers: the files of their keys, and how an access policy names them.
func keys(t *testing.T, u *user) (files, rules []string) {
	t.Helper()
	for i := range 2 {
		_, ed, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(ed)
		if err != nil {
			t.Fatal(err)
		}
		public, err := x509.MarshalPKIXPublicKey(ed.Public())
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, u.write(t, fmt.Sprintf("key%d.pem", i), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))))
		rules = append(rules, fmt.Sprintf("signer: %q", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})))
	}
	return files, rules
}

// Two persons change a session: CAS wants both signatures, and nobody else's.
func TestTwoPersonUpdate(t *testing.T) {
	u := newUser(t).attested(t)
	files, rules := keys(t, u)
	policy := "access_policy: {read: [ANY], update: [{require-all: [{" + rules[0] + "}, {" + rules[1] + "}]}]}\n"
	if code, out, errOut := u.create(u.write(t, "shop.yml", shopSession+policy)); code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, errOut)
	}
	first := u.hash(t)
	wider := u.write(t, "wider.yml", strings.Replace(shopSession, shopID, shopID+", "+newID, 1)+policy)
	if code, _, errOut := u.sessions("update", wider); code != 1 || u.hash(t) != first {
		t.Errorf("alone: exit %d\n%s", code, errOut)
	}
	plan := filepath.Join(u.folder, "plan.json")
	if code, out, errOut := u.sessions("plan", wider, "--to", plan); code != 0 || !strings.Contains(out, "widened") || !strings.Contains(errOut, "session sign") || u.hash(t) != first {
		t.Fatalf("plan: exit %d\n%s%s", code, out, errOut)
	}
	sign := func(key string) (int, string, string) { return main("", "session", "sign", plan, "--key", key) }
	apply := func(more ...string) (int, string, string) {
		return u.sessions("apply", append([]string{plan}, more...)...)
	}
	if code, _, errOut := apply(); code != 1 || !strings.Contains(errOut, "has the signatures of 0 keys, want at least 1") {
		t.Errorf("nobody signed: exit %d\n%s", code, errOut)
	}
	if code, out, errOut := sign(files[0]); code != 0 || !strings.Contains(out, "gain      service db may run on "+newID) || !strings.Contains(errOut, "1 signature\n") {
		t.Fatalf("sign: exit %d\n%s%s", code, out, errOut)
	}
	if code, _, _ := sign(files[0]); code != 0 { // the same person twice is one
		t.Errorf("signing again: exit %d", code)
	}
	if code, _, errOut := apply("--signers", "2"); code != 1 || !strings.Contains(errOut, "has the signatures of 1 key, want at least 2") {
		t.Errorf("one signed: exit %d\n%s", code, errOut)
	}
	once, err := os.ReadFile(plan)
	if err != nil {
		t.Fatal(err)
	}
	var twice map[string]any
	if err := json.Unmarshal(once, &twice); err != nil {
		t.Fatal(err)
	}
	twice["signatures"] = append(twice["signatures"].([]any), twice["signatures"].([]any)[0])
	doubled, err := json.Marshal(twice)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plan, doubled, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errOut := apply("--signers", "2"); code != 1 || !strings.Contains(errOut, "signatures of 1 key, want at least 2") {
		t.Errorf("one person's signature twice: exit %d\n%s", code, errOut)
	}
	if err := os.WriteFile(plan, once, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errOut := apply(); code != 1 || !strings.Contains(errOut, "403") || u.hash(t) != first {
		t.Errorf("one is not enough for CAS: exit %d\n%s", code, errOut)
	}
	if code, _, errOut := sign(files[1]); code != 0 {
		t.Fatalf("exit %d\n%s", code, errOut)
	}
	good, err := os.ReadFile(plan)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"another text":        {newID, strings.Replace(newID, "2", "3", 1), "signatures[0]: it is not over this text"},
		"another predecessor": {`"predecessor": "` + first[:1], `"predecessor": "` + string(first[0]^1), "predecessor: got"},
		"another kind":        {"confidb.session-plan/v1", "confidb.session-plan/v2", "kind: got"},
		"an unknown field":    {`"kind"`, `"extra": 1, "kind"`, "unknown field"},
		"another CAS":         {`"cas": "`, `"cas": "x`, "the plan is for the CAS x"},
	} {
		text := strings.Replace(string(good), c.old, c.new, 1)
		if name == "another text" {
			text = strings.ReplaceAll(string(good), c.old, c.new)
		}
		if err := os.WriteFile(plan, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, errOut := apply("--signers", "2"); code != 1 || !strings.Contains(errOut, c.want) || u.hash(t) != first {
			t.Errorf("%s: exit %d, want %q\n%s", name, code, c.want, errOut)
		}
	}
	if err := os.WriteFile(plan, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errOut := apply("--signers", "2"); code != 0 || !strings.Contains(errOut, "was updated") || u.hash(t) == first {
		t.Fatalf("apply: exit %d\n%s%s", code, out, errOut)
	}
	second := u.hash(t)
	if code, _, errOut := apply("--signers", "2"); code != 0 || !strings.Contains(errOut, "carried out before") || u.hash(t) != second {
		t.Errorf("again: exit %d\n%s", code, errOut)
	}
}

// Two people update at once: nobody's update is lost without a word, and each version
// is made for the one before.
func TestConcurrentUpdates(t *testing.T) {
	u, _ := shopOwner(t, "")
	files := []string{
		u.write(t, "run.yml", strings.Replace(shopSession, "[run,", "[walk,", 1)),
		u.write(t, "id.yml", strings.Replace(shopSession, shopID, shopID+", "+newID, 1)),
	}
	type ending struct {
		code   int
		errOut string
	}
	updated := 0
	for range 5 {
		ended := make(chan ending, len(files))
		for _, file := range files {
			go func() {
				code, _, errOut := u.sessions("update", file)
				ended <- ending{code, errOut}
			}()
		}
		for range files {
			e := <-ended
			switch {
			case e.code == 0 && strings.Contains(e.errOut, "was updated"):
				updated++
			case e.code == 0 && strings.Contains(e.errOut, "nothing was changed"):
			case e.code == 1 && strings.Contains(e.errOut, "was changed meanwhile"):
			default:
				t.Errorf("exit %d: %s", e.code, e.errOut)
			}
		}
	}
	_, out, _ := u.sessions("history", "shop", "-o", "json")
	var document struct {
		Versions []struct{ Hash, Predecessor string }
	}
	if err := json.Unmarshal([]byte(out), &document); err != nil {
		t.Fatal(err)
	}
	if len(document.Versions) != updated+1 || updated < 5 {
		t.Errorf("%d versions after %d updates", len(document.Versions), updated)
	}
	for i, v := range document.Versions[:len(document.Versions)-1] {
		if v.Predecessor != document.Versions[i+1].Hash {
			t.Errorf("version %d was not made for the one before", i)
		}
	}
}
