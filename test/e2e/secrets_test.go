//go:build e2e

package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Secrets that CAS has generated are in no output, log, object or record. Here,
// where there is no hardware, the machine's administrator can look them up in the
// "enclave", so that it is known what to search for.
func TestNoSecretLeaves(t *testing.T) {
	installed(t, "db1")
	if r := sql(t, "db1", "select 1"); r.code != 0 {
		t.Fatal(r)
	}
	verify(t, "db1")
	canaries := generatedSecrets(t, "db1")
	if len(canaries) < 4 {
		t.Fatalf("found only %d secrets to search for", len(canaries))
	}
	const control = "canary-that-must-be-found"
	run(t, "bash", "-c", "kubectl create configmap control --from-literal=x="+control+" --dry-run=client -o yaml | kubectl apply -f -")
	defer run(t, "kubectl", "delete", "configmap", "control")
	places := map[string]string{
		"objects of the cluster": objects(t),
		"logs":                   logs(t),
		"records":                files(t, filepath.Join(lab, "home", "releases")) + files(t, filepath.Join(lab, "home", "cas")),
		"output of all commands": printed(),
		"log of the API server":  files(t, filepath.Join(lab, "log")),
	}
	for place, text := range places {
		if len(text) < 100 {
			t.Errorf("%s: only %d bytes were searched", place, len(text))
		}
		for name, secret := range canaries {
			if strings.Contains(text, secret) {
				t.Errorf("%s hold %s", place, name)
			}
		}
	}
	if !strings.Contains(places["objects of the cluster"], control) {
		t.Error("the search finds nothing at all")
	}
}

// generatedSecrets reads from the memory of the database's pod: the at-rest key,
// the passwords of the accounts and the server's private key.
func generatedSecrets(t *testing.T, release string) map[string]string {
	t.Helper()
	uid := run(t, "kubectl", "get", "pod", release+"-mariadb-0", "-o", "jsonpath={.metadata.uid}")
	node := run(t, "kubectl", "get", "pod", release+"-mariadb-0", "-o", "jsonpath={.spec.nodeName}")
	pid, err := os.ReadFile(filepath.Join(lab, "pids", node))
	if err != nil {
		t.Fatal(err)
	}
	children, err := os.ReadFile("/proc/" + strings.Fields(string(pid))[0] + "/task/" + strings.Fields(string(pid))[0] + "/children")
	if err != nil {
		t.Fatal(err)
	}
	folder := "/proc/" + strings.Fields(string(children))[0] + "/root/var/lib/kubelet/pods/" + uid + "/volumes/kubernetes.io~empty-dir/enclave"
	secrets := map[string]string{}
	add := func(name, file, form string) {
		text, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			t.Fatal(err)
		}
		for i, found := range regexp.MustCompile(form).FindAllStringSubmatch(string(text), -1) {
			secrets[name+" "+string(rune('a'+i))] = strings.ReplaceAll(found[1], "\r", "")
		}
	}
	add("the at-rest key", "keys.txt", `1;([0-9a-f]{64})`)
	add("a password", "accounts.sql", `IDENTIFIED BY '([0-9a-f]{64})'`)
	add("the server's key", "server.key", `-----BEGIN PRIVATE KEY-----\r?\n([A-Za-z0-9+/=]{40,})`)
	return secrets
}

// objects are all objects of the cluster, with what is encoded in them.
func objects(t *testing.T) string {
	t.Helper()
	text := run(t, "kubectl", "get", "all,configmaps,secrets,events,persistentvolumeclaims,serviceaccounts", "--all-namespaces", "-o", "json")
	var list struct {
		Items []struct {
			Kind string
			Data map[string]string
		}
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	all.WriteString(text)
	for _, item := range list.Items {
		if item.Kind != "Secret" {
			continue
		}
		for _, value := range item.Data {
			all.WriteString(decoded(value))
		}
	}
	return all.String()
}

// decoded undoes base64 twice and gzip, as Helm keeps its releases.
func decoded(value string) string {
	once, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return ""
	}
	twice, err := base64.StdEncoding.DecodeString(string(once))
	if err != nil {
		return string(once)
	}
	reader, err := gzip.NewReader(bytes.NewReader(twice))
	if err != nil {
		return string(once) + string(twice)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		return string(once)
	}
	return string(text)
}

func logs(t *testing.T) string {
	t.Helper()
	return run(t, "bash", "-c", `kubectl get pods -A --no-headers -o custom-columns=:metadata.namespace,:metadata.name | while read -r namespace pod; do kubectl logs -n "$namespace" "$pod" --all-containers || echo "no log of $pod"; done`)
}

func files(t *testing.T, folder string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func printed() string {
	everything.Lock()
	defer everything.Unlock()
	return everything.String()
}
