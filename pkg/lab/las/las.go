// Package las stands in for SCONE's local attestation service: one per node, with
// a platform key that never leaves the node. There is no hardware, so it believes
// an enclave about its own measurement; everything else is as real as it can be.
// Its protocol is the lab's own: one JSON object per line, one answer per request.
package las

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/lab/enclave"
	"github.com/confidb/confidb/pkg/sgx"
)

// Port is LAS's TCP port.
const Port = "18766"

// maxLine bounds a request and an answer, in bytes; timeout bounds an exchange.
const (
	maxLine = 64 << 10
	timeout = 10 * time.Second
)

// request asks for a quote or for a sealing key.
type request struct {
	Operation string           `json:"operation"`
	Identity  enclave.Identity `json:"identity"`
	// ReportData is what the enclave binds to the quote: 64 bytes.
	ReportData []byte `json:"reportData"`
}

type answer struct {
	Quote []byte `json:"quote,omitempty"`
	Key   []byte `json:"key,omitempty"`
	Error string `json:"error,omitempty"`
}

const (
	operationQuote = "quote"
	operationSeal  = "seal-key"
)

// Server answers the enclaves of one node.
type Server struct{ platform *sgxmint.Platform }

// NewServer returns the LAS of a platform.
func NewServer(p *sgxmint.Platform) *Server { return &Server{p} }

// Serve answers until the listener is closed or ctx ends.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	for {
		connection, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accepting: %w", err)
		}
		go s.handle(connection)
	}
}

func (s *Server) handle(connection net.Conn) {
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(timeout))
	line, err := bufio.NewReader(io.LimitReader(connection, maxLine)).ReadBytes('\n')
	if err != nil {
		return // a probe of the port, or a client that went away
	}
	var out answer
	if out, err = s.answer(line); err != nil {
		out = answer{Error: err.Error()}
	}
	json.NewEncoder(connection).Encode(out) // a client that went away gets nothing
}

func (s *Server) answer(line []byte) (answer, error) {
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return answer{}, err
	}
	switch r.Operation {
	case operationSeal:
		mac := hmac.New(sha256.New, s.platform.Secret[:])
		mac.Write(r.Identity.MRENCLAVE[:])
		return answer{Key: mac.Sum(nil)}, nil
	case operationQuote:
		if len(r.ReportData) != 64 {
			return answer{}, fmt.Errorf("report data: got %d bytes, want 64", len(r.ReportData))
		}
		quote, err := s.platform.Quote(sgx.ReportBody{
			MRENCLAVE: r.Identity.MRENCLAVE, MRSIGNER: r.Identity.MRSIGNER, ISVProdID: r.Identity.ISVProdID, ISVSVN: r.Identity.ISVSVN,
			Attributes: [16]byte{5}, ReportData: [64]byte(r.ReportData), // initialized, 64 bit, not debug
		})
		return answer{Quote: quote}, err
	}
	return answer{}, fmt.Errorf("operation: got %.40q, want %s or %s", r.Operation, operationQuote, operationSeal)
}

// Client asks the LAS at one address.
type Client struct{ Address string }

// NewClient returns a client; an address without port gets LAS's own.
func NewClient(address string) Client {
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(address, Port)
	}
	return Client{address}
}

// Quote returns a quote of the enclave with 64 bytes of report data.
func (c Client) Quote(ctx context.Context, identity enclave.Identity, reportData [64]byte) ([]byte, error) {
	a, err := c.ask(ctx, request{operationQuote, identity, reportData[:]})
	return a.Quote, err
}

// SealKey returns the key that only this enclave gets on this platform.
func (c Client) SealKey(ctx context.Context, identity enclave.Identity) ([32]byte, error) {
	a, err := c.ask(ctx, request{Operation: operationSeal, Identity: identity})
	if err == nil && len(a.Key) != 32 {
		err = fmt.Errorf("asking LAS for a sealing key: got %d bytes, want 32", len(a.Key))
	}
	if err != nil {
		return [32]byte{}, err
	}
	return [32]byte(a.Key), nil
}

func (c Client) ask(ctx context.Context, r request) (answer, error) {
	var a answer
	connection, err := (&net.Dialer{Timeout: timeout}).DialContext(ctx, "tcp", c.Address)
	if err != nil {
		return a, fmt.Errorf("asking LAS: %w", err)
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(timeout))
	if err := json.NewEncoder(connection).Encode(r); err != nil {
		return a, fmt.Errorf("asking LAS: %w", err)
	}
	if err := json.NewDecoder(io.LimitReader(connection, maxLine)).Decode(&a); err != nil {
		return a, fmt.Errorf("asking LAS: reading the answer: %w", err)
	}
	if a.Error != "" {
		return a, fmt.Errorf("asking LAS: %s", a.Error)
	}
	return a, nil
}

// OpenPlatform loads the platform that is kept in a folder of the node, or makes
// one that the authority certifies.
func OpenPlatform(folder string, authority *sgxmint.Authority, now time.Time) (*sgxmint.Platform, error) {
	path := filepath.Join(folder, "platform.json")
	text, err := os.ReadFile(path)
	if err == nil {
		var p sgxmint.Platform
		if err := json.Unmarshal(text, &p); err != nil {
			return nil, fmt.Errorf("reading the platform %s: %w", path, err)
		}
		return &p, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	p, err := sgxmint.NewPlatform(authority, now)
	if err != nil {
		return nil, err
	}
	if text, err = json.Marshal(p); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return nil, err
	}
	return p, os.Rename(path+".new", path)
}

// SCONEKey is the platform ID up to SCONE 6: there it is the public key of SCONE's
// own quoting enclave. The lab has none, so it derives one from the QE ID.
func SCONEKey(qeID [16]byte) string {
	key := sha256.Sum256(append([]byte("confidb lab SCONE QE"), qeID[:]...))
	return strings.ToUpper(hex.EncodeToString(key[:]))
}

// Generation is the version of SCONE whose platform ID and wording LAS uses: 6 or 7.
type Generation int

// PlatformID is how a session names the platform.
func (g Generation) PlatformID(qeID [16]byte) string {
	if g == 6 {
		return SCONEKey(qeID)
	}
	return "INTEL_QE_ID:" + hex.EncodeToString(qeID[:])
}

// Wording is how LAS writes its platform ID to its log.
func (g Generation) Wording(qeID [16]byte, now time.Time) string {
	if g == 6 {
		return fmt.Sprintf("[10000:INFO@%s] STARTER: SCONE QE has public key %s", now.UTC().Format("02.01.2006/15:04:05"), SCONEKey(qeID))
	}
	return now.UTC().Format("2006-01-02T15:04:05.000000Z") + "  INFO Intel QE ID: " + hex.EncodeToString(qeID[:])
}
