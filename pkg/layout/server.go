package layout

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

// Server is a service that runs MariaDB, and how.
type Server struct {
	*Set
	session.Service
	// Image is that of the service; the zero value for none.
	Image session.Image
	// Options are those of the command and of the files, by name with underscores.
	Options map[string]string
	// settings are the files of the session that it reads.
	settings settings
	// Configured means that a file of settings is in the session, or the command says
	// that there is none.
	Configured bool
}

// ServerOf is what a service runs if that is MariaDB, perhaps behind a program that starts
// another; nil otherwise.
func (in *Set) ServerOf(s session.Service) *Server {
	if !RunsServer(s) {
		words := strings.Fields(strings.Join(s.Command, " "))
		at := slices.IndexFunc(words, func(word string) bool { return IsServer(word) || startsSafely(word) })
		if at < 0 || at > 0 && !StartsAnother(words[0]) {
			return nil
		}
		s.Command = words[at:]
	}
	return NewServer(in, s)
}

// startsSafely reports whether a program starts the server again when it has ended.
func startsSafely(program string) bool {
	return slices.Contains([]string{"mariadbd-safe", "mysqld_safe"}, path.Base(program))
}

// StartsAnother reports whether a program starts the one that follows in its command.
func StartsAnother(program string) bool {
	return slices.Contains([]string{"sh", "bash", "dash", "ash", "env", "nice", "nohup", "timeout", "tini", "dumb-init", "gosu", "su-exec", "setpriv", "docker-entrypoint.sh"}, path.Base(program))
}

// NewServer reads what a service runs, whose command is that of MariaDB.
func NewServer(in *Set, s session.Service) *Server {
	d := &Server{Set: in, Service: s, Options: map[string]string{}, Image: in.ImageOf(s.ImageName)}
	arguments := CommandOptions(s.Command[1:])
	d.readFiles(arguments)
	for name, value := range arguments {
		d.Options[name] = value
	}
	return d
}

// On reports whether a switch is on: it is there, and not turned off.
func (d *Server) On(name string) bool {
	value, ok := d.Options[name]
	return ok && !slices.Contains([]string{"0", "off", "false", "no"}, strings.ToLower(value))
}

// Listens reports whether others can connect over the network. A server that makes the
// system tables reads SQL from standard input, and one that prints something ends.
func (d *Server) Listens() bool {
	for _, word := range d.Command[1:] {
		if word == "-?" || word == "-V" {
			return false
		}
	}
	return !slices.ContainsFunc([]string{"skip_networking", "bootstrap", "help", "version", "print_defaults"}, d.On)
}

// Ports are those at which the server listens.
func (d *Server) Ports() []string {
	ports := []string{d.Option("port", cmp.Or(d.Environment["MYSQL_TCP_PORT"], "3306"))}
	if extra := d.Option("extra_port", "0"); extra != "0" && extra != "" {
		ports = append(ports, extra)
	}
	return ports
}

// EveryPort reports whether all ports of the server are in one of these states.
func (d *Server) EveryPort(states ...Exposure) bool {
	shield := NewShield(d.Service)
	return !slices.ContainsFunc(d.Ports(), func(port string) bool { return !slices.Contains(states, shield.At(port)) })
}

// VolumeAt is the volume of the image that holds a clean path, or nil.
func (d *Server) VolumeAt(dir string) *session.ImageVolume {
	var best *session.ImageVolume
	for i, v := range d.Image.Volumes {
		mount := path.Clean(v.Path)
		if (dir == mount || mount == "/" || strings.HasPrefix(dir, mount+"/")) && (best == nil || len(mount) > len(path.Clean(best.Path))) {
			best = &d.Image.Volumes[i]
		}
	}
	return best
}

// RunsServer reports whether a service is the server by its own name.
func RunsServer(v session.Service) bool { return len(v.Command) > 0 && IsServer(v.Command[0]) }

// IsServer reports whether a program is the server by its own name.
func IsServer(program string) bool {
	return slices.Contains([]string{"mariadbd", "mysqld"}, path.Base(program))
}

// Option is the value of an option.
func (d *Server) Option(name, otherwise string) string {
	if value, ok := d.Options[name]; ok {
		return value
	}
	return otherwise
}
