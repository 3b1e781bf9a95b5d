package maxscale

import (
	"encoding/json"
	"testing"
)

// TestCrypt: the first and the fifth are of Drepper's paper, and all are what OpenSSL
// (passwd -6) says.
func TestCrypt(t *testing.T) {
	for _, c := range []struct{ password, salt, want string }{
		{"Hello world!", "saltstring", "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"},
		{"mariadb", "MXS", "$6$MXS$RjtL0yWoXRIzkDGR6iwIAUHrQTWvqMizWYaGZKetqP2VDmWLgpgaT5YueeBoMKkoTMisvIy3sGEUMFa16UYDc."},
		{"0e4d8a3f3b1c4f6d9a2b7c5e1f0a8d6b0e4d8a3f3b1c4f6d9a2b7c5e1f0a8d6b", "MXS", "$6$MXS$dKh8x.9xq3HD/HLcIAcLpxs58XHU3M0JLbUSWqePJTz9JBB002954vmsJ0WWzpKztVXUZplVIJShIn57Js1Ho/"},
		{"a", "MXS", "$6$MXS$W20HkJaVIfQY.EdpaJi4HMszmizmxAu7T4w0X2e1wU85K7Tik7nAlxOggER52Jp9BwDytriqMPeMQFRWLaO7x1"},
		{"This is just a test", "toolongsaltstrin", "$6$toolongsaltstrin$lQ8jolhgVRVhY4b5pZKaysCLi0QBxGoNeKQzQ3glMhwllF7oGDZxUhx1yxdYcz/e1JSbq3y6JMxxl8audkUEm0"},
		{"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "s", "$6$s$RbSbXRmJ82AzvEfE5M7ezplqSeH7scTIPrnb5bJyoMmYLq3gESw5AEsT/qOS97ONUeHMrFnSpwtm51uNr0X0z1"},
		{"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", "1234567890123456", "$6$1234567890123456$ieGRrt/s9JUNDs0Qvbc6pmfxrCMqIFkypSc8s9RGOZoC1VZc31OYmtVRSJrjLk5FC7CR8Z4Vra3hRh4bsd91q1"},
	} {
		if got := crypt(c.password, c.salt); got != c.want {
			t.Errorf("%q with %q: got %s, want %s", c.password, c.salt, got, c.want)
		}
	}
}

// TestUsers: the file has one administrator, and no password.
func TestUsers(t *testing.T) {
	text, err := Users("confidb", "mariadb")
	if err != nil {
		t.Fatal(err)
	}
	var users []map[string]string
	if err := json.Unmarshal(text, &users); err != nil || len(users) != 1 || len(users[0]) != 3 {
		t.Fatalf("got %s (%v), want one user of three members", text, err)
	}
	if u := users[0]; u["name"] != "confidb" || u["account"] != "admin" || u["password"] != crypt("mariadb", "MXS") {
		t.Errorf("got %s", text)
	}
}
