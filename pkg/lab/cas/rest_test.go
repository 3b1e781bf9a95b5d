package cas_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

func hashOf(user tls.Certificate) string {
	sum := sha256.Sum256(user.Leaf.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

func pemOf(user tls.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: user.Leaf.Raw}))
}

const zeroHash = "0000000000000000000000000000000000000000000000000000000000000000"

func TestSessions(t *testing.T) {
	l := newLab(t).start(t)
	owner := newUser(t, "owner")
	first := l.upload(t, owner, document("app", ""))
	l.refuses(t, owner, "POST", "/session", document("app", ""), 400, "Session already exists, please specify predecessor hash")
	l.refuses(t, owner, "POST", "/session", successor(document("app", ""), zeroHash), 409, "Could not create successor session. Invalid previous session digest: "+zeroHash)
	l.refuses(t, owner, "POST", "/session", successor(document("new", ""), zeroHash), 404, "does not exist")
	second := l.upload(t, owner, successor(document("app", ""), strings.ToUpper(first)))
	l.refuses(t, owner, "POST", "/session", successor(document("app", ""), first), 409, "Invalid previous session digest")

	for query, hash := range map[string]string{"": second, "?hash=" + first: first, "?hash=" + second: second} {
		status, body := l.request(t, owner, "GET", "/v1/sessions/app"+query, "")
		var got struct{ Hash, Session string }
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 {
			t.Fatalf("got %d %s", status, body)
		}
		if sum := sha256.Sum256([]byte(got.Session)); got.Hash != hash || hex.EncodeToString(sum[:]) != hash || !strings.HasSuffix(got.Session, "\ncreator: "+hashOf(owner)+"\n") {
			t.Errorf("%s: got hash %s and %q", query, got.Hash, got.Session)
		}
	}
	l.refuses(t, owner, "GET", "/v1/sessions/app?hash="+zeroHash, "", 404, "no version")
	l.refuses(t, owner, "GET", "/v1/sessions/missing", "", 404, "Session 'missing' does not exist")
	l.refuses(t, tls.Certificate{}, "GET", "/v1/sessions/app", "", 403, "not permitted")
	l.refuses(t, tls.Certificate{}, "POST", "/session", document("other", ""), 403, "client certificate")
	l.refuses(t, owner, "GET", "/v1/nothing", "", 404, "No such resource")
	l.refuses(t, owner, "DELETE", "/v1/sessions/app", "", 404, "No such resource")
	l.refuses(t, owner, "POST", "/session", strings.Repeat("#", 1<<20+1), 413, "longer than")
	if status, body := l.request(t, tls.Certificate{}, "GET", "/v1/version", ""); status != 200 || body != "{\"version\":\"6.0.6\"}\n" {
		t.Errorf("version: %d %q", status, body)
	}
	// The key is the identity: a renewed certificate is the same user.
	renewed := userWithKey(t, "renewed", owner.PrivateKey.(*ecdsa.PrivateKey))
	l.upload(t, renewed, successor(document("app", ""), second))
	if !strings.Contains(l.log.String(), `POST "/session" by `+hashOf(owner)[:12]+": 201") {
		t.Errorf("log: %s", &l.log)
	}
}

func TestNamespaces(t *testing.T) {
	l := newLab(t).start(t)
	owner, friend, stranger := newUser(t, "owner"), newUser(t, "friend"), newUser(t, "stranger")
	l.refuses(t, owner, "POST", "/session", document("ns/a", ""), 404, "Namespace 'ns' does not exist")
	hash := l.upload(t, owner, document("ns", "access_policy: {create_sessions: [CREATOR, "+hashOf(friend)+"]}"))
	l.upload(t, owner, document("ns/a", ""))
	l.upload(t, friend, document("ns/b", ""))
	l.refuses(t, stranger, "POST", "/session", document("ns/c", ""), 403, "Creating sessions in namespace 'ns' is not permitted")
	l.refuses(t, friend, "POST", "/session", document("ns/a/c", ""), 403, "namespace 'ns/a'")
	l.refuses(t, owner, "POST", "/session", document("ns/d/e", ""), 404, "Namespace 'ns/d'")
	l.refuses(t, owner, "POST", "/session", document("ns/c", "namespace_hash: "+zeroHash), 400, "is not the one of namespace_hash")
	l.upload(t, owner, document("ns/c", "namespace_hash: "+hash))
	l.refuses(t, owner, "POST", "/session", document("top", "namespace_hash: "+hash), 400, "without namespace")
	// create_sessions defaults to update
	l.upload(t, owner, document("open", "access_policy: {update: ["+hashOf(friend)+"]}"))
	l.upload(t, friend, document("open/a", ""))
	l.refuses(t, owner, "POST", "/session", document("open/b", ""), 403, "not permitted")
	for _, name := range []string{"ns/..", "..", ".", "ns/.", "/"} {
		l.refuses(t, owner, "POST", "/session", document(name, ""), 400, "name")
	}
}

