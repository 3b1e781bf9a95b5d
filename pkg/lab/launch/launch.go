// Package launch stands in for SCONE's runtime: it measures a program, gets a
// quote for it from the node's LAS, attests to a CAS, puts the files of its session
// into place and becomes the program. For a session with volumes it stays, and shows
// them to the program. There is no hardware: whoever has root on the machine reads
// the program's memory and can lie about the measurement.
package launch

import (
	"bufio"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/lab/enclave"
	"github.com/confidb/confidb/pkg/lab/las"
)

// timeout bounds an attestation, from dialling CAS to the configuration.
const timeout = 30 * time.Second

// Host is everything that an enclave takes from the machine it is started on.
type Host struct {
	// Getenv reads the environment.
	Getenv func(string) string
	// Arguments are the program and its arguments, as the host wants them.
	Arguments []string
}

// Process is what is to be executed.
type Process struct {
	// Path is the program's file; Arguments begin with its name.
	Path                   string
	Arguments, Environment []string
	// Directory is the working directory; empty leaves it as it is.
	Directory string
	// Volumes are to be shown to the program, and to nobody else.
	Volumes []enclave.Volume
}

// RefusedError means that CAS does not give the program its configuration, or that
// nobody could be asked. It reads like SCONE's.
type RefusedError struct {
	Host, ConfigID string
	Causes         []string
}

func (e *RefusedError) Error() string {
	var b strings.Builder
	b.WriteString("[SCONE|FATAL] src/process/init.c:476:__scone_prepare_secure_config(): Could not initialize enclave state: Attestation failed\n")
	for _, cause := range e.Causes {
		fmt.Fprintf(&b, "  Caused by: %s\n", cause)
	}
	fmt.Fprintf(&b, "Note: Connecting to CAS at %s (port %s) using service ID %s", e.Host, enclave.CASPort, e.ConfigID)
	return b.String()
}

// Prepare attests the program and returns what is to be executed; the files of
// the session are in place then. Without SCONE_CONFIG_ID there is no session, and
// the program gets what the host gives it.
func Prepare(ctx context.Context, h Host, identity enclave.Identity, path string) (*Process, error) {
	configID := h.Getenv("SCONE_CONFIG_ID")
	if configID == "" {
		return &Process{Path: path, Arguments: h.Arguments, Environment: os.Environ()}, nil
	}
	cas := h.Getenv("SCONE_CAS_ADDR")
	refused := func(causes ...string) error { return &RefusedError{Host: cas, ConfigID: configID, Causes: causes} }
	switch mode := h.Getenv("SCONE_MODE"); {
	case !slices.Contains([]string{"", "auto", "hw"}, mode):
		return nil, refused(fmt.Sprintf("SCONE_MODE is %q: only a program in an enclave can be attested", mode))
	case cas == "" || h.Getenv("SCONE_LAS_ADDR") == "":
		return nil, refused("SCONE_CAS_ADDR or SCONE_LAS_ADDR is not set")
	}
	configuration, causes := h.attest(ctx, identity)
	if configuration == nil {
		return nil, refused(causes...)
	}
	if err := place(configuration.Files); err != nil {
		return nil, fmt.Errorf("placing the files of the session: %w", err)
	}
	return h.process(configuration, path)
}

// attest asks CAS for the configuration, or tells it what is done with volumes. The
// configuration is nil when there are reasons for a refusal.
func (h Host) attest(ctx context.Context, identity enclave.Identity, uses ...enclave.Use) (*enclave.Configuration, []string) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request := enclave.Request{ConfigID: h.Getenv("SCONE_CONFIG_ID"), Uses: uses}
	answer, configuration, err := exchange(ctx, h.Getenv("SCONE_CAS_ADDR"), las.NewClient(h.Getenv("SCONE_LAS_ADDR")), identity, request)
	switch {
	case err != nil:
		return nil, []string{err.Error()}
	case configuration == nil:
		return nil, append([]string{"CAS sent an attestation/configuration error: " + answer.Errors[0]}, answer.Errors[1:]...)
	}
	return configuration, nil
}

