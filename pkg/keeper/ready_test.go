package keeper

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

func TestWhatIsWrittenIsKept(t *testing.T) {
	primary, replica := Server{SemiSync: true}, Server{ReadOnly: true, Replica: true, Connected: true, Acknowledges: true}
	without := func(change func(*Server)) Server { s := replica; change(&s); return s }
	away, waiting := Server{Err: errors.New("away")}, Server{ReadOnly: true}
	for name, c := range map[string]struct {
		servers []Server
		want    bool
	}{
		"all there":                    {[]Server{primary, replica, replica}, true},
		"one is away":                  {[]Server{primary, replica, away}, true},
		"nobody follows":               {[]Server{primary, waiting, away}, false},
		"nobody acknowledges":          {[]Server{primary, without(func(s *Server) { s.Acknowledges = false })}, false},
		"nobody is connected":          {[]Server{primary, without(func(s *Server) { s.Connected = false })}, false},
		"it does not wait":             {[]Server{{}, replica, replica}, false},
		"two are written to":           {[]Server{primary, primary, replica}, false},
		"another one that waits not":   {[]Server{primary, {}, replica}, false},
		"none is written to":           {[]Server{replica, replica, replica}, false},
		"nothing is known of any":      {[]Server{away, away, away}, false},
		"there are none":               {nil, false},
		"the primary is not reachable": {[]Server{away, replica, replica}, false},
	} {
		if got := keeps(View{Servers: c.servers}); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// The port takes connections exactly while it is open, and may be opened again.
func TestTheDoor(t *testing.T) {
	port := hold(t)
	d := door{listen: func() (net.Listener, error) { return net.Listen("tcp", port.Address()) }}
	var said []string
	for _, open := range []bool{false, true, true, false, false, true, false} {
		d.set(open, func(text string) { said = append(said, text) })
		conn, err := net.DialTimeout("tcp", port.Address(), 5*time.Second)
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != open {
			t.Errorf("open %v: got %v", open, err)
		}
	}
	d.listen = func() (net.Listener, error) { return nil, errors.New("no port") }
	d.set(true, func(text string) { said = append(said, text) })
	if len(said) != 1 || !strings.Contains(said[0], "no port") || d.opened != nil {
		t.Errorf("got %q, open %v, want one line of why it is not open", said, d.opened != nil)
	}
}
