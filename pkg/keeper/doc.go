// Package keeper says when a member of a replicated database may start, and which one is
// written to, where MaxScale does not: see Decide and Next.
package keeper
