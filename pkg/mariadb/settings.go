package mariadb

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/promise"
)

// settingQuestions are those that are decided by what the server says of itself.
func settingQuestions() []question {
	const account = "Change or drop the account in the session's accounts.sql and restart the database."
	const config = "Set it in the session's my.cnf and restart the database."
	return []question{
		{"mtls-03", "every account that can log in requires a client certificate", account, decideCertificates},
		{"mtls-04", "every account that can log in requires one subject, of the session's CA", account, decideNames},
		{"enc-01", "every tablespace is encrypted", "Wait until the encryption threads are done, and recreate tables with ENCRYPTED=NO.", decideSpaces},
		{"enc-02", "encryption of tables, logs and temporary files is switched on", config, decideEncryption},
		{"enc-03", "no security setting was changed since the start: all are from the configuration file",
			"Find out who changed it, then restart the database.", decideOrigins},
		{"enc-04", "every binary log is encrypted from its start", "Purge the binary logs that were written before encrypt_binlog was on.", decideBinlogs},
		{"enc-05", "no table is outside of what MariaDB encrypts", "ALTER TABLE ... ENGINE=InnoDB ENCRYPTED=YES", decideTables},
		{"enc-06", "the key plugin cannot be unloaded, uses AES_CTR, and its keys are from CAS", config, decideKeys},
		{"log-01", "nothing logs statements in clear", config, decideLogs},
		{"acc-01", "no account is anonymous or without a password", account, decideSecrets},
		{"acc-02", "no account trusts what the host says about a process (unix_socket)", "Set unix_socket = OFF in the session's my.cnf and drop the account.", decideSocket},
		{"acc-03", "no account and no role can change encryption, logging or accounts", account, decidePrivileges},
		{"set-01", "every setting is the session's, and what the session leaves alone is at its default", "Find out who changed it, then restart the database.", decideSettings},
		{"set-02", "no setting lets the host in or writes memory to a file", config, decideDangerous},
		{"obj-01", "plugins and loadable functions are those of this version and of the session", "Uninstall it, and find out who installed it.", decidePlugins},
		{"obj-02", "the server replicates with nobody, and only accounts of the session are connected", "Find out who is connected, then restart the database.", decideNeighbours},
		{"obj-03", "what runs with somebody's rights was made by the version or by an account that may", "Drop it, and find out who made it.", decideObjects},
		{"acc-04", "accounts and rights are exactly those of the session, now and after a restart", account, decideRights},
		{"boot-01", "the session's init file ran to its end at this start",
			"Read the pod's log, and restart the database. If it stays so, the volume was tampered with.", decideStart},
		{"file-01", "files of clients and of the server cannot be read by statements", config, decideFiles},
	}
}

// encryptionSettings are ON or FORCE by themselves; the number of threads is apart.
func encryptionSettings() []setting {
	return []setting{
		{"innodb_encrypt_tables", "FORCE"}, {"innodb_encrypt_log", "ON"}, {"innodb_encrypt_temporary_tables", "ON"},
		{"aria_encrypt_tables", "ON"}, {"encrypt_tmp_disk_tables", "ON"}, {"encrypt_tmp_files", "ON"}, {"encrypt_binlog", "ON"},
	}
}

func decideEncryption(o *Observation) conclusion {
	if c := o.compare(encryptionSettings()); c.outcome != check.Pass {
		return c
	}
	threads, known := o.answers.Variables.Value["innodb_encryption_threads"]
	if !known {
		return skipped("not supported by this version of the server: innodb_encryption_threads")
	}
	if n, err := strconv.Atoi(threads.Value); err != nil || n < 1 {
		return failed("innodb_encryption_threads="+threads.Value, "at least 1", "")
	}
	return passed("")
}

func decideOrigins(o *Observation) conclusion {
	// not innodb_encryption_threads, which the init file may set: enc-02 looks at the number
	configured := []string{
		"innodb_encryption_rotate_key_age", "innodb_default_encryption_key_id",
		"file_key_management_filename", "file_key_management_encryption_algorithm",
		"require_secure_transport", "tls_version", "ssl_ca", "ssl_cert", "ssl_key", "ssl_cipher",
		"general_log", "slow_query_log", "log_output", "local_infile", "secure_file_priv",
	}
	for _, s := range encryptionSettings() {
		configured = append(configured, s.name)
	}
	// these are as secure when nobody set them
	alone := []string{"read_only", "proxy_protocol_networks", "log_bin"}
	if o.several() != nil {
		alone = alone[1:] // set-01 and rep-02 are about it
	}
	untouched := o.origins(alone, originConfig, originDefault)
	fromFile := o.origins(configured, originConfig)
	if untouched.outcome == check.Fail || fromFile.outcome == check.Pass {
		return untouched
	}
	return fromFile
}

