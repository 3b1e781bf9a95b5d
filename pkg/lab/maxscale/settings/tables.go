package settings

// The parameters of MaxScale 24.02 by module, one a line: name, type, default, class.
// Defaults that were measured are those of a running 24.02.4, the others are of its
// documentation. The classes: "acts", the lab does it; "idle", accepted without effect, as
// nothing that the lab imitates depends on it; "absent", a parameter of MaxScale's that the
// lab does not imitate, so that every value but the default is refused; "must", acts and
// has no default. The default "-" is none. An enumeration whose word has a ! does not
// imitate that word.
const (
	ofMaxScale = `
admin_audit                    bool                          false          absent
admin_auth                     bool                          true           absent
admin_enabled                  bool                          true           acts
admin_gui                      bool                          true           idle
admin_host                     text                          127.0.0.1      acts
admin_jwt_algorithm            enum:auto,ES256               auto           idle
admin_jwt_key                  text                          -              absent
admin_jwt_max_age              duration                      24h            acts
admin_log_auth_failures        bool                          true           acts
admin_oidc_url                 text                          -              absent
admin_pam_readonly_service     text                          -              absent
admin_pam_readwrite_service    text                          -              absent
admin_port                     port                          8989           acts
admin_readonly_hosts           text                          %              absent
admin_readwrite_hosts          text                          %              absent
admin_secure_gui               bool                          true           idle
admin_ssl_ca                   path                          -              acts
admin_ssl_cert                 path                          -              acts
admin_ssl_cipher               text                          -              absent
admin_ssl_key                  path                          -              acts
admin_ssl_version              tls                           -              acts
admin_verify_url               text                          -              absent
auth_connect_timeout           duration                      10s            acts
auth_read_timeout              duration                      10s            acts
auth_write_timeout             duration                      10s            acts
cachedir                       text                          -              absent
config_sync_cluster            text                          -              absent
config_sync_password           password                      -              absent
config_sync_user               text                          -              absent
connector_plugindir            text                          -              absent
datadir                        text                          -              absent
dump_last_statements           enum:never,on_close!,on_error! never         acts
host_cache_size                int                           128            idle
key_manager                    enum:none,file!,kmip!,vault!  none           acts
language                       text                          -              absent
libdir                         text                          -              absent
load_persisted_configs         bool                          true           acts
local_address                  text                          -              absent
log_augmentation               int                           0              idle
log_debug                      bool                          false          idle
log_info                       bool                          false          acts
log_notice                     bool                          true           acts
log_throttling                 text                          -              idle
log_warn_super_user            bool                          false          idle
log_warning                    bool                          true           acts
logdir                         text                          -              absent
max_auth_errors_until_block    int                           10             acts
max_read_amount                size                          0              idle
maxlog                         bool                          true           idle
ms_timestamp                   bool                          false          acts
passive                        bool                          false          absent
persist_runtime_changes        bool                          true           acts
persistdir                     text                          -              absent
piddir                         text                          -              absent
query_classifier_cache_size    size                          -              idle
query_retries                  int                           1              acts
query_retry_timeout            seconds                       5s             acts
rebalance_period               duration                      0s             idle
rebalance_threshold            int                           20             idle
rebalance_window               int                           10             idle
require_secure_passwords       bool                          false          absent
retain_last_statements         int                           0              acts
session_trace                  int                           0              absent
skip_name_resolve              bool                          false          acts
sql_mode                       enum:default,oracle!          default        acts
substitute_variables           bool                          false          acts
syslog                         bool                          false          idle
threads                        text                          auto           idle
threads_max                    int                           256            idle
users_refresh_interval         seconds                       0s             acts
users_refresh_time             seconds                       30s            acts
writeq_high_water              size                          65536          idle
writeq_low_water               size                          1024           idle
`
	ofServer = `
address                        text                          -              must
authenticator                  text                          -              absent
disk_space_threshold           text                          -              absent
extra_port                     port                          0              absent
max_routing_connections        int                           0              absent
monitorpw                      password                      -              absent
monitoruser                    text                          -              absent
persistmaxtime                 seconds                       0s             absent
persistpoolmax                 int                           0              absent
port                           port                          3306           acts
priority                       int                           0              absent
private_address                text                          -              absent
protocol                       text                          MariaDBBackend idle
proxy_protocol                 bool                          false          absent
rank                           enum:primary,secondary!       primary        acts
replication_custom_options     text                          -              acts
socket                         text                          -              absent
`
	ofListener = `
address                        text                          ::             acts
authenticator                  text                          -              absent
authenticator_options          text                          -              absent
connection_init_sql_file       path                          -              absent
connection_metadata            text                          -              idle
port                           port                          -              must
protocol                       enum:MariaDB,MariaDBClient,MariaDBProtocol,NoSQL! MariaDB acts
proxy_protocol_networks        text                          -              absent
service                        service                       -              must
socket                         text                          -              absent
sql_mode                       enum:default,oracle!          default        acts
ssl_crl                        path                          -              absent
ssl_dh_bits                    int                           0              idle
user_mapping_file              path                          -              absent
`
	ofTLS = `
ssl                            bool                          false          acts
ssl_ca                         path                          -              acts
ssl_cert                       path                          -              acts
ssl_cert_verify_depth          int                           9              idle
ssl_cipher                     text                          -              acts
ssl_key                        path                          -              acts
ssl_verify_peer_certificate    bool                          false          acts
ssl_verify_peer_host           bool                          false          acts
ssl_version                    tls                           -              acts
`
	ofService = `
auth_all_servers               bool                          false          acts
cluster                        monitor                       -              acts
connection_keepalive           seconds                       300s           idle
connection_timeout             seconds                       0s             acts
disable_sescmd_history         bool                          false          absent
enable_root_user               bool                          false          acts
filters                        filters                       -              acts
force_connection_keepalive     bool                          false          absent
idle_session_pool_time         text                          -1s            absent
localhost_match_wildcard_host  bool                          true           acts
log_auth_warnings              bool                          true           acts
log_debug                      bool                          false          idle
log_info                       bool                          false          acts
max_connections                int                           0              acts
max_sescmd_history             int                           50             acts
multiplex_timeout              seconds                       60s            idle
net_write_timeout              seconds                       0s             idle
password                       password                      -              must
prune_sescmd_history           bool                          true           acts
rank                           enum:primary,secondary!       primary        acts
retain_last_statements         int                           -1             acts
router                         text                          -              must
servers                        servers                       -              acts
session_trace                  bool                          false          absent
strip_db_esc                   bool                          true           idle
targets                        text                          -              absent
user                           text                          -              must
user_accounts_file             path                          -              absent
version_string                 text                          -              acts
`
	ofReadWriteSplit = `
causal_reads                   enum:none,false,local,true,global,fast!,fast_global!,universal!,fast_universal! none acts
causal_reads_timeout           duration                      10s            acts
delayed_retry                  bool                          false          acts
delayed_retry_timeout          seconds                       10s            acts
lazy_connect                   bool                          false          absent
master_accept_reads            bool                          false          acts
master_failure_mode            enum:fail_instantly!,fail_on_write,error_on_write! fail_on_write acts
master_reconnection            bool                          true           acts
max_replication_lag            seconds                       0s             acts
max_slave_connections          int                           255            acts
optimistic_trx                 bool                          false          absent
retry_failed_reads             bool                          true           acts
reuse_prepared_statements      bool                          false          absent
slave_connections              int                           255            idle
slave_selection_criteria       enum:least_current_operations,adaptive_routing!,least_behind_master!,least_router_connections!,least_global_connections! least_current_operations acts
strict_multi_stmt              bool                          false          absent
strict_sp_calls                bool                          false          absent
strict_tmp_tables              bool                          true           acts
transaction_replay             bool                          false          acts
transaction_replay_attempts    int                           5              acts
transaction_replay_checksum    enum:full,result_only,no_insert_id full      acts
transaction_replay_max_size    size                          1048576        acts
transaction_replay_retry_on_deadlock bool                    false          absent
transaction_replay_retry_on_mismatch bool                    false          absent
transaction_replay_safe_commit bool                          true           absent
transaction_replay_timeout     seconds                       30s            acts
use_sql_variables_in           enum:all,master!              all            acts
`
	ofSchemaRouter = `
ignore_tables                  text                          -              absent
ignore_tables_regex            text                          -              absent
max_staleness                  duration                      150s           idle
refresh_databases              bool                          false          absent
refresh_interval               duration                      300s           acts
`
	ofMonitor = `
assume_unique_hostnames        bool                          true           acts
auto_failover                  bool                          false          acts
auto_rejoin                    bool                          false          acts
backend_connect_attempts       int                           1              acts
backend_connect_timeout        seconds                       3s             acts
backend_read_timeout           seconds                       3s             acts
backend_write_timeout          seconds                       3s             acts
cooperative_monitoring_locks   enum:none,majority_of_all,majority_of_running none acts
demotion_sql_file              path                          -              acts
disk_space_check_interval      duration                      0s             absent
disk_space_threshold           text                          -              absent
enforce_read_only_servers      bool                          false          absent
enforce_read_only_slaves       bool                          false          acts
enforce_simple_topology        bool                          false          absent
enforce_writable_master        bool                          false          acts
events                         text                          -              absent
failcount                      int                           5              acts
failover_timeout               seconds                       90s            acts
handle_events                  bool                          true           acts
journal_max_age                seconds                       28800s         idle
maintenance_on_low_disk_space  bool                          true           idle
master_conditions              text                          -              absent
master_failure_timeout         seconds                       10s            acts
module                         text                          -              must
monitor_interval               duration                      2s             acts
passive                        bool                          false          acts
password                       password                      -              must
promotion_sql_file             path                          -              acts
replication_custom_options     text                          -              acts
replication_master_ssl         bool                          false          acts
replication_password           password                      -              acts
replication_user               text                          -              acts
script                         text                          -              absent
script_max_replication_lag     int                           -1             absent
script_timeout                 seconds                       90s            absent
servers                        servers                       -              must
servers_no_promotion           servers                       -              acts
slave_conditions               text                          -              absent
switchover_on_low_disk_space   bool                          false          absent
switchover_timeout             seconds                       90s            acts
user                           text                          -              must
verify_master_failure          bool                          true           acts
`
	ofMasking = `
check_subqueries               bool                          true           acts
check_unions                   bool                          true           acts
check_user_variables           bool                          true           acts
large_payload                  enum:ignore,abort             abort          acts
module                         text                          -              must
prevent_function_usage         bool                          true           acts
require_fully_parsed           bool                          true           acts
rules                          path                          -              must
treat_string_arg_as_field      bool                          true           acts
warn_type_mismatch             enum:never,always             never          acts
`
)

// foreign are modules of MaxScale's that the lab does not imitate.
const foreign = `readconnroute binlogrouter cat hintrouter kafkacdc kafkaimporter mirror smartrouter avrorouter
galeramon auroramon clustrixmon xpandmon csmon
binlogfilter cache ccrfilter comment dbfwfilter hintfilter insertstream ldi luafilter lsfilter maxrows mqfilter namedserverfilter nosqlcachefilter psreuse qlafilter query_rewrite rewrite regexfilter tee throttlefilter topfilter tpmfilter optimistictrx workload_capture wcar`
