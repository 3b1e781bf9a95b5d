package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/plugin/internal/cli"
)

type hinted struct{ error }

func (hinted) Hint() string { return "do that" }

func TestReport(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		code int
		text string
	}{
		"nothing":   {nil, 0, ""},
		"a failure": {errors.New("no"), 1, "error: no\n"},
		"a hint":    {fmt.Errorf("doing: %w", hinted{errors.New("no")}), 1, "error: doing: no\nhint: do that\n"},
		"usage":     {cli.NewUsageError("what is %q?", "x"), 2, "error: what is \"x\"?\n"},
		"too late":  {fmt.Errorf("waiting: %w", context.DeadlineExceeded), 124, "error: waiting: context deadline exceeded\n"},
		"a verdict": {&cli.VerdictError{Code: 3}, 3, ""},
	} {
		var out bytes.Buffer
		if code := cli.Report(c.err, &out); code != c.code || out.String() != c.text {
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
		if got := cli.Report(cli.Conclude(c.verdict, c.simulated, c.accepted), new(bytes.Buffer)); got != c.want {
			t.Errorf("%q, simulated %v, accepted %v: got %d, want %d", c.verdict, c.simulated, c.accepted, got, c.want)
		}
	}
}
