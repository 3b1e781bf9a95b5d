package collateral

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/confidb/confidb/pkg/sgx"
)

// CAs are the values of Request.CA.
func CAs() []string { return []string{"platform", "processor"} }

// Request says which collateral.
type Request struct {
	// FMSPC is the family of processors.
	FMSPC [6]byte
	// CA is one of CAs.
	CA string
	// Update is standard, early or empty, which is what the service takes as standard.
	Update string
	// EvaluationDataNumber asks for one evaluation of Intel's; zero is the one that
	// Update says. Only one of both may be given.
	EvaluationDataNumber int
}

// Check refuses values that no service understands.
func (r Request) Check() error {
	switch {
	case !slices.Contains(CAs(), r.CA):
		return fmt.Errorf("CA: got %.20q, want %s", r.CA, strings.Join(CAs(), " or "))
	case r.Update != "" && r.Update != "standard" && r.Update != "early":
		return fmt.Errorf("update: got %.20q, want standard or early", r.Update)
	case r.EvaluationDataNumber < 0:
		return fmt.Errorf("evaluation data number: got %d, want at least 1", r.EvaluationDataNumber)
	case r.Update != "" && r.EvaluationDataNumber != 0:
		return errors.New("got an update and an evaluation data number, want one of them: an update is a choice of the number")
	}
	return nil
}

// Name is the name of the bundle that is asked for, as sgx.Contents.Name.
func (r Request) Name() string {
	c := sgx.Contents{FMSPC: r.FMSPC, CA: r.CA}
	return c.Name()
}

// RequestFor reads which collateral the quote in a file needs, in any form that
// sgx.ReadQuote takes. Nothing is verified: it only
// chooses, and what does not fit is found when the quote is appraised.
func RequestFor(text []byte) (Request, error) {
	raw, _, err := sgx.ReadQuote(text)
	if err != nil {
		return Request{}, err
	}
	q, err := sgx.ParseQuote(raw)
	if err != nil {
		return Request{}, err
	}
	p, err := q.PCK()
	if err != nil {
		return Request{}, fmt.Errorf("%w; name its family of processors instead", err)
	}
	ca, ok := map[string]string{"Intel SGX PCK Platform CA": "platform", "Intel SGX PCK Processor CA": "processor"}[p.CA]
	if !ok {
		return Request{}, fmt.Errorf("the PCK certificate was issued by %.80q, want Intel's platform or processor CA", p.CA)
	}
	return Request{FMSPC: p.FMSPC, CA: ca}, nil
}

// ForFamilies asks for the collateral of families of processors, each written as 12
// hexadecimal digits, of one CA or, if that is empty, of each of CAs.
func ForFamilies(fmspcs []string, ca string) ([]Request, error) {
	cas := CAs()
	if ca != "" {
		cas = []string{ca}
	}
	var all []Request
	for _, text := range fmspcs {
		raw, err := hex.DecodeString(text)
		if err != nil || len(raw) != 6 {
			return nil, fmt.Errorf("got %.40q, want 12 hexadecimal digits", text)
		}
		for _, ca := range cas {
			all = append(all, Request{FMSPC: [6]byte(raw), CA: ca})
		}
	}
	return all, nil
}

// Choose makes requests ask for one evaluation of Intel's, orders them by their names, and
// leaves out those that come twice. One that no service understands is an error.
func Choose(all []Request, update string, evaluation int) ([]Request, error) {
	all = slices.Clone(all)
	for i := range all {
		all[i].Update, all[i].EvaluationDataNumber = update, evaluation
		if err := all[i].Check(); err != nil {
			return nil, err
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name() < all[j].Name() })
	return slices.Compact(all), nil
}
