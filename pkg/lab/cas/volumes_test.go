package cas_test

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/lab/enclave"
	"github.com/confidb/confidb/pkg/lab/volume"
)

// images are an image i with volumes, and the declarations of those that are named;
// v, if none is.
func images(volumes string, names ...string) string {
	if names == nil {
		names = []string{"v"}
	}
	var declared []string
	for _, name := range names {
		declared = append(declared, "{name: "+name+", files: encrypted}")
	}
	return "volumes: [" + strings.Join(declared, ", ") + "]\nimages:\n  - {name: i, volumes: [" + volumes + "]}\n"
}

// withVolumes is a session whose service s has the image i.
func withVolumes(name, more string) string {
	return strings.Replace(document(name, more), "- name: s", "- name: s\n    image_name: i", 1)
}

const threeVolumes = "{name: v, path: /data}, {name: w, path: /log, update_policy: no_rollback_protection}, {name: x, path: /tmp/x, update_policy: ephemeral}"

func opens(epoch uint64) enclave.Use { return enclave.Use{Volume: "v", Epoch: epoch} }

func closes(epoch uint64, tag byte) enclave.Use {
	return enclave.Use{Volume: "v", Epoch: epoch, Tag: bytes.Repeat([]byte{tag}, volume.TagSize)}
}

func saying(configID string, uses ...enclave.Use) program {
	p := honest(configID)
	p.uses = uses
	return p
}

func TestVolumes(t *testing.T) {
	l := newLab(t).start(t)
	owner := newUser(t, "owner")
	text := withVolumes("app", images(threeVolumes, "v", "w", "x", "unused")+"access_policy: {read: [ANY]}\n")
	hash := l.upload(t, owner, text)
	first := l.configures(t, honest("app/s")).Volumes
	if len(first) != 3 {
		t.Fatalf("got %d volumes", len(first))
	}
	seen := map[string]bool{}
	for i, want := range []enclave.Volume{
		{Name: "v", Path: "/data", Known: volume.Known{Policy: volume.RollbackProtected}},
		{Name: "w", Path: "/log", Known: volume.Known{Policy: volume.NoRollback}},
		{Name: "x", Path: "/tmp/x", Known: volume.Known{Policy: volume.Ephemeral}},
	} {
		if len(first[i].Key) != volume.KeySize || seen[string(first[i].Key)] {
			t.Errorf("%s: a key of %d bytes, or one that another has", want.Name, len(first[i].Key))
		}
		seen[string(first[i].Key)] = true
		want.Key = first[i].Key
		if diff := cmp.Diff(want, first[i]); diff != "" {
			t.Error(diff)
		}
	}
	same := func(what string, wanted volume.Known) {
		t.Helper()
		now := l.configures(t, honest("app/s")).Volumes
		if diff := cmp.Diff(wanted, now[0].Known); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		if !bytes.Equal(now[0].Key, first[0].Key) || !bytes.Equal(now[1].Key, first[1].Key) {
			t.Errorf("%s: another key", what)
		}
		if bytes.Equal(now[2].Key, first[2].Key) {
			t.Errorf("%s: an ephemeral volume has the key of the time before", what)
		}
	}
	known := volume.Known{Policy: volume.RollbackProtected}
	same("asked again", known)
	confirmed := l.configures(t, saying("app/s", opens(1))).Volumes
	known.Epoch, known.Open = 1, true
	if diff := cmp.Diff(known, confirmed[0].Known); diff != "" || !bytes.Equal(confirmed[0].Key, first[0].Key) {
		t.Error(diff)
	}
	same("in use", known)
	l.configures(t, saying("app/s", opens(2))) // the user before was killed
	l.configures(t, saying("app/s", closes(2, 9)))
	known = volume.Known{Policy: volume.RollbackProtected, Epoch: 2, Tag: bytes.Repeat([]byte{9}, volume.TagSize)}
	same("closed", known)

	hash = l.upload(t, owner, successor(text+"secrets: [{name: p, kind: ascii}]\n", hash))
	same("after an update", known)
	hash = l.upload(t, owner, successor(document("app", "access_policy: {read: [ANY]}"), hash))
	l.upload(t, owner, successor(text, hash))
	same("after it was gone from the session", known)
	l.stop()
	l.start(t)
	same("after a restart of CAS", known)

	hidden(t, l, first)
}

