package session

import (
	"fmt"
	"io"
	"maps"

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
	t.variables.addFlags(set)
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
	values, err := t.values(t.Env)
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
	// set are NAME=VALUE for {{NAME}}, which win over those of the file.
	set  []string
	file string
}

func (v *variables) addFlags(set *pflag.FlagSet) {
	set.BoolVar(&v.useEnv, "use-env", false, "take the variables of templates from the environment")
	set.StringArrayVarP(&v.given, "env", "e", nil, "VAR=VALUE for templates, which wins over the environment; may be repeated")
	set.StringArrayVar(&v.set, "set", nil, "NAME=VALUE for {{NAME}} in templates, which wins over --values; may be repeated")
	set.StringVar(&v.file, "values", "", "YAML file of values for {{NAME}} in templates")
}

// values looks a variable up.
func (v *variables) values(env *cli.Env) (func(string) (string, bool), error) {
	given, err := assignments("-e", "VAR", v.given)
	if err != nil {
		return nil, err
	}
	set, err := assignments("--set", "NAME", v.set)
	if err != nil {
		return nil, err
	}
	if v.file != "" {
		text, file, err := files.ReadInput(v.file, env.In)
		if err != nil {
			return nil, fmt.Errorf("reading the values: %w", err)
		}
		values, err := render.Values(file, text)
		if err != nil {
			return nil, err
		}
		maps.Copy(values, set)
		set = values
	}
	if v.useEnv {
		return render.Lookup(given, set, env.LookupEnv), nil
	}
	return render.Lookup(given, set, nil), nil
}

// assignments shows of a wrong one its number only: the rest may be a secret.
func assignments(flag, name string, words []string) (map[string]string, error) {
	values, wrong := render.Assignments(words)
	if wrong > 0 {
		return nil, cli.NewUsageError("%s: number %d is not %s=VALUE", flag, wrong, name)
	}
	return values, nil
}
