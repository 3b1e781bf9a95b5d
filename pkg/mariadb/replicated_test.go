package mariadb_test

import (
	"crypto/rand"
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

// The attested client asks a database of several what it asks a single one, and finds it as
// its session says, but for what is named here.
func TestObserveOneOfSeveral(t *testing.T) {
	cluster := must[*mariadbtest.Replicated](t)(mariadbtest.StartReplicated(1))
	defer cluster.Stop()
	one := cluster.Servers[0]
	if err := one.Exec("SET GLOBAL read_only = 0"); err != nil { // as of a primary
		t.Fatal(err)
	}
	now := time.Now()
	certificate := func(pair tls.Certificate, err error) *tls.Certificate {
		return new(must[tls.Certificate](t)(pair, err))
	}
	foreign := must[*mariadbtest.Authority](t)(mariadbtest.NewAuthority("confidb-ca"))
	tried := mariadb.Impostors{Foreign: certificate(foreign.Client("confidb-verify")), Expired: certificate(cluster.CA.ClientUntil("confidb-verify", now.Add(-time.Minute))),
		WrongRole: certificate(cluster.CA.Server("confidb-verify", "wrong-role.invalid")), Stranger: certificate(cluster.Client("confidb-stranger"))}
	i := cluster.Release.AllInstances(topology.Database)[0]
	report := mariadb.Observe(t.Context(), mariadb.Target{Address: one.Address, ServerName: i.Host, CA: one.CA.Certificate,
		Account: mariadbtest.Account, Password: cluster.Password("verify_password"), Certificate: *certificate(cluster.Client("confidb-verify")),
		Subject: mariadbtest.Subject, Issuer: mariadbtest.Issuer, KeyDirectory: one.KeyDirectory, Now: time.Now, Wait: wait, Random: rand.Reader,
		Promise: one.Promise, Passwords: passwordsOf(t, cluster, i), StartSecret: mariadbtest.StartSecret, Verifier: strings.Repeat("1a", 16)}, tried).Report()
	got := map[string]check.Outcome{}
	for _, f := range report {
		if f.Outcome != check.Pass {
			t.Logf("%s %s %s: got %q, want %q: %s", f.ID, f.Outcome, f.Subject, f.Got, f.Want, f.Reason)
			got[f.ID] = f.Outcome
		}
	}
	want := map[string]check.Outcome{
		"enc-03": check.Fail, "set-01": check.Fail, // the primary is made so by SQL
		"acc-03": check.Fail, // who makes it so has the rights for that
	}
	if diff := cmp.Diff(want, got); diff != "" || len(report) < 45 {
		t.Errorf("of %d findings (-want +got):\n%s", len(report), diff)
	}
	for _, f := range report {
		if f.ID == "set-01" && f.Got != "read_only=OFF from SQL: the session sets it (CONFIG)" {
			t.Errorf("set-01: got %q", f.Got)
		}
	}
}

// passwordsOf are those that the session gives to who asks an instance, as it reads them.
func passwordsOf(t *testing.T, cluster *mariadbtest.Replicated, i topology.Instance) map[string]string {
	t.Helper()
	given := map[string]string{}
	for _, image := range cluster.Session(topology.Client).Images {
		if image.Name != "probe-0" {
			continue
		}
		for _, f := range image.InjectionFiles {
			placeholders, err := session.Placeholders(*f.Content)
			if err != nil {
				t.Fatal(err)
			}
			if name, ok := strings.CutSuffix(f.Path, ".password"); ok && len(placeholders) == 1 {
				secret := strings.TrimPrefix(name, "/run/confidb/") + "_password"
				given["SCONE::"+secret+":hex"] = cluster.Password(secret)
			}
		}
	}
	for _, a := range cluster.Servers[i.Ordinal].Promise.Accounts {
		if m := a.Methods[0]; m.Secret != "" && given[m.Secret] == "" && !a.Locked {
			t.Errorf("who asks does not get the password of %s", promise.Name(a.Name))
		}
	}
	return given
}
