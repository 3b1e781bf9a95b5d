package baseline_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/baseline"
	"github.com/confidb/confidb/pkg/promise"
)

func TestText(t *testing.T) {
	b := baseline.New("10.99.1-x", map[string]baseline.Variable{
		"a": {Value: "tab\there", Global: true, Origin: baseline.OriginDefault}, "b": {Value: "", Global: true, Origin: baseline.OriginDefault},
		"hostname": {Value: "h", Global: true, Origin: baseline.OriginDefault}, "set": {Value: "1", Global: true, Origin: "CONFIG"}, "session": {Origin: baseline.OriginDefault},
	}, []baseline.Plugin{{Name: "p", Kind: "K", Status: "ACTIVE", LoadOption: "ON"}}, []baseline.Object{{Kind: baseline.View, Schema: "sys", Name: `"quoted`, Definer: "a@b", Security: "INVOKER"}})
	back, err := baseline.Parse(b.Text())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, back); diff != "" || len(back.Variables) != 2 {
		t.Errorf("-written +read:\n%s", diff)
	}
	for _, wrong := range []string{"x", "variable\ta", "variable\t\"a\tb", "object\ta\tb"} {
		if _, err := baseline.Parse([]byte(wrong)); err == nil {
			t.Errorf("%q: got no error", wrong)
		}
	}
}

func TestOf(t *testing.T) {
	if b, exact := baseline.Of("10.11.19-MariaDB-0+deb12u1-log"); b == nil || !exact || baseline.Number(b.Version) != 101119 {
		t.Errorf("got %v, exact %v", b, exact)
	}
	if b, exact := baseline.Of("10.11.2-MariaDB"); b == nil || exact {
		t.Errorf("another patch: exact %v", exact)
	}
	for _, version := range []string{"", "10", "10.1.1", "11.8.2-MariaDB", "10.11", "x.y.z"} {
		if b, exact := baseline.Of(version); b != nil || exact {
			t.Errorf("%q: got %s", version, b.Version)
		}
	}
}

// server is what a server says of a few variables.
func server() map[string]baseline.Variable {
	set := func(value, kind string) baseline.Variable {
		return baseline.Variable{Value: value, Kind: kind, Global: true, Origin: "CONFIG", Low: "10", High: "100000", Block: "10"}
	}
	words := set("two", "ENUM")
	words.Words = []string{"one", "two", "three"}
	return map[string]baseline.Variable{"flag": set("ON", "BOOLEAN"), "number": set("2040", "BIGINT UNSIGNED"), "word": words, "set": set("b,a", "SET"), "real": set("1.500000", "DOUBLE"),
		"path": set("/a/b/", "VARCHAR"), "text": set("x", "VARCHAR")}
}

func TestValues(t *testing.T) {
	for setting, want := range map[string]bool{
		"flag=1": true, "flag=on": true, "flag=TRUE": true, "flag=yes": true, "flag=0": false, "flag=OFF": false, "flag=maybe": false, "skip_flag=": false, "enable_flag=1": false,
		"number=2040": true, "number=2048": true, "number=2K": true, "number=2050": false, "number=x": false, "number=-1": false, "number=99E": false,
		"word=TWO": true, "word=1": true, "word=2": false, "word=9": false, "set=a,b": true, "set=A,B,a": true, "set=a": false, "set=": false,
		"real=1.5": true, "real=1.50": true, "real=2": false, "path=/a/b": true, "path=/a": false, "text=x": true, "text=X": false, "text=x/": false,
	} {
		name, value, _ := strings.Cut(setting, "=")
		e := baseline.Expect([]promise.Setting{{Name: name, Value: value, Origin: promise.FromFile}}, server(), nil)
		base := strings.TrimPrefix(strings.TrimPrefix(name, "skip_"), "enable_")
		named := false
		for _, d := range e.Settings(server(), nil, false) {
			named = named || strings.HasPrefix(d, base+"=")
		}
		if named == want {
			t.Errorf("%s: said %v", setting, named)
		}
	}
}

// A secret is compared by its origin only, and not said.
func TestSecretSettings(t *testing.T) {
	e := baseline.Expect([]promise.Setting{{Name: "text", Secret: true, Origin: promise.FromStatement}}, server(), nil)
	said := strings.Join(e.Settings(server(), nil, false), "\n")
	if !strings.Contains(said, "text=(hidden) from CONFIG") || strings.Contains(said, "text=x") {
		t.Errorf("got %s", said)
	}
}

