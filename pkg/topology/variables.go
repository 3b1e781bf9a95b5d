package topology

import (
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
)

// Variable is a setting in the environment of a program.
type Variable struct{ Name, Value string }

// Export is the line by which a shell sets the variable, whatever is in its value.
func (v Variable) Export() string {
	return "export " + v.Name + "='" + strings.ReplaceAll(v.Value, "'", `'\''`) + "'"
}

// Variables are the names of a release as SCONE's own recipe calls them; none is a secret.
// CAS_MRENCLAVE is there if exactly one measurement is trusted.
func (r *Release) Variables() []Variable {
	all := []Variable{{"SCONE_CAS_ADDR", r.CASAddress}}
	if m := r.Trust.CAS.ReferenceValues.MRENCLAVEs; len(m) == 1 {
		all = append(all, Variable{"CAS_MRENCLAVE", m[0].String()})
	}
	var ids []string
	for _, id := range slices.SortedFunc(slices.Values(r.Platforms), attest.PlatformID.Compare) {
		ids = append(ids, id.String())
	}
	return append(all, Variable{"DBSESSION", r.Session(Database).Name}, Variable{"DBCLIENT", r.Session(Client).Name}, Variable{"PLATFORMS", strings.Join(ids, ",")})
}
