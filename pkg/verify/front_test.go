package verify_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/verify"
)

// stand adds what the attested client says of what stands before the databases: all is as
// promised, and one HAProxy is there.
func (s *scene) stand(t *testing.T) {
	t.Helper()
	said := &evidence.Predicate{}
	if err := json.Unmarshal(must[[]byte](t)(json.Marshal(s.said)), said); err != nil {
		t.Fatal(err)
	}
	said.Member, said.Address, said.ServerName, said.Account = "front", "db1.shop.svc:3306", "db1.shop.svc", "confidb_front"
	said.Witness, said.Findings = nil, nil
	for _, m := range s.promised.Instances(topology.MaxScale) {
		for _, id := range append(verify.FrontChecks(), verify.MaskingChecks()...) {
			said.Findings = append(said.Findings, check.Finding{ID: id, Title: id, Subject: m.Name, Outcome: check.Pass})
		}
	}
	for _, way := range []string{"service", "10.0.0.9:3306"} {
		said.Findings = append(said.Findings, check.Finding{ID: "hap-01", Title: "it passes on", Subject: way, Outcome: check.Pass})
	}
	s.seen.Endpoints["db1"] = evidence.Got([]evidence.Endpoint{{Addresses: []string{"10.0.0.9"}, Ports: []int32{3306}, Pod: "db1-haproxy-7d-x", Ready: true}}, nil)
	s.about[topology.ServiceFront] = said
}

// of is a finding about something.
func of(said *evidence.Predicate, id, subject string) *check.Finding {
	for i := range said.Findings {
		if f := &said.Findings[i]; f.ID == id && f.Subject == subject {
			return f
		}
	}
	return nil
}

// What stands before several databases counts if it was asked, by a statement of this run, and
// each MaxScale of the record and each end of the Service is in it.
func TestFrontIsJudged(t *testing.T) {
	s := newSeveral(t)
	var subjects []string
	for _, f := range verify.Appraise(s.promised, s.memory, s.seen).Findings {
		if f.ID == "hap-01" {
			subjects = append(subjects, f.Subject+" "+f.Outcome.String())
		}
	}
	if want := []string{"service db1 pass", "haproxy-7d-x pass"}; !slices.Equal(subjects, want) {
		t.Errorf("got %q, want %q", subjects, want)
	}
	for name, c := range map[string]struct {
		change      func(s *scene, said *evidence.Predicate)
		id, subject string
		want        check.Outcome
	}{
		"nobody was asked":        {func(s *scene, _ *evidence.Predicate) { delete(s.about, "front"); delete(s.seen.Statements, "front") }, "front-statement", "", check.Skip},
		"a database's statement":  {func(s *scene, _ *evidence.Predicate) { s.about["front"] = s.about["mariadb-0"] }, "front-statement", "", check.Fail},
		"of another run":          {func(_ *scene, said *evidence.Predicate) { said.Nonce = strings.Repeat("f", 32) }, "front-statement", "", check.Fail},
		"of another name":         {func(_ *scene, said *evidence.Predicate) { said.ServerName = "elsewhere" }, "front-statement", "", check.Fail},
		"a MaxScale lets in":      {func(_ *scene, said *evidence.Predicate) { of(said, "mtls-02", "maxscale-1").Outcome = check.Fail }, "mtls-02", "maxscale-1", check.Fail},
		"a MaxScale is not named": {func(_ *scene, said *evidence.Predicate) { of(said, "mtls-01", "maxscale-1").Subject = "maxscale-3" }, "mtls-01", "maxscale-1", check.Skip},
		"a HAProxy ends TLS":      {func(_ *scene, said *evidence.Predicate) { of(said, "hap-01", "10.0.0.9:3306").Outcome = check.Fail }, "hap-01", "haproxy-7d-x", check.Fail},
		"a HAProxy was not asked": {func(_ *scene, said *evidence.Predicate) {
			of(said, "hap-01", "10.0.0.9:3306").Subject = "10.0.0.8:3306"
		}, "hap-01", "haproxy-7d-x", check.Skip},
		"the Service was not": {func(_ *scene, said *evidence.Predicate) { of(said, "hap-01", "service").Subject = "x" }, "hap-01", "service db1", check.Skip},
		"the Service leads nowhere": {func(s *scene, _ *evidence.Predicate) {
			s.seen.Endpoints["db1"] = evidence.Got([]evidence.Endpoint{}, nil)
		}, "hap-01", "", check.Skip},
		"nobody knows where it leads": {func(s *scene, _ *evidence.Predicate) { delete(s.seen.Endpoints, "db1") }, "hap-01", "", check.Skip},
		"it leads elsewhere as well": {func(s *scene, _ *evidence.Predicate) {
			s.seen.Endpoints["db1"] = evidence.Got(append(s.seen.Endpoints["db1"].Value, evidence.Endpoint{Addresses: []string{"10.9.9.9"}, Ports: []int32{3306}}), nil)
		}, "hap-01", "haproxy 10.9.9.9", check.Skip},
		"it leads to a name": {func(s *scene, _ *evidence.Predicate) {
			s.seen.Endpoints["db1"] = evidence.Got(append(s.seen.Endpoints["db1"].Value, evidence.Endpoint{Addresses: []string{"elsewhere.example"}, Ports: []int32{3306}, Pod: "x"}), nil)
		}, "hap-01", "haproxy x", check.Skip},
	} {
		s := newSeveral(t)
		c.change(s, s.about["front"])
		s.sign(t)
		found := verify.Appraise(s.promised, s.memory, s.seen).Findings
		if f := findingOf(found, c.id, c.subject); f == nil || f.Outcome != c.want || f.Outcome == check.Skip && (f.Reason == "" || f.Hint == "") {
			t.Errorf("%s: got %+v, want %v", name, f, c.want)
		}
		if found.Verdict().Accepted() {
			t.Errorf("%s: it is accepted", name)
		}
	}
}

// Where rules are recorded, each MaxScale must have been seen to mask; where there are none,
// nobody asks for it.
func TestMaskingIsJudged(t *testing.T) {
	for _, id := range verify.MaskingChecks() {
		for outcome, change := range map[check.Outcome]func(f *check.Finding){check.Pass: func(*check.Finding) {}, check.Fail: func(f *check.Finding) { f.Outcome = check.Fail }, check.Skip: func(f *check.Finding) { f.Subject = "x" }} {
			s := newSeveral(t)
			said := s.about["front"]
			change(of(said, id, "maxscale-1"))
			s.sign(t)
			if f := findingOf(verify.Appraise(s.promised, s.memory, s.seen).Findings, id, "maxscale-1"); f != nil {
				t.Errorf("%s: nothing is masked: got %+v", id, f)
			}
			s.promised.Applications.Masking = "{}"
			result := verify.Appraise(s.promised, s.memory, s.seen)
			if f := findingOf(result.Findings, id, "maxscale-1"); f == nil || f.Outcome != outcome {
				t.Errorf("%s: got %+v, want %s", id, f, outcome)
			}
			text := must[[]byte](t)(json.Marshal(result.Limitations))
			if !strings.Contains(string(text), "not access control") {
				t.Errorf("what masking is not is not said: %s", text)
			}
		}
	}
}

func findingOf(found check.Report, id, subject string) *check.Finding {
	for i := range found {
		if found[i].ID == id && found[i].Subject == subject {
			return &found[i]
		}
	}
	return nil
}
