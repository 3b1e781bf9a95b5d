// Package deploy tells the story of an installation: sessions for a client and a
// database in an attested CAS, then a Helm release that runs under them. Every
// step is written down before it is taken and looks first at what is there, so a
// run that was killed is continued by the next one and ends in the same state.
package deploy

import (
	"cmp"
	"context"
	"crypto/rand"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
)

//go:embed templates/*.yml
var templates embed.FS

// Template returns one of our own session templates: namespace, client or database.
func Template(name string) ([]byte, error) { return templates.ReadFile("templates/" + name + ".yml") }

// CAS is the attested CAS, as far as an installation needs it.
type CAS interface {
	Session(ctx context.Context, name string) (*cas.StoredSession, error)
	CreateSession(ctx context.Context, document []byte) (string, error)
}

// Names of the enclaves whose measurements a policy gives.
const (
	EnclaveServer = "mariadbd"
	EnclaveClient = "mariadb"
	EnclaveProbe  = "probe"
)

// Plan is what is to be installed.
type Plan struct {
	// Name and Namespace are those of the Helm release.
	Name, Namespace string
	// CASAddress is the CAS as the pods reach it.
	CASAddress string
	// DatabaseSession and ClientSession are names of the user's choice. Empty
	// means names in a new namespace that nobody can guess.
	DatabaseSession, ClientSession string
	// Platforms are the machines on which the database and its clients may run.
	Platforms []attest.PlatformID
	// Enclaves are the accepted measurements by enclave name.
	Enclaves map[string][]sgx.Measurement
	// Templates replace our own, by name (client, database). They get the same variables.
	Templates map[string]string
	// BootstrapSQL makes MariaDB's system tables. It belongs to the version of the
	// image and comes from whoever builds it; nobody else's SQL runs with every right.
	BootstrapSQL string
	// Host is the name under which pods reach the database; empty means the recorded
	// one, or Host().
	Host string
	// Trust, Chart, Values, Pod and Origins are kept for later verifications.
	Trust   record.Trust
	Chart   record.Chart
	Values  map[string]any
	Pod     record.Client
	Origins map[string]string
}

// Host is the name under which the pods reach the database of a release of our
// own chart.
func Host(name, namespace string) string { return name + "-mariadb." + namespace + ".svc" }

