package change_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/session"
)

func privatePEM(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func ed25519Key(t *testing.T) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return privatePEM(t, key)
}

func ecdsaKey(t *testing.T, curve elliptic.Curve) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return privatePEM(t, key)
}

// widerPlan is a plan by which the backup service may run on one more machine.
func widerPlan(t *testing.T) *change.Plan {
	t.Helper()
	u, err := change.NewUpdate(held(t, shop), parse(t, strings.Replace(shop, "["+idA+"]", "["+idA+", "+idC+"]", 1)))
	if err != nil {
		t.Fatal(err)
	}
	return change.NewPlan("cas.example.org", u, false)
}

func written(t *testing.T, document any) []byte {
	t.Helper()
	text, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func read(t *testing.T, p *change.Plan) *change.Plan {
	t.Helper()
	got, err := change.ReadPlan("plan.json", written(t, p))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func signed(t *testing.T, p *change.Plan, keys ...[]byte) *change.Plan {
	t.Helper()
	for _, key := range keys {
		s, err := change.Sign(rand.Reader, key, p.To.Source())
		if err != nil {
			t.Fatal(err)
		}
		p.Add(s)
	}
	return p
}

func TestPlanRoundTrip(t *testing.T) {
	alice, bob := ed25519Key(t), ecdsaKey(t, elliptic.P384())
	p := signed(t, widerPlan(t), alice, bob)
	got := read(t, p)
	if !bytes.Equal(written(t, got), written(t, p)) {
		t.Errorf("got\n%s\nwant\n%s", written(t, got), written(t, p))
	}
	if got.Name() != "shop" {
		t.Errorf("got the name %q", got.Name())
	}
	if !session.Equal(got.To, p.To) || got.Verdict != p.Verdict {
		t.Errorf("got the verdict %s, want %s", got.Verdict, p.Verdict)
	}
	if got.Signers() != 2 {
		t.Errorf("got %d signers, want 2", got.Signers())
	}
	wants(t, got.Refuse(2), "")
	wants(t, got.Refuse(3), "the signatures of 2 keys, want at least 3")
}

// edit changes one member of a JSON document.
func edit(t *testing.T, text []byte, do func(document map[string]any)) []byte {
	t.Helper()
	var document map[string]any
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	do(document)
	return written(t, document)
}

// TestReadPlanRefuses: nothing of what a plan says of itself is believed.
func TestReadPlanRefuses(t *testing.T) {
	good := written(t, signed(t, widerPlan(t), ed25519Key(t)))
	replaced := func(member, old, new string) func(map[string]any) {
		return func(d map[string]any) {
			before := d[member].(string)
			if d[member] = strings.ReplaceAll(before, old, new); d[member] == before {
				t.Fatalf("nothing was replaced in %s", member)
			}
		}
	}
	signature := func(member string, value any) func(map[string]any) {
		return func(d map[string]any) { d["signatures"].([]any)[0].(map[string]any)[member] = value }
	}
	other := held(t, shop+"# other\n").Hash
	for name, c := range map[string]struct {
		text []byte
		want string
	}{
		"nothing is wrong":      {good, ""},
		"no JSON":               {[]byte("plan"), "reading the plan: plan.json: invalid character"},
		"nothing":               {nil, "EOF"},
		"two documents":         {append(good, good...), "more than one document"},
		"something after it":    {append(good, "x"...), "more than one document"},
		"another kind":          {edit(t, good, func(d map[string]any) { d["kind"] = "confidb.session-plan/v2" }), "kind: got"},
		"a member too many":     {edit(t, good, func(d map[string]any) { d["signers"] = 2 }), "unknown field"},
		"another name":          {edit(t, good, func(d map[string]any) { d["name"] = "shed" }), `the names "shed", "shop" and "shop"`},
		"another session now":   {edit(t, good, replaced("from", "name: shop", "name: shed")), `the names "shop", "shed" and "shop"`},
		"another session later": {edit(t, good, replaced("to", "name: shop", "name: shed")), `the names "shop", "shop" and "shed"`},
		"no session now":        {edit(t, good, replaced("from", "version:", "verzion:")), "from:1:1"},
		"no session later":      {edit(t, good, replaced("to", "version:", "verzion:")), "to:1:1"},
		"another predecessor":   {edit(t, good, func(d map[string]any) { d["predecessor"] = other }), "predecessor: got"},
		"no predecessor":        {edit(t, good, func(d map[string]any) { d["predecessor"] = "" }), "predecessor: got"},
		"one more machine":      {edit(t, good, replaced("to", idC, idC+", "+idB)), "signatures[0]: it is not over this text"},
		"another comment":       {edit(t, good, func(d map[string]any) { d["to"] = d["to"].(string) + "# x\n" }), "signatures[0]: it is not over this text"},
		"no base64":             {edit(t, good, signature("signature", "%")), "signatures[0]: signature: illegal base64"},
		"no signature":          {edit(t, good, signature("signature", "")), "signatures[0]: it is not over this text"},
		"no key":                {edit(t, good, signature("signer", "alice")), "signatures[0]: signer: want a public key in PEM"},
		"no key, foreign":       {edit(t, good, func(d map[string]any) { signature("signer", "alice")(d); signature("foreign", true)(d) }), "signer: want a public key"},
		"another's key":         {edit(t, good, signature("signer", signer(t, ed25519Key(t)))), "signatures[0]: it is not over this text"},
		"two keys in one":       {edit(t, good, signature("signer", signer(t, ed25519Key(t))+signer(t, ed25519Key(t)))), "signer: want a public key in PEM"},
		"a weak key":            {edit(t, good, signature("signer", publicPEM(t, ecdsaPublic(t, elliptic.P256())))), "neither Ed25519 nor P-384"},
		"an RSA key":            {edit(t, good, signature("signer", publicPEM(t, rsaPublic(t)))), "neither Ed25519 nor P-384"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := change.ReadPlan("plan.json", c.text)
			wants(t, err, c.want)
			if (p == nil) != (err != nil) {
				t.Errorf("got the plan %v beside %v", p, err)
			}
		})
	}
}

func signer(t *testing.T, key []byte) string {
	t.Helper()
	s, err := change.Sign(rand.Reader, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s.Signer
}

func publicPEM(t *testing.T, key crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func ecdsaPublic(t *testing.T, curve elliptic.Curve) crypto.PublicKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key.Public()
}

func rsaPublic(t *testing.T) crypto.PublicKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key.Public()
}

// TestOneKeyIsOneSigner: however a key is written down, it signs once.
func TestOneKeyIsOneSigner(t *testing.T) {
	for name, key := range map[string][]byte{"Ed25519": ed25519Key(t), "P-384": ecdsaKey(t, elliptic.P384())} {
		plain := signed(t, widerPlan(t), key).Signatures[0]
		block, _ := pem.Decode([]byte(plain.Signer))
		for form, text := range map[string]string{
			"the same text":   plain.Signer,
			"with headers":    string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Headers: map[string]string{"Author": "bob"}, Bytes: block.Bytes})),
			"with CRLF":       strings.ReplaceAll(plain.Signer, "\n", "\r\n"),
			"text before it":  "Bob's key:\n" + plain.Signer,
			"space after it":  plain.Signer + "\n\n \t\n",
			"in longer lines": "-----BEGIN PUBLIC KEY-----\n" + strings.Join(strings.Split(plain.Signer, "\n")[1:strings.Count(plain.Signer, "\n")-1], "") + "\n-----END PUBLIC KEY-----\n",
		} {
			t.Run(name+", "+form, func(t *testing.T) {
				p := signed(t, widerPlan(t), key)
				twin := plain
				twin.Signer = text
				p.Signatures = append(p.Signatures, twin)
				p = read(t, p)
				if got := p.Signers(); got != 1 {
					t.Errorf("got %d signers, want 1", got)
				}
				var few *change.SignersError
				if err := p.Refuse(2); !errors.As(err, &few) {
					t.Errorf("got %v, want a SignersError", err)
				}
				p.Add(twin)
				if len(p.Signatures) != 1 {
					t.Errorf("got %d signatures of one key, want 1", len(p.Signatures))
				}
			})
		}
	}
}

