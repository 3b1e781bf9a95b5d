CREATE OR REPLACE USER 'confidb_verify'@'%' IDENTIFIED BY '$$SCONE::verify_password:hex$$' REQUIRE SUBJECT '/CN=confidb-verify' AND ISSUER '/CN=confidb-ca';
# of accounts and rights in memory MariaDB shows others nothing without SELECT ON mysql.*, and triggers without TRIGGER
GRANT PROCESS, BINLOG MONITOR, SLAVE MONITOR, SHOW VIEW, TRIGGER ON *.* TO 'confidb_verify'@'%';
GRANT SELECT ON mysql.* TO 'confidb_verify'@'%';
# to read what the views of MariaDB's own are
GRANT SELECT ON sys.* TO 'confidb_verify'@'%';
# each verification leaves a mark, which the next one demands: an older state of the volume lacks it
CREATE DATABASE IF NOT EXISTS confidb_verify;
CREATE TABLE IF NOT EXISTS confidb_verify.marks (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, verifier CHAR(32) NOT NULL, mark CHAR(64) NOT NULL, KEY (verifier)) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;
GRANT SELECT, INSERT, DELETE ON confidb_verify.marks TO 'confidb_verify'@'%';
