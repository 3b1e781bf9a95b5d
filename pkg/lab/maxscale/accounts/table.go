// Package accounts is whom the lab's stand-in for MaxScale lets in: the accounts of the
// database servers as its service account reads them there, the password of a client
// against them, and addresses from which too many logins have failed.
//
// It demands no certificate of an account, as MaxScale does not: REQUIRE is read for the
// administrator's eyes only. It knows mysql_native_password only, no roles, no proxy users,
// no host names, and not whether an account is locked, which the tables that the service
// account may read do not say: the server refuses such a client later.
package accounts

import (
	"math/bits"
	"net/netip"
	"sort"
	"strings"

	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// Account is a row of mysql.user.
type Account struct {
	User, Host string
	// Plugin is the method of login, empty for mysql_native_password in old tables.
	Plugin string
	// Stored is what the server keeps of the password, empty for none.
	Stored string
	// TLS is the requirement on the connection, which is not checked: ANY, X509, SPECIFIED
	// or empty.
	TLS         string
	Expired     bool
	Super       bool
	Role        bool
	DefaultRole string
	// AnyDatabase says that it has rights on all databases by mysql.user.
	AnyDatabase bool
	Proxy       bool
}

// Table is what was read at one time. It does not change.
type Table struct {
	// Accounts are in the order in which MariaDB tries them: the first that matches is the
	// one that logs in, whatever its password.
	Accounts []Account
	// Version is that of the greeting of the server that it was read from.
	Version   string
	databases map[string]bool
}

// NewTable makes a table of accounts and of the databases that there are.
func NewTable(version string, all []Account, databases []string) *Table {
	t := &Table{Version: version, databases: map[string]bool{}}
	for _, a := range all {
		if !a.Role {
			t.Accounts = append(t.Accounts, a)
		}
	}
	sort.SliceStable(t.Accounts, func(i, j int) bool { return before(t.Accounts[i], t.Accounts[j]) })
	for _, d := range databases {
		t.databases[d] = true
	}
	return t
}

// before is the order of MariaDB: by host, the most specific first, then named users before
// anonymous ones.
func before(a, b Account) bool {
	x, y := specific(a.Host), specific(b.Host)
	for i := range x {
		if x[i] != y[i] {
			return x[i] > y[i]
		}
	}
	return a.User != "" && b.User == ""
}

// rank is how specific a host is to MariaDB, the weightiest number first. A larger number
// is more specific.
type rank [6]int

// specific is MariaDB's order of hosts, as measured with 33 of them that match one address:
// a mask of all bits; a host without wildcards; other masks, the longer first; then
// patterns: by the length of the shortest text that matches, fewer %, fewer _, and the
// first wildcard nearer to the beginning.
func specific(host string) rank {
	if _, mask, masked := strings.Cut(host, "/"); masked {
		bits := ones(mask)
		if bits == 32 {
			return rank{3}
		}
		return rank{1, bits}
	}
	r := rank{}
	first := len(host)
	for i := 0; i < len(host); i++ {
		switch c := host[i]; {
		case c == '%':
			if first = min(first, i); i == 0 || host[i-1] != '%' {
				r[2]--
			}
			continue
		case c == '_':
			first = min(first, i)
			r[3]--
		case c == '\\' && i+1 < len(host):
			i++
		}
		r[1]++
	}
	if r[2] == 0 && r[3] == 0 && host != "" {
		return rank{2}
	}
	r[4], r[5] = -first, len(host)
	return r
}

// ones is the number of bits that are set in a mask in dots.
func ones(mask string) (n int) {
	m, err := netip.ParseAddr(mask)
	if err != nil || !m.Is4() {
		return 0
	}
	for _, b := range m.As4() {
		n += bits.OnesCount8(b)
	}
	return n
}

// Find returns the account that a client logs in as.
func (t *Table) Find(user string, from netip.Addr) (Account, bool) {
	for _, a := range t.Accounts {
		if (a.User == "" || a.User == user) && matches(a.Host, from) {
			return a, true
		}
	}
	return Account{}, false
}

// HasDatabase reports whether the service account sees a database.
func (t *Table) HasDatabase(name string) bool { return t.databases[name] }

// matches reports whether an address matches the host of an account: a pattern, or an
// address and a mask. Names of hosts match no address, as none is resolved.
func matches(host string, from netip.Addr) bool {
	text := from.Unmap().String()
	if address, mask, masked := strings.Cut(host, "/"); masked {
		return inNetwork(address, mask, from.Unmap())
	}
	return like(strings.ToLower(host), text) || host == ""
}

// inNetwork reports whether an address under a mask is the given one: MariaDB takes a mask
// in dots, and an address without bits outside of it.
func inNetwork(address, mask string, from netip.Addr) bool {
	a, err := netip.ParseAddr(address)
	m, wrong := netip.ParseAddr(mask)
	if err != nil || wrong != nil || !a.Is4() || !m.Is4() || !from.Is4() {
		return false
	}
	of, under, is := a.As4(), m.As4(), from.As4()
	for i := range of {
		if is[i]&under[i] != of[i] {
			return false
		}
	}
	return true
}

// like reports whether a text matches a pattern of LIKE.
func like(pattern, text string) bool {
	for pattern != "" {
		switch c := pattern[0]; {
		case c == '%':
			for i := 0; i <= len(text); i++ {
				if like(pattern[1:], text[i:]) {
					return true
				}
			}
			return false
		case text == "":
			return false
		case c == '\\' && len(pattern) > 1:
			pattern = pattern[1:]
			if pattern[0] != text[0] {
				return false
			}
		case c != '_' && c != text[0]:
			return false
		}
		pattern, text = pattern[1:], text[1:]
	}
	return text == ""
}

// check returns the hash of the password that a client has shown, nil for an account
// without one. Ok is false if it is not the account's.
func (a Account) check(c wire.Challenge, reply []byte) (h *wire.Hash, ok bool) {
	if a.Stored == "" {
		return nil, len(reply) == 0
	}
	stored, ok := wire.ParseStored(a.Stored)
	if !ok {
		return nil, false
	}
	shown, ok := wire.Recover(c, reply, stored)
	return &shown, ok
}

// native reports whether the account logs in by the method that is spoken here.
func (a Account) native() bool { return a.Plugin == "" || a.Plugin == wire.NativePassword }
