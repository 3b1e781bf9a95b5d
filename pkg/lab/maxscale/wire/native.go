package wire

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
)

// Hash is a SHA-1: of a password, or of such a hash, which is what servers keep.
type Hash [sha1.Size]byte

// HashPassword returns SHA1(password). It is as good as the password itself.
func HashPassword(password string) Hash { return sha1.Sum([]byte(password)) }

// Stored returns what a server keeps of a password of this hash.
func (h Hash) Stored() Hash { return sha1.Sum(h[:]) }

// ParseStored reads what mysql.user shows: an asterisk and 40 hexadecimal digits.
func ParseStored(text string) (h Hash, ok bool) {
	if len(text) != 1+2*len(h) || text[0] != '*' {
		return h, false
	}
	n, err := hex.Decode(h[:], []byte(text[1:]))
	return h, err == nil && n == len(h)
}

// mask is what the hash of the password is combined with on the wire (page
// "mysql_native_password").
func mask(c Challenge, stored Hash) Hash { return sha1.Sum(append(c[:], stored[:]...)) }

func (h Hash) xor(other Hash) (both Hash) {
	subtle.XORBytes(both[:], h[:], other[:])
	return both
}

// Answer returns the answer to a challenge of whoever knows the hash of a password.
func (h Hash) Answer(c Challenge) []byte {
	answer := h.xor(mask(c, h.Stored()))
	return answer[:]
}

// Recover returns the hash of the password that a client has answered a challenge with, if
// it is the one that is stored.
func Recover(c Challenge, reply []byte, stored Hash) (h Hash, ok bool) {
	if len(reply) != len(h) {
		return Hash{}, false
	}
	h = Hash(reply).xor(mask(c, stored))
	again := h.Stored()
	if subtle.ConstantTimeCompare(again[:], stored[:]) != 1 {
		return Hash{}, false
	}
	return h, true
}
