package topology

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Architecture is how many databases a release has, and what stands before them.
type Architecture string

// The architectures. Single is the zero value: a record that names none is of one.
const (
	// Single is one database that clients reach directly.
	Single Architecture = ""
	// Replicated is a primary and its replicas, behind MaxScale.
	Replicated Architecture = "replicated"
	// Sharded are databases that know nothing of each other, behind MaxScale.
	Sharded Architecture = "sharded"
)

// single is what people call Single.
const single = "single"

// Architectures are all of them.
func Architectures() []Architecture { return []Architecture{Single, Replicated, Sharded} }

// String is the name for people.
func (a Architecture) String() string { return cmp.Or(string(a), single) }

// ParseArchitecture reads a name. Empty is Single.
func ParseArchitecture(text string) (Architecture, error) {
	var names []string
	for _, a := range Architectures() {
		if text == a.String() || text == string(a) {
			return a, nil
		}
		names = append(names, a.String())
	}
	return "", fmt.Errorf("got the architecture %.40q, want %s", text, strings.Join(names, ", "))
}

// UnmarshalText reads what a record says, and refuses what this program does not know.
func (a *Architecture) UnmarshalText(text []byte) (err error) {
	*a, err = ParseArchitecture(string(text))
	return err
}

// Slots is for how many instances of each kind the sessions have names, keys and
// certificates: adding one of them changes no session of the database.
const Slots = 4

// leastReplicated is the least number of databases of Replicated. A commit is acknowledged
// when a second server has it, and MaxScale promotes with a majority: whoever promotes must
// have seen all servers but one. With three and four a majority is that many. With two it
// is both, so that nothing follows the loss of one; with five it is three, so that two
// could be lost together which alone have a commit.
const leastReplicated = 3

// Numbers of what a release has unless the user says otherwise.
const (
	defaultDatabases = 3
	defaultMaxScales = 2
)

// CheckCounts says why an architecture cannot have these numbers of databases and of
// MaxScales, if it cannot. Zero is the default.
func (a Architecture) CheckCounts(databases, maxScales int) error {
	least, most := 1, 1
	switch a {
	case Single:
		if maxScales != 0 {
			return fmt.Errorf("the architecture %s has no MaxScale: got %d", a, maxScales)
		}
	case Replicated:
		least, most = leastReplicated, Slots
	case Sharded:
		most = Slots
	default:
		_, err := ParseArchitecture(string(a))
		return err
	}
	switch {
	case databases != 0 && (databases < least || databases > most):
		return &CountError{a, databases, least, most}
	case maxScales < 0 || maxScales > Slots:
		return fmt.Errorf("the number of MaxScales: got %d, want 1 to %d", maxScales, Slots)
	}
	return nil
}

// CheckCounts says why a release cannot have the recorded numbers, if it cannot. A record of
// several databases says how many: they are the ones that are asked, and no fewer.
func (r *Release) CheckCounts() error {
	if r.Architecture != Single && (r.Databases == 0 || r.MaxScales == 0) {
		return fmt.Errorf("the architecture %s: the record does not say how many databases and MaxScales there are", r.Architecture)
	}
	for _, databases := range []int{r.Databases, r.DatabasesNext} {
		if err := r.Architecture.CheckCounts(databases, r.MaxScales); err != nil {
			return err
		}
	}
	return nil
}

// CountError means that an architecture cannot have a number of databases.
type CountError struct {
	Architecture     Architecture
	Got, Least, Most int
}

func (e *CountError) Error() string {
	want := fmt.Sprintf("%d to %d", e.Least, e.Most)
	if e.Least == e.Most {
		want = strconv.Itoa(e.Most)
	}
	return fmt.Sprintf("the number of databases of the architecture %s: got %d, want %s", e.Architecture, e.Got, want)
}

// Hint says why.
func (e *CountError) Hint() string {
	switch e.Architecture {
	case Single:
		return "Several databases are of the architecture replicated or sharded."
	case Sharded:
		return "The sessions have names, keys and certificates for no more."
	}
	return "With two databases nothing can take the place of one that is lost. With five, two that are lost together could be the only ones that have an acknowledged commit."
}

// settleCounts takes the architecture and the numbers from the first plan, and holds later
// ones against them. Other numbers of databases are noted as what shall be, until all parts
// know them: see Settle.
func (r *Release) settleCounts(plan Plan, first bool) error {
	if err := plan.Architecture.CheckCounts(plan.Databases, plan.MaxScales); err != nil {
		return err
	}
	if !first && r.Architecture != plan.Architecture {
		return &ChangedError{What: "architecture", Got: plan.Architecture.String(), Want: r.Architecture.String()}
	}
	r.Architecture = plan.Architecture
	if r.Architecture == Single {
		return nil
	}
	if len(r.Name) > maxScalableName {
		return fmt.Errorf("release name: got %q, want at most %d characters for the architecture %s", r.Name, maxScalableName, r.Architecture)
	}
	if r.Databases == 0 || r.MaxScales == 0 {
		r.Databases, r.MaxScales = cmp.Or(plan.Databases, defaultDatabases), cmp.Or(plan.MaxScales, defaultMaxScales)
		return nil
	}
	r.MaxScales = cmp.Or(plan.MaxScales, r.MaxScales) // no session says how many there are
	switch {
	case plan.Databases == 0 || plan.Databases == r.Databases && r.DatabasesNext == 0:
	case r.DatabasesNext != 0 && plan.Databases != r.DatabasesNext: // CAS may have its session
		return &ChangedError{What: "number of databases", Got: strconv.Itoa(plan.Databases), Want: fmt.Sprintf("%d, to which an earlier run was changing it", r.DatabasesNext)}
	case r.Architecture != Replicated: // each has data of its own
		return &ChangedError{What: "number of databases", Got: strconv.Itoa(plan.Databases), Want: strconv.Itoa(r.Databases)}
	default:
		r.DatabasesNext = plan.Databases
	}
	return nil
}

