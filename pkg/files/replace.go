package files

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Modes of files that are written.
const (
	// Public is for what anybody may read, such as what Intel publishes.
	Public fs.FileMode = 0o644
	// Private is for what only its owner may read.
	Private fs.FileMode = 0o600
)

// Replace writes a file as a whole: after a crash it holds the old text or the new.
// Folders that are missing are made. What a crash leaves behind has a name that
// nothing reads.
func Replace(path string, text []byte, mode fs.FileMode) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, folderMode(mode)); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, ".new-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after the rename, as it should
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// ReplaceJSON writes a value as indented JSON, as Replace does.
func ReplaceJSON(path string, value any, mode fs.FileMode) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err == nil {
		err = Replace(path, append(text, '\n'), mode)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// CreateFolder makes a folder that has all files from the first moment on. It fails
// if there is a folder with files, or a file, of this name.
func CreateFolder(path string, files map[string][]byte, mode fs.FileMode) error {
	parent := filepath.Dir(filepath.Clean(path))
	if err := os.MkdirAll(parent, folderMode(mode)); err != nil {
		return err
	}
	part, err := os.MkdirTemp(parent, ".new-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(part) // it is gone after the rename
	for name, text := range files {
		if err := Replace(filepath.Join(part, name), text, mode); err != nil {
			return err
		}
	}
	if err := os.Chmod(part, folderMode(mode)); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// folderMode lets whoever may read a file look into its folder.
func folderMode(mode fs.FileMode) fs.FileMode { return mode | mode&0o444>>2 }
