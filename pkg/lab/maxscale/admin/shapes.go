package admin

import (
	"maps"
	"slices"

	"github.com/confidb/confidb/pkg/lab/maxscale/cluster"
)

// Object is something that is shown under /v1.
type Object struct {
	ID string
	// Attributes become JSON. They are one of the structs of this package.
	Attributes any
	// Relationships are the names of others, by their kind.
	Relationships map[string][]string
}

// Source is where an object comes from: "static" and the configuration's file, also after it
// was changed.
type Source struct {
	File string `json:"file"`
	Type string `json:"type"`
}

// Parameters are shown by name. Passwords in them are hidden before they are shown.
type Parameters map[string]any

// hidden are the parameters that are shown as asterisks.
func hidden(name string) bool {
	return slices.Contains([]string{"password", "replication_password", "monitorpw", "admin_pam_password"}, name)
}

// Hidden is a copy with asterisks in the place of passwords that are set.
func (p Parameters) Hidden() Parameters {
	shown := maps.Clone(p)
	for name, value := range shown {
		if hidden(name) && value != nil && value != "" {
			shown[name] = "*****"
		}
	}
	return shown
}

// SlaveConnection is a replication connection of a server.
type SlaveConnection struct {
	ConnectionName   string `json:"connection_name"`
	GTIDIOPos        string `json:"gtid_io_pos"`
	LastIOError      string `json:"last_io_error"`
	LastSQLError     string `json:"last_sql_error"`
	MasterHost       string `json:"master_host"`
	MasterPort       int    `json:"master_port"`
	MasterServerID   uint32 `json:"master_server_id"`
	MasterServerName any    `json:"master_server_name"`
	SecondsBehind    any    `json:"seconds_behind_master"`
	SlaveIORunning   string `json:"slave_io_running"`
	SlaveSQLRunning  string `json:"slave_sql_running"`
	UsingGTID        string `json:"using_gtid"`
}

// ServerAttributes are those of a server. One that no monitor knows lacks some.
type ServerAttributes struct {
	GTIDBinlogPos    *string           `json:"gtid_binlog_pos,omitempty"`
	GTIDCurrentPos   *string           `json:"gtid_current_pos,omitempty"`
	LastEvent        *string           `json:"last_event,omitempty"`
	LockHeld         *bool             `json:"lock_held"`
	MasterGroup      any               `json:"master_group"`
	MasterID         *int64            `json:"master_id,omitempty"`
	Name             string            `json:"name"`
	NodeID           *int64            `json:"node_id,omitempty"`
	Parameters       Parameters        `json:"parameters"`
	ReadOnly         *bool             `json:"read_only,omitempty"`
	ReplicationLag   *int64            `json:"replication_lag,omitempty"`
	ServerID         *int64            `json:"server_id,omitempty"`
	SlaveConnections []SlaveConnection `json:"slave_connections"`
	Source           Source            `json:"source"`
	State            string            `json:"state"`
	Statistics       Statistics        `json:"statistics"`
	TriggeredAt      *string           `json:"triggered_at,omitempty"`
	Uptime           *int64            `json:"uptime,omitempty"`
	VersionString    *string           `json:"version_string,omitempty"`
}

// Statistics are counts of sessions.
type Statistics struct {
	Connections      int `json:"connections"`
	TotalConnections int `json:"total_connections"`
}

// Server is a server as its monitor sees it; a nil view means that none does.
func Server(name string, parameters Parameters, source Source, statistics Statistics, view *cluster.View) Object {
	a := ServerAttributes{Name: name, Parameters: parameters, Source: source, Statistics: statistics, SlaveConnections: []SlaveConnection{}, State: "Down"}
	if s := view.Server(name); s != nil {
		a.see(s, view)
	}
	return Object{ID: name, Attributes: a}
}

func (a *ServerAttributes) see(s *cluster.ServerView, view *cluster.View) {
	text := func(t string) *string { return &t }
	number := func(n int64) *int64 { return &n }
	a.State, a.LockHeld = s.State, s.LockHeld
	a.MasterID, a.ReplicationLag = number(s.MasterID), number(s.Lag)
	if s.LastEvent != "" {
		a.LastEvent, a.TriggeredAt = text(s.LastEvent), text(s.Triggered)
	}
	if s.ServerID == 0 {
		return // it has never answered
	}
	a.GTIDBinlogPos, a.GTIDCurrentPos, a.VersionString = text(s.Binlog.String()), text(s.Current.String()), text(s.Version)
	a.NodeID, a.ServerID, a.ReadOnly, a.Uptime = number(int64(s.ServerID)), number(int64(s.ServerID)), &s.ReadOnly, number(s.Uptime)
	for _, c := range s.Slaves {
		a.SlaveConnections = append(a.SlaveConnections, connection(c, view))
	}
}

func connection(c cluster.SlaveConnection, view *cluster.View) SlaveConnection {
	shown := SlaveConnection{ConnectionName: c.Name, GTIDIOPos: c.IOPosition.String(), LastIOError: c.LastIOError, LastSQLError: c.LastSQError, MasterHost: c.MasterHost, MasterPort: c.MasterPort,
		MasterServerID: c.MasterServerID, SlaveIORunning: c.IORunning, SlaveSQLRunning: c.SQLRunning, UsingGTID: c.UsingGTID}
	if c.Behind >= 0 {
		shown.SecondsBehind = c.Behind
	}
	for _, s := range view.Servers {
		if s.Host == c.MasterHost && s.Port == c.MasterPort {
			shown.MasterServerName = s.Name
		}
	}
	return shown
}

