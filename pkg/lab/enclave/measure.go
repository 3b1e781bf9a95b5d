// Package enclave stands in for SCONE's runtime: it measures a program, gets a
// quote for it from the node's LAS, attests to a CAS, and starts the program with
// what the session gives it. There is no hardware: whoever has root on the machine
// can read the program's memory and can lie about the measurement.
package enclave

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/confidb/confidb/pkg/sgx"
)

// Settings are the parts of an enclave's environment that its measurement covers.
type Settings struct {
	// Heap is the size in bytes.
	Heap uint64
	// AllowDlopen is SCONE_ALLOW_DLOPEN as it was given; empty is 0.
	AllowDlopen string
}

// defaultHeap is SCONE's.
const defaultHeap = 64 << 20

// SettingsFrom reads SCONE_HEAP and SCONE_ALLOW_DLOPEN.
func SettingsFrom(getenv func(string) string) (Settings, error) {
	s := Settings{Heap: defaultHeap, AllowDlopen: getenv("SCONE_ALLOW_DLOPEN")}
	if s.AllowDlopen == "" {
		s.AllowDlopen = "0"
	}
	if text := getenv("SCONE_HEAP"); text != "" {
		heap, err := parseSize(text)
		if err != nil {
			return Settings{}, fmt.Errorf("SCONE_HEAP: %w", err)
		}
		s.Heap = heap
	}
	return s, nil
}

// parseSize reads a number of bytes with an optional suffix K, M or G.
func parseSize(text string) (uint64, error) {
	digits := strings.TrimRight(text, "KMG")
	shift, ok := map[string]uint{"": 0, "K": 10, "M": 20, "G": 30}[text[len(digits):]]
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || !ok || n == 0 || n > math.MaxUint64>>shift {
		return 0, fmt.Errorf("got %q, want a size such as 64M", text)
	}
	return n << shift, nil
}

// Identity is what LAS puts into the report of a program.
type Identity struct {
	MRENCLAVE, MRSIGNER sgx.Measurement
	ISVProdID, ISVSVN   uint16
}

// Measure returns the identity of the program in a file under these settings. One
// byte of the program, or another setting, gives another MRENCLAVE.
func Measure(program string, settings Settings) (Identity, error) {
	f, err := os.Open(program)
	if err != nil {
		return Identity{}, fmt.Errorf("measuring: %w", err)
	}
	defer f.Close()
	content := sha256.New()
	if _, err := io.Copy(content, f); err != nil {
		return Identity{}, fmt.Errorf("measuring %s: %w", program, err)
	}
	return Identity{
		MRENCLAVE: sha256.Sum256(fmt.Appendf(nil, "confidb lab enclave v1\nprogram %x\nheap %d\ndlopen %q\n", content.Sum(nil), settings.Heap, settings.AllowDlopen)),
		MRSIGNER:  sha256.Sum256([]byte("confidb lab signer")),
		ISVProdID: 1, ISVSVN: 1,
	}, nil
}
