package lint

import (
	"fmt"

	"github.com/confidb/confidb/pkg/layout"
)

// eachSection applies got to the sections of MaxScale's configuration; empty means no
// problem.
//
//go:noinline
func eachSection(got func(layout.Shield, layout.Section) string) finder {
	return func(in *input) []hit {
		var hits []hit
		for i, v := range in.Services {
			for _, s := range in.MaxScale(v) {
				if text := got(layout.NewShield(v), s); text != "" {
					hits = append(hits, hit{path: service(i), got: fmt.Sprintf("service %s: [%.60s] %s", v.Name, s.Name, text)})
				}
			}
		}
		return hits
	}
}

func logsEverything(_ layout.Shield, s layout.Section) string {
	if s.Name != "maxscale" || !s.On("log_debug") {
		return ""
	}
	return "log_debug"
}

func usesRoot(_ layout.Shield, s layout.Section) string {
	if kind := s.Option("type"); (kind != "service" && kind != "monitor") || s.Option("user") != "root" {
		return ""
	}
	return "user=root"
}
