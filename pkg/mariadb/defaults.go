package mariadb

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

//go:embed defaults/*.tsv
var defaultFiles embed.FS

// defaults is what a version of MariaDB is when nothing was set and nothing was made. The
// files are made from servers by go run ./test/mariadb-defaults.
type defaults struct {
	version   string            // as the server says it
	variables map[string]string // global values by name
	plugins   []plugin
	objects   []object
}

// Tabulate asks a server that was just initialised, and was given no option but where it
// may write, what it is, and writes that down as one of the files of this package.
func Tabulate(ctx context.Context, server Querier) ([]byte, error) {
	session := ask(ctx, server, sessionQuery, readSession)
	variables := askVariables(ctx, server)
	plugins := askPlugins(ctx, server)
	objects := askObjects(ctx, server)
	if err := errors.Join(session.err, variables.err, plugins.err, objects.err); err != nil {
		return nil, fmt.Errorf("tabulating a server: %w", err)
	}
	lines := []string{line("version", session.value.version)}
	for _, name := range slices.Sorted(keys(variables.value)) {
		if v := variables.value[name]; v.global && v.origin == originDefault && !slices.Contains(hostDependent(), name) {
			lines = append(lines, line("variable", name, v.value))
		}
	}
	for _, p := range plugins.value {
		lines = append(lines, line("plugin", p.name, p.kind, p.status, p.loadOption))
	}
	for _, o := range objects.value.system {
		lines = append(lines, line("object", o.kind, o.schema, o.name, o.definer, o.security, o.digest))
	}
	slices.Sort(lines[1:])
	return []byte(strings.Join(lines, "")), nil
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

// tablesOfDefaults are the files, by major and minor version.
func tablesOfDefaults() (map[string]*defaults, error) {
	files, err := defaultFiles.ReadDir("defaults")
	if err != nil {
		return nil, err
	}
	all := map[string]*defaults{}
	for _, file := range files {
		text, err := defaultFiles.ReadFile("defaults/" + file.Name())
		if err != nil {
			return nil, err
		}
		d, err := parseDefaults(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.Name(), err)
		}
		all[strings.TrimSuffix(file.Name(), ".tsv")] = d
	}
	return all, nil
}

func parseDefaults(text []byte) (*defaults, error) {
	d := &defaults{variables: map[string]string{}}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		f, err := fields(lines.Text())
		switch {
		case err != nil:
			return nil, err
		case f[0] == "version" && len(f) == 2:
			d.version = f[1]
		case f[0] == "variable" && len(f) == 3:
			d.variables[f[1]] = f[2]
		case f[0] == "plugin" && len(f) == 5:
			d.plugins = append(d.plugins, plugin{name: f[1], kind: f[2], status: f[3], loadOption: f[4]})
		case f[0] == "object" && len(f) == 7:
			d.objects = append(d.objects, object{f[1], f[2], f[3], f[4], f[5], f[6]})
		default:
			return nil, fmt.Errorf("line %.40q", lines.Text())
		}
	}
	return d, lines.Err()
}

// defaultsOf are those of a server's version. exact is false if they were made from another
// patch of it. Nil means that there is no file for it.
func defaultsOf(version string) (d *defaults, exact bool) {
	all, err := tablesOfDefaults()
	if err != nil {
		return nil, false // a test reads every file
	}
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 3 {
		return nil, false
	}
	d = all[parts[0]+"."+parts[1]]
	return d, d != nil && versionNumber(d.version) == versionNumber(version)
}
