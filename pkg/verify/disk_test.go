package verify_test

import (
	"crypto/sha512"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/atrest"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/verify"
)

// clearSpace are samples of an InnoDB tablespace in clear.
var clearSpace = strings.Repeat("0", 24*2) + "0008" + strings.Repeat("0", 8*2) + "0000000700000007" + strings.Repeat("0", 12*2) + "00000015" + strings.Repeat("0", 6*2) + " 0000000000000003" + strings.Repeat("0", 56*2)

// secret is a file of cipher text in the reader's words.
func secret(n int) string {
	sum := sha512.Sum512(fmt.Append(nil, n))
	return fmt.Sprintf("v:objects/%d %x", n, sum)
}

// onDisk has the reader see these files on the volume.
func (s *scene) onDisk(t *testing.T, files ...string) {
	t.Helper()
	output, err := exec.Command("sh", "-c", atrest.Script(), "reader", filepath.Join(t.TempDir(), "control"), t.TempDir(), s.seen.Nonce).Output()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.TrimSuffix(string(output), "end ") + strings.Join(append(files, "end "), " ")
	s.seen.Full, s.seen.Volumes = true, map[string]evidence.Fetched[[]byte]{"data-db1": evidence.Got([]byte(text), nil)}
}

func TestOnDisk(t *testing.T) {
	bare := func(t *testing.T, s *scene) {
		s.promise("update_policy: rollback_protected", "update_policy: no_rollback_protection")
		s.promised.Trust.Deviations = []attest.Deviation{attest.UnprotectedVolume}
	}
	definition := "v:app/t.frm fe010a0c"
	encrypted := "v:app/s.ibd " + strings.Replace(clearSpace, " 00000000", " 00000001", 1)
	for name, c := range map[string]struct {
		change  func(*testing.T, *scene)
		want    check.Outcome
		mention string
	}{
		"cipher text":             {func(t *testing.T, s *scene) { s.onDisk(t, secret(1), secret(2)) }, check.Pass, "2 files on 1 volumes"},
		"the host's word":         {func(t *testing.T, s *scene) {}, check.Pass, "sees what the host lets it see"},
		"a tablespace in clear":   {func(t *testing.T, s *scene) { s.onDisk(t, secret(1), "v:app/t.ibd "+clearSpace) }, check.Fail, "data-db1/app/t.ibd (tablespace of InnoDB in clear"},
		"an encrypted tablespace": {func(t *testing.T, s *scene) { s.onDisk(t, encrypted) }, check.Fail, "data-db1/app/s.ibd"},
		"a definition":            {func(t *testing.T, s *scene) { s.onDisk(t, definition) }, check.Fail, "app/t.frm"},
		"a text":                  {func(t *testing.T, s *scene) { s.onDisk(t, fmt.Sprintf("v:x %x", strings.Repeat("secret. ", 8))) }, check.Skip, "neither cipher text"},
		"an unreadable file":      {func(t *testing.T, s *scene) { s.onDisk(t, "v:x u") }, check.Skip, "data-db1/x"},
		"a foreign name":          {func(t *testing.T, s *scene) { s.onDisk(t, "vx: 1b5b33316d0a .  u") }, check.Skip, ""},
		"no file":                 {func(t *testing.T, s *scene) { s.onDisk(t) }, check.Skip, "no file"},
		"no reader":               {func(_ *testing.T, s *scene) { s.seen.Volumes["data-db1"] = evidence.Missing[[]byte]("forbidden") }, check.Skip, "data-db1: forbidden"},
		"another volume": {func(_ *testing.T, s *scene) {
			s.seen.Volumes["data-db2"] = s.seen.Volumes["data-db1"]
			delete(s.seen.Volumes, "data-db1")
		}, check.Skip, "nobody asked"},
		"another run": {func(t *testing.T, s *scene) {
			kept := s.seen.Nonce
			s.seen.Nonce = "x"
			s.onDisk(t, secret(1))
			s.seen.Nonce = kept
		}, check.Skip, "control"},
		"a cut listing": {func(_ *testing.T, s *scene) {
			v := s.seen.Volumes["data-db1"]
			v.Value = v.Value[:300]
			s.seen.Volumes["data-db1"] = v
		}, check.Skip, "not whole"},
		"a pod elsewhere":                 {func(_ *testing.T, s *scene) { s.seen.Pods.Value[0].Spec.NodeName = "" }, check.Skip, "no pod"},
		"no pods":                         {func(_ *testing.T, s *scene) { s.seen.Pods = evidence.Missing[[]evidence.Pod]("away") }, check.Skip, "away"},
		"no record":                       {func(_ *testing.T, s *scene) { s.promised.Installed.Objects = nil }, check.Skip, "record"},
		"without a volume of the session": {func(t *testing.T, s *scene) { bare(t, s); s.onDisk(t, encrypted, definition) }, check.Pass, "1 files are of kinds that MariaDB never encrypts"},
		"without, and in clear":           {func(t *testing.T, s *scene) { bare(t, s); s.onDisk(t, encrypted, "v:app/t.ibd "+clearSpace) }, check.Fail, "data-db1/app/t.ibd"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			c.change(t, s)
			r := verify.Appraise(s.promised, s.memory, s.seen)
			f, _ := r.Findings.Find("disk-01")
			if f.Outcome != c.want || !strings.Contains(f.Reason, c.mention) || strings.ContainsAny(f.Reason, "\x1b\n") {
				t.Errorf("got %+v, want %s that mentions %q", f, c.want, c.mention)
			}
			if f.Outcome != check.Pass && (f.Hint == "" || r.Findings.Verdict().Accepted()) {
				t.Errorf("got %+v, verdict %s", f, r.Findings.Verdict())
			}
		})
	}
}

// TestTheStandardLevel does not look at volumes, and does not say that it did.
func TestTheStandardLevel(t *testing.T) {
	s := newScene(t)
	s.seen.Full = false
	r := verify.Appraise(s.promised, s.memory, s.seen)
	if f, ok := r.Findings.Find("disk-01"); ok || r.Findings.Verdict() != check.Affirming {
		t.Errorf("got %+v, verdict %s", f, r.Findings.Verdict())
	}
}
