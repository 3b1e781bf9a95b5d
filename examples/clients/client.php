<?php
// Connects with PDO. usage: php client.php FILE, of the form php
$c = require $argv[1];
$connection = new PDO($c['dsn'], $c['username'], $c['password'], $c['options']);
echo $connection->query('SELECT CURRENT_USER()')->fetchColumn(), "\n";
echo $connection->query("SHOW STATUS LIKE 'Ssl_version'")->fetchColumn(1), "\n";
