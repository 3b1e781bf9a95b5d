package route

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/sql"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// Shards makes a service one of schemarouter: each database is at one of its servers, and a
// statement goes where the first database that it names is. The servers of the session are
// those that the view has as replicas.
type Shards struct {
	// Refresh is for how long a session takes what another one of the same user has found out
	// about which database is where. Zero means that each finds out anew.
	Refresh time.Duration
}

// ShardMaps are how often a session found a map of another one that it could take, none, or
// one that was too old, and how many were made.
type ShardMaps struct{ Hits, Misses, Stale, Updates int }

// shards are the maps of a service: by user, as each sees only what they have rights on.
type shards struct {
	guard sync.Mutex
	maps  map[string]shardMap
	count ShardMaps
}

// shardMap says at which server a database is, by its name in small letters, and which names
// SHOW DATABASES has.
type shardMap struct {
	made   time.Time
	server map[string]string
	names  []string
}

// ShardMaps are the numbers of a service of schemarouter.
func (s *Service) ShardMaps() ShardMaps {
	s.shards.guard.Lock()
	defer s.shards.guard.Unlock()
	return s.shards.count
}

// known returns the map that another session of a user has made, unless it is too old.
func (s *shards) known(user string, now time.Time, refresh time.Duration) (shardMap, bool) {
	s.guard.Lock()
	defer s.guard.Unlock()
	m, found := s.maps[user]
	switch {
	case !found:
		s.count.Misses++
	case now.Sub(m.made) >= refresh:
		s.count.Stale++
		return shardMap{}, false
	default:
		s.count.Hits++
	}
	return m, found
}

func (s *shards) keep(user string, m shardMap) {
	s.guard.Lock()
	defer s.guard.Unlock()
	if s.maps == nil {
		s.maps = map[string]shardMap{}
	}
	s.maps[user] = m
	s.count.Updates++
}

// everywhereKnown are databases that every server has, and that are no duplicates.
func everywhereKnown() []string {
	return []string{"mysql", "sys", "information_schema", "performance_schema"}
}

// errDuplicate means that two servers have a database of one name.
var errDuplicate = &closing{"Duplicate tables found, closing session."}

// sharded carries out a command of a client of schemarouter.
func (s *session) sharded(ctx context.Context, c command) error {
	if err := s.locate(ctx, c); err != nil {
		return err
	}
	s.to = s.here
	switch c.kind() {
	case wire.Query:
		return s.query(ctx, c)
	case wire.Prepare:
		return s.prepare(ctx, c)
	case wire.Execute, wire.BulkExecute, wire.Fetch, wire.SendLongData, wire.CloseStatement, wire.ResetStatement:
		return s.ofStatement(ctx, c)
	case wire.InitDB:
		return s.use(ctx, c, string(c.bytes[1:]))
	case wire.SetOption:
		return s.every(ctx, c, false)
	case wire.Ping, wire.Statistics:
		return s.one(ctx, c, Primary)
	}
	s.unmeasured(fmt.Sprintf("?24: command %#x with schemarouter", c.bytes[0]))
	return &closing{"A command that the lab does not know of schemarouter, closing session."}
}

// locate finds out, before the first command, which database is where, and chooses that of
// the login.
func (s *session) locate(ctx context.Context, c command) error {
	if s.where.server != nil {
		return nil
	}
	names, err := s.gather(ctx)
	if err != nil {
		return err
	}
	found, known := s.shards.known(s.client.identity.User, s.options.Now(), s.options.Shards.Refresh)
	if !known {
		if found, err = s.survey(ctx, names); errors.Is(err, errDuplicate) {
			return errors.Join(s.refuse(c, wire.NewError(1927, "70100", "Error: duplicate tables found on two different shards.")), err)
		} else if err != nil {
			return err
		}
		s.shards.keep(s.client.identity.User, found)
	}
	s.where, s.here = found, names[0]
	if s.database = s.client.identity.Database; s.database == "" {
		return nil
	}
	if refused := s.unknownDatabase(s.database); refused != nil {
		return errors.Join(s.refuse(c, refused), &closing{"The database of the login is not there for its account, closing session."})
	}
	s.here = s.where.server[lower(s.database)]
	s.to = s.here
	t, err := s.shard()
	if err == nil {
		err = t.quiet(append([]byte{byte(wire.InitDB)}, s.database...), 0)
	}
	return err
}

// gather are the servers of the session, to which it is connected.
func (s *session) gather(ctx context.Context) (names []string, err error) {
	for _, name := range s.reachable() {
		_, err := s.connect(ctx, name)
		if err == nil {
			names = append(names, name)
			continue
		}
		if err := s.admissible(err); err != nil {
			return nil, err
		}
		s.unmeasured("?24: a shard that is not reached at the begin of a session: what it has is not there")
	}
	if len(names) < len(s.options.Servers) {
		s.unmeasured("?24: a shard that does not run at the begin of a session: what it has is not there")
	}
	if len(names) == 0 {
		return nil, &closing{"No server is left, closing session."}
	}
	return names, nil
}

