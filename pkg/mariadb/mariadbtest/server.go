// Package mariadbtest starts a real mariadbd for tests, set up as the project's
// session sets one up, with a CA of its own. It is imported by tests only.
package mariadbtest

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/confidb/confidb/internal/loopback"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/topology"
)

const (
	startTimeout = 30 * time.Second
	// Account and Password are the asker's; the database demands Subject and Issuer of its certificate.
	Account  = "confidb_verify"
	Password = "5d41402abc4b2a76b9719d911017c592"
	Subject  = "/CN=confidb-verify"
	// StartSecret is the session's, for the mark of a start.
	StartSecret = "0e4d8a3f3b1c4f6d9a2b7c5e1f0a8d6b"
	Issuer      = "/CN=confidb-ca"
	// ServerName is in the server's certificate.
	ServerName = "db-mariadb.default.svc"
)

// Server is a running mariadbd on loopback.
type Server struct {
	Address string
	// Outside is a directory that is not the server's data directory, and where it may write.
	Outside string
	// KeyDirectory holds the key file, with a trailing slash.
	KeyDirectory string
	CA           *Authority
	Verify       tls.Certificate // the asker's
	// Promise is what the session promises, and Passwords those that the asker knows of it.
	Promise   *promise.Promise
	Passwords map[string]string
	// Hash is what the server keeps of Password. No finding may hold it.
	Hash string
	// Admin has every privilege. Its account is dropped: the connection is all that is left
	// of it, and looks like one of the application's.
	Admin *mysql.Conn

	directory string
	owner     *syscall.SysProcAttr // nil until the files are its
	initial   []string
	command   []string
	files     map[string]string
	secrets   map[string]string // by placeholder
	process   *process
	port      *loopback.Port
	log       *bytes.Buffer
}

// Start initialises and starts a server. It takes about two seconds.
func Start() (*Server, error) { return startOn(loopback.Hold) }

// startOn starts a server on a port that hold takes, and on another one if somebody else
// listens there, as a program may that is no test.
func startOn(hold func() (*loopback.Port, error)) (*Server, error) {
	for again := 2; ; again-- {
		s, err := startNew(hold)
		if err == nil || again == 0 || !taken(err) {
			return s, err
		}
	}
}

// taken reports whether a server did not start because somebody else has its address.
func taken(err error) bool {
	return errors.Is(err, errElsewhere) || strings.Contains(err.Error(), "Address already in use")
}

func startNew(hold func() (*loopback.Port, error)) (*Server, error) {
	authority, err := NewAuthority("confidb-ca")
	if err != nil {
		return nil, fmt.Errorf("starting mariadbd: %w", err)
	}
	directory, err := os.MkdirTemp(inMemory(), "mariadbtest")
	if err != nil {
		return nil, fmt.Errorf("starting mariadbd: %w", err)
	}
	s := &Server{CA: authority, directory: directory, KeyDirectory: directory + "/enclave/", Outside: directory + "/tmp", log: new(bytes.Buffer)}
	if err := s.start(hold); err != nil {
		return nil, fmt.Errorf("starting mariadbd: %w; its log: %s", errors.Join(err, s.Stop()), s.log)
	}
	return s, nil
}

// inMemory is a folder in memory, which makes a start four times as fast, or none where
// there is little room.
func inMemory() string {
	const folder, enough = "/dev/shm", 4 << 30
	var of syscall.Statfs_t
	if err := syscall.Statfs(folder, &of); err != nil || of.Bavail*uint64(of.Bsize) < enough {
		return ""
	}
	return folder
}

func (s *Server) start(hold func() (*loopback.Port, error)) (err error) {
	if s.Verify, err = s.CA.Client("confidb-verify"); err != nil {
		return err
	}
	if s.port, err = hold(); err != nil {
		return err
	}
	s.Address = s.port.Address()
	if err := s.writeFiles(); err != nil {
		return err
	}
	return s.initialise()
}

