package cli

import (
	"regexp"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/check"
)

// Program is what the user types before a verb.
type Program string

// The programs.
const (
	Kubectl Program = "kubectl confidb"
	Helm    Program = "helm scone"
)

// verbs are those of kubectl confidb and helm scone, and helmVerbs those that helm
// scone has.
func verbs() []string {
	return append([]string{"accounts", "attest", "client", "collateral", "env", "explain", "platforms", "policy", "promise", "session", "sql", "switchover", "tcb"}, helmVerbs()...)
}

func helmVerbs() []string { return []string{"install", "upgrade", "template", "verify", "uninstall"} }

// onlyHelm are the verbs that kubectl confidb does not have.
func onlyHelm() []string { return []string{"upgrade", "template", "uninstall"} }

// Say writes the commands in a hint as they are typed. The rooms that judge do not know
// what a program is called: they write {verify db1}.
func (p Program) Say(hint string) string {
	command := regexp.MustCompile(`\{(` + strings.Join(verbs(), "|") + `)\b([^{}]*)\}`)
	return command.ReplaceAllStringFunc(hint, func(found string) string {
		words := strings.Trim(found, "{}")
		verb, _, _ := strings.Cut(words, " ")
		if p == Helm && slices.Contains(helmVerbs(), verb) || slices.Contains(onlyHelm(), verb) {
			return string(Helm) + " " + words
		}
		return string(Kubectl) + " " + words
	})
}

// Findings returns a report whose hints can be typed.
func (p Program) Findings(r check.Report) check.Report {
	said := slices.Clone(r)
	for i := range said {
		said[i].Hint = p.Say(said[i].Hint)
	}
	return said
}