// TestAddKeepsOthers: what cannot be read is nobody's signature.
func TestAddKeepsOthers(t *testing.T) {
	p := signed(t, widerPlan(t), ed25519Key(t))
	p.Add(change.Signature{})
	p.Add(change.Signature{})
	signed(t, p, ed25519Key(t))
	if len(p.Signatures) != 4 {
		t.Errorf("got %d signatures, want 4", len(p.Signatures))
	}
	if p.Signers() != 2 {
		t.Errorf("got %d signers, want 2", p.Signers())
	}
}

// TestForeignSignatures are over a message that only CAS knows.
func TestForeignSignatures(t *testing.T) {
	p := widerPlan(t)
	s, err := change.Sign(rand.Reader, ed25519Key(t), []byte("a message of SCONE's program"))
	if err != nil {
		t.Fatal(err)
	}
	p.Add(s)
	_, err = change.ReadPlan("plan.json", written(t, p))
	wants(t, err, "it is not over this text")
	s.Foreign = true
	p.Add(s)
	if got := read(t, p).Signers(); got != 1 {
		t.Errorf("got %d signers, want 1", got)
	}
	if got, want := read(t, p).Signed(), "1 signature, of which 1 cannot be checked here: CAS does"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	signed(t, p, ed25519Key(t))
	if got, want := read(t, p).Signed(), "2 signatures, of which 1 cannot be checked here: CAS does"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.Signatures = p.Signatures[1:]
	if got, want := read(t, p).Signed(), "1 signature"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestPlanSign: a message of somebody else's, even an empty one, makes a signature that is
// not counted as checked.
func TestPlanSign(t *testing.T) {
	p := widerPlan(t)
	if err := p.Sign(rand.Reader, ed25519Key(t), nil); err != nil {
		t.Fatal(err)
	}
	if got := read(t, p); got.Unchecked() != 0 || got.Signers() != 1 {
		t.Errorf("got %s by %d signers", got.Signed(), got.Signers())
	}
	for i, message := range []string{"a message", ""} {
		if err := p.Sign(rand.Reader, ed25519Key(t), []byte(message)); err != nil {
			t.Fatal(err)
		}
		if got := read(t, p).Unchecked(); got != i+1 {
			t.Errorf("%q: got %d unchecked, want %d", message, got, i+1)
		}
	}
	if err := p.Sign(rand.Reader, []byte("no key"), nil); err == nil {
		t.Error("got no error of what is no key")
	}
	if len(p.Signatures) != 3 {
		t.Errorf("got %d signatures, want 3", len(p.Signatures))
	}
}

func TestSignRefuses(t *testing.T) {
	rsaPrivate, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key  []byte
		want string
	}{
		"no PEM":       {[]byte("key"), "want a private key in PEM (PKCS#8)"},
		"a public key": {[]byte(publicPEM(t, ecdsaPublic(t, elliptic.P384()))), "want a private key in PEM (PKCS#8)"},
		"no PKCS#8":    {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}}), "want a private key in PEM (PKCS#8)"},
		"P-256":        {ecdsaKey(t, elliptic.P256()), "got P-256, want Ed25519 or P-384"},
		"RSA":          {privatePEM(t, rsaPrivate), "got *rsa.PrivateKey, want Ed25519 or P-384"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := change.Sign(rand.Reader, c.key, []byte("text"))
			wants(t, err, c.want)
			if s != (change.Signature{}) {
				t.Errorf("got a signature: %+v", s)
			}
		})
	}
}

