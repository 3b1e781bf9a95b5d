package policy

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/document"
)

// deviations say of each deviation of pods what accepting it means.
func deviations() map[attest.Deviation]string {
	return map[attest.Deviation]string{
		attest.PrivilegedPod:      "pods may have the rights of the node: whoever gets into one gets the machine",
		attest.HostPath:           "pods may have folders of the node",
		attest.HostNamespaces:     "pods may be in the network, process or IPC namespace of the node",
		attest.SharedProcesses:    "containers of a pod may look into each other's processes",
		attest.OtherVolume:        "pods may have volumes of a kind that is not judged",
		attest.SconeMode:          "SCONE_MODE may be other than hw: a program may run as a simulation, which CAS then turns away",
		attest.AllowDlopen:        "enclaves may load libraries: with SCONE_ALLOW_DLOPEN=2 also such that nobody has authenticated",
		attest.LoaderEnvironment:  "variables that change what a program loads may be set",
		attest.RuntimeEnvironment: "variables of SCONE's runtime that this program does not know may be set",
		attest.UnreadEnvironment:  "variables may come from ConfigMaps and Secrets, whose content is not judged",
		attest.Sidecar:            "containers that are no enclaves may run beside the database",
		attest.UnknownCASData:     "the report of a CAS may say things that this program does not know, such as who else has rights there",
	}
}

func (p *Policy) weakDeviations() []Weakness {
	var found []Weakness
	for i, name := range p.Deviations {
		if meaning, known := deviations()[name]; known {
			found = append(found, Weakness{"deviation-accepted", p.where(fmt.Sprintf("accept-deviations[%d]", i), "accept-deviations"), string(name) + " is accepted: " + meaning, "remove it where you can do without"})
		}
	}
	return found
}

// Settings are those of SCONE's runtime that are part of a measurement. An empty one
// was not given: then dlopen is off, and the heap is not compared.
type Settings struct {
	// Heap is SCONE_HEAP, and Dlopen SCONE_ALLOW_DLOPEN.
	Heap   string `json:"heap,omitempty"`
	Dlopen string `json:"dlopen,omitempty"`
}

// String says with what a measurement was taken.
func (s Settings) String() string {
	var all []string
	if s.Heap != "" {
		all = append(all, "SCONE_HEAP="+s.Heap)
	}
	if s.Dlopen != "" {
		all = append(all, "SCONE_ALLOW_DLOPEN="+s.Dlopen)
	}
	if len(all) == 0 {
		return "with settings that nobody has said"
	}
	return "with " + strings.Join(all, ", ")
}

// CheckDlopen says what is wrong with a value of SCONE_ALLOW_DLOPEN, if anything.
func CheckDlopen(text string) error {
	if !slices.Contains([]string{"0", "1", "2"}, text) {
		return fmt.Errorf("got %q, want %s", document.Clip(text), wantDlopen)
	}
	return nil
}

const (
	wantHeap   = "bytes, or a number with K, M or G, such as 1G"
	wantDlopen = `"0", "1" or "2"`
)

// HeapBytes reads a value of SCONE_HEAP: bytes, or a number with K, M or G (multiples
// of 1024).
func HeapBytes(text string) (uint64, error) {
	digits := strings.TrimRight(text, "KMG")
	shift, known := map[string]uint{"": 0, "K": 10, "M": 20, "G": 30}[text[len(digits):]]
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || !known || n == 0 || n > math.MaxUint64>>shift {
		return 0, fmt.Errorf("got %q, want %s", document.Clip(text), wantHeap)
	}
	return n << shift, nil
}

func (d decoder) heap(into *string) document.Field {
	return read(func(n *document.Node, path string) {
		text, ok := d.Scalar(n, path, wantHeap)
		if !ok {
			return
		}
		if _, err := HeapBytes(text); err != nil {
			d.Fail(n, path, "%v", err)
			return
		}
		*into = text
	})
}

func (d decoder) dlopen(into *string) document.Field {
	return read(func(n *document.Node, path string) {
		text, ok := d.Scalar(n, path, wantDlopen)
		if !ok {
			return
		}
		if err := CheckDlopen(text); err != nil {
			d.Fail(n, path, "%v", err)
			return
		}
		*into = text
	})
}
