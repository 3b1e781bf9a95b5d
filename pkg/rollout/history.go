package rollout

import (
	"context"
	"fmt"
	"strings"

	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/diff"
)

// Past is one version of a session, and what it changed.
type Past struct {
	Hash        string `json:"hash"`
	Predecessor string `json:"predecessor"`
	// Verdict and Changes are relative to the predecessor; empty for the first version.
	Verdict diff.Verdict  `json:"verdict,omitempty"`
	Changes []diff.Change `json:"changes"`
}

// maxVersions bounds how far back is looked.
const maxVersions = 1000

// History lists the versions of a session, newest first. The last one has a predecessor
// only if there are more than are listed.
func History(ctx context.Context, c Reader, name string) ([]Past, error) {
	var all []Past
	var newer change.Version
	for hash := ""; len(all) < maxVersions; {
		v, err := readVersion(ctx, c, name, hash)
		if err != nil {
			return nil, err
		}
		if hash != "" && !v.Is(hash) || known(all, v.Hash) {
			return nil, fmt.Errorf("reading session %q: got the version %s, want %s: CAS's history does not hold together", name, v.Hash, hash)
		}
		if len(all) > 0 {
			d := diff.Compare(v.Session, newer.Session)
			last := &all[len(all)-1]
			last.Verdict, last.Changes = d.Verdict, d.Changes
		}
		all = append(all, Past{Hash: v.Hash, Predecessor: v.Session.Predecessor, Changes: []diff.Change{}})
		if newer, hash = v, v.Session.Predecessor; hash == "" {
			break
		}
	}
	return all, nil
}

func known(all []Past, hash string) bool {
	for _, p := range all {
		if strings.EqualFold(p.Hash, hash) {
			return true
		}
	}
	return false
}
