package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/plugin/internal/cli"
)

type hinted struct{ error }

func (hinted) Hint() string { return "do that" }

// refused is an error about somebody who was judged.
type refused struct {
	hinted
	verdict check.Verdict
}

func (r refused) Verdict() check.Verdict { return r.verdict }

type other struct{ error }

func (other) Hint() string { return "do this as well" }

type mute struct{ error }

func (mute) Hint() string { return "" }

func TestReport(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		code int
		text string
	}{
		"nothing":                {nil, 0, ""},
		"a failure":              {errors.New("no"), 1, "error: no\n"},
		"a hint":                 {fmt.Errorf("doing: %w", hinted{errors.New("no")}), 1, "error: doing: no\nhint: do that\n"},
		"usage":                  {cli.NewUsageError("what is %q?", "x"), 2, "error: what is \"x\"?\n"},
		"too late":               {fmt.Errorf("waiting: %w", context.DeadlineExceeded), 124, "error: waiting: context deadline exceeded\n"},
		"several lines":          {errors.New("one\ntwo\nhint: run this\n"), 1, "error: one\n  two\n  hint: run this\n"},
		"what a peer could send": {fmt.Errorf("CAS: peer says: %s", "a\u009b2Jb\x1b[1Ac\u202ed\xff"), 1, "error: CAS: peer says: abc d\n"},
		"a verdict":              {&cli.VerdictError{Code: 3}, 3, ""},
		"unproven":               {fmt.Errorf("asking: %w", refused{hinted{errors.New("no")}, check.None}), 4, "error: asking: no\nhint: do that\n"},
		"refuted":                {refused{hinted{errors.New("no")}, check.Contraindicated}, 3, "error: no\nhint: do that\n"},
		"a mistake":              {refused{hinted{errors.New("no")}, check.Affirming}, 4, "error: no\nhint: do that\n"}, // an error is never a success
		"interrupted":            {fmt.Errorf("attaching: %w", context.Canceled), 130, "error: interrupted\n"},
		"broken off too late":    {&cli.EndedError{Code: 124, Cause: refused{hinted{errors.New("no")}, check.None}}, 124, "error: no (the time limit was reached)\nhint: do that\n"},
		"half a verdict":         {&cli.EndedError{Code: 124, Cause: &cli.VerdictError{Code: 4}}, 124, "error: the time limit was reached: what is shown above is as far as it came, and proves nothing\n"},
		"half, interrupted":      {&cli.EndedError{Code: 130, Cause: &cli.VerdictError{Code: 4}}, 130, "error: interrupted: what is shown above is as far as it came, and proves nothing\n"},
		"a credential":           {errors.New("Get \"https://user:pw@host/x?token=abc\": EOF"), 1, "error: Get \"https://***@host/x?token=***\": EOF\n"},
		"hints": {
			fmt.Errorf("doing: %w", errors.Join(mute{errors.New("a")}, hinted{errors.New("b")}, fmt.Errorf("c: %w", other{errors.New("d")}), hinted{errors.New("e")})), 1,
			"error: doing: a\n  b\n  c: d\n  e\nhint: do that\nhint: do this as well\n",
		},
	} {
		var out bytes.Buffer
		if code := cli.Report(cli.Kubectl, c.err, &out); code != c.code || out.String() != c.text {
			t.Errorf("%s: got %d and %q, want %d and %q", name, code, out.String(), c.code, c.text)
		}
	}
}

// However a verb ends when its time is over, or when it is interrupted, the exit code
// says that; but what is not as promised, and a wrong command line, stay what they are.
func TestVerbsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		err             error
		late, interrupt int
	}{
		"nothing":       {nil, 0, 0},
		"a failure":     {errors.New("x"), 124, 130},
		"coded":         {refused{hinted{errors.New("x")}, check.None}, 124, 130},
		"the context's": {context.DeadlineExceeded, 124, 130},
		"unproven":      {&cli.VerdictError{Code: 4}, 124, 130},
		"not promised":  {&cli.VerdictError{Code: 3}, 3, 3},
		"simulated":     {&cli.VerdictError{Code: 5}, 5, 5},
		"usage":         {cli.NewUsageError("x"), 2, 2},
	} {
		for _, patience := range []time.Duration{0, time.Hour} {
			if got := runVerb(t, patience, nil, c.err, func() { syscall.Kill(os.Getpid(), syscall.SIGINT) }); got != c.interrupt {
				t.Errorf("%s, interrupted with patience %s: got %d, want %d", name, patience, got, c.interrupt)
			}
		}
		if got := runVerb(t, time.Hour, []string{"--timeout", "1ms"}, c.err, func() {}); got != c.late {
			t.Errorf("%s, too late: got %d, want %d", name, got, c.late)
		}
	}
}

