package sgx

import (
	"fmt"
	"strings"
)

// Code names one reason why a quote or its collateral is not accepted. Codes are
// part of the stable interface: they begin the Reason of a finding, and the text
// of a Refusal.
type Code string

// Codes of quotes, certificates and documents that are forged, foreign or
// unreadable. Nothing that was read from them counts.
const (
	QuoteUnreadable         Code = "quote-unreadable"
	QuoteUnsupported        Code = "quote-unsupported"
	QuoteSignatureInvalid   Code = "quote-signature-invalid"
	QuoteWithoutPCK         Code = "quote-without-pck-chain"
	PCKChainInvalid         Code = "pck-chain-invalid"
	PCKExtensionUnreadable  Code = "pck-extension-unreadable"
	RootUntrusted           Code = "root-untrusted"
	QEReportInvalid         Code = "qe-report-invalid"
	AttestationKeyUnbound   Code = "attestation-key-unbound"
	TCBSigningChainInvalid  Code = "tcb-signing-chain-invalid"
	TCBInfoInvalid          Code = "tcb-info-invalid"
	QEIdentityInvalid       Code = "qe-identity-invalid"
	QEIdentityMismatch      Code = "qe-identity-mismatch"
	RootCRLInvalid          Code = "root-crl-invalid"
	PCKCRLInvalid           Code = "pck-crl-invalid"
	CollateralUnreadable    Code = "collateral-unreadable"
	RootCertificateUnusable Code = "root-certificate-unusable"
)

// Codes of what is missing, out of date, revoked or of another issuer or platform.
// The identities are still known, and the status unless its document is concerned.
const (
	TCBInfoMismatch            Code = "tcb-info-mismatch"
	TCBNotSupported            Code = "tcb-not-supported"
	QEIdentityForeign          Code = "qe-identity-foreign"
	QENotSupported             Code = "qe-not-supported"
	NoTCBSigningChain          Code = "no-tcb-signing-chain"
	NoTCBInfo                  Code = "no-tcb-info"
	NoQEIdentity               Code = "no-qe-identity"
	NoRootCRL                  Code = "no-root-crl"
	NoPCKCRL                   Code = "no-pck-crl"
	PCKChainExpired            Code = "pck-chain-expired"
	PCKChainNotYetValid        Code = "pck-chain-not-yet-valid"
	TCBSigningChainExpired     Code = "tcb-signing-chain-expired"
	TCBSigningChainNotYetValid Code = "tcb-signing-chain-not-yet-valid"
	TCBInfoExpired             Code = "tcb-info-expired"
	TCBInfoNotYetValid         Code = "tcb-info-not-yet-valid"
	TCBInfoTooOld              Code = "tcb-info-too-old"
	TCBInfoVersion2            Code = "tcb-info-version-2"
	QEIdentityExpired          Code = "qe-identity-expired"
	QEIdentityNotYetValid      Code = "qe-identity-not-yet-valid"
	QEIdentityTooOld           Code = "qe-identity-too-old"
	RootCRLExpired             Code = "root-crl-expired"
	RootCRLNotYetValid         Code = "root-crl-not-yet-valid"
	RootCRLForeign             Code = "root-crl-foreign"
	PCKCRLExpired              Code = "pck-crl-expired"
	PCKCRLNotYetValid          Code = "pck-crl-not-yet-valid"
	PCKCRLForeign              Code = "pck-crl-foreign"
	PCKRevoked                 Code = "pck-revoked"
	PCKCARevoked               Code = "pck-ca-revoked"
	TCBSignerRevoked           Code = "tcb-signer-revoked"
	EvaluationNumberTooLow     Code = "tcb-evaluation-number-too-low"
)

// Codes lists every Code.
func Codes() []Code {
	return []Code{
		QuoteUnreadable, QuoteUnsupported, QuoteSignatureInvalid, QuoteWithoutPCK, PCKChainInvalid, PCKExtensionUnreadable, RootUntrusted,
		QEReportInvalid, AttestationKeyUnbound, TCBSigningChainInvalid, TCBInfoInvalid,
		QEIdentityInvalid, QEIdentityMismatch, TCBInfoMismatch, TCBNotSupported, QEIdentityForeign, QENotSupported, RootCRLInvalid, PCKCRLInvalid, CollateralUnreadable, RootCertificateUnusable,
		NoTCBSigningChain, NoTCBInfo, NoQEIdentity, NoRootCRL, NoPCKCRL, PCKChainExpired, PCKChainNotYetValid,
		TCBSigningChainExpired, TCBSigningChainNotYetValid, TCBInfoExpired, TCBInfoNotYetValid, TCBInfoTooOld, TCBInfoVersion2,
		QEIdentityExpired, QEIdentityNotYetValid, QEIdentityTooOld, RootCRLExpired, RootCRLNotYetValid, RootCRLForeign,
		PCKCRLExpired, PCKCRLNotYetValid, PCKCRLForeign, PCKRevoked, PCKCARevoked, TCBSignerRevoked, EvaluationNumberTooLow,
	}
}

// Refusal is the error for what is forged, foreign or unreadable.
type Refusal struct {
	Code Code
	err  error
}

// maxRefusal bounds the text of a Refusal, which may quote what is refused, in bytes.
const maxRefusal = 1000

func (r *Refusal) Error() string {
	text := string(r.Code) + ": " + r.err.Error()
	if len(text) <= maxRefusal {
		return text
	}
	return strings.ToValidUTF8(text[:maxRefusal], "") + "…"
}

// Unwrap returns the error inside.
func (r *Refusal) Unwrap() error { return r.err }

// refuse makes a Refusal.
func refuse(code Code, format string, arguments ...any) error {
	return &Refusal{code, fmt.Errorf(format, arguments...)}
}
