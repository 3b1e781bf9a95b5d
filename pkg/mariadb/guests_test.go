package mariadb_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// admitted are applications with clients of these names.
func admitted(document string, clients ...string) topology.Applications {
	a := topology.Applications{Accounts: document}
	for _, name := range clients {
		a = a.With(topology.Application{Name: name, MRENCLAVEs: []sgx.Measurement{{7}}, Command: []string{"x"}, Files: map[string]topology.Given{"/run/confidb/ca.crt": {Form: topology.FormCA}}})
	}
	return a
}

// twoAccounts are that of a client that is there, and that of one that is not.
const twoAccounts = `kind: confidb.accounts/v1
databases: [{name: shop}]
accounts:
  - {name: alice, client: web, limits: {max-user-connections: 1, max-connections-per-hour: 1}, privileges: [{database: shop, grant: [SELECT]}]}
  - {name: bob, client: batch, privileges: [{database: shop, grant: [SELECT]}]}
`

func give(t testing.TB, a topology.Applications) {
	t.Helper()
	if err := server.Give(a); err != nil {
		t.Fatal(err)
	}
}

// try logs in as an account, with its password and a certificate of a common name.
func try(t testing.TB, account, commonName string) mysql.Attempt {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(server.CA.Certificate)
	own := must[tls.Certificate](t)(server.CA.Client(commonName))
	return mysql.Try(t.Context(), mysql.Login{Address: server.Address, Account: account, Password: server.Passwords["SCONE::account_"+account+"_password:hex"],
		TLS: &tls.Config{RootCAs: roots, ServerName: mariadbtest.ServerName, Certificates: []tls.Certificate{own}}})
}

// about returns the finding of a check about an account.
func about(t testing.TB, report check.Report, id, account string) check.Finding {
	t.Helper()
	at := slices.IndexFunc(report, func(f check.Finding) bool { return f.ID == id && f.Subject == account })
	if at < 0 {
		t.Fatalf("no finding %s about %s", id, account)
	}
	return report[at]
}

func wantAbout(t testing.TB, report check.Report, id, account string, want check.Outcome, mention string) {
	t.Helper()
	f := about(t, report, id, account)
	if said := f.Got + " " + f.Reason; f.Outcome != want || !strings.Contains(said, mention) {
		t.Errorf("%s of %s: got %v (%s), want %v that mentions %q", id, account, f.Outcome, said, want, mention)
	}
	if f.Outcome != check.Pass && f.Hint == "" {
		t.Errorf("%s of %s: %v without a hint", id, account, f.Outcome)
	}
}

const alice, bob, app = `"alice"@"%"`, `"bob"@"%"`, `"confidb_app"@"%"`

