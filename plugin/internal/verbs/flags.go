package verbs

import "github.com/confidb/confidb/pkg/deploy"

// Values of --dry-run.
const (
	DryRunNone   = string(deploy.None)
	DryRunClient = string(deploy.Client)
	DryRunServer = string(deploy.Server)
)
