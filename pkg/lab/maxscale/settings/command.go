package settings

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"syscall"
	"time"
)

// The exit codes of MaxScale. A command line that it does not know ends with 0.
const (
	exitWell      = 0
	exitBad       = 1 // configuration, a directory
	exitInstance  = 4 // the data directory, or another instance
	exitDirectory = 6 // log or PID directory
)

// Host is what a command sees of its machine.
type Host struct {
	Environment func(string) (string, bool)
	Root        bool // the user is root
	Now         func() time.Time
	Out         io.Writer // standard output
}

// Launch is a start that nothing hinders any more.
type Launch struct {
	Config *Config
	// Directories, absolute or as they were given.
	Data, Cache, Persist, PID string
	// Log takes whole lines.
	Log *Log
}

// Log writes lines as MaxScale does. Its methods may be called at once where the writer may.
type Log struct {
	out io.Writer
	now func() time.Time
}

// NewLog is a log with the times of a clock.
func NewLog(out io.Writer, now func() time.Time) *Log { return &Log{out, now} }

// Say writes a line of a level: error, warning, notice or info.
func (l *Log) Say(level, text string) {
	fmt.Fprintf(l.out, "%s   %-7s: %s\n", l.now().Format("2006-01-02 15:04:05"), level, text)
}

// options are those of the command line that the lab does, with their letters.
type options map[string]string

func letters() map[string]string {
	return map[string]string{"-d": "--nodaemon", "-f": "--config", "-l": "--log", "-L": "--logdir", "-D": "--datadir", "-A": "--cachedir", "-P": "--piddir", "-c": "--config-check", "-v": "--version", "-V": "--version-full", "-?": "--help", "-U": "--user"}
}

// absent are options of MaxScale's that the lab does not do.
func absent() []string {
	return []string{"--basedir", "--configdir", "--libdir", "--execdir", "--language", "--module_configdir", "--sharedir", "--secretsdir", "--connector_plugindir", "--syslog", "--maxlog", "--log_augmentation", "--debug", "--export-config", "--user", "--passive", "--piddir-user"}
}

// scanOptions reads a command line: --name=value, or --name value.
func scanOptions(args []string) (found options, unknown string) {
	found = options{}
	valued := []string{"--config", "--log", "--logdir", "--datadir", "--cachedir", "--persistdir", "--piddir", "--runtimedir", "--user"}
	plain := []string{"--nodaemon", "--config-check", "--version", "--version-full", "--help"}
	for i := 0; i < len(args); i++ {
		name, value, given := strings.Cut(args[i], "=")
		if long := letters()[name]; long != "" {
			name = long
		}
		switch {
		case slices.Contains(plain, name) && !given:
		case slices.Contains(valued, name) && !given && i+1 < len(args):
			i++
			value = args[i]
		case slices.Contains(valued, name) && given, slices.Contains(absent(), name):
		default:
			return nil, args[i]
		}
		found[name] = value
	}
	return found, ""
}

// Command starts MaxScale as its command line says: it reads options and configuration,
// looks at files and directories, and leaves the rest to run, whose exit code it returns.
func Command(args []string, h Host, run func(Launch) int) int {
	o, unknown := scanOptions(args)
	if unknown != "" {
		fmt.Fprintf(h.Out, "maxscale: unrecognized option '%s'\n%s", unknown, usage)
		return exitWell
	}
	if _, asked := o["--help"]; asked {
		fmt.Fprint(h.Out, usage)
		return exitWell
	}
	if _, asked := o["--version"]; asked {
		fmt.Fprintln(h.Out, "MaxScale 24.02.4")
		return exitWell
	}
	log := NewLog(h.Out, h.Now)
	fail := func(code int, texts ...string) int {
		for _, text := range texts {
			log.Say("error", text)
		}
		return code
	}
	if problem := o.refused(h.Root); problem != "" {
		return fail(exitBad, problem)
	}
	l := Launch{Log: log, Data: o.or("--datadir", "/var/lib/maxscale"), Cache: o.or("--cachedir", "/var/cache/maxscale"), Persist: o.or("--persistdir", "/var/lib/maxscale/maxscale.cnf.d"), PID: o.or("--piddir", "/var/run/maxscale")}
	code, problem := o.directories(&l)
	if code != 0 {
		return fail(code, problem)
	}
	file := o.or("--config", "/etc/maxscale.cnf")
	config, problems := load(file, h.Environment)
	if len(problems) > 0 {
		return fail(exitBad, append(problems, "Failed to process the MaxScale configuration file "+file)...)
	}
	l.Config = config
	if _, check := o["--config-check"]; check {
		return exitWell
	}
	unlock, code, problem := lock(&l)
	if code != 0 {
		return fail(code, problem)
	}
	defer unlock()
	return run(l)
}