func decideSpaces(o *Observation) conclusion {
	if err := o.answers.Tablespaces.Err; err != nil {
		return unproven(err)
	}
	found := o.answers.Tablespaces.Value
	if len(found.Clear) == 0 && len(found.Moving) > 0 {
		return skipped("being encrypted again right now: " + briefly(found.Moving))
	}
	return noneOf(found.Clear, "no tablespace in clear", fmt.Sprintf("%d tablespaces", found.Total))
}

func decideTables(o *Observation) conclusion {
	if err := o.answers.Tables.Err; err != nil {
		return unproven(err)
	}
	found := o.answers.Tables.Value
	if reason := o.blind("SHOW VIEW"); len(found.Outside) == 0 && reason != "" {
		return skipped(reason)
	}
	if len(found.Outside) == 0 && len(found.Doubtful) > 0 {
		return skipped("whether these tables of Aria are encrypted, no statement says; ALTER TABLE ... ENGINE=InnoDB makes it known: " + briefly(found.Doubtful))
	}
	return noneOf(found.Outside, "only InnoDB, and Aria in the databases of the server's own", fmt.Sprintf("%d tables", found.Total))
}

func decideBinlogs(o *Observation) conclusion {
	if err := o.answers.Variables.Err; err != nil {
		return unproven(err)
	}
	if o.answers.Variables.Value["log_bin"].Value == "OFF" {
		return passed("the server writes no binary log")
	}
	if err := o.answers.Binlogs.Err; err != nil {
		return unproven(err)
	}
	var clear []string
	for _, log := range o.answers.Binlogs.Value {
		if log.SecondEvent != "Start_encryption" {
			clear = append(clear, fmt.Sprintf("%q: second event %q", log.Name, log.SecondEvent))
		}
	}
	return noneOf(clear, "second event Start_encryption", fmt.Sprintf("%d binary logs", len(o.answers.Binlogs.Value)))
}

func decideKeys(o *Observation) conclusion {
	if err := o.answers.Plugins.Err; err != nil {
		return unproven(err)
	}
	if got := o.plugin("file_key_management"); got.Status != "ACTIVE" || got.LoadOption != "FORCE_PLUS_PERMANENT" {
		return failed(fmt.Sprintf("file_key_management %s, %s", got.Status, got.LoadOption), "ACTIVE, FORCE_PLUS_PERMANENT", "")
	}
	if c := o.compare([]setting{{"file_key_management_encryption_algorithm", "AES_CTR"}}); c.outcome != check.Pass {
		return c
	}
	file, known := o.answers.Variables.Value["file_key_management_filename"]
	if !known {
		return skipped("the server does not say where its key file is")
	}
	if !o.injected(file.Value) {
		return failed("file_key_management_filename="+file.Value, "a file below "+o.target.KeyDirectory, "")
	}
	// empty: the key file is not wrapped by another key
	wrapper, isFile := strings.CutPrefix(o.answers.Variables.Value["file_key_management_filekey"].Value, "FILE:")
	if isFile && !o.injected(wrapper) {
		return failed("file_key_management_filekey=FILE:"+wrapper, "a file below "+o.target.KeyDirectory, "")
	}
	return passed(file.Value)
}

// plugin returns a plugin by its name, or the zero plugin.
func (o *Observation) plugin(name string) plugin {
	for _, p := range o.answers.Plugins.Value {
		if strings.EqualFold(p.Name, name) {
			return p
		}
	}
	return plugin{}
}

// injected reports whether a file lies where CAS puts its files.
func (o *Observation) injected(file string) bool {
	return path.Clean(file) == file && strings.HasPrefix(file, o.target.KeyDirectory)
}

func decideLogs(o *Observation) conclusion {
	settings := o.compare([]setting{{"general_log", "OFF"}, {"slow_query_log", "OFF"}, {"log_output", "NONE"},
		{"innodb_status_output", "OFF"}, {"innodb_status_output_locks", "OFF"}, {"innodb_print_all_deadlocks", "OFF"}}) // these write rows to the error log
	if settings.outcome == check.Fail {
		return settings
	}
	if err := o.answers.Plugins.Err; err != nil {
		return unproven(err)
	}
	var active []string
	for _, name := range []string{"server_audit", "sql_error_log", "feedback"} {
		if o.plugin(name).Status == "ACTIVE" {
			active = append(active, "plugin "+name+" ACTIVE")
		}
	}
	if len(active) > 0 {
		return failed(briefly(active), "not active", "")
	}
	return settings
}

