SET SESSION sql_log_bin=0;
SET NAMES utf8mb4;
SET SESSION sql_mode='';
SET SESSION autocommit=1;
DELIMITER //
# Is this what the service init made? A view would run what its maker wanted.
BEGIN NOT ATOMIC
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN SHUTDOWN; RESIGNAL; END;
  IF (SELECT COUNT(*) FROM information_schema.INNODB_TABLESPACES_ENCRYPTION WHERE SPACE = 0 AND ENCRYPTION_SCHEME = 1 AND MIN_KEY_VERSION > 0) <> 1 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'confidb: this data directory was not made under this session: it is not encrypted'; END IF;
  IF (SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'confidb' AND TABLE_NAME = 'made' AND TABLE_TYPE = 'BASE TABLE' AND ENGINE = 'InnoDB') <> 1 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'confidb: this data directory was not made under this session: it has no mark'; END IF;
  IF EXISTS (SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ('mysql', 'confidb') AND TABLE_TYPE <> 'BASE TABLE' AND BINARY CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) <> 'mysql.user') THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'confidb: there is a view in the place of a system table'; END IF;
END//
BEGIN NOT ATOMIC
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN SHUTDOWN; RESIGNAL; END;
  IF (SELECT COUNT(*) FROM confidb.made WHERE mark = SHA2('$$SCONE::made_secret:hex$$', 256)) <> 1 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'confidb: this data directory was not made under this session: it has another mark'; END IF;
END//
# What decides who may do what, and what is loaded, is made anew: DROP and RENAME
# fire no triggers. Whole tables take the place of the old ones at once, as the
# server does not start, or hangs, where some of them are missing after a kill.
# Routines are kept, which the attested client judges (obj-03); events and servers
# are not.
BEGIN NOT ATOMIC
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN SHUTDOWN; RESIGNAL; END;
  SET @loaded = (SELECT COUNT(*) FROM mysql.func) + (SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_LIBRARY <> 'file_key_management.so');
  DROP TABLE IF EXISTS confidb.global_priv, confidb.db, confidb.tables_priv, confidb.columns_priv, confidb.procs_priv, confidb.proxies_priv, confidb.roles_mapping, confidb.func, confidb.plugin, confidb.servers, confidb.event, confidb.proc;
  DROP TABLE IF EXISTS mysql.confidb_old_global_priv, mysql.confidb_old_db, mysql.confidb_old_tables_priv, mysql.confidb_old_columns_priv, mysql.confidb_old_procs_priv, mysql.confidb_old_proxies_priv, mysql.confidb_old_roles_mapping, mysql.confidb_old_func, mysql.confidb_old_plugin, mysql.confidb_old_servers, mysql.confidb_old_event, mysql.confidb_old_proc, mysql.general_log, mysql.slow_log;
  CREATE TABLE confidb.global_priv $TABLE_GLOBAL_PRIV;
  CREATE TABLE confidb.db $TABLE_DB;
  CREATE TABLE confidb.tables_priv $TABLE_TABLES_PRIV;
  CREATE TABLE confidb.columns_priv $TABLE_COLUMNS_PRIV;
  CREATE TABLE confidb.procs_priv $TABLE_PROCS_PRIV;
  CREATE TABLE confidb.proxies_priv $TABLE_PROXIES_PRIV;
  CREATE TABLE confidb.roles_mapping $TABLE_ROLES_MAPPING;
  CREATE TABLE confidb.func $TABLE_FUNC;
  CREATE TABLE confidb.plugin $TABLE_PLUGIN;
  CREATE TABLE confidb.servers $TABLE_SERVERS;
  CREATE TABLE confidb.event $TABLE_EVENT;
  CREATE TABLE confidb.proc $TABLE_PROC;
  IF EXISTS (SELECT 1 FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = 'confidb') THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'confidb: there is a trigger on a system table'; END IF;
  INSERT INTO confidb.proc SELECT * FROM mysql.proc;
  RENAME TABLE mysql.global_priv TO mysql.confidb_old_global_priv, confidb.global_priv TO mysql.global_priv, mysql.db TO mysql.confidb_old_db, confidb.db TO mysql.db, mysql.tables_priv TO mysql.confidb_old_tables_priv, confidb.tables_priv TO mysql.tables_priv, mysql.columns_priv TO mysql.confidb_old_columns_priv, confidb.columns_priv TO mysql.columns_priv, mysql.procs_priv TO mysql.confidb_old_procs_priv, confidb.procs_priv TO mysql.procs_priv, mysql.proxies_priv TO mysql.confidb_old_proxies_priv, confidb.proxies_priv TO mysql.proxies_priv, mysql.roles_mapping TO mysql.confidb_old_roles_mapping, confidb.roles_mapping TO mysql.roles_mapping, mysql.func TO mysql.confidb_old_func, confidb.func TO mysql.func, mysql.plugin TO mysql.confidb_old_plugin, confidb.plugin TO mysql.plugin, mysql.servers TO mysql.confidb_old_servers, confidb.servers TO mysql.servers, mysql.event TO mysql.confidb_old_event, confidb.event TO mysql.event, mysql.proc TO mysql.confidb_old_proc, confidb.proc TO mysql.proc;
  DROP TABLE mysql.confidb_old_global_priv, mysql.confidb_old_db, mysql.confidb_old_tables_priv, mysql.confidb_old_columns_priv, mysql.confidb_old_procs_priv, mysql.confidb_old_proxies_priv, mysql.confidb_old_roles_mapping, mysql.confidb_old_func, mysql.confidb_old_plugin, mysql.confidb_old_servers, mysql.confidb_old_event, mysql.confidb_old_proc;
  IF EXISTS (SELECT 1 FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA IN ('mysql', 'confidb')) THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'confidb: there is a trigger on a system table'; END IF;
  # Aria tables stay as they were made, and no statement says whether that was in
  # clear: those that are kept are written anew. Statistics hold values of rows.
  ALTER TABLE IF EXISTS mysql.column_stats FORCE;
  ALTER TABLE IF EXISTS mysql.index_stats FORCE;
  ALTER TABLE IF EXISTS mysql.table_stats FORCE;
  ALTER TABLE IF EXISTS mysql.help_category FORCE;
  ALTER TABLE IF EXISTS mysql.help_keyword FORCE;
  ALTER TABLE IF EXISTS mysql.help_relation FORCE;
  ALTER TABLE IF EXISTS mysql.help_topic FORCE;
  ALTER TABLE IF EXISTS mysql.time_zone FORCE;
  ALTER TABLE IF EXISTS mysql.time_zone_leap_second FORCE;
  ALTER TABLE IF EXISTS mysql.time_zone_name FORCE;
  ALTER TABLE IF EXISTS mysql.time_zone_transition FORCE;
  ALTER TABLE IF EXISTS mysql.time_zone_transition_type FORCE;
  ALTER TABLE IF EXISTS sys.sys_config FORCE;
  # its code is in memory now; at the next start it is not loaded
  IF @loaded > 0 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'confidb: a library was loaded that the session does not load'; END IF;
END//
BEGIN NOT ATOMIC
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN SHUTDOWN; RESIGNAL; END;
  # they are empty: who reads this sees that there are no accounts but these
  DELETE FROM mysql.global_priv;
  DELETE FROM mysql.db;
  DELETE FROM mysql.tables_priv;
  DELETE FROM mysql.columns_priv;
  DELETE FROM mysql.procs_priv;
  DELETE FROM mysql.proxies_priv;
  DELETE FROM mysql.roles_mapping;
  FLUSH PRIVILEGES;
