// Package baseline says what a version of MariaDB is when nothing was set and nothing was
// made, and what a server is beside that and beside its session: settings, plugins, and
// objects in the databases of its own. It asks nothing itself.
package baseline

import (
	"bufio"
	"bytes"
	"embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

//go:embed defaults/*.tsv
var defaultFiles embed.FS

// Baseline is what a version of MariaDB is when nothing was set and nothing was made. The
// files are made from servers by go run ./test/mariadb-defaults.
type Baseline struct {
	Version   string            // as the server says it
	Variables map[string]string // global values by name
	Plugins   []Plugin
	Objects   []Object
}

// Plugin is a row of information_schema.PLUGINS. One that is built in has no library.
type Plugin struct {
	Name, Kind, Status, Library, LoadOption string
}

// Object is something that is stored in a database: a table, view, trigger, routine or event.
type Object struct {
	Kind, Schema, Name string
	// Definer and Security say as whom it runs: user@host, and DEFINER or INVOKER.
	Definer, Security string
	// Digest is that of its text, or the engine of a table.
	Digest string
}

func (o Object) String() string { return fmt.Sprintf("%s %q.%q", o.Kind, o.Schema, o.Name) }

// Kinds of objects; those of routines are MariaDB's words.
const (
	Table   = "TABLE"
	View    = "VIEW"
	Trigger = "TRIGGER"
	Event   = "EVENT"
)

// New makes a baseline of what a server is that was just initialised, and was given no
// option but where it may write.
func New(version string, variables map[string]Variable, plugins []Plugin, objects []Object) *Baseline {
	b := &Baseline{Version: version, Variables: map[string]string{}, Plugins: plugins, Objects: objects}
	for name, v := range variables {
		if v.Global && v.Origin == OriginDefault && !slices.Contains(hostDependent(), name) {
			b.Variables[name] = v.Value
		}
	}
	return b
}

// Text writes a baseline as Parse reads it: a line for each fact, sorted.
func (b *Baseline) Text() []byte {
	lines := []string{line("version", b.Version)}
	for name, value := range b.Variables {
		lines = append(lines, line("variable", name, value))
	}
	for _, p := range b.Plugins {
		lines = append(lines, line("plugin", p.Name, p.Kind, p.Status, p.LoadOption))
	}
	for _, o := range b.Objects {
		lines = append(lines, line("object", o.Kind, o.Schema, o.Name, o.Definer, o.Security, o.Digest))
	}
	slices.Sort(lines[1:])
	return []byte(strings.Join(lines, ""))
}

// line writes fields between tabs, those that are no plain words in Go's quotes.
func line(fields ...string) string {
	for i, field := range fields {
		if quoted := strconv.Quote(field); quoted != `"`+field+`"` || field == "" {
			fields[i] = quoted
		}
	}
	return strings.Join(fields, "\t") + "\n"
}

func fields(line string) ([]string, error) {
	all := strings.Split(line, "\t")
	for i, field := range all {
		if strings.HasPrefix(field, `"`) {
			unquoted, err := strconv.Unquote(field)
			if err != nil {
				return nil, err
			}
			all[i] = unquoted
		}
	}
	return all, nil
}

// readFiles are the files, by major and minor version.
func readFiles() (map[string]*Baseline, error) {
	files, err := defaultFiles.ReadDir("defaults")
	if err != nil {
		return nil, err
	}
	all := map[string]*Baseline{}
	for _, file := range files {
		text, err := defaultFiles.ReadFile("defaults/" + file.Name())
		if err != nil {
			return nil, err
		}
		d, err := Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.Name(), err)
		}
		all[strings.TrimSuffix(file.Name(), ".tsv")] = d
	}
	return all, nil
}

// Parse reads what Text wrote.
func Parse(text []byte) (*Baseline, error) {
	d := &Baseline{Variables: map[string]string{}}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		f, err := fields(lines.Text())
		switch {
		case err != nil:
			return nil, err
		case f[0] == "version" && len(f) == 2:
			d.Version = f[1]
		case f[0] == "variable" && len(f) == 3:
			d.Variables[f[1]] = f[2]
		case f[0] == "plugin" && len(f) == 5:
			d.Plugins = append(d.Plugins, Plugin{Name: f[1], Kind: f[2], Status: f[3], LoadOption: f[4]})
		case f[0] == "object" && len(f) == 7:
			d.Objects = append(d.Objects, Object{f[1], f[2], f[3], f[4], f[5], f[6]})
		default:
			return nil, fmt.Errorf("line %.40q", lines.Text())
		}
	}
	return d, lines.Err()
}

// Of is the baseline of a server's version. exact is false if it was made from
// another patch of it. Nil means that there is no file for it.
func Of(version string) (d *Baseline, exact bool) {
	all, err := readFiles()
	if err != nil {
		return nil, false // a test reads every file
	}
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 3 {
		return nil, false
	}
	d = all[parts[0]+"."+parts[1]]
	return d, d != nil && Number(d.Version) == Number(version)
}

// Number is 101119 for 10.11.19-MariaDB, and 0 for what it cannot read.
func Number(version string) int {
	var major, minor, patch int
	if n, err := fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch); n != 3 || err != nil {
		return 0
	}
	return major*10000 + minor*100 + patch
}
