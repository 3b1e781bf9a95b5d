package topology

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/confidb/confidb/pkg/document"
)

// FormNames are all forms, for people.
func FormNames() string {
	var all []string
	for _, form := range Forms() {
		all = append(all, string(form))
	}
	return strings.Join(all, ", ")
}

// ParseVariables reads variables that are each given as NAME=VALUE. Values may be secrets
// although they should not, so errors show none.
func ParseVariables(texts []string) (map[string]string, error) {
	all := map[string]string{}
	for i, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		switch _, twice := all[name]; {
		case !ok || name == "" || strings.ContainsAny(name, " $@\\") || strings.ContainsFunc(name, document.Invisible):
			return nil, fmt.Errorf("number %d is not NAME=VALUE", i+1)
		case strings.Contains(value, "$$"):
			return nil, fmt.Errorf("number %d has $$ in its value, which CAS would replace", i+1)
		case twice:
			return nil, fmt.Errorf("number %d has the name of another one", i+1)
		}
		all[name] = value
	}
	return all, nil
}

// ParseFiles reads files that are each given as FORM=PATH or FORM:ACCOUNT=PATH.
func ParseFiles(texts []string) (map[string]Given, error) {
	all := map[string]Given{}
	for _, text := range texts {
		left, at, _ := strings.Cut(text, "=")
		form, account, _ := strings.Cut(left, ":")
		if !slices.Contains(Forms(), Form(form)) {
			return nil, fmt.Errorf("got the form %.40q, want one of %s", form, FormNames())
		}
		if err := CheckPath(at); err != nil {
			return nil, fmt.Errorf("%s: %w", form, err)
		}
		if _, twice := all[at]; twice {
			return nil, fmt.Errorf("got %s twice", at)
		}
		all[at] = Given{Form: Form(form), Account: account}
	}
	return all, nil
}

// CheckNamespace says what is wrong with the name of a namespace, if anything.
func CheckNamespace(name string) error {
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		return fmt.Errorf("got %q, want the name of a namespace: %s", document.Clip(name), problems[0])
	}
	return nil
}
