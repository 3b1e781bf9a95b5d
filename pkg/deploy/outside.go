package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/outside"
	"github.com/confidb/confidb/pkg/topology"
)

// Outside lets a client in that runs in no enclave. What a run that was killed made for it
// is used again.
type Outside struct {
	// Name is the client's, Reason why it is let in, and Lasts for how long.
	Name, Reason string
	Lasts        time.Duration
	// DryRun other than None writes nothing.
	DryRun DryRun
	// Folder is where its files are, and Random makes its key and password.
	Folder OutsideFolder
	Random io.Reader
	Now    func() time.Time

	identity          *outside.Identity
	account, database string
}

// OutsideFolder is a folder on the user's machine.
type OutsideFolder interface {
	// Path is absolute.
	Path() string
	// Read returns a file, and fs.ErrNotExist if there is none.
	Read(name string) ([]byte, error)
	// Write writes files that only their owner can read, and Remove deletes those written.
	Write(texts map[string][]byte) error
	Remove() error
}

// AdmittedError means that a client is let in already, and is another.
type AdmittedError struct{ Client, As string }

func (e *AdmittedError) Error() string {
	return "client " + e.Client + " is there already, " + e.As
}

// Hint says how to go on.
func (e *AdmittedError) Hint() string { return "Send it away first: {client remove}." }

// Admit makes the key and the files, and returns the applications with the client. most is
// what the policy allows, as outside.CheckTime has it.
func (o *Outside) Admit(a topology.Applications, most *time.Duration) (_ topology.Applications, err error) {
	if o.Reason, err = outside.ParseReason(o.Reason); err != nil {
		return a, err
	}
	if err := outside.CheckTime(o.Lasts, most); err != nil {
		return a, err
	}
	if a = a.At(o.Now()); a.Find(o.Name) != nil {
		return a, &AdmittedError{o.Name, "in enclaves"}
	}
	account, err := a.OutsideAccount(o.Name)
	if err != nil {
		return a, err
	}
	o.account = account.Name
	if all := account.Databases(); len(all) == 1 {
		o.database = all[0]
	}
	if _, err := topology.OutsideSettings("", o.account, o.database, "", o.Folder.Path()); err != nil {
		return a, err
	}
	if o.identity, err = o.kept(account.OutsideName()); err != nil {
		return a, err
	}
	if before := a.FindOutside(o.Name); before != nil && (o.identity == nil || o.identity.Client(o.Name, o.Reason) != *before) {
		return a, &AdmittedError{o.Name, "outside of enclaves, for another reason or with another key"}
	}
	if o.identity == nil {
		if err := o.make(account.OutsideName()); err != nil {
			return a, err
		}
	}
	return a.WithOutside(o.identity.Client(o.Name, o.Reason)), nil
}

func (o *Outside) make(commonName string) (err error) {
	if o.identity, err = outside.New(o.Random, commonName, o.Now(), o.Lasts); err != nil || o.DryRun != None {
		return err
	}
	return o.Folder.Write(map[string][]byte{outside.FileKey: o.identity.Key, outside.FilePassword: []byte(o.identity.Password + "\n"), outside.FileCertificate: o.identity.Certificate})
}

// kept is what is in the folder, if that is whole and does not last longer than what is
// wanted now: what a killed run left of one is made anew.
func (o *Outside) kept(commonName string) (*outside.Identity, error) {
	var texts [3][]byte
	for i, name := range []string{outside.FileKey, outside.FileCertificate, outside.FilePassword} {
		text, err := o.Folder.Read(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		texts[i] = text
	}
	kept := &outside.Identity{Key: texts[0], Certificate: texts[1], Password: strings.TrimSpace(string(texts[2]))}
	if kept.Check(commonName) != nil {
		return nil, nil
	}
	leaf, err := kept.Client(o.Name, "").Leaf(commonName)
	if now := o.Now(); err != nil || now.After(leaf.NotAfter) || leaf.NotAfter.After(now.Add(o.Lasts)) || outside.Lasts(leaf) > o.Lasts {
		return nil, nil
	}
	return kept, nil
}

// finishOutside gives the client the CA of the database, which the attested CAS says, or
// deletes what was made for one that was sent away.
func (i *installation) finishOutside(ctx context.Context) error {
	if i.gone != nil {
		return i.gone.Remove()
	}
	if i.outside == nil {
		return nil
	}
	c, closeCAS, err := i.connect(ctx)
	if err != nil {
		return err
	}
	defer closeCAS()
	database := i.release.Session(topology.Database)
	ca, err := c.PublicValue(ctx, database.Name, database.Hash, topology.SecretCA)
	if err != nil {
		return fmt.Errorf("asking CAS for the CA of the database: %w", err)
	}
	said, err := i.outside.finish(i.release, ca)
	for _, line := range said {
		i.Progress.Step("%s", line)
	}
	return err
}

// finish writes the CA of the database and the settings, and says how they are used.
func (o *Outside) finish(r *topology.Release, ca string) ([]string, error) {
	settings, err := topology.OutsideSettings(r.Host, o.account, o.database, o.identity.Password, o.Folder.Path())
	if err == nil {
		err = o.Folder.Write(map[string][]byte{outside.FileCA: []byte(ca), outside.FileSettings: []byte(settings)})
	}
	service, _, _ := strings.Cut(r.Host, ".")
	return []string{
		fmt.Sprintf("the client %s may come in from outside of enclaves until %s, with what is in %s:", o.Name, o.identity.Client("", "").Ends().UTC().Format(time.RFC3339), o.Folder.Path()),
		fmt.Sprintf("kubectl port-forward -n %s service/%s 3306:3306", r.Namespace, service),
		fmt.Sprintf("let %s be 127.0.0.1 on this machine (a line in /etc/hosts): it is the name in the certificate of the database", r.Host),
		"mariadb --defaults-file=" + o.Folder.Path() + "/" + outside.FileSettings,
	}, err
}
