package probe

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
)

const cluster = `{"databases":[{"name":"mariadb-0","pod":"db1-mariadb-0","host":"d0","serverID":1}],"maxScales":[{"name":"maxscale-0","pod":"p","host":"127.0.0.1"}]}`

// What cannot be reached is in the statement all the same, with each MaxScale and each way.
func TestFrontStatement(t *testing.T) {
	files, public := injected(t)
	files["cluster.json"], files["front.password"] = &fstest.MapFile{Data: []byte(cluster)}, &fstest.MapFile{Data: []byte(mariadbtest.Password)}
	r := newRun(files)
	r.ways = "127.0.0.1:1,[::1]:1"
	line, err := r.frontStatement(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	said, err := evidence.VerifyStatement(line, public, nonce, "ns/db")
	if err != nil {
		t.Fatal(err)
	}
	var about []string
	for _, f := range said.Findings {
		if about = append(about, f.ID+" "+f.Subject); f.Outcome != check.Skip && f.Subject != "service" {
			t.Errorf("%+v: nobody is there", f)
		}
	}
	want := []string{"tls-01 maxscale-0", "tls-02 maxscale-0", "tls-03 maxscale-0", "mtls-01 maxscale-0", "mtls-02 maxscale-0", "tls-05 maxscale-0", "hap-01 service", "hap-01 127.0.0.1:1", "hap-01 [::1]:1"}
	if !slices.Equal(about, want) {
		t.Errorf("got %q, want %q", about, want)
	}
}

// The host says where users are led, and nothing else.
func TestPlaces(t *testing.T) {
	for _, text := range []string{"a", "host:3306", "10.0.0.1", "10.0.0.1:99999", "10.0.0.1:1,", "10.0.0.1:1,10.0.0.1:1", "10.0.0.1:1 10.0.0.2:1", strings.Repeat("10.0.0.1:1,", 40)} {
		if got, err := places(text); err == nil {
			t.Errorf("%q: got %q", text, got)
		}
	}
	if got, err := places("10.0.0.1:3306,[fd00::1]:3306"); err != nil || !slices.Equal(got, []string{"10.0.0.1:3306", "[fd00::1]:3306"}) {
		t.Errorf("got %q and %v", got, err)
	}
	if got, err := places(""); err != nil || got != nil {
		t.Errorf("got %q and %v", got, err)
	}
}

func TestFrontNeedsItsFiles(t *testing.T) {
	for name, content := range map[string]string{"no cluster": "", "not JSON": "{", "nobody": `{"databases":[],"maxScales":[]}`, "no MaxScale": `{"databases":[{"name":"a","serverID":1}]}`} {
		files, _ := injected(t)
		files["front.password"] = &fstest.MapFile{Data: []byte("x")}
		if content != "" {
			files["cluster.json"] = &fstest.MapFile{Data: []byte(content)}
		}
		if _, err := newRun(files).frontStatement(t.Context()); err == nil {
			t.Errorf("%s: a statement was made", name)
		}
	}
}
