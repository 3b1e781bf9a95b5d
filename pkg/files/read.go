// Package files reads files and standard input within bounds, and replaces files
// as a whole. It knows nothing of what is in them.
package files

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// MaxBytes bounds one input of the user's. A longer one is an error: half a document
// may mean something else than the whole.
const MaxBytes = 4 << 20

// StandardInput is the name of standard input in messages, and Dash its name on a
// command line.
const (
	StandardInput = "standard input"
	Dash          = "-"
)

// Read returns the content of a file of at most MaxBytes.
func Read(path string) ([]byte, error) { return ReadUpTo(path, MaxBytes) }

// ReadUpTo returns the content of a file of at most most bytes.
func ReadUpTo(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, path, most)
}

// ReadPrivate returns the content of a file of at most most bytes that only its owner
// may read or write. why ends the refusal of any other: what its mode allows others.
func ReadPrivate(path string, most int64, why string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat() // of the file that is read, not of one that took its place
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s: got mode %04o, want 0600: %s", path, mode, why)
	}
	return readAll(f, path, most)
}

// ReadInput returns the content of a file, or of in when the path is Dash, and what
// messages call it. Both are bounded by MaxBytes.
func ReadInput(path string, in io.Reader) (text []byte, name string, err error) {
	if path != Dash {
		text, err = Read(path)
		return text, path, err
	}
	text, err = readAll(in, StandardInput, MaxBytes)
	return text, StandardInput, err
}

func readAll(in io.Reader, name string, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, unnamed(err))
	}
	if int64(len(text)) > most {
		return nil, &TooLongError{Name: name, Most: most}
	}
	return text, nil
}

// unnamed takes the path out of an error that would name it twice.
func unnamed(err error) error {
	if p, ok := err.(*fs.PathError); ok {
		return p.Err
	}
	return err
}

// TooLongError means that an input is longer than it may be.
type TooLongError struct {
	// Name is the file's, or StandardInput.
	Name string
	// Most is the bound in bytes.
	Most int64
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("%s: longer than %d bytes", e.Name, e.Most)
}

// List returns the sorted names of the files in a folder that wanted accepts. More
// than most of them are an error.
func List(folder string, most int, wanted func(name string) bool) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() || !wanted(e.Name()) {
			continue
		}
		if names = append(names, e.Name()); len(names) > most {
			return nil, fmt.Errorf("%s: got more than %d files", folder, most)
		}
	}
	return names, nil
}

// ReadFolder returns the files in a folder that wanted accepts, by name: at most most
// of them, each of at most MaxBytes.
func ReadFolder(folder string, most int, wanted func(name string) bool) (map[string][]byte, error) {
	names, err := List(folder, most, wanted)
	if err != nil {
		return nil, err
	}
	found := map[string][]byte{}
	for _, name := range names {
		if found[name], err = Read(filepath.Join(folder, name)); err != nil {
			return nil, err
		}
	}
	return found, nil
}
