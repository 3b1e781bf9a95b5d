package lint

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/layout"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
)

// UnprotectedPaths says of each service that runs MariaDB which of its files a host
// could write or read, as far as the session says. A session without such a service
// is a problem, too. Unlike the rules, it takes nothing for granted: a setting that
// the session leaves to the host, and a volume of which it does not say all, count as
// unprotected; so does a service that may be MariaDB under another name.
func UnprotectedPaths(s *session.Session) []string {
	in := newInput(s, nil)
	var problems []string
	servers := slices.DeleteFunc(slices.Clone(s.Services), func(v session.Service) bool { return !layout.RunsServer(v) })
	for _, service := range s.Services {
		var found []string
		switch {
		case layout.RunsServer(service):
			found = (&server{layout.NewServer(in.Set, service)}).unprotectedPaths()
		case len(service.Command) == 0:
			found = []string{"the session does not say what it runs"}
		case startsServer(service), slices.ContainsFunc(servers, func(v session.Service) bool { return sameEnclave(v, service) }):
			found = []string{fmt.Sprintf("it may run MariaDB, by the command %.80q, which is not read", service.Command[0])}
		}
		for _, problem := range found {
			problems = append(problems, fmt.Sprintf("service %s: %s", service.Name, problem))
		}
	}
	if len(servers) == 0 && len(problems) == 0 {
		return []string{"no service runs mariadbd"}
	}
	return problems
}

// startsServer reports whether a command names the server behind another program.
func startsServer(v session.Service) bool {
	return slices.ContainsFunc(strings.Fields(strings.Join(v.Command, " ")), layout.IsServer)
}

// sameEnclave reports whether two services admit one measurement: what a program is
// called says nothing of which one it is.
func sameEnclave(a, b session.Service) bool {
	for _, one := range a.Attestation {
		for _, other := range b.Attestation {
			measured := slices.ContainsFunc(one.MRENCLAVEs, func(m sgx.Measurement) bool { return slices.Contains(other.MRENCLAVEs, m) })
			named := slices.ContainsFunc(one.MRENCLAVEFragments, func(f string) bool { return slices.Contains(other.MRENCLAVEFragments, f) })
			if measured || named || one.Fragment != "" && one.Fragment == other.Fragment {
				return true
			}
		}
	}
	return false
}

// dataOptions name files that the server writes, below datadir unless they say
// otherwise.
func dataOptions() []string {
	return []string{
		"innodb_data_home_dir", "innodb_log_group_home_dir", "innodb_undo_directory", "innodb_data_file_path", "innodb_temp_data_file_path",
		"innodb_buffer_pool_filename", "aria_log_dir_path", "log_bin", "log_bin_index", "log_basename", "relay_log", "relay_log_index", "relay_log_info_file",
		"master_info_file", "general_log_file", "slow_query_log_file", "log_slow_query_file", "log_tc", "rocksdb_datadir",
	}
}

// scratchOptions name folders for temporary files; without them, tmpdir is used.
func scratchOptions() []string { return []string{"innodb_tmpdir", "slave_load_tmpdir"} }

// Where a server keeps files whose session does not say it.
const (
	defaultData    = "/var/lib/mysql"
	defaultScratch = "/tmp"
)

func (d *server) unprotectedPaths() []string {
	problems := d.leftToTheHost()
	data := d.Option("datadir", defaultData)
	problems = append(problems, d.exposed("datadir", data, false)...)
	for _, name := range dataOptions() {
		value := d.Option(name, "")
		switch {
		case path.IsAbs(value):
			problems = append(problems, d.exposed(name, value, false)...)
		case strings.Contains(value, "/"):
			problems = append(problems, fmt.Sprintf("%s %.80s: want a name, or an absolute path", name, value))
		}
	}
	problems = append(problems, d.exposed("tmpdir", d.Option("tmpdir", defaultScratch), true)...)
	for _, name := range scratchOptions() {
		if value := d.Option(name, ""); value != "" {
			problems = append(problems, d.exposed(name, value, true)...)
		}
	}
	return problems
}

