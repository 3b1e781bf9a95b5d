package mariadbtest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/confidb/confidb/internal/loopback"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// Near is a name of this machine that is in the certificate of each server of a cluster
// beside its own. In small letters the library would take it for a socket.
const Near = "LOCALHOST"

// Several are servers that run as our sessions of several databases say.
type Several struct {
	Release  *topology.Release
	CA       *Authority
	Servers  []*Server
	run      string // the service that each runs by
	sessions map[topology.Role]*session.Session
	secrets  map[string]string // of all
}

// StartReplicated makes and starts the first of the databases of a cluster, by the service
// `cold` of each. None of them is the primary yet.
func StartReplicated(count int) (*Several, error) {
	return start(topology.Plan{Architecture: topology.Replicated, Databases: max(count, 3)}, topology.ServiceCold, count)
}

// StartMasked is the same with rules by which MaxScale masks.
func StartMasked(count int, rules string) (*Several, error) {
	return start(topology.Plan{Architecture: topology.Replicated, Applications: topology.Applications{Masking: rules}}, "cold", count)
}

// StartSharded makes and starts databases that know nothing of each other, for applications.
func StartSharded(count int, applications topology.Applications) (*Several, error) {
	return start(topology.Plan{Architecture: topology.Sharded, Databases: count, Applications: applications}, topology.ServiceDatabase, count)
}

