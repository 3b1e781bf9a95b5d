package lint

import (
	"fmt"

	"github.com/confidb/confidb/pkg/layout"
)

// findLostPeers finds peers to which the shield cannot connect.
func findLostPeers(in *input) []hit {
	var hits []hit
	for i, s := range in.Services {
		shield := layout.NewShield(s)
		for _, e := range shield.Clients {
			if e.Mode != "protected" || shield.Mode == "disabled" {
				continue
			}
			if text := in.LostPeer(s, e); text != "" {
				hits = append(hits, hit{path: service(i) + ".environment.SCONE_NETWORK_SHIELD_CLIENT_" + e.Name + "_DESTINATION", got: fmt.Sprintf("service %s, entry %s: %s", s.Name, e.Name, text)})
			}
		}
	}
	return hits
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
