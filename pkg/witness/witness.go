// Package witness says whether a database is the one that was verified before, in that
// state or a later one: each verification leaves a mark in it, and the next one demands
// the mark. It knows neither SQL nor files.
package witness

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/confidb/confidb/pkg/check"
)

// Mark is what a verification left in a database. The zero value is none.
type Mark struct {
	// Number is the place of the mark among all of the database: it grows, and none is
	// given twice.
	Number uint64 `json:"number"`
	// Digest is the SHA-256 of the mark in hex. The mark itself is only in the database:
	// who reads a statement cannot make one.
	Digest string `json:"digest"`
}

// Restore is an earlier state of a database, or another one, that the user accepted.
type Restore struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	// Lost is the mark that was not there, and Since when it had been left.
	Lost  Mark      `json:"lost"`
	Since time.Time `json:"since"`
}

// Line is what one verifier knows of one database, or of several that have the same. The zero
// value knows nothing.
type Line struct {
	// Last is the mark that the next verification demands, and At when it was left.
	Last Mark      `json:"last"`
	At   time.Time `json:"at"`
	// Restores are what was accepted, the oldest first.
	Restores []Restore `json:"restores"`
	// Shards are what is known of several databases of which each has marks of its own, by
	// name. Then nothing else is.
	Shards map[string]Line `json:"shards,omitempty"`
}

// Advance returns what is known when two runs end one after the other: next, unless
// another run has begun a new line or left a later mark meanwhile.
func (l Line) Advance(next Line) Line {
	if next.Shards != nil {
		all := maps.Clone(l.Shards)
		for name, one := range next.Shards {
			if all == nil {
				all = map[string]Line{}
			}
			all[name] = l.Shards[name].Advance(one)
		}
		return Line{Shards: all}
	}
	order := cmp.Or(cmp.Compare(len(l.Restores), len(next.Restores)), cmp.Compare(l.Last.Number, next.Last.Number))
	if order > 0 {
		return l
	}
	return next
}

// Demand is what a verification asks for. The zero value asks for nothing, and proves
// nothing.
type Demand struct {
	// Verifier is whose marks are looked at, 32 lower-case hex digits. It is no secret.
	Verifier string `json:"verifier"`
	Line     Line   `json:"line"`
	// Accept is the reason for which the user accepts that the mark is not there; empty
	// means that they do not.
	Accept string `json:"accept"`
}

// Of is what is asked of one database, of several of which each has marks of its own.
func (d Demand) Of(shard string) Demand {
	d.Line = d.Line.Shards[shard]
	return d
}

// Seen is what an attested client found in the database, and left there.
type Seen struct {
	// Verifier and Asked are of whom and for which digest the client was asked. Asked is
	// empty if this verifier knows of no mark.
	Verifier string `json:"verifier"`
	Asked    string `json:"asked"`
	// Read means that the marks were read to their end, and Found that the one that was
	// asked for is among them.
	Read  bool `json:"read"`
	Found bool `json:"found"`
	// Oldest is the number of the verifier's oldest mark, or of anybody's if there is none
	// of the verifier's. 0 means that there is none at all.
	Oldest uint64 `json:"oldest"`
	// Full means that there are so many marks that old ones are removed.
	Full bool `json:"full"`
	// Written is the mark that was left, and found again over new connections. The zero
	// Mark means that none was; then Problem says why.
	Written Mark   `json:"written"`
	Problem string `json:"problem"`
}

// Validate refuses what no client says.
func (s *Seen) Validate() error {
	switch {
	case !IsVerifier(s.Verifier) || s.Asked != "" && !IsDigest(s.Asked):
		return fmt.Errorf("marks of verifier %.40q, asked for %.80q: want 32 and 64 lower-case hex digits", s.Verifier, s.Asked)
	case s.Written != Mark{} && (s.Written.Number == 0 || !IsDigest(s.Written.Digest)):
		return fmt.Errorf("mark %d with digest %.80q: want a number, and 64 lower-case hex digits", s.Written.Number, s.Written.Digest)
	case s.Found && (!s.Read || s.Asked == ""):
		return fmt.Errorf("a mark was found that was not looked for")
	}
	return nil
}

// IsVerifier reports whether text can name a verifier.
func IsVerifier(text string) bool { return isLowerHex(text, 16) }

// IsDigest reports whether text can be the digest of a mark.
func IsDigest(text string) bool { return isLowerHex(text, 32) }

func isLowerHex(text string, bytes int) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == bytes && hex.EncodeToString(raw) == text
}

// Judgement is how a demand was met.
type Judgement struct {
	Outcome                 check.Outcome
	Got, Want, Reason, Hint string
	// Next is what is known from now on; nil means that nothing new is.
	Next *Line
}

