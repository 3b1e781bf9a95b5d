package lint

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

// server is a service that runs MariaDB, and how.
type server struct {
	*input
	session.Service
	image session.Image
	// options are those of the command and of the files, by name with underscores.
	options map[string]string
	// configured means that a file of settings is in the session, or the command
	// names none.
	configured bool
}

// eachServer applies got to the services that run MariaDB; empty means no problem.
//
//go:noinline
func eachServer(got func(*server) string) finder {
	return func(in *input) []hit {
		var hits []hit
		for i, s := range in.Services {
			if len(s.Command) == 0 || !slices.Contains([]string{"mariadbd", "mysqld"}, path.Base(s.Command[0])) {
				continue
			}
			if text := got(newServer(in, s)); text != "" {
				hits = append(hits, hit{path: service(i), got: "service " + s.Name + ": " + text})
			}
		}
		return hits
	}
}

func newServer(in *input, s session.Service) *server {
	d := &server{input: in, Service: s, options: map[string]string{}}
	for _, image := range in.Images {
		if image.Name == s.ImageName {
			d.image = image
		}
	}
	arguments := commandOptions(s.Command[1:])
	only := arguments["defaults_file"]
	for _, f := range d.image.InjectionFiles {
		if f.Content != nil && (f.Path == only || only == "" && path.Ext(f.Path) == ".cnf") {
			d.configured = true
			readSettings(*f.Content, d.options)
		}
	}
	for name, value := range arguments {
		d.options[name] = value
	}
	return d
}

// commandOptions are the options of a command line: --name=value, --name value and --name.
func commandOptions(words []string) map[string]string {
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
		options[optionName(name)] = value
	}
	return options
}

func optionName(name string) string {
	return strings.TrimPrefix(strings.ToLower(strings.ReplaceAll(strings.TrimSpace(name), "-", "_")), "loose_")
}

// readSettings reads the sections of an option file that the server reads.
func readSettings(text string, into map[string]string) {
	section := regexp.MustCompile(`^(mysqld|mariadbd|mariadb|server)(-.*)?$`)
	ours := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			ours = section.MatchString(strings.TrimSuffix(name, "]"))
			continue
		}
		if line == "" || line[0] == '#' || line[0] == ';' || !ours {
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		into[optionName(name)] = strings.Trim(strings.TrimSpace(value), `'"`)
	}
}

// on reports whether a switch is on: it is there, and not turned off.
func (d *server) on(name string) bool {
	value, ok := d.options[name]
	return ok && !slices.Contains([]string{"0", "off", "false", "no"}, strings.ToLower(value))
}

func (d *server) listens() bool { return !d.on("skip_networking") }

// shielded reports whether SCONE's network shield demands TLS before MariaDB sees
// a byte.
func (d *server) shielded() bool {
	for name, value := range d.Environment {
		if strings.HasPrefix(name, "SCONE_NETWORK_SHIELD_SERVER") && value == "protected" {
			return true
		}
	}
	return false
}

// directory is the value of an option, and the volume of the image that holds it.
func (d *server) directory(option, otherwise string) (string, *session.ImageVolume) {
	dir := d.options[option]
	if dir == "" {
		dir = otherwise
	}
	dir = path.Clean(dir)
	return dir, d.volumeAt(dir)
}

// volumeAt is the volume of the image that holds a clean path, or nil.
func (d *server) volumeAt(dir string) *session.ImageVolume {
	var best *session.ImageVolume
	for i, v := range d.image.Volumes {
		mount := path.Clean(v.Path)
		if (dir == mount || mount == "/" || strings.HasPrefix(dir, mount+"/")) && (best == nil || len(mount) > len(path.Clean(best.Path))) {
			best = &d.image.Volumes[i]
		}
	}
	return best
}

// encrypted reports whether others cannot read a volume, as far as the session says.
func (d *server) encrypted(volume string) bool {
	return slices.ContainsFunc(d.Volumes, func(v session.Volume) bool { return v.Name == volume && v.Files != "authenticated-only" })
}

func unprotectedData(d *server) string {
	dir, v := d.directory("datadir", "/var/lib/mysql")
	switch {
	case d.FSPFPath != "" || v != nil && v.UpdatePolicy != "ephemeral" && v.UpdatePolicy != unprotected:
		return ""
	case v != nil:
		return fmt.Sprintf("datadir %s on volume %s with %s", dir, v.Name, v.UpdatePolicy)
	}
	return fmt.Sprintf("datadir %s on no volume", dir)
}

