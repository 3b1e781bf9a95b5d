// Package seed copies all databases of a server to a new one, over SQL: what they have, how it
// is defined, and the place in the history after which the new server goes on. The server that
// is copied goes on working, and no lock is taken there for longer than a statement takes.
//
// The rows are those of one moment (START TRANSACTION WITH CONSISTENT SNAPSHOT), of which the
// server knows the place in its binary log. Definitions are of no moment: they are read before
// it and after it, and are the right ones if they are equal. A table that is changed while it
// waits to be copied ends the copy with ErrChanged, and it is begun again.
//
// Accounts, rights and everything else in the server's own databases are not copied: each
// server has them from its session. Events are not copied, as no session lets them run.
package seed
