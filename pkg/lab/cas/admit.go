package cas

import (
	"fmt"
	"slices"

	"github.com/confidb/confidb/pkg/lab/enclave"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
)

// attested is a verified quote, or why it is not one.
type attested struct {
	*sgx.Result
	err error
}

// configure gives an enclave what it needs to be a service of a session.
func (t *transaction) configure(name, serviceName string, quote attested) (*enclave.Configuration, error) {
	p, service, err := t.proven(name, serviceName, quote)
	if err != nil {
		return nil, err
	}
	out, err := t.configuration(p, service)
	if err != nil {
		return nil, notConfigured(err.Error())
	}
	return out, nil
}

// proven decides whether an enclave may be a service of a session.
func (t *transaction) proven(name, serviceName string, quote attested) (place, session.Service, error) {
	p, exists := t.newest(name)
	mode := ""
	if exists {
		mode = t.at(p).parsed.Security.Mode
	}
	// Only a session that exists can do without attestation; whoever proves
	// nothing does not even learn which sessions there are.
	switch {
	case mode != modeNone && quote.err != nil:
		return p, session.Service{}, quote.err
	case !exists:
		return p, session.Service{}, notConfigured(fmt.Sprintf("Session '%s' does not exist", name))
	case mode == modeMAA:
		return p, session.Service{}, notConfigured("Attestation mode maa is not supported by this CAS")
	}
	service, err := t.admitted(p, serviceName, quote.Result)
	return p, service, err
}

// admitted returns the service when its session accepts the enclave for it.
func (t *transaction) admitted(p place, name string, r *sgx.Result) (session.Service, error) {
	s := t.at(p).parsed
	attests := s.Security.Mode != modeNone
	if attests {
		if err := appraise(s, r); err != nil {
			return session.Service{}, err
		}
	}
	i := slices.IndexFunc(s.Services, func(v session.Service) bool { return v.Name == name })
	if i < 0 {
		return session.Service{}, notConfigured(fmt.Sprintf("Service '%s' does not exist in session '%s'", name, s.Name))
	}
	if attests {
		if err := admitsService(s.Services[i], r); err != nil {
			return session.Service{}, err
		}
	}
	return s.Services[i], nil
}