func TestAccess(t *testing.T) {
	l := newLab(t).start(t)
	owner, friend, stranger := newUser(t, "owner"), newUser(t, "friend"), newUser(t, "stranger")
	nobody := tls.Certificate{}
	for i, c := range []struct {
		read    string
		allowed []tls.Certificate
		refused []tls.Certificate
	}{
		{"", []tls.Certificate{owner}, []tls.Certificate{friend, nobody}},
		{"[CREATOR]", []tls.Certificate{owner}, []tls.Certificate{friend, nobody}},
		{"[ANY]", []tls.Certificate{owner, stranger, nobody}, nil},
		{"[NONE]", nil, []tls.Certificate{owner, friend, nobody}},
		{"[" + hashOf(friend) + "]", []tls.Certificate{friend}, []tls.Certificate{owner, stranger, nobody}},
		{"[" + strings.ToUpper(hashOf(friend)) + ", CREATOR]", []tls.Certificate{friend, owner}, []tls.Certificate{stranger}},
		{fmt.Sprintf("[%q]", pemOf(friend)), []tls.Certificate{friend}, []tls.Certificate{owner, stranger}},
		{"[{require-all: [" + hashOf(friend) + ", " + hashOf(stranger) + "]}]", nil, []tls.Certificate{owner, friend, nobody}},
	} {
		name, policy := fmt.Sprintf("app%d", i), ""
		if c.read != "" {
			policy = "access_policy: {read: " + c.read + ", update: [ANY]}"
		}
		hash := l.upload(t, owner, document(name, policy))
		for _, user := range c.allowed {
			if status, body := l.request(t, user, "GET", "/v1/sessions/"+name, ""); status != 200 {
				t.Errorf("%s: refused: %s", c.read, body)
			}
		}
		for _, user := range c.refused {
			l.refuses(t, user, "GET", "/v1/sessions/"+name, "", 403, "not permitted")
			l.refuses(t, user, "GET", "/v1/sessions/"+name+"?hash="+hash, "", 403, "not permitted")
		}
		if c.read == "" {
			l.refuses(t, friend, "POST", "/session", successor(document(name, ""), hash), 403, "Updating session 'app0' is not permitted")
			continue
		}
		// A policy of the past does not count: the stranger shuts everybody out.
		l.upload(t, stranger, successor(document(name, "access_policy: {read: [NONE]}"), hash))
		l.refuses(t, owner, "GET", "/v1/sessions/"+name+"?hash="+hash, "", 403, "not permitted")
	}
	// Copying somebody's certificate is not holding its key.
	thief := friend
	thief.PrivateKey = stranger.PrivateKey
	if _, err := tls.Dial("tcp", l.users, &tls.Config{Certificates: []tls.Certificate{thief}, ServerName: "cas", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("a certificate without its key is an identity")
	}
}

func TestUploadRefuses(t *testing.T) {
	l := newLab(t).start(t)
	owner := newUser(t, "owner")
	secrets := func(list string) string { return "secrets: [" + list + "]" }
	for name, c := range map[string]struct{ document, want string }{
		"no YAML":                  {"{", "session:1"},
		"an unknown key":           {document("app", "volumez: []"), `unknown key "volumez"`},
		"a creator":                {document("app", "creator: "+hashOf(owner)), "CAS adds it"},
		"a second document":        {document("app", "---\nname: other"), "second document"},
		"an end of document":       {document("app", "..."), "creator"},
		"flow style":               {"{version: '0.3', name: app}", "the creator cannot be added"},
		"no attestation":           {"version: '0.3'\nname: app\nservices: [{name: s}]\n", "attestation is missing"},
		"a service twice":          {"version: '0.3'\nname: app\nsecurity: {attestation: {mode: none}}\nservices: [{name: s}, {name: s}]\n", "there twice"},
		"a word of no principal":   {document("app", "access_policy: {read: [creator]}"), "CREATOR"},
		"a fragment":               {document("app", secrets("{name: p, kind: ascii}")+"\naccess_policy: {read: [$$SCONE::p$$]}"), "this CAS cannot do access_policy.read: $$SCONE::p$$"},
		"a kind without a value":   {document("app", secrets("{name: k, kind: private-key, key_type: P-384}, {name: p, kind: jwt, signer: k, alg: ES384}")), "this CAS cannot do secrets of kind jwt"},
		"a volume in clear":        {document("app", "volumes: [{name: v, files: authenticated-only}]"), "this CAS cannot do volumes that are authenticated only"},
		"a volume's key":           {document("app", "volumes: [{name: v, fspf_key: "+strings.Repeat("ab", 32)+"}]"), "this CAS cannot do volumes with fspf_key"},
		"a volume's tag":           {document("app", "volumes: [{name: v, fspf_tag: "+strings.Repeat("ab", 16)+"}]"), "this CAS cannot do volumes with fspf_key or fspf_tag"},
		"a volume of another":      {document("app", "volumes: [{name: v, import: {session: x, volume: v}}]"), "this CAS cannot do exports and imports of volumes"},
		"a volume for another":     {document("app", "volumes: [{name: v, export: {session: x}}]"), "this CAS cannot do exports and imports of volumes"},
		"a volume that isn't":      {document("app", images("{name: w, path: /a}")), "no volume of this session"},
		"a volume twice":           {document("app", images("{name: v, path: /a}, {name: v, path: /b}")), "twice"},
		"a volume in another":      {document("app", images("{name: v, path: /a}, {name: w, path: /a/b}", "v", "w")), "cannot do the volume 'w' inside"},
		"two volumes at one place": {document("app", images("{name: v, path: /a}, {name: w, path: /a}", "v", "w")), "inside"},
		"a volume on everything":   {document("app", images("{name: v, path: /}")), "want an absolute, clean one below /"},
		"a volume somewhere":       {document("app", images("{name: v, path: /a/../b}")), "want an absolute, clean one below /"},
		"two policies of a volume": {document("app", images("{name: v, path: /a}")+"  - {name: j, volumes: [{name: v, path: /a, update_policy: no_rollback_protection}]}\n"), "two values of update_policy"},
		"a file in a volume":       {document("app", strings.Replace(images("{name: v, path: /a}"), "volumes: [{name: v, path", "injection_files: [{path: /a/f, content: x}], volumes: [{name: v, path", 1)), "cannot do the injected file /a/f"},
		"another CAS":              {document("app", secrets("{name: p, kind: ascii, import: {cas_url: x, cas_key: y, session: z, secret: p}}")), "this CAS cannot do imports from another CAS"},
		"no such secret":           {document("app", "", "$$SCONE::p$$"), "names no secret"},
		"no such encoding":         {document("app", secrets("{name: p, kind: ascii}"), "$$SCONE::p:hex$$"), `no encoding "hex"`},
		"an encoding of no kind":   {document("app", secrets("{name: p, import: {session: x, secret: y}}"), "$$SCONE::p:rot13$$"), `no encoding "rot13"`},
		"an encoding in a file":    {document("app", secrets("{name: p, kind: binary}")+"\nimages: [{name: i, injection_files: [{path: /f, content: '$$SCONE::p:pem$$'}]}]"), "file /f"},
		"a broken placeholder":     {document("app", "", "$$SCONE::p"), "want $$SCONE"},
		"a secret not provided":    {document("app", secrets("{name: p, kind: ascii}, {name: q, kind: ascii}")+"\nimages: [{name: i, provide_secrets: [q], injection_files: [{path: /f, content: '$$SCONE::p$$'}]}]"), "provide_secrets does not list 'p'"},
		"nothing provided":         {document("app", secrets("{name: p, kind: ascii}")+"\nimages: [{name: i, provide_secrets: [q]}]"), "is no secret"},
		"a public private key":     {document("app", secrets("{name: k, kind: private-key, export_public: true}")), "a private key cannot be public"},
		"a public import":          {document("app", secrets("{name: k, kind: binary, export_public: true, import: {session: x, secret: y}}")), "can be made public"},
		"a public import of any":   {document("app", secrets("{name: k, export_public: true, import: {session: x, secret: y}}")), "can be made public"},
		"an unprintable value":     {document("app", secrets(`{name: p, kind: ascii, value: "\x01"}`)), "printable"},
		"a value of odd length":    {document("app", secrets("{name: p, kind: binary, value: 'abc'}")), "hexadecimal"},
		"a value that is no key":   {document("app", secrets("{name: p, kind: private-key, value: 'SECRET'}")), "PRIVATE KEY"},
		"a certificate that isn't": {document("app", secrets("{name: p, kind: x509, value: 'x'}")), "CERTIFICATE"},
		"authorities in a circle":  {document("app", secrets("{name: k, kind: private-key}, {name: a, kind: x509-ca, private_key: k, issuer: b}, {name: b, kind: x509-ca, private_key: k, issuer: a}")), "rests on itself"},
		"a name that is no IP":     {document("app", secrets("{name: k, kind: private-key}, {name: a, kind: x509, private_key: k, san: ['ip:localhost']}")), "san"},
		"too many secrets":         {document("app", secrets(manySecrets())), "want at most 256"},
	} {
		t.Run(name, func(t *testing.T) {
			l.refuses(t, owner, "POST", "/session", c.document, 400, c.want)
			l.refuses(t, owner, "GET", "/v1/sessions/app", "", 404, "does not exist")
		})
	}
}

func manySecrets() string {
	var all []string
	for i := range 257 {
		all = append(all, fmt.Sprintf("{name: s%d, kind: ascii}", i))
	}
	return strings.Join(all, ", ")
}

// Of many uploads at once one wins.
func TestConcurrentUploads(t *testing.T) {
	l := newLab(t).start(t)
	owner := newUser(t, "owner")
	var running sync.WaitGroup
	created := make(chan int, 8)
	for range cap(created) {
		running.Go(func() {
			status, _ := l.request(t, owner, "POST", "/session", document("app", ""))
			created <- status
		})
	}
	running.Wait()
	close(created)
	counts := map[int]int{}
	for status := range created {
		counts[status]++
	}
	if counts[http.StatusCreated] != 1 || counts[http.StatusBadRequest] != 7 {
		t.Errorf("got %v, want one 201 and seven 400", counts)
	}
}

// signer signs documents as an author does.
type signer struct {
	t   *testing.T
	key crypto.Signer
}

func (s signer) spki() []byte {
	der, err := x509.MarshalPKIXPublicKey(s.key.Public())
	if err != nil {
		s.t.Fatal(err)
	}
	return der
}

func (s signer) hash() string {
	sum := sha256.Sum256(s.spki())
	return hex.EncodeToString(sum[:])
}

func (s signer) sign(document string) map[string]string {
	message, hash := []byte(document), crypto.Hash(0)
	if _, isEC := s.key.(*ecdsa.PrivateKey); isEC {
		digest := sha512.Sum384(message)
		message, hash = digest[:], crypto.SHA384
	}
	signature, err := s.key.Sign(rand.Reader, message, hash)
	if err != nil {
		s.t.Fatal(err)
	}
	return map[string]string{
		"signer":    string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: s.spki()})),
		"signature": base64.StdEncoding.EncodeToString(signature),
	}
}