// MonitorAttributes are those of a monitor.
type MonitorAttributes struct {
	Module             string             `json:"module"`
	MonitorDiagnostics MonitorDiagnostics `json:"monitor_diagnostics"`
	Parameters         Parameters         `json:"parameters"`
	Source             Source             `json:"source"`
	State              string             `json:"state"`
	Ticks              int64              `json:"ticks"`
}

// MonitorDiagnostics say who is active: primary is whether this instance has the locks, null
// without locks.
type MonitorDiagnostics struct {
	Master             *string      `json:"master"`
	MasterGTIDDomainID *uint32      `json:"master_gtid_domain_id"`
	Primary            *bool        `json:"primary"`
	ServerInfo         []ServerInfo `json:"server_info"`
	State              string       `json:"state"`
}

// ServerInfo is a server in the diagnostics of its monitor.
type ServerInfo struct {
	GTIDBinlogPos    string            `json:"gtid_binlog_pos"`
	GTIDCurrentPos   string            `json:"gtid_current_pos"`
	LockHeld         *bool             `json:"lock_held"`
	MasterGroup      any               `json:"master_group"`
	Name             string            `json:"name"`
	ReadOnly         bool              `json:"read_only"`
	ServerID         uint32            `json:"server_id"`
	SlaveConnections []SlaveConnection `json:"slave_connections"`
}

// Monitor is a monitor. Running says that it has not been stopped.
func Monitor(name string, parameters Parameters, source Source, running bool, view *cluster.View) Object {
	a := MonitorAttributes{Module: "mariadbmon", Parameters: parameters, Source: source, State: "Stopped", Ticks: view.Ticks}
	if running {
		a.State = "Running"
	}
	d := MonitorDiagnostics{Primary: view.Primary, State: view.State, ServerInfo: []ServerInfo{}}
	servers := []string{}
	if view.Master != "" {
		d.Master, d.MasterGTIDDomainID = &view.Master, &view.Domain
	}
	for _, s := range view.Servers {
		info := ServerInfo{GTIDBinlogPos: s.Binlog.String(), GTIDCurrentPos: s.Current.String(), LockHeld: s.LockHeld, Name: s.Name, ReadOnly: s.ReadOnly, ServerID: s.ServerID, SlaveConnections: []SlaveConnection{}}
		for _, c := range s.Slaves {
			info.SlaveConnections = append(info.SlaveConnections, connection(c, view))
		}
		d.ServerInfo = append(d.ServerInfo, info)
		servers = append(servers, s.Name)
	}
	a.MonitorDiagnostics = d
	return Object{ID: name, Attributes: a, Relationships: map[string][]string{"servers": servers}}
}

// ServiceAttributes are those of a service.
type ServiceAttributes struct {
	Connections       int               `json:"connections"`
	Listeners         []ServiceListener `json:"listeners"`
	Parameters        Parameters        `json:"parameters"`
	Router            string            `json:"router"`
	RouterDiagnostics map[string]any    `json:"router_diagnostics"`
	Source            Source            `json:"source"`
	Started           string            `json:"started"`
	State             string            `json:"state"`
	Statistics        Statistics        `json:"statistics"`
	TotalConnections  int               `json:"total_connections"`
	Users             []ServiceUser     `json:"users"`
	UsersLastUpdate   *string           `json:"users_last_update"`
}

// ServiceListener is a listener as its service shows it.
type ServiceListener struct {
	Attributes ListenerAttributes `json:"attributes"`
	ID         string             `json:"id"`
	Type       string             `json:"type"`
}

// ServiceUser is an account of the database that a service knows.
type ServiceUser struct {
	DefaultRole string `json:"default_role"`
	GlobalPriv  bool   `json:"global_priv"`
	Host        string `json:"host"`
	Plugin      string `json:"plugin"`
	ProxyPriv   bool   `json:"proxy_priv"`
	SSL         bool   `json:"ssl"`
	SuperPriv   bool   `json:"super_priv"`
	User        string `json:"user"`
}

// FilterAttributes are those of a filter: of masking, nothing but where its rules are.
type FilterAttributes struct {
	Module     string     `json:"module"`
	Parameters Parameters `json:"parameters"`
	Source     Source     `json:"source"`
}

// ListenerAttributes are those of a listener.
type ListenerAttributes struct {
	Parameters Parameters `json:"parameters"`
	Source     Source     `json:"source"`
	State      string     `json:"state"`
}

// MaxScaleAttributes are those of the instance.
type MaxScaleAttributes struct {
	ActivatedAt    string         `json:"activated_at"`
	Commit         string         `json:"commit"`
	ConfigSync     any            `json:"config_sync"`
	Parameters     Parameters     `json:"parameters"`
	ProcessDataDir string         `json:"process_datadir"`
	StartedAt      string         `json:"started_at"`
	System         map[string]any `json:"system"`
	Uptime         int64          `json:"uptime"`
	Version        string         `json:"version"`
}

// UserAttributes are those of a user of the interface.
type UserAttributes struct {
	Account    string  `json:"account"`
	Created    *string `json:"created"`
	LastLogin  *string `json:"last_login"`
	LastUpdate *string `json:"last_update"`
	Name       string  `json:"name"`
}

// SessionAttributes are those of a session of a client.
type SessionAttributes struct {
	Connected string `json:"connected"`
	Remote    string `json:"remote"`
	State     string `json:"state"`
	User      string `json:"user"`
}
