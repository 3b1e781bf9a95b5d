package mariadb

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/masking"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/promise"
)

// Masking is what MaxScale is tried with where it masks. The target's own account meets no
// rule about the canary.
type Masking struct {
	// Rules are those of the user.
	Rules *masking.Rules
	// Masked is the password of the account that meets the canary's rule, and Granted that of
	// the one which has a right on a view alone.
	Masked, Granted string
}

// GrantedAccount may read a view without the columns that are masked, and nothing else. It
// meets no rule about the canary.
const GrantedAccount = "confidb_granted"

// maskingSeen is what became of all ways to read the canary, at one MaxScale.
type maskingSeen struct {
	clear, masked, granted identitySeen
	columns                columnsSeen
}

// identitySeen is what one account got.
type identitySeen struct {
	err    error // why nothing is known
	probes []probeSeen
}

// probeSeen is how a probe ended, in one protocol.
type probeSeen struct {
	masking.Probe
	prepared bool
	told     bool       // the answer has the tell
	rows     [][]string // the values of its rows
	err      error
}

// what names a probe.
func (p probeSeen) what() string {
	if p.prepared {
		return p.Name + " (prepared)"
	}
	return p.Name
}

// tryMasking reads the canary in all ways, as the account with a rule and as the one with
// fewer rights, and in two as the target's own.
func (t Target) tryMasking(ctx context.Context, m Masking) *maskingSeen {
	as := func(account, password string) Target {
		other := t
		other.Account, other.Password = account, password
		return other
	}
	all := masking.Probes(masking.CanaryTable)
	return &maskingSeen{
		clear: t.tryProbes(ctx, masking.CanaryTable, all[:1]), columns: t.askColumns(ctx, m.Rules),
		masked:  as(masking.CanaryAccount, m.Masked).tryProbes(ctx, masking.CanaryTable, all),
		granted: as(GrantedAccount, m.Granted).tryProbes(ctx, masking.CanaryView, append(all, masking.Probes(masking.CanaryView)...)),
	}
}

// tryProbes asks everything in text and prepared, where it can be. The first question is
// whether the account reads the rows at all, from the table that it may.
func (t Target) tryProbes(ctx context.Context, table string, all []masking.Probe) (seen identitySeen) {
	asker := &prober{target: t}
	defer asker.close()
	control := asker.ask(ctx, masking.Probe{Text: "SELECT " + masking.CanaryName + " FROM " + masking.CanaryDatabase + "." + table + " ORDER BY confidb_id", Tell: masking.CanaryFirst, First: true}, false)
	if !control.told {
		seen.err = fmt.Errorf("as %s the rows of the canary are not read: %w", t.Account, orNoRow(control.err))
		return seen
	}
	for _, p := range all {
		if len(p.Parameters) == 0 {
			seen.probes = append(seen.probes, asker.ask(ctx, p, false))
		}
		if !p.TextOnly {
			seen.probes = append(seen.probes, asker.ask(ctx, p, true))
		}
	}
	return seen
}

func orNoRow(err error) error {
	if err == nil {
		return errors.New("the row is another one, or there is none")
	}
	return err
}

// prober asks over one connection, and over a new one after a probe that changed it.
type prober struct {
	target Target
	conn   *mysql.Conn
}

func (a *prober) close() {
	if a.conn != nil {
		a.conn.Close()
		a.conn = nil
	}
}

func (a *prober) ask(ctx context.Context, p masking.Probe, prepared bool) probeSeen {
	seen := probeSeen{Probe: p, prepared: prepared}
	if len(p.Before) > 0 {
		a.close()
		defer a.close()
	}
	if a.conn == nil {
		var attempt mysql.Attempt
		if a.conn, attempt = mysql.Connect(ctx, a.target.login(&a.target.Certificate, tls.VersionTLS12, tls.VersionTLS13)); a.conn == nil {
			seen.err = attempt.Err
			return seen
		}
	}
	var rows *mysql.Rows
	for _, statement := range p.Before {
		if _, seen.err = a.conn.Query(ctx, statement); seen.err != nil {
			return seen
		}
	}
	if prepared {
		rows, seen.err = a.conn.QueryPrepared(ctx, p.Text, p.Parameters...)
	} else {
		rows, seen.err = a.conn.Query(ctx, p.Text)
	}
	if seen.err != nil {
		if refusal, _ := errors.AsType[*mysql.ServerError](seen.err); refusal == nil {
			a.close()
		}
		return seen
	}
	values := make([][]string, len(rows.Values))
	for i, row := range rows.Values {
		for _, v := range row {
			values[i] = append(values[i], v.Text)
		}
	}
	seen.told, seen.rows = p.Told(values), values
	return seen
}

