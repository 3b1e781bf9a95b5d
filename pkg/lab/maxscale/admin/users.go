package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// The accounts that a user may have: basic ones only look.
const (
	adminAccount = "admin"
	basicAccount = "basic"
)

// passwdMode is that of the file of users, and of what a PATCH leaves behind: everybody may read.
const passwdMode = 0o644

// mostUsers bounds the file of users, in bytes.
const mostUsers = 1 << 20

// user is an entry of the file.
type user struct {
	Name     string `json:"name"`
	Account  string `json:"account"`
	Password string `json:"password"`
	created  time.Time
	updated  time.Time
	login    time.Time
}

// Users are who may use the interface, with the file that keeps them.
type Users struct {
	path string
	now  func() time.Time
	mu   sync.Mutex
	all  []user
}

// LoadUsers reads the file passwd in the data directory. One that is missing is made, with the
// user admin and the password mariadb; so is the user, and not the file, where it cannot be
// read. What is no list of users is nobody: the file becomes an empty list, and what it was is
// kept beside it.
func LoadUsers(dataDirectory string, now func() time.Time) (*Users, error) {
	u := &Users{path: filepath.Join(dataDirectory, "passwd"), now: now}
	text, err := read(u.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		u.all = []user{u.first()}
		return u, u.write()
	case err != nil:
		u.all = []user{u.first()}
		return u, nil
	}
	if err := json.Unmarshal(text, &u.all); err != nil || len(u.all) == 0 {
		u.all = nil
		return u, errors.Join(os.WriteFile(u.path+".backup", text, passwdMode), u.write())
	}
	return u, nil
}

func (u *Users) first() user {
	return user{Name: "admin", Account: adminAccount, Password: hashed("mariadb"), created: u.now()}
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, mostUsers))
}

// write keeps the users. The caller has the lock, or is alone.
func (u *Users) write() error {
	if u.all == nil {
		u.all = []user{}
	}
	text, err := json.Marshal(u.all)
	if err != nil {
		return err
	}
	return os.WriteFile(u.path, text, passwdMode)
}

// check returns the account of a user with this password, or nothing.
func (u *Users) check(name, password string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := range u.all {
		if u.all[i].Name == name && matches(u.all[i].Password, password) {
			u.all[i].login = u.now()
			return u.all[i].Account
		}
	}
	return ""
}

// account is that of a user, or nothing.
func (u *Users) account(name string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, x := range u.all {
		if x.Name == name {
			return x.Account
		}
	}
	return ""
}

func (u *Users) add(name, account, password string) error {
	if name == "" || password == "" || account != adminAccount && account != basicAccount {
		return errors.New("Invalid user, password or account.")
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if slices.ContainsFunc(u.all, func(x user) bool { return x.Name == name }) {
		return errors.New("User '" + name + "' already exists.")
	}
	u.all = append(u.all, user{Name: name, Account: account, Password: hashed(password), created: u.now()})
	return u.write()
}

// remove takes a user away, the last administrator too.
func (u *Users) remove(name string) (found bool, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	before := len(u.all)
	u.all = slices.DeleteFunc(u.all, func(x user) bool { return x.Name == name })
	if len(u.all) == before {
		return false, nil
	}
	return true, u.write()
}

// objects are the users as they are shown.
func (u *Users) objects() []Object {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := []Object{}
	for _, x := range u.all {
		all = append(all, Object{ID: x.Name, Attributes: UserAttributes{Account: x.Account, Created: stamp(x.created), LastLogin: stamp(x.login), LastUpdate: stamp(x.updated), Name: x.Name}})
	}
	return all
}

// stamp is a time as it is shown, null if there is none.
func stamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format(time.RFC1123)
	return &text
}

// decode reads JSON to its end.
func decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something after the document")
	}
	return nil
}
