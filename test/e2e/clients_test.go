//go:build e2e

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/mysql"
)

// desk is what the clients of these tests may do.
const desk = `kind: confidb.accounts/v1
databases:
  - {name: desk, character-set: utf8mb4}
accounts:
  - name: owner
    client: thief
    privileges:
      - {database: desk, grant: [SELECT, INSERT, CREATE, CREATE ROUTINE]}
  - name: clerk
    client: thief
    limits: {max-user-connections: 2}
    privileges:
      - {database: desk, table: papers, columns: [title], grant: [SELECT]}
      - {database: desk, procedure: count_papers, grant: [EXECUTE]}
  - {name: late-a, client: late-a, privileges: [{database: desk, grant: [SELECT]}]}
  - {name: late-b, client: late-b, privileges: [{database: desk, grant: [SELECT]}]}
`

// deskInstalled installs a release with the accounts of desk.
func deskInstalled(t *testing.T, release string) {
	t.Helper()
	accounts := filepath.Join(t.TempDir(), "accounts.yaml")
	write(t, accounts, desk)
	installed(t, release, "--accounts", accounts)
}

// client runs a command about a client.
func client(t *testing.T, verb, release, name string, more ...string) result {
	t.Helper()
	return try(t, confidb(append([]string{"client", verb, release, name, "--accept-simulated"}, more...)...)...)
}

// clientSession is the session of a client of a release.
func clientSession(t *testing.T, release, name string) string {
	t.Helper()
	ours := variable(t, release, "DBCLIENT")
	return ours[:strings.LastIndexByte(ours, '/')] + "/" + name
}

// enclavePod runs cat of the lab's image as an enclave, on a node, and returns what it
// printed. That may be secrets, so it is not among what is searched for them.
func enclavePod(t *testing.T, name, node, config string) string {
	t.Helper()
	las := run(t, "kubectl", "get", "node", node, "-o", "jsonpath={.status.addresses[0].address}")
	arguments := []string{"kubectl", "run", name, "--restart=Never", "--image=lab.local/mariadb:10.11", "--image-pull-policy=IfNotPresent",
		"--overrides", `{"spec": {"nodeSelector": {"kubernetes.io/hostname": "` + node + `"}}}`,
		"--env=SCONE_CAS_ADDR=cas.scone-system.svc", "--env=SCONE_LAS_ADDR=" + las, "--env=" + config, "--command", "--", "confidb-lab", "run", "cat"}
	run(t, arguments...)
	t.Cleanup(func() {
		if out, err := command(t, context.Background(), "kubectl", "delete", "pod", name, "--wait=false").CombinedOutput(); err != nil {
			t.Errorf("removing the pod %s: %v: %s", name, err, out)
		}
	})
	waitFor(t, "the pod "+name+" to end", time.Minute, func() bool {
		phase := run(t, "kubectl", "get", "pod", name, "-o", "jsonpath={.status.phase}")
		return phase == "Succeeded" || phase == "Failed"
	})
	said, err := command(t, t.Context(), "kubectl", "logs", name).CombinedOutput()
	if err != nil {
		t.Fatalf("the log of %s: %v", name, err)
	}
	return string(said)
}

// stolen is what an account logs in with.
type stolen struct {
	identity tls.Certificate
	password string
}

// steal reads what a program printed of its files: certificate, key and password of each
// account.
func steal(t *testing.T, said string, accounts ...string) map[string]stolen {
	t.Helper()
	const pem = `(?s)(-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\s+)(-----BEGIN PRIVATE KEY-----.*?-----END PRIVATE KEY-----)\s+([0-9a-f]{64})`
	found := regexp.MustCompile(pem).FindAllStringSubmatch(said, -1)
	if len(found) != len(accounts) {
		t.Fatalf("got the identities of %d accounts, want %d", len(found), len(accounts))
	}
	all := map[string]stolen{}
	for i, account := range accounts {
		identity, err := tls.X509KeyPair([]byte(found[i][1]), []byte(found[i][2]))
		if err != nil {
			t.Fatalf("the identity of %s: %v", account, err)
		}
		all[account] = stolen{identity, found[i][3]}
	}
	return all
}

