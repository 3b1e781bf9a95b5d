package topology_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"

	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/topology"
)

// shell is the client of the client session outside an enclave: started with the
// command, the files and the environment that the session gives, and nothing else.
type shell struct {
	folder    string
	canary    string
	arguments map[string][]string
	variables map[string][]string
}

// sessionOfClient is the part of the client session that the shell sees.
type sessionOfClient struct {
	Services []struct {
		Name        string            `yaml:"name"`
		ImageName   string            `yaml:"image_name"`
		Command     []string          `yaml:"command"`
		Environment map[string]string `yaml:"environment"`
	} `yaml:"services"`
	Images []struct {
		Name  string `yaml:"name"`
		Files []struct {
			Path    string `yaml:"path"`
			Content string `yaml:"content"`
		} `yaml:"injection_files"`
	} `yaml:"images"`
}

var shells = []string{topology.ServiceSQL, topology.ServiceSQLBatch}

// newShell does what CAS does: it fills in the files. Paths are moved below a folder.
func newShell(t *testing.T, address string, authority *mariadbtest.Authority) *shell {
	t.Helper()
	app, err := authority.Client("confidb-app")
	must(t, err)
	certificate, key, err := mariadbtest.PEM(app)
	must(t, err)
	text, err := topology.Template("client")
	must(t, err)
	var session sessionOfClient
	must(t, yaml.Unmarshal(text, &session))
	host, port, err := net.SplitHostPort(address)
	must(t, err)
	if host == "127.0.0.1" {
		host = "localhost" // which the server's certificate names
	}
	s := &shell{folder: t.TempDir(), canary: strings.Split(string(key), "\n")[1], arguments: map[string][]string{}, variables: map[string][]string{}}
	fill := strings.NewReplacer("/run/confidb", s.folder, "$DATABASE_HOST", host, "port = 3306", "port = "+port,
		"$$SCONE::ca:crt$$", string(authority.PEM()), "$$SCONE::app:crt$$", string(certificate), "$$SCONE::app_key:pem$$", string(key),
		"$$SCONE::app_password:hex$$", mariadbtest.Password)
	for _, one := range session.Services {
		if one.ImageName != "sql" {
			continue
		}
		for _, word := range one.Command {
			s.arguments[one.Name] = append(s.arguments[one.Name], fill.Replace(word))
		}
		for name, value := range one.Environment {
			if strings.Contains(name, "@@") {
				t.Errorf("service %s: the host decides about %s", one.Name, name)
			}
			s.variables[one.Name] = append(s.variables[one.Name], name+"="+value)
		}
	}
	for _, image := range session.Images {
		for _, file := range image.Files {
			if image.Name == "sql" {
				must(t, os.WriteFile(fill.Replace(file.Path), []byte(fill.Replace(file.Content)), 0o600))
			}
		}
	}
	must(t, os.WriteFile(s.path("canary.sql"), []byte("select '"+s.canary+"';\n"), 0o600))
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *shell) path(name string) string { return filepath.Join(s.folder, name) }

func (s *shell) command(ctx context.Context, service string) *exec.Cmd {
	arguments := s.arguments[service]
	c := exec.CommandContext(ctx, arguments[0], arguments[1:]...)
	c.Env, c.Dir = s.variables[service], s.folder
	return c
}

// piped types into the client as the command line does.
func (s *shell) piped(t *testing.T, service, typed string) (output string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c := s.command(ctx, service)
	c.Stdin = strings.NewReader(typed)
	out, err := c.CombinedOutput()
	if ctx.Err() != nil {
		t.Errorf("service %s does not end when %q is typed", service, typed)
	}
	return string(out), err
}

