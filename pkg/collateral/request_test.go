package collateral_test

import (
	"crypto/x509"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/collateral"
	"github.com/confidb/confidb/pkg/sgx"
)

func serialOf(der []byte) (*big.Int, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return c.SerialNumber, nil
}

func TestRequestCheck(t *testing.T) {
	for want, r := range map[string]collateral.Request{
		"":                             family,
		"CA: got \"root\", want":       {CA: "root"},
		"CA: got \"\", want platform":  {},
		"update: got \"late\"":         {CA: "platform", Update: "late"},
		"number: got -1":               {CA: "processor", EvaluationDataNumber: -1},
		"want one of them: an update ": {CA: "platform", Update: "early", EvaluationDataNumber: 17},
	} {
		err := r.Check()
		if (err == nil) != (want == "") {
			t.Errorf("%+v: got %v, want %q", r, err, want)
			continue
		}
		if err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", r, err, want)
		}
	}
	for _, r := range []collateral.Request{{CA: "processor", Update: "early"}, {CA: "platform", Update: "standard"}, {CA: "platform", EvaluationDataNumber: 1}} {
		if err := r.Check(); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func TestForFamilies(t *testing.T) {
	processor := collateral.Request{FMSPC: family.FMSPC, CA: "processor"}
	for ca, want := range map[string][]collateral.Request{"": {family, processor}, "platform": {family}, "other": {{FMSPC: family.FMSPC, CA: "other"}}} {
		got, err := collateral.ForFamilies([]string{"C0ffee000000"}, ca)
		if err != nil {
			t.Errorf("%q: %v", ca, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", ca, diff)
		}
	}
	for _, text := range []string{"", "c0ffee0000", "c0ffee00000000", "c0ffee00000g", " c0ffee000000"} {
		if got, err := collateral.ForFamilies([]string{"c0ffee000000", text}, ""); err == nil || got != nil {
			t.Errorf("%q: got %v and %v", text, got, err)
		}
	}
}

func TestChoose(t *testing.T) {
	processor := collateral.Request{FMSPC: family.FMSPC, CA: "processor"}
	given := []collateral.Request{processor, family, processor}
	got, err := collateral.Choose(given, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]collateral.Request{family, processor}, got); diff != "" {
		t.Error(diff)
	}
	if given[1] != family {
		t.Error("what was given has changed")
	}
	if family.Name() != name {
		t.Errorf("got %q, want %q", family.Name(), name)
	}
	for _, c := range []struct {
		update     string
		evaluation int
		good       bool
	}{{"early", 0, true}, {"", 17, true}, {"early", 17, false}, {"late", 0, false}, {"", -1, false}} {
		got, err := collateral.Choose(given, c.update, c.evaluation)
		if (err == nil) != c.good {
			t.Errorf("%+v: got %v", c, err)
		}
		for _, r := range got {
			if r.Update != c.update || r.EvaluationDataNumber != c.evaluation {
				t.Errorf("%+v: got %+v", c, r)
			}
		}
	}
	if got, err := collateral.Choose([]collateral.Request{{CA: "other"}}, "", 0); err == nil || got != nil {
		t.Errorf("got %v and %v", got, err)
	}
}

func TestRequestFor(t *testing.T) {
	i := newIntel(t)
	p, err := sgxmint.NewPlatform(i.Authority, now)
	if err != nil {
		t.Fatal(err)
	}
	quote, err := p.Quote(sgx.ReportBody{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := collateral.RequestFor(quote)
	if err != nil || got != family {
		t.Errorf("got %+v and %v, want %+v", got, err, family)
	}
	for title, text := range map[string][]byte{
		"nothing":          nil,
		"text":             []byte("hello"),
		"half of it":       quote[:len(quote)/2],
		"other data":       withCertificationType(t, quote, 3),
		"no certificate":   broken(quote),
		"another CA's one": foreign(t),
	} {
		got, err := collateral.RequestFor(text)
		if err == nil {
			t.Errorf("%s: got %+v", title, got)
		}
		if got != (collateral.Request{}) {
			t.Errorf("%s: got %+v beside an error", title, got)
		}
	}
	var refusal *sgx.Refusal
	if _, err := collateral.RequestFor(withCertificationType(t, quote, 3)); !errors.As(err, &refusal) || refusal.Code != sgx.QuoteWithoutPCK {
		t.Errorf("got %v, want %s", err, sgx.QuoteWithoutPCK)
	}
}

// withCertificationType changes the type of the certification data, which stands in
// front of the first certificate.
func withCertificationType(t *testing.T, quote []byte, kind byte) []byte {
	t.Helper()
	changed := append([]byte{}, quote...)
	at := strings.Index(string(changed), "-----BEGIN") - 6
	if at < 0 || changed[at] != sgx.PCKChain {
		t.Fatal("the quote has another form")
	}
	changed[at] = kind
	return changed
}

func broken(quote []byte) []byte {
	changed := append([]byte{}, quote...)
	changed[strings.Index(string(changed), "-----BEGIN")+40] ^= 1
	return changed
}

// foreign is a quote whose PCK certificate a CA of another name issued.
func foreign(t *testing.T) []byte {
	t.Helper()
	i := newIntel(t)
	ca, err := sgxmint.NewIssuer("Another CA", &i.Root, true, now)
	if err != nil {
		t.Fatal(err)
	}
	i.PCKCA = ca
	p, err := sgxmint.NewPlatform(i.Authority, now)
	if err != nil {
		t.Fatal(err)
	}
	quote, err := p.Quote(sgx.ReportBody{})
	if err != nil {
		t.Fatal(err)
	}
	return quote
}
