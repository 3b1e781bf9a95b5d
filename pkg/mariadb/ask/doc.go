// Package ask puts questions to a MariaDB server: about its settings, plugins, tables,
// objects, accounts and who is connected. Each answer is whole, or it is an error: nothing
// that was cut, or changed while it was read, is taken for what there is.
//
// It says what a server answered and never what that means: package mariadb does.
package ask
