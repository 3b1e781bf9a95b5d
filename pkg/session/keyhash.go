package session

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"math/big"
	"strings"
)

const (
	base58      = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	base58Words = "50 characters of scone self show"
	keyHashSize = 32
)

// decodeKeyHash reads the hash of a key as scone self show prints it: in base58, a byte 1
// for the version, 32 bytes, and the first 4 bytes of the double SHA-256 of those.
func decodeKeyHash(text string) ([]byte, error) {
	number, digit := new(big.Int), new(big.Int)
	if len(text) < 40 || len(text) > 55 {
		return nil, errors.New("its length is another one")
	}
	for _, r := range text {
		at := strings.IndexRune(base58, r)
		if at < 0 {
			return nil, errors.New("not all of it is base58")
		}
		number.Mul(number, big.NewInt(58)).Add(number, digit.SetInt64(int64(at)))
	}
	if number.BitLen() > 8*(1+keyHashSize+4) {
		return nil, errors.New("it is too long")
	}
	whole := number.FillBytes(make([]byte, 1+keyHashSize+4))
	body, sum := whole[:1+keyHashSize], whole[1+keyHashSize:]
	once := sha256.Sum256(body)
	twice := sha256.Sum256(once[:])
	switch {
	case subtle.ConstantTimeCompare(sum, twice[:4]) != 1:
		return nil, errors.New("its checksum is wrong: a character is missing or another")
	case body[0] != 1:
		return nil, errors.New("it is of a version that is not known")
	}
	return body[1:], nil
}
