package forms_test

import (
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/forms"
)

// A long text does not keep anybody waiting, whatever is in it.
func TestSearchIsBounded(t *testing.T) {
	const most = 1 << 20
	for name, text := range map[string]string{
		"digits":            strings.Repeat("30", most/2),
		"texts":             `["` + strings.Repeat(`","`, most/3-1) + `"]`,
		"brackets":          strings.Repeat("[", most),
		"percent":           strings.Repeat("%25", most/3),
		"stars":             strings.Repeat("00000000  00\n*\n", most/16),
		"objects in a row":  strings.Repeat(`{"a":"AAAA"}`, most/12),
		"objects in a text": `{"a":` + strings.Repeat(`{"a":`, 15) + `"` + strings.Repeat("A", most/2) + `"` + strings.Repeat("}", 16),
	} {
		began := time.Now()
		if all := forms.Find([]byte(text), func([]byte) bool { return false }); all != nil {
			t.Errorf("%s: got %d", name, len(all))
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %s", name, took)
		}
	}
}
