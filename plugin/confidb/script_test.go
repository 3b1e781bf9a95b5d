package confidb_test

import (
	"flag"
	"testing"

	"github.com/confidb/confidb/plugin/confidb"
	"github.com/confidb/confidb/plugin/internal/scripttest"
)

var update = flag.Bool("update", false, "rewrite what the scripts expect")

func TestScripts(t *testing.T) {
	scripttest.Run(t, &scripttest.Program{Typed: "kubectl confidb", Main: confidb.Main}, *update)
}
