package topology

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
)

// Applications are the user's own: what they may do, and which of them there are. The zero
// value is none.
type Applications struct {
	// Accounts is the text of the accounts document; empty is none.
	Accounts string `json:"accounts,omitempty"`
	// Clients are sorted by name.
	Clients []Application `json:"clients,omitempty"`
}

// Application is a program of the user's own that may connect to the database, in the
// enclaves that it names and on its machines.
type Application struct {
	// Name is that of its service, and ends the name of its session.
	Name string `json:"name"`
	// MRENCLAVEs are the measurements of which one must match; none if Signer is given.
	MRENCLAVEs []sgx.Measurement `json:"mrenclaves,omitempty"`
	// Signer is who must have signed the enclave.
	Signer *attest.SignerReference `json:"signer,omitempty"`
	// Platforms are its machines; empty are those of the release.
	Platforms []attest.PlatformID `json:"platforms,omitempty"`
	// Settings are those with which the measurements were taken; empty ones were not said.
	Settings policy.Settings `json:"settings,omitzero"`
	// Namespace is the Kubernetes namespace in which it runs; empty was not said.
	Namespace string `json:"namespace,omitempty"`
	// Command is the program with its arguments, and Directory where it starts.
	Command   []string `json:"command"`
	Directory string   `json:"directory,omitempty"`
	// Environment is all that the program sees, and FromHost names what it takes from the
	// host, with what it is without.
	Environment map[string]string `json:"environment,omitempty"`
	FromHost    map[string]string `json:"fromHost,omitempty"`
	// Files are what CAS gives it, by path.
	Files map[string]Given `json:"files"`
}

// Given is a file that CAS gives a client: a form, of an account of its.
type Given struct {
	Form Form `json:"form"`
	// Account may be empty where the client has only one.
	Account string `json:"account,omitempty"`
}

// Form is what a file says.
type Form string

// The forms.
const (
	FormCA          Form = "ca"
	FormCertificate Form = "certificate"
	FormKey         Form = "key"
	FormPassword    Form = "password"
	FormOptions     Form = "my.cnf"
	FormGo          Form = "go-dsn"
	FormURL         Form = "url"
	FormJSON        Form = "json"
)

// Forms are all, in an order for people.
func Forms() []Form {
	return []Form{FormCA, FormCertificate, FormKey, FormPassword, FormOptions, FormGo, FormURL, FormJSON}
}

// GivenByDefault are the files of a client that names none.
func GivenByDefault() map[string]Given {
	return map[string]Given{"/run/confidb/ca.crt": {Form: FormCA}, "/run/confidb/client.crt": {Form: FormCertificate}, "/run/confidb/client.key": {Form: FormKey}, "/run/confidb/my.cnf": {Form: FormOptions}}
}

// ApplicationRole is the role of the session of a client of the user's own.
func ApplicationRole(name string) Role { return Role(applicationRole + name) }

const applicationRole = "client "

// AnyApplication stands for the roles of all clients of the user's own.
const AnyApplication Role = applicationRole

// Application is the name of the client whose session has this role; empty for others.
func (r Role) Application() string {
	name, ok := strings.CutPrefix(string(r), applicationRole)
	if !ok {
		return ""
	}
	return name
}

// document reads the accounts.
func (a Applications) document() (*accounts.Document, error) {
	if a.Accounts == "" {
		return &accounts.Document{}, nil
	}
	return accounts.Parse("accounts", []byte(a.Accounts))
}

// Find returns the client of a name, or nil.
func (a Applications) Find(name string) *Application {
	for i := range a.Clients {
		if a.Clients[i].Name == name {
			return &a.Clients[i]
		}
	}
	return nil
}

// Guests says of each client who may be it, as which accounts, with which rights.
func (a Applications) Guests() ([]Guest, error) {
	all, err := a.document()
	if err != nil {
		return nil, err
	}
	var guests []Guest
	for _, c := range a.Clients {
		g := Guest{Client: c.Name, Who: c.Who(), Namespace: c.Namespace}
		for _, account := range all.Of(c.Name) {
			g.Accounts = append(g.Accounts, GuestAccount{account.Name, account.Identity(), account.CommonName(), accounts.Said(account.Rights), account.Limits})
		}
		guests = append(guests, g)
	}
	return guests, nil
}

