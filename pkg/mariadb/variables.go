package mariadb

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/promise"
)

// variable is a row of information_schema.SYSTEM_VARIABLES.
type variable struct {
	value  string
	global bool // it has a global value
	origin string
	kind   string // VARIABLE_TYPE
	// words are the values of an ENUM, low, high and block the limits of a number.
	words            []string
	low, high, block string
}

// Origins of values that no session gives.
const (
	originConfig      = string(promise.FromFile)
	originDefault     = "COMPILE-TIME"
	originAuto        = "AUTO"
	originEnvironment = "ENVIRONMENT"
)

const variableColumns = `VARIABLE_NAME, GLOBAL_VALUE, GLOBAL_VALUE_ORIGIN, VARIABLE_TYPE, ENUM_VALUE_LIST, NUMERIC_MIN_VALUE, NUMERIC_MAX_VALUE, NUMERIC_BLOCK_SIZE`

func askVariables(ctx context.Context, server Querier) answer[map[string]variable] {
	rows, err := list(ctx, server, variableColumns, "information_schema.SYSTEM_VARIABLES")
	if err != nil {
		return answer[map[string]variable]{err: err}
	}
	value, err := readVariables(rows)
	return answer[map[string]variable]{value: value, err: err}
}

func readVariables(rows *mysql.Rows) (map[string]variable, error) {
	if err := atLeastOne(rows, 8); err != nil {
		return nil, err
	}
	variables := make(map[string]variable, len(rows.Values))
	for _, row := range rows.Values {
		name := strings.ToLower(row[0].Text)
		if _, twice := variables[name]; twice {
			return nil, errors.New("a variable is listed twice")
		}
		v := variable{value: row[1].Text, global: !row[1].Null, origin: row[2].Text, kind: row[3].Text, low: row[5].Text, high: row[6].Text, block: row[7].Text}
		if !row[4].Null {
			v.words = strings.Split(row[4].Text, ",")
		}
		variables[name] = v
	}
	return variables, nil
}

func keys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }

// hostDependent are variables whose default is made from the machine, the build or what
// the server has done so far, as measured by starting it with another number of processors
// and descriptors, another host name, time zone and environment. Of these the origin is
// judged and not the value.
func hostDependent() []string {
	return []string{
		"hostname", "general_log_file", "slow_query_log_file", "log_slow_query_file", "wsrep_node_name", "pid_file", "server_uid", "system_time_zone", // names of the machine
		"innodb_open_files", "table_open_cache", "open_files_limit", "table_open_cache_instances", "thread_pool_size", "back_log", "host_cache_size", // its size
		"table_definition_cache", "thread_cache_size", "innodb_log_write_ahead_size", "innodb_log_file_mmap", "innodb_log_file_buffering", "large_page_size", "lower_case_file_system", "locked_in_memory",
		"basedir", "datadir", "tmpdir", "socket", "port", "bind_address", "plugin_dir", "lc_messages_dir", "character_sets_dir", "slave_load_tmpdir", "aria_log_dir_path", "wsrep_data_home_dir", // where the build puts things
		"version", "version_comment", "version_compile_machine", "version_compile_os", "version_malloc_library", "version_source_revision", "version_ssl_library", "wsrep_patch_version", "have_ssl",
		"gtid_binlog_pos", "gtid_binlog_state", "gtid_current_pos", // how far it has come
	}
}

// automatic are variables that the server sets itself when nobody does (§ AUTO of their
// documentation): sizes that follow from other settings and from the machine.
func automatic() []string {
	return []string{"back_log", "character_sets_dir", "host_cache_size", "log_tc_size", "lower_case_file_system", "max_relay_log_size", "open_files_limit", "report_port",
		"slave_load_tmpdir", "table_definition_cache", "table_open_cache", "table_open_cache_instances", "thread_cache_size", "thread_pool_size", "max_connections", "innodb_buffer_pool_chunk_size"}
}

// invisible are options that no variable shows.
func invisible() []string {
	return []string{"user", "chroot", "skip_slave_start", "init_rpl_role", "replicate_same_server_id", "master_info_file", "plugin_load", "plugin_load_add", "safe_user_create",
		"external_locking", "memlock", "stack_trace", "log_tc", "tc_heuristic_recover", "temp_pool", "debug_gdb", "old_style_user_limits", "show_slave_auth_info", "flashback",
		"character_set_client_handshake", "silent_startup", "des_key_file", "binlog_do_db", "binlog_ignore_db", "console", "ssl"}
}

