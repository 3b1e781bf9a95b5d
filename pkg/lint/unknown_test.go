package lint

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/session"
)

// TestUnknownByPlace: what is not known of a place counts for the questions that are about
// it. A place under no key of the policy may hold any of it, so it counts for all: a proof
// must not rest on what it does not know.
func TestUnknownByPlace(t *testing.T) {
	for path, want := range map[string]string{
		"security":                              "security",
		"security.attestation.tolerate[3]":      "security",
		"access_policy.read[0]":                 "access_policy",
		"services[0].attestation.mrenclave[1]":  "attestation",
		"services[12].attestation[2].mrenclave": "attestation",
		"services[1].mrenclaves[0]":             "mrenclaves",
		"services[1].platforms":                 "platforms",
		"services[1].command":                   "",
		"services[1]":                           "security access_policy attestation mrenclaves platforms",
		"services":                              "security access_policy attestation mrenclaves platforms",
		"":                                      "security access_policy attestation mrenclaves platforms",
		"secrets[0].value":                      "",
	} {
		open := unknown([]session.Reference{{Path: path, Secret: "x", Problem: "nobody has it"}}, nil)
		var got []string
		for _, key := range []string{"security", "access_policy", "attestation", "mrenclaves", "platforms"} {
			if len(open(key)) > 0 {
				got = append(got, key)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
	open := unknown(nil, errors.New("nothing was read"))
	for _, keys := range [][]string{{"security"}, {"access_policy"}, {"platforms"}} {
		if f := ask("id", "title", "hint", nil, open(keys...)); f.Outcome != check.Skip {
			t.Errorf("%s: got %+v for an error of no place, want a skip", fmt.Sprint(keys), f)
		}
	}
}
