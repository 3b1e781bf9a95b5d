package probe

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/confidb/confidb/pkg/mariadb/seed"
)

// exitEmpty is the exit code that says: there is no database on the volume.
const exitEmpty = 3

// Folders of a volume: a database is made in the first and becomes the second by one
// rename, so that there is a whole one or none.
const (
	newFolder  = "new"
	dataFolder = "data"
	// seedFolder is where the data of another server is taken over, which becomes the second
	// in the same way.
	seedFolder = "seed"
)

// seedWord is the argument by which a volume is prepared for the data of another server.
const seedWord = "seed"

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
	if isThere, err = taken(volume); isThere || err != nil {
		return isThere, err
	}
	begun, err := exists(filepath.Join(volume, seedFolder))
	if err != nil {
		return false, err
	}
	finished, err := exists(filepath.Join(unfinished, mark))
	switch {
	case err != nil:
		return false, err
	case begun: // an empty database was made to be filled, and was not
		err = os.RemoveAll(filepath.Join(volume, seedFolder))
	case finished && from != volume:
		return true, takeOver(unfinished, volume)
	case finished:
		return true, errors.Join(os.Rename(unfinished, data), flush(volume))
	}
	if err = errors.Join(err, os.RemoveAll(unfinished)); err != nil {
		return false, err
	}
	return false, errors.Join(os.Mkdir(unfinished, 0o700), flush(from))
}

// taken reports whether there is a database, and gives one that was taken over whole its
// place.
func taken(volume string) (isThere bool, err error) {
	data, copied := filepath.Join(volume, dataFolder), filepath.Join(volume, seedFolder)
	if isThere, err = exists(data); err != nil {
		return false, err
	}
	if !isThere {
		whole, err := exists(filepath.Join(copied, seed.Mark, "db.opt"))
		if !whole || err != nil {
			return false, err
		}
		if err := errors.Join(os.Rename(copied, data), flush(volume)); err != nil {
			return false, err
		}
	}
	// The server is not to see the mark.
	return true, errors.Join(os.RemoveAll(filepath.Join(data, seed.Mark)), os.RemoveAll(copied))
}

// prepareSeed is the service `seedbed`. Called before a database is made, it notes that the
// database is to be filled; called after that, it puts the database on the volume, where a
// server fills it. Settle makes it the database of the volume only when it is whole.
func prepareSeed(volume, mark, from string, stderr io.Writer) int {
	copied, unfinished := filepath.Join(volume, seedFolder), filepath.Join(from, newFolder)
	isThere, err := exists(filepath.Join(volume, dataFolder))
	finished, failed := exists(filepath.Join(unfinished, mark))
	begun, alsoFailed := exists(copied)
	err = errors.Join(err, failed, alsoFailed)
	switch {
	case err != nil:
	case isThere:
		err = errors.New("there is a database")
	case finished && begun:
		if err = os.RemoveAll(copied); err == nil {
			err = copyFolder(unfinished, copied)
		}
		err = errors.Join(err, flush(volume))
	case finished:
		err = errors.New("a database was made that was not to be filled")
	default:
		err = errors.Join(os.MkdirAll(copied, 0o700), flush(volume))
	}
	if err != nil {
		fmt.Fprintf(stderr, "error: preparing the volume: %v\n", err)
		return 1
	}
	return 0
}

// takeOver copies a whole database to a volume. What a killed run has copied is thrown away.
func takeOver(whole, volume string) error {
	copied := filepath.Join(volume, newFolder)
	if err := os.RemoveAll(copied); err != nil {
		return err
	}
	if err := copyFolder(whole, copied); err != nil {
		return err
	}
	if err := errors.Join(os.Rename(copied, filepath.Join(volume, dataFolder)), flush(volume)); err != nil {
		return err
	}
	return os.RemoveAll(whole)
}

// copyFolder copies a folder with all that is in it, such that it survives a loss of power.
func copyFolder(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return copyEntry(path, filepath.Join(to, below), entry)
	})
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
