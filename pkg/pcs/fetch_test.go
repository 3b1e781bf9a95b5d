package pcs_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/collateral"
	"github.com/confidb/confidb/pkg/pcs"
	"github.com/confidb/confidb/pkg/sgx"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// family is that of every minted platform.
var family = collateral.Request{FMSPC: [6]byte{0xc0, 0xff, 0xee}, CA: "platform"}

// service answers as PCS and PCCS do.
type service struct {
	*httptest.Server
	authority *sgxmint.Authority
	files     map[string][]byte
	// hexCRLs makes it answer as a PCCS; names are other names of headers.
	hexCRLs bool
	names   map[string]string
	// instead answers first, and says whether it did.
	instead func(w http.ResponseWriter, r *http.Request) bool
	asked   []string
}

const path = "/sgx/certification/v4/"

func serve(t testing.TB) *service {
	t.Helper()
	a, err := sgxmint.NewAuthority(now)
	if err != nil {
		t.Fatal(err)
	}
	s := &service{authority: a}
	if s.files, err = a.CollateralFiles(now); err != nil {
		t.Fatal(err)
	}
	s.files["pckSignChain.pem"] = slices.Concat(certificate(a.PCKCA.Certificate), a.RootPEM())
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func certificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked = append(s.asked, r.URL.RequestURI())
	if s.instead != nil && s.instead(w, r) {
		return
	}
	list := func(name string) []byte {
		if s.hexCRLs {
			return []byte(hex.EncodeToString(s.files[name]) + "\n")
		}
		return s.files[name]
	}
	switch r.URL.Path {
	case path + "tcb":
		s.answer(w, "TCB-Info-Issuer-Chain", "tcbSignChain.pem", s.files["tcbInfo.json"])
	case path + "qe/identity":
		s.answer(w, "SGX-Enclave-Identity-Issuer-Chain", "tcbSignChain.pem", s.files["qeIdentity.json"])
	case path + "pckcrl":
		s.answer(w, "SGX-PCK-CRL-Issuer-Chain", "pckSignChain.pem", list("pckCaCrl.der"))
	case path + "rootcacrl", "/IntelSGXRootCA.der":
		w.Write(list("rootCaCrl.der"))
	default:
		http.NotFound(w, r)
	}
}

func (s *service) answer(w http.ResponseWriter, header, chain string, body []byte) {
	if other, ok := s.names[header]; ok {
		header = other
	}
	w.Header().Set(header, url.PathEscape(string(s.files[chain])))
	w.Write(body)
}

func (s *service) source() pcs.Source {
	return pcs.Source{BaseURL: s.URL, Wait: func(context.Context, time.Duration) error { return errors.New("nothing may be waited for here") }}
}

// open verifies what was fetched.
func (s *service) open(t testing.TB, c *sgx.Collateral) (sgx.Contents, error) {
	t.Helper()
	roots, err := sgx.RootFromPEM(s.authority.RootPEM())
	if err != nil {
		t.Fatal(err)
	}
	v, err := sgx.NewVerifier(c, sgx.Options{Time: now, Roots: roots})
	if err != nil {
		return sgx.Contents{}, err
	}
	return v.Contents()
}

func TestFetchWhatVerifies(t *testing.T) {
	for name, change := range map[string]func(*service, *pcs.Source){
		"PCS":                    func(s *service, o *pcs.Source) { o.RootCRLURL = s.URL + "/IntelSGXRootCA.der" },
		"a PCCS":                 func(s *service, _ *pcs.Source) { s.hexCRLs = true },
		"a client of the user's": func(s *service, o *pcs.Source) { o.Client = s.Client() },
		"a slash":                func(s *service, o *pcs.Source) { o.BaseURL += "/" },
		"the whole path":         func(s *service, o *pcs.Source) { o.BaseURL += path },
		"the older header's name": func(s *service, _ *pcs.Source) {
			s.names = map[string]string{"TCB-Info-Issuer-Chain": "SGX-TCB-Info-Issuer-Chain"}
		},
		"a redirect to itself": func(s *service, _ *pcs.Source) {
			s.instead = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != path+"tcb" || r.URL.Query().Has("again") {
					return false
				}
				http.Redirect(w, r, path+"tcb?again=1", http.StatusFound)
				return true
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			source := s.source()
			change(s, &source)
			c, err := source.Fetch(t.Context(), family)
			if err != nil {
				t.Fatal(err)
			}
			contents, err := s.open(t, c)
			if err != nil || contents.FMSPC != family.FMSPC || contents.CA != "platform" || !contents.Findings.Verdict().Accepted() {
				t.Errorf("got %+v and error %v", contents, err)
			}
			if diff := cmp.Diff(s.files["tcbInfo.json"], c.TCBInfo); diff != "" {
				t.Errorf("the signed text was changed: %s", diff)
			}
		})
	}
}

