package clients

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/lab/pkcs12"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

const (
	examples = "../../examples/clients/"
	// ask are the questions of all examples.
	ask = "SELECT CURRENT_USER(); SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_version'"
	// patience bounds one run of a client.
	patience = time.Minute
)

// driver is a client of a language, as its users run it.
type driver struct {
	form topology.Form
	// command is the program, to which the file is added.
	command []string
	// without are characters that no name of its has: pkg/topology refuses them.
	without string
	// anyName means that it verifies who vouches for the server, and not the server's name.
	anyName bool
}

// drivers are all that Debian has; built is where programs are that were compiled.
func drivers(built string) map[string]driver {
	return map[string]driver{
		"mariadb":             {topology.FormOptions, []string{"sh", "-c", `exec mariadb --defaults-file="$0" --batch --skip-column-names --execute="` + ask + `"`}, "", false},
		"mysqlclient":         {topology.FormOptions, []string{"/usr/bin/python3", examples + "mysqlclient_client.py"}, "", false},
		"PyMySQL":             {topology.FormPython, []string{"/usr/bin/python3", examples + "pymysql_client.py"}, "", false},
		"Go":                  {topology.FormGo, []string{"sh", "-c", built + `/client "$0" "${0%/*}/"'` + nameOf(topology.FormCA) + `' "${0%/*}/client.crt" "${0%/*}/client.key"`}, ":", false},
		"Node.js":             {topology.FormNode, []string{"node", examples + "client.js"}, "", true},
		"PHP":                 {topology.FormPHP, []string{"php", examples + "client.php"}, "", false},
		"MariaDB Connector/J": {topology.FormJDBC, []string{"java", "-XX:TieredStopAtLevel=1", "-cp", "/usr/share/java/mariadb-java-client.jar:" + built, "Client"}, "", false},
		"shell":               {topology.FormEnvironment, []string{examples + "client.sh"}, "'", false},
	}
}

// plain and odd are names of accounts, and schema is that of the databases: what is in them
// means something to the readers of one form or another.
const (
	plain  = "web"
	odd    = `o'b"r ü=@x/y:z#;&?+!<>|~^(){}[],.` + "`"
	schema = `d'b" ü:;#=&+@/` + "`"
)

func (d driver) of(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(d.without, r) {
			return -1
		}
		return r
	}, name)
}

// nameOf is the name of the file of a form.
func nameOf(form topology.Form) string {
	switch form {
	case topology.FormCA:
		return `the "ü" ca %41.crt` // also a path may mean something to a reader
	case topology.FormCertificate:
		return "client.crt"
	case topology.FormKey:
		return "client.key"
	}
	return "settings of " + string(form)
}

// site is a server, and the clients of it.
type site struct {
	server       *mariadbtest.Server
	accounts     *accounts.Document
	applications topology.Applications
	hosts        string
}

