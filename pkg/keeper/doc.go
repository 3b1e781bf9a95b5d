// Package keeper says when a member of a replicated database starts, and which one is written
// to where MaxScale opens none. Its programs run in enclaves beside the members:
//
//   - gate, before the server of a member: Decide says from what is seen of the others whether
//     the cluster goes on without it (late), or all of them start (cold).
//   - seed, for a member without a database: it copies that of the member that is written to.
//   - keeper, beside each MaxScale: Next says from what all servers say of themselves which
//     one is opened, if none is, and sees to semi-sync.
//   - leave and operate ask a keeper for another primary; prepare says who may administer a
//     MaxScale.
//
// Decide and Next are tables without a memory, and everything else carries them out. Failover,
// rejoin and switchover are MaxScale's. Nothing here knows of sessions or of Kubernetes: names,
// keys and passwords are in the files that CAS injects, and who is asked proves its name.
//
// What a replica has received and not applied is, after a restart, in its relay log alone, and
// MariaDB throws that away when the replica is started by GTID. So it is applied first.
package keeper
