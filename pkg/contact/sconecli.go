package contact

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

// runSCONE lets SCONE's program attest the CAS, in a configuration of its own, and
// returns the certificates that it pinned.
func runSCONE(ctx context.Context, program string, policy attest.Policy, dial cas.Dialer) ([]byte, error) {
	arguments, err := sconeArguments(policy)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "confidb-scone-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	address, close, err := listen(ctx, dial)
	if err != nil {
		return nil, err
	}
	defer close()
	p := sconeProgram{program, filepath.Join(folder, "config.json")}
	if _, err := p.run(ctx, append(append([]string{"cas", "attest"}, arguments...), address)...); err != nil {
		return nil, err
	}
	return p.run(ctx, "cas", "show-certificate")
}

// sconeProgram is SCONE's program with a configuration of its own.
type sconeProgram struct{ name, configuration string }

func (p sconeProgram) run(ctx context.Context, arguments ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, p.name, arguments...)
	c.Env = append(os.Environ(), "SCONE_CLI_CONFIG="+p.configuration)
	c.WaitDelay = time.Second
	var out, complaint limited
	c.Stdout, c.Stderr = &out, &complaint
	err := c.Run()
	if ctx.Err() != nil {
		err = ctx.Err() // instead of the signal that ended the program
	}
	if err != nil {
		return nil, &SCONEError{Command: p.name + " " + strings.Join(arguments[:2], " "), Said: complaint.String(), cause: err}
	}
	return out.Bytes(), nil
}

// limited keeps the first part of what a program writes.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	l.Buffer.Write(p[:min(len(p), max(0, maxSCONEOutput-l.Len()))])
	return len(p), nil
}

// maxSCONEOutput bounds what is kept of each output of SCONE's program, in bytes.
const maxSCONEOutput = 64 << 10

// sconeArguments says a policy in the flags of scone cas attest. What a policy does
// not accept is not said, and the program refuses it then.
func sconeArguments(p attest.Policy) ([]string, error) {
	var arguments []string
	for _, m := range p.ReferenceValues.MRENCLAVEs {
		arguments = append(arguments, "--mrenclave", m.String())
	}
	if v := p.ReferenceValues.Signer; v != nil {
		arguments = append(arguments, "--mrsigner", v.MRSIGNER.String(), "--isvprodid", strconv.Itoa(int(v.ISVProdID)), "--isvsvn", strconv.Itoa(int(v.MinISVSVN)))
	}
	if len(arguments) == 0 {
		return nil, &NoReferenceError{}
	}
	arguments = append(arguments, sconeTolerances(p.AcceptTCB)...)
	if len(p.AcceptAdvisories) > 0 {
		arguments = append(arguments, "--ignore-advisories", strings.Join(p.AcceptAdvisories, ","))
	}
	arguments = append(arguments, "--fail-on-any-advisory")
	if p.AllowDebugEnclave {
		arguments = append(arguments, "--only_for_testing-debug")
	}
	return arguments, nil
}

// sconeTolerances are the flags for statuses. SCONE's program knows three conditions
// where Intel has five names: a name stands for all the conditions that it joins.
func sconeTolerances(accepted []sgx.TCBStatus) []string {
	conditions := map[sgx.TCBStatus][]string{
		sgx.SWHardeningNeeded:                 {"--accept-sw-hardening-needed"},
		sgx.ConfigurationNeeded:               {"--accept-configuration-needed"},
		sgx.ConfigurationAndSWHardeningNeeded: {"--accept-configuration-needed", "--accept-sw-hardening-needed"},
		sgx.OutOfDate:                         {"--accept-group-out-of-date"},
		sgx.OutOfDateConfigurationNeeded:      {"--accept-configuration-needed", "--accept-group-out-of-date"},
	}
	var flags []string
	for _, s := range accepted {
		flags = append(flags, conditions[s]...)
	}
	slices.Sort(flags)
	return slices.Compact(flags)
}

// NoReferenceError means that no policy says which enclave the CAS must be. SCONE's
// program would take reference values of its own then, so it is not asked.
type NoReferenceError struct{}

func (e *NoReferenceError) Error() string { return "no measurement or signer of the CAS given" }

// Hint says where to give one.
func (e *NoReferenceError) Hint() string {
	return "Name the measurement or the signer of the CAS in the policy."
}

// SCONEError means that SCONE's program did not attest the CAS.
type SCONEError struct {
	// Command is what was run, without its flags, and Said the beginning of its complaint.
	Command, Said string
	cause         error
}

func (e *SCONEError) Error() string {
	text := fmt.Sprintf("running %s: %v", e.Command, e.cause)
	if said := check.Said(e.Said); said != "" {
		text += "; it says: " + said
	}
	return text
}

// Hint says what to do.
func (e *SCONEError) Hint() string {
	return "Install SCONE's command line program, or name the one to run. {explain 'LINE'} knows its messages."
}

// Unwrap is why the program ended, or could not be run.
func (e *SCONEError) Unwrap() error { return e.cause }

// listen makes what dial reaches reachable for another program, on a port of this
// machine that only it can know of. What goes over it is TLS.
func listen(ctx context.Context, dial cas.Dialer) (address string, close func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go relay(ctx, near, dial)
		}
	}()
	return listener.Addr().String(), func() { cancel(); listener.Close() }, nil
}

func relay(ctx context.Context, near net.Conn, dial cas.Dialer) {
	defer near.Close()
	far, err := dial(ctx)
	if err != nil {
		return
	}
	defer far.Close()
	stop := context.AfterFunc(ctx, func() { near.Close(); far.Close() })
	defer stop()
	ended := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			io.Copy(pair[0], pair[1]) // either end closes both
			ended <- struct{}{}
		}()
	}
	<-ended
}
