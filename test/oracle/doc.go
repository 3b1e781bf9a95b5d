// Package oracle compares pkg/sgx, which judges quotes, with oasis-core v0.2601.0,
// which does too and was written by others. It holds tests and benchmarks only.
//
// It is a Go module of its own so that oasis-core and the 47 modules that come
// with it are no dependencies of confidb: nothing that is shipped is built from
// them. Run the tests in this folder; they read real quotes from outside of the
// repository.
//
// TestDifferences gives both verifiers the same quote, collateral, root and time,
// for real quotes and for minted ones. Where they differ, the case has to be in the
// table in differential_test.go, and what is in the table has to differ. The
// differences, in words:
//
//   - oasis-core reads no revocation lists: it accepts quotes of revoked platforms,
//     PCK CAs and TCB signers, and cannot say that a list is missing or old.
//   - It accepts SWHardeningNeeded like UpToDate, and tells neither status nor
//     advisories of what it accepts.
//   - It tells a status that it does not accept before it looks at the quote's
//     signature, so that a forged quote gets one told. We refuse it.
//   - It refuses every status of the quoting enclave but UpToDate; we merge them as
//     Intel's library does.
//   - It counts 30 days from the issue date of a document, we go by nextUpdate.
//   - It compares the root certificate, we its public key: it refuses Intel's other
//     edition of the certificate.
//   - It takes any issuer under the root as PCK CA and any certificate of the root
//     as TCB signer, whatever they are named and made for.
//   - It compares the FMSPC only, not the PCEID, and fills missing components up
//     with zeros.
//   - It ignores what follows the PCK chain or the certification data, and members
//     beside the signed one. We ignore what follows the quote, which it refuses.
//   - It wants the PCK chain in the quote (type 5). We take it from the collateral
//     too, for types 1 to 4, and read Open Enclave's header.
//   - It decides about debug enclaves, all or none of them. With us that is policy.
//
// Of TCB info in version 2 there is no difference in the table: it refuses it, and
// we call it not proven.
//
// The comparison is of what a caller can act on. That both refuse counts as
// agreement, whatever their reasons are.
package oracle