// decideDangerous is about settings with which the session itself would open the server.
func decideDangerous(o *Observation) conclusion {
	return o.compare([]setting{{"proxy_protocol_networks", ""}, {"core_file", "OFF"}, {"skip_grant_tables", "OFF"}, {"allow_suspicious_udfs", "OFF"},
		{"init_slave", ""}, {"old_passwords", "OFF"}, {"secure_auth", "ON"}})
}

func decideFiles(o *Observation) conclusion {
	if c := o.compare([]setting{{"local_infile", "OFF"}}); c.outcome != check.Pass {
		return c
	}
	directory, known := o.answers.Variables.Value["secure_file_priv"]
	if !known {
		return skipped("not supported by this version of the server: secure_file_priv")
	}
	if directory.Value == "" {
		return failed("secure_file_priv is empty: no restriction", "a directory without files", "")
	}
	for _, name := range []string{"datadir", "tmpdir", "plugin_dir", "file_key_management_filename", "ssl_key"} {
		if inside := o.answers.Variables.Value[name].Value; strings.HasPrefix(inside, directory.Value) {
			return failed("secure_file_priv="+directory.Value+" holds "+inside+" ("+name+")", "a directory without files", "")
		}
	}
	return passed("secure_file_priv=" + directory.Value)
}

func decideCertificates(o *Observation) conclusion {
	return o.ofAccounts(func(all accounts) conclusion {
		return noneOf(faulty(all, func(a account) string {
			if a.Require.Level == "" || a.Require.Level == "SSL" || a.Require == (promise.Require{Level: "SPECIFIED", Cipher: a.Require.Cipher}) {
				return "no client certificate required"
			}
			return ""
		}), "REQUIRE SUBJECT, ISSUER or X509", "")
	})
}

func decideNames(o *Observation) conclusion {
	return o.ofAccounts(func(all accounts) conclusion {
		return noneOf(faulty(all, func(a account) string {
			switch {
			case a.Require.Subject == "":
				return "no subject required"
			case a.Require.Issuer != o.target.Issuer && !o.letOut(a):
				return fmt.Sprintf("issuer %q required", a.Require.Issuer)
			case a.Name.User == o.target.Account && a.Require.Subject != o.target.Subject:
				return fmt.Sprintf("subject %q required", a.Require.Subject)
			}
			return ""
		}), "REQUIRE SUBJECT ... AND ISSUER "+strconv.Quote(o.target.Issuer), "")
	})
}

// letOut reports whether the session promises the account to a client outside of enclaves,
// whose certificate nobody but itself has signed. verify asks whether that is well.
func (o *Observation) letOut(a account) bool {
	if o.unpromised() != "" || a.Require.Issuer != a.Require.Subject {
		return false
	}
	promised := accounts(o.target.Promise.Accounts).Find(a.Name)
	return promised != nil && promised.Require == a.Require && len(promised.Methods) == 1 && promised.Methods[0].Written != ""
}

func decideSecrets(o *Observation) conclusion {
	return o.ofAccounts(func(all accounts) conclusion {
		return noneOf(faulty(all, func(a account) string {
			switch {
			case a.Name.User == "":
				return "anonymous"
			case withoutSecret(a):
				return "no password"
			}
			return ""
		}), "a name and a password for each account", "")
	})
}

func decideSocket(o *Observation) conclusion {
	return o.ofAccounts(func(all accounts) conclusion {
		found := faulty(all, func(a account) string {
			if uses(a, socketPlugin) {
				return "unix_socket"
			}
			return ""
		})
		if err := o.answers.Plugins.Err; err != nil && len(found) == 0 {
			return unproven(err)
		}
		if o.plugin(socketPlugin).Status == "ACTIVE" {
			found = append(found, "plugin unix_socket ACTIVE")
		}
		return noneOf(found, "no account with unix_socket, and the plugin off", "")
	})
}

func decidePrivileges(o *Observation) conclusion {
	return o.ofAccounts(func(all accounts) conclusion {
		var found []string
		for _, a := range all {
			if held := o.unpromisedOf(a, excessive(a)); len(held) > 0 && !a.Locked {
				found = append(found, a.Name.String()+": "+strings.Join(held, ", "))
			}
		}
		return noneOf(found, "none of them on *.* or mysql.*", "")
	})
}