// initialise makes the database, and starts the server.
func (s *Server) initialise() error {
	install := exec.Command(s.initial[0], s.initial[1:]...)
	install.SysProcAttr, install.Dir = s.owner, s.directory
	if output, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("initialising: %w: %s", err, output)
	}
	if err := os.Rename(s.path("new"), s.path("data")); err != nil {
		return fmt.Errorf("initialising: %w", err)
	}
	return s.run()
}

// process is a server that runs, or has ended.
type process struct {
	*os.Process
	ended chan struct{} // closed then
	err   error         // of how it ended
}

// begin starts the program of a service.
func (s *Server) begin(output io.Writer) (*process, error) {
	command := s.Program(s.command[0], s.command[1:]...)
	command.Stdout, command.Stderr = output, output
	if err := command.Start(); err != nil {
		return nil, err
	}
	p := &process{Process: command.Process, ended: make(chan struct{})}
	go func() {
		p.err = command.Wait()
		close(p.ended)
	}()
	return p, nil
}

// end sends a signal, and waits.
func (p *process) end(how syscall.Signal) error {
	if err := p.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	return p.err
}

// run starts the program, and connects the administrator.
func (s *Server) run() (err error) {
	if s.process, err = s.begin(s.log); err != nil {
		return err
	}
	return s.connectAdmin()
}

// Restart stops the server as a user would, and starts it again with further lines in its
// configuration, which are not of the session. The next Restart leaves them out again.
func (s *Server) Restart(lines ...string) error {
	if err := s.Shut(); err != nil {
		return err
	}
	if err := os.WriteFile(s.path("enclave/my.cnf"), []byte(s.files[s.path("enclave/my.cnf")]+strings.Join(append(lines, ""), "\n")), 0o600); err != nil {
		return fmt.Errorf("configuring mariadbd: %w", err)
	}
	if err := s.run(); err != nil {
		return fmt.Errorf("starting mariadbd again: %w; its log: %s", err, s.log)
	}
	return nil
}

// Stop ends the server and removes its files.
func (s *Server) Stop() error {
	if s.Admin != nil {
		s.Admin.Close()
	}
	if s.process != nil {
		s.process.end(syscall.SIGKILL) // says only that it was killed
	}
	err := os.RemoveAll(s.directory)
	if s.port != nil {
		err = errors.Join(err, s.port.Release())
		s.port = nil
	}
	return err
}

// Exec runs a statement as the administrator.
func (s *Server) Exec(statement string) error {
	_, err := s.Admin.Query(context.Background(), statement)
	return err
}

func (s *Server) path(name string) string { return filepath.Join(s.directory, name) }

func (s *Server) connectAdmin() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	roots := x509.NewCertPool()
	roots.AddCert(s.CA.Certificate)
	login := mysql.Login{Address: s.Address, Account: "confidb_app", Password: Password,
		TLS: &tls.Config{RootCAs: roots, ServerName: ServerName}}
	for {
		conn, attempt := mysql.Connect(ctx, login)
		if conn != nil {
			s.Admin = conn
			if err := s.isOurs(ctx); err != nil {
				return err
			}
			return s.forgetAdmin()
		}
		patience, failed := 20*time.Millisecond, error(nil)
		if attempt.Stage != mysql.Reaching {
			// Somebody else's server refuses us; then ours says that the address is in use.
			patience, failed = 5*time.Second, attempt.Err
		}
		select {
		case <-s.process.ended:
			s.process = nil
			return errEnded
		case <-time.After(patience):
		case <-ctx.Done():
			return attempt.Err
		}
		if failed != nil {
			return failed
		}
	}
}

// forgetAdmin drops the administrator's account, and leaves no trace in the binary log: a
// replica with a transaction of its own follows nobody.
func (s *Server) forgetAdmin() error {
	for _, statement := range []string{"SET SESSION sql_log_bin=0", "DROP USER confidb_app@127.0.0.1", "SET SESSION sql_log_bin=1"} {
		if err := s.Exec(statement); err != nil {
			return err
		}
	}
	return nil
}

