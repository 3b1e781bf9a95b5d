package evidence

import (
	"errors"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/session"
)

// Fetched is a value, or why it could not be fetched. The zero value was never asked
// for.
type Fetched[T any] struct {
	// Value is what there is when Problem is empty and Asked is true.
	Value T `json:"value"`
	// Problem says why there is no value.
	Problem string `json:"problem"`
	// Hint is what mends that, where it is known.
	Hint string `json:"hint,omitempty"`
	// Asked tells a value that is zero from one that nobody asked for.
	Asked bool `json:"asked"`
}

// Got makes a Fetched of what a function returned.
func Got[T any](value T, err error) Fetched[T] {
	if err != nil {
		missing := Missing[T](err.Error())
		if hinted, ok := errors.AsType[interface {
			error
			Hint() string
		}](err); ok {
			missing.Hint = hinted.Hint()
		}
		return missing
	}
	return Fetched[T]{Value: value, Asked: true}
}

// Missing is a Fetched without a value.
func Missing[T any](problem string) Fetched[T] { return Fetched[T]{Problem: problem, Asked: true} }

// Why says why there is no value; it is empty when there is one.
func (f Fetched[T]) Why() string {
	if !f.Asked {
		return "nobody asked for it"
	}
	return f.Problem
}

// Help is what mends that there is no value, or else what is given.
func (f Fetched[T]) Help(otherwise string) string {
	if f.Hint != "" {
		return f.Hint
	}
	return otherwise
}

// HelmRelease is what Helm says of the release.
type HelmRelease struct {
	// Status is Helm's word, such as deployed.
	Status string `json:"status"`
	// Revision counts from 1.
	Revision int `json:"revision"`
}

// Container is one container of a running pod of the release.
type Container struct {
	// Pod and Name say which one it is.
	Pod  string `json:"pod"`
	Name string `json:"name"`
	// Environment are the variables that its specification sets to a fixed value.
	Environment map[string]string `json:"environment"`
	// Init marks a container that ran before the others.
	Init bool `json:"init"`
}

// CAS is the evidence of a CAS: nothing in it was judged yet.
type CAS struct {
	// Pin is the report, with the nonce that was sent for it.
	Pin attest.Pin `json:"pin"`
	// Peer are the DER certificates of the TLS peer that sent it, leaf first.
	Peer [][]byte `json:"peer"`
}

// Observation is everything that was fetched about a release. It holds evidence and no
// judgement, so that it can be appraised again.
type Observation struct {
	// Nonce was given to the probe of this run.
	Nonce string `json:"nonce"`
	// At is when the fetching ended.
	At time.Time `json:"at"`

	Platforms Fetched[[]attest.PlatformID] `json:"platforms"`
	// Unidentified are the nodes with SGX whose platform ID nobody knows now: they are
	// new, down, or their LAS starts.
	Unidentified []string     `json:"unidentified"`
	CAS          Fetched[CAS] `json:"cas"`
	// Sessions are what CAS holds, by the name of the session.
	Sessions map[string]Fetched[session.Stored] `json:"sessions"`
	// DatabaseCA and StatementKey are PEM texts that the CAS exports.
	DatabaseCA   Fetched[string]      `json:"databaseCA"`
	StatementKey Fetched[string]      `json:"statementKey"`
	Release      Fetched[HelmRelease] `json:"release"`
	Containers   Fetched[[]Container] `json:"containers"`
	// Statement is the signed envelope that the probe printed.
	Statement Fetched[[]byte] `json:"statement"`
}