func unprotectedTemporaries(d *server) string {
	dir, v := d.directory("tmpdir", "/tmp")
	if d.FSPFPath != "" || v != nil && d.encrypted(v.Name) || dir == "/dev/shm" || strings.HasPrefix(dir, "/dev/shm/") {
		return ""
	}
	return fmt.Sprintf("tmpdir %s", dir)
}

func plainConnections(d *server) string {
	if !d.configured || !d.listens() || d.on("require_secure_transport") || d.shielded() {
		return ""
	}
	return "no require_secure_transport"
}

func grantsEverything(d *server) string {
	if !d.on("skip_grant_tables") || !d.listens() {
		return ""
	}
	return "skip_grant_tables without skip_networking"
}

// findOpenAccounts looks at what is injected into images whose services are not all
// behind the network shield.
func findOpenAccounts(in *input) []hit {
	var hits []hit
	for i, image := range in.Images {
		if in.allShielded(image.Name) {
			continue
		}
		for j, f := range image.InjectionFiles {
			if f.Content == nil {
				continue
			}
			for _, account := range openAccounts(*f.Content) {
				hits = append(hits, hit{path: fmt.Sprintf("images[%d].injection_files[%d].content", i, j), got: fmt.Sprintf("%s: %.60s without REQUIRE", f.Path, account)})
			}
		}
	}
	return hits
}

// allShielded reports whether an image is used, and by services behind the shield only.
func (in *input) allShielded(image string) bool {
	used := false
	for _, s := range in.Services {
		if s.ImageName != image {
			continue
		}
		used = true
		if d := (&server{input: in, Service: s}); !d.shielded() {
			return false
		}
	}
	return used
}

// openAccounts are the accounts that statements make, or open, without a
// requirement of TLS.
func openAccounts(sql string) []string {
	form := regexp.MustCompile(`(?is)^\s*(?:CREATE\s+(?:OR\s+REPLACE\s+)?USER(?:\s+IF\s+NOT\s+EXISTS)?|GRANT\s.*?\sTO)\s+('[^']*'(?:@'[^']*')?|[^\s,;]+)(.*)$`)
	required := regexp.MustCompile(`(?i)\bREQUIRE\s+(SSL|X509|SUBJECT|ISSUER|CIPHER)\b`)
	opened := regexp.MustCompile(`(?is)^\s*ALTER\s+USER\s+(?:IF\s+EXISTS\s+)?('[^']*'(?:@'[^']*')?|\S+).*\bREQUIRE\s+NONE\b`)
	var accounts []string
	for _, statement := range statements(sql) {
		if match := opened.FindStringSubmatch(statement); match != nil {
			accounts = append(accounts, match[1])
		}
		match := form.FindStringSubmatch(statement)
		if match == nil {
			continue
		}
		clauses := withoutTexts(match[2])
		if required.MatchString(clauses) || regexp.MustCompile(`(?i)\bACCOUNT\s+LOCK\b`).MatchString(clauses) {
			continue
		}
		isGrant := strings.HasPrefix(strings.ToUpper(strings.TrimSpace(statement)), "GRANT")
		if !isGrant || strings.Contains(strings.ToUpper(clauses), "IDENTIFIED") {
			accounts = append(accounts, match[1])
		}
	}
	return accounts
}

// withoutTexts empties what is quoted: a password may hold any word.
func withoutTexts(sql string) string {
	return regexp.MustCompile("'(?:[^'\\\\]|\\\\.)*'|\"(?:[^\"\\\\]|\\\\.)*\"").ReplaceAllString(sql, "''")
}

// statements splits SQL at semicolons that are not quoted, and leaves comments out.
func statements(sql string) []string {
	var all []string
	var one strings.Builder
	var quote byte
	for i := 0; i < len(sql); i++ {
		c := sql[i]
		switch {
		case quote != 0 && c == '\\' && quote != '`' && i+1 < len(sql):
			one.WriteByte(c)
			i++
			c = sql[i]
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"' || c == '`':
			quote = c
		case c == '#' || strings.HasPrefix(sql[i:], "-- ") || strings.HasPrefix(sql[i:], "--\n"):
			if end := strings.IndexByte(sql[i:], '\n'); end >= 0 {
				i += end
			} else {
				i = len(sql)
			}
			c = '\n'
		case c == ';':
			all = append(all, one.String())
			one.Reset()
			continue
		}
		one.WriteByte(c)
	}
	return append(all, one.String())
}
