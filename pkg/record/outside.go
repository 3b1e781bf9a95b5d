package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/outside"
)

// Files of a client outside of enclaves. The mark says whose they are, and is written first
// and removed last, so that nobody else's are touched.
const (
	outsideMark = "confidb-client.json"
	outsideKind = "confidb.outside-client/v1"
)

func outsideFiles() []string {
	return []string{outside.FileKey, outside.FilePassword, outside.FileCertificate, outside.FileCA, outside.FileSettings}
}

// Outside is the folder with what a client outside of enclaves logs in with.
type Outside struct {
	// Folder is where the files are: absolute.
	Folder string

	store Store
	place string // where it is noted which folder that is
	mark  outsideText
}

// outsideText is a mark, and a note.
type outsideText struct {
	Kind string `json:"kind"`
	// Cluster, Namespace, Release and Client say whose it is.
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
	Release   string `json:"release"`
	Client    string `json:"client"`
	// Folder is the one that the user chose; empty in a mark.
	Folder string `json:"folder,omitempty"`
}

// OutsideClient is the folder of a client: the one that the user names, the one that was
// named before, or else one beside the record of the release. Nothing is written.
func (s Store) OutsideClient(cluster, namespace, release, client, folder string) (*Outside, error) {
	if s.Missing != nil {
		return nil, s.Missing
	}
	if err := accounts.CheckClient(client); err != nil { // it becomes the name of a file
		return nil, fmt.Errorf("the name of the client: %w", err)
	}
	base := filepath.Join(s.Dir, "releases", digest(cluster), namespace, release+".outside", client)
	o := &Outside{store: s, place: base + ".json", mark: outsideText{Kind: outsideKind, Cluster: digest(cluster), Namespace: namespace, Release: release, Client: client}}
	noted, err := o.noted()
	if err != nil {
		return nil, err
	}
	switch {
	case folder != "":
		if o.Folder, err = filepath.Abs(folder); err != nil {
			return nil, err
		}
		if noted != "" && noted != o.Folder {
			return nil, &OutsideFolderError{Folder: o.Folder, Client: client, problem: "is another than that of the client's files, " + noted}
		}
	case noted != "":
		o.Folder = noted
	default:
		if o.Folder, err = filepath.Abs(base); err != nil {
			return nil, err
		}
	}
	return o, o.ours()
}

// noted is the folder that was named before, if any.
func (o *Outside) noted() (string, error) {
	var note outsideText
	err := o.store.read(o.place, &note)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	folder := note.Folder
	if note.Folder = ""; err == nil && note != o.mark {
		err = errors.New("it is of another client")
	}
	if err != nil {
		return "", fmt.Errorf("reading where the files of the client %s are: %w", o.mark.Client, err)
	}
	return folder, nil
}

// ours refuses a folder in which something is and which has no mark of this client's.
func (o *Outside) ours() error {
	refused := func(problem string) error {
		return &OutsideFolderError{Folder: o.Folder, Client: o.mark.Client, problem: problem}
	}
	entries, err := os.ReadDir(o.Folder)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !unfinished(e.Name()) }):
		return nil
	case err != nil:
		return refused("cannot be used: " + err.Error())
	}
	text, err := files.ReadPrivate(filepath.Join(o.Folder, outsideMark), maxFile, "others could have changed it")
	if errors.Is(err, fs.ErrNotExist) {
		return refused("holds files that are not this client's")
	}
	var mark outsideText
	if err == nil {
		err = json.Unmarshal(text, &mark)
	}
	if err != nil || mark != o.mark {
		return refused("holds files of somebody else's")
	}
	return nil
}

// unfinished reports whether a file is what a run that was killed left of one.
func unfinished(name string) bool { return strings.HasPrefix(name, ".new-") }

// OutsideFolderError means that the files of a client cannot be in a folder.
type OutsideFolderError struct{ Folder, Client, problem string }

func (e *OutsideFolderError) Error() string { return fmt.Sprintf("folder %s %s", e.Folder, e.problem) }

// Hint says how to go on.
func (e *OutsideFolderError) Hint() string {
	return "Name a new or empty folder for the client's files ({client add --directory}); {client remove} deletes those of before."
}

// Path is the folder.
func (o *Outside) Path() string { return o.Folder }

// Read returns a file that is there, and fs.ErrNotExist if there is none.
func (o *Outside) Read(name string) ([]byte, error) {
	return files.ReadPrivate(filepath.Join(o.Folder, name), maxFile, "others could have changed it")
}

// Write writes files, for their owner only: where they are first, then whose, then each as a
// whole in an order in which a run that was killed can go on.
func (o *Outside) Write(texts map[string][]byte) error {
	note := o.mark
	note.Folder = o.Folder
	if err := o.store.write(o.place, note); err != nil {
		return err
	}
	if err := files.ReplaceJSON(filepath.Join(o.Folder, outsideMark), o.mark, files.Private); err != nil {
		return err
	}
	for _, name := range outsideFiles() {
		if text, given := texts[name]; given {
			if err := files.Replace(filepath.Join(o.Folder, name), text, files.Private); err != nil {
				return err
			}
		}
	}
	return nil
}

// Remove deletes the files that were written, and the folder if nothing else is in it.
func (o *Outside) Remove() error {
	names := outsideFiles()
	entries, err := os.ReadDir(o.Folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if unfinished(e.Name()) { // it may hold a key
			names = append(names, e.Name())
		}
	}
	for _, name := range append(names, outsideMark) {
		if err := os.Remove(filepath.Join(o.Folder, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Remove(o.Folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
		if entries, reading := os.ReadDir(o.Folder); reading != nil || len(entries) == 0 {
			return err
		}
	}
	if err := os.Remove(o.place); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
