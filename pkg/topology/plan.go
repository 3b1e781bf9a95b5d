package topology

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/render"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
)

// Names of the enclaves whose measurements a policy gives.
const (
	EnclaveServer = "mariadbd"
	EnclaveClient = "mariadb"
	EnclaveProbe  = "probe"
	// EnclaveMaxScale is needed where there are several databases.
	EnclaveMaxScale = "maxscale"
)

// Plan is what is to be installed.
type Plan struct {
	// Name and Namespace are those of the Helm release.
	Name, Namespace string
	// CASAddress is the CAS as the pods reach it.
	CASAddress string
	// Architecture says what of the release there is more than one of, and Databases and
	// MaxScales how many; 0 is the recorded number, or the default.
	Architecture         Architecture
	Databases, MaxScales int
	// DatabaseSession and ClientSession are names of the user's choice. Empty
	// means names in a new namespace that nobody can guess.
	DatabaseSession, ClientSession string
	// Sessions are those of a set that are there already, with their documents: of further
	// roles, for a chart with parts of its own. Manifests are checked against them; nothing
	// of them is created.
	Sessions []Member
	// Platforms are the machines on which the database and its clients may run.
	Platforms []attest.PlatformID
	// Enclaves are the accepted measurements by enclave name.
	Enclaves map[string][]sgx.Measurement
	// Settings are those with which the measurements were taken, by enclave name.
	Settings map[string]policy.Settings
	// AllowedKinds are kinds of objects that the chart may have although it is not
	// known what they run: KIND.GROUP.
	AllowedKinds []string
	// Templates replace our own, by name (client, database). They get the same variables.
	Templates map[string]string
	// BootstrapSQL makes MariaDB's system tables. It belongs to the version of the
	// image. It is the only SQL that runs with full privileges, so it must come from
	// whoever builds the image.
	BootstrapSQL string
	// Host is the name under which pods reach the database; empty means the recorded
	// one, or Host().
	Host string
	// Auditors may read the sessions beside their creator: PEM certificates, or key hashes
	// of 64 hexadecimal digits.
	Auditors []string
	// Applications are the user's own, with what they may do.
	Applications Applications
	// Trust, Chart, Values, Pod and Origins are kept for later verifications.
	Trust   attest.Trust
	Chart   Chart
	Values  map[string]any
	Pod     Pod
	Origins map[string]string
	// Token makes the names of sessions unguessable, where the user names none. It
	// must be random.
	Token [16]byte
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
func Prepare(plan Plan, earlier *Release) (*Release, error) {
	if err := CheckName(plan.Name); err != nil {
		return nil, err
	}
	r := &Release{Name: plan.Name, Namespace: plan.Namespace}
	if earlier != nil {
		known := *earlier // what was recorded stays as it is
		known.Members = slices.Clone(earlier.Members)
		r = &known
	}
	if err := r.settleCounts(plan, earlier == nil); err != nil {
		return nil, err
	}
	if err := nameSessions(r, plan); err != nil {
		return nil, err
	}
	if r.CASAddress != "" && r.CASAddress != plan.CASAddress {
		return nil, &ChangedError{What: "CAS", Got: plan.CASAddress, Want: r.CASAddress}
	}
	r.CASAddress, r.Trust, r.Chart, r.Values, r.Pod, r.Origins = plan.CASAddress, plan.Trust, plan.Chart, plan.Values, plan.Pod, plan.Origins
	r.Templates, r.Settings, r.AllowedKinds = plan.Templates, plan.Settings, plan.AllowedKinds
	r.Enclaves, r.BootstrapSQL, r.Host = plan.Enclaves, plan.BootstrapSQL, cmp.Or(plan.Host, r.Host, plan.Architecture.Front(plan.Name, plan.Namespace))
	r.Platforms, r.Auditors = plan.Platforms, plan.Auditors
	return r, r.makeSessions(plan)
}

// ChangedError means that an input differs from what the first run recorded.
type ChangedError struct{ What, Got, Want string }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("the %s of this release has changed: got %s, recorded %s", e.What, e.Got, e.Want)
}

// Hint says how to go on.
func (e *ChangedError) Hint() string {
	return "Use the recorded value, or uninstall the release and install it under a new name."
}

// nameSessions chooses the names at the first call, and holds them against the user's
// later.
func nameSessions(r *Release, plan Plan) error {
	if r.Session(Database).Name == "" {
		r.Members = members(plan)
	}
	for _, s := range []struct {
		role Role
		got  string
	}{{Database, plan.DatabaseSession}, {Client, plan.ClientSession}} {
		if want := r.Session(s.role).Name; s.got != "" && s.got != want {
			return &ChangedError{What: string(s.role) + " session", Got: s.got, Want: want}
		}
	}
	return nil
}

