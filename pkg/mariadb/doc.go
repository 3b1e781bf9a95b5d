// Package mariadb asks a MariaDB server what it is: a small client of the MySQL
// protocol that keeps what a verifier needs (greeting, TLS state, alerts), trials
// that the server must refuse, and checks of its settings, tables and accounts.
// Observe does all input and output; Observation.Report decides, and does none.
//
// It knows nothing of SGX, CAS or Kubernetes: what a server says about itself is
// worth what the attestation of that server is worth.
package mariadb
