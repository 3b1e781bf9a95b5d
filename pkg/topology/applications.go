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
	"github.com/confidb/confidb/pkg/outside"
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
	// Outside are clients that run in no enclave, sorted by name, until they end.
	Outside []outside.Client `json:"outside,omitempty"`
	// Masking are the rules by which MaxScale masks what they are answered, as the user gave
	// them; empty are none.
	Masking string `json:"masking,omitempty"`
	// MaskedAccounts are accounts of the document that get at no masked column by any right
	// of theirs, sorted.
	MaskedAccounts []string `json:"maskedAccounts,omitempty"`
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
	// Files are what CAS gives it, by path, or InEnvironment.
	Files map[string]Given `json:"files"`
}

// Given is a file that CAS gives a client: a form, of an account of its.
type Given struct {
	Form Form `json:"form"`
	// Account may be empty where the client has only one.
	Account string `json:"account,omitempty"`
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
	all, err := accounts.Parse("accounts", []byte(a.Accounts))
	if err == nil {
		a.letOut(all)
	}
	return all, err
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
			g.Accounts = append(g.Accounts, guestAccount(account))
		}
		guests = append(guests, g)
	}
	return append(guests, a.outsideGuests(all)...), nil
}

// Guest is a client of the user's own, in words.
type Guest struct {
	Client string `json:"client"`
	// Who says which enclaves may be it, and on which machines.
	Who string `json:"who"`
	// Namespace is the Kubernetes namespace in which it runs; empty was not said.
	Namespace string         `json:"namespace,omitempty"`
	Accounts  []GuestAccount `json:"accounts"`
	// Outside is set for a client outside of enclaves.
	Outside *OutsideGuest `json:"outside,omitempty"`
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
	a.Outside = slices.DeleteFunc(slices.Clone(a.Outside), func(c outside.Client) bool { return c.Name == name })
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
	all := accounts.Compare(accounts.State{Document: before, There: a.admits}, accounts.State{Document: after, There: to.admits}).Words()
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
			all = append(all, fmt.Sprintf("client %s changes from %s to %s", c.Name, old.Who(), c.Who()))
		case old.elsewhere(c):
			all = append(all, fmt.Sprintf("client %s: it now runs in %s, measured %s", c.Name, c.Where(), c.Settings))
		case !old.Equal(c):
			all = append(all, fmt.Sprintf("client %s: its command, variables or files change", c.Name))
		}
	}
	return append(append(all, a.outsideChanges(to)...), a.maskingChanges(to)...)
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
	if proxy := r.Session(MaxScale).Name; proxy != "" {
		fmt.Fprintf(&ca, "      - session: %s\n", proxy)
	}
	for _, c := range a.Clients {
		fmt.Fprintf(&ca, "      - session: %s\n", r.Session(ApplicationRole(c.Name)).Name)
	}
	for _, one := range all.Accounts {
		if one.Outside != nil {
			continue
		}
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
	more := map[string]string{secretsMark: b.String(), caMark: ca.String()}
	if r.Architecture != Single {
		more[initMark] = a.initSecrets(all)
	}
	return more
}

