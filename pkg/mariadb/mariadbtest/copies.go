package mariadbtest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/confidb/confidb/internal/loopback"
)

// Down ends the server: SIGTERM as a user would, SIGKILL as a power cut does. Its files
// stay.
func (s *Server) Down(how syscall.Signal) error {
	s.Admin.Close()
	s.Admin = nil
	process := s.process
	s.process = nil
	if err := process.end(how); err != nil && how == syscall.SIGTERM {
		return fmt.Errorf("ending mariadbd: %w; its log: %s", err, s.log)
	}
	return nil
}

// Up starts a server that is down.
func (s *Server) Up() error {
	if err := s.run(); err != nil {
		return fmt.Errorf("starting mariadbd again: %w; its log: %s", err, s.log)
	}
	return nil
}

// Save copies the files of the database to a name, as a snapshot does: what the server
// writes meanwhile may be half there.
func (s *Server) Save(name string) error { return duplicate(s.path("data"), s.path(name)) }

// PutBack replaces the files of a server that is down by a copy of those that were saved.
func (s *Server) PutBack(name string) error { return duplicate(s.path(name), s.path("data")) }

// Twin starts a second server of the same session over a copy of the files of one that is
// down.
func (s *Server) Twin() (*Server, error) {
	twin := *s
	var err error
	if twin.port, err = loopback.Hold(); err != nil {
		return nil, err
	}
	twin.Address = twin.port.Address()
	twin.directory, twin.log, twin.files = s.directory+".twin", new(bytes.Buffer), map[string]string{}
	if err := duplicate(s.directory, twin.directory); err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(s.Address)
	_, other, _ := net.SplitHostPort(twin.Address)
	moved := strings.NewReplacer(s.directory, twin.directory, "port = "+port, "port = "+other)
	for name, content := range s.files {
		twin.files[moved.Replace(name)] = moved.Replace(content)
		if err := os.WriteFile(moved.Replace(name), []byte(moved.Replace(content)), 0o600); err != nil {
			return nil, err
		}
	}
	twin.command = nil
	for _, argument := range s.command {
		twin.command = append(twin.command, moved.Replace(argument))
	}
	twin.KeyDirectory, twin.Outside = moved.Replace(s.KeyDirectory), moved.Replace(s.Outside)
	return &twin, twin.Up()
}

// duplicate makes to a copy of from, with owners.
func duplicate(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if output, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copying: %w: %s", err, output)
	}
	return nil
}
