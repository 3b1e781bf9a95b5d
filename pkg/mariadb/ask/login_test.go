package ask

import "testing"

// A login that is refused while others verify is no stranger; whoever is in, is.
func TestNotYetSomebody(t *testing.T) {
	for _, c := range []struct {
		user, command, state string
		want                 bool
	}{
		{"unauthenticated user", "Connect", "Reading from net", true},
		{"nobody", "Connect", "login", true},
		{"nobody", "Connect", "Writing to net", true},
		{"nobody", "Connect", "", true},
		{"nobody", "Killed", "login", true},
		{"nobody", "Busy", "login", true},
		{"system user", "Connect", "Waiting for master to send event", false},
		{"dropped", "Sleep", "", false},
		{"dropped", "Query", "login", false},
		{"dropped", "Killed", "Unlocking tables", false},
		{"dropped", "Busy", "", false},
		{"dropped", "Change user", "login", false},
		{"dropped", "Change user", "Reading from net", false},
		{"repl", "Binlog Dump", "login", false},
	} {
		if got := notYetSomebody(c.user, c.command, c.state); got != c.want {
			t.Errorf("%q, %q, %q: got %t", c.user, c.command, c.state, got)
		}
	}
}
