package topology

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/session"
)

// ProxySubject is the common name in the certificate that MaxScale shows to databases.
// Each account that comes through it demands that one.
const ProxySubject = "confidb-maxscale"

// template is the name of our template of a role.
func (r *Release) template(role Role) string {
	if r.Architecture != Single && (role == Database || role == Client) {
		return string(role) + "-several"
	}
	return string(role)
}

// groups are what blocks of the templates are repeated for; nil where there is one of each.
func (r *Release) groups(masked bool) map[string][]map[string]string {
	if r.Architecture == Single {
		return nil
	}
	there := []map[string]string{{}}
	all := map[string][]map[string]string{"database": nil, "maxscale": nil, "member": nil, "masking": nil, string(Replicated): nil, string(Sharded): nil, string(r.Architecture): there}
	for kind, instances := range map[string][]Instance{"database": r.AllInstances(Database), "maxscale": r.AllInstances(MaxScale), "member": r.known()} {
		for _, i := range instances {
			variables := map[string]string{"INSTANCE": i.Name, "INSTANCE_POD": i.Pod, "INSTANCE_HOST": i.Host, "ORDINAL": strconv.Itoa(i.Ordinal),
				"SERVER_ID": strconv.Itoa(i.ServerID()), "APP": r.FirstDatabase(i)}
			if r.Architecture == Sharded {
				variables["ACCOUNTS_SQL"] = "$" + i.accountsVariable()
			}
			all[kind] = append(all[kind], variables)
		}
	}
	if masked {
		all["masking"] = there
	}
	return all
}

// FirstDatabase is what an instance has before anybody asks for more, and the session's own
// account has rights on: app, and on further shards app1, app2, …, as MaxScale ends every
// session that sees one name on two shards.
func (r *Release) FirstDatabase(i Instance) string {
	if r.Architecture != Sharded || i.Ordinal == 0 {
		return accounts.OwnDatabase
	}
	return accounts.OwnDatabase + strconv.Itoa(i.Ordinal)
}

// accountsVariable is the variable of a template with the SQL of the applications' accounts
// on one shard.
func (i Instance) accountsVariable() string { return "ACCOUNTS_SQL_" + strconv.Itoa(i.Ordinal) }

// shardVariables are the SQL of the applications' accounts on each shard.
func (r *Release) shardVariables(variables map[string]string, all *accounts.Document, there func(client string) bool) {
	if r.Architecture != Sharded {
		return
	}
	for _, i := range r.AllInstances(Database) {
		variables[i.accountsVariable()] = all.At(i.Ordinal).SQL(there)
	}
}

// checkShards refuses databases on shards that there are not, and names that MaxScale would
// take for one that there is already.
func (r *Release) checkShards(all *accounts.Document) error {
	known := map[string]string{}
	if r.Architecture == Sharded {
		for _, i := range r.AllInstances(Database) {
			known[r.FirstDatabase(i)] = "that every release has"
		}
	}
	for _, d := range all.Databases {
		name := strings.ToLower(d.Name)
		switch {
		case r.Architecture != Sharded && d.Shard != 0:
			return &ShardError{d.Name, d.Shard, fmt.Sprintf("a release of the architecture %s has no shards", r.Architecture)}
		case r.Architecture != Sharded:
			continue
		case d.Shard >= r.Databases:
			return &ShardError{d.Name, d.Shard, fmt.Sprintf("there are %d, which are numbered from 0", r.Databases)}
		case known[name] != "":
			return &ShardError{d.Name, d.Shard, "MaxScale, which does not tell capital letters from small ones, would take it for the database " + known[name]}
		}
		known[name] = d.Name
	}
	return nil
}

// ShardError means that a database cannot be on the shard that the accounts document gives.
type ShardError struct {
	Database string
	Shard    int
	Why      string
}

func (e *ShardError) Error() string {
	return fmt.Sprintf("database %q on shard %d: %s", e.Database, e.Shard, e.Why)
}

// Hint says where it stands.
func (e *ShardError) Hint() string {
	return "Give each database in your accounts document a name of its own, and with shard: the number of a database of the release, which is that of its pod."
}

// ServerID is the number of a database in the history of a cluster.
func (i Instance) ServerID() int { return i.Ordinal + 1 }

// known are the databases that MaxScale shall know: exactly those that there are, or shall
// be, as one that it knows and that is not there has a lock that nobody gets.
func (r *Release) known() []Instance {
	all := r.AllInstances(Database)
	if r.DatabasesNext != 0 {
		return all[:min(r.DatabasesNext, len(all))]
	}
	return r.Instances(Database)
}

