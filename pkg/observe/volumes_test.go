package observe_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/manifest"
	"github.com/confidb/confidb/pkg/observe"
)

func TestParseLevel(t *testing.T) {
	for text, want := range map[string]bool{"standard": false, "full": true} {
		if full, err := observe.ParseLevel(text); full != want || err != nil {
			t.Errorf("%s: got %v, %v", text, full, err)
		}
	}
	for _, text := range []string{"", "Full", "fullest", "0"} {
		if _, err := observe.ParseLevel(text); err == nil {
			t.Errorf("%q is a level", text)
		}
	}
}

// withVolume gives the database of a scene a volume.
func withVolume(t *testing.T) *scene {
	t.Helper()
	s := newScene(t)
	s.manifests = strings.Replace(manifests, "{containers: [{name: mariadb}]}", "{securityContext: {runAsUser: 101}, containers: [{name: mariadb}]}}, volumeClaimTemplates: [{metadata: {name: data}}]", 1)
	s.manifests = strings.Replace(s.manifests, "data}}]}}", "data}}]}", 1)
	installed, err := manifest.Read([]byte(s.manifests))
	if err != nil {
		t.Fatal(err)
	}
	s.promised.Installed = installed.Record()
	s.cluster.known = []evidence.Pod{
		{Name: "db1-mariadb-0", Owners: []string{"StatefulSet/db1-mariadb"}, Spec: corev1.PodSpec{NodeName: "node-2"}},
		{Name: "stranger", Spec: corev1.PodSpec{NodeName: "node-3", Volumes: []corev1.Volume{{Name: "x", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "theirs"}}}}}},
	}
	return s
}

// TestTheVolumesAreReadLast, where they are used, and only where it was asked for.
func TestTheVolumesAreReadLast(t *testing.T) {
	s := withVolume(t)
	o := s.observer()
	if seen := o.Observe(t.Context(), s.promised); seen.Full || len(seen.Volumes) != 0 || s.cluster.ran.Reader != nil {
		t.Errorf("the volumes were read: %+v", s.cluster.ran)
	}
	s.cluster.asked = nil
	o.Full = true
	seen := o.Observe(t.Context(), s.promised)
	read := s.cluster.ran
	if read.Reader == nil || read.Reader.Claim != "data-db1-mariadb-0" || read.Reader.Nonce != seen.Nonce || *read.Reader.Security.RunAsUser != 101 || read.Namespace != "shop" || len(read.Environment) != 0 {
		t.Fatalf("ran last: %+v", read)
	}
	if diff := cmp.Diff([]string{"node-2"}, read.Nodes); diff != "" {
		t.Error(diff)
	}
	if v := seen.Volumes["data-db1-mariadb-0"]; !seen.Full || len(seen.Volumes) != 1 || v.Why() != "" || len(v.Value) == 0 {
		t.Errorf("got %+v", seen.Volumes)
	}
	if last := s.cluster.asked[len(s.cluster.asked)-1]; last != "run confidb-reader" {
		t.Errorf("the reader would be seen as a thief: %q", s.cluster.asked)
	}
}

func TestVolumesThatCannotBeRead(t *testing.T) {
	for name, change := range map[string]func(*scene){
		"no pods":   func(s *scene) { s.cluster.pods = errAway },
		"no record": func(s *scene) { s.promised.Installed.Objects = nil },
		"no reader": func(s *scene) { s.cluster.run = errAway },
	} {
		s := withVolume(t)
		change(s)
		o := s.observer()
		o.Full = true
		seen := o.Observe(t.Context(), s.promised)
		for claim, v := range seen.Volumes {
			if v.Why() == "" {
				t.Errorf("%s: %s was read", name, claim)
			}
		}
		if !seen.Full {
			t.Errorf("%s: it is not said that the volumes were to be read", name)
		}
	}
}
