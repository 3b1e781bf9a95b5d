package cas

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/lab/enclave"
	"github.com/confidb/confidb/pkg/lab/volume"
	"github.com/confidb/confidb/pkg/session"
)

// keptVolume is what CAS remembers of a volume. Nobody but an enclave that is
// admitted to a service with the volume gets it.
type keptVolume struct {
	Key   []byte `json:"key"`
	Epoch uint64 `json:"epoch"`
	Tag   []byte `json:"tag,omitempty"`
	Open  bool   `json:"open"`
}

// checkVolumes finds volumes that this CAS would not protect as the session says.
func checkVolumes(s *session.Session) error {
	policies := map[string]volume.Policy{}
	for _, image := range s.Images {
		for i, v := range image.Volumes {
			err := checkVolume(s, image, i)
			if before, ok := policies[v.Name]; err == nil && ok && before != policyOf(v) {
				err = errors.New("got two values of update_policy, want one for all images")
			}
			if err != nil {
				return fmt.Errorf("image '%s': volume '%s': %w", image.Name, v.Name, err)
			}
			policies[v.Name] = policyOf(v)
		}
	}
	return nil
}

func checkVolume(s *session.Session, image session.Image, i int) error {
	v := image.Volumes[i]
	within := func(inner, outer string) bool { return strings.HasPrefix(inner+"/", outer+"/") }
	switch {
	case !slices.ContainsFunc(s.Volumes, func(declared session.Volume) bool { return declared.Name == v.Name }):
		return errors.New("it is no volume of this session")
	case path.Clean(v.Path) != v.Path || v.Path == "/":
		return fmt.Errorf("path %.200q: want an absolute, clean one below /", v.Path)
	}
	for j, other := range image.Volumes {
		switch {
		case i != j && other.Name == v.Name:
			return errors.New("it is in the image twice")
		case i != j && within(other.Path, v.Path):
			return fmt.Errorf("this CAS cannot do the volume '%s' inside of it", other.Name)
		}
	}
	for _, file := range image.InjectionFiles {
		if within(path.Clean(file.Path), v.Path) {
			return fmt.Errorf("this CAS cannot do the injected file %.200s inside of it", file.Path)
		}
	}
	return nil
}

// policyOf reads a missing update_policy as the one that protects.
func policyOf(v session.ImageVolume) volume.Policy {
	if v.UpdatePolicy == "" {
		return volume.RollbackProtected
	}
	return volume.Policy(v.UpdatePolicy)
}

// keptName names a volume among those of all sessions: no name holds a space.
func keptName(p place, name string) string { return p.session + " " + name }

// volumes are those of an image. A key is made when it is first asked for; that of
// an ephemeral volume is another one each time.
func (t *transaction) volumes(p place, image string) []enclave.Volume {
	var all []enclave.Volume
	for _, i := range t.at(p).parsed.Images {
		if i.Name != image {
			continue
		}
		for _, v := range i.Volumes {
			kept := keptVolume{Key: newVolumeKey()}
			if policyOf(v) != volume.Ephemeral {
				kept = t.volume(keptName(p, v.Name))
			}
			known := volume.Known{Policy: policyOf(v), Epoch: kept.Epoch, Tag: kept.Tag, Open: kept.Open}
			all = append(all, enclave.Volume{Name: v.Name, Path: v.Path, Key: kept.Key, Known: known})
		}
	}
	return all
}

func newVolumeKey() []byte {
	key := make([]byte, volume.KeySize)
	rand.Read(key) // never fails
	return key
}

func (t *transaction) volume(name string) keptVolume {
	if kept, ok := t.state.Volumes[name]; ok {
		return kept
	}
	kept := keptVolume{Key: newVolumeKey()}
	t.keepVolume(name, kept)
	return kept
}

func (t *transaction) keepVolume(name string, kept keptVolume) {
	if t.state.Volumes == nil {
		t.state.Volumes = map[string]keptVolume{}
	}
	t.state.Volumes[name] = kept
	t.changed = true
}

// remember notes what an enclave says of its volumes, and answers with what is
// known then: only a CAS that has the keys can.
func (t *transaction) remember(name, serviceName string, quote attested, uses []enclave.Use) (*enclave.Configuration, error) {
	p, service, err := t.proven(name, serviceName, quote)
	if err != nil {
		return nil, err
	}
	for _, use := range uses {
		if err := t.use(p, service.ImageName, use); err != nil {
			return nil, refuseUse(use.Volume, err)
		}
	}
	return &enclave.Configuration{Volumes: t.volumes(p, service.ImageName)}, nil
}

func refuseUse(name string, err error) error {
	return notConfigured(fmt.Sprintf("Tag of volume '%.80s' cannot be updated: %s", name, err))
}

// use is refused from whoever has not got the volume now: somebody has opened it
// after him, or he has closed it.
func (t *transaction) use(p place, image string, use enclave.Use) error {
	i := slices.IndexFunc(t.volumes(p, image), func(v enclave.Volume) bool { return v.Name == use.Volume })
	if i < 0 || t.volumes(p, image)[i].Known.Policy != volume.RollbackProtected {
		return errors.New("the service has no such volume with a tag")
	}
	kept := t.volume(keptName(p, use.Volume))
	switch opens := len(use.Tag) == 0; {
	case opens && use.Epoch == kept.Epoch+1:
		kept.Epoch, kept.Open = use.Epoch, true
	case !opens && len(use.Tag) == volume.TagSize && use.Epoch == kept.Epoch && kept.Open:
		kept.Tag, kept.Open = use.Tag, false
	default:
		return errors.New("somebody else has opened it since")
	}
	t.keepVolume(keptName(p, use.Volume), kept)
	return nil
}
