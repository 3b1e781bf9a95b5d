package mariadb

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb/ask"
	"github.com/confidb/confidb/pkg/promise"
)

// replicationQuestions are those about a database as one of several.
func replicationQuestions() []question {
	return []question{
		{"rep-01", "a replica follows a database of the session over verified TLS, and nothing else; the primary follows nobody",
			"Find out who told it to follow, then let MaxScale make it a replica again.", decideSources},
		{"rep-02", "it is the primary or a replica by all of its settings, and no commit was acknowledged that no second server has",
			"Find out who changed it. Let a keeper or MaxScale make it a replica or the primary; reseed a database that has what the others lack.", decideRole},
		{"msk-03", "accounts that come through MaxScale, where answers are masked, do not get in past it",
			"Restart the database: it makes the accounts as the session has them. Then find out who changed this one.", decidePast},
	}
}

// replicationQuestions are asked only where the database is promised to be one of several.
func (o *Observation) replicationQuestions() []question {
	if p := o.target.Promise; p == nil || p.Replication == nil {
		return nil
	}
	return replicationQuestions()
}

// several is what the session promises of a database beside others; nil if it is alone, or
// the promise cannot be compared with.
func (o *Observation) several() *promise.Replication {
	if o.unpromised() != "" {
		return nil
	}
	return o.target.Promise.Replication
}

// byRole are the variables of the server with those by which it became the primary, or a
// replica again, as the session has them: they may be so by SQL. Which of them go together
// is judged here. Whether somebody set another one is seen by comparing.
func (o *Observation) byRole() (variables map[string]variable, deviations []string) {
	variables = o.answers.Variables.Value
	if o.several() == nil {
		return variables, nil
	}
	if variables["read_only"].Value == "OFF" && variables["rpl_semi_sync_master_enabled"].Value != "ON" {
		deviations = []string{"read_only=OFF, and commits wait for no second server: rpl_semi_sync_master_enabled=" + variables["rpl_semi_sync_master_enabled"].Value}
	}
	variables = maps.Clone(variables)
	for _, name := range promise.RoleSettings() {
		v, set := variables[name], o.setting(name)
		if v.Origin == string(promise.FromStatement) && (v.Value == "ON" || v.Value == "OFF") && set != nil {
			v.Value, v.Origin = set.Value, string(set.Origin)
			variables[name] = v
		}
	}
	return variables, deviations
}

// setting is what the session sets a variable to, or nil.
func (o *Observation) setting(name string) *promise.Setting {
	var last *promise.Setting
	for i, s := range o.target.Promise.Settings {
		if strings.EqualFold(s.Name, name) {
			last = &o.target.Promise.Settings[i]
		}
	}
	return last
}

// unpromisedOf are the rights of those that are held which the session does not promise to
// an account that makes a database of several the primary, or a replica.
func (o *Observation) unpromisedOf(a account, held []string) []string {
	if o.several() == nil {
		return held
	}
	promised := o.target.Promise.Account(a.Name)
	return slices.DeleteFunc(held, func(privilege string) bool {
		return promised != nil && slices.Contains(promise.OperatorRights(a.Name), privilege) &&
			slices.Contains(promised.Rights, promise.Right{Kind: promise.Global, Privilege: privilege})
	})
}

