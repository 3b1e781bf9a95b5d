// Package probe is the attested client: it reads what CAS injected into its
// enclave, looks at the database from outside and from inside, and signs what it
// saw. It knows nothing of quotes, sessions or clusters: that only the right
// enclave got its keys is the work of CAS.
package probe

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/masking"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/witness"
)

// InjectedDirectory is where CAS puts the files of the probe, and of the database.
const InjectedDirectory = "/run/confidb/"

// maxFileBytes bounds a file; the promise of hundreds of accounts is the longest.
const maxFileBytes = 4 << 20

// targetFile is target.json: what the probe looks at.
type targetFile struct {
	Address    string `json:"address"`
	ServerName string `json:"serverName"`
	Session    string `json:"session"`
	Member     string `json:"member"`
	Account    string `json:"account"`
	Subject    string `json:"subject"`
	Issuer     string `json:"issuer"`
}

// input is everything that CAS injected. It holds secrets and is never printed.
type input struct {
	target       targetFile
	question     question
	ca           *x509.Certificate
	verify       tls.Certificate
	stranger     tls.Certificate
	expired      tls.Certificate
	wrongRole    tls.Certificate
	password     string
	statementKey []byte
	// promise is what the database must be; nil if the session says nothing of it.
	promise *promise.Promise
	// passwords are those of the promised accounts that CAS gave, by promise.Method.Secret.
	passwords map[string]string
	// former are the passwords that CAS gave of promised accounts that have none any more.
	former map[promise.Name]string
	// startSecret is what the database's init file knows; empty if the session has none.
	startSecret string
}

// question is what the relying party asks, as the untrusted host hands it on: the
// statement repeats it.
type question struct {
	nonce string
	// verifier is for whom a mark is left, and mark the digest of the one to look for;
	// both may be empty.
	verifier, mark string
}

func readQuestion(getenv func(string) string) question {
	return question{nonce: getenv("CONFIDB_NONCE"), verifier: optional(getenv("CONFIDB_VERIFIER")), mark: optional(getenv("CONFIDB_MARK"))}
}

// optional is a variable of the host's that may be left out: the session then says "none".
func optional(value string) string {
	if value == "none" {
		return ""
	}
	return value
}

func (q question) validate() error {
	switch {
	case !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(q.nonce):
		return fmt.Errorf("CONFIDB_NONCE of %d characters: want 32 lower-case hex digits", len(q.nonce))
	case q.verifier != "" && !witness.IsVerifier(q.verifier):
		return fmt.Errorf("CONFIDB_VERIFIER of %d characters: want 32 lower-case hex digits", len(q.verifier))
	case q.mark != "" && (!witness.IsDigest(q.mark) || q.verifier == ""):
		return fmt.Errorf("CONFIDB_MARK of %d characters: want 64 lower-case hex digits, and a verifier", len(q.mark))
	}
	return nil
}

// readInput reads the injected files.
func readInput(files fs.FS, asked question) (*input, error) {
	if err := asked.validate(); err != nil {
		return nil, err
	}
	read := reader{files: files}
	in := read.shown(asked, "verify.password")
	in.promise = read.promise("promise.json")
	in.passwords, in.former = read.passwords(in.promise), read.former(in.promise)
	if read.has("start.secret") {
		in.startSecret = string(read.file("start.secret"))
	}
	if read.err != nil {
		return nil, read.err
	}
	return in, nil
}

// shown is what every program of this package shows, and as whom it asks.
func (r *reader) shown(asked question, password string) *input {
	in := &input{
		question:     asked,
		ca:           r.ca("ca.crt"),
		verify:       r.identity("verify"),
		stranger:     r.identity("stranger"),
		expired:      r.identity("expired"),
		wrongRole:    r.identity("wrongrole"),
		password:     string(r.file(password)),
		statementKey: r.file("statement.key"),
	}
	r.target("target.json", &in.target)
	return in
}

