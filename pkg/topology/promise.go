package topology

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/session"
)

// ServiceDatabase is the service of the database session that runs the database; where
// there is none of this name, it is the one that runs mariadbd with an init file.
const ServiceDatabase = "db"

// databasePromise says what a database session promises of the database of a service, as
// the document that the attested client gets.
func databasePromise(parsed *session.Session, name string) (string, error) {
	said := &promise.Promise{Unclear: []string{"the session has no service that runs mariadbd with an init file"}}
	if service := databaseService(parsed, name); service != nil {
		said = promise.Read(service.Command, filesOf(parsed, service.ImageName))
	}
	document, err := said.Document()
	if err != nil {
		return "", fmt.Errorf("deriving what the session promises: %w", err)
	}
	return document, nil
}

// databaseService returns the service of a name, which runs a database, or nil. That of a
// single one may have another name.
func databaseService(s *session.Session, name string) *session.Service {
	at := slices.IndexFunc(s.Services, func(one session.Service) bool { return one.Name == name })
	if at < 0 && name == ServiceDatabase {
		at = slices.IndexFunc(s.Services, func(one session.Service) bool {
			if strings.HasPrefix(one.Name, "seeding-") { // not the one that clients reach
				return false
			}
			return len(one.Command) > 0 && slices.Contains([]string{"mariadbd", "mysqld"}, path.Base(one.Command[0])) &&
				slices.ContainsFunc(one.Command, func(argument string) bool { return strings.Contains(argument, "init-file=") })
		})
	}
	if at < 0 {
		return nil
	}
	return &s.Services[at]
}

// filesOf are the files that an image gets from the session, by path.
func filesOf(s *session.Session, image string) map[string]string {
	files := map[string]string{}
	for _, i := range s.Images {
		if i.Name != image {
			continue
		}
		for _, f := range i.InjectionFiles {
			if f.Content != nil {
				files[f.Path] = *f.Content
			}
		}
	}
	return files
}
