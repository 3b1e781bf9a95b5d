package mariadb

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mysql"
)

// Alerts of TLS (RFC 8446, section 6.2) with which a server refuses.
const (
	alertBadCertificate         = tls.AlertError(42)
	alertUnsupportedCertificate = tls.AlertError(43)
	alertCertificateExpired     = tls.AlertError(45)
	alertCertificateUnknown     = tls.AlertError(46)
	alertUnknownCA              = tls.AlertError(48)
	alertDecryptError           = tls.AlertError(51)
	alertCertificateRequired    = tls.AlertError(116)
)

// connectionQuestions are those that are decided by trying.
func connectionQuestions() []question {
	return []question{
		{"tls-01", "the server's certificate is of the session's CA, names the database and is valid now",
			"Connect to the database of this session, and let CAS issue its certificate for this name.", decideChain},
		{"tls-02", "the CA that verified the server has the public key that CAS gave",
			"Let CAS issue the server's certificate; something else presented one.", decideCAKey},
		{"tls-03", "the server refuses TLS 1.0, TLS 1.1 and weak ciphers",
			"Set tls_version = TLSv1.2,TLSv1.3 and an ssl_cipher without CBC in the session's my.cnf.", decideOldTLS},
		{"tls-05", "client and server see the same connection: nothing in between ends TLS",
			"Remove what ends TLS between client and database.", decideSameConnection},
		{"mtls-01", "certificates of a foreign CA, expired ones and ones for servers are refused by TLS",
			"Set ssl_ca to the session's CA, and to nothing else, in the session's my.cnf.", decideImpostors},
		{"mtls-02", "nobody logs in without a client certificate",
			"Add REQUIRE SUBJECT ... AND ISSUER ... to the account.", decideWithoutCertificate},
		{"mtls-06", "a certificate of the session's CA with another subject is no way in",
			"Add REQUIRE SUBJECT ... AND ISSUER ... to the account.", decideStranger},
		{"net-01", "logins in clear are refused, and the configuration file says so",
			"Set require_secure_transport = ON in the session's my.cnf and restart the database.", decidePlain},
	}
}

func decideChain(o *Observation) conclusion {
	if o.login.TLS != nil {
		return passed("leaf " + o.login.TLS.PeerCertificates[0].Subject.String())
	}
	if refused, ok := errors.AsType[*tls.CertificateVerificationError](o.login.Err); ok {
		return failed(refused.Err.Error(), "a certificate of the session's CA for "+o.target.ServerName, "")
	}
	return unproven(o.login.Err)
}

func decideCAKey(o *Observation) conclusion {
	if o.login.TLS == nil {
		return decideForeignCA(o)
	}
	for _, chain := range o.login.TLS.VerifiedChains {
		if root := chain[len(chain)-1]; bytes.Equal(root.RawSubjectPublicKeyInfo, o.target.CA.RawSubjectPublicKeyInfo) {
			return passed("")
		}
	}
	return failed("another public key", "the public key of "+o.target.CA.Subject.String(), "")
}

// decideForeignCA tells a certificate of another CA from one that is refused for
// another reason.
func decideForeignCA(o *Observation) conclusion {
	refused, ok := errors.AsType[*tls.CertificateVerificationError](o.login.Err)
	if !ok || len(refused.UnverifiedCertificates) == 0 {
		return unproven(o.login.Err)
	}
	leaf := refused.UnverifiedCertificates[0]
	if err := leaf.CheckSignatureFrom(o.target.CA); err != nil {
		return failed("a certificate that "+leaf.Issuer.String()+" issued", "one that the CA of CAS signed", err.Error())
	}
	return skipped("the handshake did not end: " + o.login.Err.Error())
}

// decideOldTLS rests on what the server says of its own settings, over TLS with the
// verified server: a refusal of a version or cipher comes before any key, so whoever is
// in between can write it. Trials only accuse.
func decideOldTLS(o *Observation) conclusion {
	for _, tried := range o.trials.old {
		if tried.TLS != nil {
			return failed(tried.name+" accepted", "a refusal", "")
		}
	}
	if reason := o.withoutSettings(); reason != "" {
		return skipped(reason)
	}
	versions, err := o.value("tls_version")
	if err != nil {
		return unproven(err)
	}
	ciphers, err := o.value("ssl_cipher")
	if err != nil {
		return unproven(err)
	}
	for _, version := range strings.Split(versions, ",") {
		if !slices.Contains([]string{"TLSv1.2", "TLSv1.3"}, strings.TrimSpace(version)) {
			return failed("tls_version="+versions, "TLSv1.2, TLSv1.3 or both", "")
		}
	}
	return judgeCiphers(ciphers, fmt.Sprintf("tls_version=%s and ssl_cipher of the server, which accepted none of %d old offers", versions, len(o.trials.old)))
}

