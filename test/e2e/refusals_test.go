//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/topology"
)

// forward opens a port-forward for the time of the test and returns its address.
func forward(t *testing.T, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := command(t, ctx, append([]string{"kubectl", "port-forward"}, arguments...)...)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); c.Wait() }) // it was killed
	line, err := bufio.NewReader(out).ReadString('\n')
	found := regexp.MustCompile(`127\.0\.0\.1:[0-9]+`).FindString(line)
	if err != nil || found == "" {
		t.Fatalf("port-forward %v: %q, %v", arguments, line, err)
	}
	return found
}

// identity makes a client certificate of an authority of its own.
func identity(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"cas"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Who is not the attested client does not get in, from wherever he comes.
func TestStrangersAreRefused(t *testing.T) {
	installed(t, "db1")
	if r := sql(t, "db1", "select 1"); r.code != 0 {
		t.Fatalf("the attested client: %v", r)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(databaseCA(t, "db1")) {
		t.Fatal("no CA")
	}
	secured := func(certificates ...tls.Certificate) *tls.Config {
		return &tls.Config{RootCAs: roots, ServerName: "db1-mariadb.default.svc", Certificates: certificates, MinVersion: tls.VersionTLS13}
	}
	for name, c := range map[string]struct {
		login mysql.Login
		alert tls.AlertError // 0: the login is denied
	}{
		"in clear":             {mysql.Login{}, 0}, // anybody in between can say so, too
		"without certificate":  {mysql.Login{TLS: secured()}, 0},
		"of another authority": {mysql.Login{TLS: secured(identity(t, "confidb-app"))}, 48},
	} {
		// a new one for each: kubectl gives up when a peer ends a connection
		c.login.Address, c.login.Account = forward(t, "service/db1-mariadb", ":3306"), "confidb_app"
		c.login.AwaitAlert = c.alert != 0
		attempt := mysql.Try(t.Context(), c.login)
		refusal, denied := errors.AsType[*mysql.ServerError](attempt.Err)
		alert, alerted := attempt.Alert()
		if c.alert == 0 && !(denied && refusal.Code == 1045 && attempt.Denied() == (c.login.TLS != nil)) || c.alert != 0 && (!alerted || alert != c.alert) {
			t.Errorf("%s: stage %d, %v", name, attempt.Stage, attempt.Err)
		}
	}
	// expired, for servers, with another subject: only CAS could issue them, and
	// gives them to the probe alone, to try
	_, report := verify(t, "db1")
	for _, id := range []string{"mtls-01", "mtls-02", "mtls-06", "net-01"} {
		if report.outcome(id) != "pass" {
			t.Errorf("%s: %s", id, report.outcome(id))
		}
	}
}

// databaseCA reads the CA from the attested CAS.
func databaseCA(t *testing.T, release string) []byte {
	t.Helper()
	client := casClient(t)
	session := variable(t, release, "DBSESSION")
	stored, err := client.Session(t.Context(), session)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := client.PublicValue(t.Context(), session, stored.Hash, topology.SecretCA)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(ca)
}

// casClient talks to the lab's CAS as the user who installed the releases.
func casClient(t *testing.T) *cas.Client {
	t.Helper()
	store := record.Store{Dir: filepath.Join(lab, "home")}
	pin, err := store.Pin("cas.scone-system.svc")
	if err != nil {
		t.Fatal(err)
	}
	attested, err := pin.Appraise(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	own, err := store.Identity(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	address := forward(t, "--namespace", "scone-system", "service/cas", ":8081")
	client, err := cas.NewClient(func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", address) }, attested.Anchor, own)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// A database that was admitted to one machine does not start on another.
func TestAnotherPlatformIsRefused(t *testing.T) {
	id := strings.TrimSpace(run(t, confidb("platforms", "-o", `jsonpath={.items[?(@.name=="n2")].platformID}`)...))
	r := install(t, "placed", "--platform", id, "--set", "nodeSelector.kubernetes\\.io/hostname=n3")
	if r.code != 1 || !strings.Contains(r.err, "Platform ") || !strings.Contains(r.err, "not permitted") {
		t.Errorf("on n3: %v", r)
	}
	remove(t, "placed")
	installed(t, "placed2", "--platform", id, "--set", "nodeSelector.kubernetes\\.io/hostname=n2", "--values", filepath.Join(absolute(t, lab), "values.yaml"))
	onlyOutdated(t, "placed2") // the cluster has more machines than the sessions admit
	remove(t, "placed2")
}

// remove uninstalls a release and its volume.
func remove(t *testing.T, release string) {
	t.Helper()
	run(t, "helm", "uninstall", release, "--wait")
	run(t, "kubectl", "delete", "pvc", "-l", "app.kubernetes.io/instance="+release, "--wait=false")
}

// One byte more in mariadbd, and CAS gives it nothing.
func TestChangedProgramIsRefused(t *testing.T) {
	const changed = `[ $0 = mariadbd ] || exec confidb-lab run $0; cp /usr/sbin/mariadbd /run/mysqld/mariadbd; printf x >>/run/mysqld/mariadbd; exec confidb-lab run /run/mysqld/mariadbd`
	r := install(t, "changed", "--set-json", `command=["sh","-c","`+changed+`"]`)
	if r.code != 1 || !strings.Contains(r.err, "Unexpected enclave measurement") {
		t.Fatalf("got %v", r)
	}
	// the same with the program as it was measured
	installed(t, "changed", "--set-json", `command=["sh","-c","`+strings.Replace(changed, "printf x >>/run/mysqld/mariadbd; ", "", 1)+`"]`, "--client-command", "confidb-lab,run")
	remove(t, "changed")
}

// A copy of the volume is of no use under another session.
func TestCopiedVolumeIsUseless(t *testing.T) {
	installed(t, "db1")
	if r := sql(t, "db1", "create table if not exists kept (t text); insert into kept values ('here')"); r.code != 0 {
		t.Fatal(r)
	}
	installed(t, "copy")
	stop := func(release string) {
		run(t, "kubectl", "scale", "statefulset/"+release+"-mariadb", "--replicas=0")
		run(t, "kubectl", "wait", "--for=delete", "pod/"+release+"-mariadb-0", "--timeout=90s")
	}
	stop("copy")
	stop("db1") // so that the copy is a consistent one
	from, to := volume(t, "db1"), volume(t, "copy")
	run(t, "bash", "-c", fmt.Sprintf("rm -rf '%s'/* && cp -a '%s'/. '%s'", to, from, to))
	run(t, "kubectl", "scale", "statefulset/copy-mariadb", "--replicas=1")
	if r := try(t, "kubectl", "wait", "--for=condition=Ready", "pod/copy-mariadb-0", "--timeout=20s"); r.code == 0 {
		t.Errorf("the database runs: %v", r)
	}
	log := try(t, "kubectl", "logs", "copy-mariadb-0", "--container", "init", "--tail", "60")
	if !strings.Contains(log.out, "it belongs to another volume") {
		t.Errorf("the log does not say why: %v", log)
	}
	if code, report := verify(t, "copy"); code == 0 || report.outcome("tls-01") == "pass" {
		t.Errorf("exit %d, tls-01 %s", code, report.outcome("tls-01"))
	}
	run(t, "kubectl", "scale", "statefulset/db1-mariadb", "--replicas=1")
	run(t, "kubectl", "rollout", "status", "statefulset/db1-mariadb", "--timeout=90s")
	if r := sql(t, "db1", "select t from kept limit 1"); r.code != 0 || !strings.Contains(r.out, "here") {
		t.Errorf("the original: %v", r)
	}
	remove(t, "copy")
}

// volume is the folder of this machine that a release's database is on.
func volume(t *testing.T, release string) string {
	t.Helper()
	name := run(t, "kubectl", "get", "pvc", "data-"+release+"-mariadb-0", "-o", "jsonpath={.spec.volumeName}")
	node, number, ok := strings.Cut(name, "-")
	if !ok {
		t.Fatalf("volume of %s: %q", release, name)
	}
	return filepath.Join(absolute(t, lab), "nodes", node, "confidb-lab", "volumes", number)
}

// A CAS that is another enclave is not told anything.
func TestAnotherCASIsRefused(t *testing.T) {
	before := uploads(t)
	r := install(t, "nocas", "--cas-mrenclave", strings.Repeat("ab", 32))
	if r.code != 3 || !strings.Contains(r.err, "cas-enclave-identity") {
		t.Errorf("got %v", r)
	}
	if after := uploads(t); after != before {
		t.Errorf("%d sessions were created", after-before)
	}
}

// uploads counts the sessions that CAS was given, by its log.
func uploads(t testing.TB) int {
	t.Helper()
	log := run(t, "kubectl", "logs", "--namespace", "scone-system", "cas-0")
	return len(regexp.MustCompile(`POST "/session" by [0-9a-f]+: 201`).FindAllString(log, -1))
}

func attestAt(t *testing.T, address string) result {
	t.Helper()
	var flags []string // those that say whom to trust, without those of the installation
	all := labFlags(t)
	for i := 0; i+1 < len(all); i += 2 {
		if all[i] == "--policy" || all[i] == "--collateral" || all[i] == "--sgx-root-ca" {
			flags = append(flags, all[i], all[i+1])
		}
	}
	return try(t, append(confidb("attest", "cas", address, "--accept-simulated"), flags...)...)
}

// A proxy that ends TLS passes on genuine, fresh evidence; it is not the CAS.
// Evidence that answered an earlier nonce is refused as well.
func TestCASBehindAProxyAndReplay(t *testing.T) {
	address := forward(t, "--namespace", "scone-system", "service/cas", ":8081")
	if r := attestAt(t, address); r.code != 0 {
		t.Fatalf("the CAS itself: %v", r)
	}
	target, err := url.Parse("https://" + address)
	if err != nil {
		t.Fatal(err)
	}
	attacker := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = attacker
	if r := attestAt(t, serve(t, proxy)); r.code != 3 || !strings.Contains(r.out, "FAIL cas-tls-peer") {
		t.Errorf("behind a proxy: %v", r)
	}
	response, err := (&http.Client{Transport: attacker}).Get("https://" + address + "/v1/attest?type=DCAP&nonce=00112233445566778899aabbccddeeff")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	old, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	replay := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(old) })
	if r := attestAt(t, serve(t, replay)); r.code != 3 || !strings.Contains(r.out, "FAIL cas-nonce") {
		t.Errorf("replayed evidence: %v", r)
	}
}

func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{identity(t, "cas")}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// A statement of the probe counts only unchanged, for this nonce, and with the key
// of this client session.
func TestForgedStatements(t *testing.T) {
	installed(t, "db1")
	installed(t, "db3")
	other := variable(t, "db3", "DBCLIENT")
	for name, wrapper := range map[string]string{
		"one byte changed": `confidb-lab run "$0" | sed 's/"payload":"e/"payload":"f/'`,
		"another nonce":    `CONFIDB_NONCE=00112233445566778899aabbccddeeff confidb-lab run "$0"`,
		"another key":      `SCONE_CONFIG_ID=` + other + `/probe confidb-lab run "$0"`,
	} {
		t.Run(name, func(t *testing.T) {
			r := install(t, "db1", "--client-command", "sh", "--client-command", "-c", "--client-command", quoteCSV(wrapper))
			if r.code != 3 || !regexp.MustCompile(`FAIL probe-statement`).MatchString(r.out) {
				t.Errorf("got %v", r)
			}
		})
	}
	installed(t, "db1") // and without forgery it is proven
}

// quoteCSV makes one element of a flag that takes lists.
func quoteCSV(text string) string { return `"` + strings.ReplaceAll(text, `"`, `""`) + `"` }

// A session that was changed after the installation is noticed, though whoever
// changed it had the right to.
func TestChangedSessionIsNoticed(t *testing.T) {
	installed(t, "resess")
	if code, _ := verify(t, "resess"); code != 0 {
		t.Fatalf("before: exit %d", code)
	}
	client := casClient(t)
	name := variable(t, "resess", "DBCLIENT")
	stored, err := client.Session(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^creator:.*\n?`).ReplaceAllString(stored.Text, "")
	text = strings.Replace(text, "services:\n", "predecessor: "+stored.Hash+"\nservices:\n", 1)
	text = strings.Replace(text, "MYSQL_HISTFILE: /dev/null", "MYSQL_HISTFILE: /dev/zero", 1)
	if _, err := client.CreateSession(t.Context(), []byte(text)); err != nil {
		t.Fatal(err)
	}
	if code, report := verify(t, "resess"); code != 3 || !slices.Contains(report.failed(), "session-client") {
		t.Errorf("exit %d, failed: %v", code, report.failed())
	}
	if r := install(t, "resess"); r.code != 1 || !strings.Contains(r.err, "was changed in CAS") {
		t.Errorf("install: %v", r)
	}
	remove(t, "resess")
}

// Whoever could change the running database is noticed: here an operator whom the
// session was made to admit.
func TestChangedSettingsAreNoticed(t *testing.T) {
	template := run(t, confidb("session", "template", "database")...)
	weak := regexp.MustCompile(`(?m)GRANT SELECT, INSERT, .* TO 'confidb_app'@'%';`).ReplaceAllString(template, "GRANT ALL PRIVILEGES ON *.* TO 'confidb_app'@'%' WITH GRANT OPTION;")
	if weak == template {
		t.Fatal("the template has another form")
	}
	file := filepath.Join(t.TempDir(), "database.yml")
	if err := os.WriteFile(file, []byte(weak), 0o600); err != nil {
		t.Fatal(err)
	}
	// an account with every right is a finding of its own
	if r := install(t, "insider", "--database-template", file); r.code != 3 || strings.Count(r.out, "\nFAIL ") != 1 || !strings.Contains(r.out, "FAIL acc-03") {
		t.Fatalf("got %v", r)
	}
	for _, c := range []struct {
		name, change, back string
		want               []string
	}{
		{"transport", "SET GLOBAL require_secure_transport=OFF", "SET GLOBAL require_secure_transport=ON", []string{"net-01", "enc-03"}},
		{"tables", "SET GLOBAL innodb_encrypt_tables=OFF", "SET GLOBAL innodb_encrypt_tables='FORCE'", []string{"enc-02", "enc-03"}},
		{"an account", "ALTER USER 'confidb_verify'@'%' REQUIRE NONE", "ALTER USER 'confidb_verify'@'%' REQUIRE SUBJECT '/CN=confidb-verify' AND ISSUER '/CN=confidb-ca'", []string{"mtls-02", "mtls-03", "mtls-04"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := sql(t, "insider", c.change); r.code != 0 {
				t.Fatal(r)
			}
			code, report := verify(t, "insider")
			for _, id := range c.want {
				if code != 3 || !slices.Contains(report.failed(), id) {
					t.Errorf("exit %d: want %s among what failed: %v", code, id, report.failed())
				}
			}
			if r := sql(t, "insider", c.back); r.code != 0 {
				t.Fatal(r)
			}
		})
	}
	// set back, the settings are right and their origin still tells
	if code, report := verify(t, "insider"); code != 3 || !slices.Contains(report.failed(), "enc-03") {
		t.Errorf("after all was set back: exit %d, failed: %v", code, report.failed())
	}
	remove(t, "insider")
}
