package collateral_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/collateral"
	"github.com/confidb/confidb/pkg/sgx"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// family is that of every minted platform.
var family = collateral.Request{FMSPC: [6]byte{0xc0, 0xff, 0xee}, CA: "platform"}

const name = "c0ffee000000-platform"

// intel issues collateral.
type intel struct {
	*sgxmint.Authority
	t *testing.T
}

func newIntel(t *testing.T) intel {
	t.Helper()
	a, err := sgxmint.NewAuthority(now.Add(-60 * day))
	if err != nil {
		t.Fatal(err)
	}
	return intel{a, t}
}

func (i intel) options() sgx.Options {
	i.t.Helper()
	roots, err := sgx.RootFromPEM(i.RootPEM())
	if err != nil {
		i.t.Fatal(err)
	}
	return sgx.Options{Time: now, Roots: roots}
}

// files are those of one day, with the chain of the PCK CA.
func (i intel) files(day time.Time) map[string][]byte {
	i.t.Helper()
	all, err := i.CollateralFiles(day)
	if err != nil {
		i.t.Fatal(err)
	}
	all["pckSignChain.pem"] = slices.Concat(i.PCKCA.PEM(), i.RootPEM())
	return all
}

// collateral is that of one day, after changes to its files.
func (i intel) collateral(day time.Time, changes ...func(map[string][]byte)) *sgx.Collateral {
	i.t.Helper()
	all := i.files(day)
	for _, change := range changes {
		change(all)
	}
	set, err := sgx.CollateralFromFiles(all)
	if err != nil {
		i.t.Fatal(err)
	}
	return set[0]
}

func (i intel) bundle(day time.Time, changes ...func(map[string][]byte)) []byte {
	i.t.Helper()
	text, err := i.collateral(day, changes...).Bundle()
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}

// with signs a document again with another value.
func (i intel) with(file, member, key string, value any) func(map[string][]byte) {
	return func(all map[string][]byte) {
		i.t.Helper()
		var wrapper map[string]json.RawMessage
		var body map[string]any
		if err := json.Unmarshal(all[file], &wrapper); err != nil {
			i.t.Fatal(err)
		}
		if err := json.Unmarshal(wrapper[member], &body); err != nil {
			i.t.Fatal(err)
		}
		body[key] = value
		text, err := json.Marshal(body)
		if err != nil {
			i.t.Fatal(err)
		}
		if all[file], err = i.Sign(member, text); err != nil {
			i.t.Fatal(err)
		}
	}
}

func (i intel) tcbInfo(key string, value any) func(map[string][]byte) {
	return i.with("tcbInfo.json", "tcbInfo", key, value)
}

func (i intel) identity(key string, value any) func(map[string][]byte) {
	return i.with("qeIdentity.json", "enclaveIdentity", key, value)
}

// of takes one file from another day.
func (i intel) of(file string, day time.Time) func(map[string][]byte) {
	return func(all map[string][]byte) { all[file] = i.files(day)[file] }
}

// fixed serves always the same.
type fixed struct {
	served *sgx.Collateral
	err    error
	asked  int
}

func (f *fixed) Fetch(context.Context, collateral.Request) (*sgx.Collateral, error) {
	f.asked++
	return f.served, f.err
}

// folder is one in memory.
type folder struct {
	bundles     map[string][]byte
	read, write error
	written     int
}

func (f *folder) File(name string) string { return "to/" + name + ".json" }

func (f *folder) Read(name string) ([]byte, bool, error) {
	text, ok := f.bundles[name]
	return text, ok, f.read
}

func (f *folder) Replace(name string, text []byte) error {
	if f.write != nil {
		return f.write
	}
	f.written++
	f.bundles[name] = text
	return nil
}

func holding(text []byte) *folder {
	f := &folder{bundles: map[string][]byte{}}
	if text != nil {
		f.bundles[name] = text
	}
	return f
}

// wantRefusal checks that nothing was written, and what is said.
func wantRefusal(t *testing.T, err error, f *folder, text, hint string) {
	t.Helper()
	if f.written > 0 {
		t.Error("it was written")
	}
	var refused *collateral.Error
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want an *Error", err)
	}
	if refused.File != "to/"+name+".json" {
		t.Errorf("got the file %q", refused.File)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("got %q, want %q", err, text)
	}
	if !strings.Contains(refused.Hint(), hint) {
		t.Errorf("got the hint %q, want %q", refused.Hint(), hint)
	}
	if errors.Unwrap(refused) == nil {
		t.Error("nothing is inside of the error")
	}
}