// wanted is what the session says of one variable.
type wanted struct {
	promise.Setting
	visible bool // by its value; an option whose effect another variable shows has no origin of its own
}

// expectations are what the session's settings mean for the variables of a server.
type expectations struct {
	variables map[string]wanted
	plugins   map[string]string // the load option that is wanted of a plugin, by name
	libraries []string          // of plugins
	unseen    []string          // options that no variable shows
	unknown   []string          // those of which it is not known how to see them
}

// expect resolves the names of settings against the variables and plugins of a server.
func expect(settings []promise.Setting, variables map[string]variable, plugins []plugin) *expectations {
	e := &expectations{variables: map[string]wanted{}, plugins: map[string]string{}}
	for _, s := range settings {
		e.add(s, variables, plugins)
	}
	return e
}

func (e *expectations) add(s promise.Setting, variables map[string]variable, plugins []plugin) {
	name, loose := strings.CutPrefix(strings.ToLower(s.Name), "loose_")
	if other := map[string]string{"transaction_isolation": "tx_isolation", "transaction_read_only": "tx_read_only", "default_time_zone": "time_zone"}[name]; other != "" {
		name = other
	}
	switch base, negated := negation(name); {
	case variables[name].origin != "":
		e.variables[name] = wanted{s, true}
	case strings.HasPrefix(name, "plugin_load"):
		for _, library := range strings.FieldsFunc(s.Value, func(r rune) bool { return r == ';' || r == ':' }) {
			if _, after, ok := strings.Cut(library, "="); ok {
				library = after
			}
			e.libraries = append(e.libraries, strings.TrimSuffix(library, ".so"))
		}
	case base == "symbolic_links":
		shown := "DISABLED"
		if !negated && isOn(s) {
			shown = "YES"
		}
		s.Value, s.Bare = shown, false
		e.variables["have_symlink"] = wanted{s, false}
	case negated && variables[base].origin != "":
		s.Value, s.Bare = "OFF", false
		e.variables[base] = wanted{s, true}
	case slices.ContainsFunc(plugins, func(p plugin) bool { return strings.EqualFold(p.name, base) }):
		if e.plugins[base] = strings.ToUpper(s.Value); negated {
			e.plugins[base] = "OFF"
		}
	case slices.Contains(invisible(), base) || slices.Contains(invisible(), name) || loose:
		e.unseen = append(e.unseen, name)
	default:
		e.unknown = append(e.unknown, name)
	}
}

// negation cuts the prefix off by which an option is switched off.
func negation(name string) (base string, negated bool) {
	for _, prefix := range []string{"skip_", "disable_"} {
		if base, negated = strings.CutPrefix(name, prefix); negated {
			return base, true
		}
	}
	base, _ = strings.CutPrefix(name, "enable_")
	return base, false
}

func isOn(s promise.Setting) bool {
	return s.Bare || slices.Contains([]string{"1", "ON", "TRUE", "YES"}, strings.ToUpper(s.Value))
}

// decideSettings compares every global variable with the session, and what the session
// leaves alone with the defaults of the server's version.
func decideSettings(o *Observation) conclusion {
	if err := errors.Join(o.answers.variables.err, o.answers.plugins.err, o.answers.session.err); err != nil {
		return unproven(err)
	}
	if reason := o.unpromised(); reason != "" {
		return skipped(reason)
	}
	wanted := expect(o.target.Promise.Settings, o.answers.variables.value, o.answers.plugins.value)
	known, exact := defaultsOf(o.answers.session.value.version)
	judged := &settingsJudge{expectations: wanted, variables: o.answers.variables.value, defaults: known, exact: exact}
	deviations := judged.deviations()
	if len(deviations) == 0 && len(wanted.unknown) > 0 {
		return skipped("the server shows no variable for these settings of the session: " + briefly(wanted.unknown))
	}
	reason := fmt.Sprintf("%d variables", len(o.answers.variables.value))
	switch {
	case known == nil:
		reason += "; what nobody set is judged by its origin alone, for the defaults of this version are not known"
	case !exact:
		reason += "; the defaults are those of " + known.version
	}
	if len(wanted.unseen) > 0 {
		reason += "; not visible by SQL: " + strings.Join(wanted.unseen, ", ")
	}
	return noneOf(deviations, "each as the session sets it, or at its default", reason)
}

