// Package mariadbtest starts a real mariadbd for tests, set up as the project's
// session sets one up, with a CA of its own. It is imported by tests only.
package mariadbtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/confidb/confidb/pkg/mysql"
)

const (
	startTimeout = 30 * time.Second
	// Account and Password are the asker's; the database demands Subject and Issuer of its certificate.
	Account  = "confidb_verify"
	Password = "5d41402abc4b2a76b9719d911017c592"
	Subject  = "/CN=confidb-verify"
	Issuer   = "/CN=confidb-ca"
	// ServerName is in the server's certificate.
	ServerName = "db-mariadb.default.svc"
)

// Server is a running mariadbd on loopback.
type Server struct {
	Address string
	// KeyDirectory holds the key file, with a trailing slash.
	KeyDirectory string
	CA           *Authority
	Verify       tls.Certificate // the asker's
	// Admin has every privilege. Its account is dropped: the connection is all that is left of it.
	Admin *mysql.Conn

	directory string
	process   *exec.Cmd
	log       *bytes.Buffer
}

// Start initialises and starts a server. It takes about two seconds.
func Start() (*Server, error) {
	authority, err := NewAuthority("confidb-ca")
	if err != nil {
		return nil, fmt.Errorf("starting mariadbd: %w", err)
	}
	directory, err := os.MkdirTemp("", "mariadbtest")
	if err != nil {
		return nil, fmt.Errorf("starting mariadbd: %w", err)
	}
	s := &Server{CA: authority, directory: directory, KeyDirectory: directory + "/keys/", log: new(bytes.Buffer)}
	if err := s.start(); err != nil {
		return nil, fmt.Errorf("starting mariadbd: %w; its log: %s", errors.Join(err, s.Stop()), s.log)
	}
	return s, nil
}

func (s *Server) start() (err error) {
	if s.Verify, err = s.CA.Client("confidb-verify"); err != nil {
		return err
	}
	if s.Address, err = freeAddress(); err != nil {
		return err
	}
	owner, err := s.writeFiles()
	if err != nil {
		return err
	}
	install := exec.Command("mariadb-install-db", "--defaults-file="+s.path("my.cnf"), "--auth-root-authentication-method=normal", "--skip-test-db")
	install.SysProcAttr, install.Dir = owner, s.directory
	if output, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("initialising: %w: %s", err, output)
	}
	s.process = exec.Command("mariadbd", "--defaults-file="+s.path("my.cnf"), "--init-file="+s.path("accounts.sql"))
	s.process.SysProcAttr, s.process.Dir = owner, s.directory
	s.process.Stdout, s.process.Stderr = s.log, s.log
	if err := s.process.Start(); err != nil {
		s.process = nil
		return err
	}
	return s.connectAdmin()
}

