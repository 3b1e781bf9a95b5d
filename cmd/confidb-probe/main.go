// Command confidb-probe is the attested client: see package probe. With the name of one of
// its programs it is what runs beside the members of a replicated database: see package keeper.
package main

import (
	"os"

	"github.com/confidb/confidb/pkg/keeper"
	"github.com/confidb/confidb/pkg/probe"
)

func main() {
	if len(os.Args) > 1 && keeper.Is(os.Args[1]) {
		os.Exit(keeper.Main(os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
	}
	os.Exit(probe.Main(os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}
