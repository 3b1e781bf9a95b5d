package admin

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/confidb/confidb/pkg/lab/maxscale/cluster"
)

// patchBody is what a PATCH may say. Members that are not named here are passed over, as the
// real interface does with what GET has shown.
type patchBody struct {
	Data *struct {
		Attributes struct {
			Parameters map[string]any `json:"parameters"`
		} `json:"attributes"`
		Relationships struct {
			Filters *struct {
				Data []reference `json:"data"`
			} `json:"filters"`
		} `json:"relationships"`
	} `json:"data"`
}

// patch changes an object at once, and writes down what it has become.
func (a *API) patch(w http.ResponseWriter, r request) {
	var body patchBody
	if err := decode(r.body, &body); err != nil || body.Data == nil {
		refuse(w, http.StatusBadRequest, errBody.Error())
		return
	}
	kind, name := "", "maxscale"
	if len(r.path) == 2 {
		kind, name = r.path[0], r.path[1]
		if !a.known(w, r, kind) {
			return
		}
	}
	if len(body.Data.Attributes.Parameters) > 0 {
		if err := a.Model.Change(kind, name, body.Data.Attributes.Parameters); err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	if filters := body.Data.Relationships.Filters; filters != nil && kind == "services" {
		names := []string{}
		for _, f := range filters.Data {
			names = append(names, f.ID)
		}
		if err := a.Model.Filters(name, names); err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	done(w, a.persist(kind, name))
}

// persist writes an object down for everybody to read, whether it is ever loaded or not.
func (a *API) persist(kind, name string) error {
	if a.PersistDirectory == "" {
		return nil
	}
	if name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return errors.New("the object has a name that no file can have")
	}
	path := filepath.Join(a.PersistDirectory, name+".cnf")
	if err := os.WriteFile(path, a.Model.Saved(kind, name), passwdMode); err != nil {
		return err
	}
	return os.Chmod(path, passwdMode)
}

// setState is PUT servers/X/set or clear.
func (a *API) setState(w http.ResponseWriter, r request) {
	name := r.path[1]
	if !a.known(w, r, "servers") {
		return
	}
	bit, ok := map[string]cluster.Bits{"maintenance": cluster.Maintenance, "drain": cluster.Drain}[r.URL.Query().Get("state")]
	monitor := a.Model.MonitorOf(name)
	operator := a.Model.Operator(monitor)
	switch {
	case operator == nil:
		refuse(w, http.StatusBadRequest, "Server '"+name+"' is not monitored.")
	case !ok:
		refuse(w, http.StatusBadRequest, "The server '"+name+"' is monitored so only maintenance and drain status can be altered manually.")
	default:
		done(w, operator.Set(name, bit, r.path[2] == "set"))
	}
}

type userBody struct {
	Data *struct {
		ID         string `json:"id"`
		Attributes struct {
			Password string `json:"password"`
			Account  string `json:"account"`
		} `json:"attributes"`
	} `json:"data"`
}

func (a *API) addUser(w http.ResponseWriter, r request) {
	var body userBody
	if err := decode(r.body, &body); err != nil || body.Data == nil {
		refuse(w, http.StatusBadRequest, errBody.Error())
		return
	}
	done(w, a.Users.add(body.Data.ID, body.Data.Attributes.Account, body.Data.Attributes.Password))
}

func (a *API) removeUser(w http.ResponseWriter, r request) {
	found, err := a.Users.remove(r.path[2])
	if err == nil && !found {
		refuse(w, http.StatusNotFound, "User '"+r.path[2]+"' was not found.")
		return
	}
	done(w, err)
}
