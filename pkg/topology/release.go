// Package topology says what is to run and what was promised: the members of a release
// with their sessions, the documents that are made from our templates, and what the
// manifests of a chart must say. It does no I/O.
package topology

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
)

// Role is what a member of a release is for.
type Role string

// The roles.
const (
	// Namespace is the session that owns the names of the others.
	Namespace Role = "namespace"
	// Client is the session of the attested clients.
	Client Role = "client"
	// Database is the session of a MariaDB, or of all of them.
	Database Role = "database"
	// MaxScale is the session of what stands before several databases.
	MaxScale Role = "maxscale"
)

// Member is a part of a release that has a session of its own.
type Member struct {
	Role    Role    `json:"role"`
	Session Session `json:"session"`
}

// Session is a session as it was uploaded.
type Session struct {
	Name string `json:"name"`
	// Text is the document that was uploaded.
	Text string `json:"text"`
	// Next is the document that shall replace it; empty if none shall.
	Next string `json:"next,omitempty"`
	// Hash is what CAS answered. Empty means that it is not known whether the
	// upload took place.
	Hash string `json:"hash"`
	// Previous is the hash of the version that a change replaced which has not come to
	// its end. If it fails, that version is the way back. Empty means that no change is
	// under way.
	Previous string `json:"previous,omitempty"`
}

// Release is what was promised for one release.
type Release struct {
	Kind string `json:"kind"`
	// Name and Namespace are those of the Helm release.
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	// CASAddress is the CAS as the pods reach it (SCONE_CAS_ADDR).
	CASAddress string `json:"casAddress"`
	// Architecture says what of the release there is more than one of.
	Architecture Architecture `json:"architecture,omitempty"`
	// Databases is how many databases all parts of the release know, and DatabasesNext how
	// many they shall know while that changes; 0 is one, and none.
	Databases     int `json:"databases,omitempty"`
	DatabasesNext int `json:"databasesNext,omitempty"`
	// MaxScales is how many MaxScales there are.
	MaxScales int `json:"maxScales,omitempty"`
	// Members are in the order in which their sessions are created: whoever is exported
	// to must exist before anybody else can claim the name.
	Members []Member `json:"members"`
	// Platforms are the platform IDs that the sessions admit.
	Platforms []attest.PlatformID `json:"platforms"`
	// Enclaves are the measurements that the sessions admit, by enclave name, and
	// BootstrapSQL makes the system tables of the database.
	Enclaves     map[string][]sgx.Measurement `json:"enclaves"`
	BootstrapSQL string                       `json:"bootstrapSQL"`
	// Settings are those with which the measurements were taken, by enclave name.
	Settings map[string]policy.Settings `json:"settings"`
	// Templates are those of the user's that replace our own, by name.
	Templates map[string]string `json:"templates"`
	// Host is the name in the database's certificate, under which pods reach it.
	Host string `json:"host"`
	// Chart says what Helm installs, as the user named it, and Values with which
	// values.
	Chart  Chart          `json:"chart"`
	Values map[string]any `json:"values"`
	// Pod says how clients of the database are started.
	Pod Pod `json:"pod"`
	// AllowedKinds are kinds of objects that the chart may have although it is not known
	// what they run: KIND.GROUP.
	AllowedKinds []string `json:"allowedKinds"`
	// Installed is what was sent to the cluster.
	Installed Installed `json:"installed"`
	// Earlier is what was sent before, the newest first: what helm rollback goes back to.
	Earlier []Installed `json:"earlier,omitempty"`
	// HelmStarted is when this program began the last change of the Helm release, and
	// HelmPending is true until that change has ended. When it is still true at the
	// next run, a pending release since then was left by us and not by somebody else.
	HelmStarted time.Time `json:"helmStarted"`
	HelmPending bool      `json:"helmPending"`
	// Auditors may read the sessions beside their creator: PEM certificates, or key hashes
	// of 64 hexadecimal digits.
	Auditors []string `json:"auditors,omitempty"`
	// Applications are the user's own, with what they may do. Changing is what they shall
	// be, while sessions and the database are not all so yet; nil if they are.
	Applications Applications  `json:"applications"`
	Changing     *Applications `json:"changing,omitempty"`
	// Import is set for a release of somebody else, which is verified and never changed.
	Import *Import `json:"import,omitempty"`
	// Origins says for each input where its value came from.
	Origins map[string]string `json:"origins"`
	Trust   attest.Trust      `json:"trust"`

	// Read are recorded sessions as they were read, by name and text, in one run; nil
	// remembers none.
	Read map[[2]string]*session.Session `json:"-"`
}

