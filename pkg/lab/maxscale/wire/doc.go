// Package wire is MariaDB's client/server protocol as the lab's stand-in for MaxScale
// speaks it, to clients and to servers: packets, the greeting, the login, the packets that
// end an answer, columns and rows, and a walker that knows where an answer ends.
//
// What comes from a server is passed on as it came, so nothing here decodes more than
// routing and masking look at. The layouts are those of MariaDB's documentation, chapter
// "Clients & Utilities, Server Client Protocol"; pages are named where they are used.
//
// It does no compression, no other method than mysql_native_password, and no protocol from
// before MySQL 4.1.
package wire
