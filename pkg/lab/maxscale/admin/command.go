package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// command is a command of the monitor's module. Its arguments are the parts of the query:
// the monitor, and servers. It is waited for, and every other request with it.
func (a *API) command(w http.ResponseWriter, r request) {
	arguments, err := parts(r.URL.RawQuery)
	if err != nil || len(arguments) == 0 {
		refuseCommand(w, "The command needs a monitor.")
		return
	}
	operator := a.Model.Operator(arguments[0])
	if operator == nil {
		refuseCommand(w, "'"+arguments[0]+"' is not a monitor.")
		return
	}
	name := r.path[3]
	if name == "fetch-cmd-result" {
		result(w, operator)
		return
	}
	name, async := strings.CutPrefix(name, "async-")
	run := work(operator, name, append(arguments[1:], "", "")[:2])
	if run == nil {
		a.missing(w, r.Request)
		return
	}
	if async {
		err = operator.Begin(a.Context, name, run)
	} else {
		err = run(a.Context) // whoever has asked may go: it is carried out
	}
	if err != nil {
		refuseCommand(w, err.Error())
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// work is what a command does, nil if there is none of that name.
func work(o Operator, name string, servers []string) func(context.Context) error {
	switch name {
	case "switchover", "switchover-force":
		return func(ctx context.Context) error {
			return o.Switchover(ctx, servers[0], servers[1], name == "switchover-force")
		}
	case "failover":
		return o.Failover
	case "rejoin":
		return func(ctx context.Context) error { return o.Rejoin(ctx, servers[0]) }
	case "release-locks":
		return o.ReleaseLocks
	}
	return nil
}

// result is how the last command ended that was not waited for: 200 in each case.
func result(w http.ResponseWriter, o Operator) {
	text, err := o.Result()
	self := links{base + "maxscale/modules/mariadbmon/fetch-cmd-result"}
	if err != nil {
		answer(w, map[string]any{"links": self, "meta": map[string]any{"errors": details(strings.Split(err.Error(), "\n")...)}})
		return
	}
	answer(w, map[string]any{"links": self, "meta": text})
}

// parts are the arguments of a query that has no names.
func parts(query string) ([]string, error) {
	var all []string
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		text, err := url.QueryUnescape(part)
		if err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, nil
}

// refuseCommand answers with an error of a command, which stands elsewhere than others.
func refuseCommand(w http.ResponseWriter, detail string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusBadRequest)
	body, err := json.Marshal(map[string]any{"links": links{base + "maxscale/modules"}, "meta": map[string]any{"errors": details(strings.Split(detail, "\n")...)}})
	if err == nil {
		_, _ = w.Write(body) // whoever asked has gone if it fails
	}
}