// leftToTheHost finds settings that are not in the session, or that this package
// does not read as MariaDB does.
func (d *server) leftToTheHost() []string {
	var problems []string
	only := layout.CommandOptions(d.Command[1:])["defaults_file"]
	if only == "" || !d.Configured {
		problems = append(problems, "its option file is not in the session")
	}
	for _, word := range d.Command[1:] {
		name, _, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
		switch {
		case !strings.HasPrefix(word, "--") || strings.Contains(word, "@@") || strings.Contains(word, "$$"):
			problems = append(problems, fmt.Sprintf("argument %.80q is not --name=value", word))
		case slices.Contains([]string{"defaults_extra_file", "defaults_group_suffix", "no_defaults"}, layout.OptionName(name)):
			problems = append(problems, fmt.Sprintf("argument %.80q names other settings", word))
		}
	}
	for name := range d.Options {
		if name == "chroot" || abbreviated(name) {
			problems = append(problems, fmt.Sprintf("option %.80s moves files, or its name is cut short", name))
		}
	}
	slices.Sort(problems)
	for _, f := range d.Image.InjectionFiles {
		if f.Path == only && f.Content != nil && includes(*f.Content) {
			problems = append(problems, fmt.Sprintf("%.80s includes other files", f.Path))
		}
	}
	return problems
}

func includes(settings string) bool {
	for line := range strings.Lines(settings) {
		if strings.HasPrefix(strings.TrimSpace(line), "!") {
			return true
		}
	}
	return false
}

// abbreviated reports whether a name is the beginning of that of an option which
// names files: MariaDB takes it for that one.
func abbreviated(name string) bool {
	watched := slices.Concat([]string{"datadir", "tmpdir", "chroot"}, dataOptions(), scratchOptions())
	switches := []string{"general_log", "slow_query_log", "log_slow_query"} // options of their own
	if name == "" || slices.Contains(watched, name) || slices.Contains(switches, name) {
		return false
	}
	return slices.ContainsFunc(watched, func(full string) bool { return strings.HasPrefix(full, name) })
}

// exposed says why a host can read or write a path, if it can. Several folders are
// separated by colons.
func (d *server) exposed(option, paths string, scratch bool) []string {
	var problems []string
	for dir := range strings.SplitSeq(paths, ":") {
		if why := d.exposure(dir, scratch); why != "" {
			problems = append(problems, fmt.Sprintf("%s %.80s: %s", option, dir, why))
		}
	}
	return problems
}

// makesOnly reports whether a volume is for making databases only: no server that others can
// connect to has it. What is made there is what this session makes of nothing, so that an
// older state is as good as any; it counts once a program has taken it over.
func (d *server) makesOnly(volume string) bool {
	if d.Listens() {
		return false
	}
	return !slices.ContainsFunc(d.Services, func(s session.Service) bool {
		has := slices.ContainsFunc(d.ImageOf(s.ImageName).Volumes, func(v session.ImageVolume) bool { return v.Name == volume })
		return has && layout.RunsServer(s) && layout.NewServer(d.Set, s).Listens()
	})
}

func (d *server) exposure(dir string, scratch bool) string {
	if !path.IsAbs(dir) || strings.ContainsAny(dir, `$@\`) {
		return "the session does not say where that is"
	}
	v := d.VolumeAt(path.Clean(dir))
	if v == nil {
		return "it is on no volume of the session"
	}
	i := slices.IndexFunc(d.Volumes, func(declared session.Volume) bool { return declared.Name == v.Name })
	switch {
	case i < 0:
		return "the session does not declare its volume " + v.Name
	case v.UpdatePolicy == unprotected && d.makesOnly(v.Name):
	case v.UpdatePolicy != "rollback_protected" && !(scratch && v.UpdatePolicy == "ephemeral"):
		return fmt.Sprintf("its volume %s has update_policy %q, want rollback_protected%s", v.Name, v.UpdatePolicy, map[bool]string{true: " or ephemeral"}[scratch])
	}
	declared := d.Volumes[i]
	switch {
	case declared.Files != "encrypted":
		return fmt.Sprintf("its volume %s has files %q, want encrypted", v.Name, declared.Files)
	case declared.FSPFKey != "" || declared.FSPFTag != "":
		return fmt.Sprintf("the key or the tag of its volume %s is in the session, want those that CAS makes", v.Name)
	case len(declared.Exports) > 0 || declared.Import != nil:
		return fmt.Sprintf("its volume %s is shared with another session", v.Name)
	}
	return ""
}
