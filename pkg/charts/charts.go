// Package charts holds the project's own Helm charts, embedded in the program. A
// chart says what Kubernetes runs. It holds no key, certificate or password and
// names no secret: those reach the database from CAS, inside the enclave. The
// package does not know how a chart is installed.
package charts

import (
	"embed"
	"io/fs"
)

//go:embed all:mariadb
var files embed.FS

// MariaDB returns the files of the chart "mariadb" (single architecture: one
// MariaDB), with Chart.yaml at the root. Its values and their meaning are in
// values.yaml, which values.schema.json enforces.
func MariaDB() fs.FS {
	chart, _ := fs.Sub(files, "mariadb") // fails only for a name that is no path
	return chart
}