func TestRefreshWritesWhatIsGood(t *testing.T) {
	i := newIntel(t)
	old := i.bundle(now.Add(-10 * day))
	for title, c := range map[string]struct {
		had     []byte
		changes []func(map[string][]byte)
		wanted  collateral.Request
	}{
		"the first":           {nil, nil, family},
		"a newer one":         {old, nil, family},
		"the same once more":  {i.bundle(now.Add(-day)), nil, family},
		"of a later number":   {old, []func(map[string][]byte){i.tcbInfo("tcbEvaluationDataNumber", 17), i.identity("tcbEvaluationDataNumber", 17)}, family},
		"in place of expired": {i.bundle(now.Add(-40 * day)), nil, family},
		"of the number that is wanted": {old, []func(map[string][]byte){i.tcbInfo("tcbEvaluationDataNumber", 17), i.identity("tcbEvaluationDataNumber", 17)},
			collateral.Request{FMSPC: family.FMSPC, CA: "platform", EvaluationDataNumber: 17}},
	} {
		t.Run(title, func(t *testing.T) {
			f := holding(c.had)
			origin := &fixed{served: i.collateral(now.Add(-day), c.changes...)}
			got, err := collateral.Refresh{Origin: origin, Folder: f, Options: i.options()}.One(t.Context(), c.wanted)
			if err != nil {
				t.Fatal(err)
			}
			if got.Done != collateral.Written {
				t.Errorf("got %q, want it written", got.Done)
			}
			if f.written != 1 {
				t.Errorf("written %d times", f.written)
			}
			if got.Findings().Verdict() != check.Affirming {
				t.Errorf("got the verdict %s", got.Findings().Verdict())
			}
			if again := collateral.Parse("x", f.bundles[name], i.options()); again.Contents.Name() != name {
				t.Errorf("wrote %q: %v", again.Contents.Name(), again.Err)
			}
		})
	}
}

// No part goes back, whatever the others do.
func TestRefreshNeverGoesBack(t *testing.T) {
	i := newIntel(t)
	number := func(n int) []func(map[string][]byte) {
		return []func(map[string][]byte){i.tcbInfo("tcbEvaluationDataNumber", n), i.identity("tcbEvaluationDataNumber", n)}
	}
	had := i.bundle(now.Add(-5*day), number(17)...)
	date := now.Add(-6 * day).Format(time.RFC3339)
	for title, c := range map[string]struct {
		changes []func(map[string][]byte)
		want    string
	}{
		"both numbers":        {number(16), "the evaluation number of the TCB info is 16, want at least 17"},
		"the TCB info's":      {append(number(17), i.tcbInfo("tcbEvaluationDataNumber", 16)), "of the TCB info is 16"},
		"the QE identity's":   {append(number(17), i.identity("tcbEvaluationDataNumber", 16)), "of the QE identity is 16"},
		"an older TCB info":   {append(number(18), i.tcbInfo("issueDate", date)), "tcb-info was issued on "},
		"an older identity":   {append(number(18), i.identity("issueDate", date)), "qe-identity was issued on "},
		"an older PCK list":   {append(number(18), i.of("pckCaCrl.der", now.Add(-6*day))), "pck-crl was issued on "},
		"an older root list":  {append(number(18), i.of("rootCaCrl.der", now.Add(-6*day))), "root-crl was issued on "},
		"a second, no longer": {append(number(17), i.tcbInfo("issueDate", now.Add(-5*day-time.Second).Format(time.RFC3339))), "tcb-info was issued on "},
	} {
		t.Run(title, func(t *testing.T) {
			f := holding(had)
			_, err := collateral.Refresh{Origin: &fixed{served: i.collateral(now, c.changes...)}, Folder: f, Options: i.options()}.One(t.Context(), family)
			wantRefusal(t, err, f, "going back is refused: ", "to go back on purpose")
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want %q", err, c.want)
			}
			if string(f.bundles[name]) != string(had) {
				t.Error("the bundle was changed")
			}
		})
	}
}

