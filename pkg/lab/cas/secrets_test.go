package cas_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// values uploads a session with these secrets and returns what its service gets.
func (l *lab) values(t *testing.T, user tls.Certificate, name, secrets string, wanted ...string) []string {
	t.Helper()
	l.upload(t, user, document(name, "secrets: ["+secrets+"]", wanted...))
	return variables(l.configures(t, honest(name+"/s")))
}

func TestValues(t *testing.T) {
	l := newLab(t).start(t)
	owner := newUser(t, "owner")
	v := l.values(t, owner, "text", "{name: a, kind: ascii}, {name: b, kind: ascii, size: 7}, {name: c, kind: ascii, value: 'say \"hi\" <&>'}",
		"$$SCONE::a$$", "$$SCONE::b$$", "$$SCONE::c$$", "{\"x\":\"$$SCONE::c|escape(json)$$\"}", "$$SCONE::a$$+$$SCONE::a$$")
	if len(v[0]) != 20 || len(v[1]) != 7 || v[2] != `say "hi" <&>` || v[3] != `{"x":"say \"hi\" <&>"}` || v[4] != v[0]+"+"+v[0] {
		t.Errorf("ascii: got %q", v)
	}
	raw := []byte{0xfb, 0xff, 0xbe, 1}
	v = l.values(t, owner, "bytes", "{name: b, kind: binary, value: FBffbe01}, {name: c, kind: binary, size: 3}, {name: d, kind: binary}",
		"$$SCONE::b:hex$$", "$$SCONE::b.hex$$", "$$SCONE::b:base64$$", "$$SCONE::b:base64url$$", "$$SCONE::b:base32$$", "$$SCONE::b:base32nopad$$", "$$SCONE::c:hex$$", "$$SCONE::d:hex$$")
	want := []string{
		hex.EncodeToString(raw), hex.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw), base64.URLEncoding.EncodeToString(raw),
		base32.StdEncoding.EncodeToString(raw), strings.TrimRight(base32.StdEncoding.EncodeToString(raw), "="),
	}
	if diff := cmp.Diff(want, v[:6]); diff != "" || len(v[6]) != 6 || len(v[7]) != 40 {
		t.Errorf("binary: %s %q", diff, v)
	}
}

// Bytes that are no text fit into files, and nowhere else.
func TestRawBytes(t *testing.T) {
	l := newLab(t).start(t)
	owner := newUser(t, "owner")
	const secrets = "secrets: [{name: b, kind: binary, value: ff00}]\n"
	file := func(name, content string) string {
		return fmt.Sprintf("version: '0.3.11'\nname: %s\nservices: [{name: s, image_name: i, attestation: {mrenclave: [%s]}}]\nimages: [{name: other, injection_files: [{path: /other, content: x}]}, {name: i, provide_secrets: [b], injection_files: [/in-image, {path: /f, content: '%s'}]}]\n%s", name, mrenclave, content, secrets)
	}
	l.upload(t, owner, file("app", "<$$SCONE::b$$$$SCONE::b:bin$$>"))
	got := l.configures(t, honest("app/s")).Files
	if len(got) != 1 || !bytes.Equal(got[0].Content, []byte("<\xff\x00\xff\x00>")) || got[0].Permission != 0o700 || got[0].Path != "/f" {
		t.Errorf("got files %+v", got)
	}
	l.upload(t, owner, document("variable", secrets, "$$SCONE::b$$"))
	l.rejects(t, honest("variable/s"), "raw bytes do not fit here")
	l.upload(t, owner, file("json", "$$SCONE::b|escape(json)$$"))
	l.rejects(t, honest("json/s"), "raw bytes do not fit into a JSON string")
}

