package keeper

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/maxscale"
	"github.com/confidb/confidb/pkg/mysql"
)

// Names and ports of a cluster, as its sessions and chart have them.
const (
	serverPort, gatePort, keeperPort = "3306", "3307", "8990"

	adminAddress, adminName, adminAccount = "127.0.0.1:8989", "localhost", "confidb"
	monitorName                           = "Mon"

	peerName, operateName      = "confidb-peer", "confidb-operate"
	peerAccount, keeperAccount = "confidb_peer", "confidb_keeper"
	dataFolder                 = "/var/lib/mysql/data"
	leaveTime, operateTime     = 25 * time.Second, 60 * time.Second
)

// keeperAt is where a keeper is asked.
type keeperAt struct {
	address string
	secure  *tls.Config
}

// program is one of the programs, and what it depends on.
type program struct {
	files  injected
	getenv func(string) string
	// data is the folder that is there if there is a database.
	data   string
	listen func(port string) (net.Listener, error)
	// reach says, in tests, where the keepers are; nil means where the cluster has them.
	reach          func(cluster Cluster, own tls.Certificate) []keeperAt
	wait           func(context.Context, time.Duration) error
	now            func() time.Time
	stdout, stderr io.Writer
	arguments      []string
}

// Is reports whether a name is that of a program of this package: gate, keeper, leave,
// operate, prepare, seed or watch.
func Is(name string) bool { return programs()[name] != nil }

func programs() map[string]func(*program, context.Context) error {
	return map[string]func(*program, context.Context) error{
		"gate": (*program).gate, "keeper": (*program).keeper, "leave": (*program).leave, "operate": (*program).operate, "prepare": (*program).prepare, "seed": (*program).seed, "watch": (*program).watch,
	}
}

// Main runs a program of this package and returns 0, or 1 if it could not do its work. Gate
// prints one word: see Word.String. Operate prints the name of the primary. What they wait
// for is on stderr, a line for each change.
func Main(arguments []string, getenv func(string) string, stdout, stderr io.Writer) int {
	p := &program{files: injected{files: os.DirFS(Injected)}, getenv: getenv, data: dataFolder, wait: wait, now: time.Now,
		listen: func(port string) (net.Listener, error) { return net.Listen("tcp", ":"+port) },
		stdout: stdout, stderr: stderr, arguments: arguments[1:]}
	if err := programs()[arguments[0]](p, context.Background()); err != nil {
		fmt.Fprintf(stderr, "error: %s\n", check.Said(err.Error()))
		return 1
	}
	return 0
}

// wait waits for d, or until ctx is done.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *program) say() func(string) {
	var mutex sync.Mutex
	return func(text string) {
		mutex.Lock()
		defer mutex.Unlock()
		fmt.Fprintln(p.stderr, text)
	}
}

// noArguments returns an error if there are arguments.
func (p *program) noArguments() error {
	if len(p.arguments) > 0 {
		return fmt.Errorf("%d arguments: want none", len(p.arguments))
	}
	return nil
}

// gate is the service `gate` of a member.
func (p *program) gate(ctx context.Context) error {
	g, err := p.gateHere()
	if err != nil {
		return err
	}
	word, err := g.run(ctx)
	if err != nil {
		return err
	}
	g.say(word.Why)
	fmt.Fprintln(p.stdout, word)
	return nil
}

