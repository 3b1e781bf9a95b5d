package cas

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/lab/enclave"
	"github.com/confidb/confidb/pkg/session"
)

// configuration fills in what a service gets. Nobody may see it but an enclave
// that is admitted.
func (t *transaction) configuration(p place, service session.Service) (*enclave.Configuration, error) {
	out := &enclave.Configuration{Pwd: service.Pwd, Environment: map[string]string{}}
	for _, word := range service.Command {
		value, err := t.expandWord(p, word)
		if err != nil {
			return nil, fmt.Errorf("command: %w", err)
		}
		out.Command = append(out.Command, value)
	}
	for name, text := range service.Environment {
		value, err := t.expandWord(p, text)
		if err != nil {
			return nil, fmt.Errorf("environment %.80q: %w", name, err)
		}
		out.Environment[name] = value
	}
	var err error
	if out.Files, err = t.files(p, service.ImageName); err != nil {
		return nil, err
	}
	out.Volumes = t.volumes(p, service.ImageName)
	return out, nil
}

// files fills in those of an image. A file without content is in the image already.
func (t *transaction) files(p place, image string) ([]enclave.File, error) {
	var files []enclave.File
	for _, i := range t.at(p).parsed.Images {
		if i.Name != image {
			continue
		}
		for _, f := range i.InjectionFiles {
			if f.Content == nil {
				continue
			}
			content, err := t.expand(p, *f.Content)
			if err != nil {
				return nil, fmt.Errorf("file %.200s: %w", f.Path, err)
			}
			files = append(files, enclave.File{Path: f.Path, Content: []byte(content), Permission: f.Permission})
		}
	}
	return files, nil
}

func (t *transaction) expand(p place, text string) (string, error) {
	return session.Expand(text, func(wanted session.Placeholder) (string, error) {
		s, err := t.resolve(p, wanted.Secret, 0)
		if err != nil {
			return "", err
		}
		return encode(s, wanted)
	})
}

// expandWord fills in an argument or a variable, which cannot hold any byte.
func (t *transaction) expandWord(p place, text string) (string, error) {
	value, err := t.expand(p, text)
	if err == nil && (!utf8.ValidString(value) || strings.ContainsRune(value, 0)) {
		return "", errors.New("raw bytes do not fit here: use another encoding, or a file")
	}
	return value, err
}
