package mariadb

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"slices"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/promise"
)

// guest is what is tried as another account of the session, with its password where that
// is known. Only the certificate is wrong, and in one way each time.
type guest struct {
	name   promise.Name
	locked bool
	// foreign and expired must be refused by TLS, before an account is named. In TLS 1.2
	// that is in clear, so that they are tried with TLS 1.3 only.
	foreign, expired trial
	// others are logins with the asker's own certificate, with each version of TLS.
	others []trial
	// unknown means that the password is not known, and nothing but TLS can be tried.
	unknown bool
}

// each are all that is tried. As a locked account nobody logs in, whatever the certificate.
func (g *guest) each() []*trial {
	var all []*trial
	if !g.locked {
		all = append(all, &g.foreign, &g.expired)
	}
	for i := range g.others {
		all = append(all, &g.others[i])
	}
	return all
}

// guests plans what is tried as each account of the session that is not the asker's own.
func (t Target) guests(impostors Impostors) []guest {
	var all []guest
	for _, a := range t.guestAccounts() {
		as := t
		as.Account, as.Password = a.Name.User, ""
		known := false
		for _, m := range a.Methods {
			if password, given := t.Passwords[m.Secret]; given && m.Secret != "" {
				as.Password, known = password, true
			}
			if m.Unusable { // none is right; that of before is the likeliest that somebody would make right again
				as.Password, known = cmp.Or(t.Former[a.Name], t.Password), true
			}
		}
		all = append(all, as.guest(a, known, impostors))
	}
	return all
}

// guestAccounts are the accounts of the session but the asker's own, in the session's order.
func (t Target) guestAccounts() accounts {
	var all accounts
	if t.Promise == nil || len(t.Promise.Unclear) > 0 {
		return nil
	}
	for _, a := range t.Promise.Accounts {
		if !a.Role && a.Name.User != t.Account {
			all = append(all, a)
		}
	}
	return all
}

// guest plans what is tried as the target's account.
func (t Target) guest(a account, known bool, impostors Impostors) guest {
	foreign, last := impostors.Foreign, len(currentVersions())-1
	if made := impostors.Foreigners[a.Require.Subject]; made != nil {
		foreign = made
	}
	g := guest{name: a.Name, locked: a.Locked, unknown: !known, others: t.trials("the certificate of another client", &t.Certificate)}
	g.foreign = t.trials("a certificate of a foreign CA", foreign, foreignAlerts()...)[last]
	g.expired = t.trials("an expired certificate", impostors.Expired, expiredAlerts()...)[last]
	if impostors.Expired != nil {
		g.expired.until = impostors.Expired.Leaf
	}
	g.foreign.login.AwaitAlert, g.expired.login.AwaitAlert = true, true
	for i := range g.others {
		if !known {
			g.others[i].absent = "the password is not known"
		}
	}
	return g
}

// guestQuestion is one check that is made for each account of the session but the asker's
// own: of those that are locked, or of those that are not.
type guestQuestion struct {
	id, title, hint string
	locked          bool
	byPassword      bool // it can be tried only with the account's password
	decide          func(*Observation, account, guest) conclusion
}

func guestQuestions() []guestQuestion {
	const (
		trusted = "Set ssl_ca to the session's file of it, and to nothing else, in the session's my.cnf."
		pinned  = "Let the account be one of the accounts document, or add REQUIRE SUBJECT ... AND ISSUER ... to it."
		remade  = "Restart the database: it makes the accounts as the session has them. Then find out who changed this one."
	)
	return []guestQuestion{
		{"mtls-07", "a certificate of a foreign CA opens no account", trusted, false, false, decideForeign},
		{"mtls-08", "an expired certificate opens no account", trusted, false, false, decideExpired},
		{"mtls-09", "the certificate of another client opens no account", pinned, false, true, decideOther},
		{"acc-05", "the account of a client that is not admitted lets nobody in", remade, true, false, decideLocked},
	}
}

// guestFindings are those about each account, with the account as their subject. Where
// there is none, that is said once.
func (o *Observation) guestFindings() check.Report {
	var report check.Report
	for _, q := range guestQuestions() {
		some := false
		for _, a := range o.target.guestAccounts() {
			if a.Locked != q.locked {
				continue
			}
			some = true
			if q.byPassword && o.target.secretElsewhere(a) {
				continue
			}
			report = append(report, q.of(o, a))
		}
		if !some {
			report = append(report, finding(q.id, q.title, q.hint, o.withoutGuests()))
		}
	}
	return report
}

// secretElsewhere reports whether an account is for a client that logs in with a certificate
// that it has signed itself, and whose password was made outside of CAS: nobody else can try.
// That there is such a client is a warning of verify's.
func (t Target) secretElsewhere(a account) bool {
	return a.Require.Subject != "" && a.Require.Subject == a.Require.Issuer && !slices.ContainsFunc(a.Methods, func(m promise.Method) bool { return m.Secret != "" })
}

// withoutGuests is what there is to say where no account is to be tried.
func (o *Observation) withoutGuests() conclusion {
	if reason := o.unpromised(); reason != "" {
		return unpromisedHere(reason)
	}
	if reason := o.withoutControl(); reason != "" {
		return skipped(reason)
	}
	return passed("the session has no such account")
}