func TestKeysAndCertificates(t *testing.T) {
	l := newLab(t).start(t)
	owner := newUser(t, "owner")
	types := []string{"P-256", "P-384", "Ed25519", "RSA-2048", "RSA-3072"}
	var secrets, wanted []string
	for i, kind := range types {
		secrets = append(secrets, fmt.Sprintf("{name: k%d, kind: private-key, key_type: %s}, {name: p%d, kind: public-key, private_key: k%d}, {name: c%d, kind: x509, private_key: k%d, issuer: ca, san: ['dns:host%d', 'ip:10.0.0.1']}", i, kind, i, i, i, i, i))
		wanted = append(wanted, fmt.Sprintf("$$SCONE::k%d$$|$$SCONE::k%d:pem$$|$$SCONE::k%d:pkcs8:pem$$|$$SCONE::c%d:privatekey$$|$$SCONE::c%d:privatekey:pem$$|$$SCONE::c%d:privatekey:pkcs8:pem$$|$$SCONE::c%d.key$$", i, i, i, i, i, i, i),
			fmt.Sprintf("$$SCONE::p%d:spki:pem$$", i), fmt.Sprintf("$$SCONE::c%d$$|$$SCONE::c%d:crt$$|$$SCONE::c%d:crt:pem$$|$$SCONE::c%d.crt$$", i, i, i, i))
	}
	secrets = append(secrets, "{name: rk, kind: private-key, key_type: P-384}, {name: ik, kind: private-key}, {name: root, kind: x509-ca, private_key: rk}, {name: ca, kind: x509-ca, private_key: ik, issuer: root, common_name: Issuer}")
	text := document("app", "secrets: ["+strings.Join(secrets, ", ")+"]", wanted...)
	l.upload(t, owner, text)
	env := l.configures(t, honest("app/s")).Environment
	for i, kind := range types {
		keys := strings.Split(env[fmt.Sprintf("V%d", 3*i)], "|")
		certificates := strings.Split(env[fmt.Sprintf("V%d", 3*i+2)], "|")
		if len(slices.Compact(keys)) != 1 || len(slices.Compact(certificates)) != 1 {
			t.Errorf("%s: forms that mean the same differ", kind)
		}
		key, c := keyIn(t, keys[0]), certificateIn(t, certificates[0])
		if got := keyType(key); got != kind {
			t.Errorf("key of type %s, want %s", got, kind)
		}
		if !publicKeyIn(t, env[fmt.Sprintf("V%d", 3*i+1)]).Equal(key.Public()) || !publicKeyIn(t, env[fmt.Sprintf("V%d", 3*i+1)]).Equal(c.PublicKey) {
			t.Errorf("%s: key, public key and certificate do not belong together", kind)
		}
		if c.Subject.CommonName != fmt.Sprintf("host%d", i) || !slices.Equal(c.DNSNames, []string{c.Subject.CommonName}) || c.IPAddresses[0].String() != "10.0.0.1" || c.IsCA || len(c.ExtKeyUsage) != 0 {
			t.Errorf("%s: certificate %s, %v, %v", kind, c.Subject, c.DNSNames, c.IPAddresses)
		}
		if years := time.Until(c.NotAfter).Hours() / 24 / 365; years < 49 {
			t.Errorf("%s: valid for %.0f years", kind, years)
		}
	}
}

func keyType(key any) string {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		return k.Curve.Params().Name
	case ed25519.PrivateKey:
		return "Ed25519"
	case *rsa.PrivateKey:
		return fmt.Sprintf("RSA-%d", k.N.BitLen())
	}
	return fmt.Sprintf("%T", key)
}

