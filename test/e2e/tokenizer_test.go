//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tokenizerService is what a template of the client session needs for the application, which
// is let in as the account of the applications.
const tokenizerService = `  - name: tokenizer
    image_name: tokenizer
    command: [tokenizer]
    attestation:
      mrenclave: [@MRENCLAVE@]
    platforms: [$PLATFORMS]
images:
  - name: tokenizer
    injection_files:
      - {path: /run/confidb/ca.crt, permission: 0o400, content: "$$SCONE::ca:crt$$"}
      - {path: /run/confidb/client.crt, permission: 0o400, content: "$$SCONE::app:crt$$"}
      - {path: /run/confidb/client.key, permission: 0o400, content: "$$SCONE::app_key:pem$$"}
      - {path: /run/confidb/go.dsn, permission: 0o400, content: "confidb_app:$$SCONE::app_password:hex$$@tcp($DATABASE_HOST:3306)/app?tls=confidb&charset=utf8mb4&parseTime=true"}
`

// TestTokenizer runs an application in a namespace of its own: a card number goes in, a token
// comes out, and the same program with one other byte gets nothing.
func TestTokenizer(t *testing.T) {
	measured := strings.TrimSpace(run(t, "bash", "-c", "echo $LAB_TOKENIZER_MRENCLAVE"))
	template := run(t, confidb("session", "template", "client")...)
	if strings.Count(template, "\nimages:\n") != 1 || len(measured) != 64 {
		t.Fatalf("got the measurement %q and a template of the client without one list of images", measured)
	}
	file := filepath.Join(t.TempDir(), "client.yml")
	service := "\n" + strings.ReplaceAll(tokenizerService, "@MRENCLAVE@", measured)
	write(t, file, strings.Replace(template, "\nimages:\n", service, 1))
	installed(t, "shop", "--client-template", file)
	// which session that is, the settings of the release say
	session := strings.TrimSpace(run(t, "bash", "-c", `eval "$(kubectl confidb env shop)" && echo "$DBCLIENT"`)) + "/tokenizer"

	manifest, err := os.ReadFile("../apps/tokenizer/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	filled := filepath.Join(t.TempDir(), "deployment.yaml")
	write(t, filled, strings.NewReplacer("@CONFIG_ID@", session, "@CAS_ADDR@", "cas.scone-system.svc").Replace(string(manifest)))
	t.Cleanup(func() { // without the test's context, which has ended then
		if out, err := command(t, context.Background(), "kubectl", "delete", "--ignore-not-found", "--wait=false", "-f", filled).CombinedOutput(); err != nil {
			t.Errorf("removing the application: %v: %s", err, out)
		}
	})
	run(t, "kubectl", "apply", "-f", filled)
	if r := try(t, "kubectl", "rollout", "status", "-n", "shop-app", "--timeout=60s", "deployment/tokenizer"); r.code != 0 {
		t.Fatalf("%v\n%v", r, try(t, "kubectl", "logs", "-n", "shop-app", "deployment/tokenizer"))
	}

	const card, at = "4111111111111111", "/api/v1/namespaces/shop-app/services/tokenizer:http/proxy/tokens"
	body := filepath.Join(t.TempDir(), "body.json")
	write(t, body, `{"value": "`+card+`"}`)
	var answer struct{ Token, Value string }
	decode(t, run(t, "kubectl", "create", "--raw", at, "-f", body), &answer)
	decode(t, run(t, "kubectl", "get", "--raw", at+"/"+answer.Token), &answer)
	if answer.Value != card || len(answer.Token) != 26 {
		t.Errorf("got %+v, want the card %s of a token", answer, card)
	}
	if r := sql(t, "shop", "SELECT COUNT(*) AS cards FROM cards WHERE token = '"+answer.Token+"'"); r.code != 0 || strings.Join(strings.Fields(r.out), " ") != "cards 1" {
		t.Errorf("the table: %v, want one card of that token", r)
	}
	if log := run(t, "kubectl", "logs", "-n", "shop-app", "deployment/tokenizer"); strings.Contains(log, card) || strings.Contains(log, answer.Token) || !strings.Contains(log, "edition A") {
		t.Errorf("got the log %q, want the program's edition and no card", log)
	}

	run(t, "kubectl", "set", "image", "-n", "shop-app", "deployment/tokenizer", "tokenizer=lab.local/tokenizer-changed:1")
	waitFor(t, "the changed program to be refused", time.Minute, func() bool {
		r := try(t, "kubectl", "logs", "-n", "shop-app", "-l", "app.kubernetes.io/name=tokenizer", "--tail=20")
		return strings.Contains(r.out, "Unexpected enclave measurement")
	})
	if r := try(t, "kubectl", "logs", "-n", "shop-app", "-l", "app.kubernetes.io/name=tokenizer", "--tail=20"); strings.Contains(r.out, "edition B") {
		t.Errorf("the changed program was started with the session: %v", r)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}
