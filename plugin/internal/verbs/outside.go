package verbs

import (
	"crypto/rand"

	"github.com/confidb/confidb/pkg/deploy"
)

// withOutside adds to an installation that a client is let in which runs in no enclave, or
// that the files of one that is sent away are deleted. Whatever is wrong with these, the
// client is sent away.
func (o *clientChange) withOutside(known *OpenedRelease, i deploy.Install) (deploy.Install, error) {
	if !o.outside.Given() && o.verb != "client remove" {
		return i, nil
	}
	if err := o.outside.Check(); err != nil {
		return i, err
	}
	folder, err := known.Store.OutsideClient(known.ID, known.Promised.Namespace, known.Promised.Name, o.name, o.outside.Directory)
	if o.verb == "client remove" {
		if o.undeleted = err; err == nil {
			i.Gone = folder
		}
		return i, nil
	}
	o.let = &deploy.Outside{Name: o.name, Reason: o.outside.Reason, Lasts: o.outside.Lasts, DryRun: i.DryRun, Folder: folder, Random: rand.Reader, Now: o.env.Now}
	i.Outside = o.let
	return i, err
}
