package flags

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// Plan is the flag by which a plan is written down.
type Plan struct{ file string }

// AddFlags registers the flag.
func (f *Plan) AddFlags(set *pflag.FlagSet) {
	set.StringVar(&f.file, "to", "", "file for the plan (required)")
}

// Check refuses to plan for nothing.
func (f *Plan) Check() error {
	if f.file == "" {
		return cli.NewUsageError("--to: want the file for the plan")
	}
	return nil
}

// Write writes a plan. next is the hint that says how to go on, in which FILE stands for
// the plan's file.
func (f *Plan) Write(env *cli.Env, plan any, next string) error {
	if err := files.ReplaceJSON(f.file, plan, files.Private); err != nil {
		return err
	}
	_, err := fmt.Fprintf(env.ErrOut, "wrote %s; next: %s\n", f.file, strings.ReplaceAll(env.Program.Say(next), "FILE", f.file))
	return err
}

// ReadPlan reads the file of a plan.
func ReadPlan[P any](file string, read func(file string, text []byte) (P, error)) (plan P, err error) {
	text, err := files.Read(file)
	if err != nil {
		return plan, fmt.Errorf("reading the plan: %w", err)
	}
	return read(file, text)
}
