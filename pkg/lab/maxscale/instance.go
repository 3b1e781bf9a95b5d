package maxscale

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/accounts"
	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/cluster"
	"github.com/confidb/confidb/pkg/lab/maxscale/route"
	"github.com/confidb/confidb/pkg/lab/maxscale/settings"
	"github.com/confidb/confidb/pkg/lab/maxscale/sql"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// Main is the whole program: it takes a command line, and returns the exit code of the real
// one. It ends with ctx.
func Main(ctx context.Context, args []string, host settings.Host) int {
	host.Out = &lines{to: host.Out}
	return settings.Command(args, host, func(l settings.Launch) int {
		m, err := assemble(l, host)
		if err == nil {
			err = m.run(ctx)
		}
		if err != nil {
			l.Log.Say("error", err.Error())
			return 1
		}
		return 0
	})
}

// lines lets one write at a time.
type lines struct {
	guard sync.Mutex
	to    io.Writer
}

// Write writes a line.
func (l *lines) Write(line []byte) (int, error) {
	l.guard.Lock()
	defer l.guard.Unlock()
	return l.to.Write(line)
}

// instance is a running MaxScale.
type instance struct {
	config *settings.Config
	launch settings.Launch
	host   settings.Host
	words  *sql.Words
	// routed and watched are the servers, as sessions and as monitors reach them.
	routed, watched map[string]backend.Server
	monitors        []*monitor
	services        []*service
	listeners       []*listener
	blocker         *accounts.Blocker
}

// monitor is one of the configuration, which is made anew when it is changed.
type monitor struct {
	name string
	now  atomic.Pointer[cluster.Monitor]
}

type service struct {
	*route.Service
	section settings.Section
	store   *accounts.Store
	view    view
}

type listener struct {
	section settings.Section
	service *service
	tls     atomic.Pointer[tls.Config] // what it holds is nil for one in clear
}

// assemble makes what the configuration says.
func assemble(l settings.Launch, host settings.Host) (*instance, error) {
	m := &instance{config: l.Config, launch: l, host: host, words: sql.NewWords(), routed: map[string]backend.Server{}, watched: map[string]backend.Server{},
		blocker: &accounts.Blocker{Most: l.Config.Global.Int("max_auth_errors_until_block"), Now: host.Now}}
	if err := m.refuse(); err != nil {
		return nil, err
	}
	for _, s := range l.Config.Of("server") {
		if err := m.addServer(s); err != nil {
			return nil, err
		}
	}
	for _, s := range l.Config.Of("monitor") {
		made := &monitor{name: s.Name}
		made.now.Store(m.newMonitor(s))
		m.monitors = append(m.monitors, made)
	}
	for _, s := range l.Config.Of("service") {
		if err := m.addService(s); err != nil {
			return nil, err
		}
	}
	return m, m.addListeners()
}

// refuse returns an error for what the configuration may say and is not done here.
func (m *instance) refuse() error {
	for _, s := range m.config.Of("service") {
		if s.Module != "readwritesplit" {
			return fmt.Errorf("lab stand-in: the router '%s' is not imitated", s.Module)
		}
		for key, standard := range map[string]bool{"transaction_replay": false, "master_reconnection": true, "master_accept_reads": false, "retry_failed_reads": true, "strict_tmp_tables": true, "prune_sescmd_history": true} {
			if s.Bool(key) != standard {
				return fmt.Errorf("lab stand-in: '%s' of '%s' is imitated with %v only", key, s.Name, standard)
			}
		}
		if s.Duration("max_replication_lag") != 0 || s.Duration("connection_timeout") != 0 || s.Int("max_slave_connections") != 255 || s.Text("version_string") != "" {
			return fmt.Errorf("lab stand-in: max_replication_lag, connection_timeout, max_slave_connections and version_string of '%s' are not imitated", s.Name)
		}
	}
	return nil
}

func (m *instance) addServer(s settings.Section) error {
	routed, err := toServer(s, false)
	watched, wrong := toServer(s, true)
	if err := errors.Join(err, wrong); err != nil {
		return err
	}
	m.routed[s.Name] = backend.Server{Name: s.Name, Address: address(s), TLS: routed}
	m.watched[s.Name] = backend.Server{Name: s.Name, Address: address(s), TLS: watched}
	return nil
}

// newMonitor makes a monitor, which knows of the one before only what is in the journal.
func (m *instance) newMonitor(s settings.Section) *cluster.Monitor {
	env := cluster.Env{Dial: m.dialer(s), Log: func(level cluster.Level, text string) { m.launch.Log.Say(string(level), text) }, Now: m.host.Now, Wait: wait, Random: random,
		ReadFile: read, Sessions: m.sessionsAt, Lost: m.lost}
	text, err := os.ReadFile(m.journal(s.Name))
	if err != nil {
		text = nil // there is none yet
	}
	return cluster.New(m.monitorSettings(s), env, cluster.ReadJournal(text))
}

