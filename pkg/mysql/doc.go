// Package mysql speaks the wire protocol of MySQL and MariaDB, as far as it takes
// to be refused: it logs in over TLS or in clear, with the account and certificate
// that it is given, and keeps what a verifier wants to see of the attempt (the
// greeting, the state of TLS, the alert). Once logged in it runs statements.
//
// It decides nothing. Whether a login should have worked, and what a refusal
// proves, is for its callers to say.
//
// The formats are those of "MySQL Client/Server Protocol" in the MySQL source code
// documentation (https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html)
// and of "Client/Server Protocol" in MariaDB's (https://mariadb.com/kb/en/clientserver-protocol/).
// Comments name the page of the former. What a peer sends is read in full before
// it is used, and nothing grows beyond a limit that stands in this package.
package mysql
