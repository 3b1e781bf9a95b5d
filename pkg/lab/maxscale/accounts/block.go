package accounts

import (
	"net/netip"
	"sync"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// Blocker refuses addresses from which too many logins have failed: whoever asks from
// there, and whatever the user is called. It is safe for concurrent use.
type Blocker struct {
	// Most is how many logins may fail. Zero means any number.
	Most int
	// Now is the clock. It must be set.
	Now func() time.Time

	guard  sync.Mutex
	failed map[netip.Addr]failures
}

type failures struct {
	n    int
	last time.Time
}

// blocked is for how long (measured).
const blocked = time.Minute

// Blocked returns the error for an address that is refused, or nil.
func (b *Blocker) Blocked(from netip.Addr) *wire.Error {
	b.guard.Lock()
	defer b.guard.Unlock()
	from = from.Unmap()
	f := b.failed[from]
	if b.Most == 0 || f.n < b.Most {
		return nil
	}
	if b.Now().Sub(f.last) >= blocked {
		delete(b.failed, from)
		return nil
	}
	return wire.NewError(1129, "HY000", "Host '%s' is temporarily blocked due to too many authentication failures.", from)
}

// Failed counts a login that failed. A login that succeeds takes none back: whether it does
// is not measured, and this is what hinders a client more.
func (b *Blocker) Failed(from netip.Addr) {
	b.guard.Lock()
	defer b.guard.Unlock()
	if b.failed == nil {
		b.failed = map[netip.Addr]failures{}
	}
	f := b.failed[from.Unmap()]
	b.failed[from.Unmap()] = failures{f.n + 1, b.Now()}
}