// TestEachAccountRefuses: with its name and password, and a certificate that is wrong in
// one way; each weakness is seen at the account that has it, and at no other.
func TestEachAccountRefuses(t *testing.T) {
	fresh(t)
	give(t, admitted(twoAccounts, "web", "batch"))
	give(t, admitted(twoAccounts, "web"))
	target := goodTarget()
	target.Former = map[promise.Name]string{{User: "bob", Host: "%"}: server.Passwords["SCONE::account_bob_password:hex"]}
	report := observe(t, target)
	for _, account := range []string{alice, app} {
		wantAbout(t, report, "mtls-07", account, check.Pass, "1 refused inside TLS 1.3")
		wantAbout(t, report, "mtls-08", account, check.Pass, "1 refused inside TLS 1.3")
		wantAbout(t, report, "mtls-09", account, check.Pass, "the right password")
	}
	wantAbout(t, report, "acc-05", bob, check.Pass, "it is locked and has no password")

	hash := promise.NativeHash(server.Passwords["SCONE::account_alice_password:hex"])
	const require, pinned = "ALTER USER alice@'%' REQUIRE ", "SUBJECT '/CN=confidb-account-alice' AND ISSUER '/CN=confidb-ca'"
	former := string(promise.NativeHash(target.Former[promise.Name{User: "bob", Host: "%"}]))
	const lock = "ALTER USER bob@'%' IDENTIFIED VIA mysql_native_password USING 'invalid' REQUIRE SUBJECT '/CN=confidb-account-bob' AND ISSUER '/CN=confidb-ca' ACCOUNT LOCK"
	for _, c := range []struct {
		name, change, undo, id, account string
		want                            check.Outcome
		mention                         string
	}{
		{"no certificate is required", require + "NONE", require + pinned, "mtls-09", alice, check.Fail, "the certificate of another client"},
		{"TLS is enough", require + "SSL", require + pinned, "mtls-09", alice, check.Fail, "the certificate of another client"},
		{"any certificate will do", require + "X509", require + pinned, "mtls-09", alice, check.Fail, "the certificate of another client"},
		{"any of the CA", require + "ISSUER '/CN=confidb-ca'", require + pinned, "mtls-09", alice, check.Fail, "the certificate of another client"},
		{"that of another", require + "SUBJECT '/CN=confidb-verify'", require + pinned, "mtls-09", alice, check.Fail, "the certificate of another client"},
		{"another password", "ALTER USER alice@'%' IDENTIFIED BY 'x'", fmt.Sprintf("ALTER USER alice@'%%' IDENTIFIED BY PASSWORD '%s'", string(hash)), "mtls-09", alice, check.Skip, "another password"},
		{"locked", "ALTER USER alice@'%' ACCOUNT LOCK", "ALTER USER alice@'%' ACCOUNT UNLOCK", "mtls-09", alice, check.Skip, "is locked"},
		{"expired", "ALTER USER alice@'%' PASSWORD EXPIRE", fmt.Sprintf("ALTER USER alice@'%%' IDENTIFIED BY PASSWORD '%s'", string(hash)), "mtls-09", alice, check.Skip, "in another way"},
		{"a second of the name", "CREATE USER alice@'127.0.0.1' IDENTIFIED BY 'x'", "DROP USER alice@'127.0.0.1'", "mtls-09", alice, check.Skip, "may take its place"},
		{"unlocked", "ALTER USER bob@'%' ACCOUNT UNLOCK", lock, "acc-05", bob, check.Skip, "is not locked"},
		{"with its former password", "ALTER USER bob@'%' IDENTIFIED BY PASSWORD '" + former + "'", lock, "acc-05", bob, check.Skip, "has a password"},
		{"as it was before", "ALTER USER bob@'%' IDENTIFIED BY PASSWORD '" + former + "' ACCOUNT UNLOCK", lock, "acc-05", bob, check.Skip, "is not locked"},
		{"open to each client", "ALTER USER bob@'%' IDENTIFIED BY PASSWORD '" + former + "' REQUIRE X509 ACCOUNT UNLOCK", lock, "acc-05", bob, check.Fail, "logged in"},
		{"dropped", "DROP USER alice@'%'", "", "mtls-09", alice, check.Skip, "not in the server's memory"},
		{"the locked one dropped", "DROP USER bob@'%'", "", "acc-05", bob, check.Skip, "not in the server's memory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			execute(t, c.change)
			report := observe(t, target)
			wantAbout(t, report, c.id, c.account, c.want, c.mention)
			wantOutcome(t, report, "acc-04", check.Fail, "")
			wantAbout(t, report, "mtls-09", app, check.Pass, "")
			if c.undo != "" {
				execute(t, c.undo)
				clean := observe(t, target)
				wantAbout(t, clean, c.id, c.account, check.Pass, "")
				wantOutcome(t, clean, "acc-04", check.Pass, "")
			}
		})
	}
}