func TestChains(t *testing.T) {
	l := newLab(t).start(t)
	v := l.values(t, newUser(t, "owner"), "app",
		"{name: k, kind: private-key}, {name: root, kind: x509-ca, private_key: k}, {name: rk, kind: private-key}, {name: ca, kind: x509-ca, private_key: rk, issuer: root}, {name: lk, kind: private-key}, {name: leaf, kind: x509, private_key: lk, issuer: ca, endpoint: client}, {name: self, kind: x509, private_key: lk, endpoint: server}",
		"$$SCONE::root:crt$$", "$$SCONE::ca:crt$$", "$$SCONE::leaf:crt$$", "$$SCONE::leaf:chain$$", "$$SCONE::leaf.chain$$", "$$SCONE::self:chain$$", "$$SCONE::self:crt$$")
	root, ca, leaf, self := v[0], v[1], v[2], v[6]
	if v[3] != ca+root || v[4] != root+ca+leaf || v[5] != "" {
		t.Error("the chains have another order")
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(certificateIn(t, root))
	between.AddCert(certificateIn(t, ca))
	c := certificateIn(t, leaf)
	if _, err := c.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if c.Subject.CommonName != "leaf" || c.Issuer.CommonName != "ca" {
		t.Errorf("%s by %s", c.Subject, c.Issuer)
	}
	if s := certificateIn(t, self); !bytes.Equal(s.RawIssuer, s.RawSubject) || s.CheckSignature(s.SignatureAlgorithm, s.RawTBSCertificate, s.Signature) != nil {
		t.Error("a certificate without issuer is not self-signed")
	}
	if s := certificateIn(t, root); !s.IsCA || s.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
		t.Errorf("root: CA %v, usage %v", s.IsCA, s.KeyUsage)
	}
}

// What is written in the document is used as it is.
func TestWrittenValues(t *testing.T) {
	l := newLab(t).start(t)
	owner := newUser(t, "owner")
	v := l.values(t, owner, "made", "{name: k, kind: private-key}, {name: p, kind: public-key, private_key: k}, {name: ca, kind: x509-ca, private_key: k}, {name: o, kind: private-key}",
		"$$SCONE::k$$", "$$SCONE::p:spki:pem$$", "$$SCONE::ca$$", "$$SCONE::o$$")
	quoted := make([]string, len(v))
	for i := range v {
		text, err := json.Marshal(v[i])
		if err != nil {
			t.Fatal(err)
		}
		quoted[i] = string(text)
	}
	got := l.values(t, owner, "written", fmt.Sprintf("{name: k, kind: private-key, value: %s}, {name: p, kind: public-key, value: %s}, {name: ca, kind: x509-ca, value: %s, private_key: k}", quoted[0], quoted[1], quoted[2]),
		"$$SCONE::k$$", "$$SCONE::p:spki:pem$$", "$$SCONE::ca$$")
	if diff := cmp.Diff(v[:3], got); diff != "" {
		t.Errorf("written values differ: %s", diff)
	}
	l.refuses(t, owner, "POST", "/session", document("wrong", fmt.Sprintf("secrets: [{name: k, kind: private-key, value: %s}, {name: ca, kind: x509-ca, value: %s, private_key: k}]", quoted[3], quoted[2])), 400, "is not for its private_key")
	l.upload(t, owner, document("keyless", fmt.Sprintf("secrets: [{name: ca, kind: x509-ca, value: %s}]", quoted[2]), "$$SCONE::ca:privatekey$$"))
	l.rejects(t, honest("keyless/s"), "without its private key")
	for _, secret := range []string{"a", "b"} { // the error does not repeat what was written
		_, body := l.request(t, owner, "POST", "/session", document("bad", "secrets: [{name: "+secret+", kind: private-key, value: 'TOPSECRET'}]"))
		if strings.Contains(body, "TOPSECRET") {
			t.Errorf("the answer repeats a secret: %s", body)
		}
	}
}

