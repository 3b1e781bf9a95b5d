package sgx

import (
	"bytes"
	"encoding/binary"
)

// Sizes of the parts of a quote, in bytes.
const (
	headerSize = 48
	reportSize = 384
	signedSize = headerSize + reportSize
	keySize    = 64
	maxQuote   = 1 << 20
)

// Bits of the first byte of an enclave's attributes.
const (
	attributeInit  = 0x01
	attributeDebug = 0x02
)

// ReportBody is what the CPU says about one enclave (sgx_report_body_t).
type ReportBody struct {
	CPUSVN       [16]byte
	MiscSelect   uint32
	ISVExtProdID [16]byte
	Attributes   [16]byte
	MRENCLAVE    Measurement
	MRSIGNER     Measurement
	ConfigID     [64]byte
	ISVProdID    uint16
	ISVSVN       uint16
	ConfigSVN    uint16
	ISVFamilyID  [16]byte
	ReportData   [64]byte
}

// Debug reports whether the host can read the enclave's memory with a debugger.
func (r *ReportBody) Debug() bool { return r.Attributes[0]&attributeDebug != 0 }

// Initialized reports whether the enclave was completely measured.
func (r *ReportBody) Initialized() bool { return r.Attributes[0]&attributeInit != 0 }

// rawReport is a report body as it lies in memory.
type rawReport struct {
	CPUSVN       [16]byte
	MiscSelect   uint32
	_            [12]byte
	ISVExtProdID [16]byte
	Attributes   [16]byte
	MRENCLAVE    Measurement
	_            [32]byte
	MRSIGNER     Measurement
	_            [32]byte
	ConfigID     [64]byte
	ISVProdID    uint16
	ISVSVN       uint16
	ConfigSVN    uint16
	_            [42]byte
	ISVFamilyID  [16]byte
	ReportData   [64]byte
}

// MarshalBinary writes the 384 bytes of the report body, reserved bytes as zero.
func (r *ReportBody) MarshalBinary() ([]byte, error) {
	return binary.Append(nil, binary.LittleEndian, rawReport{
		CPUSVN: r.CPUSVN, MiscSelect: r.MiscSelect, ISVExtProdID: r.ISVExtProdID, Attributes: r.Attributes,
		MRENCLAVE: r.MRENCLAVE, MRSIGNER: r.MRSIGNER, ConfigID: r.ConfigID, ISVProdID: r.ISVProdID, ISVSVN: r.ISVSVN,
		ConfigSVN: r.ConfigSVN, ISVFamilyID: r.ISVFamilyID, ReportData: r.ReportData,
	})
}

func parseReport(raw []byte) (ReportBody, error) {
	var r rawReport
	if n, err := binary.Decode(raw, binary.LittleEndian, &r); err != nil || n != reportSize {
		return ReportBody{}, refuse(QuoteUnreadable, "report body: got %d bytes, want %d", len(raw), reportSize)
	}
	return ReportBody{
		CPUSVN: r.CPUSVN, MiscSelect: r.MiscSelect, ISVExtProdID: r.ISVExtProdID, Attributes: r.Attributes,
		MRENCLAVE: r.MRENCLAVE, MRSIGNER: r.MRSIGNER, ConfigID: r.ConfigID, ISVProdID: r.ISVProdID, ISVSVN: r.ISVSVN,
		ConfigSVN: r.ConfigSVN, ISVFamilyID: r.ISVFamilyID, ReportData: r.ReportData,
	}, nil
}

// Quote is a parsed quote. Nothing in it is verified.
type Quote struct {
	// QESVN and PCESVN are those of the quoting enclaves, as the header claims.
	QESVN, PCESVN uint16
	// QEID identifies the quoting enclave of one platform: the first 16 bytes of
	// the header's user data. It is the platform ID of SCONE 7.
	QEID [16]byte
	// Report is the report body of the enclave that is attested.
	Report ReportBody
	// QEReport is the report body of the quoting enclave.
	QEReport ReportBody
	// CertificationType says what the quote holds about its platform, and
	// CertificationData is that: PEM without trailing NUL bytes for types 4 and 5.
	CertificationType uint16
	CertificationData []byte
	// TrailingBytes counts what followed the quote.
	TrailingBytes int

	signed         []byte // header and report body
	signature      []byte // r and s, over signed
	attestationKey []byte // X and Y
	qeReport       []byte
	qeSignature    []byte // r and s, over qeReport
	authentication []byte
}

// intelQE is the vendor identifier of Intel's quoting enclave.
var intelQE = [16]byte{0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07}

// oePrefix begins an Open Enclave report (oe_report_header_t: version 1, type SGX remote).
var oePrefix = []byte{1, 0, 0, 0, 2, 0, 0, 0}

