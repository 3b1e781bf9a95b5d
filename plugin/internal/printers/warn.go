package printers

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/check"
)

// Warn tells on standard error what the user should know although it is no error.
func Warn(errOut io.Writer, warnings ...string) {
	for _, w := range warnings {
		fmt.Fprintf(errOut, "warning: %s\n", check.Printable(w))
	}
}

// Stamped returns what writes single lines after the time in UTC.
func Stamped(out io.Writer, now func() time.Time) func(line string) error {
	return func(line string) error {
		line = strings.Join(strings.Fields(check.Printable(line)), " ")
		_, err := fmt.Fprintf(out, "%s %s\n", now().UTC().Format(time.RFC3339), line)
		return err
	}
}
