package release_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/confidb/confidb/internal/loopback"
	"github.com/confidb/confidb/pkg/release"
)

const canary = "s3cretCanary9x8y7z"

// No credential of a repository is in an error, wherever the repository's address has it
// and however the repository fails.
func TestErrorsHaveNoCredentialOfARepository(t *testing.T) {
	for failure, server := range failures(t) {
		for _, form := range []string{
			"http://user:%[2]s@%[1]s/charts", "http://%[2]s@%[1]s", "http://%[1]s/%[2]s/org/helm", "http://%[1]s/basic-%[2]s/helm",
			"http://%[1]s/charts?token=%[2]s", "http://%[1]s/charts?unheard-of=%[2]s&x=y", "http://user:%%2F%[2]s@%[1]s/charts",
			"http://user:%[2]s@%[1]s:bad/charts", "http://user:a b%[2]s@%[1]s/charts", "ftp://user:%[2]s@%[1]s/charts",
		} {
			address := fmt.Sprintf(form, server, canary)
			folder := t.TempDir()
			settings := release.Places(folder, folder)
			write(t, settings.RepositoryConfig, "apiVersion: v1\nrepositories:\n- name: own\n  url: "+address+"\n  username: user\n  password: pass"+canary+"\n")
			h, err := release.New(genericclioptions.NewConfigFlags(false), "shop", settings)
			if err != nil {
				t.Fatal(err)
			}
			for name, spec := range map[string]release.Spec{
				"--repo": {Name: "db", Chart: "db", Repo: address}, "a configured one": {Name: "db", Chart: "own/db"},
				"a chart by address": {Name: "db", Chart: address + "/db-1.0.0.tgz"}, "a registry": {Name: "db", Chart: "oci://" + strings.TrimPrefix(address, "http://") + "/db", Version: "1.0.0"},
			} {
				if _, err := h.Load(spec); err == nil || strings.Contains(err.Error(), canary) || err.Error() == "" {
					t.Errorf("%s, %s, %s: %v", failure, form, name, err)
				}
			}
			if _, err := release.MergeValues([]string{address + "/values.yaml"}, nil, nil, nil, nil); err == nil || strings.Contains(err.Error(), canary) {
				t.Errorf("%s, %s, values: %v", failure, form, err)
			}
		}
	}
}

// failures are servers by what is wrong with them.
func failures(t *testing.T) map[string]string {
	t.Helper()
	port, err := loopback.Hold()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { port.Release() })
	closed := port.Address() // where nobody listens
	all := map[string]string{"closed": closed}
	for name, answer := range map[string]http.HandlerFunc{
		"forbids": func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "no: "+r.URL.String(), http.StatusForbidden)
		},
		"wrong": func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s: [", r.URL) },
		"moves": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+closed+r.URL.String(), http.StatusFound)
		},
	} {
		server := httptest.NewServer(answer)
		t.Cleanup(server.Close)
		all[name] = server.Listener.Addr().String()
	}
	return all
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