// renamed is a certificate with the subject of another, which its holder made with its own
// key.
func renamed(t *testing.T, holder, other tls.Certificate) tls.Certificate {
	t.Helper()
	key, ok := holder.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatalf("got a key of type %T", holder.PrivateKey)
	}
	parent := *holder.Leaf
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: other.Leaf.Subject.CommonName}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, &parent, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der, holder.Leaf.Raw}, PrivateKey: key}
}

// TestClientsMayDoNoMore has a client whose program gives away all that it is given, and
// tries what a thief would: on another machine, in another session, with other certificates,
// and beyond the rights and the limits of its accounts. After client remove nothing opens.
func TestClientsMayDoNoMore(t *testing.T) {
	t.Parallel() // waits for pods most of the time
	const release = "desk"
	deskInstalled(t, release)
	measured := strings.TrimSpace(enclavePod(t, "thief-measured", "n1", "SCONE_HASH=1"))
	platform := strings.TrimSpace(run(t, confidb("platforms", "-o", `jsonpath={.items[?(@.name=="n1")].platformID}`)...))
	add := []string{"--mrenclave", measured, "--platforms", platform, "--command", "cat"}
	for _, account := range []string{"owner", "clerk"} {
		for form, extension := range map[string]string{"certificate": "crt", "key": "key", "password": "password"} {
			add = append(add, "--file", fmt.Sprintf("%s:%s=/run/confidb/%s.%s", form, account, account, extension))
		}
		for _, extension := range []string{"crt", "key", "password"} {
			add = append(add, "--command", "/run/confidb/"+account+"."+extension)
		}
	}
	if r := client(t, "add", release, "thief", add...); r.code != 0 {
		t.Fatal(r)
	}
	session := clientSession(t, release, "thief")
	if said := enclavePod(t, "thief-elsewhere", "n2", "SCONE_CONFIG_ID="+session+"/thief"); !strings.Contains(said, "not permitted") || strings.Contains(said, "PRIVATE KEY") {
		t.Error("on another machine the program was not refused for its platform")
	}
	testForeignSession(t, release, measured)
	all := steal(t, enclavePod(t, "thief-here", "n1", "SCONE_CONFIG_ID="+session+"/thief"), "owner", "clerk")

	login := func(account string, identity tls.Certificate, awaitAlert bool) (*mysql.Conn, mysql.Attempt) {
		t.Helper()
		return login{release, account, all[account].password, identity}.connect(t, awaitAlert)
	}
	owner, attempt := login("owner", all["owner"].identity, false)
	if owner == nil {
		t.Fatalf("the owner is not admitted: %v", attempt.Err)
	}
	for _, statement := range []string{"CREATE TABLE desk.papers (title VARCHAR(20), body VARCHAR(20))", "INSERT INTO desk.papers VALUES ('a', 'b')", "CREATE TABLE desk.drafts (title VARCHAR(20))",
		"CREATE PROCEDURE desk.count_papers() SELECT COUNT(*) FROM desk.papers", "CREATE PROCEDURE desk.count_drafts() SELECT COUNT(*) FROM desk.drafts"} {
		wantCode(t, owner, statement, 0)
	}
	wantCode(t, owner, "DROP TABLE desk.drafts", 1142)
	wantCode(t, owner, "CREATE DATABASE other", 1044)
	wantCode(t, owner, "GRANT SELECT ON desk.* TO clerk", 1044)
	wantCode(t, owner, "SELECT * FROM mysql.global_priv", 1142)
	clerk, attempt := login("clerk", all["clerk"].identity, false)
	if clerk == nil {
		t.Fatalf("the clerk is not admitted: %v", attempt.Err)
	}
	wantCode(t, clerk, "SELECT title FROM desk.papers", 0)
	wantCode(t, clerk, "SELECT body FROM desk.papers", 1143)
	wantCode(t, clerk, "SELECT * FROM desk.papers", 1142)
	wantCode(t, clerk, "INSERT INTO desk.papers (title) VALUES ('c')", 1142)
	wantCode(t, clerk, "SELECT title FROM desk.drafts", 1142)
	wantCode(t, clerk, "CALL desk.count_drafts()", 1370)
	if second, attempt := login("clerk", all["clerk"].identity, false); second == nil {
		t.Errorf("a second connection: %v", attempt.Err)
	}
	_, attempt = login("clerk", all["clerk"].identity, false)
	wantRefusal(t, "a third connection", attempt, 1226)

	_, attempt = login("owner", all["clerk"].identity, false)
	wantRefusal(t, "the clerk's identity with the owner's account and password", attempt, 1045)
	_, attempt = login("owner", renamed(t, all["clerk"].identity, all["owner"].identity), true)
	if alert, alerted := attempt.Alert(); !alerted {
		t.Errorf("the clerk's key with the owner's subject: alert %v, %v", alert, attempt.Err)
	}

	if r := client(t, "remove", release, "thief"); r.code != 0 {
		t.Fatal(r)
	}
	if _, err := owner.Query(t.Context(), "SELECT 1"); err == nil {
		t.Error("the connection that was open still is")
	}
	for _, account := range []string{"owner", "clerk"} {
		_, attempt := login(account, all[account].identity, false)
		if code := refusal(attempt); code != 1045 && code != 4151 { // 4151: the account is locked
			t.Errorf("%s after client remove: %v", account, attempt.Err)
		}
	}
	if said := enclavePod(t, "thief-removed", "n1", "SCONE_CONFIG_ID="+session+"/thief"); !strings.Contains(said, "does not exist in session") || strings.Contains(said, "PRIVATE KEY") {
		t.Error("the program that was sent away is not refused")
	}
	remove(t, release)
}

