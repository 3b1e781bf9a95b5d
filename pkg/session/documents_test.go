package session_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/session"
)

var update = flag.Bool("update", false, "write the golden files")

// documents are the files of a folder of testdata.
func documents(t testing.TB, folder string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
	if err != nil || len(files) < 25 {
		t.Fatalf("got %d documents, %v", len(files), err)
	}
	all := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".yaml")] = string(text)
	}
	return all
}

func parse(t testing.TB, text string) *session.Session {
	t.Helper()
	s, err := session.Parse("s.yml", []byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return s
}

func TestValidDocuments(t *testing.T) {
	for name, text := range documents(t, "valid") {
		t.Run(name, func(t *testing.T) {
			checkPrint(t, text)
			parsed := parse(t, text)
			session.WrittenSecrets(parsed)
		})
	}
}

// checkPrint prints what it can parse, twice, and sees that nothing got lost.
func checkPrint(t *testing.T, text string) {
	t.Helper()
	first, err := session.Parse("s.yml", []byte(text))
	if err != nil {
		return
	}
	printed := first.Print()
	second, err := session.Parse("s.yml", printed)
	if err != nil {
		t.Fatalf("printed as\n%s\n%v", printed, err)
	}
	if !session.Equal(first, second) || first.Predecessor != second.Predecessor || first.Creator != second.Creator {
		t.Errorf("%s\nis printed as\n%s", text, printed)
	}
	if diff := cmp.Diff(string(printed), string(second.Print())); diff != "" {
		t.Errorf("printing again (-first +second):\n%s", diff)
	}
	if diff := cmp.Diff(commentTexts(first), commentTexts(second)); diff != "" {
		t.Errorf("comments (-before +after):\n%s", diff)
	}
}

func commentTexts(s *session.Session) []string {
	var all []string
	for _, c := range s.Comments() {
		all = append(all, c.Path+" "+c.Text)
	}
	return all
}

func TestInvalidDocuments(t *testing.T) {
	for name, text := range documents(t, "invalid") {
		t.Run(name, func(t *testing.T) {
			line, _, _ := strings.Cut(text, "\n")
			want, ok := strings.CutPrefix(line, "# want: ")
			if !ok {
				t.Fatalf("the first line is %q", line)
			}
			_, err := session.Parse("s.yml", []byte(text))
			var all *session.Errors
			if !errors.As(err, &all) || !strings.Contains(all.Problems[0].Error(), want) {
				t.Errorf("got %v, want %q first", err, want)
			}
		})
	}
}

// Every problem is told, in the order of the lines, and what follows from another
// problem is not.
func TestAllProblems(t *testing.T) {
	_, err := session.Parse("s.yml", []byte(`version: "0.3.9"
name: a b
servces: []
read: [CREATOR]
services:
  - nme: s
    platforms: [x, y]
    mode: none
secrets:
  - {name: s, kind: asci}
`))
	want := `s.yml:2:7: name: got "a b", want at most 128 of A-Z, a-z, 0-9 and _-.~ in each part between slashes
s.yml:3:1: got the unknown key "servces"
s.yml:4:1: got the unknown key "read"
s.yml:6:5: services[0]: got the unknown key "nme"
s.yml:7:17: services[0].platforms[0]: platform ID: got "x", want 64 hexadecimal digits (SCONE up to 6) or INTEL_QE_ID: and 32 of them (from SCONE 7)
s.yml:7:20: services[0].platforms[1]: platform ID: got "y", want 64 hexadecimal digits (SCONE up to 6) or INTEL_QE_ID: and 32 of them (from SCONE 7)
s.yml:8:5: services[0]: got the unknown key "mode"
s.yml:10:21: secrets[0].kind: got "asci", want ascii, binary, private-key, public-key, x509-ca, x509, config-fragment, aad-token, pgp-key, jwt`
	if err == nil {
		t.Fatal("accepted")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var all *session.Errors
	if !errors.As(err, &all) {
		t.Fatalf("got a %T", err)
	}
	wantHint := `3:1: write "services"
4:1: "read" belongs to access_policy
6:5: write "name"
8:5: "mode" belongs to security.attestation
10:21: write "ascii"`
	if diff := cmp.Diff(wantHint, all.Hint()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err = session.Parse("s.yml", []byte("version: '0.3'\nname: [x]\n")); !errors.As(err, &all) || len(all.Problems) != 1 {
		t.Errorf("one mistake is told as %v", err)
	}
	text := "version: '0.3'\nname: a\n"
	for i := range 14 {
		text += fmt.Sprintf("x%d: 1\n", i)
	}
	_, err = session.Parse("s.yml", []byte(text))
	if !errors.As(err, &all) || len(all.Problems) != 10 || all.More != 4 || !strings.HasSuffix(err.Error(), "\nand 4 more") {
		t.Errorf("got %v", err)
	}
}

// No error shows what may be a secret.
func TestErrorsHideSecrets(t *testing.T) {
	const canary = "canary-7f3a"
	for _, line := range []string{
		"services: [{name: s, fspf_key: " + canary + "}]",
		"services: [{name: s, one_time_password_shared_secret: " + canary + "}]",
		"volumes: [{name: s, fspf_key: " + canary + "}]",
		"secrets: [{name: s, kind: binary, value: [" + canary + "]}]",
		"secrets: [{name: s, kind: private-key, value: " + canary + ", size: 1}]",
		"secrets: [{name: s, kind: config-fragment, value: !x " + canary + "}]",
		"secrets: [{name: s, kind: ascii, import_akv: {token: " + canary + ", decryption_key: " + canary + "}}]",
		"security: {service_access_token: " + canary + ", x: y}",
		"secrets: [{name: s, kind: aad-token, application_secret: " + canary + "}]",
		"secrets: [{name: s, kind: aad-token, application_secret: [" + canary + "]}]",
		"secrets: [{name: s, kind: aad-token, tenant_id: t, client_id: c, private_key: \"-----BEGIN PRIVATE KEY-----\\n" + canary + "\\n-----END PRIVATE KEY-----\"}]",
		"secrets: [{name: s, kind: x509, private_key: \"-----BEGIN PRIVATE KEY-----\\n" + canary + "\\n-----END PRIVATE KEY-----\"}]",
		"secrets: [{name: s, kind: aad-tokens, private_key: \"-----BEGIN PRIVATE KEY-----\\n" + canary + "\\n-----END PRIVATE KEY-----\"}]",
	} {
		_, err := session.Parse("s.yml", []byte("version: '0.3.11'\nname: a\n"+line+"\n"))
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: got %v", line, err)
		}
	}
}

func TestWrittenSecrets(t *testing.T) {
	got := session.WrittenSecrets(parse(t, documents(t, "valid")["everything"]))
	want := []string{"text", "aad", "aad2", "services.s.fspf_key", "services.s.one_time_password_shared_secret", "volumes.v.fspf_key", "secrets.akv.import_akv.token", "secrets.akv.import_akv.decryption_key", "security.attestation.one_time_password_shared_secret", "security.service_access_token"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	for _, folder := range []string{"valid", "invalid"} {
		for _, text := range documents(f, folder) {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := session.Parse("f.yml", []byte(text))
		if err != nil {
			var e *session.Error
			if !errors.As(err, &e) || e.Line < 1 || e.Column < 1 {
				t.Errorf("an error without a place: %v", err)
			}
			return
		}
		checkPrint(t, text)
	})
}

// TestNumbersBetweenQuotes: a template has "$ISVSVN" where a number belongs.
func TestNumbersBetweenQuotes(t *testing.T) {
	const text = "version: \"0.3.11\"\nname: s\nservices:\n  - name: db\n    attestation:\n      signer: {mrsigner: " + "\"%s\"" + ", isvprodid: %s, isvsvn: 5}\n    command: run\n"
	signer := strings.Repeat("ab", 32)
	for number, want := range map[string]int{`41316`: 41316, `"41316"`: 41316, `'0'`: 0, `"007"`: -1, `"65536"`: -1, `"0x10"`: -1, `"-1"`: -1, `" 1"`: -1, `"one"`: -1, `""`: -1} {
		s, err := session.Parse("s.yml", fmt.Appendf(nil, text, signer, number))
		if want < 0 {
			if err == nil {
				t.Errorf("%s was taken for a number", number)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", number, err)
			continue
		}
		if got := int(s.Services[0].Attestation[0].Signer.ISVProdID); got != want {
			t.Errorf("%s: got %d, want %d", number, got, want)
		}
	}
}
