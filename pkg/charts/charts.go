// Package charts holds the project's own Helm charts, embedded in the program. A
// chart says what Kubernetes runs. It holds no key, certificate or password and
// names no secret: those reach the database from CAS, inside the enclave. The
// package does not know how a chart is installed.
package charts

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
)

//go:embed all:mariadb all:scalable all:shared
var files embed.FS

// MariaDB returns the files of the chart "mariadb" (single architecture: one
// MariaDB), with Chart.yaml at the root. Its values and their meaning are in
// values.yaml, which values.schema.json enforces.
func MariaDB() fs.FS { return chart("mariadb") }

// Scalable returns the files of the chart "mariadb-scalable": several MariaDBs, MaxScale
// and HAProxy, replicated or sharded as its value architecture says.
func Scalable() fs.FS { return chart("scalable") }

// For returns the chart of an architecture: single (empty means that), replicated or
// sharded.
func For(architecture string) (fs.FS, error) {
	switch architecture {
	case "", "single":
		return MariaDB(), nil
	case "replicated", "sharded":
		return Scalable(), nil
	}
	return nil, fmt.Errorf("there is no chart of the architecture %.40q", architecture)
}

// chart is a folder with the files that all charts share.
func chart(folder string) fs.FS {
	own, _ := fs.Sub(files, folder) // fails only for a name that is no path
	shared, _ := fs.Sub(files, "shared")
	return layers{own, shared}
}

// layers are file systems of which the first that has a file gives it, and folders hold
// what they hold in any.
type layers []fs.FS

// Open opens a file or a folder.
func (l layers) Open(name string) (fs.File, error) {
	var err error
	for _, layer := range l {
		var f fs.File
		if f, err = layer.Open(name); err != nil {
			continue
		}
		entries, notFolder := l.ReadDir(name)
		if notFolder != nil {
			return f, nil
		}
		return &folder{f, entries}, nil
	}
	return nil, err
}

// folder is an open folder, and what is left to be listed of it.
type folder struct {
	fs.File
	left []fs.DirEntry
}

// ReadDir lists the next n entries, or all that are left.
func (f *folder) ReadDir(n int) ([]fs.DirEntry, error) {
	if n > 0 && len(f.left) == 0 {
		return nil, io.EOF
	}
	if n <= 0 {
		n = len(f.left)
	}
	n = min(n, len(f.left))
	listed := f.left[:n:n]
	f.left = f.left[n:]
	return listed, nil
}

// ReadDir lists a folder, by name.
func (l layers) ReadDir(name string) ([]fs.DirEntry, error) {
	var all []fs.DirEntry
	missing := 0
	for _, layer := range l {
		found, err := fs.ReadDir(layer, name)
		if errors.Is(err, fs.ErrNotExist) && missing < len(l)-1 {
			missing++
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortStableFunc(all, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return slices.CompactFunc(all, func(a, b fs.DirEntry) bool { return a.Name() == b.Name() }), nil
}
