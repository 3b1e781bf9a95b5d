package launch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/confidb/confidb/pkg/lab/enclave"
	"github.com/confidb/confidb/pkg/lab/fuse"
	"github.com/confidb/confidb/pkg/lab/volume"
)

// VolumeError means that a volume is not what it must be, or that it cannot be
// shown to the program, which is not started.
type VolumeError struct {
	Volume, Path string
	Cause        error
}

func (e *VolumeError) Error() string {
	return fmt.Sprintf("[SCONE|FATAL] Could not initialize enclave state: File system protection failed\n  Caused by: Volume '%s' at %s cannot be used\n  Caused by: %v", e.Volume, e.Path, e.Cause)
}

func (e *VolumeError) Unwrap() error { return e.Cause }

// EndedError says how a program has ended that ran in a process of its own.
type EndedError struct {
	// Code is the program's exit code; 128 and the number of a signal that ended it.
	Code int
}

func (e *EndedError) Error() string {
	return fmt.Sprintf("the program ended with exit code %d", e.Code)
}

// streams are those of the program. They are files, which it inherits.
type streams struct {
	in          io.Reader
	out, errOut io.Writer
}

// opened is a volume in use.
type opened struct {
	enclave.Volume
	store *volume.Store
}

// keep shows a program its volumes, waits for its end and tells CAS which state the
// volumes have then. The error tells how the program ended.
func (h Host) keep(ctx context.Context, p *Process, identity enclave.Identity, to streams) error {
	volumes, err := openVolumes(p.Volumes)
	if err == nil {
		err = h.tell(ctx, identity, volumes, func(v opened) (enclave.Use, error) {
			return enclave.Use{Volume: v.Name, Epoch: v.store.Epoch()}, nil
		})
	}
	code := 0
	if err == nil {
		code, err = run(p, volumes, to)
	}
	if err != nil {
		for _, v := range volumes {
			v.store.Close() // CAS does not learn of it
		}
		return err
	}
	if err := h.tell(ctx, identity, volumes, closed); err != nil {
		fmt.Fprintf(to.errOut, "lab runtime: the volumes count as not closed: %v\n", err)
	}
	return &EndedError{Code: code}
}

func closed(v opened) (enclave.Use, error) {
	tag, err := v.store.Close()
	return enclave.Use{Volume: v.Name, Epoch: v.store.Epoch(), Tag: tag}, err
}

// openVolumes verifies them. Of several, all that were opened are returned with an error.
func openVolumes(wanted []enclave.Volume) (all []opened, err error) {
	for _, v := range wanted {
		folder, err := os.OpenRoot(v.Path)
		if err != nil {
			return all, &VolumeError{v.Name, v.Path, err}
		}
		store, err := volume.Open(folder, v.Key, &v.Known, time.Now)
		if err != nil {
			return all, &VolumeError{v.Name, v.Path, err}
		}
		all = append(all, opened{v, store})
	}
	return all, nil
}

// tell lets CAS know of each volume that has a tag. Only a CAS that knows the keys
// is believed to have understood.
func (h Host) tell(ctx context.Context, identity enclave.Identity, volumes []opened, what func(opened) (enclave.Use, error)) error {
	var uses []enclave.Use
	var failed []error
	for _, v := range volumes {
		use, err := what(v)
		switch {
		case err != nil:
			failed = append(failed, &VolumeError{v.Name, v.Path, err})
		case v.Known.Policy == volume.RollbackProtected:
			uses = append(uses, use)
		}
	}
	if len(uses) == 0 {
		return errors.Join(failed...)
	}
	configuration, causes := h.attest(ctx, identity, uses...)
	if configuration == nil {
		causes = slices.Insert(causes, 0, "The state of the volumes cannot be stored in CAS")
		return errors.Join(append(failed, &RefusedError{Host: h.Getenv("SCONE_CAS_ADDR"), ConfigID: h.Getenv("SCONE_CONFIG_ID"), Causes: causes})...)
	}
	for _, use := range uses {
		if !confirmed(configuration, volumes, use) {
			failed = append(failed, errors.New("somebody else than CAS answered: the key or the state of a volume is another one"))
		}
	}
	return errors.Join(failed...)
}

func confirmed(c *enclave.Configuration, volumes []opened, use enclave.Use) bool {
	own := slices.IndexFunc(volumes, func(v opened) bool { return v.Name == use.Volume })
	i := slices.IndexFunc(c.Volumes, func(v enclave.Volume) bool { return v.Name == use.Volume })
	if i < 0 || !bytes.Equal(c.Volumes[i].Key, volumes[own].Key) || c.Volumes[i].Known.Epoch != use.Epoch {
		return false
	}
	return c.Volumes[i].Known.Open == (len(use.Tag) == 0) && (len(use.Tag) == 0 || bytes.Equal(c.Volumes[i].Known.Tag, use.Tag))
}

// job is what the process that mounts is told.
type job struct {
	Process *Process
	Paths   []string
}

// File descriptors of the process that mounts.
const (
	deviceSocket = 3
	jobPipe      = 4
)

