#!/bin/sh
# Connects with the mariadb program. usage: client.sh FILE, of the form env
set -eu
. "$1"
exec mariadb --no-defaults --protocol=tcp --host="$MYSQL_HOST" --port="$MYSQL_PORT" --user="$MYSQL_USER" --password="$MYSQL_PASSWORD" \
	--ssl-ca="$MYSQL_SSL_CA" --ssl-cert="$MYSQL_SSL_CERT" --ssl-key="$MYSQL_SSL_KEY" --ssl-verify-server-cert --default-character-set=utf8mb4 \
	--batch --skip-column-names --execute="SELECT CURRENT_USER(); SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_version'" "${MYSQL_DATABASE-}"