// survey asks the servers which databases the user sees there.
func (s *session) survey(ctx context.Context, servers []string) (shardMap, error) {
	m := shardMap{made: s.options.Now(), server: map[string]string{}}
	all := map[string]bool{}
	for _, server := range servers {
		result, err := s.targets[server].conn.Query(ctx, "SELECT LOWER(schema_name) FROM information_schema.schemata")
		if err != nil {
			return m, fmt.Errorf("asking '%s' for its databases: %w", server, err)
		}
		for _, row := range result.Rows {
			name := row[0].Text
			if all[name] = true; slices.Contains(everywhereKnown(), name) {
				continue
			}
			if other, twice := m.server[name]; twice {
				s.log("error", fmt.Sprintf("'%s.' found on servers '%s','%s' for user '%s'@'%s'.", name, other, server, s.client.identity.User, s.client.from))
				return m, errDuplicate
			}
			m.server[name] = server
		}
	}
	m.names = slices.Sorted(maps.Keys(all))
	return m, nil
}

// shard is the connection to the server that the present command goes to.
func (s *session) shard() (*target, error) {
	if t := s.targets[s.to]; s.to != "" && t != nil && (len(t.owed) > 0 || t.conn.Alive()) {
		return t, nil
	}
	s.unmeasured("?24: a shard that is lost")
	return nil, &closing{fmt.Sprintf("The server '%s' of a database is lost, closing session.", s.to)}
}

// unknownDatabase is how a database is refused that the session does not see; nil for one
// that it sees.
func (s *session) unknownDatabase(name string) *wire.Error {
	switch {
	case s.where.server[lower(name)] != "":
		return nil
	case s.options.Accounts.Table().HasDatabase(name):
		return wire.NewError(1044, "42000", "Access denied for user '%s'@'%s' to database '%s'", s.client.identity.User, s.client.from, name)
	}
	return wire.NewError(1049, "42000", "Unknown database '%s'", name)
}

// use chooses a database, at the server that has it.
func (s *session) use(ctx context.Context, c command, database string) error {
	if slices.Contains(everywhereKnown(), lower(database)) {
		s.unmeasured("?24: USE of a database that every server has")
	} else if refused := s.unknownDatabase(database); refused != nil {
		return s.refuse(c, refused)
	} else {
		s.to = s.where.server[lower(database)]
	}
	t, err := s.shard()
	if err != nil {
		return err
	}
	failed, err := s.alone(t, c, 0)
	if err == nil && !failed {
		s.database, s.here = database, s.to
	}
	return s.lost(t, err)
}

// route carries out a statement in text.
func (s *session) route(ctx context.Context, c command, all []sql.Statement) error {
	if len(all) != 1 {
		s.unmeasured("?24: several statements at once with schemarouter")
		s.to = s.serverOf(all)
		return s.one(ctx, c, Primary)
	}
	switch of := all[0]; of.Type {
	case sql.Kill:
		return s.refuse(c, s.refusal(of))
	case sql.Set:
		if set(of) == Refused {
			return s.refuse(c, s.refusal(of))
		}
		return s.sessionCommand(ctx, c, of)
	case sql.SetTransaction:
		return s.sessionCommand(ctx, c, of)
	case sql.Begin, sql.Commit, sql.Rollback, sql.Savepoint:
		return s.every(ctx, c, false)
	case sql.Use:
		return s.use(ctx, c, of.Database)
	case sql.Prepare, sql.Execute, sql.Deallocate, sql.ExecuteImmediate:
		s.unmeasured("?24: a statement that is prepared as a text, with schemarouter")
	case sql.Show:
		if of.Show == "DATABASES" {
			return s.showDatabases(c, of)
		}
	}
	s.to = s.serverOf(all)
	return s.one(ctx, c, Primary)
}

// serverOf is where the first database is that statements name: that which was chosen, for a
// table without one. Of a name that the session does not see, the server says so.
func (s *session) serverOf(all []sql.Statement) string {
	for _, of := range all {
		named := []string{of.Database}
		for _, table := range of.Tables {
			named = append(named, table.Database)
			if table.Database == "" {
				named[len(named)-1] = s.database
			}
		}
		for _, name := range named {
			if server := s.where.server[lower(name)]; name != "" && server != "" {
				return server
			}
		}
	}
	return s.here
}

// showDatabases answers with the databases of all servers.
func (s *session) showDatabases(c command, of sql.Statement) error {
	if len(of.Tokens) > 2 {
		s.unmeasured("?24: SHOW DATABASES with more words, which have no effect")
	}
	for i, packet := range wire.OneColumn("Database", s.where.names) {
		if err := s.client.Write(wire.Packet{Sequence: c.next + byte(i), Payload: packet}); err != nil {
			return errQuit
		}
	}
	if err := s.client.Flush(); err != nil {
		return errQuit
	}
	return nil
}

// prepareAt prepares a statement at the server of its tables, if that is the one of the
// database that was chosen.
func (s *session) prepareAt(c command, p *statement, all []sql.Statement) error {
	if server := s.serverOf(all); server != s.here {
		s.unmeasured("?24: a statement is prepared that names a table of another shard: the connection was lost, once")
		return &closing{"A prepared statement names a table of another shard, closing session."}
	}
	t, err := s.shard()
	if err != nil {
		return err
	}
	failed, err := s.alone(t, c, p.own)
	if err == nil && !failed {
		p.parameters, p.last = s.preparedParameters, t.name
		s.prepared[p.own] = p
	}
	return s.lost(t, err)
}

// atAny is an identity that every server lets in, whichever databases it has.
func (s *session) atAny(who backend.Identity) backend.Identity {
	if s.options.Shards != nil {
		who.Database = ""
	}
	return who
}