func TestFetchAsksFor(t *testing.T) {
	const crls = " " + path + "pckcrl?ca=processor&encoding=der " + path + "rootcacrl"
	for want, change := range map[string]func(*collateral.Request){
		path + "tcb?fmspc=c0ffee000000 " + path + "qe/identity" + crls:                                                       func(*collateral.Request) {},
		path + "tcb?fmspc=c0ffee000000&update=early " + path + "qe/identity?update=early" + crls:                             func(r *collateral.Request) { r.Update = "early" },
		path + "tcb?fmspc=c0ffee000000&tcbEvaluationDataNumber=17 " + path + "qe/identity?tcbEvaluationDataNumber=17" + crls: func(r *collateral.Request) { r.EvaluationDataNumber = 17 },
	} {
		s := serve(t)
		r := collateral.Request{FMSPC: family.FMSPC, CA: "processor"}
		change(&r)
		if _, err := s.source().Fetch(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Fields(want), s.asked); diff != "" {
			t.Error(diff)
		}
	}
}

// transport answers in place of the network.
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func TestFetchFromIntelByDefault(t *testing.T) {
	s := serve(t)
	var asked []string
	client := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.URL.Scheme+"://"+r.URL.Host+r.URL.Path)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Result(), nil
	})}
	if _, err := (pcs.Source{Client: client}).Fetch(t.Context(), family); err != nil {
		t.Fatal(err)
	}
	want := []string{"https://api.trustedservices.intel.com/sgx/certification/v4/tcb", "https://api.trustedservices.intel.com/sgx/certification/v4/qe/identity",
		"https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl", "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
}

func TestFetchRefusesRequests(t *testing.T) {
	for want, change := range map[string]func(*collateral.Request, *pcs.Source){
		"CA: got \"root\", want platform or processor": func(r *collateral.Request, _ *pcs.Source) { r.CA = "root" },
		"CA: got \"\"": func(r *collateral.Request, _ *pcs.Source) { r.CA = "" },
		"update: got \"late\", want standard or early": func(r *collateral.Request, _ *pcs.Source) { r.Update = "late" },
		"number: got -1":                          func(r *collateral.Request, _ *pcs.Source) { r.EvaluationDataNumber = -1 },
		"want one of them":                        func(r *collateral.Request, _ *pcs.Source) { r.Update, r.EvaluationDataNumber = "standard", 17 },
		"address of the service: got \"ftp://x\"": func(_ *collateral.Request, s *pcs.Source) { s.BaseURL = "ftp://x" },
		"address of the service: got \"https:\"":  func(_ *collateral.Request, s *pcs.Source) { s.BaseURL = "https://" },
		"got \"https://u:xxxxx@x\", want https://HOST[:PORT] without a user": func(_ *collateral.Request, s *pcs.Source) { s.BaseURL = "https://u:hidden@x" },
		"without a question mark":                          func(_ *collateral.Request, s *pcs.Source) { s.BaseURL = "https://x?" },
		"got \"https://x#y\"":                              func(_ *collateral.Request, s *pcs.Source) { s.BaseURL = "https://x#y" },
		"address of the service: it cannot be read":        func(_ *collateral.Request, s *pcs.Source) { s.BaseURL = "https://u:hidden@x:y" },
		"address of the root's revocation list: got \"x\"": func(_ *collateral.Request, s *pcs.Source) { s.RootCRLURL = "x" },
	} {
		s := serve(t)
		r, source := family, s.source()
		change(&r, &source)
		c, err := source.Fetch(t.Context(), r)
		if err == nil || c != nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden") || len(s.asked) > 0 {
			t.Errorf("want %q, got %v and %v, and asked %v", want, c, err, s.asked)
		}
	}
}

