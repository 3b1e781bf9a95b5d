package keeper

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/confidb/confidb/pkg/mariadb/seed"
	"github.com/confidb/confidb/pkg/mysql"
)

const (
	seedAccount = "confidb_seed"
	// seedAddress is where the server listens that is filled: nobody else's machine reaches it.
	seedAddress = "127.0.0.1:" + serverPort
	// startTime bounds how long that server may take to start.
	startTime = 5 * time.Minute
	// begun is how often a copy is begun again because something was changed meanwhile.
	begun = 20
)

// seed is the service `seed` of a member without a database: it copies all data of the member
// that is written to into the server that is filled beside it, which then ends.
func (p *program) seed(ctx context.Context) error {
	cluster, roots, own := p.files.cluster(), p.files.roots("ca.crt"), p.files.pair("seed")
	password := string(p.files.text("seed.password"))
	if err := errors.Join(p.noArguments(), p.files.err); err != nil {
		return err
	}
	self, err := cluster.self()
	if err != nil {
		return err
	}
	into := login(cluster.Databases[self], seedAccount, password, own, roots)
	into.Address = seedAddress
	var donors []mysql.Login
	for i, d := range cluster.Databases {
		if i != self {
			donors = append(donors, login(d, seedAccount, password, own, roots))
		}
	}
	return p.fill(ctx, into, donors)
}

// fill fills a server from the only one of the others that is written to.
func (p *program) fill(ctx context.Context, into mysql.Login, donors []mysql.Login) error {
	say := p.say()
	to, err := p.started(ctx, into)
	if err != nil {
		return err
	}
	defer to.Close()
	for again := begun; ; again-- {
		from, err := written(ctx, donors)
		if err != nil {
			return err
		}
		position, err := seed.Copy(ctx, from, to, say)
		from.Close()
		if err == nil {
			say("copied all up to " + position)
			return nil
		}
		if again == 0 || !errors.Is(err, seed.ErrChanged) {
			return err
		}
		say("it is begun again: " + err.Error())
		if err := p.wait(ctx, interval); err != nil {
			return err
		}
	}
}

// started is a connection to the server that is filled, once that has started.
func (p *program) started(ctx context.Context, into mysql.Login) (*mysql.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		conn, attempt := mysql.Connect(ctx, into)
		if conn != nil {
			return conn, nil
		}
		if err := p.wait(ctx, interval); err != nil {
			return nil, fmt.Errorf("the server that is to be filled: %w", attempt.Err)
		}
	}
}

// written is a connection to the only server that is written to. Those that do not answer
// may not be there: the gate has looked for them.
func written(ctx context.Context, donors []mysql.Login) (found *mysql.Conn, err error) {
	conns := make([]*mysql.Conn, len(donors))
	var asking sync.WaitGroup
	for i, donor := range donors {
		asking.Go(func() {
			conn, _ := mysql.Connect(ctx, donor)
			if conn == nil {
				return
			}
			row, err := one(conn.Query(ctx, "SELECT @@global.read_only AS readonly"))
			if err != nil || row["readonly"] != "0" {
				conn.Close()
				return
			}
			conns[i] = conn
		})
	}
	asking.Wait()
	n := 0
	for _, conn := range conns {
		if conn != nil {
			found, n = conn, n+1
		}
	}
	if n == 1 {
		return found, nil
	}
	for _, conn := range conns {
		if conn != nil {
			conn.Close()
		}
	}
	return nil, fmt.Errorf("%d of the others are written to, want one", n)
}
