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
// new database that is made last. Apart means that databases are made on a volume of their
// own, which is at from: a whole one is copied.
func prepareVolume(volume, mark, from string, apart bool, stdout, stderr io.Writer) int {
	if !apart {
		from = volume
	}
	isThere, err := settle(volume, mark, from)
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
func settle(volume, mark, from string) (isThere bool, err error) {
	data, unfinished := filepath.Join(volume, dataFolder), filepath.Join(from, newFolder)
	if isThere, err = exists(data); isThere || err != nil {
		return isThere, err
	}
	finished, err := exists(filepath.Join(unfinished, mark))
	switch {
	case err != nil:
		return false, err
	case finished && from != volume:
		return true, takeOver(unfinished, volume)
	case finished:
		return true, errors.Join(os.Rename(unfinished, data), flush(volume))
	}
	if err := os.RemoveAll(unfinished); err != nil {
		return false, err
	}
	return false, errors.Join(os.Mkdir(unfinished, 0o700), flush(from))
}

// takeOver copies a whole database to a volume. What a killed run has copied is thrown away.
func takeOver(whole, volume string) error {
	copied := filepath.Join(volume, newFolder)
	if err := os.RemoveAll(copied); err != nil {
		return err
	}
	if err := filepath.WalkDir(whole, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(whole, path)
		if err != nil {
			return err
		}
		return copyEntry(path, filepath.Join(copied, below), entry)
	}); err != nil {
		return err
	}
	if err := errors.Join(os.Rename(copied, filepath.Join(volume, dataFolder)), flush(volume)); err != nil {
		return err
	}
	return os.RemoveAll(whole)
}

// copyEntry copies a folder without what is in it, or a file, such that it survives a loss
// of power.
func copyEntry(from, to string, entry fs.DirEntry) error {
	switch {
	case entry.IsDir():
		return os.Mkdir(to, 0o700)
	case !entry.Type().IsRegular():
		return fmt.Errorf("%s is neither a file nor a folder", from)
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Sync(), target.Close())
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
