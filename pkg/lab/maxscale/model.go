package maxscale

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/admin"
	"github.com/confidb/confidb/pkg/lab/maxscale/settings"
)

// model is the instance as the interface for administration shows and changes it. One
// request is carried out at a time.
type model struct{ *instance }

const clock = "Mon Jan _2 15:04:05 2006"

func (m *instance) source(s settings.Section) admin.Source {
	return admin.Source{File: s.File, Type: "static"}
}

// parameters are those of a section as JSON has them: switches and numbers as such, and null
// for what is not set.
func parameters(s settings.Section) admin.Parameters {
	all := admin.Parameters{}
	for key, v := range s.Values {
		n, err := strconv.ParseInt(v.Text, 10, 64)
		switch {
		case v.Text == "":
			all[key] = nil
		case v.Secret():
			all[key] = v.Text
		case v.Text == "true" || v.Text == "false":
			all[key] = v.Text == "true"
		case err == nil:
			all[key] = n
		case key == "ssl_version":
			all[key] = spelled(s.Versions(key))
		default:
			all[key] = v.Text
		}
	}
	return all
}

// spelled are versions of TLS as MaxScale shows them: each in both spellings.
func spelled(versions []uint16) string {
	short, long := []string{}, []string{}
	for _, v := range versions {
		short, long = append(short, fmt.Sprintf("TLSv1%d", v&0xf-1)), append(long, fmt.Sprintf("TLSv1.%d", v&0xf-1))
	}
	return strings.Join(append(short, long...), ",")
}

// Objects are those of a kind.
func (m model) Objects(kind string) (all []admin.Object) {
	switch kind {
	case "servers":
		for _, s := range m.settings().Of("server") {
			view := m.viewOf(m.MonitorOf(s.Name))
			all = append(all, admin.Server(s.Name, parameters(s), m.source(s), admin.Statistics{Connections: m.sessionsAt(s.Name)}, view))
		}
	case "monitors":
		for _, s := range m.settings().Of("monitor") {
			mon := m.monitor(s.Name)
			all = append(all, admin.Monitor(s.Name, parameters(s), m.source(s), mon.running(), mon.now.Load().View()))
		}
	case "services":
		for _, s := range m.services {
			all = append(all, m.showService(s))
		}
	case "filters":
		for _, s := range m.settings().Of("filter") {
			all = append(all, admin.Object{ID: s.Name, Attributes: admin.FilterAttributes{Module: s.Module, Parameters: parameters(s), Source: m.source(s)}})
		}
	case "listeners":
		for _, l := range m.listeners {
			all = append(all, admin.Object{ID: l.section.Name, Attributes: m.showListener(l), Relationships: map[string][]string{"services": {l.section.Text("service")}}})
		}
	case "sessions":
		for _, s := range m.services {
			for _, one := range s.Clients() {
				all = append(all, admin.Object{ID: strconv.Itoa(int(one.Number)), Attributes: admin.SessionAttributes{Connected: one.Since.Format(clock), Remote: one.Host, State: "Session started", User: one.User}})
			}
		}
	}
	return all
}

func (m model) showListener(l *listener) admin.ListenerAttributes {
	return admin.ListenerAttributes{Parameters: parameters(l.section), Source: m.source(l.section), State: "Running"}
}

func (m model) showService(s *service) admin.Object {
	section, _ := m.settings().Find(s.name)
	a := admin.ServiceAttributes{Connections: s.Sessions(), Parameters: parameters(section), Router: section.Module, RouterDiagnostics: map[string]any{}, Source: m.source(section),
		Started: m.started.Format(clock), State: "Started", Statistics: admin.Statistics{Connections: s.Sessions(), TotalConnections: s.Total()}, TotalConnections: s.Total(), Users: []admin.ServiceUser{}, Listeners: []admin.ServiceListener{}}
	if section.Module == schemaRouter {
		maps := s.ShardMaps()
		a.RouterDiagnostics = map[string]any{"shard_map_hits": maps.Hits, "shard_map_misses": maps.Misses, "shard_map_stale": maps.Stale, "shard_map_updates": maps.Updates}
	}
	related := map[string][]string{"filters": section.List("filters"), "servers": s.view.servers}
	if monitor := section.Text("cluster"); monitor != "" {
		related["monitors"] = []string{monitor}
	}
	for _, l := range m.listeners {
		if l.service == s {
			a.Listeners = append(a.Listeners, admin.ServiceListener{Attributes: m.showListener(l), ID: l.section.Name, Type: "listeners"})
			related["listeners"] = append(related["listeners"], l.section.Name)
		}
	}
	for _, u := range s.store.Table().Accounts {
		a.Users = append(a.Users, admin.ServiceUser{DefaultRole: u.DefaultRole, GlobalPriv: u.AnyDatabase, Host: u.Host, Plugin: u.Plugin, ProxyPriv: u.Proxy, SSL: u.TLS != "", SuperPriv: u.Super, User: u.User})
	}
	if at := s.store.Updated(); !at.IsZero() {
		text := at.Format(clock)
		a.UsersLastUpdate = &text
	}
	return admin.Object{ID: s.name, Attributes: a, Relationships: related}
}

