// Package settings reads maxscale.cnf as the lab's MaxScale does: it refuses what the real one
// refuses, in its words, and what the lab does not imitate, in words of its own. Nothing here
// reads a file: Parse is a function of bytes.
package settings

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Section is an object of the configuration.
type Section struct {
	Name string
	Type string // server, service, listener, monitor or filter; maxscale for [maxscale]
	// Module is the router of a service, or the module of a monitor or filter.
	Module string
	Values map[string]Value // every parameter that the module has
	// File is where it stands.
	File string
}

// Config is a configuration that was read without a problem.
type Config struct {
	Global Section
	// Objects are all others, in the order in which they stand there.
	Objects []Section
}

// Text returns a parameter as it is written, or its default; nothing if there is neither.
func (s Section) Text(key string) string { return s.Values[key].Text }

// Bool returns a switch.
func (s Section) Bool(key string) bool {
	on, _ := truth(s.Text(key))
	return on
}

// Int returns a number.
func (s Section) Int(key string) int {
	n, err := strconv.Atoi(s.Text(key))
	if err != nil {
		return 0
	}
	return n
}

// Duration returns a time.
func (s Section) Duration(key string) time.Duration {
	d, ok := duration(s.Text(key))
	if !ok {
		return 0
	}
	return d
}

// Size returns a number of bytes.
func (s Section) Size(key string) int64 {
	n, _ := size(s.Text(key))
	return n
}

// List returns the names of a list: servers by commas, filters by bars.
func (s Section) List(key string) (names []string) {
	return split(s.Values[key].parameter.kind, s.Text(key))
}

// Versions returns those of TLS that a parameter allows; none are the defaults.
func (s Section) Versions(key string) (all []uint16) {
	for _, word := range strings.Split(s.Text(key), ",") {
		switch v, ok := version(strings.TrimSpace(word)); {
		case ok && v == 0:
			return nil
		case ok && !slices.Contains(all, v):
			all = append(all, v)
		}
	}
	return all
}