// passwords are the files of our client, and the secrets in them.
func passwords(all *accounts.Document, database string) map[string]string {
	var files, secrets string
	for _, one := range all.Accounts {
		if one.Outside != nil {
			continue
		}
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
	environment, err := c.environment(r.Host, mine)
	if err != nil {
		return "", err
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
		if at == InEnvironment {
			continue
		}
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

// environment is all that the program sees: what the user says, what comes from the host, and
// what CAS fills in.
func (c Application) environment(host string, mine []accounts.Account) (map[string]string, error) {
	all := map[string]string{}
	maps.Copy(all, c.Environment)
	for name, without := range c.FromHost {
		all[`\@\@`+name] = without
	}
	given, ok := c.Files[InEnvironment]
	if !ok {
		return all, nil
	}
	if given.Form != FormEnvironment {
		return nil, fmt.Errorf("client %s: the form %s is a file: want its path, and not %s", c.Name, given.Form, InEnvironment)
	}
	account, err := c.account(InEnvironment, mine)
	if err != nil {
		return nil, err
	}
	connection, err := c.connection(InEnvironment, host, account)
	if err == nil {
		err = connection.check(FormJSON) // no reader of .env files is between
	}
	if err != nil {
		return nil, fmt.Errorf("client %s: %s: %w", c.Name, InEnvironment, err)
	}
	for name, value := range connection.variables() {
		_, ours := all[name]
		if _, hosts := all[`\@\@`+name]; ours || hosts {
			return nil, fmt.Errorf("client %s: the variable %s is that of the form %s, and another", c.Name, name, FormEnvironment)
		}
		all[name] = value
	}
	return all, nil
}

// account is that of a file.
func (c Application) account(at string, mine []accounts.Account) (accounts.Account, error) {
	given := c.Files[at]
	of := slices.IndexFunc(mine, func(a accounts.Account) bool { return a.Name == given.Account })
	switch {
	case given.Account == "" && (len(mine) == 1 || given.Form == FormCA):
		of = 0
	case given.Account == "":
		return accounts.Account{}, fmt.Errorf("client %s: file %s: say of which of its %d accounts it is", c.Name, at, len(mine))
	case of < 0:
		return accounts.Account{}, fmt.Errorf("client %s: file %s: the account %q does not belong to it", c.Name, at, given.Account)
	}
	return mine[of], nil
}

// placeholder is what a file of one secret holds; empty for other forms.
func (f Form) placeholder(account accounts.Account) string {
	id := account.Identity()
	switch f {
	case FormCA:
		return "$$SCONE::ca:crt$$"
	case FormCertificate:
		return "$$SCONE::" + id + ":crt$$"
	case FormKey:
		return "$$SCONE::" + id + "_key:pem$$"
	case FormPassword:
		return "$$SCONE::" + id + "_password:hex$$"
	case FormPKCS12:
		return "$$SCONE::" + id + ":pkcs12-with-private-key$$"
	}
	return ""
}

// content is what the file at a path says.
func (c Application) content(at, host string, mine []accounts.Account) (string, error) {
	account, err := c.account(at, mine)
	if err != nil {
		return "", err
	}
	form := c.Files[at].Form
	if text := form.placeholder(account); text != "" {
		return text, nil
	}
	connection, err := c.connection(at, host, account)
	if err != nil {
		return "", err
	}
	text, err := form.settings(connection)
	if err != nil {
		return "", fmt.Errorf("client %s: file %s: %w", c.Name, at, err)
	}
	return text, nil
}

// connection is what the file at a path, or the environment, is to say.
func (c Application) connection(at, host string, account accounts.Account) (connection, error) {
	texts := map[Form]string{}
	for _, form := range []Form{FormCA, FormCertificate, FormKey} {
		texts[form] = strings.TrimSuffix(form.placeholder(account), "$$") + "|escape(json)$$"
	}
	paths, err := c.paths(at)
	return connection{host, account.Name, FormPassword.placeholder(account), firstDatabase(account), paths, texts}, err
}

// firstDatabase is where the account begins: the only database that it has rights in.
func firstDatabase(a accounts.Account) string {
	all := a.Databases()
	if len(all) != 1 {
		return ""
	}
	return all[0]
}

// paths are where the files are that the one at a path names, of the same account.
func (c Application) paths(of string) (map[Form]string, error) {
	given, all := c.Files[of], map[Form]string{}
	for _, form := range given.Form.names() {
		for _, at := range slices.Sorted(maps.Keys(c.Files)) {
			if f := c.Files[at]; all[form] == "" && f.Form == form && (form == FormCA || f.Account == given.Account) {
				all[form] = at
			}
		}
		if all[form] == "" {
			return all, fmt.Errorf("client %s: file %s (%s) refers to a file of the form %s, and none is given", c.Name, of, given.Form, form)
		}
	}
	return all, nil
}

// CheckPath says what is wrong with the path of a file, if anything. InEnvironment is one.
func CheckPath(at string) error {
	if at == InEnvironment {
		return nil
	}
	if !path.IsAbs(at) || path.Clean(at) != at || at == "/" || strings.ContainsAny(at, "$@\\") || strings.ContainsFunc(at, document.Invisible) {
		return fmt.Errorf("got the path %q, want an absolute path without .., $, @ and \\, as in my.cnf=/run/confidb/my.cnf", document.Clip(at))
	}
	return nil
}
