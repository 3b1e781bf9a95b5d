package sgxmint

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/confidb/confidb/pkg/sgx"
)

// CASReport is the attestation report of a CAS in an enclave with this body, in the
// form of CasAttestationDataV1: it answers a nonce, and vouches for a chain of PEM
// certificates.
func (p *Platform) CASReport(body sgx.ReportBody, nonce [16]byte, chainPEM []byte) ([]byte, error) {
	chain, err := json.Marshal(string(chainPEM))
	if err != nil {
		return nil, err
	}
	additional := fmt.Appendf(nil, `{"type":"CasAttestationDataV1","nonce":"%x","cert_chain":%s}`, nonce, chain)
	body.ReportData = sha512.Sum512(additional)
	quote, err := p.Quote(body)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, `{"proof_data":{"type":"DCAPQuote","quote":%q},"additional_data":%s}`, base64.StdEncoding.EncodeToString(quote), additional), nil
}
