package policy

import "github.com/confidb/confidb/pkg/document"

// Error says what is wrong at one place of a policy, and Errors everything.
type (
	Error  = document.Error
	Errors = document.Errors
)
