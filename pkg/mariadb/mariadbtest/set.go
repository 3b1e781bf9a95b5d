package mariadbtest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/confidb/confidb/internal/loopback"
	"github.com/confidb/confidb/pkg/mysql"
)

// The accounts that every member of a set has beside those of a test. Each demands the
// certificate of its own name but the administrator, who shows none.
const (
	SetAdmin       = "lab_admin"
	SetReplication = "repl"
)

// Set are servers with one CA, of which the first is the primary and the others replicate
// from it, as soon as they are told to. They are no servers of a session: they have the
// settings that MaxScale was measured with.
type Set struct {
	CA      *Authority
	Members []*Member

	directory string
	owner     *syscall.SysProcAttr
}

// Member is a server of a set.
type Member struct {
	Name, Address string
	// Admin has every privilege. It is nil while the server is down.
	Admin *mysql.Conn

	set     *Set
	number  int
	port    *loopback.Port
	log     *bytes.Buffer
	process *process
}

// StartSet starts n servers with these statements run in each before its binary log
// begins, so that all have the same accounts and data. It takes about three seconds.
func StartSet(n int, statements ...string) (*Set, error) {
	authority, err := NewAuthority("confidb-ca")
	if err != nil {
		return nil, err
	}
	directory, err := os.MkdirTemp(inMemory(), "mariadbset")
	if err != nil {
		return nil, err
	}
	s := &Set{CA: authority, directory: directory}
	if err := s.start(n, statements); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Set) start(n int, statements []string) error {
	if err := s.install(statements); err != nil {
		return err
	}
	for i := range n {
		if err := s.add(i + 1); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(filepath.Join(s.directory, "first")); err != nil {
		return err
	}
	failed, starting := make([]error, n), sync.WaitGroup{}
	for i, m := range s.Members {
		starting.Go(func() { failed[i] = m.Up() })
	}
	starting.Wait()
	return errors.Join(failed...)
}

// install makes the files of the first database.
func (s *Set) install(statements []string) error {
	system, err := BootstrapSQL()
	if err != nil {
		return err
	}
	data := filepath.Join(s.directory, "first")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	if err := s.authorise(); err != nil {
		return err
	}
	sql := "CREATE DATABASE mysql;\nUSE mysql;\n" + system + "FLUSH PRIVILEGES;\n" + fmt.Sprintf(`CREATE USER '%[1]s'@'127.0.0.1' IDENTIFIED BY '%[3]s';
GRANT ALL ON *.* TO '%[1]s'@'127.0.0.1' WITH GRANT OPTION;
CREATE USER '%[2]s'@'%%' IDENTIFIED BY '%[3]s' REQUIRE SUBJECT '/CN=%[2]s';
GRANT REPLICATION SLAVE ON *.* TO '%[2]s'@'%%';
`, SetAdmin, SetReplication, Password) + strings.Join(statements, ";\n") + ";\n"
	command := s.program("--bootstrap", "--datadir="+data, "--tmpdir="+s.directory, "--innodb-flush-method=nosync", "--innodb-log-file-size=8M", "--innodb-buffer-pool-size=16M")
	command.Stdin = strings.NewReader(sql)
	if output, err := command.CombinedOutput(); err != nil || bytes.Contains(output, []byte("ERROR")) {
		return fmt.Errorf("initialising: %w: %s", err, output)
	}
	return nil
}

// authorise makes the directory that of the server's user, and says as whom to run.
func (s *Set) authorise() error {
	s.owner = &syscall.SysProcAttr{}
	if os.Geteuid() != 0 {
		return nil
	}
	owner, err := user.Lookup("mysql")
	if err != nil {
		return err
	}
	uid, wrong := strconv.Atoi(owner.Uid)
	gid, err := strconv.Atoi(owner.Gid)
	if err := errors.Join(wrong, err); err != nil {
		return err
	}
	s.owner.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return s.giveAway()
}

func (s *Set) giveAway() error {
	if s.owner.Credential == nil {
		return nil
	}
	return filepath.WalkDir(s.directory, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, int(s.owner.Credential.Uid), int(s.owner.Credential.Gid)))
	})
}

func (s *Set) program(arguments ...string) *exec.Cmd {
	command := exec.Command("mariadbd", append([]string{"--no-defaults"}, arguments...)...)
	command.SysProcAttr, command.Dir = s.owner, s.directory
	return command
}

// add makes the files of a member.
func (s *Set) add(number int) error {
	m := &Member{Name: "db" + strconv.Itoa(number), set: s, number: number, log: new(bytes.Buffer)}
	s.Members = append(s.Members, m)
	var err error
	if m.port, err = loopback.Hold(); err != nil {
		return err
	}
	m.Address = m.port.Address()
	if err := duplicate(filepath.Join(s.directory, "first"), m.path("")); err != nil {
		return err
	}
	if err := os.Mkdir(m.temporary(), 0o700); err != nil {
		return err
	}
	server, err := s.CA.ServerUntil(m.Name, time.Now().Add(time.Hour), ServerName, "localhost")
	if err != nil {
		return err
	}
	replica, err := s.CA.Client(SetReplication)
	if err != nil {
		return err
	}
	for name, pair := range map[string]tls.Certificate{"server": server, "repl": replica} {
		certificate, key, err := PEM(pair)
		err = errors.Join(err, os.WriteFile(m.path(name+".crt"), certificate, 0o600), os.WriteFile(m.path(name+".key"), key, 0o600))
		if err != nil {
			return err
		}
	}
	return errors.Join(os.WriteFile(m.path("ca.crt"), s.CA.PEM(), 0o600), s.giveAway())
}