func newSigners(t *testing.T) (alice, bob, weak signer) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{t, ed}, signer{t, p384}, signer{t, p256}
}

func signedBody(document string, signatures ...map[string]string) string {
	text, err := json.Marshal(map[string]any{"session": document, "signatures": signatures})
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestSignedSessions(t *testing.T) {
	l := newLab(t).start(t)
	alice, bob, weak := newSigners(t)
	const path = "/v1/signed_sessions"
	put := func(document string, by ...signer) string {
		t.Helper()
		var signatures []map[string]string
		for _, s := range by {
			signatures = append(signatures, s.sign(document))
		}
		status, body := l.request(t, tls.Certificate{}, "PUT", path, signedBody(document, signatures...))
		var got struct {
			Hash     string
			Warnings []any
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 || len(got.Hash) != 64 || got.Warnings == nil {
			t.Fatalf("got %d %s", status, body)
		}
		return got.Hash
	}
	refuses := func(document, want string, status int, by ...signer) {
		t.Helper()
		var signatures []map[string]string
		for _, s := range by {
			signatures = append(signatures, s.sign(document))
		}
		l.refuses(t, tls.Certificate{}, "PUT", path, signedBody(document, signatures...), status, want)
	}
	const open = "access_policy: {read: [ANY]}"
	first := put(document("app", open), alice)
	if _, body := l.request(t, tls.Certificate{}, "GET", "/v1/sessions/app", ""); !strings.Contains(body, "creator: "+alice.hash()) {
		t.Errorf("got %s, want the signer as creator", body)
	}
	update := successor(document("app", open), first)
	refuses(update, "Updating session 'app' is not permitted", 403, bob)
	// Who adds a signature to somebody's document gains nothing.
	refuses(update, "Updating session 'app' is not permitted", 403, alice, bob)
	refuses(successor(document("app", open), zeroHash), "Invalid previous session digest", 409, alice)
	refuses(document("app/x", ""), "namespace 'app' is not permitted", 403, alice, bob)
	put(update, alice)
	put(document("bobs", ""), bob)

	shared := put(document("shared", ""), alice, bob)
	refuses(successor(document("shared", ""), shared), "not permitted", 403, alice)
	refuses(successor(document("shared", ""), shared), "not permitted", 403, bob)
	put(successor(document("shared", ""), shared), bob, alice, bob)

	both := fmt.Sprintf("access_policy: {read: [ANY], update: [{require-all: [{signer: %q}, {signer: %q}]}]}", alice.sign("")["signer"], bob.sign("")["signer"])
	two := put(document("two", both), alice)
	refuses(successor(document("two", both), two), "not permitted", 403, alice)
	refuses(successor(document("two", both), two), "not permitted", 403, bob, bob)
	two = put(successor(document("two", both), two), bob, alice)
	some := strings.Replace(both, "require-all", "require-at-least-1", 1)
	two = put(successor(document("two", some), two), alice, bob)
	put(successor(document("two", some), two), bob)

	text := document("forged", "")
	good := alice.sign(text)
	for name, c := range map[string]struct{ body, want string }{
		"another document":      {signedBody(text+"\n", good), "does not match"},
		"another signer":        {signedBody(text, map[string]string{"signer": bob.sign(text)["signer"], "signature": good["signature"]}), "does not match"},
		"one of two":            {signedBody(text, good, map[string]string{"signer": bob.sign(text)["signer"], "signature": good["signature"]}), "signatures[1]"},
		"another kind of key":   {signedBody(text, weak.sign(text)), "neither Ed25519 nor P-384"},
		"no signature":          {signedBody(text), "signatures: got 0"},
		"no base64":             {signedBody(text, map[string]string{"signer": good["signer"], "signature": "!"}), "base64"},
		"no signer":             {signedBody(text, map[string]string{"signature": good["signature"]}), "public key in PEM"},
		"no JSON":               {"{", "no JSON"},
		"many signatures":       {signedBody(text, good, good, good, good, good, good, good, good, good, good, good, good, good, good, good, good, good), "want 1 to 16"},
		"a signed bad document": {signedBody("name: x", alice.sign("name: x")), "version"},
	} {
		t.Run(name, func(t *testing.T) {
			l.refuses(t, newUser(t, "carrier"), "PUT", path, c.body, 400, c.want)
		})
	}
}
