// Command realquotes says in one line what does not run without the real quotes,
// and nothing where they are. It fails if they are required, or some are missing:
// test results that come from Go's cache would not.
package main

import (
	"fmt"
	"os"

	"github.com/confidb/confidb/internal/realquotes"
)

func main() {
	cases, err := realquotes.Find()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	if cases == nil {
		fmt.Println(realquotes.Absent())
	}
}