// releaseName is what Helm and the names of sessions and Services both admit.
func releaseName() *regexp.Regexp { return regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`) }

// maxReleaseName leaves room for the suffixes of the objects that Kubernetes makes.
const maxReleaseName = 44

// CheckName says what is wrong with the name of a release, if anything.
func CheckName(name string) error {
	if len(name) > maxReleaseName || !releaseName().MatchString(name) {
		return fmt.Errorf("release name: got %q, want at most %d of a-z, 0-9 and -, starting with a letter", name, maxReleaseName)
	}
	return nil
}

// Prepare returns the record of the planned release with its three session
// documents. Names are chosen at the first call and kept; documents that were
// uploaded, or may have been, are not replaced.
func Prepare(plan Plan, earlier *record.Release) (*record.Release, error) {
	if err := CheckName(plan.Name); err != nil {
		return nil, err
	}
	r := &record.Release{Name: plan.Name, Namespace: plan.Namespace}
	if earlier != nil {
		r = earlier
	}
	if err := nameSessions(r, plan); err != nil {
		return nil, err
	}
	if r.CASAddress != "" && r.CASAddress != plan.CASAddress {
		return nil, &ChangedError{What: "CAS", Got: plan.CASAddress, Want: r.CASAddress}
	}
	r.CASAddress, r.Trust, r.Chart, r.Values, r.Pod, r.Origins = plan.CASAddress, plan.Trust, plan.Chart, plan.Values, plan.Pod, plan.Origins
	r.Templates = plan.Templates
	r.Enclaves, r.BootstrapSQL, r.Host = plan.Enclaves, plan.BootstrapSQL, cmp.Or(plan.Host, r.Host, Host(plan.Name, plan.Namespace))
	r.Platforms = nil
	for _, id := range plan.Platforms {
		r.Platforms = append(r.Platforms, id.String())
	}
	return r, renderSessions(r, plan)
}

// ChangedError means that an input differs from what the first run recorded.
type ChangedError struct{ What, Got, Want string }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("the %s of this release has changed: got %s, recorded %s", e.What, e.Got, e.Want)
}

// Hint says how to go on.
func (e *ChangedError) Hint() string {
	return "use the recorded value, or uninstall the release and install it under a new name"
}

func nameSessions(r *record.Release, plan Plan) error {
	if r.Database.Name == "" {
		token := make([]byte, 16)
		if _, err := rand.Read(token); err != nil {
			return err
		}
		owner := plan.Name + "-" + hex.EncodeToString(token)
		r.Database.Name, r.Client.Name = owner+"/db", owner+"/client"
		if plan.DatabaseSession != "" {
			r.Database.Name = plan.DatabaseSession
		}
		if plan.ClientSession != "" {
			r.Client.Name = plan.ClientSession
		}
		if plan.DatabaseSession == "" || plan.ClientSession == "" {
			r.Owner.Name = owner
		}
	}
	for _, s := range []struct{ what, got, want string }{
		{"database session", plan.DatabaseSession, r.Database.Name},
		{"client session", plan.ClientSession, r.Client.Name},
	} {
		if s.got != "" && s.got != s.want {
			return &ChangedError{What: s.what, Got: s.got, Want: s.want}
		}
	}
	return nil
}

func renderSessions(r *record.Release, plan Plan) error {
	variables, err := sessionVariables(r, plan)
	if err != nil {
		return err
	}
	for _, s := range []struct {
		template string
		into     *record.Session
	}{{"namespace", &r.Owner}, {"client", &r.Client}, {"database", &r.Database}} {
		if s.into.Name == "" {
			continue // the user named both sessions, so there is no namespace of ours
		}
		text, err := renderSession(s.template, plan.Templates, variables)
		if err != nil {
			return err
		}
		if s.into.Hash == "" {
			s.into.Text = text
			continue
		}
		same, err := sameMeaning(s.into.Text, text)
		if err != nil {
			return err
		}
		if !same {
			return &SessionChangedError{Name: s.into.Name}
		}
	}
	return nil
}

// sameMeaning compares documents; a later version of a session has a predecessor.
func sameMeaning(a, b string) (bool, error) {
	x, err := session.Parse("recorded session", []byte(a))
	if err != nil {
		return false, err
	}
	y, err := session.Parse("rendered session", []byte(b))
	return err == nil && session.Equal(x, y), err
}

func renderSession(template string, others, variables map[string]string) (string, error) {
	source, err := Template(template)
	if err != nil {
		return "", err
	}
	file := template + ".yml"
	if other, ok := others[template]; ok {
		file, source = template+" template", []byte(other)
	}
	text, err := session.Render(file, source, func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}, "")
	if err != nil {
		return "", err
	}
	if _, err := session.Parse(file, text); err != nil {
		return "", err
	}
	return string(text), nil
}

// SessionChangedError means that a session exists, and that the inputs would now
// make another one.
type SessionChangedError struct{ Name string }

func (e *SessionChangedError) Error() string {
	return fmt.Sprintf("session %q exists, and the platforms, measurements or names given now would make a different one", e.Name)
}

// Hint says how to go on.
func (e *SessionChangedError) Hint() string {
	return "other machines: kubectl confidb platforms plan, then platforms apply; else give the same measurements and names as at the first run, or install under another release name"
}

func sessionVariables(r *record.Release, plan Plan) (map[string]string, error) {
	short, _, _ := strings.Cut(r.Host, ".")
	variables := map[string]string{
		"NAMESPACE":           r.Owner.Name,
		"DBSESSION":           r.Database.Name,
		"DBCLIENT":            r.Client.Name,
		"DATABASE_HOST":       r.Host,
		"DATABASE_HOST_SHORT": short,
		"PLATFORMS":           strings.Join(r.Platforms, ","),
		"BOOTSTRAP_SQL":       plan.BootstrapSQL,
	}
	if strings.TrimSpace(plan.BootstrapSQL) == "" {
		return nil, errors.New("no SQL for the system tables: the database could not be made")
	}
	if len(plan.Platforms) == 0 {
		return nil, errors.New("no platform ID: a session without platforms could be used on any machine")
	}
	for variable, enclave := range map[string]string{
		"MRENCLAVE_MARIADBD": EnclaveServer, "MRENCLAVE_MARIADB": EnclaveClient, "MRENCLAVE_PROBE": EnclaveProbe,
	} {
		accepted := plan.Enclaves[enclave]
		if len(accepted) != 1 {
			return nil, fmt.Errorf("measurements of the enclave %q: got %d, want one MRENCLAVE", enclave, len(accepted))
		}
		variables[variable] = accepted[0].String()
	}
	return variables, nil
}

// EnsureSession makes the CAS hold the session s. When a session of that name is
// there already, it must mean the same: then its hash is taken and nothing is
// uploaded. It reports whether it created the session.
func EnsureSession(ctx context.Context, c CAS, s *record.Session) (created bool, err error) {
	stored, err := inspect(ctx, c, s)
	switch {
	case err != nil:
		return false, err
	case stored == nil:
		s.Hash, err = c.CreateSession(ctx, []byte(s.Text))
		return err == nil, err
	}
	s.Hash = stored.Hash
	return false, nil
}

// InspectSession says what EnsureSession would do, and changes nothing.
func InspectSession(ctx context.Context, c CAS, s *record.Session) (string, error) {
	stored, err := inspect(ctx, c, s)
	if err != nil {
		return "", err
	}
	if stored == nil {
		return "would be created", nil
	}
	return "is there already, with the same meaning", nil
}

// inspect returns the session that CAS holds if it is the wanted one, and nil when
// it holds none and may be given it.
func inspect(ctx context.Context, c CAS, s *record.Session) (*cas.StoredSession, error) {
	stored, err := c.Session(ctx, s.Name)
	if errors.Is(err, cas.ErrNotFound) {
		if s.Hash != "" {
			return nil, fmt.Errorf("session %q was created before, and this CAS does not have it: got another CAS, or one that lost its store", s.Name)
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return stored, SameSession(s, stored)
}

// SameSession reports whether what CAS holds is what was uploaded: equal in
// meaning and, where the hash is known, the very same version.
func SameSession(want *record.Session, got *cas.StoredSession) error {
	if want.Hash != "" && !strings.EqualFold(want.Hash, got.Hash) {
		return fmt.Errorf("session %q was changed in CAS: got hash %s, want %s", want.Name, got.Hash, want.Hash)
	}
	ours, err := session.Parse(want.Name, []byte(want.Text))
	if err != nil {
		return fmt.Errorf("reading the recorded session: %w", err)
	}
	theirs, err := session.Parse(want.Name, []byte(got.Text))
	if err != nil {
		return fmt.Errorf("reading the session that CAS holds: %w", err)
	}
	if !session.Equal(ours, theirs) {
		return fmt.Errorf("session %q in CAS is not the one that was prepared", want.Name)
	}
	return nil
}

// Earlier reads the record of a release, or nil when there is none.
func Earlier(store record.Store, cluster, namespace, name string) (*record.Release, error) {
	r, err := store.Release(cluster, namespace, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return r, err
}

// Names in our session templates.
const (
	// SecretCA is the public CA certificate of the database session,
	// SecretStatementKey the public key of the client session.
	SecretCA           = "ca"
	SecretStatementKey = "statement_public"
	// ServiceProbe and ServiceSQL are services of the client session; ProgramProbe and
	// ProgramSQL are what they run.
	ServiceProbe = "probe"
	ServiceSQL   = "sql"
	ProgramProbe = "confidb-probe"
	ProgramSQL   = "mariadb"
)