// gateHere is the gate that the injected files describe. How many members there are says the
// host: a wrong number makes it wait, or start without a loss where those agree that there are.
func (p *program) gateHere() (*gate, error) {
	cluster, roots := p.files.cluster(), p.files.roots("ca.crt")
	server, peer, password := p.files.pair("server"), p.files.pair("peer"), p.files.text("peer.password")
	if err := errors.Join(p.noArguments(), p.files.err); err != nil {
		return nil, err
	}
	ordinal, err := cluster.self()
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(p.getenv("CONFIDB_DATABASES"))
	if err != nil || n < 3 || n > min(4, len(cluster.Databases)) || ordinal >= n {
		return nil, fmt.Errorf("CONFIDB_DATABASES of %d characters for the database %d: want 3 or 4, and more than that", len(p.getenv("CONFIDB_DATABASES")), ordinal)
	}
	g := &gate{own: Own{Ordinal: ordinal}, secure: listening(server, roots, peerName), wait: p.wait, now: p.now, say: p.say()}
	switch _, err := os.Lstat(p.data); {
	case err == nil:
		g.own.Database = true
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	for i, d := range cluster.Databases[:n] {
		if i != ordinal {
			g.neighbours = append(g.neighbours, neighbour{ordinal: i, gate: net.JoinHostPort(d.Host, gatePort), secure: asking(peer, roots, d.Host),
				login: login(d, peerAccount, string(password), peer, roots)})
		}
	}
	g.listener, err = p.listen(gatePort)
	return g, err
}

// login is one at the server of a member, which must prove its own name.
func login(at Host, account, password string, own tls.Certificate, roots *x509.CertPool) mysql.Login {
	return mysql.Login{Address: net.JoinHostPort(at.Host, serverPort), Account: account, Password: password, Timeout: answerTime,
		TLS: &tls.Config{Certificates: []tls.Certificate{own}, RootCAs: roots, ServerName: at.Host, MinVersion: tls.VersionTLS12}}
}

// keeper is the service `keeper` beside a MaxScale.
func (p *program) keeper(ctx context.Context) error {
	cluster, roots, admin := p.files.cluster(), p.files.roots("ca.crt"), p.files.roots("admin-ca.crt")
	front, backend := p.files.pair("front"), p.files.pair("backend")
	password, rest := p.files.text("keeper.password"), p.files.text("rest.password")
	if err := errors.Join(p.noArguments(), p.files.err); err != nil {
		return err
	}
	k := &Keeper{MaxScale: administered{maxscale.New(adminAddress, adminName, admin, adminAccount, string(rest), monitorName, p.wait)}, Say: p.say(), Now: p.now,
		Ready: func() (net.Listener, error) { return p.listen(readyPort) }}
	for i, d := range cluster.Databases {
		k.Members = append(k.Members, Member{Ordinal: i, Name: d.Name, Login: login(d, keeperAccount, string(password), backend, roots)})
	}
	listener, err := p.listen(keeperPort)
	if err != nil {
		return err
	}
	return k.Run(ctx, listener, listening(front, roots, peerName, operateName), p.wait)
}

// requester asks all keepers that may be there.
func (p *program) requester(identity string) (requester, Cluster, error) {
	cluster, roots, own := p.files.cluster(), p.files.roots("ca.crt"), p.files.pair(identity)
	if err := errors.Join(p.noArguments(), p.files.err); err != nil {
		return requester{}, cluster, err
	}
	if p.reach != nil {
		return requester{p.reach(cluster, own), p.wait}, cluster, nil
	}
	r := requester{wait: p.wait}
	for _, m := range cluster.MaxScales {
		r.keepers = append(r.keepers, keeperAt{net.JoinHostPort(m.Host, keeperPort), asking(own, roots, m.Host)})
	}
	return r, cluster, nil
}

// leave is the service `leave` of a member: it returns nil if the member may be ended by a
// signal that lets it finish its work. Else it must be killed: a primary that ends in good
// order commits what nobody has acknowledged.
func (p *program) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	r, cluster, err := p.requester("peer")
	if err != nil {
		return err
	}
	if _, err := cluster.self(); err != nil {
		return err
	}
	return p.asked(ctx, r, request{From: cluster.Self})
}

// operate is the service `operate` of the client: a planned change of the primary.
func (p *program) operate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, operateTime)
	defer cancel()
	r, cluster, err := p.requester("operate")
	if err != nil {
		return err
	}
	asked := request{}
	if to := p.getenv("CONFIDB_TO"); to != "" {
		for _, d := range cluster.Databases {
			if d.Name == to || d.Pod == to {
				asked.To = d.Name
			}
		}
		if asked.To == "" {
			return fmt.Errorf("CONFIDB_TO of %d characters: want the name of a database of this cluster", len(to))
		}
	}
	return p.asked(ctx, r, asked)
}

func (p *program) asked(ctx context.Context, r requester, asked request) error {
	said, err := r.ask(ctx, asked)
	switch {
	case err != nil:
		return err
	case said.Result != done:
		return fmt.Errorf("%s: %s", said.Result, said.Why)
	}
	fmt.Fprintln(p.stdout, check.Said(said.Primary))
	return nil
}

// prepare is the service `prepare`: it makes the folders of a MaxScale below its argument,
// and the file of who may administer it. The certificate that MaxScale's configuration names
// is put there last: MaxScale does not start without it, so not without that file.
func (p *program) prepare(context.Context) error {
	if len(p.arguments) != 1 {
		return fmt.Errorf("%d arguments: want the folder of MaxScale", len(p.arguments))
	}
	password, certificate := p.files.text("rest.password"), p.files.text("admin.crt")
	if p.files.err != nil {
		return p.files.err
	}
	users, err := maxscale.Users(adminAccount, string(password))
	if err != nil {
		return err
	}
	folder := p.arguments[0]
	made := filepath.Join(folder, "made.crt")
	if err := os.Remove(made); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range []string{"data", "cache", "persist", "pid", "log"} {
		if err := os.MkdirAll(filepath.Join(folder, name), 0o700); err != nil {
			return err
		}
	}
	if err := write(filepath.Join(folder, "data", "passwd"), users, 0o600); err != nil {
		return err
	}
	return write(made, certificate, 0o644)
}

// write replaces a file, whose content is on the disk when it returns.
func write(path string, content []byte, mode fs.FileMode) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// administered is the MaxScale beside a keeper.
type administered struct{ *maxscale.Client }

// Monitor is what it says of itself.
func (a administered) Monitor(ctx context.Context) (Monitor, error) {
	state, err := a.State(ctx)
	if err != nil {
		return Monitor{}, err
	}
	m := Monitor{Primary: state.Primary, Idle: state.Activity == "Idle" || state.Activity == "Monitoring servers"}
	for _, s := range state.Servers {
		m.Servers = append(m.Servers, s.Name)
		m.SawPrimary = m.SawPrimary || s.Is("Down") && s.LastEvent == "master_down"
	}
	return m, nil
}
