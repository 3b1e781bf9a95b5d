package maxscale

import (
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"strings"
)

const (
	// salt is MaxScale's, the same for all: with another one nobody is let in.
	salt   = "MXS"
	rounds = 5000
)

// Users is the file `passwd` in MaxScale's data directory, with one administrator and nobody
// else. It must be there before MaxScale's first start, and be readable: else MaxScale makes
// admin with the password mariadb.
func Users(account, password string) ([]byte, error) {
	type user struct {
		Name     string `json:"name"`
		Account  string `json:"account"`
		Password string `json:"password"`
	}
	text, err := json.Marshal([]user{{account, "admin", crypt(password, salt)}})
	if err != nil {
		return nil, fmt.Errorf("writing MaxScale's users: %w", err)
	}
	return append(text, '\n'), nil
}

// crypt is the hash `$6$` of crypt(3) with its default of 5000 rounds: "Unix crypt using
// SHA-256 and SHA-512" by Ulrich Drepper, version 0.6. Numbers are those of its steps. The
// salt has at most 16 bytes.
func crypt(password, salt string) string {
	key := []byte(password)
	digestB := sha512.Sum512([]byte(password + salt + password)) // 4 to 8
	a := append(key[:len(key):len(key)], salt...)                // 1 to 3
	a = append(a, repeat(digestB[:], len(key))...)               // 9, 10
	for n := len(key); n > 0; n >>= 1 {                          // 11
		if n&1 != 0 {
			a = append(a, digestB[:]...)
		} else {
			a = append(a, key...)
		}
	}
	digest := sha512.Sum512(a)                                           // 12
	dp := sha512.Sum512([]byte(strings.Repeat(password, len(key))))      // 13 to 15
	ds := sha512.Sum512([]byte(strings.Repeat(salt, 16+int(digest[0])))) // 17 to 19
	p, s := repeat(dp[:], len(key)), repeat(ds[:], len(salt))            // 16, 20
	for round := range rounds {                                          // 21
		digest = sha512.Sum512(mix(round, digest[:], p, s))
	}
	return "$6$" + salt + "$" + encode(digest)
}

// mix is what is hashed in a round.
func mix(round int, digest, p, s []byte) (c []byte) {
	first, last := digest, p
	if round%2 != 0 {
		first, last = p, digest
	}
	c = append(c, first...)
	if round%3 != 0 {
		c = append(c, s...)
	}
	if round%7 != 0 {
		c = append(c, p...)
	}
	return append(c, last...)
}

// repeat is a text of n bytes, made of the digest over and over.
func repeat(digest []byte, n int) (text []byte) {
	for len(text) < n {
		text = append(text, digest[:min(len(digest), n-len(text))]...)
	}
	return text
}

// encode is the base 64 of crypt(3): three bytes at a time in an order of its own, the lowest
// six bits first.
func encode(digest [sha512.Size]byte) string {
	const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var text strings.Builder
	put := func(value uint, characters int) {
		for range characters {
			text.WriteByte(alphabet[value&0x3f])
			value >>= 6
		}
	}
	a, b, c := 0, 21, 42
	for range 21 {
		put(uint(digest[a])<<16|uint(digest[b])<<8|uint(digest[c]), 4)
		a, b, c = b+1, c+1, a+1
	}
	put(uint(digest[63]), 2)
	return text.String()
}