// ParseQuote reads an ECDSA quote of version 3, with or without the 16 bytes that
// Open Enclave puts before it.
func ParseQuote(raw []byte) (*Quote, error) {
	if len(raw) > maxQuote {
		return nil, refuse(QuoteUnreadable, "got %d bytes, want at most %d", len(raw), maxQuote)
	}
	raw, err := stripOpenEnclave(raw)
	if err != nil {
		return nil, err
	}
	if len(raw) < signedSize {
		return nil, refuse(QuoteUnreadable, "got %d bytes, want at least %d", len(raw), signedSize)
	}
	q := &Quote{signed: raw[:signedSize]}
	if err := q.parseHeader(raw[:headerSize]); err != nil {
		return nil, err
	}
	if q.Report, err = parseReport(raw[headerSize:signedSize]); err != nil {
		return nil, err
	}
	r := reader{raw: raw[signedSize:]}
	signatureData := r.take(int(r.uint32()))
	q.TrailingBytes = len(r.raw)
	if r.failed {
		return nil, refuse(QuoteUnreadable, "the signature data is longer than the quote")
	}
	return q, q.parseSignatureData(signatureData)
}

func stripOpenEnclave(raw []byte) ([]byte, error) {
	const size = 16
	if len(raw) < size || !bytes.HasPrefix(raw, oePrefix) {
		return raw, nil
	}
	if n := binary.LittleEndian.Uint64(raw[8:]); n != uint64(len(raw)-size) {
		return nil, refuse(QuoteUnreadable, "report of Open Enclave: got %d bytes, its header says %d", len(raw)-size, n)
	}
	return raw[size:], nil
}

func (q *Quote) parseHeader(h []byte) error {
	version, keyType, tee := binary.LittleEndian.Uint16(h), binary.LittleEndian.Uint16(h[2:]), binary.LittleEndian.Uint32(h[4:])
	switch {
	case version == 4 || version == 5:
		return refuse(QuoteUnsupported, "version %d of quotes (%s) is not supported, want version 3", version, bodyKind(tee))
	case version != 3:
		return refuse(QuoteUnreadable, "quote version: got %d, want 3", version)
	case keyType != 2:
		return refuse(QuoteUnsupported, "attestation key type: got %d, want 2 (ECDSA with P-256)", keyType)
	case tee != 0:
		return refuse(QuoteUnsupported, "reserved field of the quote header: got %d, want 0", tee)
	case [16]byte(h[12:28]) != intelQE:
		return refuse(QuoteUnsupported, "quoting enclave's vendor: got %x, want Intel's %x", h[12:28], intelQE)
	}
	q.QESVN, q.PCESVN = binary.LittleEndian.Uint16(h[8:]), binary.LittleEndian.Uint16(h[10:])
	q.QEID = [16]byte(h[28:44])
	return nil
}

// teeTDX is the type of TDX in headers of quotes and in collateral.
const teeTDX = 0x81

// bodyKind names what a quote of version 4 or 5 is about.
func bodyKind(tee uint32) string {
	switch tee {
	case 0:
		return "of an SGX enclave"
	case teeTDX:
		return "of a TDX virtual machine"
	}
	return "of an unknown TEE"
}

// Types of certification data (Intel SGX ECDSA Quote Library Reference, table 9).
const (
	// PPIDClear, PPIDRSA2048 and PPIDRSA3072 only name the platform.
	PPIDClear   = 1
	PPIDRSA2048 = 2
	PPIDRSA3072 = 3
	// PCKLeaf is the PCK certificate alone, PCKChain also that of its CA and the root.
	PCKLeaf  = 4
	PCKChain = 5
)

func (q *Quote) parseSignatureData(raw []byte) (err error) {
	r := reader{raw: raw}
	q.signature, q.attestationKey = r.take(64), r.take(keySize)
	q.qeReport, q.qeSignature = r.take(reportSize), r.take(64)
	q.authentication = r.take(int(r.uint16()))
	q.CertificationType = r.uint16()
	data := r.take(int(r.uint32()))
	if r.failed || len(r.raw) != 0 {
		return refuse(QuoteUnreadable, "got %d bytes of signature data, which do not match the lengths in them", len(raw))
	}
	if q.QEReport, err = parseReport(q.qeReport); err != nil {
		return err
	}
	switch q.CertificationType {
	case PCKLeaf, PCKChain:
		q.CertificationData = bytes.TrimRight(data, "\x00")
	case PPIDClear, PPIDRSA2048, PPIDRSA3072:
		q.CertificationData = data
	default:
		return refuse(QuoteUnsupported, "certification data type: got %d, want %d (PCK certificate chain)", q.CertificationType, PCKChain)
	}
	return nil
}

// reader takes bytes from the front. After a short read every result is empty.
type reader struct {
	raw    []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if r.failed || n < 0 || n > len(r.raw) {
		r.failed, r.raw = true, nil
		return nil
	}
	taken := r.raw[:n:n]
	r.raw = r.raw[n:]
	return taken
}

func (r *reader) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}