// answering answers one path with a status, a header and a body.
func answering(part string, status int, header, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, path+part) {
			return false
		}
		if name, value, ok := strings.Cut(header, ": "); ok {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
		return true
	}
}

func TestFetchRefusals(t *testing.T) {
	s := serve(t)
	other := serve(t)
	chain := url.PathEscape(string(s.files["tcbSignChain.pem"]))
	for name, c := range map[string]struct {
		instead    func(http.ResponseWriter, *http.Request) bool
		want, hint string
	}{
		"an unknown FMSPC":      {answering("tcb", 404, "", ""), "fetching the TCB info of c0ffee000000: ", "does not know it. A PCCS"},
		"a retired evaluation":  {answering("tcb", 410, "", ""), "answered 410 Gone, want 200", "has retired this number"},
		"a bad request":         {answering("qe", 400, "", ""), "fetching the QE identity: ", "does not understand"},
		"a login":               {answering("tcb", 401, "", ""), "answered 401 Unauthorized", "collateral is public"},
		"an unknown platform":   {answering("tcb", 461, "", ""), "answered 461 (the PCCS does not know the platform), want 200", "Register the platform"},
		"no certificates":       {answering("tcb", 462, "", ""), "answered 462 (the PCCS has no", "Register the platform"},
		"damaged data":          {answering("tcb", 460, "", ""), "answered 460 (the PCCS cannot verify", "Put the data into the PCCS anew"},
		"a teapot":              {answering("tcb", 418, "", ""), "answered 418", "Check the address"},
		"nothing":               {answering("tcb", 204, "", ""), "answered 204", "Check the address"},
		"a huge body":           {answering("tcb", 200, "TCB-Info-Issuer-Chain: "+chain, strings.Repeat("x", 1<<20+1)), "the answer is longer than 1048576 bytes", ""},
		"no chain":              {answering("tcb", 200, "", "{}"), "the answer has no header TCB-Info-Issuer-Chain", ""},
		"a chain of nothing":    {answering("tcb", 200, "TCB-Info-Issuer-Chain: x", "{}"), "header TCB-Info-Issuer-Chain: got no PEM certificate", ""},
		"two signers":           {answering("qe", 200, "SGX-Enclave-Identity-Issuer-Chain: "+url.PathEscape(string(other.files["tcbSignChain.pem"])), "{}"), "come with different certificate chains", "Fetch again"},
		"no list":               {answering("pckcrl", 200, "SGX-PCK-CRL-Issuer-Chain: "+chain, "<html>"), "reading the CRL of the platform CA: got 6 bytes that are no revocation list", ""},
		"no chain of the list":  {answering("pckcrl", 200, "", "x"), "the answer has no header SGX-PCK-CRL-Issuer-Chain", ""},
		"no list of the root":   {answering("rootcacrl", 200, "", "abcd"), "reading the CRL of the root: got 4 bytes", ""},
		"no root list":          {answering("rootcacrl", 404, "", ""), "fetching the CRL of the root: ", "does not know it"},
		"another host":          {answering("tcb", 302, "Location: "+other.URL+path+"tcb", ""), "a redirect to " + other.URL + " is not followed", ""},
		"off TLS":               {answering("tcb", 302, "Location: "+strings.Replace(s.URL, "http", "https", 1), ""), "is not followed", ""},
		"a circle of redirects": {answering("tcb", 302, "Location: "+path+"tcb", ""), "got more than 3 redirects", ""},
	} {
		s.instead, other.asked = c.instead, nil
		got, err := s.source().Fetch(t.Context(), family)
		if err == nil || got != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v and error %v, want %q", name, got, err, c.want)
			continue
		}
		var hinted interface{ Hint() string }
		if errors.As(err, &hinted) != (c.hint != "") || c.hint != "" && !strings.Contains(hinted.Hint(), c.hint) {
			t.Errorf("%s: got the hint %v, want %q", name, hinted, c.hint)
		}
		if len(other.asked) > 0 {
			t.Errorf("%s: asked another host: %v", name, other.asked)
		}
	}
}

