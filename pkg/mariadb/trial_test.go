package mariadb_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb"
)

// TestTheLoginInClear records what goes over the wire before TLS: nothing of the asker.
func TestTheLoginInClear(t *testing.T) {
	var lock sync.Mutex
	var logins [][]byte
	target := goodTarget()
	target.Address = relay(t, target.Address, func(int) meddling {
		return meddling{request: func(first []byte) []byte {
			if len(first) > 4+32 {
				lock.Lock()
				defer lock.Unlock()
				logins = append(logins, first)
			}
			return first
		}}
	})
	observe(t, target)
	observe(t, target)
	lock.Lock()
	defer lock.Unlock()
	if len(logins) != 2 {
		t.Fatalf("%d logins in clear, want one for each observation", len(logins))
	}
	name := func(login []byte) []byte { return bytes.SplitN(login[4+32:], []byte{0}, 2)[0] }
	for _, login := range logins {
		if bytes.Contains(login, []byte(target.Account)) || len(name(login)) < 16 {
			t.Errorf("a login in clear says %q", login)
		}
	}
	if bytes.Equal(name(logins[0]), name(logins[1])) {
		t.Errorf("both logins in clear are of %q", name(logins[0]))
	}
}

// TestTrialsAreSideBySide counts the connections that are open at once.
func TestTrialsAreSideBySide(t *testing.T) {
	var lock sync.Mutex
	open, most, all := 0, 0, 0
	count := func(by int) {
		lock.Lock()
		defer lock.Unlock()
		open += by
		most, all = max(most, open), all+max(by, 0)
	}
	target := goodTarget()
	target.Address = relay(t, target.Address, func(int) meddling {
		count(1)
		return meddling{
			fromServer: func(_ int, data []byte) ([]byte, ending) { time.Sleep(5 * time.Millisecond); return data, goOn },
			ended:      func() { count(-1) },
		}
	})
	observe(t, target)
	lock.Lock()
	defer lock.Unlock()
	// The relay notices the end of a connection later than who has closed it: on a busy
	// machine some that are over still count.
	if most < 4 || most > 12 || all < 25 {
		t.Errorf("at most %d of %d connections at once, want 4 to 12 of 25 or more", most, all)
	}
}

// TestExpiry tries a certificate that expires while the server is looked at, with
// clocks that do not agree.
func TestExpiry(t *testing.T) {
	for name, c := range map[string]struct {
		left, ahead time.Duration // until the certificate expires; our clock before the server's
		want        check.Outcome
		mention     string
	}{
		"expires meanwhile":        {time.Second, 0, check.Pass, ""},
		"the server is behind":     {2 * time.Second, time.Second, check.Pass, ""},
		"the server is far behind": {10 * time.Minute, 20 * time.Minute, check.Fail, "an expired certificate"},
		"valid for long":           {10 * time.Minute, 0, check.Skip, "not expired yet"},
	} {
		t.Run(name, func(t *testing.T) {
			target := goodTarget()
			target.Patience = 5 * time.Second // an alert is awaited for half a second
			target.Now = func() time.Time { return time.Now().Add(c.ahead) }
			report := mariadb.Observe(t.Context(), target, impostorsOf(t, server, time.Now().Add(c.left))).Report()
			wantOutcome(t, report, "mtls-01", c.want, c.mention)
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		target := goodTarget()
		target.Wait = func(context.Context, time.Duration) error { return context.Canceled }
		report := mariadb.Observe(t.Context(), target, impostorsOf(t, server, time.Now().Add(5*time.Second))).Report()
		wantOutcome(t, report, "mtls-01", check.Skip, "not expired yet")
	})
}

// TestAnotherMember has another server of the same session answer the trials.
func TestAnotherMember(t *testing.T) {
	target := goodTarget()
	other := terminator(t, true)
	target.Address = relayTo(t, func(connection int) string {
		if connection == 0 {
			return server.Address
		}
		return other
	}, func(int) meddling { return meddling{} })
	wantOutcome(t, observe(t, target), "mtls-01", check.Skip, "another certificate of the server")
}

// TestAnotherMemberAnswers breaks the connection over which the server is asked after
// the login, and has another server take the next ones: it is not asked in its place.
func TestAnotherMemberAnswers(t *testing.T) {
	other := terminator(t, false)
	logged := 0
	for cut := 6; cut < 24; cut += 2 {
		target := goodTarget()
		target.Address = relayTo(t, func(connection int) string {
			if connection == 0 {
				return server.Address
			}
			return other
		}, func(connection int) meddling {
			if connection == 0 {
				return instead(cut, nil, hangUp)
			}
			return meddling{}
		})
		report := observe(t, target)
		for _, id := range mariadb.Asked() {
			finding, _ := report.Find(id)
			if finding.Outcome == check.Pass && cut < 14 {
				t.Errorf("cut after %d records: %s passes on what another server said: %s", cut, id, finding.Reason)
			}
			if strings.Contains(finding.Reason, "another certificate of the server") {
				logged++
			}
		}
	}
	if logged == 0 {
		t.Error("the connection never broke after the login: the test tests nothing")
	}
}

// TestNoChance has no randomness: then nothing is tried in clear, and nothing else is lost.
func TestNoChance(t *testing.T) {
	target := goodTarget()
	target.Random = failing{}
	tried := mariadb.Impostors{Stranger: &tls.Certificate{}}
	report := mariadb.Observe(t.Context(), target, tried).Report()
	wantOutcome(t, report, "mtls-02", check.Pass, "")
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("no randomness") }
