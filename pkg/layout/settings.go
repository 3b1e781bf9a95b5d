package layout

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/confidb/confidb/pkg/session"
)

// settings is what a server reads when it starts, as far as the session says.
type settings struct {
	// host says which files the host can write; elsewhere says what makes the files of
	// the session not all that counts.
	host, elsewhere []string
	seen            map[string]bool
}

// usualSettings are the files that a server reads to which nobody names one, as
// distributions build it.
func usualSettings() []string {
	return []string{"/etc/my.cnf", "/etc/mysql/my.cnf", "/etc/mysql/mariadb.cnf", "/usr/etc/my.cnf", "/usr/local/etc/my.cnf", "/usr/local/mysql/etc/my.cnf"}
}

// readFiles reads the files of settings that the server reads (MariaDB: Configuring
// MariaDB with Option Files).
func (d *Server) readFiles(arguments map[string]string) {
	d.settings.seen = map[string]bool{}
	injected := slices.ContainsFunc(d.Image.InjectionFiles, func(f session.InjectionFile) bool { return path.Ext(f.Path) == ".cnf" })
	suffix := d.groupSuffix(arguments)
	if _, none := arguments["no_defaults"]; none {
		d.Configured = true
		if injected {
			d.elsewhere("--no-defaults: the settings of the session are not read")
		}
		return
	}
	only, named := arguments["defaults_file"]
	for _, f := range d.Image.InjectionFiles {
		if f.Content != nil && (f.Path == only || !named && path.Ext(f.Path) == ".cnf") {
			d.Configured = true
			d.readSettings(f.Path, *f.Content, suffix)
		}
	}
	if named {
		d.readNamed("--defaults-file", only, suffix)
		if injected && d.Injected(only) == nil {
			d.elsewhere(fmt.Sprintf("--defaults-file %.80s: the settings of the session are not read", only))
		}
	}
	if !named && !slices.ContainsFunc(usualSettings(), func(name string) bool { return d.Injected(name) != nil || d.Kept(name) }) {
		d.settings.host = append(d.settings.host, "without --defaults-file, and without a file of the session where a server looks, "+usualSettings()[0])
	}
	if extra, ok := arguments["defaults_extra_file"]; ok {
		d.readNamed("--defaults-extra-file", extra, suffix)
	}
	for _, variable := range []string{"MYSQL_HOME", "MARIADB_HOME"} {
		if home := d.Environment[variable]; home != "" && !named {
			d.readNamed(variable, path.Join(home, "my.cnf"), suffix)
		}
	}
}

func (d *Server) groupSuffix(arguments map[string]string) string {
	suffix := d.Environment["MYSQL_GROUP_SUFFIX"]
	if given, ok := arguments["defaults_group_suffix"]; ok {
		suffix = given
	}
	if suffix != "" {
		d.elsewhere(fmt.Sprintf("groups with the suffix %.80q count too", suffix))
	}
	return suffix
}

func (d *Server) elsewhere(what string) { d.settings.elsewhere = append(d.settings.elsewhere, what) }

// readNamed reads a file that something names: one of the session, or one that the host
// cannot write.
func (d *Server) readNamed(by, name, suffix string) {
	f := d.Injected(name)
	switch {
	case f != nil && f.Content != nil:
		if d.settings.seen[path.Clean(name)] {
			return
		}
		d.Configured = true
		d.readSettings(f.Path, *f.Content, suffix)
	case !d.Kept(name):
		d.settings.host = append(d.settings.host, fmt.Sprintf("%s %.80s", by, name))
	}
}

// Injected finds a file of the session; nil if it is not there.
func (d *Server) Injected(name string) *session.InjectionFile {
	for i, f := range d.Image.InjectionFiles {
		if path.IsAbs(name) && path.Clean(f.Path) == path.Clean(name) {
			return &d.Image.InjectionFiles[i]
		}
	}
	return nil
}

// Kept reports whether the host cannot write what is at a path, which the session does
// not hold.
func (d *Server) Kept(name string) bool {
	return d.FSPFPath != "" || path.IsAbs(name) && !strings.ContainsAny(name, `$@\`) && d.VolumeAt(path.Clean(name)) != nil
}

// readSettings reads the sections of an option file that the server reads, and the files
// that it includes.
func (d *Server) readSettings(name, text, suffix string) {
	if d.settings.seen[path.Clean(name)] {
		return
	}
	d.settings.seen[path.Clean(name)] = true
	ours := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch match := includeLine().FindStringSubmatch(line); {
		case match != nil:
			d.include(match[1], strings.Trim(match[2], `'"`), suffix)
		case strings.HasPrefix(line, "["):
			group, _, _ := strings.Cut(line[1:], "]")
			ours = isServerGroup(strings.TrimSpace(group), suffix)
		case line == "" || strings.ContainsRune("#;!", rune(line[0])) || !ours:
		default:
			name, value, _ := strings.Cut(line, "=")
			setOption(d.Options, name, plainValue(value))
		}
	}
}

