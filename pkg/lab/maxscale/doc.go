// Package maxscale is the lab's stand-in for MaxScale 24.02, put together: it takes the
// command line and the configuration of the real one, watches the servers, lets clients in
// and routes what they say.
//
// It is a stand-in: what it lets through says something of our configuration only together
// with the same tests on a real MaxScale. What nobody has measured of the real one is said in
// the log, after "lab stand-in: unmeasured", and is never the kinder of two choices.
//
// It does not do: routers but readwritesplit and schemarouter, filters but masking, monitors but
// mariadbmon, transaction_replay, causal reads but local and global (which cost one round
// trip more here), limits on the lag of replicas, KILL, LOAD DATA LOCAL INFILE, hints in
// comments, compression, PROXY headers, connection pools, encrypted passwords, PAM, ed25519
// and other methods of login, configuration that several instances share, revoked
// certificates, the list of CAs that a listener sends, words for many ciphers at once; the numbers of TLS
// alerts for a certificate of a wrong purpose or before its time, which are Go's; lines of
// the log beyond those that were measured; and the speed and memory of the real one.
package maxscale