// Guest is a client of the user's own, in words.
type Guest struct {
	Client string `json:"client"`
	// Who says which enclaves may be it, and on which machines.
	Who string `json:"who"`
	// Namespace is the Kubernetes namespace in which it runs; empty was not said.
	Namespace string         `json:"namespace,omitempty"`
	Accounts  []GuestAccount `json:"accounts"`
}

// GuestAccount is an account of a client.
type GuestAccount struct {
	Name string `json:"name"`
	// Identity is the name of its secrets in the session of the database, and CommonName that
	// in the certificate that the account demands.
	Identity   string   `json:"-"`
	CommonName string   `json:"commonName"`
	Rights     string   `json:"rights"`
	Limits     []string `json:"limits,omitempty"`
}

// With is the same with a client, in the place of the one of its name.
func (a Applications) With(client Application) Applications {
	a = a.Without(client.Name)
	a.Clients = append(a.Clients, client)
	slices.SortFunc(a.Clients, func(x, y Application) int { return strings.Compare(x.Name, y.Name) })
	return a
}

// Without is the same without a client.
func (a Applications) Without(name string) Applications {
	a.Clients = slices.DeleteFunc(slices.Clone(a.Clients), func(c Application) bool { return c.Name == name })
	return a
}

// Follow refuses applications that cannot come after others.
func (a Applications) Follow(before Applications) error {
	from, err := before.document()
	if err != nil {
		return err
	}
	to, err := a.document()
	if err != nil {
		return err
	}
	return to.Follow(from)
}

// Changes says in words what changes from these applications to others.
func (a Applications) Changes(to Applications) []string {
	before, err := a.document()
	if err != nil {
		return []string{err.Error()}
	}
	after, err := to.document()
	if err != nil {
		return []string{err.Error()}
	}
	all := accounts.Changes(before, after)
	for _, c := range a.Clients {
		if !to.there(c.Name) {
			all = append(all, fmt.Sprintf("client %s is no longer admitted: its accounts are locked, its connections end, and nobody gets what it logged in with", c.Name))
		}
	}
	for _, c := range to.Clients {
		switch old := a.Find(c.Name); {
		case old == nil:
			all = append(all, fmt.Sprintf("client %s is admitted: %s", c.Name, c.Who()))
		case old.Who() != c.Who():
			all = append(all, fmt.Sprintf("client %s is %s, after %s", c.Name, c.Who(), old.Who()))
		case old.elsewhere(c):
			all = append(all, fmt.Sprintf("client %s is looked for in %s, measured %s", c.Name, c.Where(), c.Settings))
		case !old.Equal(c):
			all = append(all, fmt.Sprintf("client %s runs in another way, or gets other files", c.Name))
		}
	}
	return all
}

// Equal reports whether two are the same client, which gets the same.
func (c Application) Equal(other Application) bool {
	return flow(c) == flow(other)
}

// Who says which enclaves may be the client, and where.
func (c Application) Who() string {
	var all []string
	for _, m := range c.MRENCLAVEs {
		all = append(all, m.String())
	}
	who := "the enclave " + strings.Join(all, " or ")
	if len(all) == 0 {
		who = "any enclave"
	}
	if c.Signer != nil {
		who += fmt.Sprintf(" signed by %s (product %d, version %d or later)", c.Signer.MRSIGNER, c.Signer.ISVProdID, c.Signer.MinISVSVN)
	}
	if len(c.Platforms) == 0 {
		return who + ", on the machines of the release"
	}
	return who + ", on " + strings.ReplaceAll(joined(c.Platforms), ",", ", ")
}

// there reports whether there is a client.
func (a Applications) there(name string) bool { return a.Find(name) != nil }

// Lines of our templates after which the secrets of accounts stand, and the files of our
// client with their passwords.
const (
	secretsMark   = "  # accounts: what your own applications log in with\n"
	caMark        = "      # accounts: clients that check the server by it\n"
	passwordsMark = "      # accounts: passwords, to compare them\n"
)