// atTerminal types into the client at a terminal that a hostile host opens.
func (s *shell) atTerminal(t *testing.T, service, typed string) string {
	t.Helper()
	master, slave := newTerminal(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c := s.command(ctx, service)
	c.Env = append(c.Env, "TERM=xterm") // worse than the session's
	c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
	c.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	must(t, c.Start())
	must(t, slave.Close())
	var output bytes.Buffer
	var reading sync.WaitGroup
	reading.Go(func() { io.Copy(&output, master) }) // ends with an error when the client ends
	_, err := master.WriteString(typed + "\n\x04\x04exit\n\x04")
	must(t, err)
	c.Wait() // its exit code is of no interest
	reading.Wait()
	if ctx.Err() != nil {
		t.Errorf("service %s does not end at a terminal when %q is typed", service, typed)
	}
	return output.String()
}

// newTerminal opens a pseudo terminal.
func newTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	must(t, err)
	must(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	must(t, err)
	master = os.NewFile(uintptr(fd), "ptmx")
	t.Cleanup(func() { master.Close() })
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	return master, slave
}

// attempts are what somebody types who wants the key or a program. KEY, SCRIPT and
// MARK stand for the key, a script that prints it, and a file that a command would make.
var attempts = []string{
	`source SCRIPT`, `\. SCRIPT`, `select 1; \. SCRIPT`, `SOURCE SCRIPT;`, `source KEY`, `\. KEY`,
	`system cat KEY`, `\! cat KEY`, `\!cat KEY`, `SYSTEM touch MARK`, `\! touch MARK`, `select 1 \! touch MARK`,
	`tee MARK`, `\T MARK`, "tee MARK\nselect 1;", "\\T MARK\nselect 1;",
	"pager touch MARK\nselect 1;", "\\P touch MARK\nselect 1;", "\\P cat KEY\nselect 1;", "pager\nselect 1;", "\\P\nselect 1;",
	"select 1\nedit", "select 1\n\\e", "edit", `\e`, "select 1 \\e",
	"load data local infile 'KEY' into table app.t", "load data local infile 'KEY' into table app.t fields terminated by '~' lines terminated by '~~';",
	"load xml local infile 'KEY' into table app.t;", "prepare s from 'load data local infile ''KEY'' into table app.t'; execute s;",
	"execute immediate 'load data local infile ''KEY'' into table app.t';", "/*! load data local infile 'KEY' into table app.t */;",
	"/*M! load data local infile 'KEY' into table app.t */;", "delimiter //\nload data local infile 'KEY' into table app.t//",
	"select load_file('KEY');", "load data infile 'KEY' into table app.t;", "select 1 into outfile 'MARK';", "select 1 into dumpfile 'MARK';",
	"connect app 127.0.0.1", "\\r app 127.0.0.1", "connect\nload data local infile 'KEY' into table app.t;",
	"\\C ../../../../KEY", "charset KEY", "\\C utf8mb4", "\\C nosuch\n",
	"delimiter ;;\n\\! touch MARK;;", "delimiter \\!\nselect 1\\! touch MARK", "\\d x\n\\! touch MARK",
	"sandbox\n\\! touch MARK", "nopager", "notee", "\\s", "status", "help contents", "\\h KEY", "? KEY", "prompt KEY", "\\R KEY",
	"warnings", "\\W", "\\n", "\\t", "\\x KEY", "\\#", "rehash", "resetconnection", "use KEY", "\\u KEY", "ego", "\\G", "\\p", "\\q",
	"\x1bx", "\x1bxbind -v\n\x1bvi", "\xf8bind -v\n\x1bv", "\x1b\x1bv", "\x18\x05", "\x0f\x15\x1bv", "sel\t\t", "KEY\t\t", "\x12KEY", "\x1b<", "\x16\x00",
	"select '\\0';\x00\\! touch MARK", "select 1;\r\\! touch MARK\r\n", "-- \\! touch MARK", "/* \n\\! touch MARK\n */", "'\n\\! touch MARK\n'", "\"\n\\! cat KEY\n", "`\n\\! cat KEY\n",
	"create procedure app.p() begin end //\n\\! touch MARK",
}

func TestShell(t *testing.T) {
	server, err := mariadbtest.Start()
	must(t, err)
	t.Cleanup(func() { must(t, server.Stop()) })
	for _, statement := range []string{"SET GLOBAL local_infile=ON", "CREATE TABLE app.t (t TEXT)", "CREATE TABLE app.u (t TEXT CHARACTER SET utf8mb4)", "GRANT ALL ON *.* TO 'confidb_app'@'%'"} {
		must(t, server.Exec(statement))
	}
	s := newShell(t, server.Address, server.CA)
	s.works(t)
	t.Run("speaks Unicode", s.speaksUnicode)
	t.Run("after a mistake", s.goesOn)
	t.Run("attempts", func(t *testing.T) { s.withstands(t, server) })
	t.Run("control", s.fallsWithoutOptions)
}

// withstands: nothing that is typed makes the client read a file or run a program,
// whatever it is typed into, with a server that helps the intruder.
func (s *shell) withstands(t *testing.T, server *mariadbtest.Server) {
	for _, attempt := range attempts {
		typed := s.fill(attempt) + "\nselect * from app.t;\n"
		for _, service := range shells {
			output, _ := s.piped(t, service, typed)
			s.wantNothing(t, service+", "+attempt, output)
		}
		s.wantNothing(t, "at a terminal, "+attempt, s.atTerminal(t, topology.ServiceSQL, typed))
	}
	rows, err := server.Admin.Query(t.Context(), "SELECT * FROM app.t")
	if err != nil || len(rows.Values) != 0 {
		t.Errorf("the key went to the server: %v (%v)", rows, err)
	}
}

func (s *shell) fill(attempt string) string {
	return strings.NewReplacer("KEY", s.path("app.key"), "SCRIPT", s.path("canary.sql"), "MARK", s.path("mark")).Replace(attempt)
}

// fallsWithoutOptions shows that the attempts are real: without an option of the
// session they succeed.
func (s *shell) fallsWithoutOptions(t *testing.T) {
	for _, c := range []struct {
		without  []string
		attempt  string
		terminal bool
	}{
		{[]string{"--sandbox", "--binary-mode"}, `\. SCRIPT`, false},
		{[]string{"--sandbox", "--binary-mode"}, `\! touch MARK`, false},
		{[]string{"--sandbox", "--binary-mode", "--batch"}, "\\! touch MARK", true},
		{nil, "load data local infile 'KEY' into table app.t;", false},
	} {
		weak := &shell{folder: s.folder, canary: s.canary, variables: s.variables, arguments: map[string][]string{}}
		for _, word := range s.arguments[topology.ServiceSQL] {
			if !slices.Contains(c.without, word) {
				weak.arguments["weak"] = append(weak.arguments["weak"], word)
			}
		}
		if c.without == nil {
			weak.arguments["weak"] = append(weak.arguments["weak"], "--local-infile=1")
		}
		typed := s.fill(c.attempt) + "\nselect * from app.t;\n"
		output, _ := weak.piped(t, "weak", typed)
		if c.terminal {
			output = weak.atTerminal(t, "weak", typed)
		}
		_, err := os.Stat(s.path("mark"))
		if err != nil && !strings.Contains(output, s.canary) {
			t.Errorf("%q does nothing without %q: %s", c.attempt, c.without, output)
		}
		os.Remove(s.path("mark"))
	}
}

// works shows that the client works at all, so that the rest of the test can fail.
func (s *shell) works(t *testing.T) {
	t.Helper()
	for _, service := range shells {
		if output, err := s.piped(t, service, "select concat('a','b')"); err != nil || !strings.Contains(output, "ab") {
			t.Fatalf("%s: %v: %s", service, err, output)
		}
		if output := s.atTerminal(t, service, "select concat('a','b');"); !strings.Contains(output, "ab") {
			t.Fatalf("%s at a terminal: %s", service, output)
		}
	}
}

func (s *shell) wantNothing(t *testing.T, what, output string) {
	t.Helper()
	if strings.Contains(output, s.canary) {
		t.Errorf("%q: the key is in the output: %s", what, output)
	}
	if _, err := os.Stat(s.path("mark")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%q: a program ran or a file was written", what)
		os.Remove(s.path("mark"))
	}
}

// What a host gives the client beyond its session changes nothing either: files where
// the client looks for them, which only a client with another HOME would read.
func TestShellObeysNoFileOfTheImage(t *testing.T) {
	authority, err := mariadbtest.NewAuthority("confidb-ca")
	must(t, err)
	s := newShell(t, "127.0.0.1:1", authority)
	for _, service := range shells {
		first := s.arguments[service]
		if len(first) < 2 || first[0] != "mariadb" || first[1] != "--defaults-file="+s.path("client.cnf") {
			t.Errorf("%s: the first argument of %q does not keep option files away", service, first)
		}
		c := s.command(t.Context(), service)
		c.Args = []string{c.Args[0], c.Args[1], "--print-defaults"}
		output, err := c.CombinedOutput()
		must(t, err)
		for _, want := range []string{"--plugin-dir=/nonexistent", "--character-sets-dir=/nonexistent", "--local-infile=0", "--ssl-verify-server-cert", "--default-character-set=utf8mb4"} {
			if !strings.Contains(string(output), want) {
				t.Errorf("%s: got %s, want %s", service, output, want)
			}
		}
		for _, want := range []string{"HOME=/nonexistent", "OPENSSL_CONF=/dev/null", "MYSQL_HISTFILE=/dev/null"} {
			if !strings.Contains(strings.Join(s.variables[service], "\n"), want) {
				t.Errorf("%s: the session does not set %s", service, want)
			}
		}
	}
}

func (s *shell) speaksUnicode(t *testing.T) {
	const typed = "insert into u values ('日本語😀'); select concat(char_length(t), '=', hex(t), '=', t) as r from u; delete from u;"
	const want = "4=E697A5E69CACE8AA9EF09F9880=日本語😀"
	for _, service := range shells {
		if output, err := s.piped(t, service, typed); err != nil || !strings.Contains(output, want) {
			t.Errorf("%s: %v: got %s, want %s", service, err, output, want)
		}
		if output := s.atTerminal(t, service, typed); !strings.Contains(output, want) {
			t.Errorf("%s at a terminal: got %s, want %s", service, output, want)
		}
	}
}

// goesOn: a mistake ends a script with an error; somebody who types goes on.
func (s *shell) goesOn(t *testing.T) {
	const typed = "select nonsense; select concat('a','b');"
	for service, goesOn := range map[string]bool{topology.ServiceSQL: true, topology.ServiceSQLBatch: false} {
		output, err := s.piped(t, service, typed)
		if !strings.Contains(output, "Unknown column") || strings.Contains(output, "ab") != goesOn || (err == nil) && !goesOn {
			t.Errorf("%s: %v: %s", service, err, output)
		}
	}
}

// Somebody in between who is no server of the session gets neither the password nor a file.
func TestShellAndAnImpostor(t *testing.T) {
	ours, err := mariadbtest.NewAuthority("confidb-ca")
	must(t, err)
	theirs, err := mariadbtest.NewAuthority("confidb-ca")
	must(t, err)
	certificate, err := theirs.Server("db-mariadb", mariadbtest.ServerName, "localhost")
	must(t, err)
	for name, i := range map[string]*impostor{
		"in clear":                       {plugin: "mysql_native_password"},
		"in clear, password in clear":    {plugin: "mysql_clear_password"},
		"with a plugin of the image":     {plugin: "dialog"},
		"of another authority":           {plugin: "mysql_native_password", tls: &certificate},
		"another authority and a plugin": {plugin: "dialog", tls: &certificate},
	} {
		address := i.listen(t)
		s := newShell(t, address, ours)
		i.wanted = s.path("app.key")
		for _, service := range shells {
			output, err := s.piped(t, service, "select 1;\n")
			if err == nil || strings.Contains(output, s.canary) || strings.Contains(output, "/usr/lib") {
				t.Errorf("%s, %s: %v: %s", name, service, err, output)
			}
		}
		if got := i.heard(); bytes.Contains(got, []byte(s.canary)) || bytes.Contains(got, []byte("confidb_app")) || bytes.Contains(got, []byte(mariadbtest.Password)) {
			t.Errorf("%s: the impostor heard %q", name, got)
		}
	}
}

// impostor greets like a MariaDB server, takes any login and asks for a file.
type impostor struct {
	plugin string
	wanted string
	tls    *tls.Certificate

	mutex sync.Mutex
	all   []byte
}

func (i *impostor) heard() []byte {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	return i.all
}

func (i *impostor) listen(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go i.serve(c)
		}
	}()
	return listener.Addr().String()
}