func TestUpdateSemantics(t *testing.T) {
	l := newLab(t).start(t)
	owner := newUser(t, "owner")
	wanted := []string{"$$SCONE::a$$", "$$SCONE::b:hex$$", "$$SCONE::kept$$", "$$SCONE::lost$$", "$$SCONE::ca$$", "$$SCONE::w$$"}
	secrets := func(size, kind, migrateKept, migrateLost, written string) string {
		return fmt.Sprintf("secrets: [{name: a, kind: ascii}, {name: b, kind: binary, size: %s}, {name: kept, kind: private-key, key_type: %s, migrate: %s}, {name: lost, kind: private-key, migrate: %s}, {name: ca, kind: x509-ca, private_key: kept}, {name: w, kind: ascii%s}]", size, kind, migrateKept, migrateLost, written)
	}
	var hash string
	next := func(secrets string) []string {
		t.Helper()
		text := document("app", secrets, wanted...)
		if hash != "" {
			text = successor(text, hash)
		}
		hash = l.upload(t, owner, text)
		return variables(l.configures(t, honest("app/s")))
	}
	same := func(what string, a, b []string, want ...bool) {
		t.Helper()
		for i, w := range want {
			if (a[i] == b[i]) != w {
				t.Errorf("%s: %s: kept %v, want %v", what, wanted[i], a[i] == b[i], w)
			}
		}
	}
	first := next(secrets("20", "P-256", "true", "false", ", value: known"))
	second := next(secrets("20", "P-256", "true", "true", ""))
	same("first update", first, second, true, true, true, false, false, false)
	third := next(secrets("20", "P-256", "true", "true", ""))
	same("migrate in both versions", second, third, true, true, true, true, false, true)
	fourth := next(secrets("21", "P-384", "true", "false", ""))
	same("another size and key type", third, fourth, true, false, false, false, false, true)
	if ca := certificateIn(t, fourth[4]); !ca.PublicKey.(*ecdsa.PublicKey).Equal(keyIn(t, fourth[2]).Public()) {
		t.Error("the new certificate is for an old key")
	}
	hash = l.upload(t, owner, successor(document("app", "secrets: [{name: a, kind: binary}]", "$$SCONE::a:hex$$"), hash))
	if got := variables(l.configures(t, honest("app/s"))); got[0] == hex.EncodeToString([]byte(fourth[0])) {
		t.Error("a value survives a change of its kind")
	}
	// What was refused left nothing behind.
	l.refuses(t, owner, "POST", "/session", successor(document("app", "secrets: [{name: a, kind: binary, value: zz}]"), hash), 400, "hexadecimal")
	l.upload(t, owner, successor(document("app", ""), hash))
}

func TestExpiredCertificates(t *testing.T) {
	l := newLab(t).start(t)
	const secrets = "{name: ck, kind: private-key}, {name: ca, kind: x509-ca, private_key: ck, valid_for: 10 days, export_public: true}, {name: k, kind: private-key}, {name: c, kind: x509, private_key: k, issuer: ca, valid_for: 1 second}, {name: long, kind: x509, private_key: k, issuer: ca}"
	owner := newUser(t, "owner")
	first := l.values(t, owner, "app", secrets, "$$SCONE::c$$", "$$SCONE::k$$", "$$SCONE::ca$$", "$$SCONE::long$$")
	if ca := certificateIn(t, first[2]); !certificateIn(t, first[3]).NotAfter.Equal(ca.NotAfter) {
		t.Error("a certificate outlives its issuer")
	}
	l.advance(time.Hour)
	second := variables(l.configures(t, honest("app/s")))
	if second[0] == first[0] || second[1] != first[1] || second[2] != first[2] || second[3] != first[3] {
		t.Error("after an hour not just the expired certificate is new")
	}
	l.advance(11 * 24 * time.Hour)
	third := variables(l.configures(t, honest("app/s")))
	ca, leaf := certificateIn(t, third[2]), certificateIn(t, third[3])
	if third[2] == first[2] || leaf.CheckSignatureFrom(ca) != nil || leaf.CheckSignatureFrom(certificateIn(t, first[2])) != nil || !ca.NotAfter.After(l.now()) || !leaf.NotAfter.After(l.now()) {
		t.Error("the CA is not renewed with the same key")
	}
	if _, body := l.request(t, owner, "GET", "/v1/values/session=app,secret=ca", ""); !strings.Contains(body, third[2][30:60]) {
		t.Errorf("the public value is another certificate: %s", body)
	}
}

// exporting is a session whose secrets are exported as told.
func exporting(name, to, keyTo string) string {
	if keyTo != "" {
		keyTo = ", export: " + keyTo
	}
	return document(name, fmt.Sprintf("secrets: [{name: p, kind: ascii, export: %s}, {name: k, kind: private-key%s}, {name: c, kind: x509-ca, private_key: k, export: %s}]", to, keyTo, to))
}

