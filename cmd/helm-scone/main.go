// Command helm-scone is the Helm plugin: helm scone.
package main

import (
	"os"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/scone"
)

func main() {
	os.Exit(scone.Main(os.Args[1:], os.LookupEnv, genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}))
}