// settingsJudge compares variables with what is wanted of them.
type settingsJudge struct {
	*expectations
	variables map[string]variable
	defaults  *defaults // nil: not known
	exact     bool
}

func (j *settingsJudge) deviations() []string {
	var all []string
	for _, name := range slices.Sorted(keys(j.variables)) {
		v := j.variables[name]
		if !v.global {
			continue
		}
		if problem := j.problem(name, v); problem != "" {
			all = append(all, problem)
		}
	}
	return all
}

// problem says what is wrong with a variable, or nothing.
func (j *settingsJudge) problem(name string, v variable) string {
	w, set := j.expectations.variables[name]
	if set {
		return j.problemOfSet(name, v, w)
	}
	switch v.origin {
	case originDefault:
		return j.problemOfDefault(name, v)
	case originAuto:
		if slices.Contains(automatic(), name) {
			return ""
		}
	case originEnvironment:
		if name == "basedir" {
			return ""
		}
	}
	return fmt.Sprintf("%s=%s from %s: the session does not set it", name, v.value, v.origin)
}

func (j *settingsJudge) problemOfSet(name string, v variable, w wanted) string {
	switch {
	case w.visible && v.origin != string(w.Origin) && !(name == "log_bin" && v.origin == originDefault): // the server does not note where log_bin came from
		return fmt.Sprintf("%s=%s from %s: the session sets it (%s)", name, shown(v.value, w), v.origin, w.Origin)
	case !w.Secret && !v.equals(w.Setting, name, j.variables):
		return fmt.Sprintf("%s=%s, want %s", name, v.value, w.Value)
	}
	return ""
}

// shown is a value that may be said: not one that the session holds as a secret.
func shown(value string, w wanted) string {
	if w.Secret {
		return "(hidden)"
	}
	return value
}

// problemOfDefault judges a variable that nobody set.
func (j *settingsJudge) problemOfDefault(name string, v variable) string {
	if want, follows := j.consequence(name); follows {
		if v.value != want {
			return fmt.Sprintf("%s=%s, want %s", name, v.value, want)
		}
		return ""
	}
	if j.defaults == nil || slices.Contains(hostDependent(), name) {
		return ""
	}
	want, known := j.defaults.variables[name]
	switch {
	case known && v.value != want:
		return fmt.Sprintf("%s=%s, want %s, the default of %s", name, v.value, want, j.defaults.version)
	case !known && j.exact && !j.ofPlugin(name):
		return fmt.Sprintf("%s=%s: this version has no such variable", name, v.value)
	}
	return ""
}

// ofPlugin reports whether a variable belongs to a plugin that the session loads.
func (j *settingsJudge) ofPlugin(name string) bool {
	return slices.ContainsFunc(j.libraries, func(library string) bool { return strings.HasPrefix(name, library+"_") })
}

// consequence is the value of a variable that follows from another setting of the session.
func (j *settingsJudge) consequence(name string) (want string, follows bool) {
	if name == "aria_log_dir_path" || name == "wsrep_data_home_dir" {
		return j.variables["datadir"].value, true
	}
	log, set := j.expectations.variables["log_bin"]
	if !set || log.Bare || strings.Contains(log.Value, ".") {
		return "", false
	}
	base := log.Value
	if !strings.HasPrefix(base, "/") {
		base = j.variables["datadir"].value + base
	}
	switch name {
	case "log_bin_basename":
		return base, true
	case "log_bin_index":
		return base + ".index", true
	}
	return "", false
}

