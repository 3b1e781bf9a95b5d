package cluster

import (
	"slices"
	"time"
)

// LockMode is cooperative_monitoring_locks. The zero value is none.
type LockMode string

// The modes: of all servers, or only of those that are reached, more than half must be held.
const (
	NoLocks           LockMode = ""
	MajorityOfAll     LockMode = "majority_of_all"
	MajorityOfRunning LockMode = "majority_of_running"
)

// Server is a server of the configuration.
type Server struct {
	Name string
	Host string
	Port int
	// ReplicationCustomOptions go into CHANGE MASTER as they are given, after those of the monitor.
	ReplicationCustomOptions string
}

// Settings are those of a [monitor] section, with the names of MaxScale's documentation.
// Durations that are zero have MaxScale's defaults.
type Settings struct {
	Name     string
	Servers  []Server // in the order of the configuration
	Interval time.Duration

	ConnectTimeout, ReadTimeout, WriteTimeout time.Duration
	MasterFailureTimeout                      time.Duration
	FailoverTimeout, SwitchoverTimeout        time.Duration
	Failcount                                 int

	AutoFailover, AutoRejoin                     bool
	EnforceReadOnlySlaves, EnforceWritableMaster bool
	Passive                                      bool
	SkipVerifyMasterFailure                      bool // verify_master_failure=false
	SkipEvents                                   bool // handle_events=false
	Locks                                        LockMode
	ReplicationUser, ReplicationPassword         string
	ReplicationMasterSSL                         bool
	ReplicationCustomOptions                     string
	PromotionSQLFile, DemotionSQLFile            string
	ServersNoPromotion                           []string
}

// withDefaults fills in what is not set.
func (s Settings) withDefaults() Settings {
	for _, d := range []struct {
		at   *time.Duration
		unit time.Duration
	}{{&s.Interval, 2 * time.Second}, {&s.ConnectTimeout, 3 * time.Second}, {&s.ReadTimeout, 3 * time.Second}, {&s.WriteTimeout, 3 * time.Second},
		{&s.MasterFailureTimeout, 10 * time.Second}, {&s.FailoverTimeout, 90 * time.Second}, {&s.SwitchoverTimeout, 90 * time.Second}} {
		if *d.at == 0 {
			*d.at = d.unit
		}
	}
	if s.Failcount == 0 {
		s.Failcount = 5
	}
	s.Servers = slices.Clone(s.Servers)
	return s
}

// waitTimeout is the wait_timeout of the monitor's sessions in seconds: 7 with the default
// timeouts, 5 with shorter ones, both as measured; the formula is a guess that gives them.
func (s *Settings) waitTimeout() int {
	return max(5, int((s.ConnectTimeout+s.ReadTimeout)/time.Second)+1)
}

func (s *Settings) server(name string) (Server, bool) {
	i := slices.IndexFunc(s.Servers, func(x Server) bool { return x.Name == name })
	if i < 0 {
		return Server{}, false
	}
	return s.Servers[i], true
}
