package session

import (
	"fmt"
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
	all, err := t.opened(file)
	if err != nil {
		return nil, err
	}
	return envelope.Only(all)
}

// readAll reads the sessions of a file as they are to be created: namespaces before what is
// in them. What is wrong with any of them is an error.
func (t *template) readAll(file string) ([]*session.Session, error) {
	opened, err := t.opened(file)
	if err != nil {
		return nil, err
	}
	if t.name != "" && len(opened) > 1 {
		return nil, cli.NewUsageError("--name: got a file of %d sessions, want one for one name", len(opened))
	}
	return envelope.All(opened)
}

func (t *template) opened(file string) ([]envelope.Opened, error) {
	values, err := t.values(t.Env)
	if err != nil {
		return nil, err
	}
	text, file, err := files.ReadInput(file, t.In)
	if err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	return envelope.Open(file, text, func(file string, text []byte) ([]byte, error) { return render.Session(file, text, values, t.name) }), nil
}

// variables say what the variables of a template stand for.
type variables struct {
	// useEnv takes them from the environment; given are VAR=VALUE, which win.
	useEnv bool
	given  []string
	// set are NAME=VALUE for {{NAME}}, which win over those of the file.
	set  []string
	file string
	// known is what was looked up once: the file may be standard input.
	known func(string) (string, bool)
}

func (v *variables) addFlags(set *pflag.FlagSet) {
	set.BoolVar(&v.useEnv, "use-env", false, "take the variables of templates from the environment")
	set.StringArrayVarP(&v.given, "env", "e", nil, "VAR=VALUE for templates, which wins over the environment; may be repeated")
	set.StringArrayVar(&v.set, "set", nil, "NAME=VALUE for {{NAME}} in templates, which wins over --values; may be repeated")
	set.StringVar(&v.file, "values", "", "YAML file of values for {{NAME}} in templates")
}

// open reads the sessions of a file. What has no value yet stays open.
func (v *variables) open(env *cli.Env, name string) []envelope.Opened { return v.opening(env, name)() }

// opening reads a file now, and its sessions when it is called: that touches nothing that
// another one does.
func (v *variables) opening(env *cli.Env, name string) func() []envelope.Opened {
	text, file, err := files.ReadInput(name, env.In)
	if err != nil {
		err = fmt.Errorf("reading the document: %w", err)
	}
	var values func(string) (string, bool)
	if err == nil {
		values, err = v.values(env)
	}
	if err != nil {
		return func() []envelope.Opened { return []envelope.Opened{{File: file, Err: err}} }
	}
	return func() []envelope.Opened {
		return envelope.Open(file, text, func(file string, text []byte) ([]byte, error) { return render.Unfilled(file, text, values) })
	}
}

// values looks a variable up.
func (v *variables) values(env *cli.Env) (known func(string) (string, bool), err error) {
	if v.known == nil {
		v.known, err = v.read(env)
	}
	return v.known, err
}

func (v *variables) read(env *cli.Env) (func(string) (string, bool), error) {
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
