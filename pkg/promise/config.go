package promise

import (
	"path"
	"slices"
	"strings"
)

// maxConfiguration bounds a configuration file, in bytes.
const maxConfiguration = 1 << 20

// readCommand reads the arguments of mariadbd.
func (p *Promise) readCommand(command []string) {
	if len(command) == 0 || !slices.Contains([]string{"mariadbd", "mysqld"}, path.Base(command[0])) {
		p.unclear("the service's command is not mariadbd")
		return
	}
	for i, argument := range command[1:] {
		option, isOption := strings.CutPrefix(argument, "--")
		name, value, hasValue := strings.Cut(option, "=")
		switch {
		case !isOption || strings.Contains(argument, "@@"):
			p.unclear("argument %d of the service's command", i+1)
		case name == "defaults-file" && i == 0 && hasValue:
			p.File = value
		case strings.HasPrefix(name, "defaults-") || name == "no-defaults" || name == "print-defaults":
			p.unclear("argument %d of the service's command chooses other configuration files", i+1)
		default:
			p.setting(name, value, !hasValue, FromCommand)
		}
	}
	if p.File == "" {
		p.unclear("the service's command does not begin by naming its configuration file")
	}
}

func (p *Promise) setting(name, value string, bare bool, origin Origin) {
	s := Setting{Name: strings.ReplaceAll(name, "-", "_"), Value: value, Bare: bare, Origin: origin}
	if strings.Contains(value, placeholder) {
		s.Value, s.Secret = "", true
	}
	p.Settings = append(p.Settings, s)
}

// serverGroups are the groups of a configuration file that every mariadbd reads.
func serverGroups() []string {
	return []string{"mysqld", "server", "mariadb", "mariadbd", "client-server"}
}

// readFile reads a configuration file (MariaDB: Configuring MariaDB with Option Files).
// Settings of a command line come after those of a file.
func (p *Promise) readFile(text string) {
	if len(text) > maxConfiguration {
		p.unclear("a configuration file of %d bytes", len(text))
		return
	}
	later := p.Settings
	p.Settings = nil
	group := ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '!':
			p.unclear("line %d of the configuration file reads another file", i+1)
		case line[0] == '[':
			if group = strings.TrimSuffix(line[1:], "]"); strings.HasPrefix(group, "mariadb-") || strings.HasPrefix(group, "mariadbd-") || strings.HasPrefix(group, "mysqld-") || group == "galera" {
				p.unclear("line %d of the configuration file: a group for some servers", i+1)
			}
		case slices.Contains(serverGroups(), group):
			p.readLine(i+1, line)
		}
	}
	p.Settings = append(p.Settings, later...)
}

// readLine reads one option. What MariaDB would read as an escape, a quote in the middle
// or a comment at the end is not understood.
func (p *Promise) readLine(number int, line string) {
	name, value, hasValue := strings.Cut(line, "=")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if n := len(value); n >= 2 && (value[0] == '\'' || value[0] == '"') && value[n-1] == value[0] {
		value = value[1 : n-1]
	}
	if name == "" || strings.ContainsAny(name, " \t'\"#\\") || strings.ContainsAny(value, `'"#\`) {
		p.unclear("line %d of the configuration file", number)
		return
	}
	p.setting(name, value, !hasValue, FromFile)
}
