package maxscale

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/accounts"
	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/route"
	"github.com/confidb/confidb/pkg/lab/maxscale/settings"
	"github.com/confidb/confidb/pkg/lab/maxscale/sql"
)

// Main is the whole program: it takes a command line, and returns the exit code of the real
// one. It ends with ctx.
func Main(ctx context.Context, args []string, host settings.Host) int {
	host.Out = &lines{to: host.Out}
	return settings.Command(args, host, func(l settings.Launch) int {
		m, err := assemble(ctx, l, host)
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
	now     atomic.Pointer[settings.Config] // as it was changed last
	launch  settings.Launch
	host    settings.Host
	words   *sql.Words
	started time.Time
	context context.Context // of what runs
	// servers are they as sessions reach them.
	servers   map[string]backend.Server
	monitors  []*monitor
	services  []*service
	listeners []*listener
	blocker   *accounts.Blocker
}

func (m *instance) settings() *settings.Config { return m.now.Load() }

type service struct {
	*route.Service
	name  string
	store *accounts.Store
	view  view
}

type listener struct {
	section settings.Section
	service *service
	tls     atomic.Pointer[tls.Config] // what it holds is nil for one in clear
}

// assemble makes what the configuration says.
func assemble(ctx context.Context, l settings.Launch, host settings.Host) (*instance, error) {
	m := &instance{launch: l, host: host, words: sql.NewWords(), started: host.Now(), context: ctx, servers: map[string]backend.Server{},
		blocker: &accounts.Blocker{Most: l.Config.Global.Int("max_auth_errors_until_block"), Now: host.Now}}
	m.now.Store(l.Config)
	if err := m.refuse(); err != nil {
		return nil, err
	}
	for _, s := range l.Config.Of("server") {
		secure, err := toServer(s)
		if err != nil {
			return nil, err
		}
		m.servers[s.Name] = backend.Server{Name: s.Name, Address: address(s), TLS: secure}
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

// schemaRouter is the router by which each server has databases of its own.
const schemaRouter = "schemarouter"

// refuse returns an error for what the configuration may say and is not done here.
func (m *instance) refuse() error {
	if m.persisted() {
		return fmt.Errorf("lab stand-in: loading what was changed at run time is not imitated, and '%s' has some", m.launch.Persist)
	}
	for _, s := range m.settings().Of("service") {
		if s.Duration("connection_timeout") != 0 || s.Text("version_string") != "" {
			return fmt.Errorf("lab stand-in: connection_timeout and version_string of '%s' are not imitated", s.Name)
		}
		if s.Module == schemaRouter {
			if !s.Bool("auth_all_servers") {
				return fmt.Errorf("lab stand-in: '%s' is imitated with auth_all_servers only: without it, what is at which server decides who may come in", s.Name)
			}
			continue
		}
		for key, standard := range map[string]bool{"transaction_replay": false, "master_reconnection": true, "master_accept_reads": false, "retry_failed_reads": true, "strict_tmp_tables": true, "prune_sescmd_history": true} {
			if s.Bool(key) != standard {
				return fmt.Errorf("lab stand-in: '%s' of '%s' is imitated with %v only", key, s.Name, standard)
			}
		}
		if s.Duration("max_replication_lag") != 0 || s.Int("max_slave_connections") != 255 {
			return fmt.Errorf("lab stand-in: max_replication_lag and max_slave_connections of '%s' are not imitated", s.Name)
		}
	}
	return nil
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
	made := &service{name: s.Name, view: view{m, m.settings().Servers(s)}}
	made.store = accounts.NewStore(accounts.Options{Servers: made.view.reachable, Service: account(s), All: s.Bool("auth_all_servers"), Root: s.Bool("enable_root_user"),
		RefreshTime: m.launch.Config.Global.Duration("users_refresh_time"), Now: m.host.Now, Log: func(line string) { m.launch.Log.Say("error", "["+s.Name+"] "+line) },
		Unmeasured: func(id, what string) { m.launch.Log.Say("warning", "lab stand-in: unmeasured "+id+": "+what) }})
	o := route.Options{Service: s.Name, View: made.view, Accounts: made.store, Blocker: m.blocker, Words: m.words, MaxConnections: s.Int("max_connections"),
		History: s.Int("max_sescmd_history"), CausalTimeout: s.Duration("causal_reads_timeout"), Random: rand.Reader, Now: m.host.Now, Log: m.launch.Log.Say}
	for _, name := range made.view.servers {
		o.Servers = append(o.Servers, m.servers[name])
	}
	switch s.Text("causal_reads") {
	case "local", "true":
		o.CausalReads = route.CausalLocal
	case "global":
		o.CausalReads = route.CausalGlobal
	}
	if s.Module == schemaRouter {
		o.View, o.Shards = all{made.view}, &route.Shards{Refresh: s.Duration("refresh_interval")}
	}
	if s.Bool("delayed_retry") {
		o.DelayedRetry = s.Duration("delayed_retry_timeout")
	}
	filters, err := m.filters(s)
	if err != nil {
		return err
	}
	o.Filter = filters
	made.Service = route.NewService(o)
	m.services = append(m.services, made)
	return nil
}

func (m *instance) addListeners() error {
	for _, s := range m.settings().Of("listener") {
		made := &listener{section: s}
		for _, service := range m.services {
			if service.name == s.Text("service") {
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
	m.context = ctx
	var all sync.WaitGroup
	failed := make(chan error, len(m.listeners)+1)
	if err := m.administer(ctx, &all, failed); err != nil {
		return err
	}
	m.watch(ctx, &all)
	for _, s := range m.services {
		all.Go(func() { m.refresh(ctx, s) })
	}
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

// watch asks all servers once, and begins to watch them.
func (m *instance) watch(ctx context.Context, all *sync.WaitGroup) {
	var first sync.WaitGroup
	for _, mon := range m.monitors {
		first.Go(func() { mon.now.Load().Tick(ctx) })
	}
	first.Wait()
	for _, mon := range m.monitors {
		mon.start(ctx)
		all.Go(func() { m.keepJournal(ctx, mon) })
		all.Go(func() {
			<-ctx.Done()
			mon.stop()
		})
	}
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
	every := m.launch.Config.Global.Duration("users_refresh_interval")
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
