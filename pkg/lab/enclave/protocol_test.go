package enclave_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/lab/enclave"
)

func newKey(t *testing.T) *ecdh.PrivateKey {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestConfigurationIsSealed(t *testing.T) {
	const canary = "canary-of-the-configuration"
	own, challenge := newKey(t), bytes.Repeat([]byte{7}, 32)
	want := &enclave.Configuration{
		Command: []string{"server", "@@1"}, Environment: map[string]string{"PASSWORD": canary}, Pwd: "/data",
		Files: []enclave.File{{Path: "/run/key", Content: []byte{0, 1, 0xff}, Permission: 0o400}},
	}
	publicKey, sealed, err := enclave.SealConfiguration(want, &enclave.Request{PublicKey: own.PublicKey().Bytes()}, challenge)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte(canary)) {
		t.Error("the sealed text shows what is in it")
	}
	got, err := enclave.OpenConfiguration(&enclave.Answer{PublicKey: publicKey, Sealed: sealed}, own, challenge)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	other := slices.Clone(challenge)
	other[31]++
	for name, c := range map[string]struct {
		answer    enclave.Answer
		own       *ecdh.PrivateKey
		challenge []byte
	}{
		"another challenge":     {enclave.Answer{PublicKey: publicKey, Sealed: sealed}, own, other},
		"no challenge":          {enclave.Answer{PublicKey: publicKey, Sealed: sealed}, own, nil},
		"another enclave's key": {enclave.Answer{PublicKey: publicKey, Sealed: sealed}, newKey(t), challenge},
		"another CAS's key":     {enclave.Answer{PublicKey: newKey(t).PublicKey().Bytes(), Sealed: sealed}, own, challenge},
		"a key of zeros":        {enclave.Answer{PublicKey: make([]byte, 32), Sealed: sealed}, own, challenge},
		"no key":                {enclave.Answer{Sealed: sealed}, own, challenge},
		"nothing sealed":        {enclave.Answer{PublicKey: publicKey}, own, challenge},
		"the end is missing":    {enclave.Answer{PublicKey: publicKey, Sealed: sealed[:len(sealed)-1]}, own, challenge},
	} {
		if c, err := enclave.OpenConfiguration(&c.answer, c.own, c.challenge); err == nil {
			t.Errorf("%s: opened %+v", name, c)
		}
	}
	for i := range sealed {
		changed := slices.Clone(sealed)
		changed[i] ^= 1
		if _, err := enclave.OpenConfiguration(&enclave.Answer{PublicKey: publicKey, Sealed: changed}, own, challenge); err == nil {
			t.Fatalf("byte %d was changed, and nobody noticed", i)
		}
	}
}

func TestSealRefusesAKeyThatIsNone(t *testing.T) {
	for _, key := range [][]byte{nil, {1, 2}, make([]byte, 33), make([]byte, 32)} {
		if _, sealed, err := enclave.SealConfiguration(&enclave.Configuration{}, &enclave.Request{PublicKey: key}, nil); err == nil {
			t.Errorf("key %x: sealed %x", key, sealed)
		}
	}
}

// Two answers to one request must not share a key: the nonce is always the same.
func TestSealTwice(t *testing.T) {
	request := &enclave.Request{PublicKey: newKey(t).PublicKey().Bytes()}
	_, first, err := enclave.SealConfiguration(&enclave.Configuration{}, request, []byte{1})
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := enclave.SealConfiguration(&enclave.Configuration{}, request, []byte{1})
	if err != nil || bytes.Equal(first, second) {
		t.Errorf("two answers have the same sealed text (%v)", err)
	}
}

func TestReportDataBindsEveryPart(t *testing.T) {
	parts := func(challenge, key, configID string) [64]byte {
		return enclave.ReportData([]byte(challenge), []byte(key), configID)
	}
	seen := map[[64]byte]string{}
	for _, p := range [][3]string{
		{"ab", "cd", "ef"}, {"xb", "cd", "ef"}, {"ab", "xd", "ef"}, {"ab", "cd", "xf"},
		{"abc", "d", "ef"}, {"a", "bcd", "ef"}, {"ab", "cde", "f"}, {"ab", "c", "def"}, // the same bytes, moved
		{"", "abcd", "ef"}, {"abcd", "", "ef"}, {"abcdef", "", ""}, {"", "abcdef", ""}, {"", "", "abcdef"}, {"cd", "ab", "ef"},
		{"a\x00\x00\x00\x00b", "c", "d"}, {"a", "b\x00\x00\x00\x00c", "d"},
	} {
		data := parts(p[0], p[1], p[2])
		name := strings.Join(p[:], "|")
		if before, twice := seen[data]; twice {
			t.Errorf("%s and %s have the same report data", before, name)
		}
		seen[data] = name
	}
	if again := parts("ab", "cd", "ef"); seen[again] != "ab|cd|ef" {
		t.Error("the same parts have other report data")
	}
}

func TestSplitConfigID(t *testing.T) {
	for configID, want := range map[string][2]string{"db/mariadbd": {"db", "mariadbd"}, "shop/db/mariadbd": {"shop/db", "mariadbd"}} {
		session, service, err := enclave.SplitConfigID(configID)
		if err != nil || session != want[0] || service != want[1] {
			t.Errorf("%q: got %q, %q, %v", configID, session, service, err)
		}
	}
	for _, configID := range []string{"", "/", "db", "db/", "/mariadbd"} {
		if session, service, err := enclave.SplitConfigID(configID); err == nil || !strings.Contains(err.Error(), "want session/service") {
			t.Errorf("%q: got %q, %q, %v", configID, session, service, err)
		}
	}
}
