// Package admin is the REST interface of the lab's stand-in for MaxScale, as far as the
// product and its attackers use it: who may, what is shown, what a PATCH changes and leaves
// behind, and the commands of the monitor.
//
// Its gaps in security are those that were measured, and are kept: a missing or unreadable
// file of users means admin:mariadb, passwords have one fixed salt, a token of one instance
// is good at another with the same key, client certificates are not checked, a PATCH takes a
// filter away at once, and what it changes is written with clear passwords for everybody to
// read.
//
// What there is to show is told by a Model; this package has no idea of a configuration.
// Paths and commands that are not done answer 404 and say so in the log.
package admin

// Unmeasured begins every line of the log about something of which nobody has measured what
// MaxScale does.
const Unmeasured = "lab stand-in: unmeasured"
