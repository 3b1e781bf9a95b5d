package admin

import (
	"crypto/sha512"
	"crypto/subtle"
	"strconv"
	"strings"
)

// salt is MaxScale's, the same for everybody, and rounds is what crypt(3) does if it is not told.
const salt, rounds = "MXS", 5000

// itoa64 are the digits of crypt(3).
const itoa64 = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// hashed is what the file of users keeps of a password.
func hashed(password string) string { return crypt(password, salt, rounds, false) }

// matches reports whether a password is that of a hash. A hash with another salt is nobody's.
func matches(hash, password string) bool {
	return subtle.ConstantTimeCompare([]byte(hash), []byte(hashed(password))) == 1
}

// crypt is SHA512-crypt ("Unix crypt using SHA-256 and SHA-512", Ulrich Drepper, version 0.6).
// Its steps have the numbers of that text.
func crypt(password, salt string, rounds int, told bool) string {
	salt = salt[:min(len(salt), 16)]
	rounds = min(max(rounds, 1000), 999_999_999)
	key := []byte(password)
	b := sha512.Sum512([]byte(password + salt + password))           // 4–8
	text := append([]byte(password+salt), repeat(b[:], len(key))...) // 9–10
	for n := len(key); n > 0; n >>= 1 {                              // 11
		if n&1 != 0 {
			text = append(text, b[:]...)
		} else {
			text = append(text, key...)
		}
	}
	a := sha512.Sum512(text)                                                   // 12
	dp := sha512.Sum512([]byte(strings.Repeat(password, len(key))))            // 13–15
	ds := sha512.Sum512([]byte(strings.Repeat(salt, 16+int(a[0]))))            // 17–19
	c := stretch(a, repeat(dp[:], len(key)), repeat(ds[:], len(salt)), rounds) // 16, 20–21
	prefix := "$6$"
	if told {
		prefix += "rounds=" + strconv.Itoa(rounds) + "$"
	}
	return prefix + salt + "$" + digits(c)
}

// stretch is step 21.
func stretch(c [sha512.Size]byte, p, s []byte, rounds int) [sha512.Size]byte {
	for i := range rounds {
		h := sha512.New()
		add := func(mine bool) {
			if mine {
				h.Write(p)
			} else {
				h.Write(c[:])
			}
		}
		add(i%2 == 1)
		if i%3 != 0 {
			h.Write(s)
		}
		if i%7 != 0 {
			h.Write(p)
		}
		add(i%2 == 0)
		h.Sum(c[:0])
	}
	return c
}

// repeat fills n bytes with those of b, again and again.
func repeat(b []byte, n int) []byte {
	out := make([]byte, 0, n+len(b))
	for len(out) < n {
		out = append(out, b...)
	}
	return out[:n]
}

// digits is step 22e: 21 groups of three bytes that are 21 apart, and the last byte.
func digits(c [sha512.Size]byte) string {
	var out strings.Builder
	put := func(value uint, n int) {
		for range n {
			out.WriteByte(itoa64[value&63])
			value >>= 6
		}
	}
	for i, at := 0, 0; i < 21; i, at = i+1, (at+22)%63 {
		put(uint(c[at])<<16|uint(c[(at+21)%63])<<8|uint(c[(at+42)%63]), 4)
	}
	put(uint(c[63]), 2)
	return out.String()
}
