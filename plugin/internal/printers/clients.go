package printers

import (
	"strings"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/topology"
)

// Clients are the user's own that a release admits, as it was promised. That they and nobody
// else come in is what verify shows.
type Clients struct {
	Kind    string `json:"kind"`
	Release string `json:"release"`
	// Changing means that a change has not come to its end.
	Changing bool             `json:"changing"`
	Clients  []topology.Guest `json:"clients"`
}

// NewClients makes the document of the clients of a release.
func NewClients(r *topology.Release, guests []topology.Guest) Clients {
	return Clients{"confidb.clients/v1", r.Namespace + "/" + r.Name, r.Changing != nil, append([]topology.Guest{}, guests...)}
}

func (d Clients) head() Head { return Head{Kind: d.Kind} }

// Text reads like a list of guests.
func (d Clients) Text(p *Page) {
	if len(d.Clients) == 0 {
		p.Line("release %s admits no client of yours", d.Release)
	}
	for i, c := range d.Clients {
		if i > 0 {
			p.Gap()
		}
		p.Line("%s: %s", c.Client, c.Who)
		for _, a := range c.Accounts {
			limits := ""
			if len(a.Limits) > 0 {
				limits = ", with " + strings.Join(a.Limits, ", ")
			}
			p.Line("  as %s, with the certificate CN=%s%s", check.Said(a.Name), a.CommonName, limits)
			for right := range strings.SplitSeq(a.Rights, "; ") {
				p.Line("    %s", check.Said(right))
			}
		}
	}
	if d.Changing {
		p.Gap()
		p.Line("A change has not come to its end: run the command that began it again.")
	}
}

// Accounts is an accounts document that was read. Nothing in it is simulated or not.
type Accounts struct {
	Kind      string            `json:"kind"`
	File      string            `json:"file"`
	Databases []string          `json:"databases"`
	Accounts  []DocumentAccount `json:"accounts"`
}

// DocumentAccount is an account in words.
type DocumentAccount struct {
	Name   string   `json:"name"`
	Client string   `json:"client"`
	Rights string   `json:"rights"`
	Limits []string `json:"limits"`
}

// NewAccounts makes the document of an accounts document that was read from a file.
func NewAccounts(file string, d *accounts.Document) Accounts {
	a := Accounts{Kind: "confidb.accounts-check/v1", File: file, Databases: []string{}, Accounts: []DocumentAccount{}}
	for _, one := range d.Databases {
		a.Databases = append(a.Databases, one.Name)
	}
	for _, one := range d.Accounts {
		a.Accounts = append(a.Accounts, DocumentAccount{one.Name, one.Client, accounts.Said(one.Rights), append([]string{}, one.Limits...)})
	}
	return a
}

func (d Accounts) head() Head { return Head{Kind: d.Kind} }

// Text says who may do what.
func (d Accounts) Text(p *Page) {
	p.Line("%s is a valid %s.", d.File, accounts.Kind)
	p.Section("Databases", d.Databases...)
	for _, a := range d.Accounts {
		p.Section("Account "+check.Said(a.Name)+" of client "+a.Client, append(strings.Split(a.Rights, "; "), a.Limits...)...)
	}
}
