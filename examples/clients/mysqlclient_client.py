"""Connects with mysqlclient (MySQLdb). usage: python3 mysqlclient_client.py FILE, of the form my.cnf"""
import sys

import MySQLdb

connection = MySQLdb.connect(read_default_file=sys.argv[1], charset="utf8mb4", use_unicode=True)
cursor = connection.cursor()
cursor.execute("SELECT CURRENT_USER()")
print(cursor.fetchone()[0])
cursor.execute("SHOW STATUS LIKE 'Ssl_version'")
print(cursor.fetchone()[1])
