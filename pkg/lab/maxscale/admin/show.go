package admin

import "net/http"

// document is an object as it is shown.
type document struct {
	Attributes    any                     `json:"attributes"`
	ID            string                  `json:"id"`
	Links         links                   `json:"links"`
	Relationships map[string]relationship `json:"relationships,omitempty"`
	Type          string                  `json:"type"`
}

type links struct {
	Self string `json:"self"`
}

type relationship struct {
	Data  []reference `json:"data"`
	Links links       `json:"links"`
}

type reference struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// base is what links begin with.
const base = "http://localhost:8989/v1/"

// show answers GET of a kind, or of one of its objects, and reports whether it has.
func (a *API) show(w http.ResponseWriter, r request) bool {
	kind := r.path[0]
	switch kind {
	case "maxscale":
		if len(r.path) > 1 {
			return false
		}
		attributes := a.Model.MaxScale()
		attributes.Parameters = attributes.Parameters.Hidden()
		answer(w, map[string]any{"data": document{Attributes: attributes, ID: "maxscale", Links: links{base + "maxscale"}, Type: "maxscale"}, "links": links{base + "maxscale"}})
		return true
	case "servers", "services", "filters", "monitors", "listeners", "sessions":
	default:
		return false
	}
	objects := a.Model.Objects(kind)
	if len(r.path) == 1 {
		a.list(w, kind, kind, objects)
		return true
	}
	for _, o := range objects {
		if o.ID == r.path[1] {
			answer(w, map[string]any{"data": shown(kind, kind, o), "links": links{base + kind + "/" + o.ID}})
			return true
		}
	}
	refuse(w, http.StatusNotFound, "Object '"+r.path[1]+"' was not found.")
	return true
}

// list answers with all objects of a kind.
func (a *API) list(w http.ResponseWriter, path, kind string, objects []Object) {
	all := []document{}
	for _, o := range objects {
		all = append(all, shown(path, kind, o))
	}
	answer(w, map[string]any{"data": all, "links": links{base + path}})
}

func shown(path, kind string, o Object) document {
	d := document{Attributes: hide(o.Attributes), ID: o.ID, Links: links{base + path + "/" + o.ID}, Type: kind}
	for other, names := range o.Relationships {
		if len(names) == 0 {
			continue // absent, not empty
		}
		r := relationship{Links: links{base + path + "/" + o.ID + "/relationships/" + other}}
		for _, name := range names {
			r.Data = append(r.Data, reference{name, other})
		}
		if d.Relationships == nil {
			d.Relationships = map[string]relationship{}
		}
		d.Relationships[other] = r
	}
	return d
}

// hide takes passwords out of attributes. What it does not know is not shown at all.
func hide(attributes any) any {
	switch x := attributes.(type) {
	case ServerAttributes:
		x.Parameters = x.Parameters.Hidden()
		return x
	case ServiceAttributes:
		x.Parameters = x.Parameters.Hidden()
		return x
	case MonitorAttributes:
		x.Parameters = x.Parameters.Hidden()
		return x
	case FilterAttributes:
		x.Parameters = x.Parameters.Hidden()
		return x
	case ListenerAttributes:
		x.Parameters = x.Parameters.Hidden()
		return x
	case UserAttributes, SessionAttributes:
		return x
	}
	return nil
}
