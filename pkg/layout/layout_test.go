package layout_test

import (
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/layout"
	"github.com/confidb/confidb/pkg/session"
)

// group parses sessions that are separated as documents are.
func group(t *testing.T, texts ...string) []*layout.Set {
	t.Helper()
	var all []*session.Session
	for _, text := range texts {
		s, err := session.Parse("s.yml", []byte("version: \"0.3.12\"\n"+text))
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		all = append(all, s)
	}
	g := layout.NewGroup(all)
	var sets []*layout.Set
	for _, s := range all {
		sets = append(sets, g.Of(s))
	}
	return sets
}

// keys are the secrets of a peer with a certificate for a name.
func keys(name string) string {
	return "secrets: [{name: k, kind: private-key}, {name: ck, kind: private-key}, {name: ca, kind: x509-ca, private_key: ck}, {name: c, kind: x509, private_key: k, issuer: ca, san: [\"dns:" + name + "\"]}]\n"
}

// shielded is the environment of a service whose port is in one state, and a line more.
func shielded(state, port, auth, more string) string {
	return "{SCONE_NETWORK_SHIELD: " + state + ", SCONE_NETWORK_SHIELD_SERVER_1: " + state + ", SCONE_NETWORK_SHIELD_SERVER_1_PORT: \"TCP:" + port +
		"\", SCONE_NETWORK_SHIELD_SERVER_1_CLIENT_AUTH: " + auth + ", SCONE_NETWORK_SHIELD_SERVER_1_IDENTITY: \"$$SCONE::c:crt:pem$$$$SCONE::c:privatekey:pem$$\"" + more + "}"
}