// login is what somebody logs in with to the database of a release.
type login struct {
	release, account, password string
	identity                   tls.Certificate
}

// connect logs in by a port-forward, for the time of the test.
func (l login) connect(t *testing.T, awaitAlert bool) (*mysql.Conn, mysql.Attempt) {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(databaseCA(t, l.release)) {
		t.Fatal("no CA")
	}
	conn, attempt := mysql.Connect(t.Context(), mysql.Login{Address: forward(t, "service/"+l.release+"-mariadb", ":3306"), Account: l.account, Password: l.password, AwaitAlert: awaitAlert,
		TLS: &tls.Config{RootCAs: roots, ServerName: l.release + "-mariadb.default.svc", Certificates: []tls.Certificate{l.identity}, MinVersion: tls.VersionTLS13}})
	if conn != nil {
		t.Cleanup(func() { conn.Close() })
	}
	return conn, attempt
}

// testForeignSession makes a session that nobody allowed, which wants what a client gets: the
// right program gets nothing by it.
func testForeignSession(t *testing.T, release, measured string) {
	t.Helper()
	name := strings.ReplaceAll(clientSession(t, release, "thief"), "/", "-") + "-own"
	file := filepath.Join(t.TempDir(), "session.yml")
	write(t, file, fmt.Sprintf(`version: "0.3.11"
name: %s
services:
  - name: thief
    image_name: thief
    command: cat /run/confidb/key
    attestation:
      mrenclave: [%s]
    platforms: [%s]
images:
  - name: thief
    injection_files:
      - path: /run/confidb/key
        content: $$SCONE::account_owner_key:pem$$
secrets:
  - name: account_owner_key
    kind: private-key
    import: {session: %s, secret: account_owner_key}
access_policy:
  read: [CREATOR]
  update: [CREATOR]
`, name, measured, strings.TrimSpace(run(t, confidb("platforms", "-o", `jsonpath={.items[?(@.name=="n1")].platformID}`)...)), variable(t, release, "DBSESSION")))
	if r := try(t, confidb("session", "create", file)...); r.code != 0 {
		t.Fatalf("CAS lets anybody make a session of their own: %v", r)
	}
	said := enclavePod(t, "thief-own-session", "n1", "SCONE_CONFIG_ID="+name+"/thief")
	if !strings.Contains(said, "export") || strings.Contains(said, "PRIVATE KEY") {
		t.Errorf("the session that nobody allowed: %.300s", said)
	}
}

