package keeper

import (
	"context"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestMembers tries three real servers, one after the other: a cluster is expensive.
func TestMembers(t *testing.T) {
	c, err := startCluster()
	if c != nil {
		defer c.stop()
	}
	if err != nil {
		t.Fatal(err)
	}
	c.open(t, 0)
	c.follow(t, 1, 0)
	c.follow(t, 2, 0)
	c.awaitClients(t, 0, 2)
	c.run(t, 0, "CREATE TABLE app.ledger (id INT PRIMARY KEY) ENGINE=InnoDB")
	c.awaitEqual(t, "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME = 'ledger'")
	for _, step := range []struct {
		name string
		try  func(*testing.T, *cluster)
	}{
		{"a cold start loses nothing", testCold},
		{"a start of all as replicas loses commits", testAllAsReplicas},
		{"an old primary beside a new one", testOldPrimary},
		{"a cold start without the old primary", testWithoutOldPrimary},
		{"a primary that was away for a moment", testQuickRestart},
		{"semi-sync", testSemiSync},
		{"what a gate sees", testSights},
		{"a change that is asked for", testChange},
		{"beside MaxScale", testBesideMaxScale},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.try(t, c) }) {
			return // the next step begins with a whole cluster
		}
	}
}

// cut ends all members right after the last of 20 commits was acknowledged, which the
// replicas have received and not applied. What they applied before is flushed: as replicas
// they would give it up too, and receive it no more (TestGap).
func (c *cluster) cut(t *testing.T, primary, from int) (acknowledged []int) {
	t.Helper()
	for i := range c.servers {
		if i != primary {
			c.run(t, i, "STOP SLAVE SQL_THREAD", "FLUSH LOCAL ENGINE LOGS")
		}
	}
	acknowledged = c.ledger(t, primary, from, 20)
	c.kill(0, 1, 2)
	return acknowledged
}

// testCold: the keeper opens whoever has all.
func testCold(t *testing.T, c *cluster) {
	acknowledged := c.cut(t, 0, 100)
	c.start(t, []int{0, 1, 2})
	if missing := c.missing(t, 0, acknowledged); len(missing) > 0 {
		t.Errorf("the old primary lacks %v", missing)
	}
	primary := c.elect(t)
	if missing := c.missing(t, primary, acknowledged); len(missing) > 0 {
		t.Errorf("member %d is written to, and lacks %v", primary, missing)
	}
	c.switchTo(t, primary, 0)
}

// testAllAsReplicas shows why a member is told late only beside one that is written to: what
// was acknowledged last is prepared in the tables of the old primary, and truncated. It is
// then in the relay log of a replica, where the keeper finds it.
func testAllAsReplicas(t *testing.T, c *cluster) {
	for from := 200; ; from += 100 {
		acknowledged := c.cut(t, 0, from)
		c.start(t, []int{0, 1, 2}, slave)
		lost := len(c.missing(t, 0, acknowledged)) > 0
		primary := c.elect(t)
		if missing := c.missing(t, primary, acknowledged); len(missing) > 0 {
			t.Errorf("member %d is written to, and lacks %v", primary, missing)
		}
		c.switchTo(t, primary, 0)
		if lost {
			return
		}
		if from > 600 {
			t.Fatal("no acknowledged commit is lost: then no gate is needed")
		}
	}
}

// testOldPrimary kills a primary with a commit that nobody acknowledged.
func testOldPrimary(t *testing.T, c *cluster) {
	acknowledged := c.ledger(t, 0, 1000, 5)
	c.awaitEqual(t, "SELECT COUNT(*) FROM app.ledger")
	c.run(t, 1, "STOP SLAVE IO_THREAD")
	c.run(t, 2, "STOP SLAVE IO_THREAD")
	writer, ended := c.servers[0].Admin, make(chan error)
	go func() {
		_, err := writer.Query(context.Background(), "INSERT INTO app.ledger VALUES (1999)")
		ended <- err
	}()
	c.await(t, "a commit that waits", func() bool { return c.waits(t, 0) })
	c.servers[0].Down(syscall.SIGKILL)
	if <-ended == nil {
		t.Fatal("the commit was acknowledged")
	}
	c.open(t, 1)
	c.follow(t, 2, 1)
	c.awaitClients(t, 1, 1)
	acknowledged = append(acknowledged, c.ledger(t, 1, 2000, 5)...)
	c.keep(t, 0)
	t.Run("that gives up nothing", func(t *testing.T) {
		c.start(t, []int{0})
		c.follow(t, 0, 1)
		c.await(t, "an error", func() bool {
			return c.value(t, 0, "SHOW SLAVE STATUS", "Last_IO_Errno") == "1236" || c.value(t, 0, "SHOW SLAVE STATUS", "Last_SQL_Errno") == "1950"
		})
		c.kill(0)
	})
	t.Run("that is late", func(t *testing.T) {
		c.putBack(t, 0)
		c.start(t, []int{0}, slave)
		c.follow(t, 0, 1)
		c.awaitClients(t, 1, 2)
		c.awaitEqual(t, "SELECT COUNT(*) FROM app.ledger")
		if missing := c.missing(t, 0, acknowledged); len(missing) > 0 {
			t.Errorf("it lacks %v", missing)
		}
		if len(c.missing(t, 0, []int{1999})) == 0 {
			t.Error("it has what nobody acknowledged")
		}
	})
	c.switchTo(t, 1, 0)
}