// TestATrialCostsAnAccountNothing: its own client still gets in, whose account may connect
// once an hour, where one wrong password blocks it.
func TestATrialCostsAnAccountNothing(t *testing.T) {
	fresh(t)
	give(t, admitted(twoAccounts, "web"))
	execute(t, "SET GLOBAL max_password_errors = 1", "SET GLOBAL max_connect_errors = 1")
	for range 3 {
		wantAbout(t, observe(t, goodTarget()), "mtls-09", alice, check.Pass, "")
	}
	if got := try(t, "alice", "confidb-account-alice"); got.Stage != mysql.LoggedIn {
		t.Errorf("after three verifications: %v", got.Err)
	}
	if got := try(t, "alice", "confidb-account-alice"); got.Stage == mysql.LoggedIn {
		t.Error("the account's limit does not count: the test tests nothing")
	}
}

// TestAClientIsSentAway: what it has kept opens its account no longer, and no other.
func TestAClientIsSentAway(t *testing.T) {
	fresh(t)
	give(t, admitted(twoAccounts, "web", "batch"))
	if got := try(t, "bob", "confidb-account-bob"); got.Stage != mysql.LoggedIn {
		t.Fatalf("a client that is admitted: %v", got.Err)
	}
	if report := observe(t, goodTarget()); about(t, report, "mtls-09", bob).Outcome != check.Pass || about(t, report, "acc-05", "").Outcome != check.Pass {
		t.Errorf("got %+v", report)
	}
	give(t, admitted(twoAccounts, "web"))
	for _, account := range []string{"bob", "alice"} {
		if got := try(t, account, "confidb-account-bob"); !got.Denied() {
			t.Errorf("the certificate of a client that was sent away, as %s: got %v, want that it is denied", account, got.Err)
		}
	}
	wantAbout(t, observe(t, goodTarget()), "acc-05", bob, check.Pass, "it is locked and has no password")
}

// TestOtherCertificatesAreAccepted: a CA more, and a clock that is behind, open every
// account.
func TestOtherCertificatesAreAccepted(t *testing.T) {
	foreign := must[*mariadbtest.Authority](t)(mariadbtest.NewAuthority("confidb-ca"))
	shared := server
	server = weakServer(t, "", foreign)
	t.Cleanup(func() { server = shared })
	accepted := must[tls.Certificate](t)(foreign.Client("confidb-app"))
	tried := impostors(t)
	tried.Foreigners = map[string]*tls.Certificate{"/CN=confidb-app": &accepted}
	wantAbout(t, mariadb.Observe(t.Context(), goodTarget(), tried).Report(), "mtls-07", app, check.Fail, "logged in")

	target := goodTarget()
	target.Now = func() time.Time { return time.Now().Add(20 * time.Minute) }
	wantAbout(t, mariadb.Observe(t.Context(), target, impostorsOf(t, server, time.Now().Add(10*time.Minute))).Report(), "mtls-08", app, check.Fail, "accepted the certificate")
}

// TestWithoutAPassword: nothing but TLS is shown of an account whose password nobody gives.
func TestWithoutAPassword(t *testing.T) {
	target := goodTarget()
	target.Passwords = nil
	report := observe(t, target)
	wantAbout(t, report, "mtls-07", app, check.Pass, "")
	wantAbout(t, report, "mtls-08", app, check.Pass, "")
	wantAbout(t, report, "mtls-09", app, check.Skip, "the password of the account is not known")
}

// TestAClientWithASecretOfItsOwn: of one that is outside of enclaves, nobody else knows the
// password. What TLS refuses is tried.
func TestAClientWithASecretOfItsOwn(t *testing.T) {
	target := goodTarget()
	promised := *target.Promise
	const self = "/CN=confidb-outside-x"
	for _, secret := range []string{"", "SCONE::x_password:hex"} {
		promised.Accounts = append(slices.Clone(target.Promise.Accounts), promise.Account{Name: promise.Name{User: "x", Host: "%"},
			Methods: []promise.Method{{Plugin: promise.NativePlugin, Given: true, Secret: secret}}, Require: promise.Require{Level: "SPECIFIED", Subject: self, Issuer: self}})
		of := goodTarget()
		of.Promise = &promised
		report := observe(t, of)
		wantAbout(t, report, "mtls-07", `"x"@"%"`, check.Pass, "")
		wantAbout(t, report, "mtls-08", `"x"@"%"`, check.Pass, "")
		asked := slices.ContainsFunc(report, func(f check.Finding) bool {
			return f.ID == "mtls-09" && f.Subject == `"x"@"%"` && f.Outcome == check.Skip
		})
		if asked != (secret != "") {
			t.Errorf("with the secret %q: the certificate of another client is tried, or left open: %v", secret, asked)
		}
	}
}