func start(plan topology.Plan, run string, count int) (*Several, error) {
	c := &Several{sessions: map[topology.Role]*session.Session{}, secrets: map[string]string{}, run: run}
	if err := c.prepare(plan); err != nil {
		return nil, err
	}
	all := c.Release.AllInstances(topology.Database)[:count]
	c.Servers = make([]*Server, count)
	failed := make([]error, count)
	var starting sync.WaitGroup
	for at, i := range all {
		server, err := c.newServer(i)
		if err != nil {
			return nil, errors.Join(err, c.Stop())
		}
		c.Servers[at] = server
		starting.Go(func() {
			if err := server.initialise(); err != nil {
				failed[at] = fmt.Errorf("starting %s: %w; its log: %s", i.Name, err, server.log)
			}
		})
	}
	starting.Wait()
	if err := errors.Join(failed...); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// Stop ends all servers and removes their files.
func (c *Several) Stop() error {
	var all []error
	for _, s := range c.Servers {
		if s != nil {
			all = append(all, s.Stop())
		}
	}
	return errors.Join(all...)
}

// Session is that of a role, without secrets.
func (c *Several) Session(role topology.Role) *session.Session { return c.sessions[role] }

// Client is a certificate of the cluster's CA, for who connects.
func (c *Several) Client(commonName string) (tls.Certificate, error) {
	return c.CA.Client(commonName)
}

// Password is the value of a secret that consists of random numbers.
func (c *Several) Password(name string) string { return c.secrets["$$SCONE::"+name+":hex$$"] }

// prepare makes the sessions, and the secrets of all servers.
func (c *Several) prepare(plan topology.Plan) (err error) {
	platform, err := attest.ParsePlatformID("INTEL_QE_ID:00112233445566778899aabbccddeeff")
	if err != nil {
		return err
	}
	bootstrap, err := BootstrapSQL()
	if err != nil {
		return err
	}
	plan.Name, plan.Namespace, plan.CASAddress, plan.Platforms, plan.BootstrapSQL = "db", "default", "cas", []attest.PlatformID{platform}, bootstrap
	plan.Enclaves = map[string][]sgx.Measurement{topology.EnclaveServer: {{1}}, topology.EnclaveClient: {{2}}, topology.EnclaveProbe: {{3}}, topology.EnclaveMaxScale: {{4}}}
	c.Release, err = topology.Prepare(plan, nil)
	if err != nil {
		return err
	}
	for _, m := range c.Release.Members {
		if c.sessions[m.Role], err = session.Parse(string(m.Role), []byte(m.Session.Text)); err != nil {
			return err
		}
	}
	if c.CA, err = NewAuthority("confidb-ca"); err != nil {
		return err
	}
	repl, err := c.CA.Client("confidb-repl")
	if err != nil {
		return err
	}
	certificate, key, err := PEM(repl)
	c.secrets["$$SCONE::ca:crt$$"], c.secrets["$$SCONE::repl:crt$$"], c.secrets["$$SCONE::repl_key:pem$$"] = string(c.CA.PEM()), string(certificate), string(key)
	c.secrets["$$SCONE::start_secret:hex$$"] = StartSecret
	return err
}

// newServer has the files of an instance, below a folder of its own.
func (c *Several) newServer(i topology.Instance) (*Server, error) {
	directory, err := os.MkdirTemp(inMemory(), "mariadbtest")
	if err != nil {
		return nil, err
	}
	s := &Server{CA: c.CA, directory: directory, KeyDirectory: directory + "/enclave/", Outside: directory + "/tmp", log: new(bytes.Buffer), secrets: c.secrets, files: map[string]string{}}
	if s.port, err = loopback.Hold(); err != nil {
		return s, err
	}
	s.Address = s.port.Address()
	for _, name := range []string{"tmp", "new"} {
		if err := os.Mkdir(s.path(name), 0o700); err != nil {
			return s, err
		}
	}
	pair, err := c.CA.Server(i.Pod, i.Host, i.Pod, strings.ToLower(Near), ServerName)
	if err != nil {
		return s, err
	}
	certificate, key, err := PEM(pair)
	if err != nil {
		return s, err
	}
	of := fmt.Sprintf("$$SCONE::server_%d", i.Ordinal)
	c.secrets[of+":crt$$"], c.secrets[of+":privatekey:pem$$"] = string(certificate), string(key)
	if err := s.take(c.sessions[topology.Database], i.ServiceOf("init"), i.ServiceOf(c.run)); err != nil {
		return s, err
	}
	if err := s.write(); err != nil {
		return s, err
	}
	s.owner, err = s.giveAway()
	return s, err
}

// take gives a server what a session gives to the service that makes its database, and to
// the one that runs it. Only paths, the port and what makes tests quick are others.
func (s *Server) take(from *session.Session, initial, run string) error {
	_, port, _ := net.SplitHostPort(s.Address)
	const last = "binlog_checksum = CRC32\n"
	moved := strings.NewReplacer("/var/lib/mysql-tmp", s.path("tmp"), "/var/lib/mysql-new", s.directory, "/var/lib/mysql", s.directory, "/run/mysqld", s.directory, "/run/confidb", s.path("enclave"),
		"port = 3306", "port = "+port, last, last+"innodb_buffer_pool_size = 16M\ninnodb_log_file_size = 8M\ninnodb_flush_method = nosync\n")
	for _, one := range from.Services {
		if one.Name != initial && one.Name != run {
			continue
		}
		var command []string
		for _, word := range one.Command {
			command = append(command, moved.Replace(word))
		}
		plain := map[string]string{}
		for _, i := range from.Images {
			for _, f := range i.InjectionFiles {
				if i.Name == one.ImageName {
					plain[moved.Replace(f.Path)] = moved.Replace(*f.Content)
				}
			}
		}
		for path, text := range plain {
			filled, err := session.Expand(text, func(p session.Placeholder) (string, error) { return secret(s.secrets, p.Text) })
			if err != nil {
				return err
			}
			s.files[path] = filled
		}
		if one.Name == initial {
			s.initial = command
			continue
		}
		s.command, s.Promise = command, promise.Read(command, plain)
	}
	if s.initial == nil || s.command == nil {
		return fmt.Errorf("the session lacks the service %s or %s", initial, run)
	}
	return nil
}

// As makes a server run by another service of its instance when it starts again: `db`.
func (c *Several) As(at int, what string) error {
	i := c.Release.AllInstances(topology.Database)[at]
	database := c.sessions[topology.Database]
	for _, one := range database.Services {
		if one.Name != i.ServiceOf(what) {
			continue
		}
		c.Servers[at].command = nil
		for _, word := range one.Command {
			c.Servers[at].command = append(c.Servers[at].command, c.Servers[at].Moved(word))
		}
		return nil
	}
	return fmt.Errorf("the session has no service %s", i.ServiceOf(what))
}

// Moved is a text of a session about paths of a server, as they are in the test.
func (s *Server) Moved(text string) string {
	return strings.ReplaceAll(text, "/run/confidb", s.path("enclave"))
}

// Files are those that a session gives to the image of a service, by path, with the secrets
// filled in. What consists of random numbers is the same for all of the cluster; given are
// the others, by placeholder.
func (c *Several) Files(role topology.Role, service string, given map[string]string) (files map[string]string, command []string, err error) {
	files = map[string]string{}
	from := c.sessions[role]
	for _, one := range from.Services {
		for _, i := range from.Images {
			if one.Name != service || i.Name != one.ImageName {
				continue
			}
			command = one.Command
			for _, f := range i.InjectionFiles {
				if files[f.Path], err = session.Expand(*f.Content, func(p session.Placeholder) (string, error) {
					if value, known := given[p.Text]; known {
						return value, nil
					}
					return secret(c.secrets, p.Text)
				}); err != nil {
					return nil, nil, err
				}
			}
		}
	}
	if command == nil {
		return nil, nil, fmt.Errorf("the session has no service %s", service)
	}
	return files, command, nil
}