func importing(name, from, kind string, wanted ...string) string {
	if kind != "" {
		kind = ", kind: " + kind
	}
	return document(name, fmt.Sprintf("secrets: [{name: p%s, import: {session: %s, secret: p}}, {name: c, import: {session: %s, secret: c}}]", kind, from, from), wanted...)
}

func TestImports(t *testing.T) {
	l := newLab(t).start(t)
	owner := newUser(t, "owner")
	const p, certificate, key = "$$SCONE::p$$", "$$SCONE::c$$", "$$SCONE::c:privatekey$$"

	// The importer may be first.
	hash := l.upload(t, owner, importing("to", "from", "ascii", p))
	l.rejects(t, honest("to/s"), "session 'from' does not exist")
	from := l.upload(t, owner, exporting("from", "{session: to}", ""))
	first := variables(l.configures(t, honest("to/s")))
	if len(first[0]) != 20 {
		t.Errorf("got %q", first)
	}
	// Only the current version of the exporter counts.
	from = l.upload(t, owner, successor(exporting("from", "{session: nobody}", ""), from))
	l.rejects(t, honest("to/s"), "does not export 'p' to 'to'")
	// One version of the importer.
	from = l.upload(t, owner, successor(exporting("from", "{session: to, session_hash: "+strings.ToUpper(hash)+"}", ""), from))
	if again := variables(l.configures(t, honest("to/s"))); again[0] != first[0] {
		t.Error("the value changed on the way")
	}
	hash = l.upload(t, owner, successor(importing("to", "from", "binary", "$$SCONE::p:hex$$"), hash))
	l.rejects(t, honest("to/s"), "does not export 'p' to 'to'")
	// The kind must agree, and the encoding must suit the real kind.
	from = l.upload(t, owner, successor(exporting("from", "[{session: nobody}, {session: to}]", ""), from))
	l.rejects(t, honest("to/s"), "got kind ascii, want binary")
	hash = l.upload(t, owner, successor(importing("to", "from", "", "$$SCONE::p:hex$$"), hash))
	l.rejects(t, honest("to/s"), `a secret of kind "ascii" has no encoding "hex"`)
	// A certificate brings its key only when that is exported, too.
	hash = l.upload(t, owner, successor(importing("to", "from", "", certificate), hash))
	shown := variables(l.configures(t, honest("to/s")))
	l.upload(t, owner, successor(importing("to", "from", "", certificate, key), hash))
	l.rejects(t, honest("to/s"), "without its private key")
	from = l.upload(t, owner, successor(exporting("from", "{session: to}", "{session: other}"), from))
	l.rejects(t, honest("to/s"), "without its private key")
	l.upload(t, owner, successor(exporting("from", "{session: to}", "{session: to}"), from))
	both := variables(l.configures(t, honest("to/s")))
	if both[0] == shown[0] || !certificateIn(t, both[0]).PublicKey.(*ecdsa.PublicKey).Equal(keyIn(t, both[1]).Public()) {
		t.Error("an update does not issue the certificate again, or its key is another one")
	}
	l.upload(t, owner, importing("elsewhere", "from", "", certificate))
	l.rejects(t, honest("elsewhere/s"), "does not export")
}

func TestImportsByNamespace(t *testing.T) {
	l := newLab(t).start(t)
	owner := newUser(t, "owner")
	for _, name := range []string{"ns", "ns/in", "other"} {
		l.upload(t, owner, document(name, ""))
	}
	l.upload(t, owner, exporting("from", "{namespace: ns}", ""))
	l.upload(t, owner, exporting("ns/db", "{session: ../client}", ""))
	for name, want := range map[string]string{"ns/a": "", "ns/in/a": "does not export", "other/ns": "does not export", "nsx": "does not export"} {
		l.upload(t, owner, importing(name, "from", "ascii", "$$SCONE::p$$"))
		if want == "" {
			l.configures(t, honest(name+"/s"))
		} else {
			l.rejects(t, honest(name+"/s"), want)
		}
	}
	l.upload(t, owner, importing("ns/client", "../db", "ascii", "$$SCONE::p$$"))
	l.configures(t, honest("ns/client/s"))
	l.upload(t, owner, importing("client", "ns/db", "ascii", "$$SCONE::p$$"))
	l.rejects(t, honest("client/s"), "does not export")
}

