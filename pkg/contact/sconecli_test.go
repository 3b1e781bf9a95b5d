package contact

import (
	"context"
	"errors"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/sgx"
)

func TestSCONEArguments(t *testing.T) {
	one, two := sgx.Measurement{1}, sgx.Measurement{2}
	signer := &attest.SignerReference{MRSIGNER: two, ISVProdID: 41316, MinISVSVN: 5}
	for name, c := range map[string]struct {
		policy attest.Policy
		want   string
	}{
		"a measurement":    {attest.Policy{ReferenceValues: attest.ReferenceValues{MRENCLAVEs: []sgx.Measurement{one}}}, "--mrenclave " + one.String() + " --fail-on-any-advisory"},
		"two measurements": {attest.Policy{ReferenceValues: attest.ReferenceValues{MRENCLAVEs: []sgx.Measurement{one, two}}}, "--mrenclave " + one.String() + " --mrenclave " + two.String() + " --fail-on-any-advisory"},
		"a signer":         {attest.Policy{ReferenceValues: attest.ReferenceValues{Signer: signer}}, "--mrsigner " + two.String() + " --isvprodid 41316 --isvsvn 5 --fail-on-any-advisory"},
		"everything": {attest.Policy{
			ReferenceValues: attest.ReferenceValues{MRENCLAVEs: []sgx.Measurement{one}, Signer: signer}, AllowDebugEnclave: true,
			AcceptTCB: []sgx.TCBStatus{sgx.SWHardeningNeeded}, AcceptAdvisories: []string{"INTEL-SA-00615", "INTEL-SA-00657"},
		}, "--mrenclave " + one.String() + " --mrsigner " + two.String() + " --isvprodid 41316 --isvsvn 5 --accept-sw-hardening-needed --ignore-advisories INTEL-SA-00615,INTEL-SA-00657 --fail-on-any-advisory --only_for_testing-debug"},
	} {
		got, err := sconeArguments(c.policy)
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

// Without a reference value SCONE's program would take its own, so it is not asked.
func TestSCONEArgumentsWantAReferenceValue(t *testing.T) {
	for name, p := range map[string]attest.Policy{
		"the zero policy":    {},
		"everything but one": {AcceptTCB: sgx.Statuses(), AcceptAdvisories: []string{"INTEL-SA-00615"}, AllowDebugEnclave: true},
	} {
		got, err := sconeArguments(p)
		var missing *NoReferenceError
		if got != nil || !errors.As(err, &missing) || missing.Hint() == "" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestSCONETolerances(t *testing.T) {
	const configuration, outOfDate, hardening = "--accept-configuration-needed", "--accept-group-out-of-date", "--accept-sw-hardening-needed"
	for name, c := range map[string]struct {
		accepted []sgx.TCBStatus
		want     []string
	}{
		"none":                             {nil, nil},
		"what needs none":                  {[]sgx.TCBStatus{sgx.UpToDate}, nil},
		"what nobody tolerates":            {[]sgx.TCBStatus{sgx.Revoked}, nil},
		"what nobody knows":                {[]sgx.TCBStatus{"", "Unheard"}, nil},
		"hardening":                        {[]sgx.TCBStatus{sgx.SWHardeningNeeded}, []string{hardening}},
		"configuration":                    {[]sgx.TCBStatus{sgx.ConfigurationNeeded}, []string{configuration}},
		"configuration and hardening":      {[]sgx.TCBStatus{sgx.ConfigurationAndSWHardeningNeeded}, []string{configuration, hardening}},
		"out of date":                      {[]sgx.TCBStatus{sgx.OutOfDate}, []string{outOfDate}},
		"out of date, configuration":       {[]sgx.TCBStatus{sgx.OutOfDateConfigurationNeeded}, []string{configuration, outOfDate}},
		"all, and each flag once":          {sgx.Statuses(), []string{configuration, outOfDate, hardening}},
		"in another order, the same twice": {[]sgx.TCBStatus{sgx.SWHardeningNeeded, sgx.ConfigurationNeeded, sgx.SWHardeningNeeded}, []string{configuration, hardening}},
	} {
		if diff := cmp.Diff(c.want, sconeTolerances(c.accepted)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSCONEErrorIsClean(t *testing.T) {
	e := &SCONEError{Command: "scone cas attest", Said: "\x1b[31mError:\x1b[0m no\r\n\x1b]0;x\aerror: all is well\n", cause: exec.ErrNotFound}
	if text := e.Error(); strings.ContainsAny(text, "\x1b\r\n\a") || !strings.Contains(text, "Error: no") || !errors.Is(e, exec.ErrNotFound) || e.Hint() == "" {
		t.Errorf("got %q", text)
	}
	if text := (&SCONEError{Command: "x", cause: exec.ErrNotFound}).Error(); strings.Contains(text, "it says") {
		t.Errorf("without a complaint: got %q", text)
	}
}

func TestLimited(t *testing.T) {
	var l limited
	for range 3 {
		if n, err := l.Write(make([]byte, maxSCONEOutput/2+1)); n != maxSCONEOutput/2+1 || err != nil {
			t.Errorf("got %d, %v: the program must be able to go on", n, err)
		}
	}
	if l.Len() != maxSCONEOutput {
		t.Errorf("kept %d bytes, want %d", l.Len(), maxSCONEOutput)
	}
}

// far is the other end of what a relay dials.
type far struct{ ends chan net.Conn }

func newFar() far { return far{make(chan net.Conn, 4)} }

func (f far) dial(context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	f.ends <- theirs
	return ours, nil
}

func connectTo(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second)) // a test that hangs fails
	return c
}

func say(t *testing.T, from, to net.Conn, words string) {
	t.Helper()
	if _, err := io.WriteString(from, words); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(words))
	if _, err := io.ReadFull(to, got); err != nil || string(got) != words {
		t.Errorf("got %q, %v, want %q", got, err, words)
	}
}

func wantEnd(t *testing.T, c net.Conn) {
	t.Helper()
	n, err := c.Read(make([]byte, 1))
	var timeout net.Error
	if n != 0 || err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("got %d bytes, %v, want the end of the connection", n, err)
	}
}

func TestListenRelaysBothWays(t *testing.T) {
	f := newFar()
	address, close, err := listen(t.Context(), f.dial)
	if err != nil {
		t.Fatal(err)
	}
	defer close()
	if host, _, err := net.SplitHostPort(address); err != nil || host != "127.0.0.1" {
		t.Errorf("listens at %s, want this machine alone", address)
	}
	for range 2 { // a program may connect again
		near := connectTo(t, address)
		end := <-f.ends
		say(t, near, end, "question")
		say(t, end, near, "answer")
		near.Close()
		wantEnd(t, end)
	}
	near := connectTo(t, address)
	(<-f.ends).Close()
	wantEnd(t, near)
}

func TestListenEnds(t *testing.T) {
	for name, byContext := range map[string]bool{"by close": false, "by its context": true} {
		t.Run(name, func(t *testing.T) {
			f := newFar()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			address, close, err := listen(ctx, f.dial)
			if err != nil {
				t.Fatal(err)
			}
			defer close()
			near := connectTo(t, address)
			end := <-f.ends
			say(t, near, end, "x")
			if byContext {
				cancel()
			} else {
				close()
			}
			wantEnd(t, near)
			wantEnd(t, end)
			if byContext {
				return
			}
			if c, err := net.DialTimeout("tcp", address, time.Second); err == nil {
				c.Close()
				t.Error("it still listens")
			}
		})
	}
}

func TestListenWithoutAPeer(t *testing.T) {
	refused := func(context.Context) (net.Conn, error) { return nil, errors.New("no route") }
	address, close, err := listen(t.Context(), refused)
	if err != nil {
		t.Fatal(err)
	}
	defer close()
	wantEnd(t, connectTo(t, address))
}