// Settle notes that all parts of the release know how many databases there are now, and
// returns those that are there no longer.
func (r *Release) Settle() (gone []Instance) {
	if r.DatabasesNext == 0 {
		return nil
	}
	if all := r.AllInstances(Database); r.DatabasesNext < r.Databases {
		gone = all[r.DatabasesNext:min(r.Databases, len(all))]
	}
	r.Databases, r.DatabasesNext = r.DatabasesNext, 0
	return gone
}

// maxScalableName leaves room for what Kubernetes puts behind the name of a StatefulSet:
// NAME-maxscale-6c5ccb7974 is the value of a label, of at most 63 characters.
const maxScalableName = 43

// Instance is one enclave of a member that may have several.
type Instance struct {
	Role Role
	// Name is what findings call it: mariadb-1. That of the only one is the member's.
	Name string
	// Pod is the name of its pod, Host that under which others reach it, which is in its
	// certificate, and Service that of its program in the session of its member.
	Pod, Host, Service string
	// Ordinal counts from 0.
	Ordinal int
}

// Names of what our chart for several databases makes, behind that of the release.
const (
	suffixDatabase = "-mariadb"
	suffixMaxScale = "-maxscale"
)

// ServiceMaxScale is the service of the session of MaxScale that runs it, ServicePrepare
// the one that goes before it, and ServiceKeeper the one beside it. All MaxScales are
// equal, and have the same.
const (
	ServiceMaxScale = "maxscale"
	ServicePrepare  = "prepare"
	ServiceKeeper   = "keeper"
)

// ServiceCold is the service, beside ServiceDatabase, that runs a database of several where
// all start.
const ServiceCold = "cold"

// memberDatabase is the only database of Single, as the attested client calls it.
const memberDatabase = "database"

// Instances are those that a release has of a member, by ordinal; none of a member that has
// no instances. While their number changes, they are those that all parts know.
func (r *Release) Instances(role Role) []Instance {
	count := 0
	switch {
	case role == Database:
		count = max(r.Databases, 1)
	case role == MaxScale && r.Architecture != Single:
		count = max(r.MaxScales, 1)
	}
	all := r.AllInstances(role)
	return all[:min(count, len(all))]
}

// AllInstances are those for which the sessions of a release have names, keys and
// certificates, whether they are there or not.
func (r *Release) AllInstances(role Role) []Instance {
	switch {
	case role == Database && r.Architecture == Single:
		return []Instance{{Role: Database, Name: memberDatabase, Pod: r.Name + suffixDatabase + "-0", Host: r.Host, Service: ServiceDatabase}}
	case role == Database:
		return r.slots(Database, suffixDatabase, func(i Instance) string { return i.ServiceOf(ServiceDatabase) })
	case role == MaxScale && r.Architecture != Single:
		return r.slots(MaxScale, suffixMaxScale, func(Instance) string { return ServiceMaxScale })
	}
	return nil
}

func (r *Release) slots(role Role, suffix string, service func(Instance) string) []Instance {
	var all []Instance
	for ordinal := range Slots {
		number := "-" + strconv.Itoa(ordinal)
		i := Instance{Role: role, Ordinal: ordinal, Name: strings.TrimPrefix(suffix, "-") + number, Pod: r.Name + suffix + number}
		i.Host = i.Pod + "." + r.Name + suffix + "." + r.Namespace + ".svc"
		i.Service = service(i)
		all = append(all, i)
	}
	return all
}

// ServiceOf is the name of a further service of an instance: gate-NAME-mariadb-1. So a pod
// names its service by its own name.
func (i Instance) ServiceOf(what string) string { return what + "-" + i.Pod }

// Probe is the service of the client session that asks a database.
func (i Instance) Probe() string {
	if i.Name == memberDatabase {
		return ServiceProbe
	}
	return i.ServiceOf(ServiceProbe)
}

// Instance is the instance of a pod, of those that the sessions have names for, and whether
// there is one.
func (r *Release) Instance(pod string) (Instance, bool) {
	all := slices.Concat(r.AllInstances(Database), r.AllInstances(MaxScale))
	at := slices.IndexFunc(all, func(i Instance) bool { return i.Pod == pod })
	if at < 0 {
		return Instance{}, false
	}
	return all[at], true
}

// Front is the name under which clients of a release reach its databases, which is in the
// certificate that they see.
func (a Architecture) Front(name, namespace string) string {
	if a == Single {
		return Host(name, namespace)
	}
	return name + "." + namespace + ".svc"
}