// exchange sends one request to CAS; the configuration is nil when the answer is a
// refusal.
func exchange(ctx context.Context, address string, node las.Client, identity enclave.Identity, request enclave.Request) (*enclave.Answer, *enclave.Configuration, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(address, enclave.CASPort)
	}
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to CAS: %w", err)
	}
	defer connection.Close()
	if deadline, ok := ctx.Deadline(); ok {
		connection.SetDeadline(deadline)
	}
	reader := bufio.NewReader(io.LimitReader(connection, enclave.MaxMessage))
	var challenge enclave.Challenge
	if err := receive(reader, &challenge); err != nil {
		return nil, nil, fmt.Errorf("reading the challenge of CAS: %w", err)
	}
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	request.PublicKey = key.PublicKey().Bytes()
	if request.Quote, err = node.Quote(ctx, identity, enclave.ReportData(challenge.Challenge, request.PublicKey, request.ConfigID, request.Uses...)); err != nil {
		return nil, nil, err
	}
	if err := json.NewEncoder(connection).Encode(request); err != nil {
		return nil, nil, fmt.Errorf("sending the quote to CAS: %w", err)
	}
	var answer enclave.Answer
	if err := receive(reader, &answer); err != nil {
		return nil, nil, fmt.Errorf("reading the answer of CAS: %w", err)
	}
	if len(answer.Errors) > 0 {
		return &answer, nil, nil
	}
	configuration, err := enclave.OpenConfiguration(&answer, key, challenge.Challenge)
	return &answer, configuration, err
}

func receive(reader *bufio.Reader, into any) error {
	line, err := reader.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, into)
}

// place writes the files of a session. The pod mounts memory where they belong.
func place(files []enclave.File) error {
	for _, f := range files {
		if !filepath.IsAbs(f.Path) || filepath.Clean(f.Path) != f.Path {
			return fmt.Errorf("path %q: want an absolute, clean one", f.Path)
		}
		if err := os.MkdirAll(filepath.Dir(f.Path), 0o700); err != nil {
			return err
		}
		if err := os.Remove(f.Path); err != nil && !os.IsNotExist(err) {
			return err
		}
		if err := os.WriteFile(f.Path, f.Content, f.Permission); err != nil {
			return err
		}
	}
	return nil
}

// hostVariable marks a variable of the session whose value comes from the host.
const hostVariable = `\@\@`

// process puts the host's values where the session asks for them, and only there.
func (h Host) process(c *enclave.Configuration, path string) (*Process, error) {
	p := &Process{Path: path, Directory: c.Pwd, Arguments: slices.Clone(h.Arguments), Volumes: c.Volumes}
	for name, value := range c.Environment {
		if own, ok := strings.CutPrefix(name, hostVariable); ok {
			name = own
			if given := h.Getenv(own); given != "" {
				value = given
			}
		}
		p.Environment = append(p.Environment, name+"="+value)
	}
	slices.Sort(p.Environment)
	if len(c.Command) == 0 {
		return p, nil
	}
	p.Arguments = nil
	for _, word := range c.Command {
		resolved, err := h.argument(word)
		if err != nil {
			return nil, err
		}
		p.Arguments = append(p.Arguments, resolved)
	}
	return p, nil
}

// argument resolves @@1, the host's first argument after the program, and so on.
func (h Host) argument(word string) (string, error) {
	found := regexp.MustCompile(`^@@([1-9][0-9]{0,2})$`).FindStringSubmatch(word)
	if found == nil {
		return word, nil
	}
	n, err := strconv.Atoi(found[1])
	if err != nil || n >= len(h.Arguments) {
		return "", fmt.Errorf("the session's command wants the host's argument %s, which was not given", word)
	}
	return h.Arguments[n], nil
}

// Resolve finds a program on the search path, as the file that is measured.
func Resolve(program string, lookPath func(string) (string, error)) (string, error) {
	path, err := lookPath(program)
	if err != nil {
		return "", fmt.Errorf("finding the program: %w", err)
	}
	return filepath.EvalSymlinks(path)
}
