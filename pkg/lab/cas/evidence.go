package cas

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// evidence answers a nonce with a quote of CAS's own enclave, in the only form
// whose binding is public (CasAttestationDataV1): REPORTDATA is the SHA-512 of
// additional_data as compact JSON.
func (c *CAS) evidence(ctx context.Context, nonce [16]byte) ([]byte, error) {
	chain, err := json.Marshal(string(c.own.chainPEM()))
	if err != nil {
		return nil, err
	}
	additional := fmt.Appendf(nil, `{"type":"CasAttestationDataV1","nonce":"%x","cert_chain":%s}`, nonce, chain)
	quote, err := c.LAS.Quote(ctx, c.Identity, sha512.Sum512(additional))
	if err != nil {
		return nil, fmt.Errorf("quoting CAS itself: %w", err)
	}
	return fmt.Appendf(nil, `{"proof_data":{"type":"DCAPQuote","quote":"%s"},"additional_data":%s}`, base64.StdEncoding.EncodeToString(quote), additional), nil
}