func TestRefreshRefusesWhatIsServed(t *testing.T) {
	i, other := newIntel(t), newIntel(t)
	flip := func(file string) func(map[string][]byte) {
		return func(all map[string][]byte) { all[file][len(all[file])-1] ^= 1 }
	}
	drop := func(file string) func(map[string][]byte) { return func(all map[string][]byte) { delete(all, file) } }
	for title, c := range map[string]struct {
		served *sgx.Collateral
		wanted collateral.Request
		want   string
	}{
		"another root":      {other.collateral(now), family, "what is served is not used: root-untrusted"},
		"a forged list":     {i.collateral(now, flip("pckCaCrl.der")), family, "what is served is not used: pck-crl-invalid"},
		"no list":           {i.collateral(now, drop("pckCaCrl.der")), family, "no-pck-crl"},
		"no TCB info":       {i.collateral(now, drop("tcbInfo.json")), family, "no-tcb-info"},
		"no chain":          {i.collateral(now, drop("pckSignChain.pem")), family, "no-pck-crl"},
		"expired":           {i.collateral(now.Add(-31 * day)), family, "tcb-info-expired"},
		"of tomorrow":       {i.collateral(now.Add(day)), family, "tcb-info-not-yet-valid"},
		"another family":    {i.collateral(now, i.tcbInfo("fmspc", "c0ffee000001")), family, "is for FMSPC c0ffee000001 and the platform CA, want c0ffee000000 and platform"},
		"another CA":        {i.collateral(now), collateral.Request{FMSPC: family.FMSPC, CA: "processor"}, "and the platform CA, want c0ffee000000 and processor"},
		"another number":    {i.collateral(now), collateral.Request{FMSPC: family.FMSPC, CA: "platform", EvaluationDataNumber: 17}, "has the evaluation numbers 1 (TCB info) and 1 (QE identity), want 17"},
		"one other number":  {i.collateral(now, i.tcbInfo("tcbEvaluationDataNumber", 17)), collateral.Request{FMSPC: family.FMSPC, CA: "platform", EvaluationDataNumber: 17}, "17 (TCB info) and 1 (QE identity), want 17"},
		"no signed wrapper": {&sgx.Collateral{TCBInfo: []byte("{}")}, family, "what is served is not used: "},
	} {
		t.Run(title, func(t *testing.T) {
			f := holding(nil)
			_, err := collateral.Refresh{Origin: &fixed{served: c.served}, Folder: f, Options: i.options()}.One(t.Context(), c.wanted)
			if f.written > 0 {
				t.Error("it was written")
			}
			var refused *collateral.Error
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want %q", err, c.want)
			}
			if !strings.HasPrefix(refused.Hint(), "Fetch again later") {
				t.Errorf("got the hint %q", refused.Hint())
			}
		})
	}
}

// A revoked signer is refused although everything is signed and current.
func TestRefreshRefusesARevokedSigner(t *testing.T) {
	i := newIntel(t)
	block, _ := pem.Decode(i.TCBSigner.PEM())
	serial, err := serialOf(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	i.Revoked = []*big.Int{serial}
	f := holding(nil)
	_, err = collateral.Refresh{Origin: &fixed{served: i.collateral(now)}, Folder: f, Options: i.options()}.One(t.Context(), family)
	wantRefusal(t, err, f, "tcb-signer-revoked", "Fetch again later")
}

// What is there is looked at before it is replaced.
func TestRefreshLooksAtWhatIsThere(t *testing.T) {
	i, other := newIntel(t), newIntel(t)
	for want, had := range map[string][]byte{
		"collateral-unreadable: ":                     []byte("{"),
		"collateral-unreadable: EOF":                  {},
		"root-untrusted: ":                            other.bundle(now),
		"got FMSPC c0ffee000001 and CA \"platform\"":  i.bundle(now, i.tcbInfo("fmspc", "c0ffee000001")),
		"and CA \"\", want c0ffee000000 and \"platfo": i.bundle(now, func(all map[string][]byte) { delete(all, "pckSignChain.pem") }),
	} {
		f, origin := holding(nil), &fixed{served: i.collateral(now)}
		f.bundles[name] = had
		_, err := collateral.Refresh{Origin: origin, Folder: f, Options: i.options()}.One(t.Context(), family)
		wantRefusal(t, err, f, "the bundle that is there cannot be used: ", "Move it away")
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q", err, want)
		}
		if origin.asked > 0 {
			t.Error("it was fetched all the same")
		}
	}
}

