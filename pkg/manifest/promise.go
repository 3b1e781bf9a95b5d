package manifest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// Promise is what pods are compared with.
type Promise struct {
	// Namespace is that of the release, and CASAddress the CAS as the pods reach it.
	Namespace, CASAddress string
	// Database and Client are the sessions, and Others those of further roles.
	Database, Client Session
	Others           []Session
	// Enclaves are the measurements, and Settings those with which they were taken, by
	// enclave name.
	Enclaves map[string][]sgx.Measurement
	Settings map[string]policy.Settings
	// Deviations are accepted by name, and AllowedKinds are kinds of objects of which
	// it is not known what they run.
	Deviations   []attest.Deviation
	AllowedKinds []string
}

// Session is a session as far as pods ask for it. One that was not read may have any
// service.
type Session struct {
	Name     string
	read     bool
	services []session.Service
}

// Promised is the promise of a release.
func Promised(r *topology.Release) (Promise, error) {
	p := Promise{
		Namespace: r.Namespace, CASAddress: r.CASAddress, Enclaves: r.Enclaves, Settings: r.Settings, Deviations: r.Trust.Deviations, AllowedKinds: r.AllowedKinds,
	}
	for _, m := range r.Members {
		s := Session{Name: m.Session.Name}
		if m.Session.Text != "" && m.Role != topology.Namespace {
			parsed, err := session.Parse(s.Name, []byte(m.Session.Text))
			if err != nil {
				return Promise{}, fmt.Errorf("reading the %s session: %w", m.Role, err)
			}
			s.read, s.services = true, parsed.Services
		}
		switch m.Role {
		case topology.Namespace:
		case topology.Database:
			p.Database = s
		case topology.Client:
			p.Client = s
		default:
			p.Others = append(p.Others, s)
		}
	}
	return p, nil
}

// sessions are those under which pods may run.
func (p Promise) sessions() []Session {
	return slices.DeleteFunc(append([]Session{p.Database, p.Client}, p.Others...), func(s Session) bool { return s.Name == "" })
}

// wanted names what pods may run under: the session of the database, and with further roles
// each.
func (p Promise) wanted() string {
	if len(p.Others) == 0 {
		return "session " + p.Database.Name
	}
	var names []string
	for _, s := range p.sessions() {
		names = append(names, s.Name)
	}
	return "one of the sessions " + strings.Join(names, ", ")
}

// SessionError means that a session must not be created: it would give its secrets to
// programs that are no attested enclaves.
type SessionError struct{ Name, Problem string }

func (e *SessionError) Error() string { return fmt.Sprintf("session %s: %s", e.Name, e.Problem) }

// Hint says what to do.
func (e *SessionError) Hint() string {
	return "Change the template of the session; {session lint} names all that is weak in it."
}

// CheckSessions refuses sessions that demand no attested enclave, before they are created.
func CheckSessions(r *topology.Release) error {
	r = r.Remembering()
	for _, m := range r.Members {
		if m.Role == topology.Namespace {
			continue
		}
		parsed, others, err := r.Parsed(m.Session.Name)
		if err != nil {
			return err
		}
		for _, f := range lint.Strength(parsed, others...) {
			if f.ID == "session-attestation" && f.Outcome != check.Pass {
				return &SessionError{m.Session.Name, f.Reason}
			}
		}
		effective, _, _ := parsed.Effective(others) // what is not known of it was refused above
		if slices.ContainsFunc(effective.Security.Tolerate, func(t string) bool { return strings.EqualFold(t, "debug-mode") }) {
			return &SessionError{m.Session.Name, "it tolerates debug-mode: the host could read the memory of its enclaves"}
		}
		for _, i := range r.AllInstances(topology.Database) {
			if m.Role == topology.Client && !hasService(parsed.Services, i.Probe()) {
				return &SessionError{m.Session.Name, "it has no service " + i.Probe() + ", so nothing could be verified"}
			}
		}
	}
	return nil
}

func hasService(all []session.Service, name string) bool {
	return slices.ContainsFunc(all, func(s session.Service) bool { return s.Name == name })
}

// asked returns the services that a SCONE_CONFIG_ID asks for: one, or all of a session that
// is named without a service, which the image then completes.
func (p Promise) asked(configID string) (services []session.Service, problem string) {
	problem = fmt.Sprintf("SCONE_CONFIG_ID: got %q, want %s", configID, p.wanted())
	if strings.Contains(configID, "$") {
		return nil, problem + ": what it refers to is not known before a pod runs"
	}
	for _, s := range p.sessions() {
		rest, ok := strings.CutPrefix(configID, s.Name+"/")
		name, _, _ := strings.Cut(rest, "@") // a one-time password may follow
		i := slices.IndexFunc(s.services, func(v session.Service) bool { return v.Name == name })
		switch {
		case configID == s.Name && s.read && len(s.services) == 0:
			return nil, fmt.Sprintf("SCONE_CONFIG_ID: got %q, and session %s has no services", configID, s.Name)
		case configID == s.Name:
			return s.services, ""
		case !ok: // perhaps another
		case !s.read && name != "" && !strings.Contains(name, "/"):
			return nil, ""
		case i >= 0:
			return s.services[i : i+1], ""
		default:
			problem = fmt.Sprintf("SCONE_CONFIG_ID: got %q, and session %s has no service %q", configID, s.Name, name)
		}
	}
	return nil, problem
}

// settings are those that stand beside the measurements of the services in the policy.
func (p Promise) settings(services []session.Service) []policy.Settings {
	var all []policy.Settings
	for name, measurements := range p.Enclaves {
		for _, s := range services {
			if admitsOne(s, measurements) {
				all = append(all, p.Settings[name])
				break
			}
		}
	}
	return all
}

func admitsOne(s session.Service, measurements []sgx.Measurement) bool {
	return slices.ContainsFunc(s.Attestation, func(v session.Variant) bool {
		return slices.ContainsFunc(v.MRENCLAVEs, func(m sgx.Measurement) bool { return slices.Contains(measurements, m) })
	})
}
