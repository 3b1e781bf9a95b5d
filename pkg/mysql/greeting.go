package mysql

import (
	"errors"
	"fmt"
	"strings"

	"github.com/confidb/confidb/pkg/check"
)

// Greeting is the first packet of a server (page "Protocol::HandshakeV10"). It is
// sent in clear, so nothing in it is proven: whoever is in between can write it.
type Greeting struct {
	// Version is what the server calls itself, on one printable line, without the
	// prefix 5.5.5- that MariaDB puts before it for old replicas.
	Version string
	// ConnectionID is the server's number for this connection, modulo 2^32.
	ConnectionID uint32
	// OffersTLS says whether the server is ready to switch to TLS.
	OffersTLS bool

	scramble []byte // the challenge, 20 bytes
}

const (
	scrambleBytes   = 20
	greetingVersion = 10
	nativePassword  = "mysql_native_password"
	longestVersion  = 256 // bytes
)

// parseGreeting reads a greeting. A server that refuses at once, such as one with
// too many connections, sends an error packet instead: then the error is a *ServerError.
func parseGreeting(packet []byte) (*Greeting, error) {
	if len(packet) > 0 && packet[0] == errorMarker {
		return nil, parseServerError(packet)
	}
	fields := cursor{rest: packet}
	if version := fields.number(1); version != greetingVersion {
		return nil, fmt.Errorf("greeting of protocol %d: want %d", version, greetingVersion)
	}
	name := strings.TrimPrefix(fields.terminated(), "5.5.5-")
	number := uint32(fields.number(4))
	scramble := append([]byte(nil), fields.bytes(8)...)
	fields.bytes(1)
	capabilities := fields.number(2)
	fields.bytes(1 + 2) // character set, status
	capabilities |= fields.number(2) << 16
	fields.bytes(1 + 10) // length of the challenge, which is fixed, and reserved bytes
	scramble = append(scramble, fields.bytes(scrambleBytes-8)...)
	fields.bytes(1)
	if capabilities&capPluginAuth != 0 {
		fields.terminated() // the method that the server prefers: it says so again if it matters
	}
	switch {
	case fields.failed:
		return nil, fmt.Errorf("greeting of %d bytes: %w", len(packet), errShort)
	case len(name) > longestVersion:
		return nil, fmt.Errorf("greeting with a version of %d bytes: want at most %d", len(name), longestVersion)
	case capabilities&capProtocol41 == 0 || capabilities&capSecureConnection == 0:
		return nil, errors.New("greeting of a server from before MySQL 4.1")
	}
	return &Greeting{Version: check.Said(name), ConnectionID: number, OffersTLS: capabilities&capTLS != 0, scramble: scramble}, nil
}

// ServerError is an error packet of the server (page "ERR_Packet"). Before TLS
// stands, anybody in between can have written it.
type ServerError struct {
	// Code is MariaDB's, for example 1045 (access denied).
	Code uint16
	// State is the SQLSTATE, five digits and capital letters, or empty if there is none.
	State string
	// Message is the peer's text, its first 512 bytes on one printable line.
	Message string
}

// Error returns code, state and message in the form of MariaDB's own client.
func (e *ServerError) Error() string {
	return fmt.Sprintf("ERROR %d (%s): %q", e.Code, e.State, e.Message)
}

const (
	errorMarker    = 0xff
	longestMessage = 512
)

// parseServerError reads an error packet; a malformed one is an error as well,
// but not a *ServerError.
func parseServerError(packet []byte) error {
	fields := cursor{rest: packet}
	marker, code := fields.number(1), fields.number(2)
	if fields.failed || marker != errorMarker {
		return fmt.Errorf("error packet of %d bytes: %w", len(packet), errShort)
	}
	parsed := &ServerError{Code: uint16(code)}
	if len(fields.rest) >= 6 && fields.rest[0] == '#' {
		parsed.State = sqlState(string(fields.bytes(6)[1:]))
	}
	parsed.Message = check.Said(string(fields.rest[:min(len(fields.rest), longestMessage)]))
	return parsed
}

// sqlState is text if it is a SQLSTATE: digits and capital letters. Else it is empty.
func sqlState(text string) string {
	if strings.Trim(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return ""
	}
	return text
}
