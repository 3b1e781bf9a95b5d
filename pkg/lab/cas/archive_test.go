package cas_test

import (
	"bytes"
	"fmt"
	"testing"
)

// An archive of a certificate, its key and its chain goes into a file, and nowhere else.
func TestArchive(t *testing.T) {
	l := newLab(t).start(t)
	owner := newUser(t, "owner")
	const secrets = "secrets: [{name: k, kind: private-key}, {name: ca, kind: x509-ca, private_key: k}, {name: lk, kind: private-key}, {name: leaf, kind: x509, private_key: lk, issuer: ca}]\n"
	file := func(name, of string) string {
		return fmt.Sprintf("version: '0.3.11'\nname: %s\nservices: [{name: s, image_name: i, attestation: {mrenclave: [%s]}}]\nimages: [{name: i, injection_files: [{path: /f, content: '%s'}]}]\n%s", name, mrenclave, of, secrets)
	}
	for i, of := range []string{"leaf", "ca"} {
		name := fmt.Sprint("app", i)
		l.upload(t, owner, file(name, "$$SCONE::"+of+":pkcs12-with-private-key$$"))
		if got := l.configures(t, honest(name+"/s")).Files; len(got) != 1 || !bytes.HasPrefix(got[0].Content, []byte("\x30\x82")) {
			t.Errorf("%s: got %+v", of, got)
		}
	}
	l.refuses(t, owner, "POST", "/session", file("key", "$$SCONE::lk:pkcs12-with-private-key$$"), 400, "has no encoding")
	l.refuses(t, owner, "POST", "/session", file("more", "$$SCONE::leaf:pkcs12-with-private-key:pem$$"), 400, "has no encoding")
	l.upload(t, owner, document("variable", secrets, "$$SCONE::leaf:pkcs12-with-private-key$$"))
	l.rejects(t, honest("variable/s"), "raw bytes do not fit here")
}
