package printers

import (
	"fmt"
	"strings"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
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
	for _, c := range d.Clients {
		p.Wrap(c.Client+": ", c.Who)
		p.Parts("  %s ", "in the namespace", c.Namespace)
		for _, a := range c.Accounts {
			p.account("  as the account ", a)
		}
		p.Gap()
	}
	if d.Changing {
		p.Wrap("", unfinished)
	}
	if len(d.Clients) > 0 {
		p.Wrap("", "Whatever is not named here shall be refused; kubectl confidb verify shows whether it is. kubectl confidb client show says all of one client.")
	}
}

const unfinished = "A change has not come to its end: run again whichever was interrupted, kubectl confidb client add, update or remove, or install."

// account says what a client may do under an account.
func (p *Page) account(label string, a topology.GuestAccount) {
	p.Wrap(label, check.Said(a.Name)+", with the certificate CN="+a.CommonName)
	for right := range strings.SplitSeq(a.Rights, "; ") {
		p.Wrap("    ", check.Said(right))
	}
	if len(a.Limits) > 0 {
		p.Wrap("    with ", strings.Join(a.Limits, ", "))
	}
}

// Client is all of one of the user's own, as it was promised.
type Client struct {
	Kind    string `json:"kind"`
	Release string `json:"release"`
	topology.Details
}

// NewClient makes the document of one client of a release.
func NewClient(r *topology.Release, d topology.Details) Client {
	return Client{"confidb.client/v1", r.Namespace + "/" + r.Name, d}
}

func (d Client) head() Head { return Head{Kind: d.Kind} }

// Text says who may be it, how it runs, what it gets, and what it may do.
func (d Client) Text(p *Page) {
	p.Wrap("", fmt.Sprintf("client %s of the release %s is %s", d.Client, d.Release, d.State))
	if d.State != topology.Admitted {
		p.Wrap("", unfinished)
	}
	signer, measured, machines := "", d.Settings.String(), "those of the release, also later ones; now "
	if s := d.Signer; s != nil {
		signer = fmt.Sprintf("%s, product %d, version %d or later", s.MRSIGNER, s.ISVProdID, s.MinISVSVN)
	}
	if len(d.MRENCLAVEs) == 0 {
		measured = "" // a signer's programs have any settings
	}
	if d.Own {
		machines = ""
	}
	p.Section("Who may be it:")
	p.Parts("  %-9s  ", "enclave", spaced(d.MRENCLAVEs, sgx.Measurement.String), "signer", signer, "measured", measured, "machines", machines+spaced(d.Platforms, attest.PlatformID.String))
	p.Section("How it runs:")
	p.Parts("  %-9s  ", "namespace", known(d.Namespace), "session", d.Session, "config ID", d.ConfigID, "CAS", d.CAS, "program", strings.Join(d.Command, " "),
		"folder", d.Directory, "variables", strings.Join(d.Environment, ", "), "from host", strings.Join(d.FromHost, ", "))
	p.Section("Files that CAS gives it:")
	width := 0
	for _, f := range d.Files {
		width = max(width, len(f.Path))
	}
	for _, f := range d.Files {
		of := string(f.Form)
		if f.Account != "" {
			of += " of the account " + check.Said(f.Account)
		}
		p.Wrap(fmt.Sprintf("  %-*s  ", width, check.Printable(f.Path)), of)
	}
	p.Section("What it may do:")
	for _, a := range d.Accounts {
		p.account("  as the account ", a)
	}
}

// spaced is joined with what a line can be broken at.
func spaced[T any](all []T, word func(T) string) string {
	return strings.ReplaceAll(joined(all, word), ",", ", ")
}

// Accounts is an accounts document that was read. Nothing in it is simulated or not.
type Accounts struct {
	Kind string `json:"kind"`
	File string `json:"file"`
	accounts.Listing
}

// NewAccounts makes the document of an accounts document that was read from a file.
func NewAccounts(file string, d *accounts.Document) Accounts {
	return Accounts{"confidb.accounts-check/v1", file, d.Listing()}
}

func (d Accounts) head() Head { return Head{Kind: d.Kind} }

// Text says who may do what.
func (d Accounts) Text(p *Page) {
	p.Wrap("", d.File+" is a valid "+accounts.Kind+".")
	p.Section("Databases", d.Databases...)
	for _, a := range d.Accounts {
		p.Gap()
		p.Wrap("", "Account "+check.Said(a.Name)+" of client "+a.Client)
		for _, line := range append(strings.Split(a.Rights, "; "), a.Limits...) {
			p.Wrap("  ", line)
		}
	}
}
