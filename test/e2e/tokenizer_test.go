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

// TestTokenizer runs an application in a namespace of its own, as a client of the release: a
// card number goes in, a token comes out. The same program with one other byte gets nothing,
// and after client remove neither does the right one.
func TestTokenizer(t *testing.T) {
	t.Parallel() // waits for pods most of the time
	measured := strings.TrimSpace(run(t, "bash", "-c", "echo $LAB_TOKENIZER_MRENCLAVE"))
	installed(t, "shop")
	client := func(verb string, more ...string) result {
		t.Helper()
		return try(t, confidb(append([]string{"client", verb, "shop", "tokenizer", "--accept-simulated"}, more...)...)...)
	}
	add := []string{"--mrenclave", measured, "--heap", "256M", "--client-namespace", "shop-app", "--accounts", "../apps/tokenizer/accounts.yaml", "--command", "tokenizer",
		"--file", "ca=/run/confidb/ca.crt", "--file", "certificate=/run/confidb/client.crt", "--file", "key=/run/confidb/client.key", "--file", "go-dsn=/run/confidb/go.dsn"}
	if r := client("add", add...); r.code != 0 || !strings.Contains(r.err, "client tokenizer is admitted") {
		t.Fatal(r)
	}
	if r := client("add", add...); r.code != 0 || strings.Contains(r.err, "what changes") {
		t.Errorf("again: %v", r)
	}
	// The Deployment names no session yet: what client manifest prints makes it the client.
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "confidb"), 0o700); err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile("../apps/tokenizer/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "deployment.yaml"), string(manifest))
	write(t, filepath.Join(folder, "kustomization.yaml"), "resources: [deployment.yaml]\ncomponents: [confidb]\n")
	write(t, filepath.Join(folder, "confidb", "kustomization.yaml"), run(t, confidb("client", "manifest", "shop", "tokenizer", "--type", "kustomize")...))
	filled := filepath.Join(t.TempDir(), "filled.yaml")
	write(t, filled, run(t, "kubectl", "kustomize", folder))
	if r := try(t, confidb("client", "check", "shop", "tokenizer", filepath.Join(folder, "deployment.yaml"))...); r.code != 3 {
		t.Errorf("as it was: %v", r)
	}
	run(t, confidb("client", "check", "shop", "tokenizer", filled)...)
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

	run(t, "kubectl", "set", "image", "-n", "shop-app", "deployment/tokenizer", "tokenizer=lab.local/tokenizer:1")
	run(t, "kubectl", "rollout", "status", "-n", "shop-app", "--timeout=60s", "deployment/tokenizer")
	run(t, "kubectl", "get", "--raw", at+"/"+answer.Token)
	if list := strings.Join(strings.Fields(run(t, confidb("client", "list", "shop")...)), " "); !strings.Contains(list, "tokenizer: the enclave "+measured) || !strings.Contains(list, `ON "shop".*`) {
		t.Errorf("got the list %s", list)
	}
	if r := client("remove"); r.code != 0 || !strings.Contains(r.err, "client tokenizer is no longer admitted") {
		t.Fatal(r)
	}
	// what the running program was given opens nothing now
	if r := try(t, "kubectl", "get", "--raw", at+"/"+answer.Token); r.code == 0 {
		t.Errorf("the program that was sent away reads the table: %v", r)
	}
	run(t, "kubectl", "delete", "pod", "-n", "shop-app", "-l", "app.kubernetes.io/name=tokenizer", "--wait=true")
	waitFor(t, "the program to be refused", time.Minute, func() bool {
		return strings.Contains(try(t, "kubectl", "logs", "-n", "shop-app", "-l", "app.kubernetes.io/name=tokenizer", "--tail=20").out, "does not exist in session")
	})
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