// Sessions that rest on each other must end in an error, not in a stack overflow.
func TestImportCircle(t *testing.T) {
	l := newLab(t).start(t)
	owner := newUser(t, "owner")
	for name, from := range map[string]string{"a": "b", "b": "a"} {
		l.upload(t, owner, document(name, fmt.Sprintf("secrets: [{name: p, import: {session: %s, secret: p}, export: {session: %s}}]", from, from), "$$SCONE::p$$"))
	}
	l.rejects(t, honest("a/s"), "rests on itself")
	// What is passed on keeps its value; the key of a certificate does not follow.
	l.upload(t, owner, exporting("from", "{session: middle}", "{session: middle}"))
	l.upload(t, owner, document("middle", "secrets: [{name: p, import: {session: from, secret: p}, export: {session: to}}, {name: c, import: {session: from, secret: c}, export: {session: to}}]", "$$SCONE::p$$", "$$SCONE::c:privatekey$$"))
	l.upload(t, owner, importing("to", "middle", "ascii", "$$SCONE::p$$"))
	if a, b := variables(l.configures(t, honest("middle/s"))), variables(l.configures(t, honest("to/s"))); a[0] != b[0] {
		t.Error("a value that is passed on changes")
	}
	l.upload(t, owner, importing("key", "middle", "ascii", "$$SCONE::c:privatekey$$"))
	l.rejects(t, honest("key/s"), "does not export 'c' to 'key'")
}

// A certificate by an imported authority needs the authority's key.
func TestImportedAuthority(t *testing.T) {
	l := newLab(t).start(t)
	owner := newUser(t, "owner")
	l.upload(t, owner, document("to", "secrets: [{name: ca, kind: x509-ca, import: {session: from, secret: c}}, {name: k, kind: private-key}, {name: leaf, kind: x509, private_key: k, issuer: ca}]", "$$SCONE::leaf$$", "$$SCONE::ca$$", "$$SCONE::leaf:chain$$"))
	l.rejects(t, honest("to/s"), "session 'from' does not exist")
	from := l.upload(t, owner, exporting("from", "{session: to}", ""))
	l.rejects(t, honest("to/s"), "the key of the issuer is not exported")
	from = l.upload(t, owner, successor(exporting("from", "{session: to}", "{session: to}"), from))
	first := variables(l.configures(t, honest("to/s")))
	if err := certificateIn(t, first[0]).CheckSignatureFrom(certificateIn(t, first[1])); err != nil || first[1] != first[2] {
		t.Error(err)
	}
	// The exporter's update makes another CA; a leaf of the old one is worth nothing.
	l.upload(t, owner, successor(exporting("from", "{session: to}", "{session: to}"), from))
	second := variables(l.configures(t, honest("to/s")))
	if err := certificateIn(t, second[0]).CheckSignatureFrom(certificateIn(t, second[1])); err != nil {
		t.Error(err)
	}
}

