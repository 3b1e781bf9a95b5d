package session

import (
	"encoding/json"
	"maps"
	"slices"
)

// shape is a JSON Schema (draft 7).
type shape = map[string]any

// Schema is a JSON Schema of the newest version of the language, for editors. It
// is made from the tables by which Parse reads a document. It is coarser than
// Parse: what depends on two keys, on the version, or on a name somewhere else is
// not in it.
func Schema() []byte {
	whole := sessionShape()
	whole["$schema"] = "http://json-schema.org/draft-07/schema#"
	whole["title"] = "SCONE session, language 0.3"
	whole["definitions"] = shape{"accessRule": accessRuleShape()}
	text, err := json.MarshalIndent(whole, "", "  ")
	if err != nil {
		return nil // not possible: it consists of maps, lists and texts
	}
	return append(text, '\n')
}

func sessionShape() shape { return newDecoder("").session(&Session{}).shape() }

func objectShape(known fields) shape {
	properties, needed := shape{}, []string{}
	for key, f := range known {
		value := f.shape()
		if f.since > 0 {
			value = maps.Clone(value)
			value["description"] = "From version " + versionText(f.since) + "."
		}
		properties[key] = value
		if f.missing != "" {
			needed = append(needed, key)
		}
	}
	out := shape{"type": "object", "properties": properties, "additionalProperties": false}
	if len(needed) > 0 {
		slices.Sort(needed)
		out["required"] = needed
	}
	return out
}

// walkSchema visits each object of a schema with its path and keys.
func walkSchema(path string, s shape, visit func(path string, keys []string)) {
	if properties, ok := s["properties"].(shape); ok {
		visit(path, slices.Sorted(maps.Keys(properties)))
		for key, value := range properties {
			walkSchema(join(path, key), value.(shape), visit)
		}
	}
	if items, ok := s["items"].(shape); ok {
		walkSchema(path+"[]", items, visit)
	}
	if forms, ok := s["anyOf"].([]shape); ok {
		for _, form := range forms {
			walkSchema(path, form, visit)
		}
	}
}