// of decides about one account.
func (q guestQuestion) of(o *Observation, a account) check.Finding {
	decided := skipped("nothing was tried")
	at := slices.IndexFunc(o.trials.guests, func(g guest) bool { return g.name == a.Name })
	if reason := o.withoutControl(); reason != "" {
		decided = skipped(reason)
	} else if at >= 0 {
		decided = q.decide(o, a, o.trials.guests[at])
	}
	found := finding(q.id, q.title+": "+check.Said(a.Name.String()), q.hint, decided)
	found.Subject = check.Said(a.Name.String())
	return found
}

func decideForeign(o *Observation, _ account, g guest) conclusion {
	return o.worst([]conclusion{o.judgeTrial(g.foreign, true)}, "inside TLS 1.3")
}

func decideExpired(o *Observation, _ account, g guest) conclusion {
	return o.worst([]conclusion{o.judgeTrial(g.expired, true)}, "inside TLS 1.3")
}

// decideOther rests on the password being right: then it is the certificate that was
// refused, as MariaDB looks at it after the password.
func decideOther(o *Observation, a account, g guest) conclusion {
	if g.unknown {
		return withoutPassword()
	}
	tried := o.judgeLogins(g.others)
	if tried.outcome != check.Pass {
		return tried
	}
	if reason := o.otherwiseRefused(a); reason != "" {
		return skipped("it may not be the certificate that was refused: " + reason)
	}
	tried.reason += ", with the right password by the hash in its memory and its tables, so that it is the certificate that was refused"
	return tried
}

// decideLocked demands that the account is locked and that no password is right, beside what
// was tried: the certificate of the former client is nobody's to try with.
func decideLocked(o *Observation, a account, g guest) conclusion {
	if g.unknown {
		return withoutPassword()
	}
	tried := o.judgeLogins(g.others)
	if tried.outcome != check.Pass {
		return tried
	}
	if reason := o.openable(a); reason != "" {
		return skipped("the certificate of its former client was not tried, and " + reason)
	}
	tried.reason += "; it is locked and has no password in the server's memory and tables. The certificate of its former client itself was not tried, as CAS gives it to nobody"
	return tried
}

// openable says what is not there that keeps out a client that was sent away, whatever it has
// kept; empty if nothing is missing.
func (o *Observation) openable(a account) string {
	if err := o.answers.Granted.Err; err != nil {
		return err.Error()
	}
	for at, all := range []accounts{o.answers.Granted.Value.Memory, o.answers.Granted.Value.Tables} {
		where := []string{"memory", "tables"}[at]
		switch got := all.Find(a.Name); {
		case got == nil:
			return "the account is not in the server's " + where
		case !got.Locked:
			return "the account is not locked in the server's " + where
		case len(got.Methods) != 1 || !got.Methods[0].Unusable:
			return "the account has a password, or another way to log in, in the server's " + where
		}
	}
	return ""
}

// otherwiseRefused says for what else than the certificate the server may have refused a
// login as an account; empty if for nothing.
func (o *Observation) otherwiseRefused(a account) string {
	if err := o.answers.Granted.Err; err != nil {
		return err.Error()
	}
	if rival := o.rival(a.Name); rival != "" {
		return rival
	}
	want := o.expected().Find(a.Name)
	for at, all := range []accounts{o.answers.Granted.Value.Memory, o.answers.Granted.Value.Tables} {
		where := []string{"memory", "tables"}[at]
		switch got := all.Find(a.Name); {
		case got == nil:
			return "the account is not in the server's " + where
		case got.Locked:
			return "the account is locked"
		case got.Expiry != want.Expiry || len(got.Methods) != 1 || len(want.Methods) != 1 || got.Methods[0].Plugin != promise.NativePlugin:
			return "the account logs in in another way than promised"
		case want.Methods[0].Stored == "" || got.Methods[0].Stored != want.Methods[0].Stored:
			return "the account has another password in the server's " + where
		}
	}
	return ""
}

// rival says what other account may take a login of this name; empty if none does.
func (o *Observation) rival(name promise.Name) string {
	if name.Host != "%" {
		return fmt.Sprintf("the account is for logins from %q", name.Host)
	}
	for _, a := range o.answers.Granted.Value.Memory {
		if !a.Role && a.Name != name && (a.Name.User == name.User || a.Name.User == "") {
			return fmt.Sprintf("the account %s may take its place", a.Name)
		}
	}
	return ""
}

// withoutPassword means that nobody could try.
func withoutPassword() conclusion {
	return conclusion{reason: "the password of the account is not known to the attested client, so that a refusal proves nothing",
		hint: "Let the session of the database export the password to that of the client, and that inject it as NAME.password, or make the account one of the accounts document."}
}

func foreignAlerts() []tls.AlertError {
	return []tls.AlertError{alertUnknownCA, alertBadCertificate, alertCertificateUnknown, alertDecryptError}
}

func expiredAlerts() []tls.AlertError {
	return []tls.AlertError{alertCertificateExpired, alertBadCertificate, alertCertificateUnknown}
}