// foreignNeighbours says who replicates with the database that is none of the session's:
// whom it follows, by name, and who follows it, by account and number.
func (o *Observation) foreignNeighbours() []string {
	promised := o.several()
	var all []string
	for _, seen := range []ask.Replication{o.answers.Replication.Value.Begin, o.answers.Replication.Value.End} {
		for _, s := range seen.Sources {
			if promised.Peer(s["Master_Host"]) == nil || s["Connection_name"] != "" {
				all = append(all, fmt.Sprintf("replicates from %q at %q", s["Connection_name"], s["Master_Host"]))
			}
		}
		for _, f := range seen.Followers {
			if !slices.Contains(o.target.Promise.Followers(), f.User) {
				all = append(all, fmt.Sprintf("is replicated by %q", f.User))
			}
		}
		if n := len(seen.Followers); n > len(promised.Others) {
			all = append(all, fmt.Sprintf("is replicated by %d others: the session has %d", n, len(promised.Others)))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Replication is what the server said of its place among several, at the begin and at the
// end; nil if it is promised to be alone, or did not say it.
func (o *Observation) Replication() *ask.Twice {
	if len(o.replicationQuestions()) == 0 || o.answers.Replication.Err != nil {
		return nil
	}
	return &o.answers.Replication.Value
}

// RoleOf is what a server is by what it says of its place. One that must not be so is neither.
func RoleOf(seen ask.Replication) promise.Role {
	role, _ := roleOf(seen)
	return role
}

// roleOf is what a server is by what it says; problem says why it is something that it must
// not be.
func roleOf(seen ask.Replication) (role promise.Role, problem string) {
	follows := len(seen.Sources) > 0
	switch {
	case !seen.ReadOnly && !seen.Awaits:
		return promise.Neither, "it is written to, and its commits wait for no second server: read_only=OFF, rpl_semi_sync_master_enabled=OFF"
	case !seen.ReadOnly && follows:
		return promise.Neither, "it is written to, and follows another database"
	case seen.Awaits && follows:
		return promise.Neither, "it follows another database, and its commits wait for a second server: rpl_semi_sync_master_enabled=ON"
	case !seen.ReadOnly:
		return promise.Primary, ""
	case follows:
		return promise.Replica, ""
	}
	return promise.Neither, ""
}

// unsettled says why what the server says of replication cannot be judged: there is no
// promise or no answer, or it changed meanwhile. It is the zero conclusion if it can.
func (o *Observation) unsettled() (why conclusion, is bool) {
	if reason := o.unpromised(); reason != "" {
		return unpromisedHere(reason), true
	}
	if err := o.answers.Replication.Err; err != nil {
		return unproven(err), true
	}
	if changed := o.answers.Replication.Value.Changed(); changed != "" {
		return conclusion{reason: "it changed while the server was asked: " + changed,
			hint: "Repeat the verification when the change of the primary, or the start of a database, is done."}, true
	}
	return conclusion{}, false
}

// decideSources compares each row of whom the server follows, field by field, with what was
// promised: what is wrong at one of two moments is wrong. What is not known of a row proves
// nothing.
func decideSources(o *Observation) conclusion {
	const want = "one connection of a replica, to a database of the session, with the session's files, verified; none of the primary"
	why, unsettled := o.unsettled()
	if o.several() == nil || o.answers.Replication.Err != nil {
		return why
	}
	var wrong []string
	for _, seen := range []ask.Replication{o.answers.Replication.Value.Begin, o.answers.Replication.Value.End} {
		wrong = append(wrong, o.misdirected(seen.Sources)...)
	}
	if slices.Sort(wrong); len(wrong) > 0 {
		return noneOf(slices.Compact(wrong), want, "")
	}
	if unsettled {
		return why
	}
	seen := o.answers.Replication.Value.End
	role, _ := roleOf(seen)
	switch {
	case len(seen.Sources) == 0 && role == promise.Primary:
		return passed("the primary follows nobody")
	case len(seen.Sources) == 0:
		return notYet()
	case !seen.ReadOnly:
		return failed("it is written to, and follows another database", want, "")
	}
	wrong, open := o.judgeThreads(seen.Sources[0])
	if len(wrong) > 0 {
		return noneOf(wrong, want, "")
	}
	if open = append(open, unknown(seen.Sources[0], o.several())...); len(open) > 0 {
		return skipped(briefly(open))
	}
	return passed(fmt.Sprintf("it follows %s as %s", o.several().Peer(seen.Sources[0]["Master_Host"]).Name, seen.Sources[0]["Master_User"]))
}

// notYet is what there is to say of a database that is neither primary nor replica.
func notYet() conclusion {
	return conclusion{reason: "it is neither the primary nor a replica: it has just started, or what it is changes",
		hint: "Repeat the verification. If it stays so, look at what MaxScale and its keeper say in their logs."}
}

// misdirected says what of whom the server follows, and how, is not as promised.
func (o *Observation) misdirected(sources []ask.Source) (wrong []string) {
	promised := o.several()
	wanted := sourceFields(promised)
	if n := len(sources); n > 1 {
		wrong = append(wrong, fmt.Sprintf("%d connections", n))
	}
	for _, s := range sources {
		if promised.Peer(s["Master_Host"]) == nil {
			wrong = append(wrong, fmt.Sprintf("Master_Host=%q", s["Master_Host"]))
		}
		if !slices.Contains(o.target.Promise.Followers(), s["Master_User"]) {
			wrong = append(wrong, fmt.Sprintf("Master_User=%q", s["Master_User"]))
		}
		for column, values := range wanted {
			if got, is := s[column]; is && !slices.Contains(values, got) {
				wrong = append(wrong, fmt.Sprintf("%s=%q", column, got))
			}
		}
	}
	return wrong
}

// unknown says which columns of a row are missing, and which nobody can judge.
func unknown(s ask.Source, promised *promise.Replication) (open []string) {
	wanted := sourceFields(promised)
	judged := []string{"Master_Host", "Master_User", "Master_Server_Id", "Slave_IO_Running", "Slave_SQL_Running"}
	for column := range wanted {
		if _, is := s[column]; !is {
			open = append(open, "the server does not say "+column)
		}
	}
	for column := range s {
		if _, is := wanted[column]; !is && !ask.Moving(column) && !slices.Contains(judged, column) {
			open = append(open, fmt.Sprintf("not known, what the server says in %q", column))
		}
	}
	slices.Sort(open)
	return open
}

// sourceFields are the columns that have one of some values.
func sourceFields(promised *promise.Replication) map[string][]string {
	all := map[string][]string{
		"Master_Port": {strconv.Itoa(int(promised.Port))}, "Master_SSL_Allowed": {"Yes"}, "Master_SSL_Verify_Server_Cert": {"Yes"},
		"Master_SSL_CA_File": {promised.CA}, "Master_SSL_Cert": {promised.Certificate}, "Master_SSL_Key": {promised.Key},
		"Using_Gtid": {"Current_Pos", "Slave_Pos"}, "Until_Condition": {"None"}, "Skip_Counter": {"0"}, "SQL_Delay": {"0"},
	}
	for _, empty := range []string{"Connection_name", "Master_SSL_CA_Path", "Master_SSL_Cipher", "Master_SSL_Crl", "Master_SSL_Crlpath",
		"Replicate_Do_DB", "Replicate_Ignore_DB", "Replicate_Do_Table", "Replicate_Ignore_Table", "Replicate_Wild_Do_Table", "Replicate_Wild_Ignore_Table",
		"Replicate_Ignore_Server_Ids", "Replicate_Do_Domain_Ids", "Replicate_Ignore_Domain_Ids", "Replicate_Rewrite_DB"} {
		all[empty] = []string{""}
	}
	return all
}

// judgeThreads asks that both threads run, and that the number of whom they follow is that
// of the peer. The number is said only once the connection was there. Both stand still after
// a start, until somebody tells the database whom to follow.
func (o *Observation) judgeThreads(s ask.Source) (wrong, open []string) {
	peer := o.several().Peer(s["Master_Host"])
	receives, applies := s["Slave_IO_Running"], s["Slave_SQL_Running"]
	number := s["Master_Server_Id"]
	switch {
	case number == "0" && receives != "Yes":
	case peer == nil || number != strconv.FormatUint(uint64(peer.ServerID), 10):
		wrong = append(wrong, fmt.Sprintf("Master_Server_Id=%q", number))
	}
	switch {
	case receives == "Yes" && applies == "Yes":
	case receives == "No" && applies == "No":
		open = append(open, "it follows nobody at the moment: both of its threads stand still")
	case applies != "Yes":
		wrong = append(wrong, fmt.Sprintf("Slave_SQL_Running=%q", applies))
	case receives == "No":
		wrong = append(wrong, fmt.Sprintf("Slave_IO_Running=%q", receives))
	default:
		open = append(open, fmt.Sprintf("it is not connected: Slave_IO_Running=%q, %s", receives, s["Last_IO_Error"]))
	}
	return wrong, open
}

// decideRole asks that the settings of the database are all of one role, and that what it
// says of commits is so as well. That a planned change of the primary counts as one time at
// which nobody was waited for (Rpl_semi_sync_master_no_times) was measured: only commits count.
func decideRole(o *Observation) conclusion {
	if why, is := o.unsettled(); is {
		return why
	}
	seen := o.answers.Replication.Value.End
	role, problem := roleOf(seen)
	var wrong []string
	if problem != "" {
		wrong = append(wrong, problem)
	}
	if promised := o.several().ServerID; seen.ServerID != promised {
		wrong = append(wrong, fmt.Sprintf("server_id=%d: want %d", seen.ServerID, promised))
	}
	if n := seen.Waiting["rpl_semi_sync_master_no_tx"]; n != "0" {
		wrong = append(wrong, fmt.Sprintf("Rpl_semi_sync_master_no_tx=%s: commits were acknowledged that no second server had", n))
	}
	fixed := o.compare([]setting{{"rpl_semi_sync_slave_enabled", "ON"}, {"rpl_semi_sync_master_wait_point", "AFTER_SYNC"},
		{"rpl_semi_sync_master_timeout", "18446744073709551615"}, {"rpl_semi_sync_master_wait_no_slave", "ON"}, {"gtid_strict_mode", "ON"}, {"gtid_domain_id", "0"}})
	wrong = append(wrong, fixed.all...)
	open := o.judgeFollowers(role, seen)
	if role == promise.Replica {
		w, u := judgeAcknowledging(seen)
		wrong, open = append(wrong, w...), append(open, u...)
	}
	if role == promise.Primary && seen.Waiting["rpl_semi_sync_master_status"] != "ON" {
		wrong = append(wrong, fmt.Sprintf("Rpl_semi_sync_master_status=%s: commits wait for nobody", seen.Waiting["rpl_semi_sync_master_status"]))
	}
	reason := o.blind("PROCESS")
	switch {
	case len(wrong) > 0:
		return noneOf(wrong, "the settings of a primary, or those of a replica, and no commit without a second server", "")
	case fixed.outcome != check.Pass:
		return fixed
	case role == promise.Neither:
		return notYet()
	case reason != "":
		return skipped(reason)
	case len(open) > 0:
		return skipped(briefly(open))
	}
	return passed(fmt.Sprintf("%s, followed by %d", role, len(seen.Followers)))
}

// judgeFollowers says what of who follows the database proves nothing. That there are too
// many, or strangers, obj-02 says.
func (o *Observation) judgeFollowers(role promise.Role, seen ask.Replication) (open []string) {
	n := len(seen.Followers)
	clients := seen.Waiting["rpl_semi_sync_master_clients"]
	switch {
	case role == promise.Replica && n > 0:
		return []string{fmt.Sprintf("%d others follow this replica: the primary changes, or it is not where they look for it", n)}
	case role == promise.Primary && n == 0:
		return []string{"nobody follows the primary, so that its commits wait"}
	case role == promise.Primary && clients != strconv.Itoa(n):
		return []string{fmt.Sprintf("%s of the %d that follow acknowledge", clients, n)}
	}
	return nil
}

// judgeAcknowledging asks whether a replica that is connected acknowledges what it gets.
func judgeAcknowledging(seen ask.Replication) (wrong, open []string) {
	status := seen.Waiting["rpl_semi_sync_slave_status"]
	switch connected := seen.Sources[0]["Slave_IO_Running"] == "Yes"; {
	case status == "ON":
	case connected:
		wrong = append(wrong, fmt.Sprintf("Rpl_semi_sync_slave_status=%s: it acknowledges nothing", status))
	default:
		open = append(open, "it is not connected to the primary")
	}
	return wrong, open
}
