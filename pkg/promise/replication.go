package promise

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Replication is what a database may be beside others with one history: the one that is
// written to, or one that follows it.
type Replication struct {
	// ServerID is its number in the history.
	ServerID uint32 `json:"serverID"`
	// Port is where each of them listens.
	Port uint16 `json:"port"`
	// Others are those that it may follow, and that may follow it.
	Others []Peer `json:"others"`
	// CA is the file by which it verifies whom it follows; Certificate and Key are those that
	// it shows. The paths are the server's own.
	CA          string `json:"ca"`
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
}

// Peer is another database of the same history.
type Peer struct {
	Name     string `json:"name"`
	Host     string `json:"host"`
	ServerID uint32 `json:"serverID"`
}

// Peer returns the other database at a host, or nil.
func (r *Replication) Peer(host string) *Peer {
	for i := range r.Others {
		if r.Others[i].Host == host {
			return &r.Others[i]
		}
	}
	return nil
}

// Role is what a database of several is at a time.
type Role string

// The roles. One that has started, or that is about to become another, has none.
const (
	Primary Role = "primary"
	Replica Role = "replica"
	Neither Role = "neither"
)

// RoleSettings are the settings by which a database becomes the primary, and a replica
// again: whoever makes it so says them by SQL. Nothing else may differ from the session.
func RoleSettings() []string { return []string{"read_only", "rpl_semi_sync_master_enabled"} }

// OperatorRights are the privileges on everything that may be promised to an account because
// it makes a database the primary or a replica, or copies it for a new one, and to no other.
func OperatorRights(of Name) []string {
	switch of {
	case Name{"confidb_monitor", "%"}, Name{"confidb_keeper", "%"}:
		return []string{"READ_ONLY ADMIN", "REPLICATION SLAVE ADMIN", "REPLICATION MASTER ADMIN", "BINLOG ADMIN", "CONNECTION ADMIN"}
	case Name{"confidb_seed", "%"}: // its own session is not to be in the binary log
		return []string{"BINLOG ADMIN"}
	}
	return nil
}

// Followers are the accounts as which others may follow the database: those that may
// replicate from it.
func (p *Promise) Followers() []string {
	var all []string
	for _, a := range p.Accounts {
		if !a.Role && !a.Locked && slices.Contains(a.Rights, Right{Kind: Global, Privilege: "REPLICATION SLAVE"}) {
			all = append(all, a.Name.User)
		}
	}
	return all
}

// The files beside the configuration file that say who the others are, and what the
// database shows to whom it follows.
const (
	clusterFile     = "cluster.json"
	followerFile    = "repl.crt"
	followerKeyFile = "repl.key"
)

// cluster is the document that the session gives to each of several databases.
type cluster struct {
	Self      string          `json:"self"`
	Databases []clusterMember `json:"databases"`
	MaxScales []clusterMember `json:"maxScales"`
}

type clusterMember struct {
	Name     string `json:"name"`
	Pod      string `json:"pod"`
	Host     string `json:"host"`
	ServerID uint32 `json:"serverID"`
}

// readCluster reads who the others are, where there are any.
func (p *Promise) readCluster(files map[string]string) {
	beside := func(name string) string { return path.Join(path.Dir(p.File), name) }
	text, ok := files[beside(clusterFile)]
	if !ok {
		return
	}
	c, err := parseCluster(text)
	if err != nil {
		p.unclear("the file of the other databases: %v", err)
		return
	}
	r := &Replication{CA: p.last("ssl_ca"), Certificate: beside(followerFile), Key: beside(followerKeyFile)}
	own := ""
	for _, d := range c.Databases {
		if d.Name == c.Self {
			own = strconv.FormatUint(uint64(d.ServerID), 10)
			r.ServerID = d.ServerID
			continue
		}
		r.Others = append(r.Others, Peer{d.Name, d.Host, d.ServerID})
	}
	port, err := strconv.ParseUint(p.last("port"), 10, 16)
	r.Port = uint16(port)
	switch {
	case own == "" || own != p.last("server_id"):
		p.unclear("the number of the database: server_id is not that in the file of the other databases")
	case err != nil || port == 0:
		p.unclear("the port of the database, on which the others follow it")
	case files[r.CA] == "" || files[r.Certificate] == "" || files[r.Key] == "":
		p.unclear("what the database shows to another one that it follows is not in the session")
	default:
		p.Replication = r
	}
}

// last is the value of a setting that holds, or nothing.
func (p *Promise) last(name string) string {
	value := ""
	for _, s := range p.Settings {
		if strings.EqualFold(s.Name, name) {
			value = s.Value
		}
	}
	return value
}

// parseCluster reads the document. No name, host or number may be there twice.
func parseCluster(text string) (*cluster, error) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.DisallowUnknownFields()
	var c cluster
	if err := decoder.Decode(&c); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("want one JSON object and nothing after it")
	}
	names, hosts, numbers := map[string]bool{}, map[string]bool{}, map[uint32]bool{}
	for _, d := range c.Databases {
		if d.Name == "" || d.Host == "" || d.ServerID == 0 || names[d.Name] || hosts[d.Host] || numbers[d.ServerID] {
			return nil, errors.New("a database without a name, host or number of its own")
		}
		names[d.Name], hosts[d.Host], numbers[d.ServerID] = true, true, true
	}
	if len(c.Databases) < 2 {
		return nil, errors.New("want at least two databases")
	}
	return &c, nil
}
