// Package scripttest runs stories of the command line: what a user types, and what
// comes out. A story is a .txtar file of testdata/script, in the language of
// testscript (github.com/rogpeppe/go-internal/testscript) with the commands of
// this package:
//
//	kubectl confidb ARGUMENTS…   run the program, which must exit with 0
//	helm scone ARGUMENTS…        the same, for the plugin of Helm
//	exits CODE kubectl …         run a program that must exit with this code
//	… <FILE                      at the end of either: its standard input
//	cas [-ra-tls]                start a CAS that nobody has attested yet
//	report NONCE FILE            save a report of that CAS which answers a nonce
//	mint [FLAGS] NODE…           write quotes of machines, and collateral for them
//	pcs [FLAGS]                  start Intel's service for collateral, or change it
//	cluster FILE                 start an API server with these machines, or change it
//	release NAME CLIENT DATABASE leave what install leaves: two sessions and a record
//	installed NAME [FILE]        leave what an installation of our chart records, with applications
//	asked cas|cluster|pcs        print what one of them was asked
//
// Programs run in the process of the test, in the folder of the story and with the
// variables of environment(). A process for each would take four times as long: most
// of it is starting. The stand-ins run there as well. So that output is the same every
// day, their addresses are shown as $CAS, $CLUSTER and $PCS, and the folder of the
// story as $WORK. Once a CAS or a PCS runs, which live today, times are shown as TODAY
// or TODAY+30, and 64 random hexadecimal digits as HASH. Only tests import this package.
package scripttest

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/internal/sgxmint"
)

// Program is what runs when its name is typed.
type Program struct {
	// Typed are two words, such as kubectl confidb.
	Typed string
	Main  func(arguments []string, streams genericiooptions.IOStreams) int
	// one runs at a time: folder and environment are those of the process.
	one sync.Mutex
	// path is where tools of a story are found. While a program runs, the process has
	// that of its story, and for a moment none.
	path string
}

// environment names what a program sees of the variables of a story.
func environment() []string {
	return []string{
		"HOME", "PATH", "TMPDIR", "CONFIDB_HOME", "KUBECONFIG", "SCONE_CAS_ADDR", "CAS_MRENCLAVE", "DBSESSION", "DBCLIENT", "PLATFORMS", "GREETING",
		"HELM_NAMESPACE", "HELM_KUBEAPISERVER", "HELM_KUBETOKEN", "HELM_KUBECONTEXT", "HELM_MAX_HISTORY", "HELM_DRIVER", "HELM_REPOSITORY_CONFIG", "HELM_REPOSITORY_CACHE",
	}
}

// Run tells the stories of testdata/script. update rewrites what they expect.
func Run(t *testing.T, p *Program, update bool) {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("testdata", "script"))
	if err != nil {
		t.Fatal(err)
	}
	p.path = os.Getenv("PATH")
	tool, _, _ := strings.Cut(p.Typed, " ")
	testscript.Run(t, testscript.Params{
		Dir: dir, UpdateScripts: update, RequireUniqueNames: true, ContinueOnError: true, Setup: p.setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			tool: succeed(tool), "exits": exits,
			"cas": inWorld((*world).startCAS), "report": inWorld((*world).saveReport), "mint": inWorld((*world).mint), "pcs": inWorld((*world).servePCS),
			"cluster": inWorld((*world).serveCluster), "release": inWorld((*world).leaveRelease), "installed": inWorld((*world).leaveInstalled), "asked": inWorld((*world).printAsked),
		},
	})
}

// world is what surrounds the user of one story.
type world struct {
	*testscript.TestScript
	program *Program
	// began is before everything that is minted.
	began     time.Time
	authority *sgxmint.Authority
	asked     map[string]*log
	// live is true once something was minted today.
	live    bool
	cluster *apiServer
	pcs     *pcs
}

// key is where a script keeps its world.
type key struct{}

// mintTime is when minted collateral was issued: give it with --at.
func mintTime() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }

func (p *Program) setUp(env *testscript.Env) error {
	w := &world{program: p, began: time.Now().Add(-2 * time.Hour), asked: map[string]*log{"cas": {}, "cluster": {}, "pcs": {}}}
	if mintTime().Before(w.began) {
		w.began = mintTime()
	}
	var err error
	if w.authority, err = sgxmint.NewAuthority(w.began); err != nil {
		return err
	}
	env.Values[key{}] = w
	home := filepath.Join(env.WorkDir, "home")
	env.Setenv("PATH", p.path)
	env.Setenv("HOME", home)
	env.Setenv("CONFIDB_HOME", filepath.Join(home, ".confidb"))
	env.Setenv("KUBECONFIG", filepath.Join(home, "no-kubeconfig"))
	return nil
}