// TestLostPeer: a protected client reaches a peer that speaks the shield's TLS at this port
// under this name, and what was not given is no problem.
func TestLostPeer(t *testing.T) {
	for name, c := range map[string]struct{ peer, destination, dns, want string }{
		"the peer":              {"peer", "TCP:peer:3306", "", ""},
		"under another address": {"peer", "TCP:peer.shop.svc:3306", "peer", ""},
		"another port":          {"peer", "TCP:peer:3307", "", "listens at port 3306, and nobody at 3307"},
		"natively":              {"native", "TCP:peer:3306", "", "serves port 3306 without the shield"},
		"another name":          {"peer", "TCP:peer:3306", "other", "is not for the name other"},
		"somebody unknown":      {"peer", "TCP:elsewhere:3306", "", ""},
		"a socket":              {"peer", "unix:/run/x.sock", "", ""},
	} {
		server := "{name: peer, command: mariadbd --port=3306, environment: " + shielded("protected", "3306", "\"$$SCONE::ca$$\"", "") + "}"
		if c.peer == "native" {
			server = "{name: peer, command: mariadbd --port=3306}"
		}
		client := "name: a\nservices: [{name: db, command: run, environment: {SCONE_NETWORK_SHIELD_CLIENT_P: protected, SCONE_NETWORK_SHIELD_CLIENT_P_DESTINATION: \"" + c.destination + "\""
		if c.dns != "" {
			client += ", SCONE_NETWORK_SHIELD_CLIENT_P_SERVER_DNS_NAME: " + c.dns
		}
		sets := group(t, client+"}}]\n", "name: b\nservices: ["+server+"]\n"+keys("peer"))
		v := sets[0].Services[0]
		got := sets[0].LostPeer(v, layout.NewShield(v).Clients[0])
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestGuards: accounts need no REQUIRE where every database that their statements reach is
// behind the shield with client authentication.
func TestGuards(t *testing.T) {
	guarded, anonymous := shielded("protected", "3306", "\"$$SCONE::ca$$\"", ""), shielded("protected", "3306", "disabled", "")
	db := func(environment string) string {
		return "{name: db, command: mariadbd, image_name: i, environment: " + environment + "}"
	}
	image := "images: [{name: i}]\n"
	for name, c := range map[string]struct {
		own, other string
		want       bool
	}{
		"guarded":                       {db(guarded), "", true},
		"anonymous":                     {db(anonymous), "", false},
		"native":                        {db("{A: b}"), "", false},
		"another port":                  {db(strings.Replace(guarded, "3306", "3307", 1)), "", true}, // the shield refuses 3306
		"another port, let through":     {db(strings.Replace(strings.Replace(guarded, "3306", "3307", 1), "SHIELD: protected", "SHIELD: unprotected", 1)), "", false},
		"no listener, other guarded":    {"{name: i, command: mariadbd --bootstrap, image_name: i}", db(guarded), true},
		"no listener, other native":     {"{name: i, command: mariadbd --bootstrap, image_name: i}", db("{A: b}"), false},
		"told of a host that is native": {db(guarded) + ", {name: s, command: [mariadb, -h, x], image_name: i}", db("{A: b}"), false},
		"no database at all":            {"{name: x, command: run, image_name: i, environment: " + guarded + "}", "", true},
		"no user of the image":          {"{name: x, command: run}", "", false},
	} {
		texts := []string{"name: a\nservices: [" + c.own + "]\n" + image + keys("db")}
		if c.other != "" {
			texts = append(texts, "name: b\nservices: ["+c.other+"]\n"+image+keys("db"))
		}
		if got := group(t, texts...)[0].Guards("i"); got != c.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

// TestOpenAccounts: an account is open unless it demands TLS, and texts are no clauses.
func TestOpenAccounts(t *testing.T) {
	for sql, want := range map[string]string{
		"CREATE USER a IDENTIFIED BY 'x'":                        "a",
		"CREATE USER a IDENTIFIED BY 'x' REQUIRE X509":           "",
		"CREATE USER a IDENTIFIED BY 'REQUIRE SSL'":              "a",
		"create or replace user 'a'@'%' identified by 'x;y'":     "'a'@'%'",
		"CREATE USER a ACCOUNT LOCK":                             "",
		"GRANT ALL ON *.* TO a":                                  "",
		"GRANT ALL ON *.* TO a IDENTIFIED BY 'x'":                "a",
		"ALTER USER a REQUIRE NONE":                              "a",
		"-- CREATE USER a\nSELECT 1":                             "",
		"/*!100100 CREATE USER a */":                             "a",
		"SELECT 'CREATE USER a';":                                "",
		"CREATE USER a REQUIRE SSL; CREATE USER b":               "b",
		"CREATE USER a IDENTIFIED BY 'it\\'s; REQUIRE SSL' ; --": "a",
	} {
		if got := strings.Join(layout.OpenAccounts(sql), " "); got != want {
			t.Errorf("%s: got %q, want %q", sql, got, want)
		}
	}
}

// TestMaxScale: its native port is open to whoever has a password, unless clients show a
// certificate to it or to the shield before it.
func TestMaxScale(t *testing.T) {
	service := func(environment, listener string) *layout.Set {
		return group(t, "name: a\nservices: [{name: m, command: maxscale, image_name: i, environment: "+environment+"}]\n"+
			"images: [{name: i, injection_files: [{path: /etc/maxscale.cnf, content: \"[l]\\ntype=listener\\nport=3306\\n"+listener+"\"}]}]\n"+keys("maxscale"))[0]
	}
	native := "{SCONE_NETWORK_SHIELD: unprotected}"
	for name, c := range map[string]struct{ environment, listener, want string }{
		"clear":                   {native, "", "without ssl"},
		"no check of the peer":    {native, "ssl=true\\n", "without ssl_verify_peer_certificate"},
		"a check of the peer":     {native, "ssl=true\\nssl_verify_peer_certificate=true\\n", ""},
		"local":                   {native, "address=127.0.0.1\\n", ""},
		"guarded by the shield":   {shielded("protected", "3306", "\"$$SCONE::ca$$\"", ""), "", ""},
		"a shield without asking": {shielded("protected", "3306", "disabled", ""), "", "asks for no certificate"},
		"closed by the shield":    {shielded("protected", "8989", "\"$$SCONE::ca$$\"", ""), "", ""},
		"a shield that is off":    {"{SCONE_NETWORK_SHIELD: disabled}", "ssl=true\\n", "without ssl_verify_peer_certificate"},
	} {
		in := service(c.environment, c.listener)
		sections := in.MaxScale(in.Services[0])
		if len(sections) != 1 {
			t.Fatalf("%s: got %d sections", name, len(sections))
		}
		got := layout.OpenRoute(layout.NewShield(in.Services[0]), sections[0])
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestSettings: what the host writes is a danger beside whatever the session injects.
func TestSettings(t *testing.T) {
	const own, none = "{path: /etc/my.cnf, content: \"[mysqld]\\nport=3307\\n%s\"}", ""
	for name, c := range map[string]struct{ command, files, more, host, elsewhere, code string }{
		"own":                    {"mysqld", own, "", "", "", ""},
		"named":                  {"mysqld --defaults-file=/etc/my.cnf", own, "", "", "", ""},
		"none":                   {"mysqld", none, "", "/etc/my.cnf", "", ""},
		"none, and said so":      {"mysqld --no-defaults", none, "", "", "", ""},
		"own, not read":          {"mysqld --no-defaults", own, "", "", "--no-defaults", ""},
		"another":                {"mysqld --defaults-file=/host.cnf", own, "", "--defaults-file /host.cnf", "--defaults-file /host.cnf", ""},
		"one more":               {"mysqld --defaults-extra-file=/host.cnf", own, "", "--defaults-extra-file /host.cnf", "", ""},
		"a file of the host":     {"mysqld", own, "!include /host.cnf\\n", "!include /host.cnf", "", ""},
		"a folder of the host":   {"mysqld", own, "!includedir /etc/my.cnf.d\\n", "!includedir /etc/my.cnf.d", "", ""},
		"a folder of both":       {"mysqld", own + ", {path: /etc/my.cnf.d/a.cnf, content: x}", "!includedir /etc/my.cnf.d\\n", "!includedir /etc/my.cnf.d", "", ""},
		"a folder of a volume":   {"mysqld", own, "!includedir /v/d\\n", "", "", ""},
		"where nobody looks":     {"mysqld", strings.Replace(own, "/etc/my.cnf", "/opt/x.cnf", 1), "", "/etc/my.cnf", "", ""},
		"a plugin of the host":   {"mysqld", own, "plugin_dir=/plugins\\n", "", "", "plugin_dir /plugins"},
		"a plugin of the image":  {"mysqld", own, "plugin_dir=/usr/lib/mariadb/plugin\\n", "", "", ""},
		"SQL of the host":        {"mysqld --init-file=/x.sql", own, "", "", "", "init_file /x.sql"},
		"a key file of the host": {"mysqld", own, "loose-file-key-management-filename = /keys.txt\\n", "", "", "file_key_management_filename /keys.txt"},
		"SQL on a volume":        {"mysqld --init-file=/v/x.sql", own, "", "", "", ""},
	} {
		in := group(t, "name: a\nservices: [{name: db, command: \""+c.command+"\", image_name: i}]\nvolumes: [{name: v}]\n"+
			"images: [{name: i, volumes: [{name: v, path: /v}], injection_files: ["+strings.Replace(c.files, "%s", c.more, 1)+"]}]\n")[0]
		d := in.ServerOf(in.Services[0])
		for what, said := range map[string][2]string{"host": {layout.HostSettings(d), c.host}, "elsewhere": {layout.SettingsElsewhere(d), c.elsewhere}, "code": {layout.HostCode(d), c.code}} {
			if got, want := said[0], said[1]; (got == "") != (want == "") || !strings.Contains(got, want) {
				t.Errorf("%s: %s: got %q, want %q", name, what, got, want)
			}
		}
	}
}

// TestSharedKeys: a key is the same whatever it is called where it is imported, and in
// whichever order the sessions come.
func TestSharedKeys(t *testing.T) {
	owner := "name: o\nsecrets: [{name: k, kind: private-key, export: [{session: a}, {session: b}]}, {name: c, kind: x509, private_key: k, export: [{session: a}, {session: b}]}, {name: own, kind: private-key}]\n"
	user := func(name, secret string) string {
		return "name: " + name + "\nservices: [{name: db, command: mysqld, image_name: i}]\nimages: [{name: i, injection_files: [{path: /key, content: \"$$SCONE::mine:privatekey:pem$$\"}]}]\n" +
			"secrets: [{name: mine, import: {session: o, secret: " + secret + "}, kind: " + map[string]string{"k": "private-key", "c": "x509"}[secret] + "}]\n"
	}
	for name, texts := range map[string][]string{"key and certificate": {user("a", "k"), user("b", "c"), owner}, "owner first": {owner, user("b", "k"), user("a", "k")}} {
		for _, in := range group(t, texts...) {
			if in.Name == "o" {
				if !in.Gives("k", "a") || in.Gives("k", "c") || in.Gives("own", "a") {
					t.Errorf("%s: the exports are not what is written", name)
				}
				continue
			}
			if other, key := in.SharedWith(in.Services[0]); other == "" || key != (layout.KeyID{Session: "o", Secret: "k"}) {
				t.Errorf("%s: %s: got %q with %v", name, in.Name, other, key)
			}
		}
	}
	alone := group(t, user("a", "k"), owner)[0]
	if other, _ := alone.SharedWith(alone.Services[0]); other != "" {
		t.Errorf("got %q for a key that nobody else has", other)
	}
}