// secrets are what the accounts log in with, and to whom the CA goes, as the database's
// session has them behind its marks. Whoever is exported to is the session of the account's client. Ours
// gets the passwords, to compare them, and none of the keys.
func (a Applications) secrets(all *accounts.Document, r *Release) map[string]string {
	var b, ca strings.Builder
	for _, c := range a.Clients {
		fmt.Fprintf(&ca, "      - session: %s\n", r.Session(ApplicationRole(c.Name)).Name)
	}
	for _, one := range all.Accounts {
		id, to := one.Identity(), ""
		if a.there(one.Client) {
			to = "      - session: " + r.Session(ApplicationRole(one.Client)).Name + "\n"
		}
		export := ""
		if to != "" {
			export = "    export:\n" + to
		}
		fmt.Fprintf(&b, "  - name: %s_key\n    kind: private-key\n    migrate: true\n%s", id, export)
		fmt.Fprintf(&b, "  - name: %s\n    kind: x509\n    private_key: %s_key\n    issuer: ca\n    common_name: %s\n    endpoint: client\n    valid_for: 1 year\n%s", id, id, one.CommonName(), export)
		fmt.Fprintf(&b, "  - name: %s_password\n    kind: binary\n    size: 32\n    export:\n      - session: %s\n%s", id, r.Session(Client).Name, to)
	}
	return map[string]string{secretsMark: b.String(), caMark: ca.String()}
}

// passwords are the files of our client, and the secrets in them.
func passwords(all *accounts.Document, database string) map[string]string {
	var files, secrets string
	for _, one := range all.Accounts {
		id := one.Identity()
		files += fmt.Sprintf("      - path: /run/confidb/%s.password\n        permission: 0o400\n        content: \"$$SCONE::%s_password:hex$$\"\n", id, id)
		secrets += imported(database, id+"_password", session.Binary)
	}
	return map[string]string{passwordsMark: files, secretsMark: secrets}
}

// insert puts lines behind a mark of a template.
func insert(template string, source []byte, mark, lines string) ([]byte, error) {
	switch {
	case lines == "":
		return source, nil
	case bytes.Count(source, []byte(mark)) != 1:
		return nil, &MarkError{Name: template, Mark: mark}
	}
	return bytes.Replace(source, []byte(mark), []byte(mark+lines), 1), nil
}

// MarkError means that a template of the user's has no place for what accounts need.
type MarkError struct{ Name, Mark string }

func (e *MarkError) Error() string {
	return fmt.Sprintf("template %s: there are accounts, and no place for what they log in with: want the line %q", e.Name, strings.TrimSuffix(e.Mark, "\n"))
}

// Hint says where it stands in ours.
func (e *MarkError) Hint() string {
	return "Put the line where our template has it: {session template " + e.Name + "}."
}