// run starts the program in a mount namespace of its own, serves its volumes, and
// returns the program's exit code.
func run(p *Process, volumes []opened, to streams) (code int, err error) {
	child, socket, err := startMounter(p, to)
	if err != nil {
		return 0, fmt.Errorf("starting a process with mounts of its own: %w", err)
	}
	defer socket.Close()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	go func() {
		for s := range signals {
			child.Signal(s) // one that has ended needs none
		}
	}()
	served := make(chan error, len(volumes))
	for _, v := range volumes {
		device, err := fuse.ReceiveDevice(socket)
		if err != nil {
			child.Kill()
			waitFor(child.Pid)
			return 0, &VolumeError{v.Name, v.Path, fmt.Errorf("it was not mounted: %w", err)}
		}
		defer device.Close()
		go func() { served <- fuse.NewServer(v.store, device).Serve() }()
	}
	code, err = waitFor(child.Pid)
	for range volumes { // the mounts end with the last process that sees them
		select {
		case failed := <-served:
			err = errors.Join(err, failed)
		case <-time.After(unmountTimeout):
		}
	}
	return code, err
}

// unmountTimeout bounds the wait for what outlives the program.
const unmountTimeout = 5 * time.Second

// startMounter starts this program again as the command of NewMountCommand, in a
// user and a mount namespace of its own, where it may mount.
func startMounter(p *Process, to streams) (*os.Process, *net.UnixConn, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	theirs := os.NewFile(uintptr(pair[1]), "socket")
	defer theirs.Close()
	ours := os.NewFile(uintptr(pair[0]), "socket")
	defer ours.Close()
	connection, err := net.FileConn(ours)
	if err != nil {
		return nil, nil, err
	}
	socket := connection.(*net.UnixConn) // of AF_UNIX, as made above
	from, into, err := os.Pipe()
	if err != nil {
		return nil, nil, errors.Join(err, socket.Close())
	}
	defer from.Close()
	defer into.Close()
	command := exec.Command("/proc/self/exe", mountCommand)
	command.Args[0] = "confidb-lab"
	command.Stdin, command.Stdout, command.Stderr = to.in, to.out, to.errOut
	command.ExtraFiles = []*os.File{theirs, from}
	command.SysProcAttr = ownMounts()
	if err := command.Start(); err != nil {
		return nil, nil, errors.Join(err, socket.Close())
	}
	alone := *p
	alone.Volumes = nil // it needs no keys
	todo := job{Process: &alone}
	for _, v := range p.Volumes {
		todo.Paths = append(todo.Paths, v.Path)
	}
	from.Close()
	if err := json.NewEncoder(into).Encode(todo); err != nil {
		return nil, nil, errors.Join(err, command.Process.Kill(), socket.Close())
	}
	return command.Process, socket, nil
}

// ownMounts asks for a user namespace with nobody but the user of this process, in
// which that one may mount, and for a mount namespace.
func ownMounts() *syscall.SysProcAttr {
	same := func(id int) []syscall.SysProcIDMap {
		return []syscall.SysProcIDMap{{ContainerID: id, HostID: id, Size: 1}}
	}
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: same(os.Getuid()), GidMappings: same(os.Getgid()),
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN},
	}
}

// waitFor waits for one child, and for all others that end meanwhile: the first
// process of a container is given those of whoever ended before them.
func waitFor(pid int) (code int, err error) {
	for {
		var status syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0, fmt.Errorf("waiting for the program: %w", err)
		case ended == pid && status.Signaled():
			return 128 + int(status.Signal()), nil
		case ended == pid && status.Exited():
			return status.ExitStatus(), nil
		}
	}
}

const mountCommand = "mount-and-become"

// NewMountCommand returns the command by which "run" starts itself again: it
// mounts, and becomes the program. What it needs comes through open files.
func NewMountCommand() *cobra.Command {
	return &cobra.Command{
		Use:    mountCommand,
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			todo, err := receiveJob()
			if err != nil {
				return fmt.Errorf("this command is for the command run: %w", err)
			}
			if err := mountAll(todo.Paths); err != nil {
				return err
			}
			runtime.LockOSThread() // rights belong to a thread
			if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
				return err
			}
			return become(todo.Process)
		},
	}
}

func receiveJob() (todo job, err error) {
	pipe := os.NewFile(jobPipe, "pipe")
	defer pipe.Close()
	text, err := io.ReadAll(pipe)
	if err != nil {
		return todo, err
	}
	if err := json.Unmarshal(text, &todo); err != nil {
		return todo, err
	}
	if todo.Process == nil {
		return todo, errors.New("no program is named")
	}
	return todo, nil
}

func mountAll(paths []string) error {
	file := os.NewFile(deviceSocket, "socket")
	connection, err := net.FileConn(file)
	if err != nil {
		return err
	}
	defer connection.Close()
	defer file.Close()
	socket, ok := connection.(*net.UnixConn)
	if !ok {
		return errors.New("file 3 is no socket")
	}
	for _, path := range paths {
		device, err := fuse.Mount(path)
		if err != nil {
			return err
		}
		if err := errors.Join(fuse.SendDevice(socket, device), device.Close()); err != nil {
			return err
		}
		// Until it is asked, the kernel takes a user for the owner who is not in this
		// namespace, and refuses all changes.
		if _, err := os.Stat(path); err != nil {
			return err
		}
	}
	return nil
}
