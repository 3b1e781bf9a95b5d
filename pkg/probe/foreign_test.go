package probe

import (
	"crypto/rand"
	"crypto/x509"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/promise"
)

// TestForeignIdentities have the subject that an account demands, and a CA of the real one's
// name that is another.
func TestForeignIdentities(t *testing.T) {
	ca, err := newForeignCA(rand.Reader, time.Now(), db.CA.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	account := func(subject string) promise.Account {
		return promise.Account{Require: promise.Require{Subject: subject}}
	}
	made, err := ca.identities(&promise.Promise{Accounts: []promise.Account{account("/CN=a"), account("/CN=a"), account("/O=x/CN=b"), account("/CN=c/O=x"), account(""), account("/CN="), account("/CN=größe")}})
	if err != nil || len(made) != 2 {
		t.Fatalf("%d identities: %v", len(made), err)
	}
	for subject, pair := range made {
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if "/CN="+leaf.Subject.CommonName != subject || leaf.Issuer.String() != db.CA.Certificate.Subject.String() || leaf.CheckSignatureFrom(db.CA.Certificate) == nil {
			t.Errorf("%s: got %s of %s", subject, leaf.Subject, leaf.Issuer)
		}
	}
	if none, err := ca.identities(nil); err != nil || len(none) != 0 {
		t.Errorf("without a promise: %v %v", none, err)
	}
}
