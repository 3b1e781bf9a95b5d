package enclave

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/confidb/confidb/pkg/lab/volume"
)

// CASPort is the TCP port on which a CAS answers enclaves. One exchange is one
// connection: CAS sends a Challenge, the enclave a Request, CAS an Answer, each
// one line of JSON.
const CASPort = "18765"

// MaxMessage bounds one message in bytes.
const MaxMessage = 4 << 20

// Challenge is CAS's first message.
type Challenge struct {
	// Challenge is 32 random bytes that the quote of the Request must answer.
	Challenge []byte `json:"challenge"`
}

// Request asks for the configuration of one service.
type Request struct {
	// ConfigID is SCONE_CONFIG_ID: session/service.
	ConfigID string `json:"configID"`
	// PublicKey is a fresh X25519 key of the enclave.
	PublicKey []byte `json:"publicKey"`
	// Quote is the enclave's, with ReportData as its report data.
	Quote []byte `json:"quote"`
	// Uses, when there are any, asks CAS for nothing but to remember them.
	Uses []Use `json:"uses,omitempty"`
}

// Use is what an enclave says of a rollback-protected volume: that it has opened
// it, or that it has closed it.
type Use struct {
	Volume string `json:"volume"`
	// Epoch is that of this opening.
	Epoch uint64 `json:"epoch"`
	// Tag is that of the closed volume; empty when it was opened.
	Tag []byte `json:"tag,omitempty"`
}

// Answer holds either the configuration or the reasons for a refusal.
type Answer struct {
	// PublicKey is a fresh X25519 key of CAS.
	PublicKey []byte `json:"publicKey,omitempty"`
	// Sealed is a Configuration that only the holder of the Request's key can open.
	Sealed []byte `json:"sealed,omitempty"`
	// Errors is the chain of causes, outermost first.
	Errors []string `json:"errors,omitempty"`
}

// Configuration is what a service gets: everything is already filled in but the
// host's own values, \@\@NAME in the environment and @@1 in the command.
type Configuration struct {
	Command     []string          `json:"command"`
	Environment map[string]string `json:"environment"`
	Pwd         string            `json:"pwd"`
	Files       []File            `json:"files"`
	Volumes     []Volume          `json:"volumes,omitempty"`
}

// Volume is a protected folder that the program finds at Path. CAS made its key.
type Volume struct {
	Name  string       `json:"name"`
	Path  string       `json:"path"`
	Key   []byte       `json:"key"`
	Known volume.Known `json:"known"`
}

// File is put into the enclave's memory before the program starts.
type File struct {
	Path       string      `json:"path"`
	Content    []byte      `json:"content"`
	Permission fs.FileMode `json:"permission"`
}

// ReportData binds a quote to one exchange: the challenge, the key under which
// the answer is sealed, the service that is asked for, and what is said of its volumes.
func ReportData(challenge, publicKey []byte, configID string, uses ...Use) [64]byte {
	parts := [][]byte{[]byte("confidb lab attestation v1"), challenge, publicKey, []byte(configID)}
	for _, u := range uses {
		parts = append(parts, []byte(u.Volume), binary.BigEndian.AppendUint64(nil, u.Epoch), u.Tag)
	}
	var message []byte
	for _, part := range parts {
		message = binary.BigEndian.AppendUint32(message, uint32(len(part)))
		message = append(message, part...)
	}
	return sha512.Sum512(message)
}

// SealConfiguration encrypts a configuration to the key of a Request. It returns
// CAS's public key for the Answer and the sealed text.
func SealConfiguration(c *Configuration, request *Request, challenge []byte) (publicKey, sealed []byte, err error) {
	peer, err := ecdh.X25519().NewPublicKey(request.PublicKey)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the enclave's key: %w", err)
	}
	own, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	box, err := exchange(own, peer, challenge)
	if err != nil {
		return nil, nil, err
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, nil, err
	}
	return own.PublicKey().Bytes(), box.Seal(nil, make([]byte, box.NonceSize()), text, nil), nil
}

// OpenConfiguration decrypts what SealConfiguration made for the key own.
func OpenConfiguration(a *Answer, own *ecdh.PrivateKey, challenge []byte) (*Configuration, error) {
	peer, err := ecdh.X25519().NewPublicKey(a.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("reading CAS's key: %w", err)
	}
	box, err := exchange(own, peer, challenge)
	if err != nil {
		return nil, err
	}
	text, err := box.Open(nil, make([]byte, box.NonceSize()), a.Sealed, nil)
	if err != nil {
		return nil, errors.New("the configuration is not sealed for this enclave")
	}
	var c Configuration
	return &c, json.Unmarshal(text, &c)
}

// exchange derives the key of one answer. It is used once, so its nonce is zero.
func exchange(own *ecdh.PrivateKey, peer *ecdh.PublicKey, challenge []byte) (cipher.AEAD, error) {
	shared, err := own.ECDH(peer)
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, shared, challenge, "confidb lab configuration v1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// SplitConfigID splits session/service at the last slash.
func SplitConfigID(configID string) (session, service string, err error) {
	at := strings.LastIndexByte(configID, '/')
	if at <= 0 || at == len(configID)-1 {
		return "", "", fmt.Errorf("SCONE_CONFIG_ID: got %q, want session/service", configID)
	}
	return configID[:at], configID[at+1:], nil
}
