package topology

import (
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"
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
		made, err := r.texts(plan, applications)
		if err != nil {
			return nil, err
		}
		all = append(all, made)
	}
	return all, nil
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
	database, err := renderSession(string(Database), plan.Templates, variables, applications.secrets(all, r))
	if err == nil {
		database, err = applications.trusting(database)
	}
	if err != nil {
		return nil, err
	}
	if begin, _, _ := strings.Cut(variables["ACCOUNTS_SQL"], "\n"); !strings.Contains(database, begin) {
		return nil, &MarkError{Name: string(Database), Mark: "$ACCOUNTS_SQL"}
	}
	if variables["DATABASE_PROMISE"], err = databasePromise(database); err != nil {
		return nil, err
	}
	made := map[Role]string{}
	for _, m := range r.Members {
		text := database
		switch name := m.Role.Application(); {
		case name != "" && applications.there(name):
			text, err = applications.Find(name).session(r, all)
		case name != "":
			text = retired(m.Session.Name)
		case m.Role == Client:
			text, err = renderSession(string(m.Role), plan.Templates, variables, passwords(all, r.Session(Database).Name))
		case m.Role != Database:
			text, err = renderSession(string(m.Role), plan.Templates, variables, nil)
		}
		if err == nil {
			text, err = withAuditors(m.Session.Name, text, plan.Auditors)
		}
		if err != nil {
			return nil, err
		}
		made[m.Role] = text
	}
	return made, nil
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
