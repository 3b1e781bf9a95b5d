package charts_test

import (
	"context"
	"crypto/rand"
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
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	kyaml "sigs.k8s.io/yaml"

	"github.com/confidb/confidb/internal/loopback"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/topology"
)

// stage is what the init container sees: a volume, and a program in place of the
// enclave. Everything is below one folder of the user that mariadbd runs as.
type stage struct {
	t      *testing.T
	folder string
	owner  *syscall.SysProcAttr
	// place replaces address and port of the template.
	place *strings.Replacer
}

func newStage(t *testing.T) *stage {
	t.Helper()
	folder, err := os.MkdirTemp("", "charts") // short: a socket's path has to fit
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	s := &stage{t: t, folder: folder, owner: &syscall.SysProcAttr{Setpgid: true}}
	for _, name := range []string{"volume", "tmp", "socket", "enclave/no-files"} {
		s.must(os.MkdirAll(s.path(name), 0o700))
	}
	if os.Geteuid() == 0 { // mariadbd refuses to run as root
		s.owner.Credential = s.mysql()
	}
	s.giveAway()
	return s
}

func (s *stage) path(name string) string { return filepath.Join(s.folder, name) }

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) mysql() *syscall.Credential {
	account, err := user.Lookup("mysql")
	s.must(err)
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	s.must(err)
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	s.must(err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (s *stage) giveAway() {
	if s.owner.Credential == nil {
		return
	}
	uid, gid := int(s.owner.Credential.Uid), int(s.owner.Credential.Gid)
	s.must(filepath.WalkDir(s.folder, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, uid, gid))
	}))
}

func (s *stage) write(name, text string, mode os.FileMode) {
	s.t.Helper()
	s.must(os.WriteFile(s.path(name), []byte(text), mode))
	s.giveAway()
}

func (s *stage) exists(name string) bool {
	_, err := os.Lstat(s.path(name))
	return err == nil
}

// run runs the init container's command as the chart renders it, with a shell script
// in place of what starts enclaves: it gets the service and the program's name.
func (s *stage) run(program string) (string, error) {
	s.t.Helper()
	s.write("program", "#!/bin/sh -e\nset -- \"${SCONE_CONFIG_ID}\" \"$@\"\n"+program+"\n", 0o700)
	values := required()
	values["command"] = []any{s.path("program")}
	var set appsv1.StatefulSet
	for _, document := range strings.Split(string(mustRender(s.t, values)), "\n---\n") {
		if strings.Contains(document, "\nkind: StatefulSet\n") {
			s.must(kyaml.Unmarshal([]byte(document), &set))
		}
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	container := set.Spec.Template.Spec.InitContainers[0]
	run := exec.CommandContext(ctx, container.Command[0], container.Command[1:]...)
	run.Dir, run.SysProcAttr = s.folder, s.owner
	run.Env = append(os.Environ(), "SCONE_CONFIG_ID="+container.Env[0].Value)
	run.Cancel = func() error { return syscall.Kill(-run.Process.Pid, syscall.SIGKILL) }
	run.WaitDelay = 10 * time.Second
	output, err := run.CombinedOutput()
	return string(output), err
}

func (s *stage) want(data, half bool) {
	s.t.Helper()
	if s.exists("volume/data") != data || s.exists("volume/new") != half {
		s.t.Errorf("got data %v, new %v, want data %v, new %v", s.exists("volume/data"), s.exists("volume/new"), data, half)
	}
}

// The shell calls the services in their order and believes their exit codes.
func TestInit(t *testing.T) {
	session := required()["scone"].(map[string]any)["attestation"].(map[string]any)["config_id"].(string)
	volume, server := session+"/volume confidb-probe\n", session+"/init mariadbd\n"
	for name, c := range map[string]struct {
		volume []int // exit codes
		server int
		want   string
		code   int
	}{
		"a database is there":       {[]int{0}, 9, volume, 0},
		"none is there":             {[]int{3, 0}, 0, volume + server + volume, 0},
		"none could be looked for":  {[]int{1}, 9, volume, 1},
		"the volume was refused":    {[]int{255}, 9, volume, 255},
		"the program fails":         {[]int{3, 9}, 5, volume + server, 5},
		"the program makes nothing": {[]int{3, 3}, 0, volume + server + volume, 3},
		"not looked for afterwards": {[]int{3, 1}, 0, volume + server + volume, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			for i, code := range c.volume {
				s.write(fmt.Sprintf("code%d", i), strconv.Itoa(code), 0o600)
			}
			output, err := s.run(fmt.Sprintf(`echo "$@"; [ -z "$(cat)" ] || exit 77
case $1 in */init) exit %d ;; esac
if [ -e looked ]; then exit $(cat code1); fi
touch looked; exit $(cat code0)`, c.server))
			code := 0
			if ended, ok := errors.AsType[*exec.ExitError](err); ok {
				code = ended.ExitCode()
			}
			if output != c.want || code != c.code {
				t.Errorf("got exit code %d (%v) and\n%swant %d and\n%s", code, err, output, c.code, c.want)
			}
		})
	}
}

