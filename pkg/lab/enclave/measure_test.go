package enclave_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/confidb/confidb/pkg/lab/enclave"
)

func TestMeasure(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	measure := func(content string, environment map[string]string) string {
		t.Helper()
		if err := os.WriteFile(program, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		settings, err := enclave.SettingsFrom(func(name string) string { return environment[name] })
		if err != nil {
			t.Fatal(err)
		}
		identity, err := enclave.Measure(program, settings)
		if err != nil {
			t.Fatal(err)
		}
		return identity.MRENCLAVE.String()
	}
	base := measure("a program", nil)
	for name, other := range map[string]string{
		"one byte": measure("b program", nil),
		"heap":     measure("a program", map[string]string{"SCONE_HEAP": "1G"}),
		"dlopen":   measure("a program", map[string]string{"SCONE_ALLOW_DLOPEN": "1"}),
	} {
		if other == base {
			t.Errorf("%s makes no difference", name)
		}
	}
	if measure("a program", map[string]string{"SCONE_HEAP": "64M", "SCONE_ALLOW_DLOPEN": "0"}) != base || measure("a program", map[string]string{"SCONE_HEAP": "65536K"}) != base {
		t.Error("another way to write the defaults makes a difference")
	}
	for _, heap := range []string{"x", "64X", "0", "-1", "64MM", "99999999999G"} {
		if _, err := enclave.SettingsFrom(func(string) string { return heap }); err == nil {
			t.Errorf("SCONE_HEAP=%s was taken", heap)
		}
	}
}