// reader reads files until the first error, which it keeps.
type reader struct {
	files fs.FS
	err   error
}

func (r *reader) fail(name string, err error) {
	if r.err == nil {
		r.err = fmt.Errorf("reading %s: %w", name, err)
	}
}

// file returns the bytes of a file that is not empty.
func (r *reader) file(name string) []byte {
	if r.err != nil {
		return nil
	}
	opened, err := r.files.Open(name)
	if err != nil {
		r.fail(name, err)
		return nil
	}
	defer opened.Close()
	content, err := io.ReadAll(io.LimitReader(opened, maxFileBytes+1))
	switch {
	case err != nil:
		r.fail(name, err)
	case len(content) == 0 || len(content) > maxFileBytes:
		r.fail(name, fmt.Errorf("want 1 to %d bytes", maxFileBytes))
	default:
		return content
	}
	return nil
}

// has reports whether there is a file. Sessions of earlier versions have not all.
func (r *reader) has(name string) bool {
	_, err := fs.Stat(r.files, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.fail(name, err)
	}
	return err == nil
}

func (r *reader) promise(name string) *promise.Promise {
	if !r.has(name) {
		return nil
	}
	content := r.file(name)
	if r.err != nil {
		return nil
	}
	promised, err := promise.Parse(content)
	if err != nil {
		r.fail(name, err)
	}
	return promised
}

// masking reads the rules that the user has given MaxScale.
func (r *reader) masking(name string) *masking.Rules {
	content := r.file(name)
	if r.err != nil {
		return nil
	}
	rules, err := masking.Parse(name, content)
	if err != nil {
		r.fail(name, err)
	}
	return rules
}

// passwords reads, for each promised account with the password of a secret x_password, the
// file x.password if CAS put it there.
func (r *reader) passwords(of *promise.Promise) map[string]string {
	found := map[string]string{}
	if of == nil {
		return found
	}
	form := regexp.MustCompile(`^SCONE::([A-Za-z0-9_-]+)_password:hex$`)
	for _, account := range of.Accounts {
		for _, method := range account.Methods {
			if match := form.FindStringSubmatch(method.Secret); match != nil && r.has(match[1]+".password") {
				found[method.Secret] = string(r.file(match[1] + ".password"))
			}
		}
	}
	return found
}

// former reads the passwords of accounts in which no password is right any more.
func (r *reader) former(of *promise.Promise) map[promise.Name]string {
	found := map[promise.Name]string{}
	if of == nil {
		return found
	}
	for _, account := range of.Accounts {
		unusable := slices.ContainsFunc(account.Methods, func(m promise.Method) bool { return m.Unusable })
		if name := (accounts.Account{Name: account.Name.User}).Identity() + ".password"; unusable && r.has(name) {
			found[account.Name] = string(r.file(name))
		}
	}
	return found
}

func (r *reader) ca(name string) *x509.Certificate {
	content := r.file(name)
	if r.err != nil {
		return nil
	}
	block, rest := pem.Decode(content)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		r.fail(name, errors.New("want exactly one PEM block CERTIFICATE"))
		return nil
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		r.fail(name, err)
	}
	return certificate
}

// identity reads a certificate and its key.
func (r *reader) identity(name string) tls.Certificate {
	certificate, key := r.file(name+".crt"), r.file(name+".key")
	if r.err != nil {
		return tls.Certificate{}
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		r.fail(name+".crt and "+name+".key", err)
	}
	return pair
}

func (r *reader) target(name string, target *targetFile) {
	content := r.file(name)
	if r.err != nil {
		return
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(target); err != nil {
		r.fail(name, err)
		return
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		r.fail(name, errors.New("want one JSON object and nothing after it"))
		return
	}
	for _, text := range []string{target.Address, target.ServerName, target.Session, target.Member, target.Account, target.Subject, target.Issuer} {
		if text == "" {
			r.fail(name, errors.New("a member is missing or empty: want address, serverName, session, member, account, subject and issuer"))
			return
		}
	}
}