// document is the part of the database session that the enclaves see.
type document struct {
	Services []struct {
		Name      string   `yaml:"name"`
		ImageName string   `yaml:"image_name"`
		Command   []string `yaml:"command"`
	} `yaml:"services"`
	Images []struct {
		Name  string `yaml:"name"`
		Files []struct {
			Path    string `yaml:"path"`
			Content string `yaml:"content"`
		} `yaml:"injection_files"`
	} `yaml:"images"`
}

// inject does what CAS does for a service: it fills in the files of the session
// and returns the service's command. Paths are moved below the stage.
func (s *stage) inject(service string, secrets *strings.Replacer) (command string, promised *promise.Promise) {
	s.t.Helper()
	template, err := topology.Template("database")
	s.must(err)
	var session document
	s.must(yaml.Unmarshal(template, &session))
	move := strings.NewReplacer("$ACCOUNTS_SQL", "", "/var/lib/mysql-tmp", s.path("tmp"), "/var/lib/mysql", s.path("volume"),
		"/run/mysqld", s.path("socket"), "/run/confidb", s.path("enclave"))
	for _, one := range session.Services {
		if one.Name != service {
			continue
		}
		files := map[string]string{}
		for _, image := range session.Images {
			for _, file := range image.Files {
				if image.Name == one.ImageName && !strings.HasSuffix(file.Path, ".keep") {
					files[move.Replace(file.Path)] = s.place.Replace(move.Replace(file.Content))
					name, err := filepath.Rel(s.folder, move.Replace(file.Path))
					s.must(err)
					s.write(name, secrets.Replace(s.place.Replace(move.Replace(file.Content))), 0o600)
				}
			}
		}
		for i := range one.Command {
			one.Command[i] = move.Replace(one.Command[i])
		}
		return strings.Join(one.Command, " "), promise.Read(one.Command, files)
	}
	s.t.Fatalf("the session has no service %s", service)
	return "", nil
}

func (s *stage) secrets(authority *mariadbtest.Authority) *strings.Replacer {
	s.t.Helper()
	server, err := authority.Server("db1-mariadb", mariadbtest.ServerName)
	s.must(err)
	certificate, key, err := mariadbtest.PEM(server)
	s.must(err)
	atRest := make([]byte, 32)
	rand.Read(atRest)
	bootstrap, err := mariadbtest.BootstrapSQL()
	s.must(err)
	known := []string{"$$SCONE::at_rest_key:hex$$", hex.EncodeToString(atRest), "$$SCONE::ca:crt$$", string(authority.PEM()),
		"$$SCONE::server:crt$$", string(certificate), "$$SCONE::server:privatekey:pem$$", string(key),
		"$$SCONE::verify_password:hex$$", mariadbtest.Password, "$$SCONE::app_password:hex$$", mariadbtest.Password,
		"$$SCONE::start_secret:hex$$", mariadbtest.StartSecret, "$BOOTSTRAP_SQL", bootstrap}
	for name, definition := range topology.TableVariables(bootstrap) {
		known = append(known, "$"+name+";", definition+";")
	}
	return strings.NewReplacer(known...)
}

