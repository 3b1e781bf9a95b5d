// Package cli holds what every command of ours shares: exit codes and the one
// place that prints an error.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/kube"
)

// Exit codes. They are the same for every output format.
const (
	OK              = 0   // affirming, or a warning that the policy names
	Failed          = 1   // could not do it
	Usage           = 2   // the command line or an input is wrong
	Contraindicated = 3   // something is not as promised
	Unproven        = 4   // something could not be shown
	Simulated       = 5   // everything holds, but nothing rests on Intel's root
	TimedOut        = 124 // the time limit was reached
	Interrupted     = 130 // the user broke it off
)

// UsageError is a command line that cannot be understood.
type UsageError struct{ error }

// NewUsageError makes a UsageError.
func NewUsageError(format string, arguments ...any) error {
	return &UsageError{fmt.Errorf(format, arguments...)}
}

// Unwrap returns the error inside.
func (e *UsageError) Unwrap() error { return e.error }

// VerdictError carries the exit code of a result that was printed already.
type VerdictError struct{ Code int }

func (e *VerdictError) Error() string { return fmt.Sprintf("the verdict is exit code %d", e.Code) }

// EndedError means that a verb was ended from outside before it was done.
type EndedError struct {
	// Code is TimedOut or Interrupted.
	Code int
	// Cause is what the verb said then. It may be a verdict, which was shown.
	Cause error
}

func (e *EndedError) Error() string {
	said := "interrupted"
	if e.Code == TimedOut {
		said = "the time limit was reached"
	}
	switch verdict, ok := errors.AsType[*VerdictError](e.Cause); {
	case ok && verdict.Code == Unproven:
		return said + ": what is shown above is as far as it came, and proves nothing"
	case ok || e.Code == Interrupted: // whatever broke says the same in its own words
		return said
	case errors.Is(e.Cause, context.DeadlineExceeded):
		return e.Cause.Error()
	}
	return e.Cause.Error() + " (" + said + ")"
}

// Unwrap returns what the verb said.
func (e *EndedError) Unwrap() error { return e.Cause }

// ended is the error of a verb that ran under ctx. A verdict that something is not as
// promised stands, however it ended.
func ended(ctx context.Context, err error) error {
	code := Interrupted
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		code = TimedOut
	}
	verdict, judged := errors.AsType[*VerdictError](err)
	_, usage := errors.AsType[*UsageError](err)
	_, already := errors.AsType[*EndedError](err)
	if err == nil || ctx.Err() == nil || usage || already || judged && verdict.Code != Unproven {
		return err
	}
	return &EndedError{Code: code, Cause: err}
}

// Conclude turns a verdict into an error with its exit code, or nil.
func Conclude(v check.Verdict, simulated, acceptSimulated bool) error {
	switch {
	case !v.Accepted():
		return &VerdictError{refusal(v)}
	case simulated && !acceptSimulated:
		return &VerdictError{Simulated}
	}
	return nil
}

// refusal is the exit code of a verdict that is not accepted.
func refusal(v check.Verdict) int {
	if v == check.Contraindicated {
		return Contraindicated
	}
	return Unproven
}

// Report prints an error of a program, unless it was said already, and returns the exit
// code.
func Report(p Program, err error, errOut io.Writer) int {
	if err == nil {
		return OK
	}
	end, wasEnded := errors.AsType[*EndedError](err)
	if !wasEnded && errors.Is(err, context.Canceled) {
		end, wasEnded = &EndedError{Code: Interrupted, Cause: err}, true
		err = end
	}
	if verdict, ok := errors.AsType[*VerdictError](err); ok && !wasEnded {
		return verdict.Code
	}
	fmt.Fprintf(errOut, "error: %s\n", clean(err.Error(), "  "))
	if wasEnded && end.Code == Interrupted {
		return Interrupted
	}
	for _, hint := range hints(kube.Explain(err)) {
		fmt.Fprintf(errOut, "hint: %s\n", clean(p.Say(hint), ""))
	}
	if wasEnded {
		return end.Code
	}
	var usage *UsageError
	var coded interface { // of our own errors, not of a program that was run
		Hint() string
		ExitCode() int
	}
	var judged interface { // of somebody who was refused before anything was asked of them
		Hint() string
		Verdict() check.Verdict
	}
	switch {
	case errors.As(err, &usage):
		return Usage
	case errors.As(err, &judged):
		return refusal(judged.Verdict())
	case errors.As(err, &coded):
		return coded.ExitCode()
	case errors.Is(err, context.DeadlineExceeded):
		return TimedOut
	}
	return Failed
}

// clean makes text printable line by line, and begins each line but the first with
// indent: an error may hold what a peer said, which must not look like a hint of ours.
func clean(text, indent string) string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		blanks := line[:len(line)-len(strings.TrimLeft(line, " "))]
		lines = append(lines, blanks+check.Printable(line))
	}
	return strings.Join(lines, "\n"+indent)
}

// hints are the hint of an error or, where several errors were joined, those of each,
// once.
func hints(err error) []string {
	switch e := err.(type) {
	case interface{ Hint() string }:
		if e.Hint() != "" {
			return []string{e.Hint()}
		}
	case interface{ Unwrap() error }:
		return hints(e.Unwrap())
	case interface{ Unwrap() []error }:
		var all []string
		for _, one := range e.Unwrap() {
			for _, hint := range hints(one) {
				if !slices.Contains(all, hint) {
					all = append(all, hint)
				}
			}
		}
		return all
	}
	return nil
}
