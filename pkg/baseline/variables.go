package baseline

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/confidb/confidb/pkg/promise"
)

// Variable is a row of information_schema.SYSTEM_VARIABLES.
type Variable struct {
	Value string
	// Global means that it has a global value.
	Global bool
	Origin string
	Kind   string // VARIABLE_TYPE
	// Words are the values of an ENUM; Low, High and Block the limits of a number.
	Words            []string
	Low, High, Block string
}

// Origins of values that no session gives.
const (
	OriginDefault     = "COMPILE-TIME"
	OriginAuto        = "AUTO"
	OriginEnvironment = "ENVIRONMENT"
)

// hostDependent are variables whose default is made from the machine, the build or what
// the server has done so far, as measured by starting it with another number of processors
// and descriptors, another host name, time zone and environment, and on a file system in
// memory, where the log is its own buffer. Of these the origin is judged and not the value.
func hostDependent() []string {
	return []string{
		"hostname", "general_log_file", "slow_query_log_file", "log_slow_query_file", "wsrep_node_name", "pid_file", "server_uid", "system_time_zone", // names of the machine
		"innodb_open_files", "table_open_cache", "open_files_limit", "table_open_cache_instances", "thread_pool_size", "back_log", "host_cache_size", // its size
		"table_definition_cache", "thread_cache_size", "innodb_log_write_ahead_size", "innodb_log_file_mmap", "innodb_log_buffer_size", "innodb_log_file_buffering", "large_page_size", "lower_case_file_system", "locked_in_memory",
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

// Expectations are what the session's settings mean for the variables of a server.
type Expectations struct {
	settings  map[string]wanted
	plugins   map[string]string // the load option that is wanted of a plugin, by name
	libraries []string          // of plugins
	// Unseen are options that no variable shows, Unknown those of which it is not known how
	// to see them.
	Unseen, Unknown []string
}

// Expect resolves the names of settings against the variables and plugins of a server.
func Expect(settings []promise.Setting, variables map[string]Variable, plugins []Plugin) *Expectations {
	e := &Expectations{settings: map[string]wanted{}, plugins: map[string]string{}}
	for _, s := range settings {
		e.add(s, variables, plugins)
	}
	return e
}

func (e *Expectations) add(s promise.Setting, variables map[string]Variable, plugins []Plugin) {
	name, loose := strings.CutPrefix(strings.ToLower(s.Name), "loose_")
	if other := map[string]string{"transaction_isolation": "tx_isolation", "transaction_read_only": "tx_read_only", "default_time_zone": "time_zone"}[name]; other != "" {
		name = other
	}
	switch base, negated := negation(name); {
	case variables[name].Origin != "":
		e.settings[name] = wanted{s, true}
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
		e.settings["have_symlink"] = wanted{s, false}
	case negated && variables[base].Origin != "":
		s.Value, s.Bare = "OFF", false
		e.settings[base] = wanted{s, true}
	case slices.ContainsFunc(plugins, func(p Plugin) bool { return strings.EqualFold(p.Name, base) }):
		if e.plugins[base] = strings.ToUpper(s.Value); negated {
			e.plugins[base] = "OFF"
		}
	case slices.Contains(invisible(), base) || slices.Contains(invisible(), name) || loose:
		e.Unseen = append(e.Unseen, name)
	default:
		e.Unknown = append(e.Unknown, name)
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

// settingsJudge compares variables with what is wanted of them.
type settingsJudge struct {
	*Expectations
	variables map[string]Variable
	known     *Baseline // nil: not known
	exact     bool
}

// Settings says which variables are neither as the session sets them nor, where it leaves
// them alone, as in known. exact means that known is of the server's very version; without
// known, what nobody set is judged by its origin alone.
func (e *Expectations) Settings(variables map[string]Variable, known *Baseline, exact bool) []string {
	j := &settingsJudge{e, variables, known, exact}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		v := variables[name]
		if !v.Global {
			continue
		}
		if problem := j.problem(name, v); problem != "" {
			all = append(all, problem)
		}
	}
	return all
}

// problem says what is wrong with a variable, or nothing.
func (j *settingsJudge) problem(name string, v Variable) string {
	w, set := j.settings[name]
	if set {
		return j.problemOfSet(name, v, w)
	}
	switch v.Origin {
	case OriginDefault:
		return j.problemOfDefault(name, v)
	case OriginAuto:
		if slices.Contains(automatic(), name) {
			return ""
		}
	case OriginEnvironment:
		if name == "basedir" {
			return ""
		}
	}
	return fmt.Sprintf("%s=%s from %s: the session does not set it", name, v.Value, v.Origin)
}

func (j *settingsJudge) problemOfSet(name string, v Variable, w wanted) string {
	switch {
	case w.visible && v.Origin != string(w.Origin) && !(name == "log_bin" && v.Origin == OriginDefault): // the server does not note where log_bin came from
		return fmt.Sprintf("%s=%s from %s: the session sets it (%s)", name, shown(v.Value, w), v.Origin, w.Origin)
	case !w.Secret && !v.equals(w.Setting, name, j.variables):
		return fmt.Sprintf("%s=%s, want %s", name, v.Value, w.Value)
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
func (j *settingsJudge) problemOfDefault(name string, v Variable) string {
	if want, follows := j.consequence(name); follows {
		if v.Value != want {
			return fmt.Sprintf("%s=%s, want %s", name, v.Value, want)
		}
		return ""
	}
	if j.known == nil || slices.Contains(hostDependent(), name) || name == "gtid_slave_pos" && j.follows() {
		return ""
	}
	want, known := j.known.Variables[name]
	switch {
	case known && v.Value != want:
		return fmt.Sprintf("%s=%s, want %s, the default of %s", name, v.Value, want, j.known.Version)
	case !known && j.exact && !j.ofPlugin(name):
		return fmt.Sprintf("%s=%s: this version has no such variable", name, v.Value)
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
		return j.variables["datadir"].Value, true
	}
	if days, ok := number(j.settings["expire_logs_days"].Value); ok && name == "binlog_expire_logs_seconds" {
		return strconv.FormatInt(days*24*60*60, 10), true
	}
	for _, log := range []string{"log_bin", "relay_log"} {
		if base, set := j.base(log); set && name == log+"_basename" {
			return base, true
		} else if set && name == log+"_index" {
			return base + ".index", true
		}
	}
	return "", false
}

// base is the path of a log that the session names, without the numbers of its files.
func (j *settingsJudge) base(log string) (path string, set bool) {
	named, set := j.settings[log]
	if !set || named.Bare || strings.Contains(named.Value, ".") {
		return "", false
	}
	if strings.HasPrefix(named.Value, "/") {
		return named.Value, true
	}
	return j.variables["datadir"].Value + named.Value, true
}

// follows reports whether the session makes the server one that replicates, and logs what
// it got.
func (j *settingsJudge) follows() bool {
	return isOn(j.settings["log_slave_updates"].Setting)
}

// equals reports whether a variable has the value that a setting gives it, as the server
// reads it.
func (v Variable) equals(s promise.Setting, name string, others map[string]Variable) bool {
	switch {
	case name == "log_bin":
		return v.Value == "ON"
	case v.Kind == "BOOLEAN":
		return v.Value == map[bool]string{true: "ON", false: "OFF"}[isOn(s)]
	case s.Bare:
		return true // what that means is the server's affair; the origin is the session
	case v.Kind == "ENUM":
		if i, err := strconv.Atoi(s.Value); err == nil && i >= 0 && i < len(v.Words) {
			return strings.EqualFold(v.Value, v.Words[i])
		}
		return strings.EqualFold(v.Value, s.Value)
	case v.Kind == "SET" || v.Kind == "FLAGSET":
		return slices.Equal(members(v.Value), members(s.Value))
	case strings.Contains(v.Kind, "INT"):
		return v.equalsNumber(s.Value, name, others)
	case v.Kind == "DOUBLE":
		a, err := strconv.ParseFloat(v.Value, 64)
		b, err2 := strconv.ParseFloat(s.Value, 64)
		return err == nil && err2 == nil && a == b
	}
	return v.Value == s.Value || strings.HasPrefix(s.Value, "/") && strings.TrimSuffix(v.Value, "/") == strings.TrimSuffix(s.Value, "/")
}

// members are the words of a set, sorted, in small letters.
func members(set string) []string {
	all := strings.FieldsFunc(strings.ToLower(set), func(r rune) bool { return r == ',' })
	slices.Sort(all)
	return slices.Compact(all)
}

// equalsNumber compares numbers. The server moves a value to its limits and to a whole
// number of blocks, and the buffer pool to whole chunks.
func (v Variable) equalsNumber(written, name string, others map[string]Variable) bool {
	want, ok := number(written)
	got, err := strconv.ParseInt(v.Value, 10, 64)
	if err != nil {
		unsigned, err := strconv.ParseUint(v.Value, 10, 64)
		return err == nil && strconv.FormatUint(unsigned, 10) == written
	}
	if !ok {
		return false
	}
	if low, ok := number(v.Low); ok && want < low {
		want = low
	}
	if high, ok := number(v.High); ok && want > high {
		want = high
	}
	if block, ok := number(v.Block); ok && block > 1 {
		want -= want % block
	}
	if chunk, ok := number(others["innodb_buffer_pool_chunk_size"].Value); ok && name == "innodb_buffer_pool_size" && chunk > 0 {
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