// session is the document of a client's session: which enclave gets what.
func (c Application) session(r *Release, all *accounts.Document) (string, error) {
	mine := all.Of(c.Name)
	if len(mine) == 0 {
		return "", fmt.Errorf("client %s: no account belongs to it", c.Name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# The session of the client %s: which enclaves get what it connects to the database with.\nversion: \"0.3.11\"\nname: %s\n", c.Name, r.Session(ApplicationRole(c.Name)).Name)
	fmt.Fprintf(&b, "services:\n  - name: %s\n    image_name: %s\n    command: %s\n", c.Name, c.Name, flow(c.Command))
	if c.Directory != "" {
		fmt.Fprintf(&b, "    pwd: %s\n", flow(c.Directory))
	}
	environment := maps.Clone(c.Environment)
	for name, without := range c.FromHost {
		if environment == nil {
			environment = map[string]string{}
		}
		environment[`\@\@`+name] = without
	}
	if len(environment) > 0 {
		fmt.Fprintf(&b, "    environment: %s\n", flow(environment))
	}
	b.WriteString("    attestation:\n" + c.attestation())
	platforms := c.Platforms
	if len(platforms) == 0 {
		platforms = r.Platforms
	}
	fmt.Fprintf(&b, "    platforms: [%s]\n", strings.ReplaceAll(joined(platforms), ",", ", "))
	fmt.Fprintf(&b, "images:\n  - name: %s\n    injection_files:\n", c.Name)
	for _, at := range slices.Sorted(maps.Keys(c.Files)) {
		content, err := c.content(at, r.Host, mine)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "      - path: %s\n        permission: 0o400\n        content: %s\n", flow(at), flow(content))
	}
	b.WriteString("secrets:\n" + imported(r.Session(Database).Name, "ca", session.X509CA))
	for _, a := range mine {
		id := a.Identity()
		b.WriteString(imported(r.Session(Database).Name, id+"_key", session.PrivateKey) + imported(r.Session(Database).Name, id, session.X509) + imported(r.Session(Database).Name, id+"_password", session.Binary))
	}
	b.WriteString("access_policy:" + readers + "  update:\n    - CREATOR\n")
	return b.String(), nil
}

func imported(from, secret string, kind session.Kind) string {
	return fmt.Sprintf("  - name: %s\n    kind: %s\n    import:\n      session: %s\n      secret: %s\n", secret, kind, from, secret)
}

// attestation says which enclaves the client may be.
func (c Application) attestation() string {
	var text string
	if len(c.MRENCLAVEs) > 0 {
		var all []string
		for _, m := range c.MRENCLAVEs {
			all = append(all, m.String())
		}
		text += "      mrenclave: " + flow(all) + "\n"
	}
	if c.Signer != nil {
		text += fmt.Sprintf("      signer: {mrsigner: %q, isvprodid: %d, isvsvn_min: %d}\n", c.Signer.MRSIGNER.String(), c.Signer.ISVProdID, c.Signer.MinISVSVN)
	}
	return text
}

// flow writes a value as JSON, which is YAML as well.
func flow(value any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil { // of texts, lists and mappings of them
		return document.Word(err.Error())
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// content is what the file at a path says.
func (c Application) content(at, host string, mine []accounts.Account) (string, error) {
	given := c.Files[at]
	of := slices.IndexFunc(mine, func(a accounts.Account) bool { return a.Name == given.Account })
	switch {
	case given.Account == "" && len(mine) == 1:
		of = 0
	case given.Account == "" && given.Form != FormCA:
		return "", fmt.Errorf("client %s: file %s: say of which of its %d accounts it is", c.Name, at, len(mine))
	case given.Account != "" && of < 0:
		return "", fmt.Errorf("client %s: file %s: the account %q does not belong to it", c.Name, at, given.Account)
	}
	if given.Form == FormCA {
		return "$$SCONE::ca:crt$$", nil
	}
	account := mine[of]
	id := account.Identity()
	password := "$$SCONE::" + id + "_password:hex$$"
	switch given.Form {
	case FormCertificate:
		return "$$SCONE::" + id + ":crt$$", nil
	case FormKey:
		return "$$SCONE::" + id + "_key:pem$$", nil
	case FormPassword:
		return password, nil
	}
	paths, err := c.paths(at, given)
	if err != nil {
		return "", err
	}
	return given.Form.settings(connection{host, account.Name, password, firstDatabase(account), paths})
}

// firstDatabase is where the account begins: the only database that it has rights in.
func firstDatabase(a accounts.Account) string {
	all := a.Databases()
	if len(all) != 1 {
		return ""
	}
	return all[0]
}

// paths are where the CA, the certificate and the key of the same account are.
func (c Application) paths(of string, given Given) ([3]string, error) {
	var all [3]string
	for i, form := range []Form{FormCA, FormCertificate, FormKey} {
		for _, at := range slices.Sorted(maps.Keys(c.Files)) {
			if f := c.Files[at]; all[i] == "" && f.Form == form && (form == FormCA || f.Account == given.Account) {
				all[i] = at
			}
		}
		if all[i] == "" {
			return all, fmt.Errorf("client %s: file %s, %s: it names the file of the form %s, which the client does not have", c.Name, of, given.Form, form)
		}
	}
	return all, nil
}

// CheckPath says what is wrong with the path of a file, if anything.
func CheckPath(at string) error {
	if !path.IsAbs(at) || path.Clean(at) != at || at == "/" || strings.ContainsAny(at, "$@\\") || strings.ContainsFunc(at, document.Invisible) {
		return fmt.Errorf("got the path %q, want one from / on, without .., $, @ and \\", document.Clip(at))
	}
	return nil
}
