// Package accounts reads the document that says which databases there are beside the
// session's own, and which accounts the user's own applications have, and writes it as
// the SQL that the session of the database runs at each start. It does no I/O.
package accounts

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/promise"
)

// Kind is the kind of the document.
const Kind = "confidb.accounts/v1"

// Document says what there shall be. The zero value adds nothing to the session's own.
type Document struct {
	Databases []Database
	Accounts  []Account
}

// Database is one that the session makes, and never drops.
type Database struct {
	Name string
	// CharacterSet and Collation are MariaDB's words. Neither is empty.
	CharacterSet, Collation string
	// Shard is the number of the MariaDB that has it, where each has databases of its own.
	Shard int
}

// Account is one account of one client, that can log in from anywhere with the
// certificate that CAS makes for it.
type Account struct {
	Name string
	// Client is who gets its certificate and password ({client add}).
	Client string
	// Limits are the resource options of the account, in MariaDB's words and sorted:
	// MAX_USER_CONNECTIONS 5.
	Limits []string
	Rights []promise.Right
	// Outside is set for the account of a client outside of enclaves.
	Outside *Outside
	// Through is the common name in the certificate of who stands between the client and
	// the database, and that the account demands; empty if nobody does.
	Through string
}

// Outside is what an account of a client outside of enclaves demands: a certificate that
// nobody but itself has signed, of OutsideName, and the password of a hash.
type Outside struct{ Hash string }

// Parse reads a document; name is that of the file, for errors. What is wrong with the
// document is a *document.Errors.
func Parse(name string, text []byte) (*Document, error) {
	d := decoder{document.NewDecoder(name)}
	found := &Document{}
	if whole := d.Read(text, document.Gate{Want: "kind: " + Kind, Advice: "{accounts example} prints one to begin with"}); whole != nil {
		if root := whole.Content[0]; d.OfKind(root, Kind) {
			d.document(found).Read(root, "")
		}
	}
	if err := d.Err(); err != nil {
		return nil, err
	}
	return found, nil
}

// Schema is a JSON Schema of the document.
func Schema() document.Shape {
	shape := decoder{document.NewDecoder("")}.document(&Document{}).Shape()
	shape["$schema"], shape["title"] = "http://json-schema.org/draft-07/schema#", Kind
	return shape
}

// Of returns the accounts of a client.
func (d *Document) Of(client string) []Account {
	var all []Account
	for _, a := range d.Accounts {
		if a.Client == client {
			all = append(all, a)
		}
	}
	return all
}

// Clients are the names of all clients, sorted.
func (d *Document) Clients() []string {
	var all []string
	for _, a := range d.Accounts {
		all = append(all, a.Client)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Databases are those in which the account has rights, sorted.
func (a Account) Databases() []string {
	var all []string
	for _, r := range a.Rights {
		all = append(all, of(r))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// At is the document as one shard has it: its databases, and all accounts, with their rights
// on what is there. The session's own database is on the first shard.
func (d *Document) At(shard int) *Document {
	here, there := &Document{}, map[string]bool{OwnDatabase: shard == 0}
	for _, one := range d.Databases {
		if one.Shard == shard {
			here.Databases, there[one.Name] = append(here.Databases, one), true
		}
	}
	for _, a := range d.Accounts {
		a.Rights = slices.DeleteFunc(slices.Clone(a.Rights), func(r promise.Right) bool { return !there[of(r)] })
		here.Accounts = append(here.Accounts, a)
	}
	return here
}

// of is the database that a right is about.
func of(r promise.Right) string {
	if r.Kind == promise.OnDatabase {
		return unpattern(r.Database)
	}
	return r.Database
}

// Identity is the name under which the session keeps what an account logs in with: its
// secrets are Identity, Identity_key and Identity_password, and the common name in its
// certificate is confidb- and the same with hyphens. No two accounts have the same.
func (a Account) Identity() string {
	if isPlain(a.Name) {
		return "account_" + a.Name
	}
	sum := sha256.Sum256([]byte(a.Name))
	return "account_0x" + hex.EncodeToString(sum[:16])
}

// isPlain reports whether a name can stand in those of secrets and in certificates as it is.
// None begins with a digit, as those that stand for others do, or ends as the name of one of
// the secrets of another account.
func isPlain(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyz_"
	return len(name) <= 40 && strings.Trim(name, letters+"0123456789") == "" && strings.Trim(name[:1], letters) == "" && !strings.HasSuffix(name, "_key") && !strings.HasSuffix(name, "_password")
}

// OutsideName is the common name in the certificate of the account where its client is
// outside of enclaves. No certificate of the session's CA has it.
func (a Account) OutsideName() string {
	return "confidb-outside-" + strings.TrimPrefix(a.Identity(), "account_")
}

// CommonName is that in the certificate of the account.
func (a Account) CommonName() string {
	if a.Outside != nil {
		return a.OutsideName()
	}
	return "confidb-" + strings.Replace(a.Identity(), "_", "-", 1)
}

// Promised is the account as the database must have it. One that is locked belongs to a
// client that is not there yet; nobody has a password for it, either.
func (a Account) Promised(locked bool) promise.Account {
	password := promise.Method{Plugin: promise.NativePlugin, Given: true, Secret: "SCONE::" + a.Identity() + "_password:hex"}
	if locked {
		password = promise.Method{Plugin: promise.NativePlugin, Given: true, Unusable: true, Stored: promise.NoHash}
	}
	p := promise.Account{
		Name:    promise.Name{User: a.Name, Host: "%"},
		Methods: []promise.Method{password},
		Require: promise.Require{Level: "SPECIFIED", Subject: "/CN=" + cmp.Or(a.Through, a.CommonName()), Issuer: "/CN=" + Issuer},
		Locked:  locked, Limits: slices.Clone(a.Limits), Rights: slices.Clone(a.Rights),
	}
	if a.Outside != nil && !locked {
		p.Methods[0].Secret, p.Methods[0].Written, p.Require.Issuer = "", a.Outside.Hash, p.Require.Subject
	}
	p.Arrange()
	return p
}

// Issuer is the common name of the CA of the database's session.
const Issuer = "confidb-ca"
