package scone_test

import (
	"flag"
	"os"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/internal/scripttest"
	"github.com/confidb/confidb/plugin/scone"
)

var update = flag.Bool("update", false, "rewrite what the scripts expect")

func TestScripts(t *testing.T) {
	scripttest.Run(t, &scripttest.Program{Typed: "helm scone", Main: func(arguments []string, streams genericiooptions.IOStreams) int {
		return scone.Main(arguments, os.LookupEnv, streams)
	}}, *update)
}