func (m *instance) journal(monitor string) string {
	return filepath.Join(m.launch.Data, monitor+"_journal.json")
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func random(n int) int {
	chosen, err := rand.Int(rand.Reader, big.NewInt(int64(max(n, 1))))
	if err != nil {
		return 0
	}
	return int(chosen.Int64())
}

// sessionsAt is how many sessions are connected to a server.
func (m *instance) sessionsAt(server string) (n int) {
	for _, s := range m.services {
		n += s.Connections(server)
	}
	return n
}

// lost ends the connections to a server that is down.
func (m *instance) lost(server string) {
	for _, s := range m.services {
		s.Lost(server)
	}
}

func (m *instance) addService(s settings.Section) error {
	made := &service{section: s, view: view{m, m.config.Servers(s)}}
	made.store = accounts.NewStore(accounts.Options{Servers: made.view.reachable, Service: account(s), All: s.Bool("auth_all_servers"), Root: s.Bool("enable_root_user"),
		RefreshTime: m.config.Global.Duration("users_refresh_time"), Now: m.host.Now, Log: func(line string) { m.launch.Log.Say("error", "["+s.Name+"] "+line) },
		Unmeasured: func(id, what string) { m.launch.Log.Say("warning", "lab stand-in: unmeasured "+id+": "+what) }})
	o := route.Options{Service: s.Name, View: made.view, Accounts: made.store, Blocker: m.blocker, Capabilities: wire.Plain, Words: m.words, MaxConnections: s.Int("max_connections"),
		History: s.Int("max_sescmd_history"), CausalTimeout: s.Duration("causal_reads_timeout"), Random: rand.Reader, Now: m.host.Now, Log: m.launch.Log.Say}
	for _, name := range made.view.servers {
		o.Servers = append(o.Servers, m.routed[name])
	}
	switch s.Text("causal_reads") {
	case "local", "true":
		o.CausalReads = route.CausalLocal
	case "global":
		o.CausalReads = route.CausalGlobal
	}
	if s.Bool("delayed_retry") {
		o.DelayedRetry = s.Duration("delayed_retry_timeout")
	}
	if err := m.filter(s, &o); err != nil {
		return err
	}
	made.Service = route.NewService(o)
	m.services = append(m.services, made)
	return nil
}

func (m *instance) addListeners() error {
	for _, s := range m.config.Of("listener") {
		made := &listener{section: s}
		for _, service := range m.services {
			if service.section.Name == s.Text("service") {
				made.service = service
			}
		}
		if made.service == nil {
			return fmt.Errorf("the service of listener '%s' is not there", s.Name)
		}
		secure, err := toClients(s)
		if err != nil {
			return err
		}
		made.tls.Store(secure)
		m.listeners = append(m.listeners, made)
	}
	return nil
}

// run watches the servers, and serves clients once all have been asked, until ctx ends.
func (m *instance) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var first, all sync.WaitGroup
	for _, mon := range m.monitors {
		first.Go(func() { mon.now.Load().Tick(ctx) })
	}
	first.Wait()
	for _, mon := range m.monitors {
		all.Go(func() { mon.now.Load().Run(ctx) })
		all.Go(func() { m.keepJournal(ctx, mon) })
	}
	for _, s := range m.services {
		all.Go(func() { m.refresh(ctx, s) })
	}
	failed := make(chan error, len(m.listeners))
	for _, l := range m.listeners {
		opened, err := net.Listen("tcp", address(l.section))
		if err != nil {
			failed <- fmt.Errorf("Failed to listen on [%s]:%s: %w", l.section.Text("address"), l.section.Text("port"), err)
			break
		}
		m.launch.Log.Say("notice", fmt.Sprintf("(%s); Listening for connections at [%s]:%s", l.section.Name, l.section.Text("address"), l.section.Text("port")))
		all.Go(func() { failed <- l.service.Serve(ctx, opened, l.secure()) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	cancel()
	all.Wait()
	return err
}

// secure is how a listener is secured at the moment, nil for one in clear.
func (l *listener) secure() func() *tls.Config {
	if l.tls.Load() == nil {
		return nil
	}
	return l.tls.Load
}

// refresh reads the accounts of a service: until they were read once, and then as often as
// that is configured.
func (m *instance) refresh(ctx context.Context, s *service) {
	every := m.config.Global.Duration("users_refresh_interval")
	for ctx.Err() == nil {
		pause := every
		if !s.store.Load(ctx) {
			pause = time.Second
		} else if every == 0 {
			return
		}
		wait(ctx, pause)
	}
}

// keepJournal writes down whom a monitor has as primary, when that changes.
func (m *instance) keepJournal(ctx context.Context, mon *monitor) {
	var written string
	for ; ctx.Err() == nil; wait(ctx, time.Second) {
		text, err := mon.now.Load().Remembered().Journal()
		if err != nil || string(text) == written {
			continue
		}
		if err := os.WriteFile(m.journal(mon.name), text, 0o644); err != nil {
			m.launch.Log.Say("error", fmt.Sprintf("Failed to write '%s': %v", m.journal(mon.name), err))
			continue
		}
		written = string(text)
	}
}

// filter puts the filters of a service into its options.
func (m *instance) filter(s settings.Section, o *route.Options) error {
	for _, name := range s.List("filters") {
		return fmt.Errorf("lab stand-in: filter '%s' is not imitated yet", name)
	}
	return nil
}
