package maxscale

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/cluster"
	"github.com/confidb/confidb/pkg/lab/maxscale/settings"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// monitor is one of the configuration, which is made anew when it is changed.
type monitor struct {
	name string
	now  atomic.Pointer[cluster.Monitor]

	guard  sync.Mutex
	cancel context.CancelFunc // nil while it is stopped
	runs   sync.WaitGroup
}

// newMonitor makes a monitor, which knows of the one before only what is in the journal.
func (m *instance) newMonitor(s settings.Section) *cluster.Monitor {
	var servers []backend.Server
	for _, name := range s.List("servers") {
		servers = append(servers, m.servers[name])
	}
	env := cluster.Env{Dial: cluster.Connect(servers, account(s)), Log: func(level cluster.Level, text string) { m.launch.Log.Say(string(level), text) }, Now: m.host.Now, Wait: wait, Random: random,
		ReadFile: read, Sessions: m.sessionsAt, Lost: m.lost}
	text, err := os.ReadFile(m.journal(s.Name))
	if err != nil {
		text = nil // there is none yet
	}
	return cluster.New(m.monitorSettings(s), env, cluster.ReadJournal(text))
}

// start runs the monitor until it is stopped, or ctx ends.
func (mon *monitor) start(ctx context.Context) {
	mon.guard.Lock()
	defer mon.guard.Unlock()
	if mon.cancel != nil || ctx.Err() != nil {
		return
	}
	inner, cancel := context.WithCancel(ctx)
	mon.cancel = cancel
	runs := mon.now.Load()
	mon.runs.Go(func() { runs.Run(inner) })
}

// stop ends the monitor, and waits until it has ended.
func (mon *monitor) stop() {
	mon.guard.Lock()
	defer mon.guard.Unlock()
	if mon.cancel != nil {
		mon.cancel()
		mon.cancel = nil
	}
	mon.runs.Wait()
}

// running reports whether the monitor has not been stopped.
func (mon *monitor) running() bool {
	mon.guard.Lock()
	defer mon.guard.Unlock()
	return mon.cancel != nil
}

// replace puts another monitor in the place of this one.
func (mon *monitor) replace(ctx context.Context, by *cluster.Monitor) {
	on := mon.running()
	mon.stop()
	if mon.now.Store(by); on {
		mon.start(ctx)
	}
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

// account is as whom a monitor or service logs in.
func account(s settings.Section) backend.Identity {
	const utf8mb4 = 45
	who := backend.Identity{User: s.Text("user"), Charset: utf8mb4, Capabilities: wire.LongFlag | wire.Transactions | wire.MultiStatements | wire.MultiResults}
	if password := s.Text("password"); password != "" {
		h := wire.HashPassword(password)
		who.Password = &h
	}
	return who
}

// monitor is the monitor of this name, or nil.
func (m *instance) monitor(name string) *monitor {
	for _, mon := range m.monitors {
		if mon.name == name {
			return mon
		}
	}
	return nil
}

// viewOf is what a monitor says, nil if there is none of this name.
func (m *instance) viewOf(name string) *cluster.View {
	if mon := m.monitor(name); mon != nil {
		return mon.now.Load().View()
	}
	return nil
}

// monitorSettings are those of a section, in the words of package cluster.
func (m *instance) monitorSettings(s settings.Section) cluster.Settings {
	made := cluster.Settings{Name: s.Name, Interval: s.Duration("monitor_interval"), ConnectTimeout: s.Duration("backend_connect_timeout"), ReadTimeout: s.Duration("backend_read_timeout"),
		WriteTimeout: s.Duration("backend_write_timeout"), MasterFailureTimeout: s.Duration("master_failure_timeout"), FailoverTimeout: s.Duration("failover_timeout"),
		SwitchoverTimeout: s.Duration("switchover_timeout"), Failcount: s.Int("failcount"), AutoFailover: s.Bool("auto_failover"), AutoRejoin: s.Bool("auto_rejoin"),
		EnforceReadOnlySlaves: s.Bool("enforce_read_only_slaves"), EnforceWritableMaster: s.Bool("enforce_writable_master"), Passive: s.Bool("passive"),
		SkipVerifyMasterFailure: !s.Bool("verify_master_failure"), SkipEvents: !s.Bool("handle_events"), ReplicationUser: s.Text("replication_user"), ReplicationPassword: s.Text("replication_password"),
		ReplicationMasterSSL: s.Bool("replication_master_ssl"), ReplicationCustomOptions: s.Text("replication_custom_options"),
		PromotionSQLFile: s.Text("promotion_sql_file"), DemotionSQLFile: s.Text("demotion_sql_file"), ServersNoPromotion: s.List("servers_no_promotion")}
	if mode := s.Text("cooperative_monitoring_locks"); mode != "none" {
		made.Locks = cluster.LockMode(mode)
	}
	if made.ReplicationUser == "" {
		made.ReplicationUser, made.ReplicationPassword = s.Text("user"), s.Text("password")
	}
	for _, name := range s.List("servers") {
		if server, ok := m.settings().Find(name); ok {
			made.Servers = append(made.Servers, cluster.Server{Name: name, Host: server.Text("address"), Port: server.Int("port"), ReplicationCustomOptions: server.Text("replication_custom_options")})
		}
	}
	return made
}

// view is what the monitors say of the servers of one service.
type view struct {
	instance *instance
	servers  []string
}

// Primary is the server that is Master.
func (v view) Primary() string {
	for _, name := range v.servers {
		if bits := v.instance.bits(name); bits&cluster.Master != 0 && usable(bits) {
			return name
		}
	}
	return ""
}

// Replicas are the servers that are Slave.
func (v view) Replicas() (all []string) {
	for _, name := range v.servers {
		if bits := v.instance.bits(name); bits&cluster.Slave != 0 && usable(bits) {
			all = append(all, name)
		}
	}
	return all
}

// all is the view of a service whose servers have nothing to do with each other: each that
// runs is used.
type all struct{ view }

// Primary is none.
func (all) Primary() string { return "" }

// Replicas are the servers that run.
func (v all) Replicas() (running []string) {
	for _, name := range v.servers {
		if usable(v.instance.bits(name)) {
			running = append(running, name)
		}
	}
	return running
}

// usable reports whether a session goes to a server that is in this state.
func usable(bits cluster.Bits) bool {
	return bits&cluster.Running != 0 && bits&(cluster.Maintenance|cluster.Drain) == 0
}

// bits are what the monitor of a server says of it.
func (m *instance) bits(server string) cluster.Bits {
	for _, monitor := range m.monitors {
		if s := monitor.now.Load().View().Server(server); s != nil {
			return s.Bits
		}
	}
	return 0
}

// reachable are the servers of a service that answer, the best one first; before the first
// tick all of them.
func (v view) reachable() []backend.Server {
	var first, others []backend.Server
	for _, name := range v.servers {
		switch bits := v.instance.bits(name); {
		case bits&cluster.Master != 0:
			first = append(first, v.instance.servers[name])
		case bits&cluster.Running != 0:
			others = append(others, v.instance.servers[name])
		}
	}
	return slices.Concat(first, others)
}