// start starts a server that has the accounts that the drivers want.
func start(t *testing.T) *site {
	t.Helper()
	server, err := mariadbtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	text := "kind: " + accounts.Kind + "\ndatabases:\n"
	var more string
	names := map[string]string{plain: plain}
	for _, d := range drivers("") {
		names[d.of(odd)] = d.of(schema)
	}
	for user, database := range names {
		text += fmt.Sprintf("  - name: %q\n", database)
		more += fmt.Sprintf("  - {name: %q, client: app, privileges: [{database: %q, grant: [SELECT]}]}\n", user, database)
	}
	s := &site{server: server, applications: topology.Applications{Accounts: text + "accounts:\n" + more}.With(topology.Application{Name: "app", MRENCLAVEs: []sgx.Measurement{{9}}, Command: []string{"app"}})}
	if s.accounts, err = accounts.Parse("accounts", []byte(s.applications.Accounts)); err != nil {
		t.Fatal(err)
	}
	if err := server.Give(s.applications); err != nil {
		t.Fatal(err)
	}
	s.hosts = filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(s.hosts, []byte("127.0.0.1 localhost "+mariadbtest.ServerName+" "+elsewhere+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

// elsewhere is a name of the server's that is not in its certificate.
const elsewhere = "elsewhere.test"

// given writes what CAS gives the client for an account, and returns the file of a form, and
// the environment.
func (s *site) given(t *testing.T, form topology.Form, user, address string, ca *mariadbtest.Authority) (file string, environment map[string]string) {
	t.Helper()
	folder := t.TempDir()
	for strings.Contains(folder, "3306") { // which is replaced by the port
		folder = t.TempDir()
	}
	app := *s.applications.Find("app")
	app.Files = map[string]topology.Given{topology.InEnvironment: {Form: topology.FormEnvironment, Account: user}}
	for _, f := range []topology.Form{topology.FormCA, topology.FormCertificate, topology.FormKey, topology.FormPKCS12, form} {
		app.Files[filepath.Join(folder, nameOf(f))] = topology.Given{Form: f, Account: user}
	}
	pair := s.pair(t, user)
	files, environment, err := s.server.Given(s.applications.With(app), "app", address, func(p session.Placeholder) (string, error) { return secret(p, pair, s.server.CA, ca) })
	if err != nil {
		t.Fatal(err)
	}
	for at, content := range files {
		if err := os.WriteFile(at, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(folder, nameOf(form)), environment
}

// change replaces what a file has once.
func change(t *testing.T, file, from, to string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), from) != 1 {
		t.Fatalf("%s: want %q once: %v", file, from, err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), from, to, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// pair is the certificate of an account.
func (s *site) pair(t *testing.T, user string) tls.Certificate {
	t.Helper()
	for _, a := range s.accounts.Accounts {
		if a.Name == user {
			pair, err := s.server.CA.Client(a.CommonName())
			if err != nil {
				t.Fatal(err)
			}
			return pair
		}
	}
	t.Fatalf("there is no account %q", user)
	return tls.Certificate{}
}

// secret is what CAS puts in the place of a placeholder.
func secret(p session.Placeholder, pair tls.Certificate, issuer, trusted *mariadbtest.Authority) (string, error) {
	certificate, key, err := mariadbtest.PEM(pair)
	if err != nil {
		return "", err
	}
	text := certificate
	switch form := p.Encodings[len(p.Encodings)-1]; {
	case p.Secret == "ca":
		text = trusted.PEM()
	case form == "pem":
		text = key
	case form == "pkcs12-with-private-key":
		text, err = pkcs12.Encode(pair.PrivateKey, pair.Leaf, issuer.Certificate)
	}
	if p.EscapeJSON {
		text = bytes.ReplaceAll(text, []byte("\n"), []byte(`\n`))
	}
	return string(text), err
}

// run is a client, which ended.
type run struct {
	out, log string
	err      error
}

// run runs a client where the names of the server are known.
func (s *site) run(d driver, environment map[string]string, file string) run {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, "sh", append([]string{"-c", `mount --bind "$0" /etc/hosts && exec "$@"`, s.hosts}, append(d.command, file)...)...)
	command.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if uid := os.Geteuid(); uid != 0 {
		command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{HostID: uid, Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}}
	}
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "NODE_PATH=/usr/share/nodejs", "HOME=/nonexistent", "PYTHONDONTWRITEBYTECODE=1"}
	for name, value := range environment {
		command.Env = append(command.Env, name+"="+value)
	}
	var out, log bytes.Buffer
	command.Stdout, command.Stderr = &out, &log
	err := command.Run()
	return run{out.String(), log.String(), err}
}

// build compiles the examples that are compiled.
func build(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	var all sync.WaitGroup
	for _, command := range []*exec.Cmd{exec.Command("javac", "-J-XX:TieredStopAtLevel=1", "-d", folder, examples+"Client.java"), exec.Command("go", "build", "-trimpath", "-o", folder+"/client", "./client")} {
		all.Go(func() {
			if said, err := command.CombinedOutput(); err != nil {
				t.Errorf("%v: %v: %s", command, err, said)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return folder
}

// TestOnMariaDB: each driver logs in by the file as it was written, whatever is in names and
// paths, and logs in nowhere else.
func TestOnMariaDB(t *testing.T) {
	s, built := start(t), build(t)
	foreign, err := mariadbtest.NewAuthority("confidb-ca")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(s.server.Address)
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort(mariadbtest.ServerName, port)
	logsIn := func(t *testing.T, d driver, user, file string, environment map[string]string) {
		r := s.run(d, environment, file)
		if want := user + "@%\nTLSv1.3\n"; r.err != nil || r.out != want {
			t.Errorf("%s: got %q, %v, want %q: %s", user, r.out, r.err, want, r.log)
		}
	}
	for name, d := range drivers(built) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, user := range []string{plain, d.of(odd)} {
				file, _ := s.given(t, d.form, user, address, s.server.CA)
				logsIn(t, d, user, file, nil)
			}
			file, _ := s.given(t, d.form, plain, address, s.server.CA)
			if d.form == topology.FormJDBC { // Connector/J 3 takes an empty password for none
				change(t, file, "keyStorePassword=\n", "")
				logsIn(t, d, plain, file, nil)
			}
			file, _ = s.given(t, d.form, plain, address, foreign)
			if r := s.run(d, nil, file); r.err == nil || r.out != "" {
				t.Errorf("a server of a foreign CA: got %q, want a refusal", r.out)
			}
			file, _ = s.given(t, d.form, plain, net.JoinHostPort(elsewhere, port), s.server.CA)
			if r := s.run(d, nil, file); !d.anyName && (r.err == nil || r.out != "") {
				t.Errorf("a server of another name: got %q, want a refusal", r.out)
			}
			fake := listen(t)
			_, at, _ := net.SplitHostPort(fake.Addr().String())
			file, _ = s.given(t, d.form, plain, net.JoinHostPort(mariadbtest.ServerName, at), s.server.CA)
			if r := s.run(d, nil, file); r.err == nil || r.out != "" {
				t.Errorf("a server without TLS: got %q, want a refusal", r.out)
			}
			if said := fake.said(); said != "" {
				t.Errorf("a server without TLS: %s", said)
			}
		})
	}
	t.Run("environment", func(t *testing.T) {
		t.Parallel()
		_, environment := s.given(t, topology.FormEnvironment, plain, address, s.server.CA)
		logsIn(t, drivers(built)["shell"], plain, os.DevNull, environment)
	})
}

// clearServer says that it has no TLS, and remembers who logs in nevertheless.
type clearServer struct {
	net.Listener
	serving     sync.WaitGroup
	mutex       sync.Mutex
	connections int
	clear       []string
}

func listen(t *testing.T) *clearServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &clearServer{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mutex.Lock()
			s.connections++
			s.serving.Go(func() { s.serve(c) })
			s.mutex.Unlock()
		}
	}()
	return s
}

// serve greets, and reads a packet.
func (s *clearServer) serve(c net.Conn) {
	defer c.Close()
	greeting := "\x0a11.4.2-MariaDB\x00\x01\x00\x00\x00" + "saltsalt" + "\x00" + "\xfe\xf7" + "\x2d" + "\x02\x00" + "\xff\x81" + "\x15" + strings.Repeat("\x00", 10) + "saltsaltsalt\x00" + "mysql_native_password\x00"
	c.Write(append([]byte{byte(len(greeting)), 0, 0, 0}, greeting...))
	packet := make([]byte, 4096)
	n, err := c.Read(packet)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if err == nil && n > 36 { // longer than a request for TLS
		s.clear = append(s.clear, fmt.Sprintf("%q", packet[:n]))
	}
}

// said says what is wrong with what a client did that has ended.
func (s *clearServer) said() string {
	s.Close()
	s.serving.Wait() // the client has ended
	s.mutex.Lock()
	defer s.mutex.Unlock()
	switch {
	case s.connections == 0:
		return "it was never asked"
	case len(s.clear) > 0:
		return "the client logs in in clear: " + s.clear[0]
	}
	return ""
}
