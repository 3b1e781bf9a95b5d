package lint

import (
	"fmt"
	"slices"

	"github.com/confidb/confidb/pkg/layout"
)

// eachClient applies got to the entries of the shield for peers, with the ports of all
// other services.
//
//go:noinline
func eachClient(got func(e layout.Entry, others []layout.Port) string) finder {
	return func(in *input) []hit {
		var hits []hit
		var all []layout.Port
		for i, s := range in.Services {
			shield := layout.NewShield(s)
			if len(shield.Clients) > 0 && all == nil {
				all = in.Listening()
			}
			others := slices.DeleteFunc(slices.Clone(all), func(p layout.Port) bool { return p.Name == in.Name && p.Service.Name == s.Name })
			for _, e := range shield.Clients {
				if e.Mode != "protected" || shield.Mode == "disabled" {
					continue
				}
				if text := got(e, others); text != "" {
					hits = append(hits, hit{path: service(i) + ".environment.SCONE_NETWORK_SHIELD_CLIENT_" + e.Name + "_DESTINATION", got: fmt.Sprintf("service %s, entry %s: %s", s.Name, e.Name, text)})
				}
			}
		}
		return hits
	}
}

// findOneRuleForTwo finds peers that the shield cannot tell apart: it goes by address and
// port, and not by name.
func findOneRuleForTwo(in *input) []hit {
	var hits []hit
	for i, s := range in.Services {
		seen := map[string]string{}
		for _, e := range layout.NewShield(s).Clients {
			_, number := e.Peer()
			address := e.Settings["DESTINATION_IP"]
			if number == "" || e.Mode != "protected" || address != "" && address != "*" {
				continue
			}
			if other, twice := seen[number]; twice {
				hits = append(hits, hit{path: service(i) + ".environment.SCONE_NETWORK_SHIELD_CLIENT_" + e.Name + "_DESTINATION", got: fmt.Sprintf("service %s: entries %s and %s for port %s of any address", s.Name, other, e.Name, number)})
			}
			seen[number] = e.Name
		}
	}
	return hits
}
