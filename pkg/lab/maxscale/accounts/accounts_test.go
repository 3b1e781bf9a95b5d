package accounts_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/accounts"
	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
)

var set *mariadbtest.Set

const service = "service"

// hosts are patterns of which many match the same address.
func hosts() []string {
	return []string{"%", "127.0.0.1", "127.%", "127.0.%", "127.0.0._", "127.0.0.%", "_27.0.0.1", "127.0.0.0/255.255.255.0", "127.0.0.0/255.0.0.0", "%.1", "1%", "10.%", "localhost", "127.0.0.2", "192.168.0.0/255.255.0.0",
		"127.0.0.1/255.255.255.255", "127.0.0.1%", "1__.0.0.1", "1_7.0.0.1", "%127.0.0.1", "%1%", "1%1", "%.%.%.%", "1%%%", "127.0.0.1_", "127.%.1", "127.0.%.1", "___.0.0.1", "127.0.0.0/255.255.0.0", "127.0._.1",
		"_%", "__%", "127._.%", "127.0._.%", "_2_.%.1", "%27%1"}
}

// rights are those of the service account, of which each is needed.
func rights() []string {
	return []string{"SELECT ON mysql.user", "SELECT ON mysql.db", "SELECT ON mysql.tables_priv", "SELECT ON mysql.columns_priv", "SELECT ON mysql.proxies_priv", "SELECT ON mysql.roles_mapping", "SHOW DATABASES ON *.*"}
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		sql := []string{"CREATE USER " + service + " IDENTIFIED BY 'pw-s' REQUIRE SUBJECT '/CN=maxscale'", "CREATE DATABASE lab", "CREATE ROLE reader", "CREATE USER old IDENTIFIED BY 'pw-old' PASSWORD EXPIRE",
			"CREATE USER ed IDENTIFIED VIA unix_socket", "CREATE USER plain IDENTIFIED BY 'pw-p'", "CREATE USER nopw", "CREATE USER x509 IDENTIFIED BY 'pw-x' REQUIRE X509"}
		for _, r := range rights() {
			sql = append(sql, "GRANT "+r+" TO "+service)
		}
		var err error
		if set, err = mariadbtest.StartSet(1, sql...); err != nil {
			fmt.Println(err)
			return 1
		}
		defer set.Stop()
		return m.Run()
	}())
}

// book is what a store is told, and what it says.
type book struct {
	sync.Mutex
	lines, unmeasured []string
	now               time.Time
}

func (b *book) store(t *testing.T, change ...func(*accounts.Options)) *accounts.Store {
	t.Helper()
	proxy, err := set.CA.Client("maxscale")
	if err != nil {
		t.Fatal(err)
	}
	if b.now.IsZero() {
		b.now = time.Unix(1000, 0)
	}
	h := wire.HashPassword("pw-s")
	o := accounts.Options{Servers: func() []backend.Server {
		return []backend.Server{{Name: "db1", Address: set.Members[0].Address, TLS: set.Trust(&proxy)}}
	}, Service: backend.Identity{User: service, Password: &h, Charset: 45}, RefreshTime: 30 * time.Second,
		Now: func() time.Time { return b.now }, Log: func(line string) { b.lines = append(b.lines, line) },
		Unmeasured: func(id, what string) { b.unmeasured = append(b.unmeasured, id) }}
	for _, c := range change {
		c(&o)
	}
	return accounts.NewStore(o)
}

var (
	from      = netip.MustParseAddr("127.0.0.1")
	challenge = wire.Challenge([]byte("abcdefghijklmnopqrst"))
)

func request(user, password string) accounts.Request {
	r := accounts.Request{User: user, From: from, Challenge: challenge}
	if password != "" {
		r.Reply = wire.HashPassword(password).Answer(challenge)
	}
	return r
}

