package printers

import (
	"fmt"
	"io"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// Conclude prints what a verdict was reached with, and ends with the verdict's exit code.
func Conclude(out io.Writer, how cli.Result, d Document, v check.Verdict) error {
	if err := Print(out, how.Output, d); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return cli.Conclude(v, d.head().Simulated, how.AcceptSimulated)
}
