package document

import (
	"maps"
	"slices"
)

// Shape is a JSON Schema (draft 7). It is made from the tables by which a document is
// read, and is coarser: what depends on two keys is not in it.
type Shape = map[string]any

func objectShape(known Fields) Shape {
	properties, needed := Shape{}, []string{}
	for key, f := range known {
		value := f.Shape()
		if f.Note != "" {
			value = maps.Clone(value)
			value["description"] = f.Note
		}
		properties[key] = value
		if f.Missing != "" {
			needed = append(needed, key)
		}
	}
	out := Shape{"type": "object", "properties": properties, "additionalProperties": false}
	if len(needed) > 0 {
		slices.Sort(needed)
		out["required"] = needed
	}
	return out
}

// WalkSchema visits each object of a schema with its path and keys. Paths are such as
// services[].attestation.
func WalkSchema(path string, s Shape, visit func(path string, keys []string)) {
	if properties, ok := s["properties"].(Shape); ok {
		visit(path, slices.Sorted(maps.Keys(properties)))
		for key, value := range properties {
			if below, ok := value.(Shape); ok {
				WalkSchema(Member(path, key), below, visit)
			}
		}
	}
	if items, ok := s["items"].(Shape); ok {
		WalkSchema(path+"[]", items, visit)
	}
	if forms, ok := s["anyOf"].([]Shape); ok {
		for _, form := range forms {
			WalkSchema(path, form, visit)
		}
	}
}
