package fuse

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Mount makes the folder path a file system that is served to the device which it
// returns. It must be called with the rights to mount in the mount namespace.
func Mount(path string) (*os.File, error) {
	device, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d", device.Fd(), os.Getuid(), os.Getgid())
	if err := unix.Mount("confidb-volume", path, "fuse.confidb", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOATIME, options); err != nil {
		return nil, errors.Join(fmt.Errorf("mounting on %s: %w", path, err), device.Close())
	}
	return device, nil
}

// SendDevice gives a device to the process at the other end of a socket.
func SendDevice(socket *net.UnixConn, device *os.File) error {
	_, _, err := socket.WriteMsgUnix([]byte{0}, unix.UnixRights(int(device.Fd())), nil)
	runtime.KeepAlive(device)
	return err
}

// ReceiveDevice takes what SendDevice gave.
func ReceiveDevice(socket *net.UnixConn) (*os.File, error) {
	data, extra := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := socket.ReadMsgUnix(data, extra)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(extra[:n])
	if err != nil {
		return nil, err
	}
	for i := range messages {
		all, err := unix.ParseUnixRights(&messages[i])
		if err == nil && len(all) == 1 {
			syscall.CloseOnExec(all[0])
			return os.NewFile(uintptr(all[0]), "/dev/fuse"), nil
		}
	}
	return nil, errors.New("no file was sent")
}
