package masking

import (
	"encoding/json"
	"fmt"

	"github.com/confidb/confidb/pkg/document"
)

// The canary is a row of a table that the session makes. One account of the attested client
// meets a rule about it, so whether MaxScale masks is seen before there are tables of the
// user's own. The columns have names that no rule of the user's has.
const (
	CanaryDatabase = "confidb_verify"
	CanaryTable    = "canary"
	// CanaryView is a view of the table without the masked columns.
	CanaryView = "canary_open"
	// CanaryColumn is masked, and CanaryDate has a rule that does nothing, as for every
	// column of that type. CanaryName is in clear.
	CanaryColumn = "confidb_canary"
	CanaryDate   = "confidb_born"
	CanaryName   = "confidb_name"
	// CanaryClear is the value of CanaryColumn, CanaryMasked what it is replaced with, and
	// CanaryBorn the value of CanaryDate.
	CanaryClear  = "721-07-4426"
	CanaryMasked = "XXX-XX-XXXX"
	CanaryBorn   = "1970-01-02"
	// CanaryAccount is the account that meets the rule.
	CanaryAccount = "confidb_masked"
)

// canaryRule is a rule in MaxScale's form.
type canaryRule struct {
	Replace map[string]string `json:"replace"`
	With    map[string]string `json:"with"`
	Applies []string          `json:"applies_to"`
}

// WithCanary is the text of a document of rules with ours about the canary behind the
// user's, which stay as they are.
func WithCanary(text string) (string, error) {
	var all struct {
		Rules []json.RawMessage `json:"rules"`
	}
	if err := json.Unmarshal(document.WithoutMark([]byte(text)), &all); err != nil {
		return "", fmt.Errorf("masking rules: %w", err)
	}
	for _, column := range []string{CanaryColumn, CanaryDate} {
		one, err := json.Marshal(canaryRule{
			Replace: map[string]string{"database": CanaryDatabase, "table": CanaryTable, "column": column},
			With:    map[string]string{"value": CanaryMasked, "fill": CanaryMasked[:1]},
			Applies: []string{"'" + CanaryAccount + "'@'" + everywhere + "'"},
		})
		if err != nil {
			return "", fmt.Errorf("the canary's rule: %w", err)
		}
		all.Rules = append(all.Rules, one)
	}
	made, err := json.Marshal(all)
	return string(made), err
}
