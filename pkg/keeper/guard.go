package keeper

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/confidb/confidb/pkg/mysql"
)

// notice is what a gate says of its member to whoever proved to be a peer.
type notice struct {
	Kind    string `json:"kind"`
	Ordinal int    `json:"ordinal"`
	// Database says whether the volume holds one.
	Database bool `json:"database"`
	// Said is the gate's word so far.
	Said string `json:"said"`
}

const noticeKind = "confidb.gate/v1"

// lingering is for how many rounds a gate that has decided is there for the others: whoever
// left at once would be missing where the next one counts.
const lingering = 15

// neighbour is another member, as a gate asks it.
type neighbour struct {
	ordinal int
	// gate and server are addresses; secure and login verify the member's own name.
	gate   string
	secure *tls.Config
	login  mysql.Login
}

// gate is one member before its server starts.
type gate struct {
	own        Own
	neighbours []neighbour
	listener   net.Listener
	secure     *tls.Config
	wait       func(context.Context, time.Duration) error
	now        func() time.Time
	say        func(text string)

	mutex sync.Mutex
	said  Verdict
}

// run waits at the gate until there is a word other than to wait, and until the others that
// wait have theirs.
func (g *gate) run(ctx context.Context) (Word, error) {
	ctx, cancel := context.WithCancel(ctx)
	var serving sync.WaitGroup
	serving.Go(func() { serve(ctx, g.listener, g.secure, answerTime, g.answer) })
	defer serving.Wait()
	defer cancel()
	word, err := g.decide(ctx)
	if err != nil {
		return Word{}, err
	}
	g.mutex.Lock()
	g.said = word.Verdict
	g.mutex.Unlock()
	for range lingering {
		if _, undecided := g.look(ctx); undecided == 0 || g.wait(ctx, interval) != nil {
			break
		}
	}
	return word, nil
}

// decide looks at all each second.
func (g *gate) decide(ctx context.Context) (word Word, err error) {
	var before []Peer
	since := g.now()
	for why := ""; ; {
		peers, _ := g.look(ctx)
		if !slices.Equal(peers, before) {
			since, before = g.now(), peers
		}
		own := g.own
		own.Waited = int(g.now().Sub(since) / time.Second)
		word = Decide(own, peers)
		if word.Verdict != Wait {
			return word, nil
		}
		if word.Why != why {
			why = word.Why
			g.say(why)
		}
		if err := g.wait(ctx, interval); err != nil {
			return Word{}, fmt.Errorf("waiting at the gate (%s): %w", why, err)
		}
	}
}

// look asks all others at once. Undecided is how many of them wait and have no word yet.
func (g *gate) look(ctx context.Context) (peers []Peer, undecided int) {
	peers, said := make([]Peer, len(g.neighbours)), make([]bool, len(g.neighbours))
	var asking sync.WaitGroup
	for i, n := range g.neighbours {
		asking.Go(func() {
			peers[i].Ordinal = n.ordinal
			peers[i].Sight, said[i] = n.sight(ctx)
		})
	}
	asking.Wait()
	for i, p := range peers {
		if (p.Sight == Empty || p.Sight == Full) && !said[i] {
			undecided++
		}
	}
	return peers, undecided
}

// answer tells a peer what this member is.
func (g *gate) answer(_ context.Context, conn net.Conn) error {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return send(conn, notice{noticeKind, g.own.Ordinal, g.own.Database, g.said.String()})
}

// sight is what is seen of a member, and whether its gate has decided. Its gate and its
// server are asked at once: only one of them is there.
func (n neighbour) sight(ctx context.Context) (seen Sight, decided bool) {
	server := make(chan Sight, 1)
	go func() { server <- n.server(ctx) }()
	var said notice
	err := exchange(ctx, n.gate, n.secure, nil, &said, answerTime)
	asked := <-server
	switch {
	case asked != Silent || err != nil || said.Kind != noticeKind || said.Ordinal != n.ordinal:
		return asked, false
	case said.Database:
		return Full, said.Said != Wait.String()
	}
	return Empty, said.Said != Wait.String()
}

// server is what is seen of a member's server. Whoever can be reached and does not prove to
// be that server, or does not let the gate in, may be one that is written to.
func (n neighbour) server(ctx context.Context) Sight {
	conn, attempt := mysql.Connect(ctx, n.login)
	if conn == nil {
		var dialing *net.OpError
		if attempt.Stage == mysql.Reaching && errors.As(attempt.Err, &dialing) && dialing.Op == "dial" {
			return Silent
		}
		return Unclear
	}
	defer conn.Close()
	rows, err := conn.Query(ctx, "SELECT @@global.server_id, @@global.read_only")
	if err != nil || len(rows.Values) != 1 || rows.Values[0][0].Text != fmt.Sprint(n.ordinal+1) {
		return Unclear
	}
	switch rows.Values[0][1].Text {
	case "0":
		return Writable
	case "1":
		return ReadOnly
	}
	return Unclear
}
