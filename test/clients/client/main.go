// Client connects with Go's MySQL driver. It is the example for the form go-dsn.
// usage: client FILE CA CERTIFICATE KEY, of the form go-dsn
package main

import (
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"fmt"
	"log"
	"os"

	"github.com/go-sql-driver/mysql"
)

func main() {
	dsn, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	secured, err := secured(os.Args[2], os.Args[3], os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	if err := mysql.RegisterTLSConfig("confidb", secured); err != nil {
		log.Fatal(err)
	}
	db, err := sql.Open("mysql", string(dsn))
	if err != nil {
		log.Fatal("not a data source name") // the driver's error may quote the password
	}
	var user, name, version string
	if err := db.QueryRow("SELECT CURRENT_USER()").Scan(&user); err != nil {
		log.Fatal(err)
	}
	if err := db.QueryRow("SHOW STATUS LIKE 'Ssl_version'").Scan(&name, &version); err != nil {
		log.Fatal(err)
	}
	fmt.Println(user)
	fmt.Println(version)
}

// secured trusts the CA and nobody else, and shows the client's certificate. The driver adds
// the name of the host.
func secured(ca, certificate, key string) (*tls.Config, error) {
	text, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate in it", ca)
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, err
}
