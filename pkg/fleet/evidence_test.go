package fleet_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/fleet"
)

func TestEvidence(t *testing.T) {
	e, err := fleet.NewEvidence("d=elsewhere", "e=a=b")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.AddFolder("quotes", []string{"a.bin", "b.quote", "c.example.dat"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c.example", "d", "e"}, e.Nodes()); diff != "" {
		t.Error(diff)
	}
	if e["c.example"] != "quotes/c.example.dat" || e["e"] != "a=b" {
		t.Errorf("got %v", e)
	}
	for _, c := range []struct{ argument, want string }{
		{"a", "want NODE=FILE"}, {"=x", "want NODE=FILE"}, {"a=", "want NODE=FILE"}, {"A_B=x", `x: got "A_B", want the name of a node`},
	} {
		if _, err := fleet.NewEvidence(c.argument); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.argument, err, c.want)
		}
	}
	if _, err := fleet.NewEvidence("a=x", "a=y"); err == nil || err.Error() != `node "a" has two files with evidence, x and y; want one` {
		t.Errorf("got %v", err)
	}
	if err := e.AddFolder("more", []string{"d.bin"}); err == nil || !strings.Contains(err.Error(), "elsewhere and more/d.bin") {
		t.Errorf("got %v", err)
	}
}

func TestEvidenceIsRead(t *testing.T) {
	read := func(file string) ([]byte, error) {
		if file == "none" {
			return nil, fs.ErrNotExist
		}
		return []byte("content of " + file), nil
	}
	id := attest.PlatformID{}
	m, err := fleet.Evidence{"a": "x"}.Machine("a", id, read)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fleet.Machine{Node: "a", Origin: "x", Quote: []byte("content of x")}, m, cmp.Comparer(func(a, b attest.PlatformID) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if m, err := (fleet.Evidence{"a": "x"}).Machine("stranger", id, read); err != nil || m.Quote != nil || m.Origin != "" {
		t.Errorf("got %+v and %v", m, err)
	}
	all, err := fleet.Evidence{"b": "y", "a": "x"}.Machines(read)
	if err != nil || len(all) != 2 || all[0].Node != "a" {
		t.Errorf("got %+v and %v", all, err)
	}
	if all, err := (fleet.Evidence{"b": "none", "a": "x"}).Machines(read); !errors.Is(err, fs.ErrNotExist) || all != nil || !strings.HasPrefix(err.Error(), `evidence of node "b": `) {
		t.Errorf("got %+v and %v", all, err)
	}
}

func TestIsQuote(t *testing.T) {
	for name, want := range map[string]bool{"a.bin": true, "a.quote": true, "a.b.dat": true, "notes.txt": false, "bin": false, "a.bin.old": false, "": false} {
		if got := fleet.IsQuote(name); got != want {
			t.Errorf("%q: got %v", name, got)
		}
	}
}