// temporary is a folder of its own: a server that starts removes what it takes for
// temporary tables of an earlier one.
func (m *Member) temporary() string { return filepath.Join(m.set.directory, m.Name+".tmp") }

func (m *Member) path(name string) string { return filepath.Join(m.set.directory, m.Name, name) }

// Up starts a member that is down, and connects the administrator.
func (m *Member) Up(arguments ...string) error {
	number := strconv.Itoa(m.number)
	_, port, _ := net.SplitHostPort(m.Address)
	command := m.set.program(append([]string{"--datadir=" + m.path(""), "--tmpdir=" + m.temporary(), "--socket=" + m.path("s"), "--bind-address=127.0.0.1", "--port=" + port, "--skip-name-resolve",
		"--server-id=" + number, "--log-bin=bin", "--relay-log=relay", "--log-slave-updates", "--gtid-strict-mode", "--binlog-format=ROW", "--local-infile=OFF",
		"--ssl-ca=" + m.path("ca.crt"), "--ssl-cert=" + m.path("server.crt"), "--ssl-key=" + m.path("server.key"), "--tls-version=TLSv1.2,TLSv1.3", "--require-secure-transport",
		"--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M", "--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0", "--max-allowed-packet=64M"}, arguments...)...)
	command.Stdout, command.Stderr = m.log, m.log
	if err := command.Start(); err != nil {
		return err
	}
	p := &process{Process: command.Process, ended: make(chan struct{})}
	go func() {
		p.err = command.Wait()
		close(p.ended)
	}()
	m.process = p
	return m.connect()
}

func (m *Member) connect() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		conn, attempt := mysql.Connect(ctx, mysql.Login{Address: m.Address, Account: SetAdmin, Password: Password, TLS: m.set.Trust(nil)})
		if conn != nil {
			m.Admin = conn
			return nil
		}
		select {
		case <-m.process.ended:
			return fmt.Errorf("%w; its log: %s", errEnded, m.log)
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", m.Name, attempt.Err)
		}
	}
}

// Trust is a client's end of TLS with the members, with this certificate if there is one.
func (s *Set) Trust(show *tls.Certificate) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(s.CA.Certificate)
	made := &tls.Config{RootCAs: roots, ServerName: ServerName, MinVersion: tls.VersionTLS12}
	if show != nil {
		made.Certificates = []tls.Certificate{*show}
	}
	return made
}

// Replicate makes all but the first replicas of it, which only read.
func (s *Set) Replicate() error {
	for _, m := range s.Members[1:] {
		if err := m.Follow(s.Members[0]); err != nil {
			return err
		}
	}
	return nil
}

// Follow makes a member a replica of another.
func (m *Member) Follow(primary *Member) error {
	host, port, err := net.SplitHostPort(primary.Address)
	if err != nil {
		return err
	}
	for _, sql := range []string{"SET GLOBAL read_only=1", fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%s, MASTER_USER='%s', MASTER_PASSWORD='%s', MASTER_USE_GTID=current_pos, MASTER_SSL=1, "+
		"%s", host, port, SetReplication, Password, m.ReplicationOptions()), "START SLAVE"} {
		if err := m.Exec(sql); err != nil {
			return err
		}
	}
	return nil
}

// ReplicationOptions are the part of CHANGE MASTER that says which files a member uses.
func (m *Member) ReplicationOptions() string {
	return fmt.Sprintf("MASTER_SSL_CA='%s',MASTER_SSL_CERT='%s',MASTER_SSL_KEY='%s',MASTER_CONNECT_RETRY=1", m.path("ca.crt"), m.path("repl.crt"), m.path("repl.key"))
}

// Exec runs a statement as the administrator.
func (m *Member) Exec(sql string) error {
	_, err := m.Admin.Query(context.Background(), sql)
	return err
}

// Caught waits until a member has what another has committed.
func (m *Member) Caught(primary *Member) error {
	result, err := primary.Admin.Query(context.Background(), "SELECT @@gtid_current_pos")
	if err != nil {
		return err
	}
	return m.Exec("SELECT MASTER_GTID_WAIT('" + result.Values[0][0].Text + "', 20)")
}

// Signal sends a signal to the server.
func (m *Member) Signal(how syscall.Signal) error { return m.process.Signal(how) }

// Down ends the server by a signal, and waits.
func (m *Member) Down(how syscall.Signal) error {
	if m.Admin != nil {
		m.Admin.Close()
		m.Admin = nil
	}
	p := m.process
	if m.process = nil; p == nil {
		return nil
	}
	err := p.end(how)
	if how == syscall.SIGKILL {
		return nil // says only that it was killed
	}
	return err
}

// Stop ends all members, and removes their files.
func (s *Set) Stop() (err error) {
	for _, m := range s.Members {
		err = errors.Join(err, m.Down(syscall.SIGKILL))
		if m.port != nil {
			err = errors.Join(err, m.port.Release())
		}
	}
	return errors.Join(err, os.RemoveAll(s.directory))
}
