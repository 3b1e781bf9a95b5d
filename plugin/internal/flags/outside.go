package flags

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/plugin/internal/cli"
)

// Outside are the flags of a client that runs in no enclave: why it may, for how long, and
// where its files are; no Directory is beside the record of the release.
type Outside struct {
	Reason, Directory string
	Lasts             time.Duration
	set               *pflag.FlagSet
}

// AddFlags registers the flags.
func (f *Outside) AddFlags(set *pflag.FlagSet) {
	f.set = set
	set.StringVar(&f.Reason, "outside-enclave", "", "the client runs in no enclave, for this `REASON`, which verify repeats: whoever has the files that are made for it comes in; needs --for")
	set.DurationVar(&f.Lasts, "for", 0, "for how long a client outside of enclaves may come in, 24h at most, such as 8h")
	set.StringVar(&f.Directory, "directory", "", "new or empty folder for its key, certificate and my.cnf (default: beside the record of the release)")
}

// Given reports whether the client runs in no enclave.
func (f *Outside) Given() bool {
	return f.set != nil && (f.set.Changed("outside-enclave") || f.set.Changed("for") || f.set.Changed("directory"))
}

// Check refuses flags that do not go together.
func (f *Outside) Check() error {
	for _, other := range []string{"mrenclave", "mrsigner", "isvprodid", "min-isvsvn", "platforms", "command", "pwd", "env", "host-env", "file", "heap", "dlopen", "client-namespace"} {
		if f.Given() && f.set.Changed(other) {
			return cli.NewUsageError("--%s is of clients in enclaves, and not of one with --outside-enclave", other)
		}
	}
	return nil
}
