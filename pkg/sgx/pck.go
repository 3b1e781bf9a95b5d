package sgx

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
)

// PCK is what a PCK certificate says about one platform (Intel SGX PCK
// Certificate and CRL Profile, extension 1.2.840.113741.1.13.1).
type PCK struct {
	// PPID identifies the platform. It is personal data of its owner.
	PPID [16]byte
	// TCBSVNs and PCESVN are the security versions that Intel certified.
	TCBSVNs [16]byte
	PCESVN  uint16
	CPUSVN  [16]byte
	PCEID   [2]byte
	// FMSPC names the family of processors, which chooses the TCB info.
	FMSPC [6]byte
	// SGXType is 0 standard, 1 scalable, 2 scalable with integrity.
	SGXType int
	// CA is the common name of the certificate's issuer: that of Intel's processor CA
	// or of its platform CA.
	CA string
	// PlatformInstanceID is only known of multi-package platforms; nil otherwise.
	PlatformInstanceID []byte
}

func sgxExtension() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}
}

type attribute struct {
	ID    asn1.ObjectIdentifier
	Value asn1.RawValue
}

// PCK is what the PCK certificate in the quote claims about the platform. Nothing is
// verified: it only helps to choose collateral. A quote without its certificate is an
// error.
func (q *Quote) PCK() (*PCK, error) {
	if q.CertificationType != PCKChain && q.CertificationType != PCKLeaf {
		return nil, refuse(QuoteWithoutPCK, "the quote does not hold its PCK certificate (certification data of type %d)", q.CertificationType)
	}
	chain, err := parseChain(q.CertificationData)
	if err != nil {
		return nil, refuse(PCKChainInvalid, "PCK certificate: %w", err)
	}
	return ParsePCK(chain[0])
}

// ParsePCK reads the SGX extension of a PCK certificate.
func ParsePCK(c *x509.Certificate) (*PCK, error) {
	for _, e := range c.Extensions {
		if !e.Id.Equal(sgxExtension()) {
			continue
		}
		p, err := parseSGXExtension(e.Value)
		if err != nil {
			return nil, refuse(PCKExtensionUnreadable, "%w", err)
		}
		p.CA = c.Issuer.CommonName
		return p, nil
	}
	return nil, refuse(PCKExtensionUnreadable, "the PCK certificate has no SGX extension (1.2.840.113741.1.13.1)")
}

func parseSGXExtension(der []byte) (*PCK, error) {
	attributes, err := parseAttributes(der)
	if err != nil {
		return nil, err
	}
	p, seen := &PCK{}, map[int]bool{}
	for _, a := range attributes {
		n, err := lastArc(a.ID, sgxExtension())
		if err != nil {
			return nil, err
		}
		if seen[n] {
			return nil, fmt.Errorf("SGX extension: attribute %d is there twice", n)
		}
		seen[n] = true
		if err := p.set(n, a.Value); err != nil {
			return nil, fmt.Errorf("SGX extension: attribute %d: %w", n, err)
		}
	}
	for n := 1; n <= 5; n++ {
		if !seen[n] {
			return nil, fmt.Errorf("SGX extension: attribute %d is missing", n)
		}
	}
	return p, nil
}

func parseAttributes(der []byte) ([]attribute, error) {
	var attributes []attribute
	rest, err := asn1.Unmarshal(der, &attributes)
	if err != nil {
		return nil, fmt.Errorf("SGX extension: %w", err)
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("SGX extension: got %d bytes after its end", len(rest))
	}
	return attributes, nil
}

func lastArc(id, prefix asn1.ObjectIdentifier) (int, error) {
	if len(id) != len(prefix)+1 || !id[:len(prefix)].Equal(prefix) {
		return 0, fmt.Errorf("SGX extension: got attribute %s, want one below %s", id, prefix)
	}
	return id[len(prefix)], nil
}

func (p *PCK) set(attribute int, value asn1.RawValue) error {
	switch attribute {
	case 1:
		return octets(p.PPID[:], value)
	case 2:
		return p.setTCB(value)
	case 3:
		return octets(p.PCEID[:], value)
	case 4:
		return octets(p.FMSPC[:], value)
	case 5:
		var kind asn1.Enumerated
		if err := whole(value, &kind); err != nil {
			return err
		}
		p.SGXType = int(kind)
		return nil
	case 6:
		p.PlatformInstanceID = make([]byte, 16)
		return octets(p.PlatformInstanceID, value)
	case 7:
		return nil // configuration of the platform: nothing rests on it
	}
	return errors.New("it is not known")
}

func (p *PCK) setTCB(value asn1.RawValue) error {
	components, err := parseAttributes(value.FullBytes)
	if err != nil {
		return err
	}
	seen := map[int]bool{}
	for _, c := range components {
		n, err := lastArc(c.ID, append(sgxExtension(), 2))
		if err != nil {
			return err
		}
		if n < 1 || n > 18 || seen[n] {
			return fmt.Errorf("TCB component %d is unknown or there twice", n)
		}
		seen[n] = true
		if n == 18 {
			if err := octets(p.CPUSVN[:], c.Value); err != nil {
				return err
			}
			continue
		}
		var svn int
		if err := whole(c.Value, &svn); err != nil {
			return err
		}
		switch {
		case n == 17 && svn >= 0 && svn <= 0xffff:
			p.PCESVN = uint16(svn)
		case n < 17 && svn >= 0 && svn <= 0xff:
			p.TCBSVNs[n-1] = byte(svn)
		default:
			return fmt.Errorf("TCB component %d: got %d, which is out of range", n, svn)
		}
	}
	if len(seen) != 18 {
		return fmt.Errorf("TCB: got %d components, want 18", len(seen))
	}
	return nil
}

func octets(into []byte, value asn1.RawValue) error {
	var raw []byte
	if err := whole(value, &raw); err != nil {
		return err
	}
	if len(raw) != len(into) {
		return fmt.Errorf("got %d bytes, want %d", len(raw), len(into))
	}
	copy(into, raw)
	return nil
}

func whole(value asn1.RawValue, into any) error {
	rest, err := asn1.Unmarshal(value.FullBytes, into)
	if err == nil && len(rest) != 0 {
		err = fmt.Errorf("got %d bytes after its end", len(rest))
	}
	return err
}
