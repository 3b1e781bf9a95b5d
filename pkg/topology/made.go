package topology

import (
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/confidb/confidb/pkg/accounts"
)

// makeSessions makes the documents of all members. One that CAS has, or may have, is
// replaced only by one that differs in what the user's applications are and may do: Next is
// what shall replace it.
func (r *Release) makeSessions(plan Plan) error {
	wanted := plan.Applications
	if err := wanted.Follow(r.Applications); err != nil {
		return err
	}
	r.admit(wanted)
	made, err := r.texts(plan, wanted)
	if err != nil {
		return err
	}
	before := sync.OnceValues(func() ([]map[Role]string, error) { return r.before(plan) })
	for i := range r.Members {
		m := &r.Members[i]
		if m.Session.Hash == "" {
			m.Session.Text = made[m.Role]
			continue
		}
		if m.Session.Next, err = r.next(*m, made[m.Role], before); err != nil {
			return err
		}
	}
	r.change(wanted)
	return nil
}

// before are the documents of all members as they were, and as a run which did not come to
// its end would have made them.
func (r *Release) before(plan Plan) ([]map[Role]string, error) {
	earlier := []Applications{r.Applications}
	if r.Changing != nil {
		earlier = append(earlier, *r.Changing)
	}
	var all []map[Role]string
	for _, applications := range earlier {
		for _, with := range r.withOtherCounts() {
			made, err := with.texts(plan, applications)
			if err != nil {
				return nil, err
			}
			all = append(all, made)
		}
	}
	return all, nil
}

// withOtherCounts are the release with each number of databases that MaxScale may have been
// told before.
func (r *Release) withOtherCounts() []*Release {
	if r.Architecture != Replicated {
		return []*Release{r}
	}
	var all []*Release
	for n := leastReplicated; n <= Slots; n++ {
		other := *r
		other.DatabasesNext = n
		all = append(all, &other)
	}
	return all
}

// change notes what the applications shall be, until they are. Those of a release that is
// new are at once, and so is what no session says.
func (r *Release) change(wanted Applications) {
	known := slices.ContainsFunc(r.Members, func(m Member) bool { return m.Session.Hash != "" })
	switch {
	case !known, r.Changing == nil && r.Applications.noted(wanted):
		r.Applications, r.Changing = wanted, nil
	case r.Changing != nil || !reflect.DeepEqual(r.Applications, wanted):
		r.Changing = &wanted
	}
}

// next is the text that shall replace a session, or empty if it is as it shall be. What is
// recorded must come from applications that there were, or that a run which did not come to
// its end would have made.
func (r *Release) next(m Member, wanted string, before func() ([]map[Role]string, error)) (string, error) {
	if m.Session.Text == wanted {
		return "", nil
	}
	if same, err := SameMeaning(m.Session.Text, wanted); same || err != nil {
		return "", err
	}
	earlier, err := before()
	if err != nil {
		return "", err
	}
	for _, made := range earlier {
		if same, err := SameMeaning(m.Session.Text, made[m.Role]); same && err == nil {
			return wanted, nil
		}
	}
	if name := m.Role.Application(); name != "" { // it may have been retired before
		return wanted, nil
	}
	return "", &SessionChangedError{Name: m.Session.Name}
}

// admit makes members of clients that are new, before the database that exports to them,
// and keeps those of clients that are gone: their sessions are there.
func (r *Release) admit(wanted Applications) {
	for _, c := range wanted.Clients {
		if role := ApplicationRole(c.Name); r.index(role) < 0 {
			r.Members = slices.Insert(slices.Clone(r.Members), r.index(Database), Member{Role: role, Session: Session{Name: r.applicationName(c.Name)}})
		}
	}
}

// applicationName is the name of the session of a client: beside ours.
func (r *Release) applicationName(client string) string {
	if owner := r.Session(Namespace).Name; owner != "" {
		return owner + "/" + client
	}
	ours := r.Session(Client).Name
	if owner := path.Dir(ours); owner != "." {
		return owner + "/" + client
	}
	return ours + "-" + client
}

