package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/policy"
)

// Each deviation is accepted by its exact name only, and makes a policy weak.
func TestDeviations(t *testing.T) {
	for _, deviation := range attest.Deviations() {
		name := string(deviation)
		p := parsed(t, strict+"accept-deviations: ["+name+"]\n")
		if len(p.Deviations) != 1 || p.Deviations[0] != deviation {
			t.Errorf("%s: got %v", name, p.Deviations)
		}
		if w := p.Weaknesses(); len(w) != 1 || !strings.HasSuffix(w[0].ID, "-accepted") || (deviation != attest.UnprotectedVolume) != strings.HasPrefix(w[0].Text, name) {
			t.Errorf("%s: got %+v", name, w)
		}
		for _, wrong := range []string{strings.ToUpper(name), name + "s", "*", "all", ""} {
			if _, err := policy.Parse("p.yaml", fmt.Appendf(nil, "%saccept-deviations: [%q]\n", strict, wrong)); err == nil {
				t.Errorf("%q is a deviation", wrong)
			}
		}
	}
}

func TestSettings(t *testing.T) {
	with := func(settings string) string {
		return edited(t, "["+probeMeasured+"]", "["+probeMeasured+"], "+settings)
	}
	p := parsed(t, with(`heap: 1G, dlopen: "0"`))
	if got, want := p.Settings["probe"], (policy.Settings{Heap: "1G", Dlopen: "0"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := parsed(t, with("heap: 67108864, dlopen: 1")).Settings["probe"]; got != (policy.Settings{Heap: "67108864", Dlopen: "1"}) {
		t.Errorf("numbers: got %+v", got)
	}
	if w := parsed(t, with("dlopen: 2")).Weaknesses(); len(w) != 1 || w[0].ID != "dlopen-debug" {
		t.Errorf("dlopen 2: got %+v", w)
	}
	for _, wrong := range []string{"heap: 0", "heap: 1T", "heap: -1G", "heap: 1.5G", "heap: G", "heap: [1G]", "heap: 18446744073709551615G", "dlopen: 3", "dlopen: off", "dlopen: true", "stack: 1M"} {
		if _, err := policy.Parse("p.yaml", []byte(with(wrong))); err == nil {
			t.Errorf("%s is a setting", wrong)
		}
	}
}

func TestHeapBytes(t *testing.T) {
	for text, want := range map[string]uint64{"1": 1, "64M": 64 << 20, "65536K": 64 << 20, "1G": 1 << 30, "0001G": 1 << 30} {
		if got, err := policy.HeapBytes(text); err != nil || got != want {
			t.Errorf("%s: got %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "M", "1g", "1 G", "1GB", "1KK", "+1", "17179869184G"} {
		if got, err := policy.HeapBytes(text); err == nil {
			t.Errorf("%q: got %d", text, got)
		}
	}
}
