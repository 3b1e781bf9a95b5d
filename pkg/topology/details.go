package topology

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/sgx"
)

// Details are all that was promised of one client of the user's own. Nothing in it is
// secret: neither what files hold, nor the values of variables.
type Details struct {
	Client string `json:"client"`
	State  State  `json:"state"`
	// Who says which enclaves may be it, and on which machines.
	Who        string                  `json:"who"`
	MRENCLAVEs []sgx.Measurement       `json:"mrenclaves"`
	Signer     *attest.SignerReference `json:"signer,omitempty"`
	// Settings are those with which the measurements were taken, as far as they are known.
	Settings  policy.Settings     `json:"settings"`
	Platforms []attest.PlatformID `json:"platforms"`
	// Own means that it has machines of its own: those of the release may change.
	Own bool `json:"ownPlatforms"`
	// Namespace is the Kubernetes namespace in which it runs; empty was not said.
	Namespace string `json:"namespace"`
	Session   string `json:"session"`
	// ConfigID is what its pods name as SCONE_CONFIG_ID, and CAS what as SCONE_CAS_ADDR.
	ConfigID  string   `json:"configID"`
	CAS       string   `json:"cas"`
	Command   []string `json:"command"`
	Directory string   `json:"directory,omitempty"`
	// Environment and FromHost are names of variables.
	Environment []string       `json:"environment"`
	FromHost    []string       `json:"fromHost"`
	Files       []GivenFile    `json:"files"`
	Accounts    []GuestAccount `json:"accounts"`
}

// State says whether a client is admitted. A change that was begun may not have come to its
// end.
type State string

// The states.
const (
	Admitted State = "admitted"
	Coming   State = "to be admitted"
	Altered  State = "to be changed"
	Leaving  State = "to be sent away"
)

// GivenFile is a file that CAS gives a client.
type GivenFile struct {
	Path string `json:"path"`
	Given
}

// UnknownClientError means that a release has no client of a name.
type UnknownClientError struct {
	Release, Client string
	// Clients are those that it has.
	Clients []string
}

func (e *UnknownClientError) Error() string {
	if len(e.Clients) == 0 {
		return fmt.Sprintf("the release %s has no client %.80q, and no other", e.Release, e.Client)
	}
	return fmt.Sprintf("the release %s has no client %.80q; it has %s", e.Release, e.Client, strings.Join(e.Clients, ", "))
}

// Hint says how a client comes to be.
func (e *UnknownClientError) Hint() string {
	if len(e.Clients) == 0 {
		return "{client add} lets one come in."
	}
	return "Check the name, or let the client come in: {client add}."
}

// Details say all of a client that is admitted, shall be, or shall no longer be. It fails
// with an UnknownClientError.
func (r *Release) Details(client string) (Details, error) {
	all, state := r.Wanted(), Admitted
	now, then := r.Applications.Find(client), all.Find(client)
	switch {
	case all.FindOutside(client) != nil:
		return Details{}, &OutsideError{client}
	case then == nil && now == nil:
		return Details{}, &UnknownClientError{r.Namespace + "/" + r.Name, client, all.names()}
	case then == nil:
		all, state, then = r.Applications, Leaving, now
	case now == nil:
		state = Coming
	case r.Changing != nil && !now.Equal(*then):
		state = Altered
	}
	guests, err := all.Guests()
	if err != nil {
		return Details{}, err
	}
	d := Details{
		Client: client, State: state, Who: then.Who(), MRENCLAVEs: append([]sgx.Measurement{}, then.MRENCLAVEs...), Signer: then.Signer, Settings: r.settings(*then),
		Platforms: append([]attest.PlatformID{}, then.Platforms...), Own: len(then.Platforms) > 0, Namespace: then.Namespace,
		Session: r.Session(ApplicationRole(client)).Name, CAS: r.CASAddress, Command: then.Command, Directory: then.Directory,
		Environment: append([]string{}, slices.Sorted(maps.Keys(then.Environment))...), FromHost: append([]string{}, slices.Sorted(maps.Keys(then.FromHost))...),
		Files: []GivenFile{}, Accounts: []GuestAccount{},
	}
	d.ConfigID = d.Session + "/" + client
	if !d.Own {
		d.Platforms = append(d.Platforms, r.Platforms...)
	}
	for _, at := range slices.Sorted(maps.Keys(then.Files)) {
		d.Files = append(d.Files, GivenFile{at, then.Files[at]})
	}
	i := slices.IndexFunc(guests, func(g Guest) bool { return g.Client == client }) // there: guests are of the same clients
	d.Accounts = append(d.Accounts, guests[i].Accounts...)
	return d, nil
}

// settings are those with which the measurements of a client were taken: as was said of it
// or, where nothing was, as the policy says of one of its measurements.
func (r *Release) settings(c Application) policy.Settings {
	if c.Settings != (policy.Settings{}) {
		return c.Settings
	}
	for _, name := range slices.Sorted(maps.Keys(r.Enclaves)) {
		if slices.ContainsFunc(r.Enclaves[name], func(m sgx.Measurement) bool { return slices.Contains(c.MRENCLAVEs, m) }) && r.Settings[name] != (policy.Settings{}) {
			return r.Settings[name]
		}
	}
	return policy.Settings{}
}

// names are those of the clients.
func (a Applications) names() []string {
	var all []string
	for _, c := range a.Clients {
		all = append(all, c.Name)
	}
	return all
}

// Where says in which namespace a client runs.
func (c Application) Where() string {
	if c.Namespace == "" {
		return "any namespace"
	}
	return "the namespace " + c.Namespace
}

// elsewhere reports whether another client differs only in where its pods are, and in what
// is known of their settings: no session says these.
func (c Application) elsewhere(other Application) bool {
	same := other
	same.Namespace, same.Settings = c.Namespace, c.Settings
	return c.Equal(same) && !c.Equal(other)
}

// noted reports whether others are the same for every session and for the database.
func (a Applications) noted(others Applications) bool {
	if a.Accounts != others.Accounts || a.Masking != others.Masking || !slices.Equal(a.MaskedAccounts, others.MaskedAccounts) || !slices.Equal(a.names(), others.names()) || !slices.Equal(a.Outside, others.Outside) {
		return false
	}
	for i, c := range a.Clients {
		if !c.Equal(others.Clients[i]) && !c.elsewhere(others.Clients[i]) {
			return false
		}
	}
	return true
}