// TestChoice: of all that match, the account is the one that MariaDB itself takes, for
// subsets of patterns made and dropped one after the other.
func TestChoice(t *testing.T) {
	b := &book{}
	store, all := b.store(t), hosts()
	for i, host := range all {
		if err := set.Members[0].Exec("CREATE USER who@'" + host + "' IDENTIFIED BY 'pw-who'"); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	seen := map[string]bool{}
	for {
		if !store.Load(t.Context()) {
			t.Fatal(b.lines)
		}
		h := wire.HashPassword("pw-who")
		conn, err := backend.Dial(t.Context(), backend.Server{Address: set.Members[0].Address, TLS: set.Trust(nil)}, backend.Identity{User: "who", Password: &h})
		a, found := store.Table().Find("who", from)
		if err != nil {
			if found && a.User != "" {
				t.Errorf("MariaDB finds no account, and %s@%s is found here: %v", a.User, a.Host, err)
			}
			break
		}
		result, err := conn.Query(t.Context(), "SELECT CURRENT_USER()")
		conn.Close()
		if err != nil {
			t.Fatal(err)
		}
		is := result.Rows[0][0].Text
		if got := a.User + "@" + a.Host; got != is {
			t.Errorf("MariaDB takes %s, and %s is taken here", is, got)
		}
		seen[is] = true
		_, host, _ := strings.Cut(is, "@")
		if err := set.Members[0].Exec("DROP USER who@'" + host + "'"); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) < 29 {
		t.Errorf("MariaDB took %d accounts: %v", len(seen), seen)
	}
}

func TestLogin(t *testing.T) {
	b := &book{}
	store := b.store(t)
	if err := set.Members[0].Exec("CREATE USER ''@'%' IDENTIFIED BY 'pw-anonymous'"); err != nil {
		t.Fatal(err)
	}
	defer set.Members[0].Exec("DROP USER ''@'%'")
	if _, _, refused := store.Login(t.Context(), request("plain", "wrong")); refused == nil || refused.Code != 1045 {
		t.Errorf("a wrong password: %v", refused)
	}
	there, nowhere := request("plain", "pw-p"), request("plain", "pw-p")
	there.Database, nowhere.Database = "lab", "nothing"
	for name, c := range map[string]struct {
		request accounts.Request
		want    string
	}{
		"right":                 {request("plain", "pw-p"), ""},
		"right, and a database": {there, ""},
		"right, to nowhere":     {nowhere, "1049 (42000): Unknown database 'nothing'"},
		"REQUIRE X509":          {request("x509", "pw-x"), ""},
		"no password":           {request("nopw", ""), ""},
		"one too many":          {request("nopw", "x"), "1045 (28000): Access denied for user 'nopw'@'127.0.0.1' (using password: YES)"},
		"one too few":           {request("plain", ""), "1045 (28000): Access denied for user 'plain'@'127.0.0.1' (using password: NO)"},
		"unknown":               {request("nobody", "x"), "1045 (28000): Access denied for user 'nobody'@'127.0.0.1' (using password: YES)"},
		"anonymous":             {request("nobody", "pw-anonymous"), ""},
		"expired":               {request("old", "pw-old"), "1045 (28000): Access denied for user 'old'@'127.0.0.1' (using password: YES)"},
		"another method":        {request("ed", ""), "1045 (28000): Access denied for user 'ed'@'127.0.0.1' (using password: NO)"},
		"a role":                {request("reader", ""), "1045 (28000): Access denied for user 'reader'@'127.0.0.1' (using password: NO)"},
	} {
		_, h, refused := store.Login(t.Context(), c.request)
		got := ""
		if refused != nil {
			got = refused.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if refused == nil && (h == nil) != (len(c.request.Reply) == 0) {
			t.Errorf("%s: the hash is %v", name, h)
		}
	}
	if len(b.unmeasured) < 2 {
		t.Errorf("of expired passwords and other methods only %v is said", b.unmeasured)
	}
}

// TestRoot: an account named root, which servers have from the beginning, logs in where that
// is configured only.
func TestRoot(t *testing.T) {
	for _, root := range []bool{false, true} {
		b := &book{}
		store := b.store(t, func(o *accounts.Options) { o.Root = root })
		if _, _, refused := store.Login(t.Context(), request("root", "")); (refused == nil) != root {
			t.Errorf("allowed %v: %v", root, refused)
		}
	}
}

// TestReading: a failed login reads the accounts again, and not too often.
func TestReading(t *testing.T) {
	b := &book{now: time.Unix(1000, 0)}
	store := b.store(t)
	late := request("late", "pw-late")
	if _, _, refused := store.Login(t.Context(), late); refused == nil {
		t.Fatal("nobody logs in")
	}
	if err := set.Members[0].Exec("CREATE USER late IDENTIFIED BY 'pw-late'"); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(29 * time.Second)
	if _, _, refused := store.Login(t.Context(), late); refused == nil {
		t.Error("the accounts are read again after 29 seconds")
	}
	b.now = b.now.Add(time.Second)
	if _, h, refused := store.Login(t.Context(), late); refused != nil || *h != wire.HashPassword("pw-late") {
		t.Errorf("after 30 seconds: %v", refused)
	}
}

// TestRights takes the rights of the service account away, one by one: the old accounts
// stay, and the log says why.
func TestRights(t *testing.T) {
	for _, right := range rights() {
		b := &book{}
		store := b.store(t)
		if !store.Load(t.Context()) {
			t.Fatal(b.lines)
		}
		if err := set.Members[0].Exec("REVOKE " + right + " FROM " + service); err != nil {
			t.Fatal(err)
		}
		read := store.Load(t.Context())
		cold := b.store(t)
		coldRead := cold.Load(t.Context())
		if err := set.Members[0].Exec("GRANT " + right + " TO " + service); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(right, "SHOW DATABASES") {
			if !read || store.Table().HasDatabase("lab") {
				t.Errorf("without SHOW DATABASES: read %v, lab is there: %v", read, store.Table().HasDatabase("lab"))
			}
			continue
		}
		if _, _, refused := store.Login(t.Context(), request("plain", "pw-p")); read || refused != nil {
			t.Errorf("without %s: read %v, and the old accounts: %v", right, read, refused)
		}
		if len(cold.Table().Accounts) != 0 || coldRead || len(b.lines) == 0 || !strings.HasPrefix(b.lines[0], "Failed to query server 'db1' for user account info. Error 1142: SELECT command denied") {
			t.Errorf("without %s: %v", right, b.lines)
		}
	}
}

func TestNoServer(t *testing.T) {
	b := &book{}
	for name, change := range map[string]func(*accounts.Options){
		"a wrong password of the service": func(o *accounts.Options) { o.Service.Password = nil },
		"a foreign name of the server": func(o *accounts.Options) {
			s := o.Servers()
			s[0].TLS.ServerName = "other"
			o.Servers = func() []backend.Server { return s }
		},
		"no server": func(o *accounts.Options) { o.Servers = func() []backend.Server { return nil } },
	} {
		store := b.store(t, change)
		if store.Load(t.Context()) {
			t.Errorf("%s: accounts are read", name)
		}
		if _, _, refused := store.Login(t.Context(), request("plain", "pw-p")); refused == nil || refused.Code != 1045 {
			t.Errorf("%s: %v, want 1045", name, refused)
		}
	}
	if text := strings.Join(b.lines, "\n"); strings.Contains(text, "pw-s") {
		t.Errorf("the log has a password: %s", text)
	}
}

// TestFirstThatAnswers takes the next server where one does not answer, and the accounts of
// all only where that is wanted.
func TestFirstThatAnswers(t *testing.T) {
	for _, all := range []bool{false, true} {
		b, asked := &book{}, 0
		store := b.store(t, func(o *accounts.Options) {
			there := o.Servers()[0]
			o.All = all
			o.Servers = func() []backend.Server {
				asked++
				return []backend.Server{{Name: "gone", Address: "127.0.0.1:1"}, there, {Name: "gone too", Address: "127.0.0.1:1"}}
			}
		})
		if !store.Load(context.Background()) || asked != 1 || len(b.lines) != map[bool]int{false: 1, true: 2}[all] {
			t.Errorf("all %v: %v", all, b.lines)
		}
	}
}
