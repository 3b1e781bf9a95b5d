package maxscale

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"sync"

	"github.com/confidb/confidb/pkg/lab/maxscale/admin"
)

// administer serves the interface for administration, over TLS if it has a certificate.
func (m *instance) administer(ctx context.Context, all *sync.WaitGroup, failed chan<- error) error {
	g := m.settings().Global
	if !g.Bool("admin_enabled") {
		return nil
	}
	users, err := admin.LoadUsers(m.launch.Data, m.host.Now)
	if err != nil {
		return err
	}
	o := admin.Options{Model: model{m}, Users: users, Context: ctx, Now: m.host.Now, Log: func(text string) { m.launch.Log.Say("warning", text) }}
	if g.Bool("persist_runtime_changes") {
		o.PersistDirectory = m.launch.Persist
	}
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0)}
	if g.Text("admin_ssl_cert") != "" {
		pair := func() (*tls.Certificate, error) {
			made, err := tls.LoadX509KeyPair(g.Text("admin_ssl_cert"), g.Text("admin_ssl_key"))
			return &made, err
		}
		now, err := pair()
		if err != nil {
			return fmt.Errorf("admin_ssl_cert: %w", err)
		}
		o.Key, _ = now.PrivateKey.(*ecdsa.PrivateKey)
		server.TLSConfig = admin.TLS(pair)
	}
	server.Handler = admin.New(o)
	address := net.JoinHostPort(g.Text("admin_host"), g.Text("admin_port"))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("Failed to start the REST API on %s: %w", address, err)
	}
	if server.TLSConfig != nil {
		listener = tls.NewListener(listener, server.TLSConfig)
	}
	all.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	})
	context.AfterFunc(ctx, func() { server.Close() })
	return nil
}

// persisted reports whether an earlier run has left changes that would be loaded.
func (m *instance) persisted() bool {
	left, err := filepath.Glob(filepath.Join(m.launch.Persist, "*.cnf"))
	return m.settings().Global.Bool("load_persisted_configs") && (err != nil || len(left) > 0)
}
