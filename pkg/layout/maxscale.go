package layout

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

// Section is one of MaxScale's configuration.
type Section struct {
	Name    string
	options map[string]string
}

// Option is the value of an option; empty where it is not set.
func (s Section) Option(name string) string { return s.options[name] }

// On reports whether a switch is on.
func (s Section) On(name string) bool {
	return slices.Contains([]string{"1", "on", "true", "yes", "required"}, strings.ToLower(s.options[name]))
}

// Port is that of a listener; empty for one on a socket of the machine.
func (s Section) Port() string {
	if s.options["socket"] != "" && s.options["port"] == "" {
		return ""
	}
	return cmp.Or(s.options["port"], "3306")
}

// MaxScale are the sections of the configuration that the session gives to a service
// which runs MaxScale.
func (in *Set) MaxScale(v session.Service) []Section {
	if len(v.Command) == 0 || path.Base(v.Command[0]) != "maxscale" {
		return nil
	}
	var all []Section
	for _, f := range in.ImageOf(v.ImageName).InjectionFiles {
		if f.Content != nil && path.Ext(f.Path) == ".cnf" {
			all = append(all, sections(*f.Content)...)
		}
	}
	return all
}

func sections(text string) []Section {
	var all []Section
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if group, ok := strings.CutPrefix(line, "["); ok {
			group, _, _ = strings.Cut(group, "]")
			all = append(all, Section{Name: group, options: map[string]string{}})
			continue
		}
		name, value, assigned := strings.Cut(line, "=")
		if len(all) > 0 && assigned && line[0] != '#' && line[0] != ';' {
			all[len(all)-1].options[OptionName(name)] = plainValue(value)
		}
	}
	return all
}

// OpenRoute says why whoever has a password reaches the databases through a listener,
// whose accounts cannot ask for a certificate.
func OpenRoute(shield Shield, s Section) string {
	number := s.Port()
	if s.Option("type") != "listener" || number == "" || slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, s.Option("address")) {
		return ""
	}
	switch state := shield.At(number); {
	case state == Guarded || state == Refused:
		return ""
	case state == Anonymous:
		return fmt.Sprintf("port %s: the shield asks for no certificate", number)
	case !s.On("ssl"):
		return fmt.Sprintf("port %s without ssl", number)
	case !s.On("ssl_verify_peer_certificate"):
		return fmt.Sprintf("port %s without ssl_verify_peer_certificate", number)
	}
	return ""
}
