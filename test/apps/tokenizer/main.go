// Tokenizer is a small application that uses the database as an authorised client: an
// HTTP service that swaps values, such as card numbers, for random tokens.
//
//	POST /tokens          {"value": "…"}  →  201 {"token": "…"}
//	GET  /tokens/{token}                  →  200 {"value": "…"}
//	GET  /health                          →  200 while it serves, whatever the database does
//
// It runs in an enclave, and logs in with what CAS gives that enclave: three files and a
// data source name. It is a Go module of its own, so that its driver is no dependency of
// confidb. Nothing that it prints holds a value, a token or a password.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// edition is printed at the start. The lab also makes a copy of the program with another
// last letter here: one byte, by which it is another program.
const edition = "tokenizer edition A"

// How long things may take.
const (
	startTimeout    = 30 * time.Second // until the table is there
	shutdownTimeout = 5 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, arguments []string, log io.Writer) error {
	flags := flag.NewFlagSet("tokenizer", flag.ContinueOnError)
	flags.SetOutput(log)
	var given credentials
	listen := flags.String("listen", ":8080", "the `address` to serve HTTP on")
	flags.StringVar(&given.ca, "ca", "/run/confidb/ca.crt", "the `file` with the CA of the database")
	flags.StringVar(&given.certificate, "cert", "/run/confidb/client.crt", "the `file` with the client's certificate")
	flags.StringVar(&given.key, "key", "/run/confidb/client.key", "the `file` with its key")
	flags.StringVar(&given.dsn, "dsn-file", "/run/confidb/go.dsn", "the `file` with the data source name")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("got %d arguments beside flags, want none", flags.NArg())
	}
	db, err := open(given)
	if err != nil {
		return err
	}
	defer db.Close()
	cards := &table{db}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := cards.make(starting); err != nil {
		return fmt.Errorf("making the table of cards: %w", err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(log, "%s serves on %s\n", edition, listener.Addr())
	return serve(ctx, listener, newHandler(cards, log))
}

// serve answers requests until ctx ends, and those that were begun then to their end.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    8 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	return server.Shutdown(last)
}
