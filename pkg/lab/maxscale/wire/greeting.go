package wire

import (
	"encoding/binary"
	"fmt"
	"io"
)

const (
	protocolVersion = 10
	// ChallengeBytes is the length of a challenge.
	ChallengeBytes = 20
	// NativePassword is the method of login that is spoken here.
	NativePassword = "mysql_native_password"
)

// Challenge is what a login proves its password with.
type Challenge [ChallengeBytes]byte

// NewChallenge makes a challenge of random bytes from 1 to 127, as zero ends it.
func NewChallenge(random io.Reader) (c Challenge, err error) {
	if _, err := io.ReadFull(random, c[:]); err != nil {
		return c, fmt.Errorf("making a challenge: %w", err)
	}
	for i, b := range c {
		c[i] = b%127 + 1
	}
	return c, nil
}

// Greeting is the first packet of a server (page "1 - Connecting, Initial Handshake
// Packet").
type Greeting struct {
	// Version is sent as it stands, with the prefix 5.5.5- where there is one.
	Version      string
	ConnectionID uint32
	Challenge    Challenge
	Capabilities Capabilities
	Charset      byte
	Status       Status
}

// Encode returns the packet.
func (g Greeting) Encode() []byte {
	p := append([]byte{protocolVersion}, g.Version...)
	p = binary.LittleEndian.AppendUint32(append(p, 0), g.ConnectionID)
	p = append(append(p, g.Challenge[:8]...), 0)
	p = binary.LittleEndian.AppendUint16(p, uint16(g.Capabilities))
	p = binary.LittleEndian.AppendUint16(append(p, g.Charset), uint16(g.Status))
	p = binary.LittleEndian.AppendUint16(p, uint16(g.Capabilities>>16))
	p = append(p, ChallengeBytes+1, 0, 0, 0, 0, 0, 0)
	p = binary.LittleEndian.AppendUint32(p, uint32(g.Capabilities>>32))
	p = append(append(p, g.Challenge[8:]...), 0)
	return append(append(p, NativePassword...), 0)
}

// ParseGreeting reads a greeting of a server that speaks mysql_native_password first or can
// be asked to. A server that refuses at once sends an ERR packet instead: then the error is
// an *Error.
func ParseGreeting(packet []byte) (*Greeting, error) {
	if len(packet) > 0 && packet[0] == errMarker {
		return nil, ParseError(packet)
	}
	r := reader{rest: packet}
	if version := r.number(1); version != protocolVersion {
		return nil, fmt.Errorf("greeting of protocol %d: want %d", version, protocolVersion)
	}
	g := &Greeting{Version: r.terminated(), ConnectionID: uint32(r.number(4))}
	copy(g.Challenge[:8], r.bytes(8))
	r.bytes(1)
	g.Capabilities = Capabilities(r.number(2))
	g.Charset, g.Status = byte(r.number(1)), Status(r.number(2))
	g.Capabilities |= Capabilities(r.number(2)) << 16
	r.bytes(1 + 6)
	if own := Capabilities(r.number(4)) << 32; !g.Capabilities.Has(LongPassword) {
		g.Capabilities |= own
	}
	copy(g.Challenge[8:], r.bytes(ChallengeBytes-8))
	if r.failed {
		return nil, fmt.Errorf("greeting of %d bytes: %w", len(packet), ErrShort)
	}
	if !g.Capabilities.Has(formatCapabilities) {
		return nil, fmt.Errorf("greeting with capabilities %#x: from before MySQL 4.1", uint64(g.Capabilities))
	}
	return g, nil
}
