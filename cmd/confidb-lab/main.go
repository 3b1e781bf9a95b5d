// Command confidb-lab stands in for SGX and SCONE in the laboratory.
package main

import (
	"os"

	"github.com/confidb/confidb/pkg/lab/command"
)

func main() {
	os.Exit(command.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
