package manifest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/session"
)

// Variables of SCONE's runtime. baseConfigID is the vendor's: the image completes it.
const (
	configID     = "SCONE_CONFIG_ID"
	baseConfigID = "BASE_SCONE_CONFIG_ID"
	casAddress   = "SCONE_CAS_ADDR"
	lasAddress   = "SCONE_LAS_ADDR"
	mode         = "SCONE_MODE"
	heap         = "SCONE_HEAP"
	dlopen       = "SCONE_ALLOW_DLOPEN"
	// defaultHeap is that of a program without SCONE_HEAP.
	defaultHeap = "64M"
)

// runtimeVariables are further ones that change neither what runs nor whom it asks.
func runtimeVariables() []string {
	return []string{
		"SCONE_STACK", "SCONE_LOG", "SCONE_VERSION", "SCONE_SYSLIBS", "SCONE_FORK", "SCONE_ETHREADS", "SCONE_STHREADS", "SCONE_QUEUES", "SCONE_SLOTS",
		"SCONE_SSPINS", "SCONE_SSLEEP", "SCONE_ETHREAD_SLEEP_TIME_MSEC", "SCONE_NO_TIME_THREAD", "SCONE_TCS", "SCONE_SGXBOUNDS", "SCONE_EXTENSIONS_PATH",
		"SCONE_SERVICE_ACCESS_TOKEN", "SCONE_CLI_CONFIG", "SCONE_CLI_RETRIES", "SCONE_CONFIG",
	}
}

// loaderVariable reports whether a variable changes what a program loads or a shell runs.
func loaderVariable(name string) bool {
	return strings.HasPrefix(name, "LD_") || strings.HasPrefix(name, "SCONE_LD_") || strings.HasPrefix(name, "DYLD_") || strings.HasPrefix(name, "BASH_FUNC_") ||
		slices.Contains([]string{
			"GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH", "NLSPATH", "GETCONF_DIR", "HOSTALIASES", "RESOLV_HOST_CONF", "NIS_PATH", "MALLOC_CHECK_", "MALLOC_TRACE",
			"BASH_ENV", "SHELLOPTS", "BASHOPTS", "PS4", "IFS", "PATH", "OPENSSL_CONF", "OPENSSL_MODULES", "OPENSSL_ENGINES", "SSL_CERT_FILE", "SSL_CERT_DIR",
			"MYSQL_HOME", "MARIADB_HOME", "LIBMYSQL_PLUGIN_DIR", "LIBMYSQL_PLUGINS", "MYSQL_TEST_LOGIN_FILE", "PERL5LIB", "PERL5OPT", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME",
		}, name)
}

// environment are the variables with fixed values by name; refs are those whose value
// comes from somewhere else.
type environment struct {
	values map[string]string
	refs   map[string]*corev1.EnvVarSource
}

// environmentOf takes the last setting of each variable, which is the one that counts, with
// what stands in it of variables before it. pod is the pod's name; where it is empty, what
// depends on it is not known.
func environmentOf(c *corev1.Container, pod string) environment {
	e := environment{map[string]string{}, map[string]*corev1.EnvVarSource{}}
	for _, v := range c.Env {
		value := substitute(v.Value, e.values)
		delete(e.values, v.Name)
		delete(e.refs, v.Name)
		switch {
		case v.ValueFrom == nil:
			e.values[v.Name] = value
		case pod != "" && holdsName(v.ValueFrom) && !ours(v.Name):
			e.values[v.Name] = pod
		default:
			e.refs[v.Name] = v.ValueFrom
		}
	}
	return e
}

// describe says what a variable is set to.
func (e environment) describe(name string) string {
	if e.refs[name] != nil {
		return "a reference"
	}
	if value, ok := e.values[name]; ok {
		return fmt.Sprintf("%.200q", value)
	}
	return "nothing"
}

// environment judges all variables of an enclave's container.
func (p Promise) environment(c *corev1.Container, env environment) []Problem {
	var problems []Problem
	add := func(deviation attest.Deviation, format string, arguments ...any) {
		problems = append(problems, Problem{c.Name, fmt.Sprintf(format, arguments...), deviation})
	}
	for _, from := range c.EnvFrom {
		what := "a ConfigMap"
		if from.SecretRef != nil {
			what = "a Secret"
		}
		add(attest.UnreadEnvironment, "envFrom takes variables from %s, whose content is not judged", what)
	}
	for _, name := range slices.Sorted(maps.Keys(env.refs)) {
		if from := env.refs[name]; from.FieldRef == nil && from.ResourceFieldRef == nil {
			add(unread(name), "%s takes its value from an object of the cluster, which is not judged", name)
		}
	}
	if las := env.refs[lasAddress]; env.values[lasAddress] == "" && (las == nil || las.FieldRef == nil || las.FieldRef.FieldPath != "status.hostIP") {
		add("", "SCONE_LAS_ADDR: got %s, want the address of a LAS", env.describe(lasAddress))
	}
	for _, problem := range p.runtime(env) {
		add(problem.Deviation, "%s", problem.Text)
	}
	return problems
}

