// Command confidb-probe is the attested client: see package probe.
package main

import (
	"os"

	"github.com/confidb/confidb/pkg/probe"
)

func main() { os.Exit(probe.Main(os.Args[1:], os.Getenv, os.Stdout, os.Stderr)) }
