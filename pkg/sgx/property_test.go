package sgx_test

import (
	"maps"
	"testing"

	"github.com/confidb/confidb/pkg/sgx"
)

// variantOf is a minted case after a change.
func variantOf(t *testing.T, change change) verifiable {
	t.Helper()
	m := mint(t, nil)
	change(&m)
	roots, err := sgx.RootFromPEM(m.root)
	must(t, err)
	files := maps.Clone(m.files)
	files[quoteFile] = m.quote
	return verifiable{files, sgx.Options{Time: mintedAt, Roots: roots}}
}

// What TestNoFlippedBitVerifies says holds of the other forms, too: a real bundle,
// Open Enclave's report, and a PCK certificate that is not in the quote.
func TestNoFlippedBitVerifiesInOtherForms(t *testing.T) {
	leaf := func(m *minted) { m.withPCK(); m.certify(sgx.PCKLeaf, split(m.platform.Chain)[0]) }
	ppid := func(m *minted) { m.withPCK(); m.certify(sgx.PPIDRSA3072, make([]byte, 404)) }
	type form struct {
		verifiable
		files []string
	}
	forms := map[string]form{
		"report of Open Enclave": {variantOf(t, func(m *minted) { m.quote = openEnclave(m.quote) }), []string{quoteFile}},
		"PCK alone in the quote": {variantOf(t, leaf), []string{quoteFile, "pckCert.pem", "pckSignChain.pem"}},
		"PCK beside the quote":   {variantOf(t, ppid), []string{"pckCert.pem", "pckSignChain.pem"}},
		"PCK needlessly beside":  {variantOf(t, (*minted).withPCK), []string{"pckCert.pem", "pckSignChain.pem"}},
		"other edition of the root": {variantOf(t, func(m *minted) {
			m.files["tcbSignChain.pem"] = append(m.authority.TCBSigner.PEM(), m.otherEdition()...)
		}), []string{"tcbSignChain.pem"}},
	}
	if real, ok := verifiables(t, "oasis-00606A-2025")["real"]; ok {
		forms["real bundle"] = form{real.inBundle(t), []string{"bundle.json"}}
	}
	for name, c := range forms {
		for _, file := range c.files {
			t.Run(name+"/"+file, func(t *testing.T) { c.flipEach(t, file) })
		}
	}
}
