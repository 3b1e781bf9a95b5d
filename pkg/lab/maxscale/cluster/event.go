package cluster

import "fmt"

// Level is that of a line of the log.
type Level string

// The levels that occur.
const (
	Notice  Level = "notice"
	Warning Level = "warning"
	Error   Level = "error"
)

// changes are the lines about servers whose state is another.
func changes(old, next Memory) []Event {
	var events []Event
	for _, k := range next.Servers {
		before := old.Server(k.Name)
		if before == nil {
			before = &Known{}
			if k.Bits&Running == 0 {
				events = append(events, unreachable(k))
			}
		}
		if before.Bits == k.Bits {
			continue
		}
		if before.Bits&Running != 0 && k.Bits&Running == 0 {
			events = append(events, unreachable(k))
		}
		name := changeName(before.Bits, k.Bits)
		if name == "" {
			continue
		}
		events = append(events, Event{Level: Notice, Server: k.Name, Name: name, Text: fmt.Sprintf("Server changed state: %s: %s. [%s] -> [%s]%s",
			k.place(), name, before.Bits.Text(0), k.Bits.Text(0), k.why(name))})
	}
	return events
}

func unreachable(k Known) Event {
	return Event{Level: Error, Server: k.Name, Text: fmt.Sprintf("Monitor was unable to connect to server %s : '%s'", k.place(), k.Problem)}
}

// place is a server as the log names it.
func (k Known) place() string { return fmt.Sprintf("%s[%s:%d]", k.Name, k.Host, k.Port) }

// why adds the replication's own error to the loss of a replica.
func (k Known) why(name string) string {
	if name != "lost_slave" {
		return ""
	}
	for _, c := range k.Slaves {
		if c.LastIOError != "" {
			return ". IO Error: " + c.LastIOError
		}
		if c.LastSQError != "" {
			return ". SQL Error: " + c.LastSQError
		}
	}
	return ""
}

// changeName is the name of a change of state ("Script Events" of MaxScale's documentation),
// or empty if it has none.
func changeName(before, after Bits) string {
	was, is := before&Running != 0, after&Running != 0
	switch {
	case was && !is:
		return role(before) + "_down"
	case !was && is:
		return role(after) + "_up"
	case !is:
		return ""
	}
	for _, r := range []struct {
		bit  Bits
		name string
	}{{Master, "master"}, {Slave, "slave"}, {Relay, "relay"}} {
		switch gained, lost := after&^before&r.bit != 0, before&^after&r.bit != 0; {
		case gained:
			return "new_" + r.name
		case lost && after&(Master|Slave) == 0:
			return "lost_" + r.name
		}
	}
	return ""
}

func role(b Bits) string {
	switch {
	case b&Master != 0:
		return "master"
	case b&Relay != 0:
		return "relay"
	case b&Slave != 0:
		return "slave"
	}
	return "server"
}