// byFilter reports whether the filter refused (ER_NONEXISTING_GRANT, which is MaxScale's
// choice).
func (p probeSeen) byFilter() bool {
	const code = 1141
	refusal, ok := errors.AsType[*mysql.ServerError](p.err)
	return ok && refusal.Code == code
}

// forbidden reports whether it was refused for a reason that lies in rights (1044, 1142, 1143),
// in the filter (1141), in the view, which has no such column and is no table (1054, 1221,
// 1347), or in the protocol (1295): any other error may be of another moment, and says nothing
// of what the account may do. These are what a server and MaxScale were seen to answer.
func (p probeSeen) forbidden() bool {
	refusal, ok := errors.AsType[*mysql.ServerError](p.err)
	return ok && slices.Contains([]uint16{1044, 1054, 1141, 1142, 1143, 1221, 1295, 1347}, refusal.Code)
}

// maskingQuestions are those about a MaxScale that masks.
func maskingQuestions() []maskingQuestion {
	return []maskingQuestion{
		{"msk-01", "the canary is masked for the account with a rule, and clear for the one without, in text and prepared",
			"Compare MaxScale's configuration and rules with its session: {explain msk-01}.", decideCanary},
		{"msk-02", "the filter masks and refuses what it is known to; which ways around it work is listed",
			"Compare the switches of the filter in MaxScale's configuration with its session: {explain msk-02}.", decideWays},
		{"msk-04", "an account that may read only a view without the masked columns gets at them in none of these ways",
			"Compare the rights of the account with the session of the database: {explain msk-04}.", decideGranted},
		{"msk-05", "each column that a rule names is there, and of a type that is masked",
			"Columns of other types are never masked: take them from the account's rights ({explain msk-05}).", decideColumns},
	}
}

type maskingQuestion struct {
	id, title, hint string
	decide          func(*maskingSeen) conclusion
}

// decideCanary asks for the mask in the place of the value, which the other account sees.
func decideCanary(m *maskingSeen) conclusion {
	if err := cmp.Or(m.masked.err, m.clear.err); err != nil {
		return unproven(err)
	}
	for _, p := range m.masked.probes {
		if p.Promise != masking.Masks {
			continue
		}
		switch {
		case p.told:
			return failed(p.what()+": the value in clear", "the value masked", "MaxScale does not mask for an account that a rule is about")
		case p.err != nil:
			return unproven(fmt.Errorf("%s: %w", p.what(), p.err))
		case len(p.rows) == 0 || slices.ContainsFunc(p.rows, func(row []string) bool { return !slices.Equal(row, []string{masking.CanaryMasked}) }):
			return failed(fmt.Sprintf("%s: %.100q", p.what(), p.rows), masking.CanaryMasked+" in each row", "")
		}
	}
	for _, p := range m.clear.probes {
		switch {
		case p.err != nil:
			return unproven(fmt.Errorf("%s, as an account without a rule: %w", p.what(), p.err))
		case !p.told:
			return failed(p.what()+": no value in clear for an account without a rule", masking.CanaryClear, "that it is masked for others proves nothing then")
		}
	}
	return passed("")
}

// decideWays holds each way against what the filter is known to do about it. A way that is
// closed although it is known to be open is no worse.
func decideWays(m *maskingSeen) conclusion {
	if m.masked.err != nil {
		return unproven(m.masked.err)
	}
	var broken, open, unknown []string
	for _, p := range m.masked.probes {
		switch {
		case p.told && p.Promise == masking.Leaks:
			open = append(open, p.Name)
		case p.told:
			broken = append(broken, p.what()+": the value in clear")
		case p.err != nil && !p.forbidden():
			unknown = append(unknown, p.what()+": "+p.err.Error())
		case p.Promise == masking.Refuses && !p.byFilter():
			broken = append(broken, p.what()+": not refused by the filter")
		}
	}
	switch {
	case len(broken) > 0:
		return noneOf(broken, "masked, or refused by the filter", "")
	case len(unknown) > 0:
		return skipped("not asked to the end: " + briefly(unknown))
	}
	reason := "masking is obfuscation against accidents, not access control. None of the known ways around it works for an account that only reads"
	if open = slices.Compact(open); len(open) > 0 {
		reason = fmt.Sprintf("masking is obfuscation against accidents, not access control. Whoever may read the table gets the value by %d ways: %s", len(open), strings.Join(open, "; "))
	}
	return passed(reason + ". Not asked, as they need rights to make something: " + strings.Join(masking.Unasked(), "; "))
}