// MaxScale is the instance itself.
func (m model) MaxScale() admin.MaxScaleAttributes {
	return admin.MaxScaleAttributes{ActivatedAt: m.started.Format(clock), Commit: "lab stand-in", Parameters: parameters(m.settings().Global), ProcessDataDir: m.launch.Data,
		StartedAt: m.started.Format(clock), System: map[string]any{"machine": map[string]any{"cores_available": runtime.NumCPU()}, "maxscale": map[string]any{"threads": m.settings().Global.Text("threads")}, "os": map[string]any{"sysname": "Linux"}},
		Uptime: int64(m.host.Now().Sub(m.started) / time.Second), Version: "24.02.4"}
}

// Operator is a monitor as it is now.
func (m model) Operator(name string) admin.Operator {
	if mon := m.monitor(name); mon != nil {
		return mon.now.Load()
	}
	return nil
}

// MonitorOf is the monitor of a server.
func (m model) MonitorOf(server string) string {
	for _, s := range m.settings().Of("monitor") {
		if slices.Contains(s.List("servers"), server) {
			return s.Name
		}
	}
	return ""
}

// Change sets parameters of an object.
func (m model) Change(kind, name string, changed map[string]any) error {
	if kind == "services" {
		for key := range changed {
			if key != "log_info" && key != "filters" {
				return fmt.Errorf("lab stand-in: changing '%s' of a running service is not imitated", key)
			}
		}
	}
	c, err := m.changed(name, changed)
	if err != nil {
		return err
	}
	m.now.Store(c)
	section, _ := c.Find(name)
	switch kind {
	case "monitors":
		m.monitor(name).replace(m.context, m.newMonitor(section))
	case "filters", "services":
		return m.refilter()
	}
	return nil
}

// changed is the configuration with other parameters of an object: it is written and read
// again, so that it meets the same demands.
func (m model) changed(name string, changed map[string]any) (*settings.Config, error) {
	before := m.settings()
	var text strings.Builder
	for _, s := range append([]settings.Section{before.Global}, before.Objects...) {
		other := map[string]any{}
		if s.Name == name {
			other = changed
		}
		text.Write(written(s, other))
	}
	after, problems := settings.Parse([]settings.File{{Name: before.Global.File, Data: []byte(text.String())}}, m.host.Environment)
	if len(problems) > 0 {
		return nil, errors.New(strings.Join(problems, "\n"))
	}
	return after, nil
}

// written is a section as it stands in a file, with other values for some parameters.
func written(s settings.Section, other map[string]any) []byte {
	values := map[string]string{}
	for key, v := range s.Values {
		if v.Set && !v.Implied {
			values[key] = v.Text
		}
	}
	for key, v := range other {
		if v == nil {
			delete(values, key)
			continue
		}
		values[key] = fmt.Sprint(v)
	}
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	text := "[" + s.Name + "]\n"
	if s.Type != "maxscale" {
		text += "type=" + s.Type + "\n"
	}
	for _, key := range keys {
		text += key + "=" + values[key] + "\n"
	}
	return []byte(text + "\n")
}

// Filters sets the filters of a service.
func (m model) Filters(service string, filters []string) error {
	c, err := m.changed(service, map[string]any{"filters": strings.Join(filters, "|")})
	if err != nil {
		return err
	}
	m.now.Store(c)
	return m.refilter()
}

// Saved is the section of an object, with its passwords.
func (m model) Saved(kind, name string) []byte {
	if kind == "" {
		return written(m.settings().Global, nil)
	}
	s, _ := m.settings().Find(name)
	return written(s, nil)
}

// Run starts or stops a monitor.
func (m model) Run(name string, on bool) error {
	mon := m.monitor(name)
	if mon == nil {
		return fmt.Errorf("'%s' is not a monitor", name)
	}
	if on {
		mon.start(m.context)
	} else {
		mon.stop()
	}
	return nil
}

// DeleteFilter takes a filter away that no service uses.
func (m model) DeleteFilter(name string) error {
	before := m.settings()
	for _, s := range before.Of("service") {
		if slices.Contains(s.List("filters"), name) {
			return fmt.Errorf("Filter '%s' cannot be destroyed: Remove it from all services first", name)
		}
	}
	after := &settings.Config{Global: before.Global}
	for _, s := range before.Objects {
		if s.Name != name || s.Type != "filter" {
			after.Objects = append(after.Objects, s)
		}
	}
	m.now.Store(after)
	return nil
}

// Reload reads anew.
func (m model) Reload(what, name string) error {
	switch what {
	case "accounts":
		for _, s := range m.services {
			if s.name == name && !s.store.Load(m.context) {
				return errors.New("Failed to read the accounts, see the log.")
			}
		}
	case "tls":
		for _, l := range m.listeners {
			secure, err := toClients(l.section)
			if err != nil {
				return err
			}
			l.tls.Store(secure)
		}
		m.launch.Log.Say("warning", "lab stand-in: unmeasured: certificates towards servers are not read anew")
		m.launch.Log.Say("notice", "TLS certificates successfully reloaded.")
	}
	return nil
}
