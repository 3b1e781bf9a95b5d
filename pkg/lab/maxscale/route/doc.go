// Package route is the client side of the lab's stand-in for MaxScale: the listener, the
// login, the session of a client, and two routers: readwritesplit sends each statement to the
// primary, to a replica or to all servers, and schemarouter to the server that has its
// database. What servers answer is passed on as it came.
//
// What was measured of MaxScale 24.02 is done so: when a session is closed without an ERR
// packet, what survives the loss of a server, which statements go where. What was not
// measured is said in the log, with its number in the list of open measurements, and is
// never kinder to a client than refusing or closing.
//
// It does not do: transaction_replay, hints in comments, connection pools,
// compression, PROXY headers, KILL, LOAD DATA LOCAL INFILE, causal_reads other than local
// and global (which wait by a question of their own, so with one round trip more than the
// real one), slave selection other than by the fewest running statements, and limits on the
// lag of replicas.
package route
