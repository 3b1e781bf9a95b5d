package verbs

import (
	"testing"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/session"
)

// A machine is shown to be out only where the session names others, by IDs of its kind.
func TestNotAdmitted(t *testing.T) {
	const here, there, scone = "INTEL_QE_ID:85ffc69266c833546e5dca1c676a6151", "INTEL_QE_ID:00ffc69266c833546e5dca1c676a6151", "126C8098408FEB2002F5EB8B9E6C2AE26197E3617875633C5BD4EB4454278C34"
	id := func(text string) attest.PlatformID {
		p, err := attest.ParsePlatformID(text)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for name, c := range map[string]struct {
		services []session.Service
		want     check.Outcome
	}{
		"others only":            {[]session.Service{{Platforms: []attest.PlatformID{id(there)}}}, check.Pass},
		"it is named":            {[]session.Service{{Platforms: []attest.PlatformID{id(there)}}, {Platforms: []attest.PlatformID{id(here)}}}, check.Fail},
		"anywhere":               {[]session.Service{{Platforms: []attest.PlatformID{id(there)}}, {}}, check.Fail},
		"in a secret":            {[]session.Service{{PlatformSecrets: []string{"p"}}}, check.Skip},
		"another generation":     {[]session.Service{{Platforms: []attest.PlatformID{id(scone)}}}, check.Skip},
		"a secret, and anywhere": {[]session.Service{{PlatformSecrets: []string{"p"}}, {}}, check.Fail},
	} {
		if f := notAdmitted(&session.Session{Services: c.services}, id(here)); f.Outcome != c.want || f.Outcome != check.Pass && f.Hint == "" {
			t.Errorf("%s: got %+v, want %s", name, f, c.want)
		}
	}
}
