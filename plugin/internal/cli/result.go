package cli

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Formats lists the output formats of every result; the empty one is the text for people.
func Formats() []string { return []string{"json", "yaml"} }

// Result says how a result is printed, and what it is worth.
type Result struct {
	// Output is one of Formats, or empty.
	Output string
	// AcceptSimulated makes a simulated result a success.
	AcceptSimulated bool
}

// AddFlags registers the flags.
func (r *Result) AddFlags(flags *pflag.FlagSet) {
	AddFormat(flags, &r.Output, Formats(), "output format: json or yaml (default: a table)")
	flags.BoolVar(&r.AcceptSimulated, "accept-simulated", false, "exit 0 also when nothing rests on Intel's root")
}

// AddOutput registers the format of a result that is a text by default.
func AddOutput(flags *pflag.FlagSet, output *string) {
	AddFormat(flags, output, Formats(), "output format: json or yaml (default: text)")
}

// AddFormat registers the format of a result that is printed in formats, or in that of the
// empty text.
func AddFormat(flags *pflag.FlagSet, output *string, formats []string, usage string) {
	flags.VarP(&Choice{"-o", output, append([]string{""}, formats...)}, "output", "o", usage)
}

// Choice is the value of a flag that is one of a few words.
type Choice struct {
	// Flag is how the flag is typed.
	Flag  string
	Value *string
	// Words are those that the flag takes. An empty one is not offered.
	Words []string
}

// Set refuses other words.
func (c *Choice) Set(text string) error {
	if !slices.Contains(c.Words, text) {
		return NewUsageError("%s: got %q, want %s", c.Flag, text, c.offer())
	}
	*c.Value = text
	return nil
}

func (c *Choice) offer() string {
	words := slices.DeleteFunc(slices.Clone(c.Words), func(w string) bool { return w == "" })
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// String is the word that is chosen.
func (c *Choice) String() string { return *c.Value }

// Type is what the help calls the value.
func (c *Choice) Type() string { return "string" }
