package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// Connect is a Dial to these servers as the monitor's account.
func Connect(servers []backend.Server, who backend.Identity) Dial {
	byName := map[string]backend.Server{}
	for _, s := range servers {
		s.TLS = withoutName(s.TLS)
		byName[s.Name] = s
	}
	return func(ctx context.Context, name string) (Session, error) {
		s, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf("server %q is not configured", name)
		}
		if end, ok := ctx.Deadline(); ok {
			s.Timeout = max(1, time.Until(end))
		}
		conn, err := backend.Dial(ctx, s, who)
		if err != nil {
			return nil, said(s, refusal(err))
		}
		return session{conn}, nil
	}
}

// unknownAuthority is how crypto/tls calls the alert (RFC 8446, section 6.2). Its type has no
// name outside of that package.
const unknownAuthority = "remote error: tls: unknown certificate authority"

// said is an error of a connection in the words that MaxScale has for it, where they are known.
func said(s backend.Server, err error) error {
	var chain x509.UnknownAuthorityError
	text := ""
	switch {
	case errors.As(err, &chain):
		text = "self-signed certificate in certificate chain"
	case strings.Contains(err.Error(), unknownAuthority):
		text = "tlsv1 alert unknown ca"
	case errors.Is(err, syscall.ECONNREFUSED):
		host, _, _ := net.SplitHostPort(s.Address)
		text = fmt.Sprintf("Can't connect to server on '%s' (111)", host)
	default:
		return err
	}
	return &failure{text: text, cause: err}
}

// withoutName is a client's end of TLS that verifies the chain of a server, and not its name,
// whatever was asked for.
func withoutName(c *tls.Config) *tls.Config {
	if c == nil || c.InsecureSkipVerify {
		return c
	}
	c = c.Clone()
	c.InsecureSkipVerify = true
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the server shows no certificate")
		}
		options := x509.VerifyOptions{Roots: c.RootCAs, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
		for _, more := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(more)
		}
		_, err := state.PeerCertificates[0].Verify(options)
		return err
	}
	return c
}

// session is a connection as a monitor uses it.
type session struct{ *backend.Conn }

func (s session) ID() uint64      { return uint64(s.Greeting.ConnectionID) }
func (s session) Version() string { return strings.TrimPrefix(s.Greeting.Version, "5.5.5-") }

func (s session) Query(ctx context.Context, sql string) ([]Row, error) {
	result, err := s.Conn.Query(ctx, sql)
	if err != nil {
		return nil, refusal(err)
	}
	rows := make([]Row, 0, len(result.Rows))
	for _, cells := range result.Rows {
		row := Row{}
		for i, cell := range cells {
			if !cell.Null && i < len(result.Columns) {
				row[result.Columns[i]] = cell.Text
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// refusal is an error of the wire as a monitor knows it.
func refusal(err error) error {
	var refused *wire.Error
	if errors.As(err, &refused) {
		return &Refusal{Code: refused.Code, Message: refused.Message}
	}
	return err
}
