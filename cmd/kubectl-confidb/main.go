// Command kubectl-confidb is the kubectl plugin: kubectl confidb.
package main

import (
	"os"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/confidb"
)

func main() {
	os.Exit(confidb.Main(os.Args[1:], genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}))
}
