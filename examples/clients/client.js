// Connects with mysql2, or with mysql. usage: node client.js FILE, of the form nodejs
const fs = require('fs')

let mysql
try {
  mysql = require('mysql2')
} catch {
  mysql = require('mysql') // verifies the server's chain, and not its name
}

const connection = mysql.createConnection(JSON.parse(fs.readFileSync(process.argv[2], 'utf8')))
connection.query('SELECT CURRENT_USER() AS name', (err, rows) => {
  if (err) throw err
  console.log(rows[0].name)
  connection.query("SHOW STATUS LIKE 'Ssl_version'", (err, rows) => {
    if (err) throw err
    console.log(rows[0].Value)
    connection.end()
  })
})
