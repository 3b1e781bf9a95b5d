package probe

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// exitEmpty is the exit code that says: there is no database on the volume.
const exitEmpty = 3

// Folders of a volume: a database is made in the first and becomes the second by one
// rename, so that there is a whole one or none.
const (
	newFolder  = "new"
	dataFolder = "data"
)

// prepareVolume is the service `volume`: with a database on the volume it returns 0.
// Else it makes an empty folder for one, and returns exitEmpty. Mark is the file of a
// new database that is made last.
func prepareVolume(volume, mark string, stdout, stderr io.Writer) int {
	isThere, err := settle(volume, mark)
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "error: preparing the volume: %v\n", err)
		return 1
	case !isThere:
		fmt.Fprintln(stdout, "volume: no database yet")
		return exitEmpty
	}
	fmt.Fprintln(stdout, "volume: the database is there")
	return 0
}

// settle may be killed at any moment and begun again.
func settle(volume, mark string) (isThere bool, err error) {
	data, unfinished := filepath.Join(volume, dataFolder), filepath.Join(volume, newFolder)
	if isThere, err = exists(data); isThere || err != nil {
		return isThere, err
	}
	finished, err := exists(filepath.Join(unfinished, mark))
	switch {
	case err != nil:
		return false, err
	case finished:
		return true, errors.Join(os.Rename(unfinished, data), flush(volume))
	}
	if err := os.RemoveAll(unfinished); err != nil {
		return false, err
	}
	return false, errors.Join(os.Mkdir(unfinished, 0o700), flush(volume))
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return false, nil
	}
	return err == nil, err
}

// flush makes a change of names survive a loss of power.
func flush(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
