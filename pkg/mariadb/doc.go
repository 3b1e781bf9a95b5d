// Package mariadb asks a MariaDB server what it is: logins that the server must
// refuse, and questions about its settings, tables and accounts. Observe does all
// input and output, over pkg/mysql, and puts the questions by pkg/mariadb/ask;
// Observation.Report decides, and does none.
//
// It knows nothing of SGX, CAS or Kubernetes: what a server says about itself is
// worth what the attestation of that server is worth.
package mariadb