// judgeCiphers judges a list of OpenSSL's: every name in it must be that of a suite with
// forward secrecy and authenticated encryption. What excludes, orders or forbids short keys
// does no harm. What stands for other suites is not understood.
func judgeCiphers(list, reason string) conclusion {
	const want = "suites with ECDHE or DHE, and GCM, CCM or CHACHA20, by name"
	strong := strongCiphers()
	var good, weak, unknown []string
	names := strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(":, ", r) })
	for _, name := range names {
		switch {
		case strong.MatchString(name):
			good = append(good, name)
		case strings.HasPrefix(name, "!"), strings.HasPrefix(name, "-"), name == "@STRENGTH", name == "@SECLEVEL=1", name == "@SECLEVEL=2", name == "@SECLEVEL=3":
		case strings.Contains(name, "-"), strings.Contains(name, "_"):
			weak = append(weak, name)
		default:
			unknown = append(unknown, name)
		}
	}
	switch {
	case len(weak) > 0:
		return failed("ssl_cipher with "+briefly(weak), want, "")
	case len(unknown) > 0:
		return skipped("ssl_cipher names no suite with " + briefly(unknown) + ": want " + want)
	case len(good) == 0:
		return failed("ssl_cipher names no suite: whatever the TLS library likes", want, "")
	}
	return passed(reason)
}

// strongCiphers matches OpenSSL's names of suites with forward secrecy and authenticated
// encryption (openssl-ciphers(1)).
func strongCiphers() *regexp.Regexp {
	return regexp.MustCompile(`^(TLS_(AES_(128|256)_GCM|AES_128_CCM|CHACHA20_POLY1305)_SHA(256|384)` +
		`|(ECDHE|DHE)-((ECDSA|RSA)-)?((AES|ARIA)(128|256)-(GCM-SHA(256|384)|CCM8?)|CHACHA20-POLY1305)` +
		`|(ECDHE|EECDH|DHE|EDH)\+(AESGCM|AESCCM|CHACHA20))$`)
}

// value is what the server says of one of its settings.
func (o *Observation) value(name string) (string, error) {
	if err := o.answers.Variables.Err; err != nil {
		return "", err
	}
	found, known := o.answers.Variables.Value[name]
	if !known {
		return "", fmt.Errorf("not supported by this version of the server: %s", name)
	}
	return found.Value, nil
}

// withoutControl says why refusals prove nothing: a server that refuses the
// asker itself refuses everyone. It is empty if the asker got in.
func (o *Observation) withoutControl() string {
	if o.login.Stage != mysql.LoggedIn {
		return fmt.Sprintf("a refusal proves nothing while the attested client itself is refused: %v", o.login.Err)
	}
	return ""
}

// withoutSettings says why what the server says of its settings says nothing about the
// connections that it takes: somebody else may take them.
func (o *Observation) withoutSettings() string {
	if reason := o.withoutControl(); reason != "" {
		return reason
	}
	if same := decideSameConnection(o); same.outcome != check.Pass {
		return "the settings may not be those of what ends TLS: " + cmp.Or(same.reason, same.got)
	}
	return ""
}

// decideSameConnection compares what both ends know of the connection. The number in
// the greeting is in clear: if nothing but that differs, somebody may have written it.
func decideSameConnection(o *Observation) conclusion {
	if o.login.TLS == nil || o.login.Greeting == nil {
		return unproven(o.login.Err)
	}
	if err := errors.Join(o.answers.Session.Err, o.answers.Status.Err); err != nil {
		return unproven(err)
	}
	status := o.answers.Status.Value
	expiry, err := time.Parse("Jan _2 15:04:05 2006 MST", status["Ssl_server_not_after"])
	if err != nil {
		return skipped(fmt.Sprintf("the server does not say when its certificate expires: %q", status["Ssl_server_not_after"]))
	}
	client := fmt.Sprintf("%s, certificate until %s", opensslName(o.login.TLS.CipherSuite),
		o.login.TLS.PeerCertificates[0].NotAfter.UTC().Format(time.RFC3339))
	server := fmt.Sprintf("%s, certificate until %s", status["Ssl_cipher"], expiry.UTC().Format(time.RFC3339))
	greeted, asked := o.ConnectionIDs()
	switch {
	case client != server:
		return failed(server, client, "the server (got) describes another connection than the client (want)")
	case greeted != asked:
		return skipped(fmt.Sprintf("the greeting, which is in clear, is of connection %d, and the server speaks of connection %d", greeted, asked))
	}
	return passed(fmt.Sprintf("connection %d, %s", asked, client))
}

// opensslName is OpenSSL's name of a cipher suite: that of TLS 1.3 is the IANA
// name, the ones before are shorter.
func opensslName(suite uint16) string {
	name := tls.CipherSuiteName(suite)
	if !strings.Contains(name, "_WITH_") {
		return name
	}
	name = strings.NewReplacer("_WITH_", "-", "AES_128", "AES128", "AES_256", "AES256", "POLY1305_SHA256", "POLY1305").Replace(name)
	return strings.ReplaceAll(strings.TrimPrefix(name, "TLS_"), "_", "-")
}

