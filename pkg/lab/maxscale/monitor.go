package maxscale

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/cluster"
	"github.com/confidb/confidb/pkg/lab/maxscale/settings"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// watcher is a connection of a monitor.
type watcher struct{ *backend.Conn }

// Query runs a statement.
func (w watcher) Query(ctx context.Context, sql string) ([]cluster.Row, error) {
	result, err := w.Conn.Query(ctx, sql)
	var refused *wire.Error
	if errors.As(err, &refused) {
		return nil, &cluster.Refusal{Code: refused.Code, Message: refused.Message}
	}
	if err != nil {
		return nil, err
	}
	rows := make([]cluster.Row, len(result.Rows))
	for i, cells := range result.Rows {
		rows[i] = cluster.Row{}
		for k, cell := range cells {
			if !cell.Null {
				rows[i][result.Columns[k]] = cell.Text
			}
		}
	}
	return rows, nil
}

// ID is the server's number of the connection.
func (w watcher) ID() uint64 { return uint64(w.Greeting.ConnectionID) }

// Version is the server's, without what is put before it for old replicas.
func (w watcher) Version() string { return strings.TrimPrefix(w.Greeting.Version, "5.5.5-") }

// dialer connects a monitor to servers. The time is that of the context: what a server that
// hangs costs is the monitor's to say.
func (m *instance) dialer(monitor settings.Section) cluster.Dial {
	who := account(monitor)
	return func(ctx context.Context, name string) (cluster.Session, error) {
		server := m.watched[name]
		if until, ok := ctx.Deadline(); ok {
			server.Timeout = time.Until(until)
		}
		conn, err := backend.Dial(ctx, server, who)
		var refused *wire.Error
		if errors.As(err, &refused) {
			return nil, &cluster.Refusal{Code: refused.Code, Message: refused.Message}
		}
		if err != nil {
			return nil, err
		}
		return watcher{conn}, nil
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

// monitorSettings are those of a section, in the words of package cluster.
func (m *instance) monitorSettings(s settings.Section) cluster.Settings {
	made := cluster.Settings{Name: s.Name, Interval: s.Duration("monitor_interval"), ConnectTimeout: s.Duration("backend_connect_timeout"), ReadTimeout: s.Duration("backend_read_timeout"),
		WriteTimeout: s.Duration("backend_write_timeout"), MasterFailureTimeout: s.Duration("master_failure_timeout"), FailoverTimeout: s.Duration("failover_timeout"),
		SwitchoverTimeout: s.Duration("switchover_timeout"), Failcount: s.Int("failcount"), AutoFailover: s.Bool("auto_failover"), AutoRejoin: s.Bool("auto_rejoin"),
		EnforceReadOnlySlaves: s.Bool("enforce_read_only_slaves"), EnforceWritableMaster: s.Bool("enforce_writable_master"), Passive: s.Bool("passive"),
		SkipVerifyMasterFailure: !s.Bool("verify_master_failure"), ReplicationUser: s.Text("replication_user"), ReplicationPassword: s.Text("replication_password"),
		ReplicationMasterSSL: s.Bool("replication_master_ssl"), ReplicationCustomOptions: s.Text("replication_custom_options"),
		PromotionSQLFile: s.Text("promotion_sql_file"), DemotionSQLFile: s.Text("demotion_sql_file"), ServersNoPromotion: s.List("servers_no_promotion")}
	if mode := s.Text("cooperative_monitoring_locks"); mode != "none" {
		made.Locks = cluster.LockMode(mode)
	}
	if made.ReplicationUser == "" {
		made.ReplicationUser, made.ReplicationPassword = s.Text("user"), s.Text("password")
	}
	for _, name := range s.List("servers") {
		if server, ok := m.config.Find(name); ok {
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
			first = append(first, v.instance.routed[name])
		case bits&cluster.Running != 0:
			others = append(others, v.instance.routed[name])
		}
	}
	return slices.Concat(first, others)
}
