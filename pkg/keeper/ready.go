package keeper

import (
	"fmt"
	"net"

	"github.com/confidb/confidb/pkg/check"
)

// readyPort is open while what is written to the cluster is kept.
const readyPort = "8991"

// keeps reports whether what is written is kept: one member is written to and waits until a
// second one has it, and there is one that is connected and says so.
func keeps(v View) bool {
	written, following := 0, 0
	for _, s := range v.Servers {
		switch {
		case s.Err != nil:
		case !s.ReadOnly && !s.SemiSync:
			return false
		case !s.ReadOnly:
			written++
		case s.Connected && s.Acknowledges:
			following++
		}
	}
	return written == 1 && following > 0
}

// door is a port that is open as long as something is so. Whoever connects learns that, and
// no more: whether a pod is ready is asked without a certificate.
type door struct {
	// listen opens the port; nil means that there is none.
	listen func() (net.Listener, error)
	opened net.Listener
}

func (d *door) set(open bool, say func(text string)) {
	if d.listen == nil || open == (d.opened != nil) {
		return
	}
	if !open {
		_ = d.opened.Close()
		d.opened = nil
		return
	}
	listener, err := d.listen()
	if err != nil {
		say(fmt.Sprintf("saying that the cluster is ready: %s", check.Said(err.Error())))
		return
	}
	d.opened = listener
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // it was closed
			}
			_ = conn.Close()
		}
	}()
}