// equals reports whether a variable has the value that a setting gives it, as the server
// reads it.
func (v variable) equals(s promise.Setting, name string, others map[string]variable) bool {
	switch {
	case name == "log_bin":
		return v.value == "ON"
	case v.kind == "BOOLEAN":
		return v.value == map[bool]string{true: "ON", false: "OFF"}[isOn(s)]
	case s.Bare:
		return true // what that means is the server's affair; the origin is the session
	case v.kind == "ENUM":
		if i, err := strconv.Atoi(s.Value); err == nil && i >= 0 && i < len(v.words) {
			return strings.EqualFold(v.value, v.words[i])
		}
		return strings.EqualFold(v.value, s.Value)
	case v.kind == "SET" || v.kind == "FLAGSET":
		return slices.Equal(members(v.value), members(s.Value))
	case strings.Contains(v.kind, "INT"):
		return v.equalsNumber(s.Value, name, others)
	case v.kind == "DOUBLE":
		a, err := strconv.ParseFloat(v.value, 64)
		b, err2 := strconv.ParseFloat(s.Value, 64)
		return err == nil && err2 == nil && a == b
	}
	return v.value == s.Value || strings.HasPrefix(s.Value, "/") && strings.TrimSuffix(v.value, "/") == strings.TrimSuffix(s.Value, "/")
}

// members are the words of a set, sorted, in small letters.
func members(set string) []string {
	all := strings.FieldsFunc(strings.ToLower(set), func(r rune) bool { return r == ',' })
	slices.Sort(all)
	return slices.Compact(all)
}

// equalsNumber compares numbers. The server moves a value to its limits and to a whole
// number of blocks, and the buffer pool to whole chunks.
func (v variable) equalsNumber(written, name string, others map[string]variable) bool {
	want, ok := number(written)
	got, err := strconv.ParseInt(v.value, 10, 64)
	if err != nil {
		unsigned, err := strconv.ParseUint(v.value, 10, 64)
		return err == nil && strconv.FormatUint(unsigned, 10) == written
	}
	if !ok {
		return false
	}
	if low, ok := number(v.low); ok && want < low {
		want = low
	}
	if high, ok := number(v.high); ok && want > high {
		want = high
	}
	if block, ok := number(v.block); ok && block > 1 {
		want -= want % block
	}
	if chunk, ok := number(others["innodb_buffer_pool_chunk_size"].value); ok && name == "innodb_buffer_pool_size" && chunk > 0 {
		want = (want + chunk - 1) / chunk * chunk
	}
	return got == want
}

// number reads a number with one of MariaDB's units after it.
func number(text string) (int64, bool) {
	shift := 0
	if n := len(text); n > 0 {
		if at := strings.IndexByte("KMGTPE", strings.ToUpper(text)[n-1]); at >= 0 {
			text, shift = text[:n-1], 10*(at+1)
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > 1<<62>>shift || n < 0 && shift > 0 {
		return 0, false
	}
	return n << shift, true
}

// setting is a system variable and the value that it must have.
type setting struct{ name, want string }

// compare fails if a variable has another value, and skips if one is unknown to the server.
func (o *Observation) compare(wanted []setting) conclusion {
	if err := o.answers.variables.err; err != nil {
		return unproven(err)
	}
	var wrong, want, missing []string
	for _, s := range wanted {
		switch found, known := o.answers.variables.value[s.name]; {
		case !known:
			missing = append(missing, s.name)
		case !strings.EqualFold(found.value, s.want):
			wrong = append(wrong, s.name+"="+found.value)
			want = append(want, s.name+"="+s.want)
		}
	}
	return decided(wrong, want, missing)
}

func decided(wrong, want, missing []string) conclusion {
	if len(wrong) > 0 {
		return conclusion{outcome: check.Fail, got: briefly(wrong), want: briefly(want), all: wrong}
	}
	if len(missing) > 0 {
		return skipped("not supported by this version of the server: " + strings.Join(missing, ", "))
	}
	return passed("")
}

// origins fails if a variable got its value in another way than the allowed ones.
// A value that was changed and changed back has the origin SQL until a restart.
func (o *Observation) origins(names []string, allowed ...string) conclusion {
	if err := o.answers.variables.err; err != nil {
		return unproven(err)
	}
	var wrong, want, missing []string
	for _, name := range names {
		switch found, known := o.answers.variables.value[name]; {
		case !known:
			missing = append(missing, name)
		case !slices.Contains(allowed, found.origin):
			wrong = append(wrong, name+" from "+found.origin)
			want = append(want, name+" from "+strings.Join(allowed, " or "))
		}
	}
	return decided(wrong, want, missing)
}
