package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/mariadb"
)

const (
	// proxyPort is where MaxScales take connections, and maxWays bounds how many ways to them
	// are looked at.
	proxyPort = "4006"
	maxWays   = 32
	// theService is what findings call the name under which users come.
	theService = "service"
)

// clusterFile is cluster.json: which databases and MaxScales have names.
type clusterFile struct {
	Databases, MaxScales []struct {
		Name, Pod, Host string
		ServerID        uint64
	}
}

// frontStatement looks at what stands before several databases, and returns the signed
// statement.
func (r run) frontStatement(ctx context.Context) ([]byte, error) {
	in, front, err := r.readFront()
	if err != nil {
		return nil, fmt.Errorf("probing: %w", err)
	}
	impostors, err := r.impostors(in)
	if err != nil {
		return nil, fmt.Errorf("probing: %w", err)
	}
	began := r.now()
	seen := mariadb.ObserveFront(ctx, front, impostors)
	line, err := evidence.SignStatement(&evidence.Predicate{
		Nonce: in.question.nonce, Time: began.UTC().Truncate(time.Second),
		Session: in.target.Session, Member: in.target.Member, Address: in.target.Address, ServerName: in.target.ServerName, Account: in.target.Account,
		ClientLeafSHA256: evidence.SHA256(in.verify.Leaf.Raw),
		Server:           server(seen.TLS()),
		Findings:         seen.Report(),
		Limitations:      []evidence.Limitation{},
	}, in.statementKey)
	if err != nil {
		return nil, fmt.Errorf("probing: %w", err)
	}
	return line, nil
}

// readFront reads the injected files, and to which ways the question leads.
func (r run) readFront() (*input, mariadb.Front, error) {
	var none mariadb.Front
	if err := r.question.validate(); err != nil {
		return nil, none, err
	}
	read := reader{files: r.files}
	in := read.shown(r.question, "front.password")
	content := read.file("cluster.json")
	if read.err != nil {
		return nil, none, read.err
	}
	var cluster clusterFile
	if err := json.Unmarshal(content, &cluster); err != nil {
		return nil, none, fmt.Errorf("reading cluster.json: %w", err)
	}
	front := mariadb.Front{Databases: map[uint64]string{}, Target: mariadb.Target{
		ServerName: in.target.ServerName, CA: in.ca, Account: in.target.Account, Password: in.password, Certificate: in.verify,
		Subject: in.target.Subject, Issuer: in.target.Issuer, Now: r.now, Wait: r.wait, Random: r.random,
	}}
	for _, d := range cluster.Databases {
		front.Databases[d.ServerID] = d.Name
	}
	for _, m := range cluster.MaxScales {
		front.MaxScales = append(front.MaxScales, mariadb.Place{Name: m.Name, Address: m.Host + ":" + proxyPort, ServerName: m.Host})
	}
	if read.has("masking.json") {
		front.Masking = &mariadb.Masking{Masked: string(read.file("masked.password")), Granted: string(read.file("granted.password")), Rules: read.masking("masking.json")}
	}
	if read.err != nil {
		return nil, none, read.err
	}
	if len(front.Databases) == 0 || len(front.MaxScales) == 0 {
		return nil, none, errors.New("reading cluster.json: want databases and MaxScales")
	}
	ways, err := places(r.ways)
	if err != nil {
		return nil, none, err
	}
	front.Ways = append(front.Ways, mariadb.Place{Name: theService, Address: in.target.Address, ServerName: in.target.ServerName})
	for _, address := range ways {
		front.Ways = append(front.Ways, mariadb.Place{Name: address, Address: address, ServerName: in.target.ServerName})
	}
	return in, front, nil
}

// places are ways: IP addresses with ports, each once, separated by commas.
func places(ways string) (all []string, err error) {
	if ways == "" {
		return nil, nil
	}
	known := map[netip.AddrPort]bool{}
	for _, text := range strings.Split(ways, ",") {
		at, err := netip.ParseAddrPort(text)
		if err != nil || known[at] || len(known) == maxWays {
			return nil, fmt.Errorf("CONFIDB_WAYS of %d characters: want at most %d different addresses with ports, separated by commas", len(ways), maxWays)
		}
		known[at] = true
		all = append(all, at.String())
	}
	return all, nil
}