func TestRefreshKeepsWhatIsYoung(t *testing.T) {
	i := newIntel(t)
	early := collateral.Request{FMSPC: family.FMSPC, CA: "platform", Update: "early"}
	standard := collateral.Request{FMSPC: family.FMSPC, CA: "platform", Update: "standard"}
	numbered := collateral.Request{FMSPC: family.FMSPC, CA: "platform", EvaluationDataNumber: 1}
	another := collateral.Request{FMSPC: family.FMSPC, CA: "platform", EvaluationDataNumber: 2}
	for title, c := range map[string]struct {
		had    []byte
		keep   time.Duration
		wanted collateral.Request
		kept   bool
	}{
		"young":                     {i.bundle(now.Add(-6 * day)), 7 * day, family, true},
		"just young":                {i.bundle(now.Add(-7 * day)), 7 * day, family, true},
		"too old":                   {i.bundle(now.Add(-7*day - time.Second)), 7 * day, family, false},
		"to be fetched always":      {i.bundle(now), 0, family, false},
		"an age below zero":         {i.bundle(now), -day, family, false},
		"the standard update":       {i.bundle(now), 7 * day, standard, true},
		"the early update":          {i.bundle(now), 7 * day, early, false},
		"of this number":            {i.bundle(now), 7 * day, numbered, true},
		"of another number":         {i.bundle(now), 7 * day, another, false},
		"expired":                   {i.bundle(now.Add(-31 * day)), 90 * day, family, false},
		"with a part that is older": {i.bundle(now, i.identity("issueDate", now.Add(-8*day).Format(time.RFC3339))), 7 * day, family, false},
	} {
		t.Run(title, func(t *testing.T) {
			f, origin := holding(c.had), &fixed{err: errors.New("nothing is served")}
			got, err := collateral.Refresh{Origin: origin, Folder: f, Options: i.options(), Keep: c.keep}.One(t.Context(), c.wanted)
			if kept := err == nil && origin.asked == 0; kept != c.kept {
				t.Errorf("kept %v (%v), want %v", kept, err, c.kept)
			}
			if c.kept && got.Done != collateral.Kept {
				t.Errorf("got %q", got.Done)
			}
			if f.written > 0 {
				t.Error("it was written")
			}
		})
	}
}

// Grace makes old collateral usable, and so worth writing, and nothing else.
func TestRefreshWithGrace(t *testing.T) {
	i := newIntel(t)
	o := i.options()
	o.Grace = 10 * day
	f := holding(nil)
	got, err := collateral.Refresh{Origin: &fixed{served: i.collateral(now.Add(-31 * day))}, Folder: f, Options: o}.One(t.Context(), family)
	if err != nil {
		t.Fatal(err)
	}
	if v := got.Findings().Verdict(); v != check.Warning {
		t.Errorf("got %s, want a warning", v)
	}
}

