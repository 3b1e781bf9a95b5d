package evidence

import (
	"encoding/json"
	"errors"
	"math"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/witness"
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
	if err == nil {
		return Fetched[T]{Value: value, Asked: true}
	}
	missing := Missing[T](err.Error())
	if hinted, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		missing.Hint = hinted.Hint()
	}
	return missing
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
	// Digest is that of the manifest that Helm keeps, as the record has one; empty if
	// it could not be read.
	Digest string `json:"digest"`
}

// Pod is a pod as it exists.
type Pod struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
	// Annotations are kept for what the node's software reads in them.
	Annotations map[string]string `json:"annotations,omitempty"`
	// Owners are the objects that made it, KIND/NAME.
	Owners []string       `json:"owners"`
	Spec   corev1.PodSpec `json:"spec"`
	// Ready means that it takes connections, Ending that it was told to end, and
	// Finished that nothing of it runs any more.
	Ready    bool `json:"ready"`
	Ending   bool `json:"ending"`
	Finished bool `json:"finished"`
	// Addresses are its IP addresses.
	Addresses []string `json:"addresses"`
}

// Endpoint is one end of a Service.
type Endpoint struct {
	// Addresses are IP addresses or names, of which one is used.
	Addresses []string `json:"addresses"`
	// Ports are the numbers to which connections go.
	Ports []int32 `json:"ports"`
	// Pod is the name of the pod that it is said to be; empty if it is none.
	Pod string `json:"pod"`
	// Ready means that it is sent new connections.
	Ready bool `json:"ready"`
}

// Ways are the addresses with ports to which an end leads, in the form of netip. What is no
// IP address is left out.
func (e Endpoint) Ways() (all []string) {
	for _, text := range e.Addresses {
		address, err := netip.ParseAddr(text)
		for _, port := range e.Ports {
			if err == nil && port > 0 && port <= math.MaxUint16 {
				all = append(all, netip.AddrPortFrom(address, uint16(port)).String())
			}
		}
	}
	return all
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
	// Demand is for which mark the probe was told to look.
	Demand witness.Demand `json:"demand"`
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
	// Pods are all pods of the namespace, and PodsBefore what they were before the ends
	// of Services were asked for: one may be made anew meanwhile.
	Pods       Fetched[[]Pod] `json:"pods"`
	PodsBefore Fetched[[]Pod] `json:"podsBefore"`
	// Objects are those of the record, KIND/NAME, as they exist; null is one that does
	// not. Endpoints are the ends of Services, by name.
	Objects   map[string]Fetched[json.RawMessage] `json:"objects"`
	Endpoints map[string]Fetched[[]Endpoint]      `json:"endpoints"`
	// Full means that the volumes were to be read from outside the enclaves, too: Volumes is
	// what a reader there wrote, by the name of the claim.
	Full    bool                       `json:"full,omitempty"`
	Volumes map[string]Fetched[[]byte] `json:"volumes,omitempty"`
	// Statement is the signed envelope that the probe printed. Of several databases each has
	// one, in Statements, by the name of the instance; those are all of one nonce.
	Statement  Fetched[[]byte]            `json:"statement"`
	Statements map[string]Fetched[[]byte] `json:"statements,omitempty"`
}
