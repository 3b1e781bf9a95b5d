package cluster

import (
	"context"
	"errors"
)

// result is that of the last command that was begun and not waited for.
type result struct {
	command string
	running bool
	err     error
}

// Begin carries a command out without waiting for it; Result says what became of it. There is
// one at a time.
func (m *Monitor) Begin(ctx context.Context, command string, run func(context.Context) error) error {
	m.small.Lock()
	defer m.small.Unlock()
	if m.result.running {
		return errors.New("Cannot run " + command + " because " + m.result.command + " is still running.")
	}
	m.result = result{command: command, running: true}
	go func() {
		err := run(ctx)
		m.small.Lock()
		defer m.small.Unlock()
		m.result.running, m.result.err = false, err
	}()
	return nil
}

// Result says how the command ended that was begun last. It is an error while it runs, if it
// failed, and if there was none.
func (m *Monitor) Result() (string, error) {
	m.small.Lock()
	defer m.small.Unlock()
	switch r := m.result; {
	case r.command == "":
		return "", errors.New("No manual command results are available.")
	case r.running:
		return "", errors.New("No manual command results are available, " + r.command + " is still running.")
	case r.err != nil:
		return "", r.err
	default:
		return r.command + " completed successfully.", nil
	}
}
