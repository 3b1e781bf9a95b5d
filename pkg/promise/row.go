package promise

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	maxPrivilegeBytes  = 64 << 10
	accessOfEverything = 1<<39 - 1
)

// privileges is the column Priv of mysql.global_priv. Pointers tell what is missing from
// what is 0.
type privileges struct {
	rowMethod
	Access         uint64      `json:"access"`
	Version        int         `json:"version_id"`
	Role           bool        `json:"is_role"`
	Locked         bool        `json:"account_locked"`
	SSLType        int         `json:"ssl_type"`
	Cipher         string      `json:"ssl_cipher"`
	Subject        string      `json:"x509_subject"`
	Issuer         string      `json:"x509_issuer"`
	Alternatives   []rowMethod `json:"-"`
	DefaultRole    string      `json:"default_role"`
	Changed        *int64      `json:"password_last_changed"`
	Lifetime       *int64      `json:"password_lifetime"`
	Queries        int64       `json:"max_questions"`
	Updates        int64       `json:"max_updates"`
	Connections    int64       `json:"max_connections"`
	UserConnection int64       `json:"max_user_connections"`
	StatementTime  float64     `json:"max_statement_time"`
}

type rowMethod struct {
	Plugin string `json:"plugin"`
	Secret string `json:"authentication_string"`
}

// ParseRow reads the JSON of the column Priv exactly: a member that is there twice,
// is spelled in another way or is not known could mean one thing to us and another to the
// server. version is the server's own, in the form 101119. No error holds any of it.
func ParseRow(n Name, text string, version int) (*Account, error) {
	if len(text) > maxPrivilegeBytes {
		return nil, fmt.Errorf("%d bytes", len(text))
	}
	var row privileges
	err := exactly([]byte(text), map[string]any{
		"plugin": &row.Plugin, "authentication_string": &row.Secret, "access": &row.Access, "version_id": &row.Version, "is_role": &row.Role,
		"account_locked": &row.Locked, "ssl_type": &row.SSLType, "ssl_cipher": &row.Cipher, "x509_subject": &row.Subject, "x509_issuer": &row.Issuer,
		"default_role": &row.DefaultRole, "password_last_changed": &row.Changed, "password_lifetime": &row.Lifetime,
		"max_questions": &row.Queries, "max_updates": &row.Updates, "max_connections": &row.Connections, "max_user_connections": &row.UserConnection,
		"max_statement_time": &row.StatementTime, "auth_or": methodList{&row.Alternatives},
	})
	switch {
	case err != nil:
		return nil, err
	case row.SSLType < 0 || row.SSLType > 3:
		return nil, fmt.Errorf("ssl_type %d", row.SSLType)
	case row.Access > accessOfEverything && version < 110000:
		return nil, errors.New("access with unknown bits")
	case version > 0 && row.Version != version:
		return nil, fmt.Errorf("version_id %d", row.Version)
	}
	return row.account(n), nil
}

func (p *privileges) account(n Name) *Account {
	a := &Account{Name: n, Role: p.Role, Locked: p.Locked, DefaultRole: p.DefaultRole, Expiry: p.expiry(),
		Require: Require{Level: []string{"", "SSL", "X509", "SPECIFIED"}[p.SSLType]}}
	if p.SSLType == 3 {
		a.Require.Cipher, a.Require.Issuer, a.Require.Subject = p.Cipher, p.Issuer, p.Subject
	}
	for i, value := range []string{fmt.Sprint(p.Queries), fmt.Sprint(p.Updates), fmt.Sprint(p.Connections), fmt.Sprint(p.UserConnection), fmt.Sprintf("%f", p.StatementTime)} {
		a.SetLimit(LimitNames()[i], value)
	}
	for i, privilege := range GlobalPrivileges() {
		if p.Access&(1<<i) != 0 {
			a.Rights = append(a.Rights, Right{Kind: Global, Privilege: privilege})
		}
	}
	if p.Role {
		return a
	}
	for _, m := range append([]rowMethod{p.rowMethod}, p.Alternatives...) {
		if m == (rowMethod{}) && len(a.Methods) > 0 {
			continue // an empty alternative stands for the first method
		}
		a.Methods = append(a.Methods, Method{Plugin: strings.ToLower(m.Plugin), Given: m.Secret != "", Unusable: unusable(m.Plugin, m.Secret), Stored: Hidden(m.Secret)})
	}
	return a
}

// expiry says when the password expires. A change at time 0 is how "expired" is written.
func (p *privileges) expiry() string {
	switch {
	case p.Changed != nil && *p.Changed == 0:
		return "expired"
	case p.Lifetime == nil || *p.Lifetime < 0:
		return ""
	case *p.Lifetime == 0:
		return "never"
	}
	return fmt.Sprintf("interval %d", *p.Lifetime)
}

// methodList reads the member auth_or.
type methodList struct{ into *[]rowMethod }

// UnmarshalJSON reads a list of objects, each exactly.
func (l methodList) UnmarshalJSON(text []byte) error {
	var all []json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	for _, one := range all {
		var m rowMethod
		if err := exactly(one, map[string]any{"plugin": &m.Plugin, "authentication_string": &m.Secret}); err != nil {
			return err
		}
		*l.into = append(*l.into, m)
	}
	return nil
}

// exactly reads a JSON object with known members only, each at most once and spelled as
// here. Its errors name members that are known, and hold nothing else of the text.
func exactly(text []byte, into map[string]any) error {
	if bytes.Contains(text, []byte(`\u`)) {
		return errors.New("an escaped character")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if t, err := decoder.Token(); err != nil || t != json.Delim('{') {
		return errors.New("no JSON object")
	}
	seen := map[string]bool{}
	for decoder.More() {
		t, err := decoder.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return errors.New("no JSON object")
		}
		target, known := into[name]
		switch {
		case !known:
			return errors.New("a member that is not known")
		case seen[name]:
			return fmt.Errorf("the member %s twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil || string(value) == "null" {
			return fmt.Errorf("the member %s", name)
		}
		if list, ok := target.(methodList); ok {
			err = list.UnmarshalJSON(value)
		} else {
			err = json.Unmarshal(value, target)
		}
		if err != nil {
			return fmt.Errorf("the member %s", name)
		}
	}
	if t, err := decoder.Token(); err != nil || t != json.Delim('}') {
		return errors.New("no JSON object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something after the object")
	}
	return nil
}

// NativeHash is what the server keeps of a password for mysql_native_password: a star and
// SHA1(SHA1(password)).
func NativeHash(password string) Hidden {
	once := sha1.Sum([]byte(password))
	twice := sha1.Sum(once[:])
	return Hidden("*" + strings.ToUpper(hex.EncodeToString(twice[:])))
}
