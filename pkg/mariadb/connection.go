package mariadb

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mysql"
)

// Alerts of TLS (RFC 8446, section 6.2) with which a server refuses.
const (
	alertHandshakeFailure       = tls.AlertError(40)
	alertBadCertificate         = tls.AlertError(42)
	alertUnsupportedCertificate = tls.AlertError(43)
	alertCertificateExpired     = tls.AlertError(45)
	alertCertificateUnknown     = tls.AlertError(46)
	alertUnknownCA              = tls.AlertError(48)
	alertDecryptError           = tls.AlertError(51)
	alertProtocolVersion        = tls.AlertError(70)
	alertInsufficientSecurity   = tls.AlertError(71)
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
	if errors.Is(o.login.Err, mysql.ErrNoTLS) {
		return failed("no TLS offered", "TLS", "")
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

func decideOldTLS(o *Observation) conclusion {
	if reason := o.withoutControl(); reason != "" {
		return skipped(reason)
	}
	for _, tried := range o.trials.old {
		if tried.TLS != nil {
			return failed(tried.name+" accepted", "an alert", "")
		}
	}
	for _, tried := range o.trials.old {
		alert, ok := tried.Alert()
		if !ok || !slices.Contains([]tls.AlertError{alertProtocolVersion, alertHandshakeFailure, alertInsufficientSecurity}, alert) {
			return skipped(fmt.Sprintf("%s: want an alert on the version or cipher, got: %v", tried.name, tried.Err))
		}
	}
	return passed(fmt.Sprintf("%d offers refused by an alert", len(o.trials.old)))
}

// withoutControl says why refusals prove nothing: a server that refuses the
// asker itself refuses everyone. It is empty if the asker got in.
func (o *Observation) withoutControl() string {
	if o.login.Stage != mysql.LoggedIn {
		return fmt.Sprintf("a refusal proves nothing while the attested client itself is refused: %v", o.login.Err)
	}
	return ""
}

// decideSameConnection compares what both ends know of the connection.
func decideSameConnection(o *Observation) conclusion {
	if o.login.TLS == nil || o.login.Greeting == nil {
		return unproven(o.login.Err)
	}
	if err := errors.Join(o.answers.session.err, o.answers.status.err); err != nil {
		return unproven(err)
	}
	status := o.answers.status.value
	expiry, err := time.Parse("Jan _2 15:04:05 2006 MST", status["Ssl_server_not_after"])
	if err != nil {
		return skipped(fmt.Sprintf("the server does not say when its certificate expires: %q", status["Ssl_server_not_after"]))
	}
	client := fmt.Sprintf("connection %d, %s, certificate until %s", o.login.Greeting.ConnectionID,
		opensslName(o.login.TLS.CipherSuite), o.login.TLS.PeerCertificates[0].NotAfter.UTC().Format(time.RFC3339))
	server := fmt.Sprintf("connection %d, %s, certificate until %s", o.answers.session.value.connectionID,
		status["Ssl_cipher"], expiry.UTC().Format(time.RFC3339))
	if client != server {
		return failed(server, client, "the server (got) describes another connection than the client (want)")
	}
	return passed(client)
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

func decideImpostors(o *Observation) conclusion {
	all := slices.Concat(
		o.judge(o.trials.foreign, alertUnknownCA, alertBadCertificate, alertCertificateUnknown, alertDecryptError),
		o.judge(o.trials.expired, alertCertificateExpired, alertBadCertificate, alertCertificateUnknown),
		o.judge(o.trials.wrongRole, alertUnsupportedCertificate, alertBadCertificate, alertCertificateUnknown))
	return o.worst(all)
}

func decideWithoutCertificate(o *Observation) conclusion {
	return o.worst(o.judge(o.trials.withoutCertificate, alertCertificateRequired))
}

func decideStranger(o *Observation) conclusion { return o.worst(o.judge(o.trials.stranger)) }

// judge decides on trials that must be refused by one of alerts; where a missing
// or another subject's certificate is tried, access denied (1045) does as well.
func (o *Observation) judge(tried []trial, alerts ...tls.AlertError) []conclusion {
	var judged []conclusion
	for _, t := range tried {
		judged = append(judged, o.judgeOne(t, alerts))
	}
	return judged
}

func (o *Observation) judgeOne(t trial, alerts []tls.AlertError) conclusion {
	what := t.name + " with " + tls.VersionName(t.version)
	deniedWillDo := len(alerts) == 0 || alerts[0] == alertCertificateRequired
	alert, alerted := t.Alert()
	switch {
	case t.absent:
		return skipped(what + ": there is no such certificate to try with")
	case t.Stage == mysql.LoggedIn:
		return failed(what+": logged in", "a refusal", "")
	case t.Denied() && !deniedWillDo:
		return failed(what+": TLS accepted the certificate", "a TLS alert on the certificate", "only the login was refused")
	case alerted && alert == alertProtocolVersion && o.unspoken(t.version):
		return passed(what + ": this version is not spoken")
	case !o.admits(t.version):
		return skipped(what + ": a refusal proves nothing, the attested client's own certificate is refused with this version")
	case t.Denied(), alerted && slices.Contains(alerts, alert):
		return passed(what + ": " + t.Err.Error())
	}
	return skipped(fmt.Sprintf("%s: want a refusal that names the certificate, got: %v", what, t.Err))
}

// admits reports whether the asker's own certificate is let in with this version.
func (o *Observation) admits(version uint16) bool {
	return slices.ContainsFunc(o.trials.controls, func(t trial) bool { return t.version == version && t.Stage == mysql.LoggedIn })
}

// unspoken reports whether the server refuses this version even to the asker.
func (o *Observation) unspoken(version uint16) bool {
	return slices.ContainsFunc(o.trials.controls, func(t trial) bool {
		alert, ok := t.Alert()
		return t.version == version && ok && alert == alertProtocolVersion
	})
}

// worst is a failure if there is one, else a skip, else a pass.
func (o *Observation) worst(all []conclusion) conclusion {
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
	return passed(fmt.Sprintf("%d tries, %d refused", len(all), len(all)))
}

func decidePlain(o *Observation) conclusion {
	if o.trials.plain.Stage == mysql.LoggedIn {
		return failed("logged in in clear", "a refusal", "")
	}
	setting := o.compare([]setting{{"require_secure_transport", "ON"}})
	if setting.outcome != check.Pass {
		return setting
	}
	if origin := o.origins([]string{"require_secure_transport"}, originConfig); origin.outcome != check.Pass {
		return origin
	}
	if reason := o.withoutControl(); reason != "" {
		return skipped(reason)
	}
	if !o.trials.plain.Denied() {
		return skipped(fmt.Sprintf("want ERROR 1045 for a login in clear, got: %v", o.trials.plain.Err))
	}
	return passed(o.trials.plain.Err.Error())
}
