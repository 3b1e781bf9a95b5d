package keeper

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/check"
)

const (
	requestKind = "confidb.primary/v1"
	answerKind  = "confidb.primary-answer/v1"
	// changeTime bounds a change of the primary, from the request to the answer.
	changeTime = 25 * time.Second
	// maxLag is by how many transactions a replica may be behind that is made the primary.
	maxLag = 1000
)

// request asks a keeper that another member is written to.
type request struct {
	Kind string `json:"kind"`
	// To is the name of the member that shall be written to; empty is any.
	To string `json:"to"`
	// From is the name of a member that must not be written to afterwards; empty is none.
	From string `json:"from"`
}

// outcome is what became of a request.
type outcome string

const (
	done    outcome = "done"    // it is as asked
	notMe   outcome = "not-me"  // another MaxScale holds the locks
	refused outcome = "refused" // it must not be done
	failed  outcome = "failed"  // it could not be done, or it is not known
)

// answer is what a keeper says to a request.
type answer struct {
	Kind   string  `json:"kind"`
	Result outcome `json:"outcome"`
	// Primary is the name of the member that is written to now, if that is known.
	Primary string `json:"primary"`
	Why     string `json:"why"`
}

// answer reads a request from a peer that proved who it is, and does what it asks.
func (k *Keeper) answer(ctx context.Context, conn net.Conn) error {
	var asked request
	if err := receive(conn, &asked); err != nil {
		return err
	}
	said := answer{Result: refused, Why: "another kind of request"}
	switch asked.Kind {
	case outcastKind:
		said = k.isOutcast(asked.From)
	case requestKind:
		k.Say(fmt.Sprintf("asked for a primary: to %q, from %q", check.Said(asked.To), check.Said(asked.From)))
		said = k.change(ctx, asked)
		k.Say(fmt.Sprintf("%s: %s %s", said.Result, said.Primary, said.Why))
	}
	said.Kind, said.Why = answerKind, cut(said.Why, maxMessage/3)
	return send(conn, said)
}

func cut(text string, most int) string { return strings.ToValidUTF8(text[:min(len(text), most)], "") }

// change makes another member the primary, if that is needed, and looks at what has become of
// it. No round of the keeper is carried out meanwhile.
func (k *Keeper) change(ctx context.Context, asked request) answer {
	k.working.Lock()
	defer k.working.Unlock()
	v, err := k.look(ctx)
	switch {
	case err != nil:
		return answer{Result: failed, Why: check.Said(err.Error())}
	case !v.Monitor.Primary:
		return answer{Result: notMe, Why: "another MaxScale acts"}
	}
	from, to, why := target(v, asked)
	switch {
	case why != "":
		return answer{Result: refused, Primary: from, Why: why}
	case to == from:
		return k.confirm(ctx, asked)
	}
	if err := k.MaxScale.Switchover(ctx, to, from); err != nil {
		return answer{Result: failed, Why: check.Said(err.Error())}
	}
	return k.confirm(ctx, request{To: to, From: asked.From})
}

// target says which member is written to, and which one shall be; or why none may.
func target(v View, asked request) (from, to, why string) {
	var primary *Server
	for i := range v.Servers {
		if s := &v.Servers[i]; s.Err == nil && !s.ReadOnly {
			if primary != nil {
				return "", "", "more than one member is written to"
			}
			primary = s
		}
	}
	if primary == nil {
		return "", "", "no member is written to"
	}
	from = primary.Name
	if asked.To == from && asked.From == from {
		return from, "", "to and from the same member"
	}
	if asked.To == from || asked.To == "" && asked.From != "" && asked.From != from {
		return from, from, ""
	}
	best := -1
	for i, s := range v.Servers {
		lacks := unfit(s, *primary)
		switch {
		case asked.To == s.Name && lacks != "":
			return from, "", lacks
		case lacks != "" || asked.To != "" && asked.To != s.Name || s.Name == asked.From:
			continue
		case best < 0 || s.Head.Number > v.Servers[best].Head.Number:
			best = i
		}
	}
	if best < 0 {
		return from, "", "no member can take its place"
	}
	return from, v.Servers[best].Name, ""
}

// unfit says why a member cannot take the place of the primary; nothing if it can.
func unfit(s, primary Server) string {
	switch {
	case s.Err != nil:
		return s.Name + " does not answer: " + check.Said(s.Err.Error())
	case !s.ReadOnly:
		return s.Name + " is written to"
	case !s.Replica || !s.Connected || !s.Applying:
		return s.Name + " does not replicate"
	case s.SemiSync || !s.Acknowledges:
		return s.Name + " does not acknowledge what it receives"
	case s.Head.Number+maxLag < primary.Head.Number:
		return fmt.Sprintf("%s is at %v, and %s at %v", s.Name, s.Head, primary.Name, primary.Head)
	}
	return ""
}

// confirm looks whether what was asked for is so: who left is not written to, and none of its
// commits waits.
func (k *Keeper) confirm(ctx context.Context, asked request) answer {
	v, err := k.look(ctx)
	if err != nil {
		return answer{Result: failed, Why: check.Said(err.Error())}
	}
	said := answer{Result: done}
	for _, s := range v.Servers {
		switch {
		case s.Err != nil && (s.Name == asked.From || s.Name == asked.To):
			err = fmt.Errorf("%s does not answer", s.Name)
		case s.Err == nil && !s.ReadOnly && said.Primary != "":
			err = errors.New("more than one member is written to")
		case s.Err == nil && !s.ReadOnly:
			said.Primary = s.Name
		}
		if s.Name == asked.From && s.Waits > 0 {
			err = fmt.Errorf("%s has commits that wait", s.Name)
		}
	}
	switch {
	case err != nil:
	case said.Primary == "" || asked.To != "" && said.Primary != asked.To || said.Primary == asked.From:
		err = fmt.Errorf("the primary is %q", said.Primary)
	default:
		return said
	}
	said.Result, said.Why = failed, err.Error()
	return said
}

// asker is who asks keepers.
type requester struct {
	// keepers are all that may be there; each has its address and the name that it must prove.
	keepers []keeperAt
	wait    func(context.Context, time.Duration) error
}

// ask asks one keeper after the other until one has an answer of its own. Which of them acts
// may just change, so it goes round until ctx is done.
func (r requester) ask(ctx context.Context, asked request) (answer, error) {
	asked.Kind = requestKind
	for {
		why := errors.New("no keeper holds the locks")
		for _, at := range r.keepers {
			var said answer
			if err := exchange(ctx, at.address, at.secure, asked, &said, changeTime); err != nil {
				why = fmt.Errorf("%s: %w", at.address, err)
				continue
			}
			switch {
			case said.Kind != answerKind:
				why = fmt.Errorf("%s: another kind of answer", at.address)
			case said.Result == done || said.Result == refused || said.Result == failed:
				return said, nil
			}
		}
		if err := r.wait(ctx, interval); err != nil {
			return answer{}, fmt.Errorf("asking the keepers: %w", why)
		}
	}
}