func TestOrigins(t *testing.T) {
	known := &baseline.Baseline{Version: "v", Variables: map[string]string{"a": "1"}}
	for origin, want := range map[string]string{baseline.OriginDefault: "", "CONFIG": "a=1 from CONFIG", "SQL": "a=1 from SQL", "COMMAND-LINE": "a=1 from COMMAND-LINE", baseline.OriginAuto: "a=1 from AUTO", "": "a=1 from "} {
		said := baseline.Expect(nil, nil, nil).Settings(map[string]baseline.Variable{"a": {Value: "1", Global: true, Origin: origin}}, known, true)
		if got := strings.Join(said, ""); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: got %q, want %q", origin, got, want)
		}
	}
	for name, v := range map[string]baseline.Variable{"a": {Value: "2"}, "new": {Value: "1"}} {
		v.Global, v.Origin = true, baseline.OriginDefault
		if said := baseline.Expect(nil, nil, nil).Settings(map[string]baseline.Variable{name: v}, known, true); len(said) != 1 {
			t.Errorf("%s=%s: got %q, want one deviation", name, v.Value, said)
		}
	}
}

func TestPlugins(t *testing.T) {
	built := baseline.Plugin{Name: "InnoDB", Kind: "STORAGE ENGINE", Status: "ACTIVE", LoadOption: "ON"}
	loaded := baseline.Plugin{Name: "keys", Kind: "ENCRYPTION", Status: "ACTIVE", Library: "keys.so", LoadOption: "FORCE_PLUS_PERMANENT"}
	settings := []promise.Setting{{Name: "plugin_load_add", Value: "keys.so"}, {Name: "keys", Value: "FORCE_PLUS_PERMANENT"}}
	known := &baseline.Baseline{Version: "v", Plugins: []baseline.Plugin{built}}
	change := func(p baseline.Plugin, do func(*baseline.Plugin)) baseline.Plugin { do(&p); return p }
	for name, c := range map[string]struct {
		plugins []baseline.Plugin
		want    string
	}{
		"as promised":      {[]baseline.Plugin{built, loaded}, ""},
		"missing":          {[]baseline.Plugin{built}, "plugin keys is missing"},
		"another option":   {[]baseline.Plugin{built, change(loaded, func(p *baseline.Plugin) { p.LoadOption = "ON" })}, "want FORCE_PLUS_PERMANENT"},
		"disabled":         {[]baseline.Plugin{built, change(loaded, func(p *baseline.Plugin) { p.Status = "DISABLED" })}, "want FORCE_PLUS_PERMANENT"},
		"another library":  {[]baseline.Plugin{built, change(loaded, func(p *baseline.Plugin) { p.Library = "evil.so" })}, "from evil.so"},
		"a built-in one":   {[]baseline.Plugin{change(built, func(p *baseline.Plugin) { p.Status = "DISABLED" }), loaded}, "not so in v"},
		"one that is more": {[]baseline.Plugin{built, loaded, {Name: "x", Library: "x.so"}}, "from x.so"},
	} {
		e := baseline.Expect(settings, nil, append(c.plugins, loaded))
		if said := strings.Join(e.Plugins(c.plugins, known), "; "); !strings.Contains(said, c.want) || (said == "") != (c.want == "") {
			t.Errorf("%s: got %q, want %q", name, said, c.want)
		}
	}
}

// Of a version that is not known, the definer is judged, and what no version has is named.
func TestObjectsOfAnUnknownVersion(t *testing.T) {
	const own = "mariadb.sys@localhost"
	for name, c := range map[string]struct {
		object baseline.Object
		bad    bool
	}{
		"a table":                    {baseline.Object{Kind: baseline.Table, Schema: "mysql", Name: "user2"}, false},
		"a view of its own":          {baseline.Object{Kind: baseline.View, Schema: "sys", Name: "v", Definer: own}, false},
		"a trigger of sys":           {baseline.Object{Kind: baseline.Trigger, Schema: "sys", Name: "t", Definer: own}, false},
		"a view of somebody":         {baseline.Object{Kind: baseline.View, Schema: "sys", Name: "v", Definer: "root@localhost"}, true},
		"a trigger on a grant table": {baseline.Object{Kind: baseline.Trigger, Schema: "mysql", Name: "t", Definer: own}, true},
		"an event":                   {baseline.Object{Kind: baseline.Event, Schema: "sys", Name: "e", Definer: own}, true},
	} {
		var unknown *baseline.Baseline
		if said := unknown.Deviating([]baseline.Object{c.object}, false); (len(said) > 0) != c.bad {
			t.Errorf("%s: got %q", name, said)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("version\t10.11.1\nvariable\ta\t\"\"\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := baseline.Parse(text)
		if err != nil {
			return
		}
		if _, err := baseline.Parse(b.Text()); err != nil {
			t.Errorf("what was written does not read: %v", err)
		}
	})
}