// runVerb runs a verb that ends with an error when its context ends.
func runVerb(t *testing.T, patience time.Duration, arguments []string, err error, begin func()) int {
	t.Helper()
	help, wrong := cli.ReadHelp("# program\n\nThe program\n\n## do\n\nDo something\n", nil)
	if wrong != nil {
		t.Fatal(wrong)
	}
	env := &cli.Env{Program: cli.Kubectl, Help: help, IOStreams: genericiooptions.NewTestIOStreamsDiscard(), Now: time.Now}
	verb := env.Command(cli.Verb{Name: "do", Patience: patience, Run: func(ctx context.Context, _ []string) error {
		begin()
		<-ctx.Done()
		return err
	}})
	return env.Main(env.Root(verb), append([]string{"do"}, arguments...))
}

func TestConclude(t *testing.T) {
	for _, c := range []struct {
		verdict             check.Verdict
		simulated, accepted bool
		want                int
	}{
		{check.Affirming, false, false, 0}, {check.Warning, false, false, 0},
		{check.Affirming, true, false, 5}, {check.Affirming, true, true, 0},
		{check.Contraindicated, true, true, 3}, {check.None, true, true, 4}, {check.None, false, false, 4},
		{"", false, false, 4}, {"unheard of", false, true, 4},
	} {
		if got := cli.Report(cli.Kubectl, cli.Conclude(c.verdict, c.simulated, c.accepted), new(bytes.Buffer)); got != c.want {
			t.Errorf("%q, simulated %v, accepted %v: got %d, want %d", c.verdict, c.simulated, c.accepted, got, c.want)
		}
	}
}

func TestCommandsInHints(t *testing.T) {
	for hint, want := range map[string][2]string{
		"Do it again.": {"Do it again.", "Do it again."},
		"{verify db1}": {"kubectl confidb verify db1", "helm scone verify db1"},
		"{platforms plan NAME --to FILE}, then {verify}": {"kubectl confidb platforms plan NAME --to FILE, then kubectl confidb verify", "kubectl confidb platforms plan NAME --to FILE, then helm scone verify"},
		"metadata: {name: confidb-install}":              {"metadata: {name: confidb-install}", "metadata: {name: confidb-install}"},
		"{verified}":                                     {"{verified}", "{verified}"},
	} {
		for i, program := range []cli.Program{cli.Kubectl, cli.Helm} {
			if got := program.Say(hint); got != want[i] {
				t.Errorf("%s, %q: got %q, want %q", program, hint, got, want[i])
			}
		}
	}
}

// TestEveryVerbCanBeNamed: a hint may name each command that the help knows.
func TestEveryVerbCanBeNamed(t *testing.T) {
	for _, file := range []string{"../../confidb/help.md", "../../scone/help.md"} {
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`(?m)^## ([a-z]+)`).FindAllStringSubmatch(string(page), -1)
		if len(found) < 5 {
			t.Errorf("%s: got %d commands", file, len(found))
		}
		for _, verb := range found {
			if said := cli.Kubectl.Say("{" + verb[1] + " x}"); verb[1] != "version" && strings.HasPrefix(said, "{") {
				t.Errorf("a hint that names {%s x} is shown as %q", verb[1], said)
			}
		}
	}
}

func TestProgressIsClean(t *testing.T) {
	var out bytes.Buffer
	p := cli.NewProgress(&out, func() time.Time { return time.Unix(0, 0) })
	p.Step("session %s", "a\x1b[2J\nerror: b")
	p.Detail("pod \u009b31mx\u202e: \rfine")
	p.Done()
	if want := "   0.0 s  session a error: b\n          pod x : fine\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
