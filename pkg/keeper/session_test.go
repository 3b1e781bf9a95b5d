package keeper

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/topology"
)

// opened are the files of a session of which it is noted which were read.
type opened struct {
	fs.FS
	names map[string]bool
}

// Open notes the name.
func (o opened) Open(name string) (fs.File, error) {
	o.names[name] = true
	return o.FS.Open(name)
}

var errEnough = errors.New("it would listen now")

// What the sessions give to each program is what it reads: all of it, and nothing more.
func TestSessionsGiveWhatProgramsRead(t *testing.T) {
	c, err := mariadbtest.StartReplicated(0)
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]string{}
	for _, one := range []struct {
		name   string
		server bool
	}{{"server_1", true}, {"front", true}, {"admin_ca", true}, {"admin", true}, {"peer", false}, {"backend", false}, {"operate", false}, {"seed", false}} {
		issue := c.Client
		if one.server {
			issue = func(name string) (tls.Certificate, error) { return c.CA.Server(name, name) }
		}
		pair, err := issue("confidb-" + one.name)
		if err != nil {
			t.Fatal(err)
		}
		certificate, key, err := mariadbtest.PEM(pair)
		if err != nil {
			t.Fatal(err)
		}
		of := "$$SCONE::" + one.name
		given[of+":crt$$"], given[of+":privatekey:pem$$"], given[of+"_key:pem$$"] = string(certificate), string(key), string(key)
	}
	at := c.Release.AllInstances(topology.Database)[1]
	folder := t.TempDir()
	for _, of := range []struct {
		role          topology.Role
		service, name string
		run           func(*program) error
	}{
		{topology.Database, at.ServiceOf("gate"), "gate", func(p *program) error { return ignored(p.gateHere()) }},
		{topology.Database, at.ServiceOf("leave"), "leave", func(p *program) error { return p.leave(t.Context()) }},
		{topology.Database, at.ServiceOf("seed"), "seed", func(p *program) error { return p.seed(t.Context()) }},
		{topology.Database, at.ServiceOf("watch"), "watch", func(p *program) error { return p.watch(t.Context()) }},
		{topology.MaxScale, topology.ServiceKeeper, "keeper", func(p *program) error { return p.keeper(t.Context()) }},
		{topology.MaxScale, topology.ServicePrepare, "prepare", func(p *program) error { return p.prepare(t.Context()) }},
		{topology.Client, "operate", "operate", func(p *program) error { return p.operate(t.Context()) }},
	} {
		files, command, err := c.Files(of.role, of.service, given)
		if err != nil {
			t.Fatal(err)
		}
		injectedFiles, want := fstest.MapFS{}, map[string]bool{}
		for path, content := range files {
			name := strings.TrimPrefix(path, Injected)
			injectedFiles[name], want[name] = &fstest.MapFile{Data: []byte(content)}, true
		}
		if command[0] != "confidb-probe" || command[1] != of.name || !Is(command[1]) {
			t.Errorf("%s runs %q", of.service, command)
		}
		read := map[string]bool{}
		var out bytes.Buffer
		p := &program{files: injected{files: opened{injectedFiles, read}}, getenv: func(name string) string { return map[string]string{"CONFIDB_DATABASES": "3"}[name] }, data: folder + "/none",
			listen: func(string) (net.Listener, error) { return nil, errEnough }, wait: func(context.Context, time.Duration) error { return errEnough }, stdout: &out, stderr: &out, arguments: moved(command[2:], folder),
			reach: func(Cluster, tls.Certificate) []keeperAt { return nil }}
		p.now = time.Now
		if err := of.run(p); p.files.err != nil || of.name != "prepare" && err == nil || of.name == "prepare" && err != nil {
			t.Errorf("%s: got %v, %v", of.name, err, p.files.err)
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(read))); diff != "" {
			t.Errorf("%s (-given +read):\n%s", of.name, diff)
		}
	}
	for _, name := range []string{"data/passwd", "made.crt"} {
		if content, err := os.ReadFile(filepath.Join(folder, name)); err != nil || len(content) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func ignored(_ *gate, err error) error { return err }

// moved are arguments with the folder of MaxScale at another place.
func moved(arguments []string, folder string) []string {
	var all []string
	for _, a := range arguments {
		all = append(all, strings.Replace(a, "/var/lib/confidb-maxscale", folder, 1))
	}
	return all
}
