package platforms

import (
	"context"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

// search is how every verb here finds machines: where it looks, and what proves them.
type search struct {
	env   *cli.Env
	where flags.Platforms
	proof flags.Provenance
}

func (s *search) addFlags(set *pflag.FlagSet) {
	s.where.AddFlags(set)
	s.proof.AddFlags(set)
}

// resolve returns what the flags say, and the quotes prove. wanted is what a list of
// platform IDs is refused for; empty accepts one.
func (s *search) resolve(ctx context.Context, wanted string) (flags.PlatformOptions, error) {
	options, err := s.where.Resolve()
	if err != nil {
		return options, err
	}
	if wanted != "" && len(options.IDs) > 0 {
		return options, cli.NewUsageError("got a list of platform IDs (from %s), want %s", options.Origin, wanted)
	}
	err = verbs.Prove(ctx, &s.proof, &options, s.env.Now())
	return options, err
}
