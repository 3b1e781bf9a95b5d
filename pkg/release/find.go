package release

import (
	"maps"
	"slices"
)

// FindValue returns the keys under which the chart's default values have path: the
// path itself, or else that path in each part of the values, such as a subchart.
func (c *Chart) FindValue(path string) []string {
	if c.HasValue(path) {
		return []string{path}
	}
	var found []string
	for _, part := range slices.Sorted(maps.Keys(c.defaults)) {
		if c.HasValue(part + "." + path) {
			found = append(found, part+"."+path)
		}
	}
	return found
}
