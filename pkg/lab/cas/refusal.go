package cas

import (
	"errors"
	"strings"
)

// refusal is an answer that the peer may see, outermost message first.
type refusal struct {
	status   int // of HTTP
	messages []string
}

func (r *refusal) Error() string { return strings.Join(r.messages, ": ") }

func refuse(status int, messages ...string) *refusal { return &refusal{status, messages} }

// refused are the messages for a peer. What is not a refusal is a fault of this
// CAS, of which the peer learns nothing.
func refused(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	return refuse(500, "Internal error of CAS")
}
