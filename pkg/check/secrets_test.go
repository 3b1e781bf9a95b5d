package check_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/check"
)

// Ways in which a credential gets into an error; %s is the credential.
var leaks = []string{
	`Get "https://user:%s@charts.example/index.yaml": dial tcp: lookup charts.example: no such host`,
	`looks like "https://%s@charts.example/stable" is not a valid chart repository or cannot be reached: 401`,
	`parse "http://user:%s@[::1": missing ']' in host`,
	`parse "http://user: %s@host/": net/url: invalid userinfo`,
	`parse "https://user:a/%s@host/x": invalid port ":a" after host`,
	`parse "https://user:a?%s@host/x": invalid port ":a" after host`,
	`parse "https://user:a#b@%s@host/x": invalid port ":a" after host`,
	`invalid proxy address "user:%s@proxy.example:3128": parse`,
	`proxyconnect tcp: dial tcp user:%s@proxy.example:3128: connect: refused`,
	`https://user:%s@host and https://other:%s@host`,
	`oci://user:%s@registry.example/charts/db: not found`,
	`failed to fetch https://charts.example/db.tgz?token=%s : 404 Not Found`,
	`failed to fetch https://charts.example/db.tgz?a=b&access_token=%s&c=d : 404`,
	`failed to fetch https://b.s3.example/db.tgz?X-Amz-Credential=%s&X-Amz-Signature=%s&X-Amz-Security-Token=%s`,
	`Get "https://a.blob.example/x?sv=2022&sig=%s": EOF`,
	`Get "https://g.example/x?X-Goog-Signature=%s#f": EOF`,
	`Get "https://g.example/x?private_token=%s": EOF`, `Get "https://g.example/x?apikey=%s": EOF`, `Get "https://g.example/x?api_key=%s": EOF`,
	`Get "https://g.example/x?password=%s": EOF`, `Get "https://g.example/x?client_secret=%s": EOF`,
	`Get "https://sso.example/login?next=https%%3A%%2F%%2Fuser%%3A%s%%40host%%2Fx": EOF`,
	`Get "https://sso.example/login?next=%%2Fx%%3Ftoken%%3D%s": EOF`,
	`request Authorization: Bearer %s failed`, `request Authorization: Basic %s failed`, `Proxy-Authorization: Basic %s`,
	`map[Authorization:[Bearer %s]]`, `{"Authorization":"Bearer %s"}`, `sent header X-Api-Key: %s`, `X-Vault-Token: %s`, `Cookie: session=%s`,
	`the server rejected bearer %s`, `{"error":"denied","token":"%s"}`, `{\"password\":\"%s\"}`, `{"auth": "%s"}`, `exec: helper --token=%s failed`, `exec: helper --password %s failed`,
	`error: eyJhbGciOiJSUzI1NiJ9.%s.c2ln is not valid`, `k8s-aws-v1.%s`, `ghp_%s`, `glpat-%s`,
}

func TestNoFormOfACredentialIsShown(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	for _, form := range leaks {
		for range 20 {
			canary := newCanary(random)
			text := strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(form, "%%", "\x00"), "%s", canary), "\x00", "%")
			for name, shown := range map[string]string{"WithoutSecrets": check.WithoutSecrets(text), "Printable": check.Printable(text), "Said": check.Said(text), "SaidLines": check.SaidLines("a\n" + text)} {
				if strings.Contains(shown, canary) {
					t.Errorf("%s (seed %d): %s shows %s", name, seed, shown, canary)
				}
			}
		}
	}
}

func newCanary(random *rand.Rand) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	text := []byte("Z9")
	for range 20 + random.IntN(20) {
		text = append(text, letters[random.IntN(len(letters))])
	}
	return string(text)
}

// A password of any characters, in URLs that Go and its HTTP client complain of.
func TestNoPasswordOfAnyCharactersIsShown(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 2))
	const odd = "abcXYZ019-._~!$&()*+,;=:@/?#%^|{}[] "
	for range 3000 {
		password := []byte("Q7")
		for range 6 + random.IntN(12) {
			password = append(password, odd[random.IntN(len(odd))])
		}
		raw := "https://user:" + string(password) + "CANARY@charts.example/index.yaml"
		_, err := url.Parse(raw)
		if err == nil {
			_, err = http.NewRequest("bad method", raw, nil)
		}
		for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("loading chart %q: no", raw)} {
			if strings.Contains(check.WithoutSecrets(text), "CANARY") {
				t.Fatalf("seed %d: %s", seed, check.WithoutSecrets(text))
			}
		}
	}
}

// What is no credential stays as it was.
func TestTextWithoutCredentialsStays(t *testing.T) {
	for _, text := range []string{
		`pulling mariadb:10.11@sha256:0123456789abcdef: not found`, `https://registry.example/a/b@sha256:00ff`, `oci://registry.example:5000/charts/db@v1`,
		`account 'confidb_app'@'%' has grants`, `confidb_app@%`, `Get "https://[::1]:6443/api/v1/pods?fieldManager=a&limit=5": EOF`,
		`https://api.example/sgx/certification/v4/tcb?fmspc=00606A000000`, `exit code 3`, `basic constraints are wrong`, `a bearer of news`,
		`the code is 5`, `session shop/db1: token unknown`, `12:30:01 n1: ready`, `https://host:8443/path/with@sign`, `mail admin@example.com`,
		`git@github.com:a/b`, `SCONE_CONFIG_ID=shop/db/mariadbd`, `$$SCONE::app_password:hex$$`, `CREATE USER 'a'@'%' IDENTIFIED BY x`,
	} {
		if got := check.WithoutSecrets(text); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
}
