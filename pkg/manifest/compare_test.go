package manifest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/manifest"
)

// set is a StatefulSet whose pods, and whose container, have some fields in JSON.
func set(pod, container string) string {
	return fmt.Sprintf(`{"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {"replicas": 1, "serviceName": "db", "selector": {"matchLabels": {"a": "b"}},
		"template": {"metadata": {"labels": {"a": "b"}}, "spec": {%s"containers": [{%s"name": "db", "image": "i"}]}}}}`, pod, container)
}

// TestZeroIsNotNothing: where false and 0 can be told from what is not written, they are,
// in both directions; elsewhere both mean the same.
func TestZeroIsNotNothing(t *testing.T) {
	for _, c := range []struct {
		pod, container string
		same           bool
	}{
		{`"automountServiceAccountToken": false, `, "", false},
		{`"enableServiceLinks": false, `, "", false},
		{`"hostUsers": false, `, "", false},
		{`"terminationGracePeriodSeconds": 0, `, "", false},
		{`"securityContext": {"runAsUser": 0}, `, "", false},
		{`"securityContext": {"runAsNonRoot": false}, `, "", false},
		{"", `"securityContext": {"allowPrivilegeEscalation": false}, `, false},
		{"", `"securityContext": {"readOnlyRootFilesystem": false}, `, false},
		{"", `"securityContext": {"runAsGroup": 0}, `, false},
		{`"hostNetwork": false, `, "", true},
		{`"hostPID": false, `, "", true},
		{`"securityContext": {}, `, "", true},
		{`"nodeSelector": {}, `, "", true},
		{"", `"stdin": false, `, true},
		{"", `"args": [], `, true},
	} {
		with, without := set(c.pod, c.container), set("", "")
		for _, pair := range [][2]string{{with, without}, {without, with}} {
			installed, err := manifest.Read([]byte(pair[0]))
			if err != nil {
				t.Fatal(err)
			}
			found, err := manifest.Compare(installed[0], json.RawMessage(pair[1]))
			if err != nil {
				t.Fatal(err)
			}
			if (len(found) == 0) != c.same {
				t.Errorf("%s%s installed %v: got %v, want it to be the same: %v", c.pod, c.container, pair[0] == with, found, c.same)
			}
		}
	}
}

// TestDifferencesKeepSecrets: a difference is named, and no value of a variable is shown,
// but of those that say under what a program runs.
func TestDifferencesKeepSecrets(t *testing.T) {
	none, one := set("", ""), set("", `"env": [{"name": "MARIADB_ROOT_PASSWORD", "value": "canary-1"}], `)
	other := set("", `"env": [{"name": "MARIADB_ROOT_PASSWORD", "value": "canary-2"}], `)
	sidecar := strings.Replace(none, `"image": "i"}`, `"image": "i"}, {"name": "x", "image": "y", "env": [{"name": "TOKEN", "value": "canary-3"}]}`, 1)
	session := func(name string) string {
		return set("", `"env": [{"name": "SCONE_CONFIG_ID", "value": "`+name+`"}], `)
	}
	token := set("", `"env": [{"name": "SCONE_SERVICE_ACCESS_TOKEN", "value": "canary-4"}], `)
	for name, c := range map[string]struct{ installed, live, says string }{
		"another value":   {one, other, "MARIADB_ROOT_PASSWORD"},
		"a variable more": {none, one, "MARIADB_ROOT_PASSWORD"},
		"a variable less": {one, none, "MARIADB_ROOT_PASSWORD"},
		"a sidecar":       {none, sidecar, "containers[x]"},
		"a token":         {none, token, "SCONE_SERVICE_ACCESS_TOKEN"},
		"a session":       {session("ns/db"), session("ns/evil"), `got "ns/evil", want "ns/db"`},
	} {
		installed, err := manifest.Read([]byte(c.installed))
		if err != nil {
			t.Fatal(err)
		}
		found, err := manifest.Compare(installed[0], json.RawMessage(c.live))
		if err != nil || len(found) == 0 {
			t.Errorf("%s: got %v, %v, want a difference", name, found, err)
		}
		if text := fmt.Sprint(found); strings.Contains(text, "canary") || !strings.Contains(text, c.says) {
			t.Errorf("%s: got %s, want it to say %s and no value", name, text, c.says)
		}
	}
}
