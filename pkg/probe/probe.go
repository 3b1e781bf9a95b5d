package probe

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/mariadb"
)

const runTimeout = 3 * time.Minute

// Main is the program: it prints one line with the signed statement and returns
// 0, whatever the statement says; 1 if it could make none, 2 if it was given other
// arguments than "front", which looks at what stands before several databases, or "volume",
// a folder, a file and perhaps another folder, and the word "seed" after that: see
// prepareVolume and prepareSeed.
func Main(arguments []string, getenv func(string) string, stdout, stderr io.Writer) int {
	if n := len(arguments); (n == 3 || n == 4) && arguments[0] == "volume" {
		return prepareVolume(arguments[1], arguments[2], arguments[n-1], n == 4, stdout, stderr)
	}
	if len(arguments) == 5 && arguments[0] == "volume" && arguments[4] == seedWord {
		return prepareSeed(arguments[1], arguments[2], arguments[3], stderr)
	}
	front := len(arguments) == 1 && arguments[0] == "front"
	if len(arguments) > 0 && !front {
		fmt.Fprintf(stderr, "error: %d arguments: want none\nhint: Set CONFIDB_NONCE, CONFIDB_VERIFIER and CONFIDB_MARK; everything else comes from CAS.\n", len(arguments))
		return 2
	}
	ctx, cancel := context.WithTimeout(context.Background(), runTimeout)
	defer cancel()
	run := run{files: os.DirFS(InjectedDirectory), keyDirectory: InjectedDirectory, question: readQuestion(getenv), ways: optional(getenv("CONFIDB_WAYS")),
		now: time.Now, wait: wait, random: rand.Reader}
	sign := run.statement
	if front {
		sign = run.frontStatement
	}
	line, err := sign(ctx)
	if err == nil {
		_, err = stdout.Write(line)
	}
	if err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 1
	}
	return 0
}

// run is one run of the probe and what it depends on.
type run struct {
	files        fs.FS
	keyDirectory string
	question     question
	ways         string // where users are led to, from the host
	now          func() time.Time
	wait         func(context.Context, time.Duration) error
	random       io.Reader
}

// wait waits for d, or until ctx is done.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// statement looks at the database and returns the signed statement.
func (r run) statement(ctx context.Context) ([]byte, error) {
	in, err := readInput(r.files, r.question)
	if err != nil {
		return nil, fmt.Errorf("probing: %w", err)
	}
	impostors, err := r.impostors(in)
	if err != nil {
		return nil, fmt.Errorf("probing: %w", err)
	}
	began := r.now()
	seen := mariadb.Observe(ctx, mariadb.Target{
		Address: in.target.Address, ServerName: in.target.ServerName, CA: in.ca,
		Account: in.target.Account, Password: in.password, Certificate: in.verify,
		Subject: in.target.Subject, Issuer: in.target.Issuer,
		KeyDirectory: r.keyDirectory, Now: r.now, Wait: r.wait, Random: r.random, Promise: in.promise, Passwords: in.passwords, Former: in.former, StartSecret: in.startSecret,
		Verifier: in.question.verifier, Asked: in.question.mark,
	}, impostors)
	line, err := evidence.SignStatement(predicate(in, began, seen), in.statementKey)
	if err != nil {
		return nil, fmt.Errorf("probing: %w", err)
	}
	return line, nil
}

func (r run) impostors(in *input) (mariadb.Impostors, error) {
	ca, err := newForeignCA(r.random, r.now(), in.ca)
	if err != nil {
		return mariadb.Impostors{}, err
	}
	foreign, err := ca.identity(in.verify.Leaf.RawSubject)
	if err != nil {
		return mariadb.Impostors{}, err
	}
	foreigners, err := ca.identities(in.promise)
	return mariadb.Impostors{Foreign: foreign, Foreigners: foreigners, Expired: &in.expired, WrongRole: &in.wrongRole, Stranger: &in.stranger}, err
}

func predicate(in *input, began time.Time, seen *mariadb.Observation) *evidence.Predicate {
	greeting, session := seen.ConnectionIDs()
	return &evidence.Predicate{
		Nonce: in.question.nonce, Time: began.UTC().Truncate(time.Second),
		Session: in.target.Session, Member: in.target.Member, Address: in.target.Address, ServerName: in.target.ServerName, Account: in.target.Account,
		ClientLeafSHA256: evidence.SHA256(in.verify.Leaf.Raw),
		Server:           server(seen.TLS()),
		ServerVersion:    seen.ServerVersion(),
		Connections:      evidence.Connections{Greeting: greeting, Session: session},
		Findings:         seen.Report(),
		Witness:          seen.Witness(),
		Replication:      replication(seen.Replication()),
		Limitations:      limitations(),
	}
}

// server describes the other end of a verified connection; nil for none.
func server(state *tls.ConnectionState) *evidence.Server {
	if state == nil || len(state.VerifiedChains) == 0 {
		return nil
	}
	chain := state.VerifiedChains[0]
	leaf, authority := chain[0], chain[len(chain)-1]
	return &evidence.Server{
		LeafPEM:      certificatePEM(leaf),
		LeafSHA256:   evidence.SHA256(leaf.Raw),
		CASPKISHA256: evidence.SHA256(authority.RawSubjectPublicKeyInfo),
		TLSVersion:   tls.VersionName(state.Version),
		CipherSuite:  tls.CipherSuiteName(state.CipherSuite),
	}
}

func certificatePEM(certificate *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
}

// limitations are what MariaDB 10.11 leaves unprotected with every option on, as
// measured on its files.
func limitations() []evidence.Limitation {
	return []evidence.Limitation{
		{ID: "clear-aria-log", Text: "aria_log.* is written in clear: password hashes, bodies of stored procedures and events, rows of Aria tables."},
		{ID: "clear-temporary-tables", Text: "Internal temporary tables (GROUP BY, DISTINCT, derived tables, window functions) are written to tmpdir in clear, whatever encrypt_tmp_disk_tables says."},
		{ID: "clear-definitions", Text: "Definitions (.frm, .TRG, ddl_recovery.log) and file names are in clear: names, defaults, comments, texts of views and triggers."},
		{ID: "clear-master-info", Text: "master.info of a replica holds the user and the password of the replication in clear."},
		{ID: "stale-memory", Text: "Unused parts of Aria index pages (mysql/event.MAI) can hold stale memory of the server, with data of encrypted tables."},
		{ID: "clear-metadata", Text: "The error log, the indexes of binary logs and the list of cached pages are in clear."},
		{ID: "no-integrity", Text: "Encrypted pages carry no integrity protection: whoever can write the volume can change data without notice (AES_CTR and an unkeyed CRC-32C)."},
		{ID: "no-rollback-protection", Text: "The database does not notice when its volume is put back to an earlier state. A verification notices one from before the last verification (data-01)."},
		{ID: "self-report", Text: "What the server says of itself by SQL is worth what the attestation of its enclave is worth."},
	}
}
