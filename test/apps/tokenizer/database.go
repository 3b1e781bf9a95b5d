package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/go-sql-driver/mysql"
)

// tlsName is the name in the data source name (tls=confidb) by which the driver finds our
// tls.Config.
const tlsName = "confidb"

// maxFile bounds each file of the credentials, in bytes.
const maxFile = 64 << 10

// credentials are the paths of what CAS gives the enclave.
type credentials struct{ ca, certificate, key, dsn string }

// open prepares connections to the database; it makes none. The server must have a
// certificate of the CA for the host in the data source name.
func open(c credentials) (*sql.DB, error) {
	secured, err := c.tlsConfig()
	if err != nil {
		return nil, err
	}
	if err := mysql.RegisterTLSConfig(tlsName, secured); err != nil {
		return nil, fmt.Errorf("registering the TLS settings: %w", err)
	}
	text, err := read(c.dsn)
	if err != nil {
		return nil, err
	}
	source, err := mysql.ParseDSN(string(bytes.TrimSpace(text)))
	if err != nil {
		return nil, fmt.Errorf("%s: not a data source name", c.dsn) // the driver's error may quote the password
	}
	if source.TLSConfig != tlsName || source.AllowFallbackToPlaintext {
		return nil, fmt.Errorf("%s: want tls=%s and no fallback to plain text", c.dsn, tlsName)
	}
	connector, err := mysql.NewConnector(source)
	if err != nil {
		return nil, fmt.Errorf("%s: the driver refuses it", c.dsn)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	db.SetConnMaxLifetime(3 * time.Minute)
	return db, nil
}

// tlsConfig trusts the CA and nobody else, and shows the client's certificate.
func (c credentials) tlsConfig() (*tls.Config, error) {
	ca, err := read(c.ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s: no certificate in it", c.ca)
	}
	certificate, err := read(c.certificate)
	if err != nil {
		return nil, err
	}
	key, err := read(c.key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", c.certificate, c.key, err)
	}
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// read returns a file of at most maxFile bytes.
func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: longer than %d bytes", path, maxFile)
	}
	return text, nil
}

// table is where the values are.
type table struct{ db *sql.DB }

// The statements. A value is never a part of one.
const (
	makeCards = "CREATE TABLE IF NOT EXISTS cards (" +
		"token CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY, " +
		"value VARBINARY(256) NOT NULL, " +
		"made TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)"
	lookAtCards = "SELECT token, value FROM cards LIMIT 0"
	insertCard  = "INSERT INTO cards (token, value) VALUES (?, ?)"
	findCard    = "SELECT value FROM cards WHERE token = ?"
)

// make makes the table. Whoever may not make it may use one that is there.
func (t *table) make(ctx context.Context) error {
	_, err := t.db.ExecContext(ctx, makeCards)
	if !denied(err) {
		return err
	}
	rows, lookErr := t.db.QueryContext(ctx, lookAtCards)
	if lookErr != nil {
		return errors.Join(err, lookErr)
	}
	return rows.Close()
}

// denied reports whether the account lacks a right: ER_DBACCESS_DENIED_ERROR on the
// database, or ER_TABLEACCESS_DENIED_ERROR on the table.
func denied(err error) bool {
	said, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && (said.Number == 1044 || said.Number == 1142)
}

// Put keeps a value and returns its token: 130 random bits, another one each time.
func (t *table) Put(ctx context.Context, value string) (string, error) {
	token := rand.Text()
	if _, err := t.db.ExecContext(ctx, insertCard, token, []byte(value)); err != nil {
		return "", err
	}
	return token, nil
}

// Get returns the value of a token. The error is errNoToken if there is none.
func (t *table) Get(ctx context.Context, token string) (string, error) {
	var value []byte
	err := t.db.QueryRowContext(ctx, findCard, token).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", errNoToken
	}
	return string(value), err
}

// described says what went wrong without the server's words, in which a value may stand.
func described(err error) string {
	if said, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return fmt.Sprintf("the database answers with error %d (%s)", said.Number, said.SQLState[:])
	}
	return err.Error()
}
