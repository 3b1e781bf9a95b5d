// Command mariadb-defaults makes the file of defaults of a MariaDB version, against which a
// server of that version is judged: it initialises a server with no options
// but where it may write, asks it what it is, and prints that.
//
//	go run ./test/mariadb-defaults >pkg/baseline/defaults/10.11.tsv
//
// It takes mariadb-install-db and mariadbd from PATH. As root it runs them as mysql.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/confidb/confidb/internal/loopback"
	"github.com/confidb/confidb/pkg/mariadb/ask"
	"github.com/confidb/confidb/pkg/mysql"
)

func main() {
	text, err := tabulate()
	if err == nil {
		_, err = os.Stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

func tabulate() (text []byte, err error) {
	directory, err := os.MkdirTemp("", "mariadb-defaults")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	owner, err := giveAway(directory)
	if err != nil {
		return nil, err
	}
	data := "--datadir=" + filepath.Join(directory, "data")
	install := exec.Command("mariadb-install-db", "--no-defaults", data, "--auth-root-authentication-method=normal", "--skip-test-db")
	install.SysProcAttr, install.Dir = owner, directory
	if output, err := install.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initialising: %w: %s", err, output)
	}
	port, err := loopback.Hold()
	if err != nil {
		return nil, err
	}
	defer port.Release()
	var log bytes.Buffer
	server := exec.Command("mariadbd", "--no-defaults", data, "--socket="+filepath.Join(directory, "s"), "--bind-address=127.0.0.1", "--port="+strconv.Itoa(port.Number))
	server.SysProcAttr, server.Dir, server.Stdout, server.Stderr = owner, directory, &log, &log
	if err := server.Start(); err != nil {
		return nil, err
	}
	defer func() {
		server.Process.Kill()
		server.Wait() // says only that it was killed
	}()
	conn, err := connect(port.Address())
	if err != nil {
		return nil, fmt.Errorf("%w; its log: %s", err, &log)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	made, err := ask.Tabulate(ctx, conn)
	if err != nil {
		return nil, err
	}
	return made.Text(), nil
}

// connect logs in as root, which has no password here.
func connect(address string) (*mysql.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		conn, attempt := mysql.Connect(ctx, mysql.Login{Address: address, Account: "root"})
		if conn != nil || attempt.Stage != mysql.Reaching || ctx.Err() != nil {
			return conn, attempt.Err
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// giveAway makes a directory mysql's if we are root, as mariadbd refuses to run as root.
func giveAway(directory string) (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return &syscall.SysProcAttr{}, nil
	}
	owner, err := user.Lookup("mysql")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(owner.Gid)
	if err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, os.Chown(directory, uid, gid)
}
