package change

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

// PlanKind is the kind of a session plan.
const PlanKind = "confidb.session-plan/v1"

// Plan is an update that is written down, so that somebody else can look at it and sign
// it. What it means is worked out by whoever reads it.
type Plan struct {
	// CAS is the address of the CAS that was asked.
	CAS string
	// From is the version that CAS had, and To the document that replaces it, with the
	// predecessor in it. The text of To is what is signed and uploaded.
	From Version
	To   *session.Session
	// AllowReissue lets the plan break what runs: it is meant so.
	AllowReissue bool
	Signatures   []Signature
	Change
}

// planFile is a plan as it is written.
type planFile struct {
	Kind         string      `json:"kind"`
	CAS          string      `json:"cas"`
	Name         string      `json:"name"`
	Predecessor  string      `json:"predecessor"`
	From         string      `json:"from"`
	To           string      `json:"to"`
	AllowReissue bool        `json:"allowReissue"`
	Signatures   []Signature `json:"signatures"`
}

// NewPlan writes an update down for the CAS at an address.
func NewPlan(cas string, u *Update, allowReissue bool) *Plan {
	return &Plan{CAS: cas, From: u.Held, To: u.To, AllowReissue: allowReissue, Change: u.Change}
}

// Name is that of the session.
func (p *Plan) Name() string { return p.To.Name }

// MarshalJSON writes the plan; ReadPlan reads it.
func (p *Plan) MarshalJSON() ([]byte, error) {
	return json.Marshal(planFile{
		PlanKind, p.CAS, p.Name(), p.From.Hash, p.From.Text(), string(p.To.Source()), p.AllowReissue, append([]Signature{}, p.Signatures...),
	})
}

// ReadPlan reads a plan, sees that it is one plan, and verifies its signatures. Nothing
// of what it says of itself is believed.
func ReadPlan(file string, text []byte) (*Plan, error) {
	p, err := readPlan(text)
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %s: %w", file, err)
	}
	return p, nil
}

func readPlan(text []byte) (*Plan, error) {
	var f planFile
	if err := decode(text, &f); err != nil {
		return nil, err
	}
	if f.Kind != PlanKind {
		return nil, fmt.Errorf("kind: got %q, want %q", f.Kind, PlanKind)
	}
	from, to, err := readTexts(f.From, f.To)
	if err != nil {
		return nil, err
	}
	switch {
	case from.Name != f.Name || to.Name != f.Name:
		return nil, fmt.Errorf("got the names %q, %q and %q, want one", f.Name, from.Name, to.Name)
	case f.Predecessor == "" || !strings.EqualFold(to.Predecessor, f.Predecessor):
		return nil, fmt.Errorf("predecessor: got %q in the new text, want %q", to.Predecessor, f.Predecessor)
	}
	for i, s := range f.Signatures {
		if err := s.verify(to.Source()); err != nil {
			return nil, fmt.Errorf("signatures[%d]: %w", i, err)
		}
	}
	return &Plan{f.CAS, Version{f.Predecessor, from}, to, f.AllowReissue, f.Signatures, New(from, to)}, nil
}

// readTexts parses what a plan replaces, and by what.
func readTexts(fromText, toText string) (from, to *session.Session, err error) {
	if from, err = session.Parse("from", []byte(fromText)); err != nil {
		return nil, nil, err
	}
	to, err = session.Parse("to", []byte(toText))
	return from, to, err
}

// decode reads one JSON document and nothing after it. A member that is not known may
// mean something to whoever wrote it, so it is an error.
func decode(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("got more than one document")
	}
	return nil
}

// Signers counts the different keys that signed, however they are written down. A foreign
// signature counts, since nothing can be signed for SCONE's own program otherwise; Signed
// says how many there are, and CAS verifies each.
func (p *Plan) Signers() int {
	keys := map[string]bool{}
	for _, s := range p.Signatures {
		if key, err := s.key(); err == nil {
			keys[key] = true
		}
	}
	return len(keys)
}

// Unchecked counts the signatures that are over a message that cannot be made here: only
// CAS can tell whether those match.
func (p *Plan) Unchecked() int {
	n := 0
	for _, s := range p.Signatures {
		if s.Foreign {
			n++
		}
	}
	return n
}

// Signed says how many signatures there are, and how many of them are unchecked.
func (p *Plan) Signed() string {
	said := fmt.Sprintf("%d signatures", len(p.Signatures))
	if len(p.Signatures) == 1 {
		said = "1 signature"
	}
	if n := p.Unchecked(); n > 0 {
		said += fmt.Sprintf(", of which %d cannot be checked here: CAS does", n)
	}
	return said
}

// Sign adds a signature with a private key in PEM (PKCS#8), over the text of the new
// session or over a message that SCONE's program made; nil means the text.
func (p *Plan) Sign(random io.Reader, key, message []byte) error {
	foreign := message != nil
	if !foreign {
		message = p.To.Source()
	}
	s, err := Sign(random, key, message)
	if err != nil {
		return err
	}
	s.Foreign = foreign
	p.Add(s)
	return nil
}

// Add adds a signature, in place of an earlier one by the same key.
func (p *Plan) Add(s Signature) {
	p.Signatures = slices.DeleteFunc(p.Signatures, s.sameSigner)
	p.Signatures = append(p.Signatures, s)
}

// Refuse is an error if fewer different keys than signers have signed, or if the plan
// breaks what runs and does not say that it may. Who must sign is also said by the
// session that CAS has, in access_policy.update, and CAS enforces it.
func (p *Plan) Refuse(signers int) error {
	if got := p.Signers(); got < signers {
		return &SignersError{got, signers}
	}
	if p.AllowReissue {
		return nil
	}
	return p.refuse()
}

// For is an error unless the plan is for the CAS at an address.
func (p *Plan) For(address string) error {
	if address != p.CAS {
		return fmt.Errorf("the plan is for the CAS %s, got %s", p.CAS, address)
	}
	return nil
}

// Judge holds the plan against what CAS has. done means that the plan was carried out
// before. The error is a *MovedError if CAS has another version than the one that the
// plan replaces.
func (p *Plan) Judge(held Version) (done bool, err error) {
	switch {
	case session.Equal(held.Session, p.To) && p.From.Is(held.Session.Predecessor):
		return true, nil
	case !held.Is(p.From.Hash) || held.Text() != p.From.Text():
		return false, p.Moved()
	}
	return false, nil
}

// Moved is what is wrong when CAS has another version than the one that the plan
// replaces.
func (p *Plan) Moved() error { return &MovedError{p.Name(), "{session plan}"} }

// SignersError means that too few keys have signed a plan.
type SignersError struct{ Got, Want int }

func (e *SignersError) Error() string {
	keys := "keys"
	if e.Got == 1 {
		keys = "key"
	}
	return fmt.Sprintf("the plan has the signatures of %d %s, want at least %d", e.Got, keys, e.Want)
}

// Hint says how to sign.
func (e *SignersError) Hint() string { return "{session sign PLAN --key KEY.pem}" }