// The chart and the session together, on a real mariadbd that is not in an enclave:
// a run that is killed half-way and one that is not make a database that starts,
// and of which every check of the verification holds.
func TestRealDatabase(t *testing.T) {
	s := newStage(t)
	authority, err := mariadbtest.NewAuthority("confidb-ca")
	s.must(err)
	port, err := loopback.Hold()
	s.must(err)
	t.Cleanup(func() { port.Release() })
	s.place = strings.NewReplacer("bind-address = *", "bind-address = 127.0.0.1", "port = 3306", "port = "+strconv.Itoa(port.Number))
	secrets := s.secrets(authority)

	look, _ := s.inject("volume", secrets)
	command, _ := s.inject("init", secrets)
	probe := filepath.Join(t.TempDir(), "confidb-probe")
	if output, err := exec.Command("go", "build", "-trimpath", "-o", probe, "github.com/confidb/confidb/cmd/confidb-probe").CombinedOutput(); err != nil {
		t.Fatalf("building the probe: %v: %s", err, output)
	}
	s.must(os.Rename(probe, s.path("confidb-probe")))
	program := "case $1 in */volume) exec ./" + look + " ;; esac\n"
	for _, half := range []string{"ibdata1", "mysql/proc.MAD", "mysql/time_zone.MAI"} {
		killed := program + command + " & while [ ! -e volume/new/" + half + " ]; do kill -0 $!; done; kill -KILL 0"
		if output, err := s.run(killed); err == nil || !s.exists("volume/new/"+half) {
			t.Fatalf("a killed run: got %v: %s, want half of a database", err, output)
		}
		s.want(false, true)
	}
	if output, err := s.run(program + "exec " + command); err != nil {
		t.Fatalf("init: %v: %s", err, output)
	}
	s.want(true, false)
	if output, err := s.run(program + "exit 99"); err != nil || !strings.Contains(output, "the database is there") {
		t.Fatalf("a second run: %v: %s", err, output)
	}

	command, promised := s.inject("db", secrets)
	server := s.start(command)
	defer server()
	s.checkDatabase(authority, port.Address(), promised)
}

// start starts the database and returns what ends it.
func (s *stage) start(command string) (stop func()) {
	s.t.Helper()
	var log strings.Builder
	arguments := strings.Fields(command)
	server := exec.Command(arguments[0], arguments[1:]...)
	server.Dir, server.SysProcAttr, server.Stdout, server.Stderr = s.folder, s.owner, &log, &log
	s.must(server.Start())
	return func() {
		s.must(server.Process.Signal(syscall.SIGTERM))
		if err := server.Wait(); err != nil || s.t.Failed() {
			s.t.Errorf("mariadbd: %v; its log: %s", err, log.String())
		}
	}
}

func (s *stage) checkDatabase(authority *mariadbtest.Authority, address string, promised *promise.Promise) {
	s.t.Helper()
	certificate, err := authority.Client("confidb-verify")
	s.must(err)
	target := mariadb.Target{Address: address, ServerName: mariadbtest.ServerName, CA: authority.Certificate,
		Account: mariadbtest.Account, Password: mariadbtest.Password, Certificate: certificate, Subject: mariadbtest.Subject,
		Issuer: mariadbtest.Issuer, KeyDirectory: s.path("enclave") + "/", Now: time.Now, Random: rand.Reader, Promise: promised, StartSecret: mariadbtest.StartSecret, Verifier: strings.Repeat("1a", 16)}
	s.await(address)
	report := mariadb.Observe(s.t.Context(), target, mariadb.Impostors{}).Report()
	for _, finding := range report {
		if finding.Outcome != check.Pass && !strings.HasPrefix(finding.ID, "mtls-") { // no impostors here
			s.t.Errorf("%s: got %v (%s; %s), want %s", finding.ID, finding.Outcome, finding.Got, finding.Reason, finding.Want)
		}
	}
	s.wantDatabases("app", "confidb", "confidb_verify", "mysql", "performance_schema", "sys")
}

// await waits until the database listens.
func (s *stage) await(address string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			s.must(conn.Close())
			return
		}
		select {
		case <-ctx.Done():
			s.t.Fatalf("the database does not listen: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// wantDatabases checks that there is no database but these: none called test.
func (s *stage) wantDatabases(want ...string) {
	s.t.Helper()
	entries, err := os.ReadDir(s.path("volume/data"))
	s.must(err)
	var got []string
	for _, entry := range entries {
		if entry.IsDir() {
			got = append(got, entry.Name())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("databases (-want +got):\n%s", diff)
	}
}