// Stop ends the server and removes its files.
func (s *Server) Stop() error {
	var ended error
	if s.Admin != nil {
		s.Admin.Close()
	}
	if s.process != nil {
		ended = s.process.Process.Kill()
		s.process.Wait() // says only that it was killed
	}
	return errors.Join(ended, os.RemoveAll(s.directory))
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
	login := mysql.Login{Address: s.Address, Account: "root_test", Password: Password,
		TLS: &tls.Config{RootCAs: roots, ServerName: ServerName}}
	for {
		conn, attempt := mysql.Connect(ctx, login)
		if conn != nil {
			s.Admin = conn
			return s.Exec("DROP USER root_test@'%'")
		}
		if attempt.Stage != mysql.Reaching || ctx.Err() != nil {
			return attempt.Err
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// writeFiles writes configuration, keys and accounts, and returns as whom to run.
func (s *Server) writeFiles() (*syscall.SysProcAttr, error) {
	server, err := s.CA.Server("db-mariadb", ServerName)
	if err != nil {
		return nil, err
	}
	certificate, key, err := PEM(server)
	if err != nil {
		return nil, err
	}
	atRest := make([]byte, 32)
	rand.Read(atRest)
	_, port, _ := net.SplitHostPort(s.Address)
	fill := strings.NewReplacer("$DIRECTORY", s.directory, "$PORT", port, "$PASSWORD", Password, "$SUBJECT", Subject, "$ISSUER", Issuer)
	for _, name := range []string{"keys", "tmp", "empty", "data"} {
		if err := os.Mkdir(s.path(name), 0o700); err != nil {
			return nil, err
		}
	}
	files := map[string]string{"my.cnf": fill.Replace(configuration), "accounts.sql": fill.Replace(accounts),
		"keys/keys.txt": "1;" + hex.EncodeToString(atRest) + "\n", "ca.crt": string(s.CA.PEM()),
		"server.crt": string(certificate), "server.key": string(key)}
	for name, content := range files {
		if err := os.WriteFile(s.path(name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	return s.giveAway()
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

// freeAddress is a loopback address that was free a moment ago.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

const configuration = `[mariadbd]
datadir = $DIRECTORY/data
tmpdir = $DIRECTORY/tmp
socket = $DIRECTORY/m.sock
pid-file = $DIRECTORY/m.pid
bind-address = 127.0.0.1
port = $PORT
skip-name-resolve
plugin-load-add = file_key_management.so
file_key_management = FORCE_PLUS_PERMANENT
file_key_management_filename = $DIRECTORY/keys/keys.txt
file_key_management_encryption_algorithm = AES_CTR
innodb_encrypt_tables = FORCE
innodb_encrypt_log = ON
innodb_encrypt_temporary_tables = ON
innodb_encryption_threads = 1
innodb_encryption_rotate_key_age = 1
innodb_default_encryption_key_id = 1
innodb_checksum_algorithm = full_crc32
aria_encrypt_tables = ON
encrypt_tmp_disk_tables = ON
encrypt_tmp_files = ON
encrypt_binlog = ON
general_log = OFF
slow_query_log = OFF
log_output = NONE
local_infile = OFF
secure_file_priv = $DIRECTORY/empty
innodb_buffer_pool_dump_at_shutdown = OFF
feedback = OFF
unix_socket = OFF
ssl_ca = $DIRECTORY/ca.crt
ssl_cert = $DIRECTORY/server.crt
ssl_key = $DIRECTORY/server.key
tls_version = TLSv1.2,TLSv1.3
ssl_cipher = TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305
require_secure_transport = ON
server_id = 1
log_bin = binlog
binlog_format = ROW
innodb_buffer_pool_size = 16M
innodb_log_file_size = 8M
innodb_flush_log_at_trx_commit = 0
innodb_flush_method = nosync
sync_binlog = 0
`

const accounts = `SET SESSION sql_log_bin=0;
DELETE FROM mysql.global_priv WHERE User IN ('', 'root', 'mysql');
FLUSH PRIVILEGES;
CREATE OR REPLACE USER 'confidb_verify'@'%' IDENTIFIED BY '$PASSWORD' REQUIRE SUBJECT '$SUBJECT' AND ISSUER '$ISSUER';
GRANT PROCESS, BINLOG MONITOR, SLAVE MONITOR, SHOW VIEW ON *.* TO 'confidb_verify'@'%';
GRANT SELECT ON mysql.global_priv TO 'confidb_verify'@'%';
CREATE DATABASE IF NOT EXISTS app;
CREATE OR REPLACE USER 'confidb_app'@'%' IDENTIFIED BY '$PASSWORD' REQUIRE SUBJECT '/CN=confidb-app' AND ISSUER '$ISSUER';
GRANT SELECT, INSERT, UPDATE, DELETE ON app.* TO 'confidb_app'@'%';
CREATE OR REPLACE USER 'root_test'@'%' IDENTIFIED BY '$PASSWORD';
GRANT ALL ON *.* TO 'root_test'@'%' WITH GRANT OPTION;
`