func worldOf(ts *testscript.TestScript) *world {
	w := ts.Value(key{}).(*world)
	w.TestScript = ts
	return w
}

// inWorld is a command that surrounds the user with something.
func inWorld(command func(*world, []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, negated bool, arguments []string) {
		if negated {
			ts.Fatalf("there is no ! of this command")
		}
		ts.Check(command(worldOf(ts), arguments))
	}
}

// succeed is a command that runs a program, which must exit with 0.
func succeed(tool string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, negated bool, arguments []string) {
		exits(ts, negated, append([]string{"0", tool}, arguments...))
	}
}

// exits runs a program that must exit with a code, and leaves its output without what
// varies.
func exits(ts *testscript.TestScript, negated bool, arguments []string) {
	if negated || len(arguments) < 3 {
		ts.Fatalf("usage: exits CODE PROGRAM …")
	}
	w := worldOf(ts)
	if typed := strings.Join(arguments[1:3], " "); typed != w.program.Typed {
		ts.Fatalf("%s is no program of ours", typed)
	}
	code, out, errOut := w.run(arguments[3:])
	fmt.Fprint(ts.Stdout(), w.steady(out))
	fmt.Fprint(ts.Stderr(), w.steady(errOut))
	if want := arguments[0]; strconv.Itoa(code) != want {
		ts.Fatalf("exit %d, want %s\n%s%s", code, want, out, errOut)
	}
}

// run runs a program as a shell does, with standard input from <FILE.
func (w *world) run(arguments []string) (code int, out, errOut string) {
	streams, stdin, stdout, stderr := genericiooptions.NewTestIOStreams()
	if last := len(arguments) - 1; last >= 0 && strings.HasPrefix(arguments[last], "<") {
		stdin.WriteString(w.ReadFile(arguments[last][1:]))
		arguments = arguments[:last]
	}
	w.program.one.Lock()
	defer w.program.one.Unlock()
	defer w.enter()()
	code = w.program.Main(arguments, streams)
	return code, stdout.String(), stderr.String()
}

// enter gives the process the folder and the variables of the story, and returns what
// undoes that.
func (w *world) enter() (leave func()) {
	before := os.Environ()
	folder, err := os.Getwd()
	w.Check(err)
	w.Check(os.Chdir(w.MkAbs(".")))
	os.Clearenv()
	for _, name := range environment() {
		if value := w.Getenv(name); value != "" {
			w.Check(os.Setenv(name, value))
		}
	}
	return func() {
		os.Clearenv()
		for _, variable := range before {
			name, value, _ := strings.Cut(variable, "=")
			w.Check(os.Setenv(name, value))
		}
		w.Check(os.Chdir(folder))
	}
}

// steady is a program's output without what varies.
func (w *world) steady(text string) string {
	for _, name := range []string{"CAS", "CLUSTER", "PCS", "WORK"} {
		if value := w.Getenv(name); value != "" {
			text = strings.ReplaceAll(text, value, "$"+name)
		}
	}
	if !w.live {
		return text
	}
	text = regexp.MustCompile(`\b[0-9a-f]{64}\b`).ReplaceAllStringFunc(text, func(hash string) string {
		if strings.Count(hash, "0") > 32 { // a measurement of ours
			return hash
		}
		return "HASH"
	})
	return regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:]{8}Z(  )?`).ReplaceAllStringFunc(text, func(stamp string) string {
		at, err := time.Parse(time.RFC3339, strings.TrimSpace(stamp))
		day := "TODAY"
		if days := math.Round(time.Until(at).Hours() / 24); err == nil && days != 0 {
			day = fmt.Sprintf("TODAY%+.0f", days)
		}
		if strings.HasSuffix(stamp, " ") { // a column
			day = fmt.Sprintf("%-22s", day)
		}
		return day
	})
}

// log is what was asked of a server.
type log struct {
	mutex sync.Mutex
	text  strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(p)
}

func (w *world) printAsked(arguments []string) error {
	if len(arguments) != 1 || w.asked[arguments[0]] == nil {
		return errors.New("usage: asked cas|cluster|pcs")
	}
	l := w.asked[arguments[0]]
	l.mutex.Lock()
	defer l.mutex.Unlock()
	_, err := fmt.Fprint(w.Stdout(), l.text.String())
	return err
}

// write makes files in a folder of the story.
func (w *world) write(folder string, files map[string][]byte) error {
	for name, text := range files {
		path := w.MkAbs(filepath.Join(folder, name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