const usage = `Usage: maxscale [OPTION]...
  -c, --config-check          validate configuration file and exit
  -d, --nodaemon              enable running in terminal process
  -f, --config=FILE           relative or absolute pathname of config file
  -l, --log=[file|stdout]     log to file or stdout
  -L, --logdir=PATH           path to log file directory
  -A, --cachedir=PATH         path to cache directory
  -D, --datadir=PATH          path to data directory
      --persistdir=PATH       path to persisted configuration directory
  -P, --piddir=PATH           path to PID file directory
  -v, --version               print version info and exit
  -?, --help                  show this help
`

func (o options) or(name, standard string) string {
	if value := o[name]; value != "" {
		return value
	}
	return standard
}

// refused says why a command line is not carried out.
func (o options) refused(root bool) string {
	_, foreground := o["--nodaemon"]
	_, check := o["--config-check"]
	switch {
	case root:
		return "MaxScale cannot be run as root."
	case o["--runtimedir"] != "":
		return fmt.Sprintf("Can't access '%s/lib/maxscale/plugin'.", o["--runtimedir"])
	case o.or("--log", "file") != "stdout" && o["--log"] != "file" && o["--log"] != "":
		return fmt.Sprintf("Configuration file argument identifier 'log' was specified with an invalid value '%s'.", o["--log"])
	case !foreground && !check:
		return "lab stand-in: running in the background is not imitated"
	case o.or("--log", "file") == "file":
		return "lab stand-in: --log=file is not imitated"
	}
	names := make([]string, 0, len(o))
	for name := range o {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if slices.Contains(absent(), name) {
			return fmt.Sprintf("lab stand-in: %s is not imitated", name)
		}
	}
	return ""
}

// directories looks at those of the command line. Logs and the PID may have theirs made.
func (o options) directories(l *Launch) (code int, problem string) {
	for _, name := range []string{o.or("--logdir", "/var/log/maxscale"), l.PID} {
		if err := os.MkdirAll(name, 0o755); err != nil {
			return exitDirectory, fmt.Sprintf("Cannot create directory '%s': %s", name, number(err))
		}
	}
	for _, d := range []struct {
		code int
		name string
	}{{exitInstance, l.Data}, {exitBad, l.Cache}, {exitBad, l.Persist}, {exitDirectory, l.PID}} {
		if err := writable(d.name); err != nil {
			return d.code, fmt.Sprintf("Can't access '%s': %s", d.name, number(err))
		}
	}
	return 0, ""
}

func writable(directory string) error {
	if stat, err := os.Stat(directory); err != nil {
		return err
	} else if !stat.IsDir() {
		return syscall.ENOTDIR
	}
	const write, search = 2, 1
	return syscall.Access(directory, write|search)
}

// load reads a configuration and what is in the folder beside it.
func load(file string, env func(string) (string, bool)) (*Config, []string) {
	const most = 1 << 20
	more, err := filepath.Glob(file + ".d/*.cnf") // sorted
	if err != nil {
		return nil, []string{err.Error()}
	}
	var files []File
	for _, name := range append([]string{file}, more...) {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, []string{fmt.Sprintf("Failed to open file '%s': %s", name, number(err))}
		}
		if len(data) > most {
			return nil, []string{fmt.Sprintf("lab stand-in: '%s' is larger than 1 MiB", name)}
		}
		files = append(files, File{name, data})
	}
	c, problems := Parse(files, env)
	if len(problems) > 0 {
		return nil, problems
	}
	return c, c.Files(func(name string) error {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		return f.Close()
	})
}

// lock makes sure that no other instance has the directories. What a killed one left does
// not hinder.
func lock(l *Launch) (unlock func(), code int, problem string) {
	var held []*os.File
	unlock = func() {
		for _, f := range held {
			f.Close() // gives the lock back
		}
	}
	for _, name := range []string{l.Data + "/maxscale.lock", l.Cache + "/maxscale.lock", l.PID + "/maxscale.pid"} {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
		if err == nil {
			held = append(held, f)
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		}
		if err != nil {
			unlock()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, exitInstance, fmt.Sprintf("Failed to lock '%s'. Another MaxScale instance is running.", name)
			}
			return nil, exitInstance, fmt.Sprintf("Failed to open '%s': %s", name, number(err))
		}
		if err := errors.Join(f.Truncate(0), write(f, fmt.Sprintf("%d\n", os.Getpid()))); err != nil {
			unlock()
			return nil, exitInstance, err.Error()
		}
	}
	return unlock, 0, ""
}

func write(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}
