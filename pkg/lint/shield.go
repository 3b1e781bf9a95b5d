package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/layout"
)

// findAnonymousClients finds what the shield lets in without a certificate, but for the
// ports of databases, which have a rule of their own.
func findAnonymousClients(in *input) []hit {
	var hits []hit
	for i, s := range in.Services {
		var ports []string
		if d := in.ServerOf(s); d != nil {
			ports = d.Ports()
		}
		for _, e := range layout.NewShield(s).Servers {
			off := strings.EqualFold(e.Settings["CLIENT_AUTH"], "disabled") && e.Mode != "unprotected"
			if !off && e.Exposure() != layout.Anonymous || e.Mode == "protected" && slices.Contains(ports, e.Port()) {
				continue
			}
			hits = append(hits, hit{path: service(i) + ".environment.SCONE_NETWORK_SHIELD_SERVER_" + e.Name + "_CLIENT_AUTH", got: fmt.Sprintf("service %s: entry %s without client authentication", s.Name, e.Name)})
		}
	}
	return hits
}

// findTrustedSockets finds entries that believe what the host says of who connects.
func findTrustedSockets(in *input) []hit {
	var hits []hit
	for i, s := range in.Services {
		for _, variable := range slices.Sorted(maps.Keys(s.Environment)) {
			if strings.HasPrefix(variable, "SCONE_NETWORK_SHIELD_") && strings.Contains(s.Environment[variable], "TolerateInsecureUnixCredentials") {
				hits = append(hits, hit{path: service(i) + ".environment." + variable, got: "service " + s.Name + ": TolerateInsecureUnixCredentials"})
			}
		}
	}
	return hits
}
