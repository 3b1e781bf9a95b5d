package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/sgx"
)

// Parse reads a document; name is that of the file, for errors. What is wrong with
// the document is an *Errors.
func Parse(name string, text []byte) (*Policy, error) {
	d := &decoder{file: name, places: map[string]string{}}
	p := &Policy{Enclaves: map[string][]sgx.Measurement{}, places: d.places}
	if root := d.document(text); root != nil {
		d.policy(root, p)
	}
	if err := d.result(); err != nil {
		return nil, err
	}
	return p, nil
}

// maxGrace is how long after its next update collateral can at most be used.
const maxGrace = 90 * 24 * time.Hour

const (
	wantGrace = "a Go duration from 0h to 2160h (90 days)"
	wantAge   = "a Go duration above 0, such as 168h; leave the key out for no bound"
)

func (d *decoder) policy(root *yaml.Node, p *Policy) {
	d.remember(root, "")
	if !d.kind(root) {
		return
	}
	d.object(root, "", map[string]field{
		"kind":                      func(*yaml.Node, string) {},
		"cas":                       given(func(n *yaml.Node, path string) { p.CAS.ReferenceValues = d.reference(n, path) }),
		"enclaves":                  given(d.enclaves(p.Enclaves)),
		"accept-tcb":                given(d.statuses(&p.CAS.AcceptTCB)),
		"accept-advisories":         given(d.advisories(&p.CAS.AcceptAdvisories)),
		"allow-debug-enclave":       d.flag(&p.CAS.AllowDebugEnclave),
		"min-tcb-evaluation-number": d.number(&p.Freshness.MinEvaluationNumber, 1<<31-1),
		"require-provenance":        d.provenance(&p.RequireProvenance),
		"collateral-grace":          d.duration(&p.Freshness.Grace, 0, maxGrace, wantGrace),
		"max-collateral-age":        d.duration(&p.Freshness.MaxAge, 1, 1<<63-1, wantAge),
	})
}

// kind looks at the kind alone: in a document of another one the rest means
// something else.
func (d *decoder) kind(root *yaml.Node) bool {
	_, value := child(root, "kind")
	switch {
	case root.Kind != yaml.MappingNode:
		d.fail(root, "", "got %s, want a mapping with kind: %s", kindOf(root), Kind)
	case value == nil:
		d.fail(root, "kind", "got nothing, want %q", Kind).Advice = "begin the file with kind: " + Kind
	case value.Kind != yaml.ScalarNode || value.Value != Kind:
		d.fail(value, "kind", "got %s, want %q", kindOf(value), Kind).Advice = suggestion(value.Value, []string{Kind})
	default:
		return true
	}
	return false
}

const wantProvenance = "quoted or declared; leave the key out to take the cluster's word"

func (d *decoder) provenance(into *attest.Provenance) field {
	return func(n *yaml.Node, path string) {
		text, ok := d.scalar(n, path, wantProvenance)
		switch p := attest.Provenance(text); {
		case !ok:
		case p == attest.Quoted || p == attest.Declared:
			*into = p
		default:
			d.fail(n, path, "got %q, want %s", clip(text), wantProvenance).Advice = suggestion(text, []string{string(attest.Quoted), string(attest.Declared)})
		}
	}
}

