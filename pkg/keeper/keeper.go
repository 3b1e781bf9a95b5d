package keeper

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mysql"
)

const (
	// interval is the time from one round of a keeper to the next.
	interval = time.Second
	// lookTime bounds how long all servers are asked: one that hangs is one that is down.
	lookTime = 20 * time.Second
)

// Member is where the server of a member is asked and told.
type Member struct {
	Ordinal int
	// Name is that of the member in MaxScale's configuration.
	Name string
	// Login verifies the member's own name.
	Login mysql.Login
}

// ask asks a member's server what it is, over a connection of its own: MaxScale ends those
// of privileged accounts, and each that it must end makes a switchover longer.
func (m Member) ask(ctx context.Context) Server {
	conn, attempt := mysql.Connect(ctx, m.Login)
	if conn == nil {
		return Server{Ordinal: m.Ordinal, Name: m.Name, Err: attempt.Err}
	}
	defer conn.Close()
	s, err := askServer(ctx, conn, m.Ordinal)
	if err != nil {
		return Server{Ordinal: m.Ordinal, Name: m.Name, Err: err}
	}
	s.Name = m.Name
	return s
}

// do carries out an action. Each statement may be repeated.
func (m Member) do(ctx context.Context, a Action, allowed func() error) error {
	conn, attempt := mysql.Connect(ctx, m.Login)
	if conn == nil {
		return attempt.Err
	}
	defer conn.Close()
	for _, statement := range statements(a) {
		if err := allowed(); err != nil {
			return err
		}
		bounded, cancel := context.WithTimeout(ctx, lookTime) // a commit that waits is one that was made
		_, err := conn.Query(bounded, statement)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// statements are what an action is in SQL.
func statements(a Action) []string {
	switch a.Kind {
	case StopReceiving:
		return []string{"STOP SLAVE IO_THREAD"}
	case Apply: // by GTID it would be thrown away and asked for again
		return []string{fmt.Sprintf("CHANGE MASTER TO MASTER_USE_GTID=no, RELAY_LOG_FILE='%s', RELAY_LOG_POS=%d", a.Place.File, a.Place.Position), "START SLAVE SQL_THREAD"}
	case Forget:
		return []string{"STOP SLAVE", "RESET SLAVE ALL"}
	case Open:
		return []string{"STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL rpl_semi_sync_master_enabled=1", "SET GLOBAL read_only=0"}
	case Begin: // it is in the history, and does nothing elsewhere
		return []string{"FLUSH USER_RESOURCES"}
	case SemiSync: // as it is at that moment
		return []string{"SET GLOBAL rpl_semi_sync_master_enabled=(@@global.read_only=0)"}
	}
	return nil
}

// maxScale is the MaxScale beside a keeper.
type maxScale interface {
	Monitor(ctx context.Context) (Monitor, error)
	// Switchover makes a server the primary in place of another one, by names.
	Switchover(ctx context.Context, to, from string) error
}

// Keeper sees to it that one member is written to, where MaxScale does not. It has no state
// that matters: another one goes on where it ends.
type Keeper struct {
	// Members are all that may be there. Those count that MaxScale knows.
	Members  []Member
	MaxScale maxScale
	// Say is told of what is done, and of what has changed.
	Say func(text string)
	Now func() time.Time
	// Ready opens the port that is open while what is written is kept; nil means that there is
	// none.
	Ready func() (net.Listener, error)

	door          door
	working       sync.Mutex             // held by a round, and by a change that was asked for
	outcast       atomic.Pointer[string] // the name of one, as the last round saw it
	since         time.Time
	situation, by string
}

// Run works until ctx is done, and answers whoever secure lets in.
func (k *Keeper) Run(ctx context.Context, listener net.Listener, secure *tls.Config, wait func(context.Context, time.Duration) error) error {
	var serving sync.WaitGroup
	defer serving.Wait()
	serving.Go(func() { serve(ctx, listener, secure, changeTime, k.answer) })
	k.door.listen = k.Ready
	defer k.door.set(false, k.Say)
	for {
		k.Round(ctx)
		if err := wait(ctx, interval); err != nil {
			return err
		}
	}
}

// Round looks at all, and does what is to be done.
func (k *Keeper) Round(ctx context.Context) {
	k.working.Lock()
	defer k.working.Unlock()
	v, err := k.look(ctx)
	k.door.set(err == nil && keeps(v), k.Say)
	if err != nil {
		k.tell(check.Said(err.Error()))
		k.situation = ""
		k.outcast.Store(nil)
		return
	}
	v.Lasted = k.lasted(v)
	cast := outcast(v)
	if last := k.outcast.Swap(&cast); cast != "" && (last == nil || *last != cast) {
		k.Say(cast + " was left behind: it is to be killed, and to begin anew")
	}
	do, why := Next(v)
	k.tell(why)
	for _, a := range do {
		k.Say(fmt.Sprintf("member %d: %v", a.Server, a.Kind))
		if err := k.Members[a.Server].do(ctx, a, func() error { return k.stillPrimary(ctx) }); err != nil {
			k.Say(fmt.Sprintf("member %d: %v: %s", a.Server, a.Kind, check.Said(err.Error())))
			return // the next round sees what has become of it
		}
	}
}

// stillPrimary returns an error unless the MaxScale beside this keeper holds the locks and
// does nothing itself. It is asked before each statement.
func (k *Keeper) stillPrimary(ctx context.Context) error {
	monitor, err := k.MaxScale.Monitor(ctx)
	switch {
	case err != nil:
		return err
	case !monitor.Primary:
		return errors.New("another MaxScale acts")
	}
	return nil
}

// look asks MaxScale which members it knows, and all of them what they are.
func (k *Keeper) look(ctx context.Context) (v View, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	if v.Monitor, err = k.MaxScale.Monitor(ctx); err != nil {
		return v, fmt.Errorf("MaxScale: %w", err)
	}
	v.Members = len(v.Monitor.Servers)
	v.Servers = make([]Server, v.Members)
	var asking sync.WaitGroup
	for i, name := range v.Monitor.Servers {
		at := slices.IndexFunc(k.Members, func(m Member) bool { return m.Name == name })
		if at < 0 || slices.Index(v.Monitor.Servers, name) != i {
			err = fmt.Errorf("MaxScale has a server %s: want each member once, and no other", name)
			continue
		}
		asking.Go(func() { v.Servers[i] = k.Members[at].ask(ctx) })
	}
	asking.Wait()
	return v, err
}

// lasted is for how many seconds the same servers have answered, and the same were written to.
// A round takes longer where one of them hangs.
func (k *Keeper) lasted(v View) int {
	situation := fmt.Sprint(v.Monitor) + " "
	for _, s := range v.Servers {
		situation += fmt.Sprint(s.Err == nil, s.ReadOnly, s.SemiSync)
	}
	now := k.Now()
	if situation != k.situation {
		k.situation, k.since = situation, now
	}
	return int(now.Sub(k.since) / time.Second)
}

// tell says what has changed.
func (k *Keeper) tell(why string) {
	if why != k.by {
		k.Say(why)
		k.by = why
	}
}
