package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

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
