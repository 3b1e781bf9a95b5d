package keeper

import (
	"context"
	"errors"
	"time"
)

// outcastKind asks a keeper whether the member that is named under From is an outcast.
const outcastKind = "confidb.outcast/v1"

// outcastEach is the time from one question to the next.
const outcastEach = 3 * time.Second

// outcast names the member that was the primary, and was away from the others, stalled or
// behind a network that was cut, while another one became it; empty if there is none. Its
// commits wait for ever, and so does MaxScale, which tries to make it read-only. No statement
// ends that without acknowledging or keeping what nobody else has: it has to be killed, which
// loses nothing, and what it alone has is cut off when it starts.
func outcast(v View) (name string) {
	if !v.Monitor.Primary || v.Lasted < settled {
		return ""
	}
	followed := 0
	for _, s := range v.Servers {
		switch {
		case s.Err != nil || s.ReadOnly:
		case acknowledgedTo(v, s):
			followed++
		case s.Waits > 0 && name != "":
			return "" // two of them: it is not clear what goes on
		case s.Waits > 0:
			name = s.Name
		}
	}
	if followed != 1 {
		return ""
	}
	return name
}

// acknowledgedTo reports whether a member follows a server and acknowledges what it makes.
func acknowledgedTo(v View, s Server) bool {
	for _, other := range v.Servers {
		if other.Err == nil && other.ReadOnly && other.Connected && other.Acknowledges && other.Follows == uint32(s.Ordinal+1) {
			return true
		}
	}
	return false
}

// isOutcast answers whether a member is one, as the last round saw it.
func (k *Keeper) isOutcast(member string) answer {
	if last := k.outcast.Load(); last != nil && *last != "" && *last == member {
		return answer{Result: done, Why: "another member is written to in its place, and nobody acknowledges what it makes"}
	}
	return answer{Result: refused, Why: "it is not known to be one"}
}

// watch is the service `watch` of a member: it returns nil if the member's server must be
// killed, as it is an outcast.
func (p *program) watch(ctx context.Context) error {
	r, cluster, err := p.requester("peer")
	if err != nil {
		return err
	}
	if _, err := cluster.self(); err != nil {
		return err
	}
	return r.awaitOutcast(ctx, cluster.Self)
}

// awaitOutcast asks all keepers until one of them says that a member is an outcast. One that
// cannot be reached says nothing.
func (r requester) awaitOutcast(ctx context.Context, member string) error {
	for {
		for _, at := range r.keepers {
			var said answer
			err := exchange(ctx, at.address, at.secure, request{Kind: outcastKind, From: member}, &said, answerTime)
			if err == nil && said.Kind == answerKind && said.Result == done {
				return nil
			}
		}
		if err := r.wait(ctx, outcastEach); err != nil {
			return errors.Join(errors.New("no keeper has called it an outcast"), err)
		}
	}
}
