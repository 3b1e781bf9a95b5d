package layout

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/confidb/confidb/pkg/session"
)

// Shield is SCONE's network shield as the environment of a service sets it up (SCONE:
// Network Shield).
type Shield struct {
	// Mode is what happens to connections that no entry is about: disabled turns the
	// entries off too, protected refuses, and all else lets through.
	Mode             string
	Servers, Clients []Entry
}

// Entry is one port of the shield, or one peer.
type Entry struct {
	// Name is that of the entry; Mode is protected, unprotected or empty.
	Name, Mode string
	// Settings are the other variables of the entry, by the ends of their names.
	Settings map[string]string
}

// Exposure is what the shield makes of a port.
type Exposure int

// The states of a port.
const (
	Native    Exposure = iota // the shield lets everything through
	Anonymous                 // the shield demands TLS, but no certificate
	Guarded                   // the shield demands TLS and a certificate
	Refused                   // the shield lets nobody through
)

// entryForm is that of the variables of entries.
var entryForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^SCONE_NETWORK_SHIELD_(SERVER|CLIENT)_(.+?)(?:_(PORT|IDENTITY|CLIENT_AUTH|FLAGS|DESTINATION|DESTINATION_IP|SERVER_DNS_NAME|SERVER_AUTH))?$`)
})

// NewShield reads the environment of a service. A variable that the host sets counts as
// missing.
func NewShield(s session.Service) Shield {
	entries := map[string]*Entry{}
	for variable, value := range s.Environment {
		match := entryForm().FindStringSubmatch(variable)
		if match == nil {
			continue
		}
		key := match[1] + " " + match[2]
		if entries[key] == nil {
			entries[key] = &Entry{Name: match[2], Settings: map[string]string{}}
		}
		if match[3] == "" {
			entries[key].Mode = strings.ToLower(strings.TrimSpace(value))
		}
		entries[key].Settings[match[3]] = strings.TrimSpace(value)
	}
	all := Shield{Mode: strings.ToLower(strings.TrimSpace(s.Environment["SCONE_NETWORK_SHIELD"]))}
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		if strings.HasPrefix(key, "SERVER ") {
			all.Servers = append(all.Servers, *entries[key])
		} else {
			all.Clients = append(all.Clients, *entries[key])
		}
	}
	return all
}

// Port is the number of the port that an entry is about; empty for a socket of the
// machine, and where nothing is said.
func (e Entry) Port() string {
	text := e.Settings["PORT"]
	if text == "" || strings.HasPrefix(strings.ToLower(text), "unix:") {
		return ""
	}
	return text[strings.LastIndexByte(text, ':')+1:]
}

// asks reports whether clients need a certificate.
func (e Entry) asks() bool {
	auth := e.Settings["CLIENT_AUTH"]
	return auth != "" && !strings.EqualFold(auth, "disabled")
}

// Exposure is what the entry makes of its port.
func (e Entry) Exposure() Exposure {
	switch {
	case e.Mode != "protected":
		return Native
	case !e.asks():
		return Anonymous
	}
	return Guarded
}

// At is what the shield makes of a port.
func (s Shield) At(port string) Exposure {
	if s.Mode == "disabled" {
		return Native
	}
	for _, e := range s.Servers {
		if e.Port() == port {
			return e.Exposure()
		}
	}
	if s.Mode == "protected" {
		return Refused
	}
	return Native
}

// Guards reports whether all that comes in over the network needs a certificate.
func (s Shield) Guards() bool {
	ports := slices.DeleteFunc(slices.Clone(s.Servers), func(e Entry) bool { return strings.HasPrefix(e.Settings["PORT"], "unix:") })
	return s.Mode != "disabled" && len(ports) > 0 && !slices.ContainsFunc(ports, func(e Entry) bool { return e.Exposure() != Guarded })
}

// VainShield says why the shield of a database does not protect it.
func VainShield(d *Server) string {
	s := NewShield(d.Service)
	tcp := slices.DeleteFunc(slices.Clone(s.Servers), func(e Entry) bool { return strings.HasPrefix(e.Settings["PORT"], "unix:") })
	if !d.Listens() || len(tcp) == 0 {
		return ""
	}
	for _, port := range d.Ports() {
		switch state := s.At(port); {
		case s.Mode == "disabled" && !d.On("require_secure_transport"):
			return "SCONE_NETWORK_SHIELD is disabled, so its entries have no effect"
		case state == Anonymous:
			return fmt.Sprintf("the shield asks nobody who connects to port %s for a certificate", port)
		case s.Entry(port) == nil && !d.On("require_secure_transport"):
			return fmt.Sprintf("the shield has no entry for port %s, at which the database listens", port)
		}
	}
	return ""
}

// Entry is that of a port; nil if there is none.
func (s Shield) Entry(port string) *Entry {
	for i, e := range s.Servers {
		if e.Port() == port {
			return &s.Servers[i]
		}
	}
	return nil
}
