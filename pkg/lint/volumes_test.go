package lint_test

import (
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

func TestOwnTemplateProtectsItsFiles(t *testing.T) {
	for _, s := range ownSessions(t) {
		problems := lint.UnprotectedPaths(s)
		isDatabase := len(s.Volumes) > 0
		if isDatabase && len(problems) > 0 {
			t.Errorf("%s: %q", s.Name, problems)
		}
		if !isDatabase && len(problems) != 1 {
			t.Errorf("%s, which runs no database: %q", s.Name, problems)
		}
	}
}

// changed is the session of the database after some replacements, each of the first
// place only.
func changed(t *testing.T, replacements ...string) *session.Session {
	t.Helper()
	text := ownRelease(t).Session(topology.Database).Text
	for i := 0; i < len(replacements); i += 2 {
		next := strings.Replace(text, replacements[i], replacements[i+1], 1)
		if next == text {
			t.Fatalf("the session has no %q", replacements[i])
		}
		text = next
	}
	parsed, err := session.Parse("database.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

const (
	dataVolume = "      - name: data\n        path: /var/lib/mysql\n        update_policy: rollback_protected\n      - name: tmp\n        path: /var/lib/mysql-tmp\n        update_policy: ephemeral\n    injection_files:\n      - path: /run/confidb/my.cnf"
	tmpdir     = "          tmpdir = /var/lib/mysql-tmp\n          socket = /run"
)

// Whatever leaves a file of the server to the host is named; each case changes one
// thing of a session that protects all.
func TestUnprotectedPaths(t *testing.T) {
	volume := func(old, new string) []string { return []string{dataVolume, strings.Replace(dataVolume, old, new, 1)} }
	setting := func(line string) []string { return []string{tmpdir, "          " + line + "\n" + tmpdir} }
	for name, c := range map[string]struct {
		change []string
		want   string // empty: as good
	}{
		"as it is":                      {nil, ""},
		"no rollback protection":        {volume("rollback_protected", "no_rollback_protection"), "service db: datadir /var/lib/mysql/data: its volume data has update_policy"},
		"ephemeral data":                {volume("rollback_protected", "ephemeral"), "service db: datadir"},
		"an update policy left to CAS":  {volume("        update_policy: rollback_protected\n", ""), `has update_policy ""`},
		"another path":                  {volume("path: /var/lib/mysql\n", "path: /var/lib/mysql2\n"), "datadir /var/lib/mysql/data: it is on no volume"},
		"a path that begins the same":   {volume("path: /var/lib/mysql\n", "path: /var/lib/mysql/dat\n"), "datadir /var/lib/mysql/data: it is on no volume"},
		"a volume of its own":           {volume("path: /var/lib/mysql\n", "path: /var/lib/mysql/data\n"), ""},
		"a volume above all":            {volume("path: /var/lib/mysql\n", "path: /\n"), ""},
		"an undeclared volume":          {volume("name: data", "name: dota"), "does not declare its volume dota"},
		"files left to CAS":             {[]string{"- name: data\n    files: encrypted\n", "- name: data\n"}, `has files ""`},
		"authenticated only":            {[]string{"- name: data\n    files: encrypted", "- name: data\n    files: authenticated-only"}, "authenticated-only"},
		"authenticated only, for tmp":   {[]string{"- name: tmp\n    files: encrypted", "- name: tmp\n    files: authenticated-only"}, "tmpdir /var/lib/mysql-tmp: its volume tmp has files"},
		"a key in the session":          {[]string{"- name: data\n    files: encrypted\n", "- name: data\n    files: encrypted\n    fspf_key: " + strings.Repeat("ab", 32) + "\n"}, "the key or the tag"},
		"a tag in the session":          {[]string{"- name: data\n    files: encrypted\n", "- name: data\n    files: encrypted\n    fspf_tag: " + strings.Repeat("ab", 16) + "\n"}, "the key or the tag"},
		"exported":                      {[]string{"- name: data\n    files: encrypted\n", "- name: data\n    files: encrypted\n    export: {session: other}\n"}, "shared with another session"},
		"imported":                      {[]string{"- name: data\n    files: encrypted\n", "- name: data\n    files: encrypted\n    import: {session: other, volume: data}\n"}, "shared with another session"},
		"tmpdir elsewhere":              {[]string{tmpdir, strings.Replace(tmpdir, "mysql-tmp", "temporary", 1)}, "tmpdir /var/lib/temporary: it is on no volume"},
		"a second tmpdir":               {[]string{tmpdir, strings.Replace(tmpdir, "mysql-tmp", "mysql-tmp:/tmp", 1)}, "tmpdir /tmp: it is on no volume"},
		"a tmpdir in the host's memory": {[]string{tmpdir, strings.Replace(tmpdir, "/var/lib/mysql-tmp", "/dev/shm", 1)}, "tmpdir /dev/shm: it is on no volume"},
		"no tmpdir":                     {[]string{tmpdir, "          socket = /run"}, "tmpdir /tmp: it is on no volume"},
		"tmpdir with the data":          {[]string{tmpdir, strings.Replace(tmpdir, "mysql-tmp", "mysql/tmp", 1)}, ""},
		"a later tmpdir":                {[]string{tmpdir, strings.Replace(tmpdir, "\n", "\n          tmpdir=/tmp\n", 1)}, "tmpdir /tmp: it is on no volume"},
		"datadir cut short":             {setting("datadi = /tmp"), "option datadi"},
		"datadir with a prefix":         {setting("loose-datadir = /tmp"), "datadir /tmp: it is on no volume"},
		"logs elsewhere":                {setting("log_bin_index = /tmp/x"), "log_bin_index /tmp/x: it is on no volume"},
		"redo log elsewhere":            {setting("innodb-log-group-home-dir = /tmp"), "innodb_log_group_home_dir /tmp"},
		"redo log with the data":        {setting("innodb_log_group_home_dir = /var/lib/mysql/redo"), ""},
		"redo log out of the data":      {setting("innodb_log_group_home_dir = ../../../tmp"), "want a name, or an absolute path"},
		"a way out of the data":         {setting("innodb_undo_directory = /var/lib/mysql/../../tmp"), "innodb_undo_directory /var/lib/mysql/../../tmp: it is on no volume"},
		"scratch elsewhere":             {setting("innodb_tmpdir = /tmp"), "innodb_tmpdir /tmp"},
		"chroot":                        {setting("chroot = /tmp"), "option chroot"},
		"a file of the host's":          {setting("!include /etc/my.cnf"), "includes other files"},
		"another log switch":            {setting("general_log = OFF"), ""},
		"a datadir of the command":      {[]string{"      - --init-file=/run/confidb/accounts.sql", "      - --datadir=/tmp"}, "datadir /tmp"},
		"a short option":                {[]string{"      - --init-file=/run/confidb/accounts.sql", "      - -h/tmp"}, `argument "-h/tmp"`},
		"an argument of the host's":     {[]string{"      - --init-file=/run/confidb/accounts.sql", "      - '@@1'"}, `argument "@@1"`},
		"a value of the host's":         {[]string{"      - --init-file=/run/confidb/accounts.sql", "      - --datadir=@@1"}, "argument"},
		"more settings":                 {[]string{"      - --init-file=/run/confidb/accounts.sql", "      - --defaults-extra-file=/etc/my.cnf"}, "names other settings"},
		"settings of the host's":        {[]string{"--defaults-file=/run/confidb/my.cnf", "--defaults-file=/etc/my.cnf"}, "its option file is not in the session"},
		"no settings at all":            {[]string{"      - --defaults-file=/run/confidb/my.cnf\n", ""}, "its option file is not in the session"},
		"init unprotected":              {[]string{"tmpdir = /var/lib/mysql-tmp\n          init_file", "tmpdir = /tmp\n          init_file"}, "service init: tmpdir /tmp"},
	} {
		t.Run(name, func(t *testing.T) {
			problems := lint.UnprotectedPaths(changed(t, c.change...))
			if got := strings.Join(problems, "; "); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestNoDatabaseInTheSession(t *testing.T) {
	s := changed(t)
	for i := range s.Services {
		s.Services[i].Command, s.Services[i].Attestation = []string{"sleep", "1"}, nil
	}
	if got := lint.UnprotectedPaths(s); len(got) != 1 || got[0] != "no service runs mariadbd" {
		t.Errorf("got %q", got)
	}
}

// A service that is the server under another name, or whose command is the host's, counts
// as one whose files are anybody's, also beside one that protects all.
func TestServerUnderAnotherName(t *testing.T) {
	for name, c := range map[string]struct {
		command []string
		want    string
	}{
		"behind a shell":         {[]string{"sh", "-c", "exec mariadbd"}, "it may run MariaDB"},
		"behind another program": {[]string{"env", "/usr/sbin/mysqld", "--datadir=/tmp"}, "it may run MariaDB"},
		"by another name":        {[]string{"entrypoint"}, "it may run MariaDB"},
		"the host's command":     {nil, "the session does not say what it runs"},
	} {
		s := changed(t)
		for i := range s.Services {
			if s.Services[i].Name == "db" {
				s.Services[i].Command = c.command
			}
		}
		if got := strings.Join(lint.UnprotectedPaths(s), "; "); !strings.Contains(got, "service db: "+c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
