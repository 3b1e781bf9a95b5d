package admin

import "testing"

// The vectors are those of "Unix crypt using SHA-256 and SHA-512", Ulrich Drepper.
func TestCrypt(t *testing.T) {
	for _, c := range []struct {
		salt     string
		rounds   int
		told     bool
		password string
		want     string
	}{
		{"saltstring", 5000, false, "Hello world!", "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"},
		{"saltstringsaltstring", 10000, true, "Hello world!", "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v."},
		{"toolongsaltstring", 5000, true, "This is just a test", "$6$rounds=5000$toolongsaltstrin$lQ8jolhgVRVhY4b5pZKaysCLi0QBxGoNeKQzQ3glMhwllF7oGDZxUhx1yxdYcz/e1JSbq3y6JMxxl8audkUEm0"},
		{"anotherlongsaltstring", 1400, true, "a very much longer text to encrypt.  This one even stretches over morethan one line.",
			"$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1"},
		{"short", 77777, true, "we have a short salt string but not a short password", "$6$rounds=77777$short$WuQyW2YR.hBNpjjRhpYD/ifIw05xdfeEyQoMxIXbkvr0gge1a1x3yRULJ5CCaUeOxFmtlcGZelFl5CxtgfiAc0"},
		{"asaltof16chars..", 123456, true, "a short string", "$6$rounds=123456$asaltof16chars..$BtCwjqMJGx5hrJhZywWvt0RLE8uZ4oPwcelCjmw2kSYu.Ec6ycULevoBK25fs2xXgMNrCzIMVcgEJAstJeonj1"},
		{"roundstoolow", 10, true, "the minimum number is still observed", "$6$rounds=1000$roundstoolow$kUMsbe306n21p9R.FRkW3IGn.S9NPN0x50YhH1xhLsPuWGsUSklZt58jaTfF4ZEQpyUNGc0dqbpBYYBaHHrsX."},
	} {
		if got := crypt(c.password, c.salt, c.rounds, c.told); got != c.want {
			t.Errorf("%q: %s, want %s", c.password, got, c.want)
		}
	}
}

func TestPasswordsMatch(t *testing.T) {
	hash := hashed("mariadb")
	if !matches(hash, "mariadb") || matches(hash, "mariadb ") || matches(hash, "") || matches("", "") {
		t.Error("a password does not match its hash, or another one does")
	}
	// Of another program: openssl passwd -6 -salt MXS mariadb.
	if want := "$6$MXS$RjtL0yWoXRIzkDGR6iwIAUHrQTWvqMizWYaGZKetqP2VDmWLgpgaT5YueeBoMKkoTMisvIy3sGEUMFa16UYDc."; hash != want {
		t.Errorf("the hash is %s, want %s", hash, want)
	}
	if matches(crypt("mariadb", "other", rounds, false), "mariadb") {
		t.Error("a hash with another salt matches")
	}
}
