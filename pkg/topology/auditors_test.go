package topology_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// auditorPEM is a certificate, made with openssl req -x509 -newkey ec.
const auditorPEM = `-----BEGIN CERTIFICATE-----
MIIBdzCCAR2gAwIBAgIBATAKBggqhkjOPQQDAjAXMRUwEwYDVQQDDAxjb25maWRi
IHVzZXIwHhcNMjYwMTAxMDAwMDAwWhcNNDYwMTAxMDAwMDAwWjAXMRUwEwYDVQQD
-----END CERTIFICATE-----
`

func planWith(t *testing.T, change func(*topology.Plan)) (*topology.Release, error) {
	t.Helper()
	id, err := attest.ParsePlatformID("INTEL_QE_ID:00112233445566778899aabbccddeeff")
	if err != nil {
		t.Fatal(err)
	}
	plan := topology.Plan{
		Name: "db1", Namespace: "shop", CASAddress: "cas", Platforms: []attest.PlatformID{id}, BootstrapSQL: systemTables(),
		Enclaves: map[string][]sgx.Measurement{topology.EnclaveServer: {{1}}, topology.EnclaveClient: {{2}}, topology.EnclaveProbe: {{3}}},
	}
	change(&plan)
	return topology.Prepare(plan, nil)
}

// TestAuditorsMayReadAndNothingElse: they are added to the readers of each session, and no
// other list has them.
func TestAuditorsMayReadAndNothingElse(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	certificate := madeCertificate(t)
	r, err := planWith(t, func(p *topology.Plan) { p.Auditors = []string{hash, certificate} })
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range r.Members {
		s, err := session.Parse(m.Session.Name, []byte(m.Session.Text))
		if err != nil {
			t.Fatal(err)
		}
		read := s.AccessPolicy.Read
		if len(read) != 3 || read[0].Kind != session.AccessCreator || read[1].Text != hash || read[2].Kind != session.AccessCertificate || read[2].Text != certificate && read[2].Text+"\n" != certificate {
			t.Errorf("%s: got the readers %+v", m.Session.Name, read)
		}
		for _, others := range [][]session.AccessRule{s.AccessPolicy.Update, s.AccessPolicy.CreateSessions} {
			for _, o := range others {
				if o.Kind != session.AccessCreator {
					t.Errorf("%s: %v may do more than read", m.Session.Name, o)
				}
			}
		}
	}
	if len(r.Auditors) != 2 {
		t.Errorf("got the record %v", r.Auditors)
	}
}

func TestAuditorsOfAnotherTemplate(t *testing.T) {
	database, err := topology.Template("database")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"other readers": {"  read:\n    - CREATOR\n", "  read: [CREATOR, NONE]\n"},
		"no readers":    {"  read:\n    - CREATOR\n", ""},
	} {
		text := strings.Replace(string(database), change[0], change[1], 1)
		_, err := planWith(t, func(p *topology.Plan) {
			p.Auditors, p.Templates = []string{strings.Repeat("ab", 32)}, map[string]string{"database": text}
		})
		if name == "other readers" && err != nil && !errors.As(err, new(*topology.AuditorsError)) {
			continue // the language refuses NONE beside others
		}
		var wrong *topology.AuditorsError
		if !errors.As(err, &wrong) || wrong.Hint() == "" {
			t.Errorf("%s: got %v, want an AuditorsError", name, err)
		}
	}
}

func TestParseAuditor(t *testing.T) {
	certificate := madeCertificate(t)
	for text, want := range map[string]string{
		strings.Repeat("AB", 32):                                  strings.Repeat("ab", 32),
		strings.TrimSuffix(strings.Repeat("ab:", 32), ":") + "\n": strings.Repeat("ab", 32),
		certificate:                       certificate,
		"# fingerprint x\n" + certificate: certificate,
	} {
		if got, err := topology.ParseAuditor(text); err != nil || got != want {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "ANY", "CREATOR", strings.Repeat("a", 63), certificate + certificate, auditorPEM, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if got, err := topology.ParseAuditor(text); err == nil {
			t.Errorf("%.40q: got %q", text, got)
		}
	}
}

func madeCertificate(t *testing.T) string {
	t.Helper()
	issuer, err := sgxmint.NewIssuer("auditor", nil, false, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return string(issuer.PEM())
}
