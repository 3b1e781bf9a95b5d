package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Login is what a client answers a greeting with (page "1 - Connecting, Client Handshake
// Response"), or a COM_CHANGE_USER with.
type Login struct {
	Capabilities Capabilities // as the client sent them
	MaxPacket    uint32
	// Charset is one byte of a login, two of a COM_CHANGE_USER.
	Charset uint16
	User    string
	// Reply answers the challenge. Without password it is empty.
	Reply    []byte
	Database string
	Plugin   string
	// Attributes are the connection's, as they were sent, without their length.
	Attributes []byte
}

// tlsRequestBytes is the length of the part of a login that is sent in clear to begin TLS.
const tlsRequestBytes = 32

// IsTLSRequest reports whether a client's first packet asks for TLS.
func IsTLSRequest(packet []byte) bool {
	return len(packet) == tlsRequestBytes && Capabilities(binary.LittleEndian.Uint16(packet)).Has(TLS)
}

// TLSRequest is the packet that begins TLS before this login.
func (l Login) TLSRequest() []byte {
	p := binary.LittleEndian.AppendUint32(nil, uint32(l.Capabilities|TLS))
	p = binary.LittleEndian.AppendUint32(p, l.MaxPacket)
	p = append(append(p, byte(l.Charset)), make([]byte, 19)...)
	return binary.LittleEndian.AppendUint32(p, uint32(l.Capabilities>>32))
}

// Encode returns the packet. The capabilities say which of the fields are sent.
func (l Login) Encode() []byte {
	p := l.TLSRequest()
	binary.LittleEndian.PutUint32(p, uint32(l.Capabilities))
	p = append(append(p, l.User...), 0)
	if l.Capabilities.Has(PluginAuthLength) {
		p = appendText(p, l.Reply)
	} else {
		p = append(append(p, byte(len(l.Reply))), l.Reply...)
	}
	if l.Capabilities.Has(ConnectWithDB) {
		p = append(append(p, l.Database...), 0)
	}
	if l.Capabilities.Has(PluginAuth) {
		p = append(append(p, l.Plugin...), 0)
	}
	if l.Capabilities.Has(ConnectAttributes) {
		p = appendText(p, l.Attributes)
	}
	return p
}

// ParseLogin reads a login.
func ParseLogin(packet []byte) (*Login, error) {
	r := reader{rest: packet}
	l := &Login{Capabilities: Capabilities(r.number(4)), MaxPacket: uint32(r.number(4)), Charset: uint16(r.number(1))}
	r.bytes(19)
	if own := Capabilities(r.number(4)) << 32; !l.Capabilities.Has(LongPassword) {
		l.Capabilities |= own
	}
	if !l.Capabilities.Has(formatCapabilities) {
		return nil, errors.New("login of a client from before MySQL 4.1")
	}
	l.User = r.terminated()
	if l.Capabilities.Has(PluginAuthLength) {
		l.Reply = bytes.Clone(r.text())
	} else {
		l.Reply = bytes.Clone(r.bytes(r.number(1)))
	}
	if l.Capabilities.Has(ConnectWithDB) {
		l.Database = r.terminated()
	}
	l.rest(&r)
	if r.failed {
		return nil, fmt.Errorf("login of %d bytes: %w", len(packet), ErrShort)
	}
	return l, nil
}

// rest reads what a login and a change of user end with.
func (l *Login) rest(r *reader) {
	if l.Capabilities.Has(PluginAuth) {
		l.Plugin = r.terminated()
	}
	if l.Capabilities.Has(ConnectAttributes) && len(r.rest) > 0 {
		l.Attributes = bytes.Clone(r.text())
	}
}

// ParseChangeUser reads a COM_CHANGE_USER (page "2 - Text Protocol, COM_CHANGE_USER") of a
// client with these capabilities.
func ParseChangeUser(packet []byte, agreed Capabilities) (*Login, error) {
	r := reader{rest: packet}
	r.bytes(1)
	l := &Login{Capabilities: agreed, User: r.terminated()}
	l.Reply = bytes.Clone(r.bytes(r.number(1)))
	l.Database = r.terminated()
	if len(r.rest) > 0 {
		l.Charset = uint16(r.number(2))
		l.rest(&r)
	}
	if r.failed {
		return nil, fmt.Errorf("change of user of %d bytes: %w", len(packet), ErrShort)
	}
	return l, nil
}

// EncodeChangeUser returns the packet of a COM_CHANGE_USER.
func (l Login) EncodeChangeUser() []byte {
	p := append(append([]byte{byte(ChangeUser)}, l.User...), 0)
	p = append(append(p, byte(len(l.Reply))), l.Reply...)
	p = append(append(p, l.Database...), 0)
	p = binary.LittleEndian.AppendUint16(p, l.Charset)
	if l.Capabilities.Has(PluginAuth) {
		p = append(append(p, l.Plugin...), 0)
	}
	if l.Capabilities.Has(ConnectAttributes) {
		p = appendText(p, l.Attributes)
	}
	return p
}

const switchMarker = 0xfe

// SwitchRequest asks a client to log in by mysql_native_password with another challenge
// (page "1 - Connecting, Authentication Switch Request").
func SwitchRequest(c Challenge) []byte {
	p := append(append([]byte{switchMarker}, NativePassword...), 0)
	return append(append(p, c[:]...), 0)
}

// ParseSwitchRequest reads such a request: ok is false for another packet, or method.
func ParseSwitchRequest(packet []byte) (c Challenge, ok bool) {
	r := reader{rest: packet}
	marker, plugin := r.number(1), r.terminated()
	copy(c[:], r.bytes(ChallengeBytes))
	return c, !r.failed && marker == switchMarker && plugin == NativePassword
}
