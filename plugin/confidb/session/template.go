package session

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/envelope"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/render"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// template is a verb that takes a document whose variables are filled in.
type template struct {
	desk
	variables
	// name replaces the name in the document, after the variables are in.
	name string
}

func (t *template) addFlags(set *pflag.FlagSet) {
	t.desk.addFlags(set)
	set.BoolVar(&t.useEnv, "use-env", false, "take variables from the environment")
	set.StringArrayVarP(&t.given, "env", "e", nil, "VAR=VALUE, which wins over the environment; may be repeated")
	set.StringVar(&t.name, "name", "", "name that replaces the one in the template")
}

// read reads a file, or standard input when its name is -, and fills in its variables.
func (t *template) read(file string) (*session.Session, error) {
	fill, err := t.filling()
	if err != nil {
		return nil, err
	}
	return readDocument(t.In, file, fill)
}

// filling fills in the variables of a text.
func (t *template) filling() (func(file string, text []byte) ([]byte, error), error) {
	values, err := t.values(t.LookupEnv)
	return func(file string, text []byte) ([]byte, error) { return render.Session(file, text, values, t.name) }, err
}

// readDocument reads a file, or standard input when its name is -. render, unless nil,
// makes of the text the one that counts.
func readDocument(in io.Reader, name string, render func(file string, text []byte) ([]byte, error)) (*session.Session, error) {
	text, file, err := files.ReadInput(name, in)
	if err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	return envelope.Only(envelope.Open(file, text, render))
}

// variables say what the variables of a template stand for.
type variables struct {
	// useEnv takes them from the environment; given are VAR=VALUE, which win.
	useEnv bool
	given  []string
}

// values looks a variable up.
func (v *variables) values(lookupEnv func(string) (string, bool)) (func(string) (string, bool), error) {
	given := map[string]string{}
	for i, text := range v.given {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" { // the rest may be a secret, so it is not shown
			return nil, cli.NewUsageError("-e: number %d is not VAR=VALUE", i+1)
		}
		given[name] = value
	}
	return func(name string) (string, bool) {
		if value, ok := given[name]; ok || !v.useEnv {
			return value, ok
		}
		return lookupEnv(name)
	}, nil
}
