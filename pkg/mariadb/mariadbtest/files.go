package mariadbtest

import (
	"fmt"
	"net"
	"strings"

	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

// Given are what CAS gives a client of the applications that the server has: files by their
// paths, and its environment, with this host and port in the place of the release's. Passwords
// are the server's (Give), and fill answers all that is else. No path may hold 3306.
func (s *Server) Given(a topology.Applications, client, address string, fill func(session.Placeholder) (string, error)) (files, environment map[string]string, err error) {
	release, err := prepare(nil, a)
	if err != nil {
		return nil, nil, err
	}
	own := release.Session(topology.ApplicationRole(client))
	if own.Text == "" {
		return nil, nil, fmt.Errorf("there is no client %s", client)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := session.Parse(client, []byte(strings.NewReplacer(release.Host, host, "3306", port).Replace(own.Text)))
	if err != nil {
		return nil, nil, err
	}
	value := func(p session.Placeholder) (string, error) {
		if known, ok := s.secrets[p.Text]; ok && strings.HasSuffix(p.Secret, "_password") {
			return known, nil
		}
		return fill(p)
	}
	files, environment = map[string]string{}, map[string]string{}
	for _, f := range parsed.Images[0].InjectionFiles {
		if files[f.Path], err = session.Expand(*f.Content, value); err != nil {
			return nil, nil, err
		}
	}
	for name, text := range parsed.Services[0].Environment {
		if environment[name], err = session.Expand(text, value); err != nil {
			return nil, nil, err
		}
	}
	return files, environment, nil
}
