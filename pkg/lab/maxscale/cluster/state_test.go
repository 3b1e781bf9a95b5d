package cluster

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestStatesArePrinted(t *testing.T) {
	for _, c := range []struct {
		bits     Bits
		sessions int
		want     string
	}{
		{0, 0, "Down"},
		{Running, 0, "Running"},
		{Running | Master, 0, "Master, Running"},
		{Running | Slave, 3, "Slave, Running"},
		{Running | Slave | Relay, 0, "Relay Master, Slave, Running"},
		{Running | Drain, 1, "Draining, Running"},
		{Running | Drain, 0, "Drained, Running"},
		{Running | Drain | Slave, 0, "Drained, Slave, Running"},
		{Running | Maintenance, 0, "Maintenance, Running"},
		{Running | AuthError, 0, "Auth Error, Running"},
		{Running | AuthError | Slave, 0, "Slave, Auth Error, Running"},
	} {
		if got := c.bits.Text(c.sessions); got != c.want {
			t.Errorf("%b with %d sessions is %q, want %q", c.bits, c.sessions, got, c.want)
		}
	}
}

func TestPositions(t *testing.T) {
	for _, c := range []struct {
		a, b   string
		within bool
	}{
		{"", "", true}, {"", "0-1-1", true}, {"0-1-1", "", false},
		{"0-2-2122", "0-1-2122", true}, // who wrote it is not looked at
		{"0-2-2319", "0-2-2317", false},
		{"0-1-5,1-1-1", "0-1-9", false}, {"0-1-5", "0-1-9,1-1-1", true}, {"1-1-1,0-1-5", "0-1-5,1-1-1", true},
	} {
		a, err := ParsePosition(c.a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ParsePosition(c.b)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Within(b); got != c.within {
			t.Errorf("%q within %q is %v", c.a, c.b, got)
		}
		if again, err := ParsePosition(a.String()); err != nil || !slices.Equal(again, a) {
			t.Errorf("%q is read as %q, %v", a, again, err)
		}
	}
	for _, broken := range []string{"0-1", "0-1-x", "0-1-1-1", "-1-1-1", "0-1-1;", "4294967296-1-1"} {
		if p, err := ParsePosition(broken); err == nil {
			t.Errorf("%q is read as %q", broken, p)
		}
	}
}

// randomRows are what servers might say: any of them down, read-only, replicating from any, in
// circles too.
func randomRows(r *rand.Rand, n int) []Status {
	names := []string{"a", "b", "c", "d"}[:n]
	var rows []Status
	for i, name := range names {
		s := Status{Name: name, Host: "h", Port: i, ServerID: uint32(i + 1), Answered: r.IntN(5) > 0, ReadOnly: r.IntN(2) > 0, Own: uint64(i + 1), MasterLock: uint64(r.IntN(3)) * 50}
		if !s.Answered && r.IntN(3) == 0 {
			s.Denied = true
		} else if !s.Answered {
			s.Own = 0
		}
		if to := r.IntN(n + 2); to < n {
			threads := []string{"Yes", "No", "Connecting"}
			s.Slaves = []SlaveConnection{{MasterHost: "h", MasterPort: to, MasterServerID: uint32(to + 1), IORunning: threads[r.IntN(3)], SQLRunning: threads[r.IntN(2)]}}
		}
		rows = append(rows, s)
	}
	return rows
}

func TestJudgementsHold(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	masters := 0
	for range 1000 {
		n := 1 + r.IntN(4)
		memory := Memory{}
		for range 12 {
			in := Input{Rows: randomRows(r, n), Failcount: 2, Locks: r.IntN(2) > 0, Holder: r.IntN(2) > 0, Manual: map[string]Bits{"a": []Bits{0, 0, 0, Maintenance, Drain}[r.IntN(5)]}}
			before := memory.clone()
			next, _ := Judge(memory, in)
			if again, _ := Judge(before, in); !same(again, next) {
				t.Fatal("the same judgement is another one")
			}
			memory = next
			masters += judged(t, memory, in)
		}
	}
	if masters < 300 {
		t.Errorf("%d primaries in all: the rows are too wild to say anything", masters)
	}
}

// judged looks at one judgement, and returns how many servers are Master.
func judged(t *testing.T, m Memory, in Input) (masters int) {
	t.Helper()
	for i, k := range m.Servers {
		row := in.Rows[i]
		if k.Bits&Running != 0 != (row.Answered || row.Denied && row.Own != 0) {
			t.Fatalf("%+v is %s", row, k.Bits.Text(0))
		}
		if k.Bits&(Master|Slave) == Master|Slave || k.Bits&Relay != 0 && k.Bits&Slave == 0 || k.Bits&Running == 0 && k.Bits&(Master|Slave|Relay) != 0 {
			t.Fatalf("%s is %s", k.Name, k.Bits.Text(0))
		}
		if k.Bits&Master == 0 {
			continue
		}
		masters++
		switch {
		case k.Name != m.Primary, row.ReadOnly, row.Denied, k.Bits&Maintenance != 0:
			t.Fatalf("%+v is Master", row)
		case in.Locks && !in.Holder && (row.MasterLock == 0 || row.MasterLock == row.Own):
			t.Fatalf("%+v is Master without the lock of the holder", row)
		}
	}
	if masters > 1 {
		t.Fatalf("%d servers are Master", masters)
	}
	return masters
}

func same(a, b Memory) bool {
	return a.Primary == b.Primary && slices.EqualFunc(a.Servers, b.Servers, func(x, y Known) bool { return x.Bits == y.Bits && x.Down == y.Down })
}

func TestPrimaryIsChosen(t *testing.T) {
	row := func(name string, port int, readOnly bool, master int) Status {
		s := Status{Name: name, Host: "h", Port: port, ServerID: uint32(port), Answered: true, Own: 1, ReadOnly: readOnly}
		if master > 0 {
			s.Slaves = []SlaveConnection{{MasterHost: "h", MasterPort: master, IORunning: "Yes", SQLRunning: "Yes"}}
		}
		return s
	}
	for name, c := range map[string]struct {
		rows []Status
		want []string
	}{
		"most replicas":          {[]Status{row("a", 1, false, 0), row("b", 2, false, 0), row("c", 3, true, 2)}, []string{"Running", "Master, Running", "Slave, Running"}},
		"the first of two":       {[]Status{row("a", 1, false, 0), row("b", 2, false, 0)}, []string{"Master, Running", "Running"}},
		"not a writable replica": {[]Status{row("a", 1, false, 2), row("b", 2, false, 0)}, []string{"Slave, Running", "Master, Running"}},
		"none of read-only ones": {[]Status{row("a", 1, true, 0), row("b", 2, true, 1)}, []string{"Running", "Running"}},
		"layers":                 {[]Status{row("a", 1, false, 0), row("b", 2, true, 1), row("c", 3, true, 2)}, []string{"Master, Running", "Relay Master, Slave, Running", "Slave, Running"}},
		"a circle is nobody's":   {[]Status{row("a", 1, false, 2), row("b", 2, false, 1)}, []string{"Running", "Running"}},
	} {
		m, _ := Judge(Memory{}, Input{Rows: c.rows, Failcount: 3})
		var got []string
		for _, k := range m.Servers {
			got = append(got, k.Bits.Text(0))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestChangesHaveNames(t *testing.T) {
	for _, c := range []struct {
		before, after Bits
		want          string
	}{
		{Running | Master, 0, "master_down"}, {Running | Slave, 0, "slave_down"}, {Running, 0, "server_down"},
		{0, Running | Master, "master_up"}, {0, Running | Slave, "slave_up"}, {0, Running, "server_up"},
		{Running | Slave, Running | Master, "new_master"}, {Running, Running | Slave, "new_slave"},
		{Running | Slave, Running, "lost_slave"}, {Running | Master, Running, "lost_master"},
		{Running | Master, Running | Slave, "new_slave"}, {Running, Running | Drain, ""}, {0, Maintenance, ""},
	} {
		if got := changeName(c.before, c.after); got != c.want {
			t.Errorf("%s to %s is %q, want %q", c.before.Text(0), c.after.Text(0), got, c.want)
		}
	}
}
