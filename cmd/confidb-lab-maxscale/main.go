// Command confidb-lab-maxscale stands in for MaxScale in the laboratory.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/settings"
)

func main() {
	host := settings.Host{Environment: os.LookupEnv, Root: os.Geteuid() == 0, Now: time.Now, Out: os.Stdout}
	os.Exit(settings.Command(os.Args[1:], host, func(settings.Launch) int {
		fmt.Fprintln(os.Stderr, "lab stand-in: only --config-check is there yet")
		return 1
	}))
}