// decideGranted asks that no way leads to the value, nor tells of it.
func decideGranted(m *maskingSeen) conclusion {
	if m.granted.err != nil {
		return unproven(m.granted.err)
	}
	var found, unknown []string
	for _, p := range m.granted.probes {
		switch {
		case p.told:
			found = append(found, p.what())
		case p.err != nil && !p.forbidden():
			unknown = append(unknown, p.what()+": "+p.err.Error())
		}
	}
	switch {
	case len(found) > 0:
		return noneOf(found, "nothing of the value", "")
	case len(unknown) > 0:
		return skipped("not asked to the end: " + briefly(unknown))
	}
	return passed(fmt.Sprintf("%d tried: a view without the columns is access control, unlike masking and unlike rights on columns", len(m.granted.probes)))
}

// columnsSeen are the types of the columns that rules name, where they are.
type columnsSeen struct {
	err   error
	rules []ruleSeen
}

// ruleSeen is what a rule hits: the columns with their types.
type ruleSeen struct {
	column       masking.Column
	hit, useless []string
}

// askColumns asks which columns the rules hit.
func (t Target) askColumns(ctx context.Context, rules *masking.Rules) (seen columnsSeen) {
	conn, attempt := mysql.Connect(ctx, t.login(&t.Certificate, tls.VersionTLS12, tls.VersionTLS13))
	if conn == nil {
		return columnsSeen{err: attempt.Err}
	}
	defer conn.Close()
	for _, c := range rules.Columns() {
		where := "COLUMN_NAME = " + text(c.Name) + " AND TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys', 'confidb')"
		for name, value := range map[string]string{"TABLE_SCHEMA": c.Database, "TABLE_NAME": c.Table} {
			if value != "" {
				where += " AND " + name + " = " + text(value)
			}
		}
		rows, err := conn.Query(ctx, "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS WHERE "+where+" LIMIT 1000")
		if err != nil {
			return columnsSeen{err: err}
		}
		one := ruleSeen{column: c}
		for _, row := range rows.Values {
			if len(row) != 4 {
				return columnsSeen{err: errors.New("columns in another form")}
			}
			name := masking.Column{Database: row[0].Text, Table: row[1].Text, Name: row[2].Text}.String()
			if one.hit = append(one.hit, name); !masking.Maskable(row[3].Text) {
				one.useless = append(one.useless, name+" ("+row[3].Text+")")
			}
		}
		seen.rules = append(seen.rules, one)
	}
	return seen
}

// text is a text in SQL, in hexadecimal digits: no sql_mode reads it otherwise.
func text(value string) string { return fmt.Sprintf("CONVERT(x'%x' USING utf8mb4)", value) }

// decideColumns names rules that do nothing. What is not there yet is no failure: tables are
// made later.
func decideColumns(m *maskingSeen) conclusion {
	if m.columns.err != nil {
		return unproven(m.columns.err)
	}
	var missing, useless []string
	hit := 0
	for _, r := range m.columns.rules {
		hit += len(r.hit)
		if len(r.hit) == 0 {
			missing = append(missing, r.column.String())
		}
		useless = append(useless, r.useless...)
	}
	if len(useless) > 0 {
		return noneOf(useless, "CHAR, VARCHAR, BINARY, VARBINARY, a TEXT or BLOB, ENUM or SET", "a rule for a column of another type does nothing, without a word")
	}
	reason := fmt.Sprintf("the rules are about %d columns that are there", hit)
	if len(missing) > 0 {
		reason += "; not there yet, so that the rule masks nothing: " + briefly(missing)
	}
	return passed(reason)
}

// decidePast asks that nobody logs in here as an account that comes through MaxScale, masked
// or not, with another certificate than MaxScale's.
func decidePast(o *Observation) conclusion {
	if reason := o.unpromised(); reason != "" {
		return skipped(reason)
	}
	masked := o.expected().Find(promise.Name{User: masking.CanaryAccount, Host: "%"})
	if masked == nil || masked.Require.Subject == "" {
		return failed("no account "+masking.CanaryAccount+" that demands MaxScale's certificate", "the account of the session's template", "")
	}
	var judged []conclusion
	for _, a := range o.target.guestAccounts() {
		at := slices.IndexFunc(o.trials.guests, func(g guest) bool { return g.name == a.Name })
		if a.Locked || a.Require.Subject != masked.Require.Subject || at < 0 {
			continue
		}
		c := decideOther(o, a, o.trials.guests[at])
		switch c.outcome {
		case check.Fail:
			c.got = a.Name.User + ": " + c.got
		case check.Skip:
			c.reason = a.Name.User + ": " + c.reason
		}
		judged = append(judged, c)
	}
	return o.worst(judged, "with the right passwords, as they come with MaxScale's certificate or not at all")
}