// unread is the deviation by which a variable may come from somewhere else; those of
// the runtime and the loader must be read.
func unread(name string) attest.Deviation {
	if ours(name) {
		return ""
	}
	return attest.UnreadEnvironment
}

// runtime judges the variables under which a program starts: the session, the CAS, and
// how SCONE's runtime and the loader are set.
func (p Promise) runtime(env environment) []Problem {
	var problems []Problem
	add := func(deviation attest.Deviation, format string, arguments ...any) {
		problems = append(problems, Problem{"", fmt.Sprintf(format, arguments...), deviation})
	}
	services, problem := p.services(env)
	if problem != "" {
		add("", "%s", problem)
	}
	if got, ok := env.values[casAddress]; !ok || got != p.CASAddress {
		add("", "SCONE_CAS_ADDR: got %s, want %s", env.describe(casAddress), p.CASAddress)
	}
	if env.values[mode] != "hw" {
		add(attest.SconeMode, "SCONE_MODE: got %s, want hw: without SGX anything else falls back to a simulation", env.describe(mode))
	}
	problems = append(problems, p.measured(env, services)...)
	for _, name := range slices.Sorted(maps.Keys(env.values)) {
		known := []string{configID, baseConfigID, casAddress, lasAddress, mode, heap, dlopen}
		switch {
		case loaderVariable(name):
			add(attest.LoaderEnvironment, "%s is set: it changes what a program loads", name)
		case strings.HasPrefix(name, "SCONE_") && !slices.Contains(known, name) && !slices.Contains(runtimeVariables(), name):
			add(attest.RuntimeEnvironment, "%.100s is set, which this program does not know", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(env.refs)) {
		if name != lasAddress && ours(name) {
			add("", "%.100s: got a reference, want a value", name)
		}
	}
	return problems
}

// services are those that the variables ask for.
func (p Promise) services(env environment) ([]session.Service, string) {
	if base, ok := env.values[baseConfigID]; ok && !slices.ContainsFunc(p.sessions(), func(s Session) bool { return s.Name == base }) {
		return nil, fmt.Sprintf("%s: got %.200q, want %s", baseConfigID, base, p.wanted())
	}
	id, ok := env.values[configID]
	if !ok && env.refs[configID] == nil {
		id, ok = env.values[baseConfigID]
	}
	if !ok {
		return nil, fmt.Sprintf("SCONE_CONFIG_ID: got %s, want %s", env.describe(configID), p.wanted())
	}
	return p.asked(id)
}

// measured compares the settings that are part of a measurement with those that stand
// beside it in the policy.
func (p Promise) measured(env environment, services []session.Service) []Problem {
	settings := p.settings(services)
	var heaps, loaders []string
	for _, s := range settings {
		if s.Heap != "" {
			heaps = append(heaps, s.Heap)
		}
		if s.Dlopen != "" {
			loaders = append(loaders, s.Dlopen)
		}
	}
	var problems []Problem
	got, given := env.values[heap]
	if !given || got == "" {
		got = defaultHeap
	}
	if len(heaps) > 0 && !slices.ContainsFunc(heaps, func(want string) bool { return sameHeap(got, want) }) {
		problems = append(problems, Problem{"", fmt.Sprintf("SCONE_HEAP: got %.40q, want %s, with which the measurement of the policy was taken", got, strings.Join(heaps, " or ")), ""})
	}
	loader := env.values[dlopen]
	if loader == "" {
		loader = "0"
	}
	switch {
	case len(loaders) > 0 && !slices.Contains(loaders, loader):
		problems = append(problems, Problem{"", fmt.Sprintf("SCONE_ALLOW_DLOPEN: got %.40q, want %s, with which the measurement of the policy was taken", loader, strings.Join(loaders, " or ")), ""})
	case len(loaders) == 0 && loader != "0":
		problems = append(problems, Problem{"", fmt.Sprintf("SCONE_ALLOW_DLOPEN: got %.40q, want 0: the enclave could load libraries", loader), attest.AllowDlopen})
	}
	return problems
}

func sameHeap(a, b string) bool {
	x, err := policy.HeapBytes(a)
	if err != nil {
		return false
	}
	y, err := policy.HeapBytes(b)
	return err == nil && x == y
}

// assignment finds variables that a command sets.
func assignment() *regexp.Regexp {
	return regexp.MustCompile(`(?:^|[\s;&|(){}` + "`" + `"'])([A-Za-z_][A-Za-z0-9_]*)=((?:\$\{[^}]*\}|"[^"]*"|'[^']*'|[^\s;&|(){}])*)`)
}

// reference finds variables in the value of an assignment: $NAME, ${NAME}, and
// ${NAME%/*}, which is NAME without its last part.
func reference() *regexp.Regexp {
	return regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(%/\*)?\}|\$([A-Za-z_][A-Za-z0-9_]*)`)
}

// expand puts in the values that are known, and leaves other references.
func (e environment) expand(value string) string {
	value = strings.NewReplacer(`"`, "", "'", "").Replace(value)
	pattern := reference()
	return pattern.ReplaceAllStringFunc(value, func(text string) string {
		found := pattern.FindStringSubmatch(text)
		known, ok := e.values[found[1]+found[3]]
		switch {
		case !ok:
			return text
		case found[2] == "":
			return known
		}
		if i := strings.LastIndexByte(known, '/'); i >= 0 {
			return known[:i]
		}
		return known
	})
}

// unassigned finds what a command does to variables of the runtime and the loader beside
// assigning to them. Taking one of the loader away does no harm.
func unassigned() *regexp.Regexp {
	const runtime, either = `([A-Za-z0-9_]*SCONE_[A-Za-z0-9_]*)`, `((?:[A-Za-z0-9_]*SCONE_|LD_)[A-Za-z0-9_]*)`
	return regexp.MustCompile(`\b(?:unset|export\s+-n)\s[^;&|\n]*?\b` + runtime + `|(?:--unset[=\s]|-u\s*)` + runtime +
		`|\b(?:printf\s+-v|read)\b[^;&|\n]*?\b` + either + `|\$\{` + either + `:?=|\b` + either + `\+=`)
}

// emptied finds a command that starts something without the variables of its container.
func emptied() *regexp.Regexp {
	return regexp.MustCompile(`\benv\s+(?:(?:-\S+|\w+=\S*)\s+)*?(?:-i|-|--ignore-environment)(?:\s|$)`)
}

// ours reports whether a variable says under what a program runs.
func ours(name string) bool { return strings.Contains(name, "SCONE_") || loaderVariable(name) }

// substituted puts the variables into a command that Kubernetes puts in: $(NAME), and not
// $$(NAME).
func (e environment) substituted(word string) string {
	return regexp.MustCompile(`\$?\$\([A-Za-z_][A-Za-z0-9_]*\)`).ReplaceAllStringFunc(word, func(found string) string {
		name, once := strings.CutPrefix(found, "$(")
		value, known := e.values[strings.TrimSuffix(name, ")")]
		if !once || !known {
			return found
		}
		return value
	})
}

// command judges what a command makes of the environment of its container, if it sets
// variables of the runtime or the loader.
func (p Promise) command(env environment, words []string) []Problem {
	changed := environment{maps.Clone(env.values), env.refs}
	known := p.runtime(env) // of the container itself: said once
	sets := false
	var problems []Problem
	add := func(found []Problem) {
		for _, problem := range found {
			if !slices.Contains(known, problem) && !slices.Contains(problems, problem) {
				problems = append(problems, problem)
			}
		}
	}
	words = slices.Clone(words)
	for i := range words {
		words[i] = env.substituted(words[i])
	}
	whole := strings.Join(words, " ")
	if found := unassigned().FindStringSubmatch(whole); found != nil {
		return []Problem{{"", fmt.Sprintf("it changes %.100s in a way that is not read: want an assignment", strings.Join(found[1:], "")), ""}}
	}
	if emptied().MatchString(whole) {
		return []Problem{{"", "it starts something without the variables of its container", ""}}
	}
	for _, word := range words {
		for _, found := range assignment().FindAllStringSubmatch(word, -1) {
			name, value := found[1], found[2]
			if !ours(name) {
				continue
			}
			sets = true
			expanded := changed.expand(value)
			if strings.ContainsAny(expanded, "$`") {
				return []Problem{{"", fmt.Sprintf("it sets %s to %.100q, which cannot be read to its end", name, value), ""}}
			}
			changed.values[name] = expanded
			services, _ := p.services(changed)
			between := p.measured(changed, services) // of what may be set before the next program starts
			add(slices.DeleteFunc(p.runtime(changed), func(found Problem) bool { return slices.Contains(between, found) }))
		}
	}
	if sets {
		add(p.runtime(changed))
	}
	return problems
}