// members names the sessions of a new release. There is a namespace of ours unless the
// user names both of the others.
func members(plan Plan) []Member {
	owner := OwnerName(plan.Name, plan.Token)
	all := []Member{
		{Client, Session{Name: cmp.Or(plan.ClientSession, owner+"/client")}},
		{Database, Session{Name: cmp.Or(plan.DatabaseSession, DatabaseName(owner))}},
	}
	if plan.Architecture != Single {
		all = slices.Insert(all, 1, Member{MaxScale, Session{Name: MaxScaleName(owner)}})
	}
	if plan.DatabaseSession == "" || plan.ClientSession == "" || plan.Architecture != Single {
		all = slices.Insert(all, 0, Member{Namespace, Session{Name: owner}})
	}
	return all
}

// OwnerName is the name of a namespace session, which nobody can guess if the token is
// random.
func OwnerName(release string, token [16]byte) string {
	return release + "-" + hex.EncodeToString(token[:])
}

// DatabaseName is the name of the database session in a namespace.
func DatabaseName(owner string) string { return owner + "/db" }

// MaxScaleName is the name of the session of MaxScale in a namespace session.
func MaxScaleName(owner string) string { return owner + "/maxscale" }

// SameMeaning compares texts of sessions; a later version of a session has a predecessor.
func SameMeaning(a, b string) (bool, error) {
	x, err := session.Parse("recorded session", []byte(a))
	if err != nil {
		return false, err
	}
	y, err := session.Parse("rendered session", []byte(b))
	return err == nil && session.Equal(x, y), err
}

// renderSession fills a template in.
func renderSession(file string, source []byte, variables map[string]string) (string, error) {
	text, err := render.Session(file, source, func(name string) (string, bool) {
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
	return "For other machines: {platforms plan}, then {platforms apply}. Otherwise give the same measurements and names as at the first run, or install under another release name."
}

func sessionVariables(r *Release, plan Plan) (map[string]string, error) {
	short, _, _ := strings.Cut(r.Host, ".")
	variables := map[string]string{
		"NAMESPACE":           r.Session(Namespace).Name,
		"DBSESSION":           r.Session(Database).Name,
		"DBCLIENT":            r.Session(Client).Name,
		"DATABASE_HOST":       r.Host,
		"DATABASE_HOST_SHORT": short,
		"PLATFORMS":           joined(r.Platforms),
		"BOOTSTRAP_SQL":       Condensed(plan.BootstrapSQL),
	}
	if strings.TrimSpace(plan.BootstrapSQL) == "" {
		return nil, errors.New("no SQL for the system tables: the database could not be made")
	}
	if err := checkTables(plan.BootstrapSQL); err != nil && plan.Templates[string(Database)] == "" {
		return nil, err
	}
	maps.Copy(variables, TableVariables(plan.BootstrapSQL))
	if len(plan.Platforms) == 0 {
		return nil, errors.New("no platform ID: a session without platforms could be used on any machine")
	}
	r.severalVariables(variables)
	enclaves := map[string]string{"MRENCLAVE_MARIADBD": EnclaveServer, "MRENCLAVE_MARIADB": EnclaveClient, "MRENCLAVE_PROBE": EnclaveProbe}
	if r.Architecture != Single {
		enclaves["MRENCLAVE_MAXSCALE"] = EnclaveMaxScale
	}
	for variable, enclave := range enclaves {
		accepted := plan.Enclaves[enclave]
		if len(accepted) != 1 {
			return nil, fmt.Errorf("measurements of the enclave %q: got %d, want one MRENCLAVE", enclave, len(accepted))
		}
		variables[variable] = accepted[0].String()
	}
	return variables, nil
}

func joined(ids []attest.PlatformID) string {
	var texts []string
	for _, id := range ids {
		texts = append(texts, id.String())
	}
	return strings.Join(texts, ",")
}

// SameSession reports whether what CAS holds is what was uploaded: equal in
// meaning and, where the hash is known, the very same version.
func SameSession(want Session, got *session.Stored) error {
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

// Names in our session templates.
const (
	// SecretCA is the public CA certificate of the database session,
	// SecretStatementKey the public key of the client session.
	SecretCA           = "ca"
	SecretStatementKey = "statement_public"
	// ServiceProbe, ServiceSQL and ServiceSQLBatch are services of the client session;
	// ProgramProbe and ProgramSQL are what they run. ServiceSQL is for somebody who
	// reads along, ServiceSQLBatch for a script: it ends at the first mistake. ServiceFront
	// looks at what stands before several databases, as the member of that name.
	ServiceProbe    = "probe"
	ServiceFront    = "front"
	ServiceOperate  = "operate"
	ServiceSQL      = "sql"
	ServiceSQLBatch = "sql-batch"
	ProgramProbe    = "confidb-probe"
	ProgramSQL      = "mariadb"
)