func TestPublicValues(t *testing.T) {
	l := newLab(t).start(t)
	owner, nobody := newUser(t, "owner"), tls.Certificate{}
	secrets := func(more string) string {
		return "secrets: [{name: k, kind: private-key}, {name: ca, kind: x509-ca, private_key: k, export_public: true}, {name: hidden, kind: x509-ca, private_key: k}, {name: p, kind: public-key, private_key: k, export_public: true}, {name: answer, kind: ascii, value: '42', export_public: true}, {name: password, kind: ascii}, {name: b, kind: binary, value: beef, export_public: true}, {name: i, kind: x509, export_public: true, import: {session: x, secret: y}}" + more + "]"
	}
	first := l.upload(t, owner, document("ns", secrets("")))
	second := l.upload(t, owner, successor(document("ns", secrets(", {name: new, kind: ascii, value: x, export_public: true}")), first))

	status, body := l.request(t, nobody, "GET", "/v1/values/session=ns,secret=answer", "")
	if status != 200 || body != `{"kind":"string","value":"42","expires":null,"renew":null}`+"\n" {
		t.Errorf("got %d %s", status, body)
	}
	var all struct {
		Values map[string]struct {
			Kind, Value string
			Expires     *time.Time
		}
	}
	read := func(query string) []string {
		t.Helper()
		all.Values = nil
		status, body := l.request(t, nobody, "GET", "/v1/values/session=ns"+query, "")
		if err := json.Unmarshal([]byte(body), &all); err != nil || status != 200 {
			t.Fatalf("got %d %s", status, body)
		}
		var kinds []string
		for name, v := range all.Values {
			kinds = append(kinds, name+" "+v.Kind)
		}
		slices.Sort(kinds)
		return kinds
	}
	want := []string{"answer string", "b binary", "ca x509", "new string", "p public-key"}
	if diff := cmp.Diff(want, read("")); diff != "" || all.Values["b"].Value != "beef" || all.Values["ca"].Expires == nil {
		t.Errorf("public values: %s %+v", diff, all)
	}
	current := all.Values["ca"].Value
	if diff := cmp.Diff(want, read(",session_hash="+second)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(slices.Delete(want, 3, 4), read(",session_hash="+first)); diff != "" {
		t.Error(diff)
	}
	if certificateIn(t, current).Equal(certificateIn(t, all.Values["ca"].Value)) {
		t.Error("an update keeps a certificate")
	}
	for query, want := range map[string]string{
		"session=ns,secret=password":                       "Failed to read value 'password' of '/session=ns' requested by a public client: Secret does not exist or is not visible for a public client",
		"session=ns,secret=missing":                        "Failed to read value 'missing' of '/session=ns' requested by a public client: Secret does not exist or is not visible for a public client",
		"session=none,secret=x":                            "Failed to read value 'x' of '/session=none' requested by a public client: Secret does not exist or is not visible for a public client",
		"session=none":                                     "Failed to read values of '/session=none' requested by a public client",
		"session=ns,session_hash=" + zeroHash:              "Failed to read values of '/session=ns,session_hash=" + zeroHash + "'",
		"session=ns,session_hash=" + first + ",secret=new": "not visible",
		"session=ns,secret=k":                              "not visible",
		"session=ns,secret=hidden":                         "not visible",
		"session=ns,secret=i":                              "not visible",
	} {
		for _, user := range []tls.Certificate{nobody, owner} {
			l.refuses(t, user, "GET", "/v1/values/"+query, "", 404, want)
		}
	}
	for _, query := range []string{"", "ns", "session=", "session=ns,secret=a,secret=b", "session=ns,x=y", "secret=ca"} {
		l.refuses(t, nobody, "GET", "/v1/values/"+query, "", 400, "Failed to read values")
	}
}

// An older version shows what it had and gets nothing new.
func TestOldVersionsStayAsTheyWere(t *testing.T) {
	l := newLab(t).start(t)
	owner := newUser(t, "owner")
	const secrets = "secrets: [{name: k, kind: private-key}, {name: ca, kind: x509-ca, private_key: k, valid_for: 1 hour, export_public: true}]"
	first := l.upload(t, owner, document("app", secrets))
	_, before := l.request(t, owner, "GET", "/v1/values/session=app,secret=ca", "")
	l.upload(t, owner, successor(document("app", secrets), first))
	l.advance(2 * time.Hour)
	if _, now := l.request(t, owner, "GET", "/v1/values/session=app,session_hash="+first+",secret=ca", ""); now != before {
		t.Errorf("the old version shows %s, before %s", now, before)
	}
}
