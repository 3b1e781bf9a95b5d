// Package cluster is the lab's stand-in for MaxScale's monitor of replicated servers
// (mariadbmon): it asks every server in each tick, judges who is primary and who is
// replica, holds the cooperative locks, and carries out failover, switchover and rejoin.
//
// It has one pure part (Judge: what was seen becomes states) and one that talks to servers
// through a small interface (Dial, Session). What a real MariaDB does by itself is not
// imitated: the same statements go over the same kind of session, with the same time limits,
// and lost locks, diverged replicas and statements that hang come from the server.
//
// Statements, states and texts are those that were measured on MaxScale 24.02.4. What was
// not measured is said in the log once, with the mark Unmeasured, and is never the kinder of
// two choices.
//
// Not done: other topologies than one primary with replicas (several layers are judged, and
// not repaired), several replication connections of one server, events of the server,
// external primaries, disk space, unsafe failover, reset-replication.
package cluster

// Unmeasured begins every line of the log about something of which nobody has measured what
// MaxScale does.
const Unmeasured = "lab stand-in: unmeasured"
