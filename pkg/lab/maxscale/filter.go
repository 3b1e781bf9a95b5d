package maxscale

import (
	"fmt"

	"github.com/confidb/confidb/pkg/lab/maxscale/route"
	"github.com/confidb/confidb/pkg/lab/maxscale/settings"
)

// filters are those of a service, nil if it has none.
func (m *instance) filters(s settings.Section) (*route.Filters, error) {
	for _, name := range s.List("filters") {
		return nil, fmt.Errorf("lab stand-in: filter '%s' is not imitated yet", name)
	}
	return nil, nil
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