// Remembering is the same release, which reads each recorded session once: that of a
// database has its system tables, and is read for each of its clients. It is for one run.
func (r *Release) Remembering() *Release {
	c := *r
	c.Read = map[[2]string]*session.Session{}
	return &c
}

// parse reads a recorded session.
func (r *Release) parse(s Session) (*session.Session, error) {
	key := [2]string{s.Name, s.Text}
	if known := r.Read[key]; known != nil {
		return known, nil
	}
	parsed, err := session.Parse(s.Name, []byte(s.Text))
	if err == nil && r.Read != nil {
		r.Read[key] = parsed
	}
	return parsed, err
}

// Session returns the session of the member with a role; the zero Session if there is
// none.
func (r *Release) Session(role Role) Session {
	if i := r.index(role); i >= 0 {
		return r.Members[i].Session
	}
	return Session{}
}

// SetSession replaces the session of the member with a role, or adds the member.
func (r *Release) SetSession(role Role, s Session) {
	if i := r.index(role); i >= 0 {
		r.Members[i].Session = s
		return
	}
	r.Members = append(r.Members, Member{role, s})
}

// Roles are those of the sessions that programs run under.
func (r *Release) Roles() []Role {
	var all []Role
	for _, m := range r.Members {
		if r.runs(m.Role) {
			all = append(all, m.Role)
		}
	}
	return all
}

// Wanted is what the applications are, or shall be where a change is under way.
func (r *Release) Wanted() Applications {
	if r.Changing != nil {
		return *r.Changing
	}
	return r.Applications
}

// runs reports whether programs run under the session of a role.
func (r *Release) runs(role Role) bool {
	client := role.Application()
	return role != Namespace && (client == "" || r.Applications.there(client) || r.Changing != nil && r.Changing.there(client))
}

// Admitting are the sessions that admit the machines of the release, clients first: not
// those of clients that have machines of their own.
func (r *Release) Admitting() []*Session {
	var all []*Session
	for i := range r.Members {
		own := r.Applications.Find(r.Members[i].Role.Application())
		if r.runs(r.Members[i].Role) && (own == nil || len(own.Platforms) == 0) {
			all = append(all, &r.Members[i].Session)
		}
	}
	return all
}

func (r *Release) index(role Role) int {
	return slices.IndexFunc(r.Members, func(m Member) bool { return m.Role == role })
}

// Installed are the objects that Helm was given, hooks included. The zero value means
// that they are not recorded.
type Installed struct {
	// Digest is the SHA-256 of all objects but hooks in canonical form, in lower-case hex.
	Digest string `json:"digest"`
	// Objects are the objects in canonical form, Secrets without what they hold.
	Objects []json.RawMessage `json:"objects"`
}

// maxEarlier is how many earlier manifests are kept: as many as Helm keeps.
const maxEarlier = 10

// Install writes down what is sent, and keeps what was sent before.
func (r *Release) Install(sent Installed) {
	if before := r.Installed; before.Digest != "" && before.Digest != sent.Digest {
		r.Earlier = slices.Insert(slices.Clone(r.Earlier), 0, before)
	}
	r.Earlier = slices.DeleteFunc(slices.Clone(r.Earlier), func(i Installed) bool { return i.Digest == sent.Digest })
	r.Earlier = r.Earlier[:min(len(r.Earlier), maxEarlier)]
	r.Installed = sent
}

// InstalledAs is what was installed last; after helm rollback, what was installed before
// with this digest. So Helm only says which of the user's own it is.
func (r *Release) InstalledAs(digest string) Installed {
	for _, earlier := range r.Earlier {
		if earlier.Digest == digest {
			return earlier
		}
	}
	return r.Installed
}

// Workload is an object of a release that makes pods.
type Workload struct{ Kind, Name string }

// Import says whose promise a release is: the fingerprint of the key that signed it, and
// when that was.
type Import struct {
	Signer string    `json:"signer"`
	Signed time.Time `json:"signed"`
}

// Chart names a Helm chart. The zero value is our own.
type Chart struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Repo    string `json:"repo"`
}

// Parsed reads the recorded session of a name, and the others, to which it may refer.
func (r *Release) Parsed(name string) (one *session.Session, others []*session.Session, err error) {
	for _, m := range r.Members {
		if m.Session.Text == "" && m.Session.Name != name {
			continue
		}
		parsed, err := r.parse(m.Session)
		switch {
		case err != nil:
			return nil, nil, err
		case m.Session.Name == name:
			one = parsed
		default:
			others = append(others, parsed)
		}
	}
	if one == nil {
		return nil, nil, fmt.Errorf("no session %q is recorded", name)
	}
	return one, others, nil
}
