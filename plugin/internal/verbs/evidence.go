package verbs

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
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

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// Evidence are the flags by which the user chooses how a CAS is attested.
type Evidence struct {
	backend, report, nonce, chain, program string
	given                                  func(flag string) bool
}

// AddFlags registers the flags.
func (e *Evidence) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&e.backend, "evidence", string(attest.BackendReport), "where the evidence comes from: "+backendNames())
	flags.StringVar(&e.report, "report", "", "saved attestation report (--evidence file)")
	flags.StringVar(&e.nonce, "nonce", "", "nonce that was sent for --report, 32 hexadecimal digits")
	flags.StringVar(&e.chain, "cas-ca", "", "PEM certificates of the CAS (--evidence pinned-ca)")
	flags.StringVar(&e.program, "scone-cli", "scone", "program that is run as SCONE's command line client (--evidence scone-cli)")
	e.given = flags.Changed
}

func backendNames() string {
	var names []string
	for _, b := range attest.Backends() {
		names = append(names, string(b))
	}
	return strings.Join(names, ", ")
}

// check refuses flags that do not belong together.
func (e *Evidence) check() error {
	if !slices.Contains(attest.Backends(), attest.Backend(e.backend)) {
		return cli.NewUsageError("--evidence: got %q, want one of %s", e.backend, backendNames())
	}
	for flag, backend := range map[string]attest.Backend{"report": attest.BackendFile, "nonce": attest.BackendFile, "cas-ca": attest.BackendPinned, "scone-cli": attest.BackendCLI} {
		mine := attest.Backend(e.backend) == backend
		switch {
		case e.given(flag) && !mine:
			return cli.NewUsageError("--%s: want --evidence %s with it, got --evidence %s", flag, backend, e.backend)
		case mine && !e.given(flag) && flag != "scone-cli":
			return cli.NewUsageError("--evidence %s: want --%s as well", backend, flag)
		}
	}
	return nil
}

// noQuote reports whether no quote is verified here.
func (e *Evidence) noQuote() bool {
	return slices.Contains([]attest.Backend{attest.BackendCLI, attest.BackendPinned}, attest.Backend(e.backend))
}

// source is where evidence of one CAS can be got.
type source struct {
	*Evidence
	getter  genericclioptions.RESTClientGetter
	store   record.Store
	address string
	named   bool // the user said the address
	trust   attest.Trust
	now     func() time.Time
}

// attest gets the evidence, and judges it together with the peer of a TLS connection.
func (s source) attest(ctx context.Context) (*attest.Appraisal, error) {
	backend := attest.Backend(s.backend)
	if backend == attest.BackendFile && !s.named {
		return s.attestAlone()
	}
	dial, close, err := dialCAS(ctx, s.getter, s.address)
	if err != nil {
		return nil, err
	}
	defer close()
	if backend == attest.BackendReport {
		attested, _, err := attestNow(ctx, dial, s.store, s.address, s.trust, s.now)
		return attested, err
	}
	pin := attest.Pin{Address: s.address, Backend: backend, Trust: s.trust}
	if err := s.fill(ctx, &pin, dial); err != nil {
		return nil, err
	}
	peer, err := cas.FetchPeer(ctx, dial)
	if err != nil {
		return nil, err
	}
	if backend == attest.BackendRATLS {
		pin.Report = peer[0].Raw
	}
	pin.FetchedAt = s.now()
	attested, err := pin.AppraiseWithPeer(peer, pin.FetchedAt)
	if err != nil {
		return nil, err
	}
	return attested, remember(s.store, attested, pin.FetchedAt)
}

// attestAlone judges a saved report and asks no CAS.
func (s source) attestAlone() (*attest.Appraisal, error) {
	pin := attest.Pin{Address: s.address, Backend: attest.BackendFile, Trust: s.trust, FetchedAt: s.now()}
	if err := s.fill(context.Background(), &pin, nil); err != nil {
		return nil, err
	}
	attested, err := pin.Appraise(pin.FetchedAt)
	if err != nil {
		return nil, err
	}
	attested.Findings = append(attested.Findings, check.Finding{ID: "cas-tls-peer", Title: attest.PeerTitle, Outcome: check.Warn,
		Reason: "--evidence file without an address appraises the report alone: no CAS was asked"})
	return attested, remember(s.store, attested, pin.FetchedAt)
}

// fill gets what does not come from the TLS peer.
func (s source) fill(ctx context.Context, pin *attest.Pin, dial cas.Dialer) (err error) {
	switch pin.Backend {
	case attest.BackendFile:
		if pin.Nonce, err = parseNonce(s.nonce); err != nil {
			return err
		}
		pin.Report, err = readBounded(s.report)
	case attest.BackendPinned:
		pin.Report, err = readBounded(s.chain)
	case attest.BackendResource:
		rand.Read(pin.Nonce[:]) // never fails
		pin.Report, err = s.fetchResource(ctx, pin.Nonce)
	case attest.BackendCLI:
		pin.Report, err = s.runSCONE(ctx, dial)
	}
	return err
}

func parseNonce(text string) (nonce [16]byte, err error) {
	decoded, err := hex.DecodeString(text)
	if err != nil || len(decoded) != len(nonce) {
		return nonce, cli.NewUsageError("--nonce: got %.40q, want 32 hexadecimal digits", text)
	}
	return [16]byte(decoded), nil
}

func (s source) fetchResource(ctx context.Context, nonce [16]byte) ([]byte, error) {
	name, namespace, inCluster := kube.ServiceAddress(s.address)
	if !inCluster {
		return nil, cli.NewUsageError("--evidence %s: got the address %s, want NAME.NAMESPACE.svc, the name of the custom resource", attest.BackendResource, s.address)
	}
	c, err := kube.New(s.getter)
	if err != nil {
		return nil, err
	}
	return c.CASReport(ctx, namespace, name, nonce)
}

// runSCONE lets SCONE's program attest the CAS, in a configuration of its own, and
// returns the certificates that it pinned.
func (s source) runSCONE(ctx context.Context, dial cas.Dialer) ([]byte, error) {
	arguments, err := sconeArguments(s.trust.CAS)
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
	run := func(arguments ...string) ([]byte, error) {
		c := exec.CommandContext(ctx, s.program, arguments...)
		c.Env = append(os.Environ(), "SCONE_CLI_CONFIG="+filepath.Join(folder, "config.json"))
		c.WaitDelay = time.Second
		var out, complaint limited
		c.Stdout, c.Stderr = &out, &complaint
		err := c.Run()
		if ctx.Err() != nil {
			err = ctx.Err() // instead of the signal that ended the program
		}
		if err != nil {
			return nil, &SCONEError{Command: s.program + " " + strings.Join(arguments[:2], " "), Said: complaint.String(), cause: err}
		}
		return out.Bytes(), nil
	}
	if _, err := run(append(append([]string{"cas", "attest"}, arguments...), address)...); err != nil {
		return nil, err
	}
	return run("cas", "show-certificate")
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
		return nil, &MissingError{What: "measurement or signer of the CAS", Flag: "--policy or --cas-mrenclave"}
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
	return "install SCONE's command line program or name it with --scone-cli; kubectl confidb explain 'LINE' knows its messages"
}

// ExitCode hides that of the program, which would look like a verdict of ours.
func (e *SCONEError) ExitCode() int {
	if errors.Is(e.cause, context.DeadlineExceeded) {
		return cli.TimedOut
	}
	return cli.Failed
}

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
