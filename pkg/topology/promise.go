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

// databasePromise says what a database session promises of its database, as the
// document that the attested client gets.
func databasePromise(text string) (string, error) {
	parsed, err := session.Parse("database session", []byte(text))
	if err != nil {
		return "", err
	}
	said := &promise.Promise{Unclear: []string{"the session has no service that runs mariadbd with an init file"}}
	if service := databaseService(parsed); service != nil {
		said = promise.Read(service.Command, filesOf(parsed, service.ImageName))
	}
	document, err := said.Document()
	if err != nil {
		return "", fmt.Errorf("deriving what the session promises: %w", err)
	}
	return document, nil
}

// databaseService returns the service that runs the database, or nil.
func databaseService(s *session.Session) *session.Service {
	at := slices.IndexFunc(s.Services, func(one session.Service) bool { return one.Name == ServiceDatabase })
	if at < 0 {
		at = slices.IndexFunc(s.Services, func(one session.Service) bool {
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
