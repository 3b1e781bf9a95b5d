package lint

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/confidb/confidb/pkg/layout"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
)

// findClearMetrics finds ports of exporters of metrics that the shield leaves alone.
func findClearMetrics(in *input) []hit {
	exporter := regexp.MustCompile(`(?i)metric|exporter|maxme`)
	var hits []hit
	for i, s := range in.Services {
		if len(s.Command) == 0 {
			continue
		}
		for _, e := range layout.NewShield(s).Servers {
			if e.Mode == "unprotected" && e.Port() != "" && exporter.MatchString(e.Name+" "+s.Name+" "+path.Base(s.Command[0])) {
				hits = append(hits, hit{path: service(i) + ".environment.SCONE_NETWORK_SHIELD_SERVER_" + e.Name, got: fmt.Sprintf("service %s: port %s", s.Name, e.Port())})
			}
		}
	}
	return hits
}

// findCuriousAccounts finds accounts for metrics that may read all tables.
func findCuriousAccounts(in *input) []hit {
	form := regexp.MustCompile("(?is)^\\s*GRANT\\s(.*?)\\sON\\s+\\*\\.\\*\\s+TO\\s+['\"`]?([^'\"`@\\s]*(?:metric|exporter|monitor)[^'\"`@\\s]*)")
	reads := regexp.MustCompile(`(?i)\bSELECT\b|\bALL\b`)
	var hits []hit
	for _, w := range in.written() {
		for _, statement := range layout.Statements(w.sql()) {
			if match := form.FindStringSubmatch(statement); match != nil && reads.MatchString(match[1]) {
				hits = append(hits, hit{path: w.path, got: fmt.Sprintf("%s: %.60s with SELECT on every table", w.what, match[2])})
			}
		}
	}
	return hits
}

// findTwoPrograms finds measurements under which two programs are to run: one of them
// cannot be right.
func findTwoPrograms(in *input) []hit {
	first := map[sgx.Measurement]session.Service{}
	var hits []hit
	for i, s := range in.Services {
		if len(s.Command) == 0 || strings.ContainsAny(s.Command[0], "@$") || layout.StartsAnother(s.Command[0]) {
			continue
		}
		for _, v := range s.Attestation {
			for _, m := range v.MRENCLAVEs {
				other, taken := first[m]
				switch {
				case !taken:
					first[m] = s
				case program(other) != program(s) && m != (sgx.Measurement{}):
					hits = append(hits, hit{path: service(i) + ".command", got: fmt.Sprintf("service %s runs %.40s, and service %s %.40s with the same measurement", s.Name, program(s), other.Name, program(other))})
				}
			}
		}
	}
	return hits
}

// program is what a service runs, by the name that MariaDB gives it now.
func program(s session.Service) string {
	name := path.Base(s.Command[0])
	switch {
	case name == "mysqld":
		return "mariadbd"
	case name == "mysql":
		return "mariadb"
	case strings.HasPrefix(name, "mysql") && !strings.HasPrefix(name, "mysqld_exporter") && !strings.Contains(name, "_"):
		return "mariadb-" + strings.TrimPrefix(name, "mysql")
	}
	return name
}

// findSharedIdentities finds databases that have the same private key as one of another
// session.
func findSharedIdentities(in *input) []hit {
	var hits []hit
	for i, v := range in.Services {
		if other, key := in.SharedWith(v); other != "" {
			hits = append(hits, hit{path: service(i), got: fmt.Sprintf("service %s has the key %s, as %s", v.Name, key.Secret, other)})
		}
	}
	return hits
}
