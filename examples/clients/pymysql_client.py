"""Connects with PyMySQL. usage: python3 pymysql_client.py FILE, of the form python"""
import json
import sys

import pymysql
from pymysql.constants import CLIENT


class Connection(pymysql.connections.Connection):
    # Many versions go on in clear text where a server says that it has no TLS.
    def _request_authentication(self):
        if not self.server_capabilities & CLIENT.SSL:
            raise pymysql.OperationalError("the server offers no TLS")
        super()._request_authentication()


with open(sys.argv[1], encoding="utf-8") as file:
    connection = Connection(**json.load(file))
with connection.cursor() as cursor:
    cursor.execute("SELECT CURRENT_USER()")
    print(cursor.fetchone()[0])
    cursor.execute("SHOW STATUS LIKE 'Ssl_version'")
    print(cursor.fetchone()[1])
