package keeper

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mysql"
)

// interval is the time from one round of a keeper to the next.
const interval = time.Second

// Member is where the server of a member is asked and told.
type Member struct {
	Ordinal int
	// Login verifies the member's own name.
	Login mysql.Login
}

// ask asks a member's server what it is, over a connection of its own: MaxScale ends those
// of privileged accounts, and each that it must end makes a switchover longer.
func (m Member) ask(ctx context.Context) Server {
	conn, attempt := mysql.Connect(ctx, m.Login)
	if conn == nil {
		return Server{Ordinal: m.Ordinal, Err: attempt.Err}
	}
	defer conn.Close()
	s, err := askServer(ctx, conn, m.Ordinal)
	if err != nil {
		return Server{Ordinal: m.Ordinal, Err: err}
	}
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
		if _, err := conn.Query(ctx, statement); err != nil {
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
	case SemiSync: // as it is at that moment
		return []string{"SET GLOBAL rpl_semi_sync_master_enabled=(@@global.read_only=0)"}
	}
	return nil
}

// maxScale is the MaxScale beside a keeper.
type maxScale interface {
	Monitor(ctx context.Context) (Monitor, error)
}

// Keeper sees to it that one member is written to, where MaxScale does not. It has no state
// that matters: another one goes on where it ends.
type Keeper struct {
	Members  []Member
	MaxScale maxScale
	// Say is told of what is done, and of what has changed.
	Say func(text string)

	rounds        int
	situation, by string
}

// Round looks at all, and does what is to be done.
func (k *Keeper) Round(ctx context.Context) {
	monitor, err := k.MaxScale.Monitor(ctx)
	if err != nil {
		k.tell("MaxScale: " + check.Said(err.Error()))
		k.rounds = 0
		return
	}
	v := View{Members: len(k.Members), Servers: k.askAll(ctx), Monitor: monitor}
	v.Rounds = k.count(v)
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
		return fmt.Errorf("another MaxScale acts")
	}
	return nil
}

func (k *Keeper) askAll(ctx context.Context) []Server {
	servers := make([]Server, len(k.Members))
	var asking sync.WaitGroup
	for i, m := range k.Members {
		asking.Go(func() { servers[i] = m.ask(ctx) })
	}
	asking.Wait()
	return servers
}

// count is for how many rounds the same servers have answered, and the same were written to.
func (k *Keeper) count(v View) int {
	situation := fmt.Sprint(v.Monitor)
	for _, s := range v.Servers {
		situation += fmt.Sprint(s.Err == nil, s.ReadOnly, s.SemiSync)
	}
	k.rounds++
	if situation != k.situation {
		k.situation, k.rounds = situation, 0
	}
	return k.rounds
}

// tell says what has changed.
func (k *Keeper) tell(why string) {
	if why != k.by {
		k.Say(why)
		k.by = why
	}
}
