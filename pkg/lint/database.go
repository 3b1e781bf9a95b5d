package lint

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/layout"
	"github.com/confidb/confidb/pkg/session"
)

// server is a service that runs MariaDB, and how.
type server struct{ *layout.Server }

// of makes what is asked of a server a question of the rules.
//
//go:noinline
func of(ask func(*layout.Server) string) func(*server) string {
	return func(d *server) string { return ask(d.Server) }
}

// eachServer applies got to the services that run MariaDB; empty means no problem.
//
//go:noinline
func eachServer(got func(*server) string) finder {
	return func(in *input) []hit {
		var hits []hit
		for i, s := range in.Services {
			d := in.ServerOf(s)
			if d == nil {
				continue
			}
			if text := got(&server{d}); text != "" {
				hits = append(hits, hit{path: service(i), got: "service " + s.Name + ": " + text})
			}
		}
		return hits
	}
}

// directory is the value of an option, and the volume of the image that holds it.
func (d *server) directory(option, otherwise string) (string, *session.ImageVolume) {
	dir := d.Options[option]
	if dir == "" {
		dir = otherwise
	}
	dir = path.Clean(dir)
	return dir, d.VolumeAt(dir)
}

// encrypted reports whether others cannot read a volume, as far as the session says.
func (d *server) encrypted(volume string) bool {
	return slices.ContainsFunc(d.Volumes, func(v session.Volume) bool { return v.Name == volume && v.Files != "authenticated-only" })
}

func unprotectedData(d *server) string {
	dir, v := d.directory("datadir", "/var/lib/mysql")
	switch {
	case d.FSPFPath != "" || v != nil && v.UpdatePolicy != "ephemeral" && v.UpdatePolicy != unprotected:
		return ""
	case v != nil:
		return fmt.Sprintf("datadir %s on volume %s with %s", dir, v.Name, v.UpdatePolicy)
	}
	if d.On("innodb_encrypt_tables") {
		return fmt.Sprintf("datadir %s on no volume; MariaDB encrypts tables of InnoDB, and leaves %s in clear", dir, strings.Join(d.leftClear(), ", "))
	}
	return fmt.Sprintf("datadir %s on no volume", dir)
}

// leftClear are the files that MariaDB's own encryption leaves out.
func (d *server) leftClear() []string {
	clear := []string{"master.info", "table definitions"}
	for _, one := range [][2]string{{"innodb_encrypt_log", "the redo log"}, {"encrypt_binlog", "binary logs"}, {"aria_encrypt_tables", "tables of Aria"}, {"encrypt_tmp_disk_tables", "temporary tables on disk"}, {"innodb_encrypt_temporary_tables", "temporary tables of InnoDB"}, {"encrypt_tmp_files", "temporary files"}} {
		if !d.On(one[0]) {
			clear = append(clear, one[1])
		}
	}
	return clear
}

func unprotectedTemporaries(d *server) string {
	dir, v := d.directory("tmpdir", "/tmp")
	if d.FSPFPath != "" || v != nil && d.encrypted(v.Name) || dir == "/dev/shm" || strings.HasPrefix(dir, "/dev/shm/") {
		return ""
	}
	return fmt.Sprintf("tmpdir %s", dir)
}

func plainConnections(d *server) string {
	if !d.Configured || !d.Listens() || d.On("require_secure_transport") || d.EveryPort(layout.Guarded, layout.Anonymous, layout.Refused) {
		return ""
	}
	return "no require_secure_transport"
}

func grantsEverything(d *server) string {
	if !d.On("skip_grant_tables") || !d.Listens() {
		return ""
	}
	return "skip_grant_tables without skip_networking"
}