func split(kind, text string) (names []string) {
	separator := ","
	if kind == "filters" {
		separator = "|"
	}
	for name := range strings.SplitSeq(text, separator) {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// Of returns the objects of a type.
func (c *Config) Of(kind string) (found []Section) {
	for _, s := range c.Objects {
		if s.Type == kind {
			found = append(found, s)
		}
	}
	return found
}

// Find returns an object by its name.
func (c *Config) Find(name string) (Section, bool) {
	i := slices.IndexFunc(c.Objects, func(s Section) bool { return s.Name == name })
	if i < 0 {
		return Section{}, false
	}
	return c.Objects[i], true
}

// Servers are the names of those of a service, which may name them by its monitor.
func (c *Config) Servers(service Section) []string {
	if monitor, found := c.Find(service.Text("cluster")); found {
		return monitor.List("servers")
	}
	return service.List("servers")
}

// Parse reads a configuration, the file of the command line first. env looks a variable of
// the environment up. Whoever gets problems gets no configuration.
func Parse(files []File, env func(string) (string, bool)) (*Config, []string) {
	var blocks []block
	var problems []string
	for _, f := range files {
		found, wrong := scan(f)
		blocks, problems = append(blocks, found...), append(problems, wrong...)
	}
	if len(problems) == 0 && substitutes(blocks) {
		problems = substitute(blocks, env)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	c := &Config{Global: Section{Name: "maxscale", Type: "maxscale"}}
	seen := map[string]bool{}
	for _, b := range blocks {
		if seen[b.name] {
			problems = append(problems, fmt.Sprintf("Duplicate section found: %s", b.name))
			continue
		}
		seen[b.name] = true
		problems = append(problems, c.read(b)...)
	}
	if !seen["maxscale"] {
		problems = append(problems, c.read(block{name: "maxscale"})...)
	}
	if problems = append(problems, c.refer()...); len(problems) > 0 {
		return nil, problems
	}
	return c, nil
}

// substitutes reports whether [maxscale] asks for variables.
func substitutes(blocks []block) bool {
	for _, b := range blocks {
		for _, l := range b.lines {
			if on, _ := truth(unquoted(l.value)); b.name == "maxscale" && l.key == "substitute_variables" && on {
				return true
			}
		}
	}
	return false
}

// read takes a section in.
func (c *Config) read(b block) []string {
	s := Section{Name: b.name, File: b.file, Type: "maxscale", Values: map[string]Value{}}
	if b.name != "maxscale" {
		s.Type = b.get("type")
		s.Module = b.get("module")
		if s.Type == "service" {
			s.Module = b.get("router")
		}
	}
	table, problem := s.table()
	if problem != "" {
		return []string{problem}
	}
	problems := s.fill(b, table)
	if s.Type == "maxscale" {
		c.Global = s
		return problems
	}
	if len(problems) > 0 {
		problems = append(problems, fmt.Sprintf("%s '%s' creation failed.", strings.ToUpper(s.Type[:1])+s.Type[1:], s.Name))
	}
	c.Objects = append(c.Objects, s)
	return problems
}

func (b block) get(key string) string {
	for _, l := range b.lines {
		if l.key == key {
			return unquoted(l.value)
		}
	}
	return ""
}

// table returns the parameters of a section's module.
func (s *Section) table() (map[string]parameter, string) {
	type module struct{ kind, name string }
	tables := map[module][]string{
		{"maxscale", ""}: {ofMaxScale}, {"server", ""}: {ofServer, ofTLS}, {"listener", ""}: {ofListener, ofTLS},
		{"service", "readwritesplit"}: {ofService, ofReadWriteSplit}, {"service", "schemarouter"}: {ofService, ofSchemaRouter},
		{"monitor", "mariadbmon"}: {ofMonitor}, {"filter", "masking"}: {ofMasking},
	}
	if found, ok := tables[module{s.Type, s.Module}]; ok {
		return rows(found...), ""
	}
	switch {
	case s.Type == "":
		return nil, fmt.Sprintf("Section '%s' has no type.", s.Name)
	case s.Type != "service" && s.Type != "monitor" && s.Type != "filter" && s.Type != "server" && s.Type != "listener":
		return nil, fmt.Sprintf("Unknown section type '%s' for '%s'.", s.Type, s.Name)
	case s.Type == "server" || s.Type == "listener":
		return nil, fmt.Sprintf("%s: The parameter 'module' is unrecognized.", s.Type)
	case slices.Contains(strings.Fields(foreign), s.Module):
		return nil, fmt.Sprintf("lab stand-in: '%s' is not imitated", s.Module)
	case s.Module == "":
		return nil, fmt.Sprintf("No module given for '%s'.", s.Name)
	}
	return nil, fmt.Sprintf("Unable to find library for module: %s.", s.Module)
}

// called is how a problem names the module of a section.
func (s *Section) called() string {
	if s.Module != "" {
		return s.Module
	}
	return s.Type
}

// fill sets a section's values.
func (s *Section) fill(b block, table map[string]parameter) (problems []string) {
	for name, p := range table {
		s.Values[name] = Value{Text: p.standard, parameter: p}
	}
	for _, l := range b.lines {
		p, known := table[l.key]
		switch {
		case l.key == "type" && s.Type != "maxscale":
		case !known && s.Type == "maxscale":
			problems = append(problems, fmt.Sprintf("Unknown global parameter '%s'.", l.key))
		case !known:
			problems = append(problems, fmt.Sprintf("%s: The parameter '%s' is unrecognized.", s.called(), l.key))
		case s.Values[l.key].Set:
			problems = append(problems, fmt.Sprintf("lab stand-in: unmeasured ?1: '%s' stands twice in '%s'", l.key, s.Name))
		default:
			problems = append(problems, s.take(p, unquoted(l.value))...)
		}
	}
	var missing []string
	for name, p := range table {
		if p.class == "must" && s.Values[name].Text == "" {
			missing = append(missing, fmt.Sprintf("%s: Mandatory parameter '%s' is not defined.", s.called(), name))
		}
	}
	sort.Strings(missing)
	s.imply()
	return append(append(problems, missing...), s.together()...)
}

// take sets one value.
func (s *Section) take(p parameter, value string) []string {
	s.Values[p.name] = Value{Text: value, Set: true, parameter: p}
	if problem := p.check(value); problem != "" {
		return []string{problem, fmt.Sprintf("(%s); Invalid value for parameter '%s': %s", s.Name, p.name, s.shown(p.name))}
	}
	if p.class == "absent" && !p.same(value) {
		return []string{fmt.Sprintf("lab stand-in: '%s' is not imitated", p.name)}
	}
	return nil
}

// same reports whether a value means the default.
func (p parameter) same(value string) bool {
	if p.kind == "bool" {
		on, _ := truth(value)
		standard, _ := truth(p.standard)
		return on == standard
	}
	return value == p.standard
}

// imply sets what other values of the section bring with them.
func (s *Section) imply() {
	if s.Module != "readwritesplit" || !s.Bool("transaction_replay") {
		return
	}
	for key, text := range map[string]string{"delayed_retry": "true", "master_reconnection": "true", "master_failure_mode": "fail_on_write"} {
		v := s.Values[key]
		v.Implied, v.Text = v.Text != text, text
		s.Values[key] = v
	}
}

// together says which values of a section do not go together.
func (s *Section) together() (problems []string) {
	wrong := func(text string) { problems = append(problems, fmt.Sprintf("(%s); %s", s.Name, text)) }
	if s.Type == "service" {
		switch cluster, servers := s.Text("cluster") != "", s.Text("servers") != ""; {
		case cluster && servers:
			wrong("'cluster' and 'servers' are mutually exclusive.")
		case !cluster && !servers:
			wrong("Service has neither 'cluster' nor 'servers'.")
		}
	}
	for _, prefix := range []string{"", "admin_"} {
		cert, key := s.Text(prefix+"ssl_cert") != "", s.Text(prefix+"ssl_key") != ""
		switch {
		case cert != key:
			wrong("'" + prefix + "ssl_cert' and '" + prefix + "ssl_key' must be defined together.")
		case s.Type == "listener" && prefix == "" && s.Bool("ssl") && !cert:
			wrong("'ssl_cert' and 'ssl_key' must be defined if 'ssl' is enabled.")
		}
	}
	if s.Bool("ssl_verify_peer_certificate") && s.Bool("ssl") && s.Text("ssl_ca") == "" {
		wrong("lab stand-in: 'ssl_verify_peer_certificate' without 'ssl_ca' is not imitated")
	}
	return problems
}

// refer says which objects that others name do not exist.
func (c *Config) refer() (problems []string) {
	kinds := map[string]string{"servers": "server", "filters": "filter", "monitor": "monitor", "service": "service"}
	monitored := map[string]string{}
	for _, s := range c.Objects {
		for _, key := range s.keys() {
			kind, refers := kinds[s.Values[key].parameter.kind]
			if !refers {
				continue
			}
			for _, name := range s.List(key) {
				if to, found := c.Find(name); !found || to.Type != kind {
					problems = append(problems, fmt.Sprintf("Could not find object '%s' that '%s' depends on.", name, s.Name))
				}
				if other, twice := monitored[name]; s.Type == "monitor" && key == "servers" {
					if twice {
						problems = append(problems, fmt.Sprintf("Server '%s' is already monitored by '%s'.", name, other))
					}
					monitored[name] = s.Name
				}
			}
		}
	}
	return append(problems, c.addresses()...)
}

// addresses says which listeners or servers are at the same one.
func (c *Config) addresses() (problems []string) {
	at := map[string]string{}
	for _, s := range c.Objects {
		if s.Type != "listener" && s.Type != "server" {
			continue
		}
		address := s.Type + " " + s.Text("address") + ":" + s.Text("port")
		if other, taken := at[address]; taken {
			problems = append(problems, fmt.Sprintf("(%s); '%s' has the same address and port.", s.Name, other))
		}
		at[address] = s.Name
	}
	return problems
}

func (s Section) keys() []string {
	keys := make([]string, 0, len(s.Values))
	for key := range s.Values {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

func (s Section) shown(key string) string {
	if v := s.Values[key]; !v.Secret() || v.Text == "" {
		return v.Text
	}
	return "*****"
}

// String is the whole configuration with every value that is in effect and where it is
// from, passwords hidden.
func (c *Config) String() string { return c.print(true) }

func (c *Config) print(explain bool) string {
	var out strings.Builder
	for _, s := range append([]Section{c.Global}, c.Objects...) {
		fmt.Fprintf(&out, "[%s]\n", s.Name)
		if s.Type != "maxscale" {
			fmt.Fprintf(&out, "type=%s\n", s.Type)
		}
		for _, key := range s.keys() {
			v := s.Values[key]
			switch {
			case v.Text == "":
			case !explain:
				fmt.Fprintf(&out, "%s=\"%s\"\n", key, v.Text)
			case v.Implied:
				fmt.Fprintf(&out, "%s=%s (implied)\n", key, s.shown(key))
			case !v.Set:
				fmt.Fprintf(&out, "%s=%s (default)\n", key, s.shown(key))
			default:
				fmt.Fprintf(&out, "%s=%s\n", key, s.shown(key))
			}
		}
	}
	return out.String()
}