// hidden wants no key of a volume in what CAS tells users, logs or stores.
func hidden(t *testing.T, l *lab, volumes []enclave.Volume) {
	t.Helper()
	said := l.log.String()
	for _, path := range []string{"/v1/sessions/app", "/v1/values/session=app", "/v1/values/session=app,secret=v"} {
		_, body := l.request(t, tls.Certificate{}, "GET", path, "")
		said += body
	}
	stored, err := os.ReadFile(filepath.Join(l.store, "cas.store"))
	if err != nil {
		t.Fatal(err)
	}
	said += string(stored)
	for _, v := range volumes {
		if strings.Contains(said, string(v.Key)) || strings.Contains(strings.ToLower(said), hex.EncodeToString(v.Key)) {
			t.Errorf("the key of %s is shown", v.Name)
		}
	}
}

// Another session with a volume of the same name has another volume.
func TestVolumesBelongToASession(t *testing.T) {
	l := newLab(t).start(t)
	owner := newUser(t, "owner")
	keys := map[string]bool{}
	for _, name := range []string{"app", "app2", "app/s"} {
		l.upload(t, owner, withVolumes(name, images("{name: v, path: /data}")))
		keys[string(l.configures(t, honest(name+"/s")).Volumes[0].Key)] = true
	}
	if len(keys) != 3 {
		t.Errorf("got %d keys for 3 volumes", len(keys))
	}
}

func TestUsesAreRefused(t *testing.T) {
	l := newLab(t).start(t)
	owner := newUser(t, "owner")
	l.upload(t, owner, withVolumes("app", images(threeVolumes, "v", "w", "x")))
	l.configures(t, saying("app/s", opens(1)))
	const newer = "somebody else has opened it since"
	stranger := saying("app/s", opens(2))
	stranger.identity.MRENCLAVE[9]++
	changed := saying("app/s", opens(2))
	changed.forge = func(r *enclave.Request) { r.Uses = []enclave.Use{closes(1, 3)} }
	dropped := saying("app/s", opens(2))
	dropped.forge = func(r *enclave.Request) { r.Uses = nil }
	for name, c := range map[string]struct {
		program
		want string
	}{
		"another program":                {stranger, "Unexpected enclave measurement"},
		"changed on the way":             {changed, "was not made for this request"},
		"dropped on the way":             {dropped, "was not made for this request"},
		"a volume that is not there":     {saying("app/s", enclave.Use{Volume: "y", Epoch: 1}), "no such volume with a tag"},
		"a volume without tag":           {saying("app/s", enclave.Use{Volume: "w", Epoch: 1}), "no such volume with a tag"},
		"an ephemeral volume":            {saying("app/s", enclave.Use{Volume: "x", Epoch: 1}), "no such volume with a tag"},
		"an opening of the past":         {saying("app/s", opens(1)), newer},
		"an opening of the future":       {saying("app/s", opens(3)), newer},
		"a closing of the future":        {saying("app/s", closes(2, 1)), newer},
		"a closing of the past":          {saying("app/s", closes(0, 1)), newer},
		"a tag that is too short":        {saying("app/s", enclave.Use{Volume: "v", Epoch: 1, Tag: []byte{1}}), newer},
		"one that is right, and another": {saying("app/s", opens(2), opens(9)), newer},
		"no such service":                {saying("app/t", opens(2)), "does not exist"},
	} {
		t.Run(name, func(t *testing.T) { l.rejects(t, c.program, c.want) })
	}
	if known := l.configures(t, honest("app/s")).Volumes[0].Known; known.Epoch != 1 || !known.Open || known.Tag != nil {
		t.Errorf("a refused request changed %+v", known)
	}
	l.configures(t, saying("app/s", closes(1, 4)))
	l.rejects(t, saying("app/s", closes(1, 5)), newer)
}
