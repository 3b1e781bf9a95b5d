// Package pkcs12 writes a private key and its certificates as CAS does for the encoding
// pkcs12-with-private-key. The published session language says what is in the archive, and that
// its password is the empty text; the algorithms, which it does not name, are those of today's
// OpenSSL.
package pkcs12

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"slices"
)

// Encode returns an archive (RFC 7292) of a key and its certificates, the key's own first, whose
// password is the empty text.
func Encode(key crypto.PrivateKey, chain ...*x509.Certificate) ([]byte, error) {
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	id := sha1.Sum(chain[0].Raw)
	same := set(sequence(object(1, 2, 840, 113549, 1, 9, 21), set(octets(id[:])))) // localKeyId
	var bags [][]byte
	for i, c := range chain {
		bag := []([]byte){object(1, 2, 840, 113549, 1, 12, 10, 1, 3), explicit(sequence(object(1, 2, 840, 113549, 1, 9, 22, 1), explicit(octets(c.Raw))))}
		if i == 0 {
			bag = append(bag, same)
		}
		bags = append(bags, sequence(bag...))
	}
	algorithm, sealed, err := seal(sequence(bags...))
	if err != nil {
		return nil, err
	}
	certificates := sequence(object(1, 2, 840, 113549, 1, 7, 6), explicit(sequence(number(0), sequence(data(), algorithm, element(asn1.ClassContextSpecific, 0, false, sealed)))))
	if algorithm, sealed, err = seal(private); err != nil {
		return nil, err
	}
	shrouded := sequence(object(1, 2, 840, 113549, 1, 12, 10, 1, 2), explicit(sequence(algorithm, octets(sealed))), same)
	safe := sequence(certificates, sequence(data(), explicit(octets(sequence(shrouded)))))
	return sequence(number(3), sequence(data(), explicit(octets(safe))), authenticated(safe)), nil
}

// rounds are how often a key is hashed. There is nothing to guess in an empty password.
const rounds = 2048

// seal encrypts with PBES2 (RFC 8018): PBKDF2 with HMAC and SHA-256, AES-256 in CBC mode.
func seal(plain []byte) (algorithm, sealed []byte, err error) {
	salt, vector := random(), random()
	key, err := pbkdf2.Key(sha256.New, "", salt, rounds, 32)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, nil, err
	}
	pad := block.BlockSize() - len(plain)%block.BlockSize()
	sealed = slices.Concat(plain, bytes.Repeat([]byte{byte(pad)}, pad))
	cipher.NewCBCEncrypter(block, vector).CryptBlocks(sealed, sealed)
	derive := sequence(object(1, 2, 840, 113549, 1, 5, 12), sequence(octets(salt), number(rounds), sequence(object(1, 2, 840, 113549, 2, 9), null())))
	encrypt := sequence(object(2, 16, 840, 1, 101, 3, 4, 1, 42), octets(vector))
	return sequence(object(1, 2, 840, 113549, 1, 5, 13), sequence(derive, encrypt)), sealed, nil
}

// authenticated is the MacData of a text. Its key is made as in RFC 7292, appendix B.2: the empty
// password is two zero bytes there.
func authenticated(text []byte) []byte {
	salt := random()
	key := slices.Concat(bytes.Repeat([]byte{3}, sha256.BlockSize), bytes.Repeat(salt, sha256.BlockSize/len(salt)), make([]byte, sha256.BlockSize))
	for range rounds {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(text)
	return sequence(sequence(sequence(object(2, 16, 840, 1, 101, 3, 4, 2, 1), null()), octets(mac.Sum(nil))), octets(salt), number(rounds))
}

func random() []byte {
	b := make([]byte, aes.BlockSize)
	rand.Read(b) // never fails
	return b
}

// element is one of DER, of parts.
func element(class, tag int, compound bool, parts ...[]byte) []byte {
	return must(asn1.Marshal(asn1.RawValue{Class: class, Tag: tag, IsCompound: compound, Bytes: slices.Concat(parts...)}))
}

// must is for what can be written always: raw values, and numbers of ours.
func must(der []byte, err error) []byte {
	if err != nil {
		return nil
	}
	return der
}

func sequence(parts ...[]byte) []byte {
	return element(asn1.ClassUniversal, asn1.TagSequence, true, parts...)
}
func set(parts ...[]byte) []byte {
	return element(asn1.ClassUniversal, asn1.TagSet, true, parts...)
}
func explicit(part []byte) []byte { return element(asn1.ClassContextSpecific, 0, true, part) }
func octets(b []byte) []byte {
	return element(asn1.ClassUniversal, asn1.TagOctetString, false, b)
}
func object(of ...int) []byte { return must(asn1.Marshal(asn1.ObjectIdentifier(of))) }
func number(n int) []byte     { return must(asn1.Marshal(n)) }
func null() []byte            { return element(asn1.ClassUniversal, asn1.TagNull, false) }
func data() []byte            { return object(1, 2, 840, 113549, 1, 7, 1) }
