package maxscale

import (
	"fmt"

	"github.com/confidb/confidb/pkg/lab/maxscale/masking"
	"github.com/confidb/confidb/pkg/lab/maxscale/route"
	"github.com/confidb/confidb/pkg/lab/maxscale/settings"
)

// filters are those of a service, nil if it has none. Several are one after the other.
func (m *instance) filters(s settings.Section) (*route.Filters, error) {
	names := s.List("filters")
	if len(names) == 0 {
		return nil, nil
	}
	if len(names) > 1 {
		return nil, fmt.Errorf("lab stand-in: more than one filter of '%s' is not imitated", s.Name)
	}
	section, _ := m.settings().Find(names[0])
	filter, err := m.masking(section)
	if err != nil {
		return nil, err
	}
	return &route.Filters{New: func(user, host string) route.Filter { return masked{filter.Session(user, host)} }}, nil
}

// masking is the filter of a section.
func (m *instance) masking(s settings.Section) (*masking.Filter, error) {
	text, err := read(s.Text("rules"))
	if err != nil {
		return nil, err
	}
	rules, unmeasured, err := masking.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	for _, what := range unmeasured {
		m.launch.Log.Say("warning", "lab stand-in: unmeasured "+what)
	}
	return &masking.Filter{Rules: rules, PreventFunctionUsage: s.Bool("prevent_function_usage"), RequireFullyParsed: s.Bool("require_fully_parsed"),
		TreatStringArgAsField: s.Bool("treat_string_arg_as_field"), CheckUserVariables: s.Bool("check_user_variables"), CheckUnions: s.Bool("check_unions"),
		CheckSubqueries: s.Bool("check_subqueries"), WarnTypeMismatch: s.Text("warn_type_mismatch") == "always", AbortLarge: s.Text("large_payload") == "abort",
		Words: m.words, Log: m.launch.Log.Say}, nil
}

// masked is the masking of a session as sessions know filters.
type masked struct{ *masking.Session }

// Answer begins an answer, nil if the client meets no rule.
func (s masked) Answer(binary bool) route.Rewriter {
	if a := s.Session.Answer(binary); a != nil {
		return a
	}
	return nil
}

// refilter gives every service the filters that it has now.
func (m *instance) refilter() error {
	for _, service := range m.services {
		s, _ := m.settings().Find(service.name)
		filters, err := m.filters(s)
		if err != nil {
			return err
		}
		service.SetFilter(filters)
	}
	return nil
}
