package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Folder is a folder with one document a name. Anybody may read them.
type Folder struct {
	Path string
	// Ending is how the names of its files end, with the dot.
	Ending string
}

// File is where a document is.
func (f Folder) File(name string) string { return filepath.Join(f.Path, name+f.Ending) }

// Read returns a document, and whether there is one.
func (f Folder) Read(name string) ([]byte, bool, error) {
	text, err := Read(f.File(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	return text, err == nil, err
}

// Replace writes a document as a whole.
func (f Folder) Replace(name string, text []byte) error { return Replace(f.File(name), text, Public) }

// Free refuses a path where something is.
func Free(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.New("want a name that is free, so that nothing old stays between the new")
	}
	return nil
}