// Judge compares what a client found with what was demanded. at is the time of now.
// Nothing is learned from a run in which the mark is missing, so that the next one
// demands it as well, unless the user accepts that.
func (d Demand) Judge(seen *Seen, at time.Time) Judgement {
	const again = "{verify} again."
	switch {
	case d.Verifier == "":
		return Judgement{Reason: "nobody was named whose marks to look for", Hint: again}
	case seen == nil:
		return Judgement{Reason: "the attested client says nothing of marks", Hint: "The client's session lets CONFIDB_VERIFIER and CONFIDB_MARK through, and the database session makes the table, in our templates: an older version or another template installed this release. Install a new one and move the data."}
	case seen.Verifier != d.Verifier || seen.Asked != d.Line.Last.Digest:
		return Judgement{Reason: "the attested client was asked for another mark: whoever starts its pod changed the question", Hint: again}
	case !seen.Read:
		return Judgement{Reason: seen.Problem, Hint: "See data-02."}
	case d.Line.Last == Mark{}, seen.Found:
		return d.left(seen, at)
	}
	return d.missing(seen, at)
}

// JudgeCopy is Judge for a database that follows the one in which this run has left a mark:
// that very mark is demanded, which is newer than any other. What it lacks it may be about to
// get, so that it proves nothing.
func (d Demand) JudgeCopy(seen *Seen, left Mark) Judgement {
	d.Line.Last = left
	switch j := d.Judge(seen, time.Time{}); {
	case d.Verifier == "", seen == nil, seen.Verifier != d.Verifier, seen.Asked != left.Digest, !seen.Read:
		return Judgement{Reason: j.Reason, Hint: j.Hint}
	case seen.Found:
		return Judgement{Outcome: check.Pass, Reason: "it has the mark that this run has left at the primary"}
	}
	return Judgement{Got: "it does not hold the mark that this run has left at the primary", Want: "that mark", Reason: "it is behind, or an older copy that does not follow", Hint: "{verify} again when it has caught up; see rep-01."}
}

// left ends a run in which nothing is missing.
func (d Demand) left(seen *Seen, at time.Time) Judgement {
	if (seen.Written == Mark{}) {
		return Judgement{Reason: cmp.Or(seen.Problem, "no mark was left for the next verification"), Hint: "See data-02."}
	}
	j := Judgement{Outcome: check.Pass, Next: &Line{Last: seen.Written, At: at, Restores: d.Line.Restores}}
	switch {
	case d.Line.Last == Mark{}:
		j.Reason = "you have no earlier mark, so that none could be demanded: that this is not an older state or a copy is not shown yet. From now on each of your verifications demands the mark of the one before"
	case d.Accept != "":
		j.Reason = "the last mark is there, so that there was nothing to accept"
	}
	return j
}

// missing ends a run in which the mark is not there.
func (d Demand) missing(seen *Seen, at time.Time) Judgement {
	last := d.Line.Last
	j := Judgement{Outcome: check.Fail, Got: "it does not hold the mark " + short(last) + " of the last verification, " + d.Line.At.UTC().Format(time.RFC3339),
		Want:   "that mark",
		Reason: "the volume was put back to an older state, a snapshot was restored, the marks were deleted, or this is another database that answers under the same session",
		Hint:   "Find out who changed the volume, and compare the data with a backup. If you wanted it: {verify NAME --accept-restore 'REASON'}"}
	if seen.Full && seen.Oldest > last.Number {
		j.Outcome, j.Got, j.Want = check.Skip, "", ""
		j.Reason = fmt.Sprintf("marks before number %d were removed to keep the table short, so that it is not known whether mark %d was there: nobody with this record has verified for long", seen.Oldest, last.Number)
	}
	switch {
	case d.Accept == "":
	case seen.Written == Mark{}:
		j.Reason += "; it cannot be accepted without a new mark, and there is none: " + cmp.Or(seen.Problem, "see data-02")
	default:
		accepted := Restore{At: at, Reason: d.Accept, Lost: last, Since: d.Line.At}
		j.Outcome, j.Hint = check.Warn, ""
		j.Reason += "; you accept it: " + d.Accept
		j.Next = &Line{Last: seen.Written, At: at, Restores: append(slices.Clone(d.Line.Restores), accepted)}
	}
	return j
}

// short is enough of a mark to tell it from others.
func short(m Mark) string { return fmt.Sprintf("%d (%.8s)", m.Number, m.Digest) }

// String says what was accepted, as each later result does.
func (r Restore) String() string {
	return fmt.Sprintf("On %s the database lacked the mark of %s, and that was accepted: %s. What was done in between may be lost or changed.",
		r.At.UTC().Format(time.RFC3339), r.Since.UTC().Format(time.RFC3339), check.Said(r.Reason))
}

// maxReason bounds the words of a reason, in bytes.
const maxReason = 300

// ParseReason reads the reason of an accepted restore: one line that says something.
func ParseReason(text string) (string, error) {
	if said := check.Said(text); text == "" || said != text || len(text) > maxReason {
		return "", fmt.Errorf("got %d bytes, want 1 to %d that can be printed, on one line", len(text), maxReason)
	}
	return text, nil
}