// What cannot be fetched or written is an error that names the bundle, and the others
// are written.
func TestRefreshAll(t *testing.T) {
	i := newIntel(t)
	broken := errors.New("it broke")
	processor := collateral.Request{FMSPC: family.FMSPC, CA: "processor"}
	origin, f := &fixed{served: i.collateral(now)}, holding(nil)
	r := collateral.Refresh{Origin: origin, Folder: f, Options: i.options()}
	all, err := r.All(t.Context(), []collateral.Request{processor, family})
	if err == nil || !strings.Contains(err.Error(), "to/c0ffee000000-processor.json: what is served is for") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{"to/" + name + ".json"}, collateral.Names(all)); diff != "" {
		t.Error(diff)
	}
	for want, change := range map[string]func(){
		"to/" + name + ".json: it broke":                   func() { r.Origin = &fixed{err: broken} },
		"writing to/" + name + ".json: it broke":           func() { r.Folder = &folder{bundles: map[string][]byte{}, write: broken} },
		"reading the bundle that is there: it broke":       func() { r.Folder = &folder{bundles: map[string][]byte{}, read: broken} },
		"to/" + name + ".json: what is served is not used": func() { r.Origin = &fixed{served: &sgx.Collateral{TCBInfo: []byte("x")}} },
	} {
		r = collateral.Refresh{Origin: &fixed{served: i.collateral(now)}, Folder: holding(nil), Options: i.options()}
		change()
		all, err := r.All(t.Context(), []collateral.Request{family})
		if len(all) > 0 {
			t.Errorf("%s: got %v", want, all)
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestParseFolder(t *testing.T) {
	i := newIntel(t)
	files := i.files(now)
	delete(files, "trustedRootCaCert.pem")
	files["b.json"], files["a.json"] = []byte("{"), i.bundle(now)
	all := collateral.ParseFolder("dir", files, i.options())
	if diff := cmp.Diff([]string{"dir", "dir/a.json", "dir/b.json"}, collateral.Names(all)); diff != "" {
		t.Fatal(diff)
	}
	for n, want := range []check.Verdict{check.Affirming, check.Affirming, check.Contraindicated} {
		if got := all[n].Findings().Verdict(); got != want {
			t.Errorf("%s: got %s, want %s", all[n].File, got, want)
		}
	}
	none := collateral.ParseFolder("dir", nil, i.options())
	if len(none) != 1 || none[0].Err == nil {
		t.Errorf("an empty folder: got %+v", none)
	}
	if _, err := collateral.Carried(none).Requests(); err == nil || !strings.Contains(err.Error(), "tcbInfo.json") {
		t.Errorf("got %v, want the names that there could be", err)
	}
}

// Forged collateral is a finding with the code, and nothing of it counts.
func TestFindings(t *testing.T) {
	i, other := newIntel(t), newIntel(t)
	for code, text := range map[sgx.Code][]byte{
		sgx.RootUntrusted:        other.bundle(now),
		sgx.CollateralUnreadable: []byte("{"),
	} {
		b := collateral.Parse("x", text, i.options())
		findings := b.Findings()
		if len(findings) != 1 || findings[0].ID != string(code) || findings[0].Outcome != check.Fail {
			t.Fatalf("%s: got %+v", code, findings)
		}
		if findings[0].Hint == "" || findings[0].Reason == "" {
			t.Errorf("%s: no hint or no reason", code)
		}
		if b.Problems() == nil {
			t.Errorf("%s: no problem", code)
		}
	}
	if got := (collateral.Bundle{Err: errors.New("x")}).Findings()[0].ID; got != string(sgx.CollateralUnreadable) {
		t.Errorf("an error of no code: got %s", got)
	}
	if got := (collateral.Bundle{}).Problems(); got == nil {
		t.Error("a bundle that nobody looked at has no problems")
	}
}

func TestExportable(t *testing.T) {
	i, other := newIntel(t), newIntel(t)
	for title, c := range map[string]struct {
		text []byte
		want string
	}{
		"good":          {i.bundle(now), ""},
		"without chain": {i.bundle(now, func(all map[string][]byte) { delete(all, "pckSignChain.pem") }), ""},
		"expired":       {i.bundle(now.Add(-31 * day)), "it is not exported: tcb-info-expired"},
		"another root":  {other.bundle(now), "it is not exported: root-untrusted"},
		"unreadable":    {[]byte("{"), "it is not exported: collateral-unreadable"},
	} {
		err := collateral.Parse("x.json", c.text, i.options()).Exportable()
		if (err == nil) != (c.want == "") {
			t.Errorf("%s: got %v, want %q", title, err, c.want)
			continue
		}
		if err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", title, err, c.want)
		}
	}
}

func TestCarried(t *testing.T) {
	i := newIntel(t)
	good := collateral.Parse("good", i.bundle(now), i.options())
	all := collateral.Carried{collateral.Parse("bad", []byte("{"), i.options()), good}
	c, err := all.Fetch(t.Context(), family)
	if err != nil || c != good.Collateral {
		t.Errorf("got %v and %v", c, err)
	}
	for _, r := range []collateral.Request{{FMSPC: family.FMSPC, CA: "processor"}, {FMSPC: [6]byte{1}, CA: "platform"}} {
		if _, err := all.Fetch(t.Context(), r); err == nil || !strings.HasSuffix(err.Error(), "in bad good") {
			t.Errorf("%+v: got %v", r, err)
		}
	}
	requests, err := collateral.Carried{good}.Requests()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]collateral.Request{family}, requests); diff != "" {
		t.Error(diff)
	}
	if _, err := all.Requests(); err == nil || !strings.HasPrefix(err.Error(), "bad: collateral-unreadable") {
		t.Errorf("got %v", err)
	}
	bare := collateral.Parse("bare", i.bundle(now, func(all map[string][]byte) { delete(all, "pckSignChain.pem") }), i.options())
	if _, err := (collateral.Carried{bare}).Requests(); err == nil || !strings.Contains(err.Error(), "no-pck-crl") {
		t.Errorf("got %v", err)
	}
}