// TestGuestsWithoutAPromise: which accounts there should be is not known.
func TestGuestsWithoutAPromise(t *testing.T) {
	for _, p := range []*promise.Promise{nil, {Unclear: []string{"x"}}} {
		target := goodTarget()
		target.Promise = p
		report := observe(t, target)
		for _, id := range []string{"mtls-07", "mtls-08", "mtls-09", "acc-05"} {
			wantOutcome(t, report, id, check.Skip, "")
		}
	}
}

// TestEachAccountOfADocumentRefuses: whatever its name is.
func TestEachAccountOfADocumentRefuses(t *testing.T) {
	fresh(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := invented{rand.New(rand.NewPCG(seed, 1))}
	locked, open := 0, 0
	for range 8 {
		text := random.draft().text()
		document, err := accounts.Parse("accounts", []byte(text))
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		var clients []string
		for _, name := range document.Clients() {
			if random.IntN(3) > 0 {
				clients = append(clients, name)
			}
		}
		give(t, admitted(text, clients...))
		report := observe(t, goodTarget())
		for _, a := range document.Accounts {
			account := check.Said(promise.Name{User: a.Name, Host: "%"}.String())
			ids := []string{"mtls-07", "mtls-08", "mtls-09"}
			if open++; !slices.Contains(clients, a.Client) {
				open, locked, ids = open-1, locked+1, []string{"acc-05"}
			}
			for _, id := range ids {
				wantAbout(t, report, id, account, check.Pass, "")
			}
		}
	}
	if locked == 0 || open == 0 {
		t.Errorf("%d accounts were locked, and %d were not: the test tests nothing", locked, open)
	}
}

// TestARelayBeforeGuests: what is in between makes no trial pass.
func TestARelayBeforeGuests(t *testing.T) {
	fresh(t)
	give(t, admitted(twoAccounts, "web"))
	few := []string{"alert 48 for ClientHello", "alert in clear", "denied later", "denied for ClientHello", "another challenge", "one bit of the request", "one bit of the greeting", "greeting of another connection", "one bit of the client", "cut", "reset"}
	testKinds(t, goodTarget(), impostors(t), few, 12)
	execute(t, "ALTER USER alice@'%' REQUIRE X509", "ALTER USER bob@'%' IDENTIFIED BY '"+mariadbtest.Password+"' REQUIRE X509 ACCOUNT UNLOCK")
	testKinds(t, goodTarget(), impostors(t), few, 12)
}

// accountsOf are so many accounts of one client.
func manyAccounts(n int) string {
	text := "kind: confidb.accounts/v1\ndatabases: [{name: shop}]\naccounts:\n"
	for i := range n {
		text += fmt.Sprintf("  - {name: user%d, client: web%d, privileges: [{database: shop, grant: [SELECT]}]}\n", i, i)
	}
	return text
}

// TestTwentyClients: each of twenty is tried as one is; how long that takes is told.
func TestTwentyClients(t *testing.T) {
	fresh(t)
	took := map[int]time.Duration{}
	for _, n := range []int{1, 20} {
		var clients []string
		for i := range n {
			clients = append(clients, fmt.Sprintf("web%d", i))
		}
		give(t, admitted(manyAccounts(n), clients...))
		for range 5 {
			began := time.Now()
			report := observe(t, goodTarget())
			if spent := time.Since(began); took[n] == 0 || spent < took[n] {
				took[n] = spent
			}
			wantAbout(t, report, "mtls-09", fmt.Sprintf(`"user%d"@"%%"`, n-1), check.Pass, "")
		}
	}
	t.Logf("one client %v, twenty %v", took[1], took[20]) // TestTwentyAccounts counts
}
