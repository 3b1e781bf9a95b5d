package topology_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/topology"
)

// A trap is something that MaxScale or MariaDB does by itself, or where it is told otherwise,
// and that a session of ours has to say, or must not (docs/traps.md).
type trap struct {
	// file is one of the image, or the command of a service.
	file string
	// says are lines that are there, and never what no line begins with.
	says, never []string
}

// traps are those that texts of sessions avoid.
func traps() map[string]trap {
	const maxscale, server = "maxscale maxscale.cnf", "database-1 my.cnf"
	return map[string]trap{
		"semi-sync on a replica":                                  {server, []string{"rpl_semi_sync_master_enabled = OFF", "read_only = ON"}, nil},
		"what nobody acknowledged is truncated and fetched again": {server, []string{"rpl_semi_sync_slave_enabled = ON", "gtid_strict_mode = ON"}, nil},
		"a commit waits for ever":                                 {server, []string{"rpl_semi_sync_master_timeout = 18446744073709551615", "rpl_semi_sync_master_wait_no_slave = ON", "rpl_semi_sync_master_wait_point = AFTER_SYNC"}, nil},
		"nothing of the init file is logged":                      {"database-1 accounts.sql", []string{"SET SESSION sql_log_bin=0;"}, nil},
		"truncated only beside a primary":                         {"service db-db1-mariadb-1", []string{"--init-rpl-role=SLAVE"}, nil},
		"nothing is truncated where all start":                    {"service cold-db1-mariadb-1", []string{"mariadbd"}, []string{"--init-rpl-role"}},
		"a replica that starts waits for MaxScale":                {server, []string{"skip_slave_start"}, nil},
		"an event does not run twice":                             {server, []string{"event_scheduler = DISABLED"}, nil},
		"promotion switches semi-sync on":                         {"maxscale promotion.sql", []string{"SET GLOBAL rpl_semi_sync_master_enabled=1;"}, nil},
		"demotion switches semi-sync off":                         {"maxscale demotion.sql", []string{"SET GLOBAL rpl_semi_sync_master_enabled=0;"}, nil},
		"both files are named":                                    {maxscale, []string{"promotion_sql_file=/run/confidb/promotion.sql", "demotion_sql_file=/run/confidb/demotion.sql"}, nil},
		"enforce_writable_master opens a server asynchronous":     {maxscale, []string{"enforce_read_only_slaves=true"}, []string{"enforce_writable_master"}},
		"passive keeps the locks":                                 {maxscale, []string{"cooperative_monitoring_locks=majority_of_all"}, []string{"passive"}},
		"a stalled primary takes 27 seconds":                      {maxscale, []string{"failcount=3", "monitor_interval=1000ms", "backend_connect_timeout=1s", "backend_read_timeout=3s", "master_failure_timeout=4s"}, nil},
		"options of replication quote the password":               {maxscale, []string{"replication_custom_options=MASTER_SSL_CA='/run/confidb/ca.crt',MASTER_SSL_CERT='/run/confidb/repl.crt',MASTER_SSL_KEY='/run/confidb/repl.key',MASTER_SSL_VERIFY_SERVER_CERT=1,MASTER_CONNECT_RETRY=2", "replication_master_ssl=true"}, nil},
		"events nobody reads":                                     {maxscale, []string{"handle_events=false"}, nil},
		"a transaction is not repeated":                           {maxscale, []string{"transaction_replay=false"}, []string{"delayed_retry", "transaction_replay_"}},
		"acknowledged is not yet readable":                        {maxscale, []string{"causal_reads=global"}, nil},
		"the mistakes of one client shut out all":                 {maxscale, []string{"max_auth_errors_until_block=0"}, nil},
		"settings of runtime with passwords are kept":             {maxscale, []string{"load_persisted_configs=false", "persist_runtime_changes=false"}, nil},
		"administration for anybody":                              {maxscale, []string{"admin_host=127.0.0.1", "admin_ssl_cert=/var/lib/confidb-maxscale/made.crt", "admin_ssl_key=/run/confidb/admin.key", "admin_gui=false"}, []string{"admin_enabled", "admin_secure_gui"}},
		"variables are not filled in":                             {maxscale, nil, []string{"substitute_variables"}},
		"the cache takes 15 percent of the memory of the host":    {maxscale, []string{"query_classifier_cache_size=32Mi"}, nil},
		"statements in logs":                                      {maxscale, []string{"log_info=false", "log_debug=false", "retain_last_statements=0"}, []string{"dump_last_statements", "log_warn_super_user"}},
		"a peer of any name":                                      {maxscale, []string{"ssl_verify_peer_certificate=true", "ssl_verify_peer_host=true"}, nil},
		"masking without its switches": {maxscale, []string{"large_payload=abort", "prevent_function_usage=true", "require_fully_parsed=true", "treat_string_arg_as_field=true",
			"check_user_variables=true", "check_unions=true", "check_subqueries=true"}, nil},
		"a folder of configurations": {"maxscale maxscale.cnf.d", []string{""}, nil},
		"runtimedir moves the plugins": {"service maxscale", []string{"--nodaemon", "--log=stdout", "--datadir=/var/lib/confidb-maxscale/data", "--cachedir=/var/lib/confidb-maxscale/cache",
			"--persistdir=/var/lib/confidb-maxscale/persist", "--piddir=/var/lib/confidb-maxscale/pid"}, []string{"--runtimedir", "--user"}},
	}
}

// TestTraps: each trap that the text of a session avoids is avoided.
func TestTraps(t *testing.T) {
	p := several(t)
	p.Applications.Masking = rules
	sessions, texts := parsedBy(t, made(t, p)), map[string]string{}
	for _, role := range []topology.Role{topology.Database, topology.MaxScale} {
		for _, image := range sessions[role].Images {
			for _, f := range image.InjectionFiles {
				texts[image.Name+" "+strings.TrimPrefix(f.Path, "/run/confidb/")] = *f.Content
			}
		}
		for _, s := range sessions[role].Services {
			texts["service "+s.Name] = strings.Join(s.Command, "\n")
		}
	}
	for name, c := range traps() {
		t.Run(name, func(t *testing.T) {
			text, known := texts[c.file]
			if !known {
				t.Fatalf("there is no %s", c.file)
			}
			lines := strings.Split(text, "\n")
			begins := func(with string) bool {
				return slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), with) })
			}
			for _, line := range c.says {
				if !slices.ContainsFunc(lines, func(l string) bool { return strings.TrimSpace(l) == line }) {
					t.Errorf("%s does not say %q", c.file, line)
				}
			}
			for _, with := range c.never {
				if begins(with) {
					t.Errorf("%s says %s", c.file, with)
				}
			}
		})
	}
	// MaxScale takes $NAME as it stands, and says nothing
	left := regexp.MustCompile(`\$\$SCONE::[^$]*\$\$`).ReplaceAllString(texts["maxscale maxscale.cnf"], "")
	if strings.Contains(left, "$") {
		t.Errorf("a variable is left:\n%s", left)
	}
}