// child finds a key of a mapping.
func child(n *yaml.Node, name string) (key, value *yaml.Node) {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

func (d *decoder) reference(n *yaml.Node, path string) attest.ReferenceValues {
	var r attest.ReferenceValues
	d.object(n, path, map[string]field{
		"mrenclave": given(d.measurements(&r.MRENCLAVEs)),
		"signer":    func(n *yaml.Node, path string) { r.Signer = d.signer(n, path) },
	})
	return r
}

func (d *decoder) measurements(into *[]sgx.Measurement) field {
	one := func(n *yaml.Node, path string) {
		var m sgx.Measurement
		if d.measurement(&m)(n, path); m != (sgx.Measurement{}) {
			*into = append(*into, m)
		}
	}
	return func(n *yaml.Node, path string) {
		if n.Kind == yaml.ScalarNode {
			d.remember(n, path+"[0]")
			one(n, path)
			return
		}
		d.list(n, path, one)
	}
}

const wantMeasurement = "64 hexadecimal digits"

// measurement refuses also zero, which is what a measurement is that nobody took.
func (d *decoder) measurement(into *sgx.Measurement) field {
	return func(n *yaml.Node, path string) {
		text, ok := d.scalar(n, path, wantMeasurement)
		if !ok {
			return
		}
		m, err := sgx.ParseMeasurement(text)
		switch {
		case err != nil:
			d.fail(n, path, "got %q (%d characters), want %s", clip(text), utf8.RuneCountInString(text), wantMeasurement)
		case m == sgx.Measurement{}:
			d.fail(n, path, "got zeros only, want %s of an enclave that somebody built", wantMeasurement)
		default:
			*into = m
		}
	}
}

func (d *decoder) signer(n *yaml.Node, path string) *attest.SignerReference {
	var s attest.SignerReference
	product, floor := 0, 0
	d.object(n, path, map[string]field{
		"mrsigner":   d.measurement(&s.MRSIGNER),
		"isvprodid":  d.number(&product, 0xffff),
		"min-isvsvn": d.number(&floor, 0xffff),
	})
	if key, _ := child(n, "mrsigner"); n.Kind == yaml.MappingNode && key == nil {
		d.fail(n, join(path, "mrsigner"), "got nothing, want %s", wantMeasurement)
	}
	s.ISVProdID, s.MinISVSVN = uint16(product), uint16(floor)
	return &s
}

// enclaveName keeps names short and printable.
const enclaveName = `^[A-Za-z0-9_.-]{1,128}$`

func (d *decoder) enclaves(into map[string][]sgx.Measurement) field {
	valid := regexp.MustCompile(enclaveName)
	return func(n *yaml.Node, path string) {
		d.pairs(n, path, func(key, value *yaml.Node) {
			if !valid.MatchString(key.Value) {
				d.fail(key, path, "got the name %q, want 1 to 128 of A-Z, a-z, 0-9 and _.-", clip(key.Value))
				return
			}
			at := enclavePath(key.Value)
			d.remember(key, at)
			into[key.Value] = nil
			given(func(n *yaml.Node, path string) { into[key.Value] = d.enclave(n, path) })(value, at)
		})
	}
}

// enclavePath quotes a name with a dot, so that no two paths are the same.
func enclavePath(name string) string {
	if strings.Contains(name, ".") {
		name = strconv.Quote(name)
	}
	return join("enclaves", name)
}

func (d *decoder) enclave(n *yaml.Node, path string) []sgx.Measurement {
	before := d.count()
	r := d.reference(n, path)
	if key, _ := child(n, "signer"); key != nil && len(r.MRENCLAVEs) == 0 && d.count() == before {
		d.fail(key, path, "got a signer without measurement, want mrenclave: our sessions name measurements, so the signer would admit nobody").Advice = "add mrenclave: SCONE_HASH=1 prints it where the image is built"
	}
	return r.MRENCLAVEs
}

func (d *decoder) statuses(into *[]sgx.TCBStatus) field {
	return d.names("the name of a status", func(n *yaml.Node, path, text string) {
		var tolerable []string
		for _, s := range sgx.Statuses() {
			if s != sgx.UpToDate && s != sgx.Revoked {
				tolerable = append(tolerable, string(s))
			}
		}
		switch want := strings.Join(tolerable, ", "); {
		case slices.Contains(tolerable, text):
			*into = append(*into, sgx.TCBStatus(text))
		case text == string(sgx.UpToDate):
			d.fail(n, path, "got %q, which needs no tolerance, want %s", text, want).Advice = "remove it: UpToDate is always accepted"
		case text == string(sgx.Revoked):
			d.fail(n, path, "got %q, which can never be accepted, want %s", text, want).Advice = "remove it, and take the machine out of use: its keys prove nothing any more"
		default:
			d.fail(n, path, "got %q, want %s", clip(text), want).Advice = suggestion(text, tolerable)
		}
	})
}

const (
	advisoryID   = `^INTEL-(SA|DOC)-[0-9]{5}$`
	wantAdvisory = "an ID such as INTEL-SA-00615"
)

func (d *decoder) advisories(into *[]string) field {
	valid := regexp.MustCompile(advisoryID)
	return d.names(wantAdvisory, func(n *yaml.Node, path, text string) {
		if valid.MatchString(text) {
			*into = append(*into, text)
			return
		}
		e := d.fail(n, path, "got %q, want %s", clip(text), wantAdvisory)
		if upper := strings.ToUpper(text); valid.MatchString(upper) {
			e.Advice = fmt.Sprintf("write %q", upper)
		}
	})
}

// names reads a list of names. A pattern is refused wherever it stands.
func (d *decoder) names(want string, read func(n *yaml.Node, path, text string)) field {
	item := func(n *yaml.Node, path string) {
		text, ok := d.scalar(n, path, want)
		switch {
		case ok && isPattern(text):
			d.fail(n, path, "got the pattern %q, want %s: a pattern would also accept what Intel finds tomorrow", clip(text), want).Advice = "name each one that you can live with"
		case ok:
			read(n, path, text)
		}
	}
	return func(n *yaml.Node, path string) {
		if n.Kind == yaml.ScalarNode && isPattern(n.Value) {
			item(n, path)
			return
		}
		d.list(n, path, item)
	}
}

// isPattern recognizes what is meant to stand for more than one name.
func isPattern(text string) bool {
	return strings.ContainsAny(text, `*?[]|^$\`) || slices.Contains([]string{"all", "any"}, strings.ToLower(text))
}