// waits answers so many times with a status, then as usual, and remembers for how long
// it was left alone.
func waits(s *service, times, status int, header, date string) (pcs.Source, *[]time.Duration) {
	var waited []time.Duration
	source := s.source()
	source.Wait = func(_ context.Context, d time.Duration) error {
		waited = append(waited, d)
		return nil
	}
	s.instead = func(w http.ResponseWriter, r *http.Request) bool {
		if times--; times < 0 {
			return false
		}
		if header != "" {
			w.Header().Set("Retry-After", header)
		}
		if date != "" {
			w.Header().Set("Date", date)
		}
		w.WriteHeader(status)
		return true
	}
	return source, &waited
}

func TestFetchTriesAgain(t *testing.T) {
	date := now.Format(http.TimeFormat)
	for name, c := range map[string]struct {
		times, status int
		header, date  string
		want          []time.Duration
		err, hint     string
	}{
		"seconds":              {1, 429, "7", "", []time.Duration{7 * time.Second}, "", ""},
		"a date":               {1, 503, now.Add(9 * time.Second).Format(http.TimeFormat), date, []time.Duration{9 * time.Second}, "", ""},
		"a date that is past":  {1, 503, now.Add(-time.Hour).Format(http.TimeFormat), date, []time.Duration{time.Second}, "", ""},
		"a date without clock": {1, 503, now.Format(http.TimeFormat), "yesterday", []time.Duration{time.Second}, "", ""},
		"no time":              {2, 500, "", "", []time.Duration{time.Second, 2 * time.Second}, "", ""},
		"no number":            {1, 502, "soon", "", []time.Duration{time.Second}, "", ""},
		"for ever":             {1000, 503, "60", "", []time.Duration{time.Minute, time.Minute}, "answered 503 Service Unavailable, want 200, and to come back after 1m0s", "Try again later"},
		"too long":             {1, 429, "61", "", nil, "to come back after 1m1s", "wants fewer requests"},
		"absurdly long":        {1, 429, "99999999999999999999", "", []time.Duration{time.Second}, "", ""},
		"not again":            {1, 404, "7", "", nil, "404", "Check the FMSPC"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			source, waited := waits(s, c.times, c.status, c.header, c.date)
			got, err := source.Fetch(t.Context(), family)
			if diff := cmp.Diff(c.want, *waited); diff != "" {
				t.Error(diff)
			}
			var status *pcs.StatusError
			switch {
			case c.err == "" && (err != nil || got == nil):
				t.Error(err)
			case c.err != "" && (!errors.As(err, &status) || got != nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(status.Hint(), c.hint)):
				t.Errorf("got %v, want %q and the hint %q", err, c.err, c.hint)
			case c.times == 1000 && len(s.asked) != 3:
				t.Errorf("asked %d times, want 3", len(s.asked))
			}
		})
	}
}

func TestFetchEndsWithTheContext(t *testing.T) {
	s := serve(t)
	source, _ := waits(s, 1000, 503, "", "")
	source.Wait = nil
	ctx, cancel := context.WithCancel(t.Context())
	answer := s.instead
	s.instead = func(w http.ResponseWriter, r *http.Request) bool {
		defer cancel()
		return answer(w, r)
	}
	if c, err := source.Fetch(ctx, family); !errors.Is(err, context.Canceled) || c != nil {
		t.Errorf("got %v and %v, want the end of the context", c, err)
	}
	if err := pcs.Sleep(t.Context(), time.Nanosecond); err != nil {
		t.Error(err)
	}
}

func TestFetchedIsNotTrusted(t *testing.T) {
	for _, name := range []string{"tcbInfo.json", "qeIdentity.json", "rootCaCrl.der", "pckCaCrl.der", "tcbSignChain.pem", "pckSignChain.pem"} {
		s := serve(t)
		text := bytes.Clone(s.files[name])
		if pair, rest := pem.Decode(text); pair != nil { // the last byte of the first signature
			pair.Bytes[len(pair.Bytes)-1] ^= 1
			text = append(pem.EncodeToMemory(pair), rest...)
		} else {
			text[len(text)-4] ^= 1 // in the signature of all others
		}
		s.files[name] = text
		c, err := s.source().Fetch(t.Context(), family)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var refusal *sgx.Refusal
		if contents, err := s.open(t, c); !errors.As(err, &refusal) {
			t.Errorf("%s: a changed byte was accepted: %+v, %v", name, contents, err)
		}
	}
}
