package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/outside"
	"github.com/confidb/confidb/pkg/sgx"
)

// Parse reads a document; name is that of the file, for errors. What is wrong with
// the document is an *Errors.
func Parse(name string, text []byte) (*Policy, error) {
	places := map[string]string{}
	d := decoder{document.NewDecoder(name)}
	d.Seen = func(n *document.Node, path string) { places[path] = fmt.Sprintf("%s:%d:%d", name, n.Line, n.Column) }
	p := &Policy{Enclaves: map[string][]sgx.Measurement{}, places: places}
	gate := document.Gate{Want: "kind: " + Kind, Advice: "{policy example} prints one to begin with"}
	if whole := d.Read(text, gate); whole != nil {
		d.policy(whole.Content[0], p)
	}
	if err := d.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// decoder reads policies.
type decoder struct{ *document.Decoder }

// maxGrace is how long after its next update collateral can at most be used.
const maxGrace = 90 * 24 * time.Hour

const (
	wantGrace   = "a Go duration from 0h to 2160h (90 days)"
	wantOutside = "a Go duration from 0h, for none, to 24h"

	wantAge = "a Go duration above 0, such as 168h; leave the key out for no bound"
)

func (d decoder) policy(root *document.Node, p *Policy) {
	d.Seen(root, "")
	if !d.OfKind(root, Kind) {
		return
	}
	d.Object(document.Fields{
		"kind":                      read(func(*document.Node, string) {}),
		"cas":                       given(d.reference(&p.CAS.ReferenceValues)),
		"enclaves":                  given(d.enclaves(p)),
		"accept-tcb":                given(d.statuses(&p.CAS.AcceptTCB)),
		"accept-advisories":         given(d.advisories(&p.CAS.AcceptAdvisories)),
		"allow-debug-enclave":       d.Flag(&p.CAS.AllowDebugEnclave),
		"accept-deviations":         given(d.deviations(&p.Deviations)),
		"max-outside-enclave":       document.Pointer(&p.MaxOutside, d.outside),
		"min-tcb-evaluation-number": document.Number(d.Decoder, &p.Freshness.MinEvaluationNumber, 0, 1<<31-1),
		"require-provenance":        d.provenance(&p.RequireProvenance),
		"collateral-grace":          d.duration(&p.Freshness.Grace, 0, maxGrace, wantGrace),
		"max-collateral-age":        d.duration(&p.Freshness.MaxAge, 1, 1<<63-1, wantAge),
	}, nil).Read(root, "")
}

// read is a field of which no schema is made.
func read(r document.Reader) document.Field { return document.Field{Read: r} }

// given skips a key without a value. A list whose entries are all commented out accepts
// nothing, as if the key were absent.
func given(f document.Field) document.Field {
	return read(func(n *document.Node, path string) {
		if !document.IsNull(n) {
			f.Read(n, path)
		}
	})
}

const wantProvenance = "quoted or declared; leave the key out to take the cluster's word"

func (d decoder) provenance(into *attest.Provenance) document.Field {
	return read(func(n *document.Node, path string) {
		text, ok := d.Scalar(n, path, wantProvenance)
		if !ok {
			return
		}
		p, err := attest.ParseProvenance(text)
		if err != nil || p == attest.Claimed {
			d.Fail(n, path, "got %q, want %s", document.Clip(text), wantProvenance).Advice =
				document.Suggest(text, []string{string(attest.Quoted), string(attest.Declared)})
			return
		}
		*into = p
	})
}

func (d decoder) reference(into *attest.ReferenceValues) document.Field {
	return d.Object(document.Fields{
		"mrenclave": given(d.measurements(&into.MRENCLAVEs)),
		"signer":    document.Pointer(&into.Signer, d.signer),
	}, nil)
}

// measurements reads one measurement or a list of them.
func (d decoder) measurements(into *[]sgx.Measurement) document.Field {
	list := document.Each(d.Decoder, into, d.measurement)
	return read(func(n *document.Node, path string) {
		if n.Kind != document.Scalar {
			list.Read(n, path)
			return
		}
		var one sgx.Measurement
		d.Seen(n, document.Item(path, 0))
		d.measurement(&one).Read(n, path)
		*into = append(*into, one)
	})
}

const wantMeasurement = "64 hexadecimal digits"

// measurement refuses also zero, which is what a measurement is that nobody took.
func (d decoder) measurement(into *sgx.Measurement) document.Field {
	return read(func(n *document.Node, path string) {
		text, ok := d.Scalar(n, path, wantMeasurement)
		if !ok {
			return
		}
		m, err := sgx.ParseMeasurement(text)
		switch {
		case err != nil:
			d.Fail(n, path, "got %q (%d characters), want %s", document.Clip(text), utf8.RuneCountInString(text), wantMeasurement)
		case m == sgx.Measurement{}:
			d.Fail(n, path, "got zeros only, want %s of an enclave that somebody built", wantMeasurement)
		default:
			*into = m
		}
	})
}

func (d decoder) signer(into *attest.SignerReference) document.Field {
	signedBy := d.measurement(&into.MRSIGNER)
	signedBy.Missing = "got nothing, want " + wantMeasurement
	return d.Object(document.Fields{
		"mrsigner":   signedBy,
		"isvprodid":  document.Number(d.Decoder, &into.ISVProdID, 0, 0xffff),
		"min-isvsvn": document.Number(d.Decoder, &into.MinISVSVN, 0, 0xffff),
	}, nil)
}

const (
	// enclaveName keeps names short and printable.
	enclaveName     = `^[A-Za-z0-9_.-]{1,128}$`
	wantEnclaveName = "1 to 128 of A-Z, a-z, 0-9 and _.-"
)

func (d decoder) enclaves(into *Policy) document.Field {
	return read(func(n *document.Node, path string) {
		d.Pairs(n, path, func(key, value *document.Node) {
			if !d.Matches(enclaveName, key.Value) {
				d.Fail(key, path, "got the name %q, want %s", document.Clip(key.Value), wantEnclaveName)
				return
			}
			var v enclave
			at := enclavePath(key.Value)
			d.Seen(key, at)
			given(d.enclave(&v)).Read(value, at)
			into.Enclaves[key.Value] = v.MRENCLAVEs
			into.keep(key.Value, v.settings)
		})
	})
}

func (p *Policy) keep(name string, s Settings) {
	if s == (Settings{}) {
		return
	}
	if p.Settings == nil {
		p.Settings = map[string]Settings{}
	}
	p.Settings[name] = s
}

// enclavePath quotes a name with a dot, so that no two paths are the same.
func enclavePath(name string) string {
	if strings.Contains(name, ".") {
		name = strconv.Quote(name)
	}
	return document.Member("enclaves", name)
}

// enclave is what the document says of one enclave.
type enclave struct {
	attest.ReferenceValues
	settings Settings
}

func (d decoder) enclave(into *enclave) document.Field {
	values := d.Object(document.Fields{
		"mrenclave": given(d.measurements(&into.MRENCLAVEs)),
		"signer":    document.Pointer(&into.Signer, d.signer),
		"heap":      given(d.heap(&into.settings.Heap)),
		"dlopen":    given(d.dlopen(&into.settings.Dlopen)),
	}, nil)
	return read(func(n *document.Node, path string) {
		before := d.Count()
		values.Read(n, path)
		if key, _ := document.Lookup(n, "signer"); key != nil && len(into.MRENCLAVEs) == 0 && d.Count() == before {
			d.Fail(key, path, "got a signer without measurement, want mrenclave: our sessions name measurements, so the signer would admit nobody").Advice = "add mrenclave: SCONE_HASH=1 prints it where the image is built"
		}
	})
}

func (d decoder) statuses(into *[]sgx.TCBStatus) document.Field {
	var tolerable []string
	for _, s := range sgx.Statuses() {
		if s != sgx.UpToDate && s != sgx.Revoked {
			tolerable = append(tolerable, string(s))
		}
	}
	want := strings.Join(tolerable, ", ")
	return d.names("the name of a status", func(n *document.Node, path, text string) {
		switch {
		case slices.Contains(tolerable, text):
			*into = append(*into, sgx.TCBStatus(text))
		case text == string(sgx.UpToDate):
			d.Fail(n, path, "got %q, which needs no tolerance, want %s", text, want).Advice = "remove it: UpToDate is always accepted"
		case text == string(sgx.Revoked):
			d.Fail(n, path, "got %q, which can never be accepted, want %s", text, want).Advice = "remove it, and take the machine out of use: its keys prove nothing any more"
		default:
			d.Fail(n, path, "got %q, want %s", document.Clip(text), want).Advice = document.Suggest(text, tolerable)
		}
	})
}

func (d decoder) deviations(into *[]attest.Deviation) document.Field {
	var known []string
	for _, v := range attest.Deviations() {
		known = append(known, string(v))
	}
	want := strings.Join(known, ", ")
	return d.names("the name of a deviation", func(n *document.Node, path, text string) {
		if !slices.Contains(known, text) {
			d.Fail(n, path, "got %q, want %s", document.Clip(text), want).Advice = document.Suggest(text, known)
			return
		}
		*into = append(*into, attest.Deviation(text))
	})
}

func (d decoder) advisories(into *[]string) document.Field {
	return d.names("an ID such as INTEL-SA-00615", func(n *document.Node, path, text string) {
		id, err := sgx.ParseAdvisory(text)
		if err == nil {
			*into = append(*into, id)
			return
		}
		e := d.Fail(n, path, "%v", err)
		if upper, err := sgx.ParseAdvisory(strings.ToUpper(text)); err == nil {
			e.Advice = fmt.Sprintf("write %q", upper)
		}
	})
}

// names reads a list of names. A pattern is refused wherever it stands.
func (d decoder) names(want string, visit func(n *document.Node, path, text string)) document.Field {
	item := read(func(n *document.Node, path string) {
		text, ok := d.Scalar(n, path, want)
		switch {
		case ok && isPattern(text):
			d.Fail(n, path, "got the pattern %q, want %s: a pattern would also accept what Intel finds tomorrow", document.Clip(text), want).Advice = "name each one that you can live with"
		case ok:
			visit(n, path, text)
		}
	})
	var all []struct{}
	list := document.Each(d.Decoder, &all, func(*struct{}) document.Field { return item })
	return read(func(n *document.Node, path string) {
		switch {
		case n.Kind == document.Scalar && isPattern(n.Value):
			item.Read(n, path)
		case n.Kind == document.Scalar && n.Value != "":
			d.Fail(n, path, "got %s, want a list", document.KindOf(n)).Advice = fmt.Sprintf("write [%q]", document.Clip(n.Value))
		default:
			list.Read(n, path)
		}
	})
}

// isPattern recognizes what is meant to stand for more than one name.
func isPattern(text string) bool {
	return strings.ContainsAny(text, `*?[]|^$\`) || slices.Contains([]string{"all", "any"}, strings.ToLower(text))
}

// duration reads a Go duration from low to high.
func (d decoder) duration(into *time.Duration, low, high time.Duration, want string) document.Field {
	return read(func(n *document.Node, path string) {
		text, ok := d.Scalar(n, path, want)
		if !ok {
			return
		}
		v, err := time.ParseDuration(text)
		if err != nil || v < low || v > high {
			d.Fail(n, path, "got %q, want %s", document.Clip(text), want).Advice = inHours(text)
			return
		}
		*into = v
	})
}

// outside reads for how long clients may be let in outside of enclaves.
func (d decoder) outside(into *time.Duration) document.Field {
	return d.duration(into, 0, outside.MaxTime, wantOutside)
}

// inHours is a hint for a number of days.
func inHours(text string) string {
	number, isDays := strings.CutSuffix(text, "d")
	days, err := strconv.ParseUint(number, 10, 16)
	if !isDays || err != nil {
		return ""
	}
	return fmt.Sprintf("write %dh: Go's durations have no days", 24*days)
}
