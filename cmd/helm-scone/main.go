// Command helm-scone is the Helm plugin: helm scone.
package main

import (
	"os"
	"runtime/debug"

	"github.com/go-logr/logr"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"

	"github.com/confidb/confidb/plugin/scone"
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // a command ends soon: large documents are compared in two thirds of the time
	}
	klog.SetLogger(logr.Discard()) // what a library has to say, it says in its error
	os.Exit(scone.Main(os.Args[1:], os.LookupEnv, genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}))
}