// Cluster is what the programs beside databases and MaxScales know of each other. It is the
// same for all of them but for Self.
type Cluster struct {
	// Self is the name of the database that it is for; empty for a MaxScale or a client.
	Self string `json:"self,omitempty"`
	// Databases are all that have names and keys, whether they are there or not.
	Databases []ClusterMember `json:"databases"`
	// MaxScales are all that have names.
	MaxScales []ClusterMember `json:"maxScales"`
}

// ClusterMember is one of them.
type ClusterMember struct {
	Name string `json:"name"`
	Pod  string `json:"pod"`
	Host string `json:"host"`
	// ServerID is that of a database.
	ServerID int `json:"serverID,omitempty"`
}

// cluster is the document of a Cluster.
func (r *Release) cluster(self string) string {
	c := Cluster{Self: self}
	for _, i := range r.AllInstances(Database) {
		c.Databases = append(c.Databases, ClusterMember{i.Name, i.Pod, i.Host, i.ServerID()})
	}
	for _, i := range r.AllInstances(MaxScale) {
		c.MaxScales = append(c.MaxScales, ClusterMember{Name: i.Name, Pod: i.Pod, Host: i.Host})
	}
	text, err := json.Marshal(c)
	if err != nil { // of names and numbers
		return ""
	}
	return string(text)
}

// severalVariables are those of templates for several databases alone.
func (r *Release) severalVariables(variables map[string]string) {
	if r.Architecture == Single {
		return
	}
	var servers []string
	for _, i := range r.known() {
		servers = append(servers, i.Name)
	}
	variables["MAXSCALE_SESSION"], variables["RELEASE"], variables["RELEASE_NAMESPACE"] = r.Session(MaxScale).Name, r.Name, r.Namespace
	variables["SERVERS"] = strings.Join(servers, ",")
	variables["CLUSTER"], variables["HISTORY_SQL"] = r.cluster(""), ""
	if r.Architecture == Replicated {
		variables["HISTORY_SQL"] = "INSERT INTO mysql.gtid_slave_pos (domain_id, sub_id, server_id, seq_no) VALUES (0, 1, 1, 1);"
	}
	for _, i := range r.AllInstances(Database) {
		variables["CLUSTER_"+strconv.Itoa(i.Ordinal)] = r.cluster(i.Name)
	}
}

// promises notes what the session of the databases promises of each.
func (m *maker) promises() error {
	parsed, err := session.Parse("database session", []byte(m.database))
	if err != nil {
		return err
	}
	for _, i := range m.release.AllInstances(Database) {
		name := "DATABASE_PROMISE"
		if m.release.Architecture != Single {
			name += "_" + strconv.Itoa(i.Ordinal)
		}
		if m.variables[name], err = databasePromise(parsed, i.Service); err != nil {
			return err
		}
	}
	return nil
}

// ReservedClients are names that no client of the user's own may have where there are
// several databases, beside those that it may have nowhere.
func ReservedClients() []string {
	return []string{"maxscale", "front", "keeper", "operate", "prepare", "seed", "repl", "haproxy"}
}

// behindProxy makes accounts demand what MaxScale shows, and refuses what cannot be where
// several databases are behind it.
func (a Applications) behindProxy(all *accounts.Document) error {
	if len(a.Outside) > 0 {
		return &ProxyError{a.Outside[0].Name, "it runs outside of enclaves: its account is for its certificate alone, which a database behind MaxScale does not see"}
	}
	for _, client := range all.Clients() {
		if slices.Contains(ReservedClients(), client) {
			return &ProxyError{client, "the name is reserved where there are several databases"}
		}
	}
	for _, d := range all.Databases {
		if strings.HasPrefix(strings.ToLower(d.Name), "confidb_") {
			return fmt.Errorf("the database %q: names that begin with confidb_ are reserved where there are several databases", d.Name)
		}
	}
	for i := range all.Accounts {
		all.Accounts[i].Through = ProxySubject
	}
	return nil
}

// ProxyError means that a client cannot be one of several databases behind MaxScale.
type ProxyError struct{ Client, Why string }

func (e *ProxyError) Error() string { return "client " + e.Client + ": " + e.Why }

// Hint says how to go on.
func (e *ProxyError) Hint() string {
	return "Run the client in an enclave, under a name of its own ({client add}), or use a release of the architecture single."
}

// initMark is the line of the template behind which the secrets stand that the init file
// has of accounts.
const initMark = "      # accounts: passwords in the init file\n"

// initSecrets are the names of those secrets, as an image lists them: not of accounts that
// are locked, which have no password.
func (a Applications) initSecrets(all *accounts.Document) string {
	var lines string
	for _, one := range all.Accounts {
		if !a.there(one.Client) {
			continue
		}
		lines += "      - " + one.Identity() + "_password\n"
	}
	return lines
}