// decideImpostors judges what TLS itself must refuse. In TLS 1.2 that happens in clear,
// where anybody can have written it, so a pass rests on TLS 1.3; TLS 1.2 only accuses.
func decideImpostors(o *Observation) conclusion { return o.judgeByTLS(o.trials.impostors) }

// judgeByTLS judges trials that TLS itself must refuse.
func (o *Observation) judgeByTLS(tried []trial) conclusion {
	var judged []conclusion
	for _, t := range tried {
		c := o.judgeTrial(t, true)
		if c.outcome == check.Fail || t.version == tls.VersionTLS13 {
			judged = append(judged, c)
		}
	}
	return o.worst(judged, "inside TLS 1.3")
}

func decideWithoutCertificate(o *Observation) conclusion {
	return o.judgeLogins(o.trials.withoutCertificate)
}

func decideStranger(o *Observation) conclusion { return o.judgeLogins(o.trials.stranger) }

// judgeLogins judges logins that the server must deny (1045) over TLS, or refuse with
// one of the trial's alerts inside it, with each version that it says it speaks.
func (o *Observation) judgeLogins(tried []trial) conclusion {
	spoken, err := o.value("tls_version")
	var judged []conclusion
	for _, t := range tried {
		c := o.judgeTrial(t, false)
		if c.outcome == check.Fail || err != nil || strings.Contains(spoken, opensslVersion(t.version)) {
			judged = append(judged, c)
		}
	}
	return o.worst(judged, "over TLS with the verified server")
}

// judgeTrial judges one trial. byTLS means that TLS itself must refuse the certificate;
// otherwise a login that is denied over TLS will do.
func (o *Observation) judgeTrial(t trial, byTLS bool) conclusion {
	what := t.what()
	alert, alerted := t.Alert()
	switch {
	case t.absent != "":
		return skipped(what + ": " + t.absent)
	case t.Stage == mysql.LoggedIn:
		return failed(what+": logged in", "a refusal", "")
	case t.Exhausted():
		return failed(what+": the certificate was accepted, and only a limit of the account kept it out", "a refusal", "")
	case byTLS && t.Admitted():
		return failed(what+": TLS accepted the certificate", "a TLS alert on the certificate", "")
	case !o.admits(t.version):
		return skipped(what + ": a refusal proves nothing, the attested client itself is not let in with this version")
	case !o.sameServer(t):
		return skipped(what + ": another certificate of the server answered")
	case !byTLS && t.Denied(), alerted && slices.Contains(t.alerts, alert):
		return passed(what + ": " + t.Err.Error())
	}
	return skipped(fmt.Sprintf("%s: want a refusal over TLS, got: %v", what, t.Err))
}

func (t trial) what() string { return t.name + " with " + tls.VersionName(t.version) }

// opensslVersion is the name of a version in tls_version.
func opensslVersion(version uint16) string {
	return strings.Replace(tls.VersionName(version), "TLS ", "TLSv", 1)
}

// admits reports whether the asker's own certificate is let in with this version.
func (o *Observation) admits(version uint16) bool {
	own := func(a mysql.Attempt) bool {
		return a.Stage == mysql.LoggedIn && a.TLS != nil && a.TLS.Version == version
	}
	return own(o.login) || own(o.trials.control.Attempt)
}

// sameServer reports whether a trial that finished its handshake met the certificate of
// the server that was asked: another one's refusal says nothing about this one.
func (o *Observation) sameServer(t trial) bool {
	return t.TLS == nil || sameLeaf(o.login, t.Attempt)
}

// sameLeaf reports whether two attempts met the same certificate.
func sameLeaf(a, b mysql.Attempt) bool {
	return a.TLS != nil && b.TLS != nil && a.TLS.PeerCertificates[0].Equal(b.TLS.PeerCertificates[0])
}

// worst is a failure if there is one, else a skip, else a pass that says where the
// refusals came.
func (o *Observation) worst(all []conclusion, where string) conclusion {
	for _, c := range all {
		if c.outcome == check.Fail {
			return c
		}
	}
	if reason := o.withoutControl(); reason != "" {
		return skipped(reason)
	}
	for _, c := range all {
		if c.outcome == check.Skip {
			return c
		}
	}
	if len(all) == 0 {
		return skipped("nothing was tried")
	}
	return passed(fmt.Sprintf("%d refused %s", len(all), where))
}

// decidePlain rests on what the server says of its own setting, over TLS. What is said
// in clear proves nothing, neither a refusal nor a welcome: only that something between
// here and the server is not as it should be.
func decidePlain(o *Observation) conclusion {
	setting := o.compare([]setting{{"require_secure_transport", "ON"}})
	if setting.outcome != check.Pass {
		return setting
	}
	if origin := o.origins([]string{"require_secure_transport"}, originConfig); origin.outcome != check.Pass {
		return origin
	}
	if reason := o.withoutSettings(); reason != "" {
		return skipped(reason)
	}
	if o.trials.plain.Stage == mysql.LoggedIn {
		return skipped("something at this address let a login in clear in, with an account that nobody has, though the server demands TLS")
	}
	return passed("require_secure_transport=ON from the configuration file")
}
