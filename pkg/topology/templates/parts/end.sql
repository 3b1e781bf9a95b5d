$ACCOUNTS_SQL
BEGIN NOT ATOMIC
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN SHUTDOWN; RESIGNAL; END;
  SET GLOBAL innodb_encryption_threads=2;
  SET GLOBAL init_connect='';
  SET GLOBAL autocommit=1;
  # of this start only: what somebody has read does not help at another
  SET GLOBAL wsrep_cluster_name=SHA2(CONCAT('$$SCONE::start_secret:hex$$', ':', (SELECT UNIX_TIMESTAMP() - VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'UPTIME')), 256);
END//
DELIMITER ;
