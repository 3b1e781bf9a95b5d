package cluster

import "testing"

func FuzzPosition(f *testing.F) {
	for _, text := range []string{"", "0-1-1", "0-1-1,5-2-9", "4294967295-4294967295-18446744073709551615", "0-1-1,0-2-2", " 0-1-1 , ", "-"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePosition(text)
		if err != nil {
			return
		}
		again, err := ParsePosition(p.String())
		if err != nil || again.String() != p.String() || !p.Within(append(p, again...)) && len(p) == 0 {
			t.Errorf("%q is %v, and that %v, %v", text, p, again, err)
		}
	})
}

func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"master_server":"db1"}`))
	f.Add([]byte(`{"master_server":1}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := ReadJournal(text)
		written, err := r.Journal()
		if err != nil {
			t.Fatal(err)
		}
		_ = New(Settings{Servers: []Server{{Name: "db1"}}}, Env{}, r)
		if len(r.Primary) < 100 && len(written) > 1000 {
			t.Errorf("%q is written as %q", r.Primary, written)
		}
	})
}
