package sgx_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/confidb/confidb/internal/realquotes"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

// verifiable is a quote with all that it is verified with.
type verifiable struct {
	files map[string][]byte
	sgx.Options
}

const quoteFile = "quote.bin"

func mintedVerifiable(t *testing.T) verifiable {
	t.Helper()
	m := mint(t, nil)
	roots, err := sgx.RootFromPEM(m.authority.RootPEM())
	if err != nil {
		t.Fatal(err)
	}
	files := maps.Clone(m.files)
	files[quoteFile] = m.quote
	return verifiable{files, sgx.Options{Time: mintedAt, Roots: roots}}
}

// verifiables are a minted one and, where real quotes are, one of a real machine.
func verifiables(t *testing.T, id string) map[string]verifiable {
	t.Helper()
	kinds := map[string]verifiable{"minted": mintedVerifiable(t)}
	if real := realquotes.IfThere(t); real != nil {
		kinds["real"] = verifiable{real[id].Files(t), sgx.Options{Time: real[id].Time, Roots: sgx.IntelRoot()}}
	}
	return kinds
}

// inBundle puts the collateral into one bundle.
func (v verifiable) inBundle(t *testing.T) verifiable {
	t.Helper()
	set, err := sgx.CollateralFromFiles(v.files)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := set[0].Bundle()
	if err != nil {
		t.Fatal(err)
	}
	return verifiable{map[string][]byte{quoteFile: v.files[quoteFile], "bundle.json": bundle}, v.Options}
}

// changing returns what verifies after one file was replaced.
func (v verifiable) changing(t *testing.T, name string) func(content []byte) (*sgx.Result, error) {
	t.Helper()
	if name != quoteFile {
		return func(content []byte) (*sgx.Result, error) { return v.with(name, content) }
	}
	set, err := sgx.CollateralFromFiles(v.files)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := sgx.NewVerifier(set[0], v.Options)
	if err != nil {
		t.Fatal(err)
	}
	return verifier.Verify
}

// with verifies after one file was replaced.
func (v verifiable) with(name string, content []byte) (*sgx.Result, error) {
	files := maps.Clone(v.files)
	files[name] = content
	set, err := sgx.CollateralFromFiles(files)
	if err != nil {
		return nil, err
	}
	verifier, err := sgx.NewVerifier(set[0], v.Options) // most changes are found here, without the quote
	if err != nil {
		return nil, err
	}
	return verifier.Verify(files[quoteFile])
}

// One changed bit in any byte of any part is refused, or said, or changes nothing
// that is decoded.
func TestNoFlippedBitVerifies(t *testing.T) {
	kinds := verifiables(t, "oasis-00606A-2025")
	kinds["minted, in a bundle"] = kinds["minted"].inBundle(t)
	for name, v := range kinds {
		for _, file := range slices.Sorted(maps.Keys(v.files)) {
			if file == "trustedRootCaCert.pem" {
				continue // the user's own word, and no part of the evidence
			}
			t.Run(name+"/"+file, func(t *testing.T) { v.flipEach(t, file) })
		}
	}
}

func (v verifiable) flipEach(t *testing.T, name string) {
	original, verify := v.files[name], v.changing(t, name)
	good, err := verify(original)
	if err != nil || good.Findings.Verdict() != check.Affirming {
		t.Fatalf("unchanged: %v, %+v", err, good)
	}
	var workers sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			changed := slices.Clone(original)
			for i := range next {
				changed[i] ^= 1 << (i % 8)
				if got, err := verify(changed); err == nil && got.Findings.Verdict() == check.Affirming {
					v.sameMeaning(t, name, i, changed, good, got)
				}
				changed[i] = original[i]
			}
		})
	}
	for i := range original {
		next <- i
	}
	close(next)
	workers.Wait()
}

// sameMeaning fails unless a change that was accepted changed nothing.
func (v verifiable) sameMeaning(t *testing.T, name string, at int, changed []byte, want, got *sgx.Result) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(sgx.Quote{}), cmpopts.IgnoreFields(sgx.Quote{}, "CertificationData")); diff != "" {
		t.Errorf("byte %d: accepted, and another result (-want +got):\n%s", at, diff)
	}
	if !bytes.Equal(decoded(name, v.files[name]), decoded(name, changed)) {
		t.Errorf("byte %d: accepted although what it decodes to has changed", at)
	}
}

// decoded is what a file says, without what PEM, hexadecimal digits and JSON leave free.
func decoded(name string, content []byte) []byte {
	switch {
	case name == quoteFile:
		begin := bytes.Index(content, []byte("-----BEGIN"))
		return slices.Concat(content[:max(begin, 0)], decodedPEM(content[max(begin, 0):]))
	case name == "bundle.json":
		return decodedBundle(content)
	case strings.HasSuffix(name, ".json"):
		return decodedSigned(content)
	}
	return decodedPEM(content)
}

func decodedPEM(text []byte) []byte {
	if !bytes.Contains(text, []byte("-----BEGIN")) {
		return text
	}
	var all []byte
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return all
		}
		all = append(all, block.Bytes...)
	}
}

func decodedSigned(content []byte) []byte {
	var signed map[string]json.RawMessage
	if json.Unmarshal(content, &signed) != nil {
		return content
	}
	var all []byte
	for _, key := range slices.Sorted(maps.Keys(signed)) {
		value := []byte(signed[key])
		if key == "signature" {
			value = bytes.ToLower(value)
		}
		all = append(append(all, key...), value...)
	}
	return all
}

// decodedBundle decodes each text of a bundle: documents and PEM chains as they are,
// signatures and lists in hexadecimal digits.
func decodedBundle(content []byte) []byte {
	var bundle map[string]any
	if json.Unmarshal(content, &bundle) != nil {
		return content
	}
	var all []byte
	for name, value := range bundle { // languages differ in how they write a name
		delete(bundle, name)
		bundle[strings.ToLower(name)] = value
	}
	for _, key := range slices.Sorted(maps.Keys(bundle)) {
		text, _ := bundle[key].(string)
		switch {
		case strings.HasSuffix(key, "_signature") || strings.HasSuffix(key, "crl"):
			text = strings.ToLower(text)
		case strings.HasSuffix(key, "chain"):
			text = string(decodedPEM([]byte(text)))
		}
		all = append(append(all, key...), text...)
	}
	return all
}