// refusal is the number of the error that a server refused a login with, or 0.
func refusal(a mysql.Attempt) uint16 {
	if refused, ok := errors.AsType[*mysql.ServerError](a.Err); ok {
		return refused.Code
	}
	return 0
}

func wantRefusal(t *testing.T, what string, a mysql.Attempt, code uint16) {
	t.Helper()
	if got := refusal(a); got != code {
		t.Errorf("%s: got error %d (%v), want %d", what, got, a.Err, code)
	}
}

// wantCode runs a statement that is to end in an error of a number; 0 is none.
func wantCode(t *testing.T, c *mysql.Conn, statement string, code uint16) {
	t.Helper()
	_, err := c.Query(t.Context(), statement)
	refused, ok := errors.AsType[*mysql.ServerError](err)
	if code == 0 && err != nil || code != 0 && !(ok && refused.Code == code) {
		t.Errorf("%s: got %v, want error %d", statement, err, code)
	}
}

// TestClientsAtOnce adds two clients at the same time: each is admitted, or told that another
// change runs, and then admitted when it is tried again.
func TestClientsAtOnce(t *testing.T) {
	t.Parallel() // waits for pods most of the time
	const release = "queue"
	deskInstalled(t, release)
	anything := strings.Repeat("5a", 32)
	var all sync.WaitGroup
	for _, name := range []string{"late-a", "late-b"} {
		all.Go(func() {
			r := client(t, "add", release, name, "--mrenclave", anything)
			if r.code == 0 {
				return
			}
			if !strings.Contains(r.err, "another") || !strings.Contains(r.err, "hint: ") {
				t.Errorf("%s, while another is added: %v", name, r)
			}
		})
	}
	all.Wait()
	for _, name := range []string{"late-a", "late-b"} {
		if r := client(t, "add", release, name, "--mrenclave", anything); r.code != 0 {
			t.Errorf("%s again: %v", name, r)
		}
	}
	list := run(t, confidb("client", "list", release)...)
	if strings.Contains(list, "change has not come to its end") || !strings.Contains(list, "late-a: ") || !strings.Contains(list, "late-b: ") {
		t.Errorf("got the list\n%s", list)
	}
	remove(t, release)
}

// Killed at every step, one after the other, a client is admitted, changed and sent away as
// if nothing had happened: each of these ends with a verification.
func TestClientsKilledAtEveryStep(t *testing.T) {
	const release = "stops"
	deskInstalled(t, release)
	steps := []string{"what changes", "session ", "session ", "session ", "session ", "Helm release", "the database starts", "waiting", "verifying"}
	for _, verb := range [][]string{{"add", "--mrenclave", strings.Repeat("5a", 32)}, {"update", "--mrenclave", strings.Repeat("a5", 32)}, {"remove"}} {
		before := uploads(t)
		for n := range steps {
			wanted := steps[:n+1]
			if n > 6 { // the database was started by the run before
				wanted = []string{steps[n]}
			}
			killAt(t, wanted, len(wanted)-1, confidb(append([]string{"client", verb[0], release, "late-a", "--accept-simulated"}, verb[1:]...)...)...)
		}
		if r := client(t, verb[0], release, "late-a", verb[1:]...); r.code != 0 {
			t.Errorf("%s after all: %v", verb[0], r)
		}
		if made := uploads(t) - before; made > 3 { // the client's, ours and the database's, once each
			t.Errorf("%s: %d sessions were uploaded, want at most 3", verb[0], made)
		}
		list := run(t, confidb("client", "list", release)...)
		if there := len(verb) > 2 && strings.Contains(list, verb[2]); there == (verb[0] == "remove") || strings.Contains(list, "not come to its end") {
			t.Errorf("after %s got the list\n%s", verb[0], list)
		}
	}
	remove(t, release)
}