// waits reports whether a primary has a commit that waits for its acknowledgement.
func (c *cluster) waits(t *testing.T, primary int) bool {
	t.Helper()
	login := c.login(t, primary, mariadbAccount, "confidb-verify")
	return c.ask(t, login, "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_wait_sessions'") == "1"
}

// keep copies the files of a server that is down, and putBack gives them back.
func (c *cluster) keep(t *testing.T, i int) {
	t.Helper()
	c.copyLog(t, c.logs[i]+"/ib_logfile0", c.logs[i]+"/kept", i)
	if err := c.servers[i].Save("kept"); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) putBack(t *testing.T, i int) {
	t.Helper()
	c.copyLog(t, c.logs[i]+"/kept", c.logs[i]+"/ib_logfile0", i)
	if err := c.servers[i].PutBack("kept"); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) copyLog(t *testing.T, from, to string, i int) {
	t.Helper()
	log, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, log, 0o600)
	}
	if err == nil {
		err = c.servers[i].Own(to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// testWithoutOldPrimary: what the replicas received before they were killed is all that there
// is of the last commits.
func testWithoutOldPrimary(t *testing.T, c *cluster) {
	acknowledged := c.cut(t, 0, 3000)
	c.start(t, []int{1, 2})
	k, _ := c.keeper(t)
	primary := -1
	c.await(t, "one that is written to", func() bool {
		k.Round(t.Context())
		for _, i := range []int{1, 2} {
			if c.value(t, i, "SELECT @@read_only", "") == "0" {
				primary = i
			}
		}
		return primary > 0
	})
	if missing := c.missing(t, primary, acknowledged); len(missing) > 0 {
		t.Errorf("member %d is written to, and lacks %v", primary, missing)
	}
	c.follow(t, 3-primary, primary)
	c.start(t, []int{0}, slave)
	c.follow(t, 0, primary)
	c.awaitClients(t, primary, 2)
	c.awaitEqual(t, "SELECT COUNT(*) FROM app.ledger")
	c.switchTo(t, primary, 0)
}

// testQuickRestart: MaxScale does not fail over, and finds no primary for ever.
func testQuickRestart(t *testing.T, c *cluster) {
	acknowledged := c.ledger(t, 0, 4000, 5)
	c.kill(0)
	c.start(t, []int{0})
	k, beside := c.keeper(t)
	beside.of.Primary = false
	for range failedOver + 1 {
		k.Round(t.Context())
	}
	if primary := c.written(t); primary >= 0 {
		t.Errorf("member %d is written to, and MaxScale has no locks", primary)
	}
	primary := c.elect(t)
	if missing := c.missing(t, primary, acknowledged); len(missing) > 0 {
		t.Errorf("member %d is written to, and lacks %v", primary, missing)
	}
	c.switchTo(t, primary, 0)
}

// fickle is a MaxScale that loses its locks after it was asked a few times.
type fickle struct {
	steady
	left int
}

func (m *fickle) Monitor(ctx context.Context) (Monitor, error) {
	m.left--
	m.of.Primary = m.left >= 0
	return m.steady.Monitor(ctx)
}

// testSemiSync: it is on where a member is written to, and off elsewhere.
func testSemiSync(t *testing.T, c *cluster) {
	k, beside := c.keeper(t)
	c.run(t, 0, "SET GLOBAL rpl_semi_sync_master_enabled=0")
	c.run(t, 2, "SET GLOBAL rpl_semi_sync_master_enabled=1")
	k.MaxScale = &fickle{steady: steady{of: beside.of}, left: 1}
	k.Round(t.Context())
	if c.value(t, 0, "SELECT @@rpl_semi_sync_master_enabled", "") != "0" {
		t.Error("a keeper acts whose MaxScale has lost its locks")
	}
	k.MaxScale = beside
	k.Round(t.Context())
	if c.value(t, 0, "SELECT @@rpl_semi_sync_master_enabled", "") != "1" {
		t.Error("the primary does not wait for acknowledgements after one round")
	}
	for range settled + 1 {
		k.Round(t.Context())
	}
	if c.value(t, 2, "SELECT @@rpl_semi_sync_master_enabled", "") != "0" {
		t.Error("a replica waits for acknowledgements")
	}
	if c.written(t) != 0 {
		t.Error("another member is written to")
	}
	c.run(t, 1, "STOP SLAVE IO_THREAD")
	for range stopped + 2 {
		k.Round(t.Context())
	}
	if c.value(t, 1, "SHOW SLAVE STATUS", "Master_Host") != "" {
		t.Error("a replica that was stopped is not given back to MaxScale")
	}
	c.follow(t, 1, 0)
	c.awaitClients(t, 0, 2)
}

// testSights: a gate sees who is written to, and calls nobody silent who may be.
func testSights(t *testing.T, c *cluster) {
	at := func(i int, change func(*neighbour)) Sight {
		n := neighbour{ordinal: i, login: c.login(t, i, peerAccount, peerName)}
		change(&n)
		return n.server(t.Context())
	}
	for name, c := range map[string]struct {
		i      int
		change func(*neighbour)
		want   Sight
	}{
		"the primary":         {0, func(*neighbour) {}, Writable},
		"a replica":           {1, func(*neighbour) {}, ReadOnly},
		"another number":      {0, func(n *neighbour) { n.ordinal = 2 }, Unclear},
		"another name":        {0, func(n *neighbour) { n.login.TLS.ServerName = "other.svc" }, Unclear},
		"another password":    {0, func(n *neighbour) { n.login.Password = "x" }, Unclear},
		"another certificate": {0, func(n *neighbour) { n.login.TLS.Certificates[0] = c.login(t, 0, "", "confidb-app").TLS.Certificates[0] }, Unclear},
		"nobody listens":      {0, func(n *neighbour) { n.login.Address = hold(t).Address() }, Silent},
		"no greeting":         {0, func(n *neighbour) { n.login.Address, n.login.Timeout = mute(t), 100*time.Millisecond }, Unclear},
	} {
		if got := at(c.i, c.change); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	p := pki{c.servers[0].CA, c.roots()}
	g := &gate{own: Own{Ordinal: 2, Database: true}, secure: listening(p.server(t, host(2)), p.roots, peerName), wait: brief, now: clock(), say: func(string) {}}
	for i := range 2 {
		n := neighbour{ordinal: i, gate: hold(t).Address(), secure: asking(p.client(t, peerName), p.roots, host(i)), login: c.login(t, i, peerAccount, peerName)}
		g.neighbours = append(g.neighbours, n)
	}
	var err error
	if g.listener, err = net.Listen("tcp", hold(t).Address()); err != nil {
		t.Fatal(err)
	}
	if word, err := g.run(t.Context()); err != nil || word.Verdict != Late {
		t.Errorf("beside a primary: got %v %v, want late", word, err)
	}
}

// mute is the address of somebody who accepts connections, and says nothing.
func mute(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", hold(t).Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

// testChange asks a keeper as `leave` and `operate` do. What MaxScale says it has done is
// looked at.
func testChange(t *testing.T, c *cluster) {
	k, beside := c.keeper(t)
	asked := 0
	beside.switchTo = func(to, from string) error {
		asked++
		c.switchTo(t, int(from[len(from)-1]-'0'), int(to[len(to)-1]-'0'))
		return nil
	}
	for _, step := range []struct {
		request request
		outcome outcome
		primary string
		asked   int
	}{
		{request{From: "mariadb-2"}, done, "mariadb-0", 0},
		{request{To: "mariadb-0"}, done, "mariadb-0", 0},
		{request{To: "mariadb-9"}, refused, "mariadb-0", 0},
		{request{To: "mariadb-1"}, done, "mariadb-1", 1},
		{request{From: "mariadb-1", To: "mariadb-0"}, done, "mariadb-0", 2},
	} {
		if got := k.change(t.Context(), step.request); got.Result != step.outcome || got.Primary != step.primary || asked != step.asked {
			t.Errorf("%+v: got %+v after %d switchovers, want %s, %s after %d", step.request, got, asked, step.outcome, step.primary, step.asked)
		}
	}
	beside.switchTo = func(string, string) error { return nil }
	if got := k.change(t.Context(), request{From: "mariadb-0"}); got.Result != failed {
		t.Errorf("nothing has changed: got %+v, want failed", got)
	}
	beside.of.Primary = false
	if got := k.change(t.Context(), request{From: "mariadb-0"}); got.Result != notMe {
		t.Errorf("without locks: got %+v, want not-me", got)
	}
	beside.of.Primary, beside.of.Servers = true, []string{"mariadb-0", "mariadb-1", "mariadb-7"}
	if got := k.change(t.Context(), request{From: "mariadb-0"}); got.Result != failed {
		t.Errorf("a server that is no member: got %+v, want failed", got)
	}
}