// texts are the documents of all members, by role, as they are with some applications.
func (r *Release) texts(plan Plan, applications Applications) (map[Role]string, error) {
	all, err := applications.document()
	if err != nil {
		return nil, err
	}
	if r.Architecture != Single {
		if err := applications.behindProxy(all); err != nil {
			return nil, err
		}
	}
	if err := r.checkShards(all); err != nil {
		return nil, err
	}
	if err := applications.checkOutside(all); err != nil {
		return nil, err
	}
	for _, c := range applications.Clients {
		if len(all.Of(c.Name)) == 0 {
			return nil, &NoAccountError{Client: c.Name, Clients: all.Clients()}
		}
	}
	variables, err := sessionVariables(r, plan)
	if err != nil {
		return nil, err
	}
	variables["ACCOUNTS_SQL"] = all.SQL(applications.admits)
	r.shardVariables(variables, all, applications.admits)
	variables["MASKING_GIVEN"] = applications.Masking
	if variables["MASKING"], err = applications.masking(r.Architecture, all); err != nil {
		return nil, err
	}
	m := &maker{release: r, plan: plan, applications: applications, accounts: all, variables: variables}
	return m.all()
}

// maker makes the documents of all members, with some applications.
type maker struct {
	release      *Release
	plan         Plan
	applications Applications
	accounts     *accounts.Document
	variables    map[string]string
	// database is the text of the database's session, which that of the client is made from.
	database string
}

func (m *maker) all() (map[Role]string, error) {
	if err := m.makeDatabase(); err != nil {
		return nil, err
	}
	made := map[Role]string{}
	for _, member := range m.release.Members {
		text, err := m.text(member)
		if err == nil {
			text, err = withAuditors(member.Session.Name, text, m.plan.Auditors)
		}
		if err != nil {
			return nil, err
		}
		made[member.Role] = text
	}
	return made, nil
}

// makeDatabase makes the text of the database's session, and notes what it promises.
func (m *maker) makeDatabase() (err error) {
	if m.database, err = m.render(Database, m.applications.secrets(m.accounts, m.release)); err == nil {
		m.database, err = m.applications.trusting(m.database)
	}
	if err != nil {
		return err
	}
	if begin, _, _ := strings.Cut(m.variables["ACCOUNTS_SQL"], "\n"); !strings.Contains(m.database, begin) {
		return &MarkError{Name: string(Database), Mark: "$ACCOUNTS_SQL"}
	}
	return m.promises()
}

// text is the document of a member.
func (m *maker) text(member Member) (string, error) {
	switch name := member.Role.Application(); {
	case name != "" && m.applications.there(name):
		return m.applications.Find(name).session(m.release, m.accounts)
	case name != "":
		return retired(member.Session.Name), nil
	case member.Role == Database:
		return m.database, nil
	case member.Role == Client:
		return m.render(Client, passwords(m.accounts, m.release.Session(Database).Name))
	case member.Role == Namespace, member.Role == MaxScale:
		return m.render(member.Role, nil)
	}
	return "", fmt.Errorf("session %s: there is no template for the role %q", member.Session.Name, member.Role)
}

// render fills in the template of a role. more are lines that it has behind its marks.
func (m *maker) render(role Role, more map[string]string) (string, error) {
	file, other := m.release.template(role), m.plan.Templates[string(role)]
	source, err := Template(file)
	if err != nil {
		return "", err
	}
	if file += ".yml"; other != "" {
		file, source = string(role)+" template", []byte(other)
	}
	for mark, lines := range more {
		if source, err = insert(string(role), source, mark, lines); err != nil {
			return "", err
		}
	}
	if source, err = repeat(string(role), source, m.release.groups(m.applications.Masking != "")); err != nil {
		return "", err
	}
	return renderSession(file, source, m.variables)
}

// retired is the document of a client that is no longer admitted: no program gets anything
// under its name. CAS forgets no name.
func retired(name string) string {
	return "# Of a client that is no longer admitted: nobody gets anything.\nversion: \"0.3.11\"\nname: " + name + "\naccess_policy:" + readers + "  update:\n    - CREATOR\n"
}

// NoAccountError means that no account of the document belongs to a client.
type NoAccountError struct {
	Client string
	// Clients are those that have some.
	Clients []string
}

func (e *NoAccountError) Error() string {
	if len(e.Clients) == 0 {
		return fmt.Sprintf("client %s: no account belongs to it; the accounts document has none at all", e.Client)
	}
	return fmt.Sprintf("client %s: no account belongs to it; there are accounts of %s", e.Client, strings.Join(e.Clients, ", "))
}

// Hint says where accounts come from.
func (e *NoAccountError) Hint() string {
	return "Add an account with client: " + e.Client + " to your accounts document, and give it with {client add --accounts FILE}; {accounts example} prints one."
}
