package printers

import (
	"fmt"
	"strings"

	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/diff"
	"github.com/confidb/confidb/pkg/rollout"
)

// SessionChange says what replacing a session by another does.
type SessionChange struct {
	Head
	From string `json:"from"`
	To   string `json:"to"`
	change.Change
}

// Text writes who gains and loses what, then what happens to secrets, and the verdict.
func (d SessionChange) Text(p *Page) {
	for _, kind := range []diff.Kind{diff.Gain, diff.Loss, diff.Other} {
		for _, c := range d.Changes {
			if c.Kind == kind {
				p.Wrap(fmt.Sprintf("%-9s ", kind), c.Who+" "+c.What)
			}
		}
	}
	kept := 0
	for _, e := range d.Effects {
		if e.Fate == diff.Kept {
			kept++
			continue
		}
		label := string(e.Fate)
		if e.Breaks {
			label = "BREAKS"
		}
		p.Wrap(fmt.Sprintf("%-9s ", label), e.Secret+": "+e.Why+users(e))
	}
	p.Line("%s kept", Count(kept, "secret"))
	p.Gap()
	p.Line("%s: %s", d.To, d.Verdict)
}

// SessionSets says what replacing the sessions of one set by those of another does.
type SessionSets struct {
	Head
	From string `json:"from"`
	To   string `json:"to"`
	change.Sets
}

// Document is what is printed: of one session that replaces one, that change alone.
func (d SessionSets) Document() Document {
	if len(d.Sessions) == 1 && len(d.Added)+len(d.Missing) == 0 {
		d.Kind = "confidb.session-diff/v1"
		return SessionChange{Head: d.Head, From: d.From, To: d.To, Change: d.Sessions[0].Change}
	}
	d.Kind = "confidb.session-set-diff/v1"
	return d
}

// Text writes what changes in each session, and which are in one of the sets only.
func (d SessionSets) Text(p *Page) {
	for _, s := range d.Sessions {
		SessionChange{To: "session " + s.Name, Change: s.Change}.Text(p)
		p.Gap()
	}
	for _, name := range d.Added {
		p.Wrap(fmt.Sprintf("%-9s ", diff.Gain), "session "+name+" is added")
	}
	for _, name := range d.Missing {
		p.Wrap(fmt.Sprintf("%-9s ", diff.Other), "session "+name+" is missing: CAS keeps it as it is")
	}
	p.Gap()
	p.Line("%s: %s", d.To, d.Verdict)
}

func users(e diff.Effect) string {
	if len(e.Hit) == 0 {
		return "; nobody uses it"
	}
	return "; used by " + strings.Join(e.Hit, ", ")
}

// Session is a session as CAS holds it, for programs: people get its text alone.
type Session struct {
	Head
	Name string `json:"name"`
	Hash string `json:"hash"`
	// Source is the text of the document.
	Source string `json:"session"`
}

// Text writes the document.
func (d Session) Text(p *Page) {
	for line := range strings.Lines(d.Source) {
		p.Line("%s", strings.TrimSuffix(line, "\n"))
	}
}

// SessionHistory lists the versions of a session, newest first.
type SessionHistory struct {
	Head
	Name     string         `json:"name"`
	Versions []rollout.Past `json:"versions"`
}

// Text writes the hash of each version, and what it changed.
func (d SessionHistory) Text(p *Page) {
	for _, v := range d.Versions {
		verdict := string(v.Verdict)
		switch {
		case v.Predecessor == "":
			verdict = "first version"
		case v.Verdict == "":
			verdict = "older versions are not listed"
		}
		p.Line("%s  %s", v.Hash, verdict)
		for _, c := range v.Changes {
			p.Wrap(fmt.Sprintf("  %-6s ", c.Kind), c.Who+" "+c.What)
		}
	}
}

// PlatformsPlan is a plan for the machines that sessions admit, and what it changes.
type PlatformsPlan struct {
	Head
	change.WrittenPlan
	// Changes are by the name of the session.
	Changes map[string]diff.Diff `json:"changes"`

	texts []SessionChange
}

// NewPlatformsPlan returns the document of a plan.
func NewPlatformsPlan(p *change.PlatformsPlan, simulated bool) PlatformsPlan {
	d := PlatformsPlan{Head: Head{change.PlatformsPlanKind, simulated}, WrittenPlan: p.Written(), Changes: map[string]diff.Diff{}}
	for _, s := range p.Sessions {
		d.Changes[s.Name()] = s.Diff
		d.texts = append(d.texts, SessionChange{To: s.Name(), Change: s.Change})
	}
	return d
}

// Text writes what changes in each session.
func (d PlatformsPlan) Text(p *Page) {
	for _, s := range d.texts {
		s.Text(p)
		p.Gap()
	}
}