// TestPlanThatBreaks is carried out only if it says that it may.
func TestPlanThatBreaks(t *testing.T) {
	u, err := change.NewUpdate(held(t, shop), parse(t, strings.Replace(shop, "size: 16", "size: 17", 1)))
	if err != nil {
		t.Fatal(err)
	}
	var reissue *change.ReissueError
	if err := read(t, change.NewPlan("cas", u, false)).Refuse(0); !errors.As(err, &reissue) {
		t.Errorf("got %v, want a ReissueError", err)
	}
	wants(t, read(t, change.NewPlan("cas", u, true)).Refuse(0), "")
}

func TestPlanIsForOneCAS(t *testing.T) {
	p := read(t, widerPlan(t))
	wants(t, p.For("cas.example.org"), "")
	wants(t, p.For("cas.example.com"), "the plan is for the CAS cas.example.org, got cas.example.com")
	wants(t, p.For(""), "the plan is for the CAS")
}

// TestJudge holds a plan against what CAS has.
func TestJudge(t *testing.T) {
	p := widerPlan(t)
	made := held(t, string(p.To.Source()))
	upper := p.From
	upper.Hash = strings.ToUpper(upper.Hash)
	remark := held(t, "# a remark\n"+shop)
	stranger := parse(t, string(p.To.Source()))
	if err := stranger.SetPredecessor(remark.Hash); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		held change.Version
		done bool
		want string
	}{
		"the version of the plan":      {p.From, false, ""},
		"its hash in upper case":       {upper, false, ""},
		"carried out before":           {made, true, ""},
		"another version":              {remark, false, "was changed meanwhile"},
		"another text under this hash": {change.Version{Hash: p.From.Hash, Session: remark.Session}, false, "was changed meanwhile"},
		"this text under another hash": {change.Version{Hash: remark.Hash, Session: p.From.Session}, false, "was changed meanwhile"},
		"the same by another way":      {held(t, string(stranger.Source())), false, "was changed meanwhile"},
	} {
		t.Run(name, func(t *testing.T) {
			done, err := p.Judge(c.held)
			wants(t, err, c.want)
			if done != c.done {
				t.Errorf("got done %v, want %v", done, c.done)
			}
		})
	}
}
