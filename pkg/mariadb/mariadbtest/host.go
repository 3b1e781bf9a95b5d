package mariadbtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Shut stops the server as a user would; its files stay.
func (s *Server) Shut() error {
	if s.Admin != nil {
		s.Admin.Close()
		s.Admin = nil
	}
	if s.process == nil {
		return nil
	}
	process := s.process
	s.process = nil
	if err := process.end(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping mariadbd: %w; its log: %s", err, s.log)
	}
	return nil
}

// Path is that of a file of the server, below its data directory or, for enclave/..., new/...
// and tmp/..., beside it.
func (s *Server) Path(name string) string {
	if top, _, _ := strings.Cut(name, "/"); top == "enclave" || top == "new" || top == "tmp" {
		return s.path(name)
	}
	return s.path("data/" + name)
}

// File is a file that the session injects, without what makes an administrator.
func (s *Server) File(name string) string {
	return strings.TrimSuffix(s.files[s.path("enclave/"+name)], admin)
}

// Own makes a file or folder and all that is in it the server's.
func (s *Server) Own(path string) error {
	if s.owner == nil || s.owner.Credential == nil {
		return nil
	}
	return filepath.WalkDir(path, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, int(s.owner.Credential.Uid), int(s.owner.Credential.Gid)))
	})
}

// Program is mariadbd with other arguments, run as the server is.
func (s *Server) Program(name string, arguments ...string) *exec.Cmd {
	command := exec.Command(name, arguments...)
	command.SysProcAttr, command.Dir = s.owner, s.directory
	return command
}

// ErrHangs means that a server listens and greets nobody, for longer than a start takes.
var ErrHangs = errors.New("it neither serves nor ends")

// Begin starts the program of a service, and waits until it serves or has ended. The
// administrator is not connected. The log is that of this start. A server that does neither
// is killed, which is ErrHangs.
func (s *Server) Begin() (serves bool, log string, err error) {
	s.log.Reset()
	output, err := os.CreateTemp(s.directory, "log")
	if err != nil {
		return false, "", err
	}
	defer output.Close()
	process, err := s.begin(output)
	if err != nil {
		return false, "", err
	}
	for begun := time.Now(); time.Since(begun) < startTimeout/2; {
		select {
		case <-process.ended:
			text, err := os.ReadFile(output.Name())
			return false, string(text), err
		case <-time.After(20 * time.Millisecond):
		}
		text, err := os.ReadFile(output.Name())
		if err != nil {
			return false, "", err
		}
		if strings.Contains(string(text), "ready for connections") && !strings.Contains(string(text), "Normal shutdown") && settled(process.ended) {
			s.process = process
			return true, string(text), nil
		}
	}
	text, err := os.ReadFile(output.Name())
	process.end(syscall.SIGKILL) // says only that it was killed
	return false, string(text), errors.Join(ErrHangs, err)
}

// settled reports whether a program goes on that says that it is ready: one that was told
// to end says so too.
func settled(ended <-chan struct{}) bool {
	select {
	case <-ended:
		return false
	case <-time.After(500 * time.Millisecond):
		return true
	}
}

// Killed starts the program, and kills it when a file is there.
func (s *Server) Killed(mark string) error {
	process, err := s.begin(nil)
	if err != nil {
		return err
	}
	defer process.end(syscall.SIGKILL) // says only that it was killed
	for begun := time.Now(); time.Since(begun) < startTimeout; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(mark); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s does not come", mark)
}