// isOurs returns an error unless the server that the administrator is connected to has the
// files of this one.
func (s *Server) isOurs(ctx context.Context) error {
	result, err := s.Admin.Query(ctx, "SELECT @@datadir")
	if err != nil {
		return err
	}
	if len(result.Values) != 1 || result.Values[0][0].Text != s.path("data")+"/" {
		return errElsewhere
	}
	return nil
}

var (
	// errEnded means that a server did not serve; its log says why.
	errEnded = errors.New("it has ended")
	// errElsewhere means that somebody else's server answered.
	errElsewhere = errors.New("another server has its address")
)

// admin makes the account that connects the administrator. It is no part of the session.
const admin = `CREATE OR REPLACE USER 'confidb_app'@'127.0.0.1' IDENTIFIED BY '` + Password + `';
GRANT ALL ON *.* TO 'confidb_app'@'127.0.0.1' WITH GRANT OPTION;
GRANT PROXY ON ''@'%' TO 'confidb_app'@'127.0.0.1' WITH GRANT OPTION;
`

// writeFiles writes what CAS would inject, and says as whom to run.
func (s *Server) writeFiles() (err error) {
	if s.secrets, err = s.known(); err != nil {
		return err
	}
	once := sha1.Sum([]byte(Password))
	s.Hash = fmt.Sprintf("*%X", sha1.Sum(once[:]))
	for _, name := range []string{"tmp", "new"} {
		if err := os.Mkdir(s.path(name), 0o700); err != nil {
			return err
		}
	}
	if err := s.inject(topology.Applications{}); err != nil {
		return err
	}
	s.owner, err = s.giveAway()
	return err
}

// inject writes the files of the sessions of a database with some applications.
func (s *Server) inject(a topology.Applications) error {
	_, port, _ := net.SplitHostPort(s.Address)
	made, err := configure(s.directory, port, s.secrets, a)
	if err != nil {
		return err
	}
	s.initial, s.command, s.files, s.Promise = made.initial, made.command, made.files, made.promise
	s.Passwords = map[string]string{}
	for placeholder, value := range s.secrets {
		if strings.HasSuffix(placeholder, "_password:hex$$") {
			s.Passwords[strings.Trim(placeholder, "$")] = value
		}
	}
	return s.write()
}

// write writes the files that the session injects, and the statements that make the
// administrator's account.
func (s *Server) write() error {
	s.files[s.path("enclave/accounts.sql")] += admin
	for name, content := range s.files {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			return err
		}
		if err := s.Own(name); err != nil {
			return err
		}
	}
	return nil
}

// Give starts the server again with other applications, as a change of its session does.
func (s *Server) Give(a topology.Applications) error {
	if err := s.inject(a); err != nil {
		return err
	}
	return s.Restart()
}

// known are the secrets that are no random numbers.
func (s *Server) known() (map[string]string, error) {
	server, err := s.CA.Server("db-mariadb", ServerName, "localhost")
	if err != nil {
		return nil, err
	}
	certificate, key, err := PEM(server)
	if err != nil {
		return nil, err
	}
	return map[string]string{"$$SCONE::start_secret:hex$$": StartSecret, "$$SCONE::verify_password:hex$$": Password, "$$SCONE::app_password:hex$$": Password, "$$SCONE::ca:crt$$": string(s.CA.PEM()),
		"$$SCONE::server:crt$$": string(certificate), "$$SCONE::server:privatekey:pem$$": string(key)}, nil
}

// giveAway makes the directory mysql's if we are root: mariadbd refuses to run as root.
func (s *Server) giveAway() (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return &syscall.SysProcAttr{}, nil
	}
	owner, err := user.Lookup("mysql")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(owner.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(owner.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(s.directory, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, int(uid), int(gid)))
	})
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, err
}
