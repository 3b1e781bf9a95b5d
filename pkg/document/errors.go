package document

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error says what is wrong at one place of a document.
type Error struct {
	File         string
	Line, Column int
	// Path leads to the place, such as services[0].platforms[1]; empty for the
	// document itself, or where only the line is known.
	Path string
	// Problem says what was got and what was wanted.
	Problem string
	// Advice says what to write instead, or is empty.
	Advice string
}

func (e *Error) Error() string {
	place := fmt.Sprintf("%s:%d:%d: ", e.File, e.Line, e.Column)
	if e.Path != "" {
		place += e.Path + ": "
	}
	return place + e.Problem
}

// Hint is the Advice.
func (e *Error) Hint() string { return e.Advice }

// compare orders problems by their place.
func compare(a, b *Error) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}

// maxProblems is how many problems of one document are told.
const maxProblems = 10

// Errors is what is wrong with a document, in the order of its lines.
type Errors struct {
	// Problems has at least one entry and at most ten.
	Problems []*Error
	// More counts those that are not told.
	More int
	// untold are those of More that are known.
	untold []*Error
}

// All are all problems, those that are not told as well. It is not whole where there are so
// many that some were not kept.
func (e *Errors) All() (all []*Error, whole bool) {
	return slices.Concat(e.Problems, e.untold), e.More == len(e.untold)
}

// Join puts problems, at least one, into the order of their lines.
func Join(all []*Error) *Errors {
	all = slices.Clone(all)
	slices.SortStableFunc(all, compare)
	told := min(len(all), maxProblems)
	return &Errors{Problems: all[:told], More: len(all) - told, untold: all[told:]}
}

// Error has a line for each problem.
func (e *Errors) Error() string {
	var lines []string
	for _, p := range e.Problems {
		lines = append(lines, p.Error())
	}
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", e.More))
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems.
func (e *Errors) Unwrap() []error {
	var all []error
	for _, p := range e.Problems {
		all = append(all, p)
	}
	return all
}

// Hint has the hints of all problems; where there are several problems, with the
// place that each is about.
func (e *Errors) Hint() string {
	if len(e.Problems) == 1 {
		return e.Problems[0].Advice
	}
	var lines []string
	for _, p := range e.Problems {
		if p.Advice != "" {
			lines = append(lines, fmt.Sprintf("%d:%d: %s", p.Line, p.Column, p.Advice))
		}
	}
	return strings.Join(lines, "\n")
}