// isServerGroup reports whether a server reads the group of a name.
func isServerGroup(name, suffix string) bool {
	for _, group := range []string{"mysqld", "mariadbd", "mariadb", "server", "client-server"} {
		if rest, ok := strings.CutPrefix(name, group); ok && (rest == "" || rest == suffix || rest[0] == '-') {
			return true
		}
	}
	return false
}

var includeLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^!\s*(include|includedir)\s+(.*)$`) })

var commentBehind = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\s#|^#`) })

// plainValue is a value without quotes and without the comment behind it.
func plainValue(value string) string {
	value = strings.TrimSpace(value)
	if value != "" && (value[0] == '\'' || value[0] == '"') {
		if end := strings.IndexByte(value[1:], value[0]); end >= 0 {
			return value[1 : end+1]
		}
	}
	if at := commentBehind().FindStringIndex(value); at != nil {
		value = value[:at[0]]
	}
	return strings.Trim(strings.TrimSpace(value), `'"`)
}

func (d *Server) include(what, name, suffix string) {
	if what == "include" {
		d.readNamed("!include", name, suffix)
		return
	}
	for _, f := range d.Image.InjectionFiles {
		if path.IsAbs(name) && path.Dir(path.Clean(f.Path)) == path.Clean(name) && f.Content != nil {
			if path.Ext(f.Path) == ".cnf" {
				d.readSettings(f.Path, *f.Content, suffix)
			}
		}
	}
	if !d.Kept(name) { // the host adds a file to those of the session
		d.settings.host = append(d.settings.host, fmt.Sprintf("!includedir %.80s", name))
	}
}

// HostSettings says which files of settings the host can write.
func HostSettings(d *Server) string { return strings.Join(d.settings.host, ", ") }

// SettingsElsewhere says why the files of the session are not all that counts.
func SettingsElsewhere(d *Server) string { return strings.Join(d.settings.elsewhere, ", ") }

// HostCode finds plugins, statements and keys that the host writes. The folders of the
// image for libraries are not looked at: SCONE has rules of its own for what is loaded.
func HostCode(d *Server) string {
	var found []string
	libraries := regexp.MustCompile(`^/usr/(local/)?lib[^/]*(/|$)|^/opt/`)
	add := func(option, name string) {
		f := d.Injected(name)
		if name != "" && (f == nil || f.Content == nil) && !d.Kept(name) {
			found = append(found, fmt.Sprintf("%s %.80s", option, name))
		}
	}
	if dir := d.Option("plugin_dir", ""); !libraries.MatchString(path.Clean(dir)) {
		add("plugin_dir", dir)
	}
	for _, option := range []string{"plugin_load", "plugin_load_add"} {
		for name := range strings.SplitSeq(d.Option(option, ""), ";") {
			_, library, both := strings.Cut(name, "=")
			if !both {
				library = name
			}
			if strings.Contains(library, "/") && !libraries.MatchString(path.Clean(library)) {
				add(option, library)
			}
		}
	}
	add("init_file", d.Option("init_file", ""))
	add("file_key_management_filename", d.Option("file_key_management_filename", ""))
	return strings.Join(found, ", ")
}

// CommandOptions are the options of a command line: --name=value, --name value and --name.
func CommandOptions(words []string) map[string]string {
	options := map[string]string{}
	for i, word := range words {
		option, ok := strings.CutPrefix(word, "--")
		if !ok {
			continue
		}
		name, value, given := strings.Cut(option, "=")
		if !given && i+1 < len(words) && !strings.HasPrefix(words[i+1], "-") {
			value = words[i+1]
		}
		setOption(options, name, value)
	}
	return options
}

// setOption sets an option. MariaDB turns a switch on and off by words before its name.
func setOption(options map[string]string, name, value string) {
	name = OptionName(name)
	switch {
	case name == "skip_require_secure_transport":
		name, value = "require_secure_transport", "0"
	case strings.HasPrefix(name, "disable_"):
		name, value = strings.TrimPrefix(name, "disable_"), "0"
	case strings.HasPrefix(name, "enable_"):
		name, value = strings.TrimPrefix(name, "enable_"), "1"
	case name == "plugin_load_add" && options[name] != "":
		value = options[name] + ";" + value
	}
	options[name] = value
}

// OptionName is the name of an option as MariaDB compares it.
func OptionName(name string) string {
	return strings.TrimPrefix(strings.ToLower(strings.ReplaceAll(strings.TrimSpace(name), "-", "_")), "loose_")
}
