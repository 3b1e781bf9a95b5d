package topology

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

// targetFile is where the attested client finds what it shall look at (pkg/probe).
const targetFile = "/run/confidb/target.json"

// Target is what the attested client asks: the database at an address, that has this
// name in its certificate and runs under this session, and as whom it asks.
type Target struct {
	Address    string `json:"address"`
	ServerName string `json:"serverName"`
	Session    string `json:"session"`
	// Member is which one of the databases of the session is asked.
	Member  string `json:"member"`
	Account string `json:"account"`
}

// Target is what the recorded session of the attested client tells it to look at, where it
// runs as a service: Instance.Probe, or ServiceFront.
func (r *Release) Target(service string) (Target, error) {
	recorded := r.Session(Client)
	parsed, err := session.Parse(recorded.Name, []byte(recorded.Text))
	if err != nil {
		return Target{}, fmt.Errorf("reading what the attested client asks: %w", err)
	}
	at := slices.IndexFunc(parsed.Services, func(s session.Service) bool { return s.Name == service })
	if at < 0 {
		return Target{}, errors.New("reading what the attested client asks: the session has no service " + service)
	}
	var t Target
	content := filesOf(parsed, parsed.Services[at].ImageName)[targetFile]
	if err := json.Unmarshal([]byte(content), &t); err != nil {
		return Target{}, fmt.Errorf("reading what the attested client asks: %s: %w", targetFile, err)
	}
	for _, text := range []string{t.Address, t.ServerName, t.Session, t.Member, t.Account} {
		if text == "" || strings.Contains(text, "$$SCONE") {
			return Target{}, fmt.Errorf("reading what the attested client asks: %s does not say all of it", targetFile)
		}
	}
	return t, nil
}
