// Command confidb-lab-maxscale stands in for MaxScale in the laboratory.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale"
	"github.com/confidb/confidb/pkg/lab/maxscale/settings"
)

func main() {
	os.Exit(run())
}

// run ends with SIGTERM. SIGHUP is survived, and SIGUSR1, which would turn a log file over.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	signal.Ignore(syscall.SIGHUP, syscall.SIGUSR1)
	return maxscale.Main(ctx, os.Args[1:], settings.Host{Environment: os.LookupEnv, Root: os.Geteuid() == 0, Now: time.Now, Out: os.Stdout})
}
