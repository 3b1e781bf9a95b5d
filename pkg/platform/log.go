package platform

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"

	"github.com/confidb/confidb/pkg/attest"
)

// A LAS names its platform ID in a line of its own, in one of two wordings: up to SCONE 6
// the key of the SCONE QE, and from 7 on bare digits, to which a session needs a prefix.
// Before it comes nothing but what the logger of that version writes:
//
//	[10000:INFO@25.03.2021/10:53:17] STARTER: SCONE QE has public key 2C45…
//	2026-02-23T10:07:36.762576Z  INFO Intel QE ID: eee9…
const (
	logger = `^(?:\[[0-9]+:[A-Z]+@[0-9./:]+\] +(?:STARTER: +)?|[0-9-]+T[0-9:.]+Z +(?:INFO|DEBUG) +(?:(?:las|scone)[a-z0-9_]*(?:::[a-z0-9_]+)*: +)?|INFO +)?`
	// sixKey is the wording of SCONE up to 6, and sevenID that from 7 on.
	sixKey  = `(?:(?:SCONE )?QE has )?public key +`
	sevenID = `Intel QE ID: *`
)

// logLine is a line in which a LAS names its ID: the digits are the first group of SCONE
// up to 6, or the second from 7 on.
func logLine() *regexp.Regexp {
	return regexp.MustCompile(logger + `(?:` + sixKey + `([0-9A-Fa-f]{64})|` + sevenID + `([0-9A-Fa-f]{32})) *$`)
}

// logMention is any line that seems to name an ID. A text that another program had a say
// in must not pass for LAS's own line.
func logMention() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:public\s+key|QE\s+ID)\W*[0-9a-f]{32}`)
}

// colours are how a logger marks its lines for a terminal (ECMA-48, SGR).
func colours() *regexp.Regexp { return regexp.MustCompile("\x1b\\[[0-9;]*m") }

// maxLogIDs is how many IDs of one log are told: one too many makes a contradiction.
const maxLogIDs = 3

// ParseLog returns the platform IDs that a LAS wrote to its log, each once; every start
// writes it again. More than one, of one wording or of both, means that the log
// contradicts itself. An ID within other text, or with other digits around it, is an
// error: that is not how LAS speaks of itself.
func ParseLog(log []byte) ([]attest.PlatformID, error) {
	line, mention, colour := logLine(), logMention(), colours()
	var ids []attest.PlatformID
	number := 0
	for text := range bytes.Lines(log) {
		number++
		if !mention.Match(text) {
			continue
		}
		found := line.FindSubmatch(bytes.TrimRight(colour.ReplaceAll(text, nil), "\r\n"))
		if found == nil {
			return nil, fmt.Errorf("line %d of the log of LAS names a platform ID in a form that LAS does not use: %.200q", number, bytes.TrimSpace(text))
		}
		digits := string(found[1])
		if digits == "" {
			digits = "INTEL_QE_ID:" + string(found[2])
		}
		id, err := attest.ParsePlatformID(digits)
		if err != nil {
			return nil, fmt.Errorf("line %d of the log of LAS: %w", number, err)
		}
		if !slices.Contains(ids, id) && len(ids) < maxLogIDs {
			ids = append(ids, id)
		}
	}
	return distinct(ids), nil
}