func (i *impostor) serve(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	capabilities := uint32(0x81bff7df) // all of a real server but SSL
	if i.tls != nil {
		capabilities |= 1 << 11
	}
	low, high := binary.LittleEndian.AppendUint16(nil, uint16(capabilities)), binary.LittleEndian.AppendUint16(nil, uint16(capabilities>>16))
	greeting := "\x0a5.5.5-10.11.19-MariaDB\x00\x01\x00\x00\x00saltsalt\x00" + string(low) + "\x2d\x02\x00" + string(high) + "\x15" +
		strings.Repeat("\x00", 10) + "saltsaltsalt\x00" + i.plugin + "\x00"
	send(c, 0, greeting)
	if i.tls != nil {
		i.read(c) // the request for TLS
		secured := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*i.tls}})
		if secured.Handshake() != nil {
			return
		}
		c = secured
	}
	for sequence := byte(2); i.read(c); sequence = 1 {
		if sequence == 2 {
			send(c, sequence, "\x00\x00\x00\x02\x00\x00\x00")
			continue
		}
		send(c, sequence, "\xfb"+i.wanted)
	}
}

func (i *impostor) read(c net.Conn) bool {
	buffer := make([]byte, 1<<16)
	n, err := c.Read(buffer)
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.all = append(i.all, buffer[:n]...)
	return err == nil
}

func send(c net.Conn, sequence byte, payload string) {
	c.Write(append([]byte{byte(len(payload)), byte(len(payload) >> 8), 0, sequence}, payload...))
}
