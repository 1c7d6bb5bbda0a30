package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tcid/api/client"
)

const (
	ownDaemonPoll = 20 * time.Millisecond
	// ownDaemonStop bounds the wait for its end, which takes it some seconds at
	// most; see the daemon's own bound.
	ownDaemonStop = 70 * time.Second
)

// ownDaemon is a daemon that a command has started for itself. Its standard
// input is a pipe from this process: it ends when that does, however that ends.
type ownDaemon struct {
	cmd    *exec.Cmd
	state  string
	alive  io.Closer     // the pipe's end of this process
	ready  chan struct{} // closed when it takes work
	exited chan struct{} // closed when it has ended
	err    error         // how; to be read after that
}

func startOwnDaemon(dataDir string) (*ownDaemon, error) {
	// Below /run, since sandboxes must be able to reach it.
	state, err := os.MkdirTemp("/run", "tcid-mcp-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for a daemon of its own: %w", err)
	}
	d := &ownDaemon{state: state, ready: make(chan struct{}), exited: make(chan struct{})}
	if err := d.start(dataDir); err != nil {
		_ = os.Remove(state)
		return nil, fmt.Errorf("start a daemon of its own: %w", err)
	}
	return d, nil
}

func (d *ownDaemon) start(dataDir string) error {
	if err := os.Chmod(d.state, 0o711); err != nil {
		return err
	}
	args := []string{"serve", "--ephemeral", "--until-stdin-ends", "--state-dir", d.state, "--socket", d.socket(), "--log-level", "warn"}
	if dataDir != "" {
		args = append(args, "--data-dir", dataDir)
	}
	d.cmd = exec.Command("/proc/self/exe", args...)
	d.cmd.Args[0] = os.Args[0]
	d.cmd.Env = ownEnviron()
	d.cmd.Stderr = os.Stderr
	// Ctrl-C in a terminal is for this process, which ends the daemon when it has
	// closed its sessions.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := d.cmd.StdinPipe()
	if err != nil {
		return err
	}
	d.alive = pipe
	if err := d.cmd.Start(); err != nil {
		return err
	}
	go func() {
		d.err = d.cmd.Wait()
		close(d.exited)
	}()
	go d.awaitReady()
	return nil
}

// ownEnviron leaves out what names another daemon's things.
func ownEnviron() []string {
	var env []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		switch name {
		case "TCID_SOCKET", "TCID_LISTEN", "TCID_KEY_FILE", "TCID_TLS_CERT", "TCID_TLS_KEY", "TCID_STATE_DIR", "TCID_LOG_LEVEL":
		default:
			env = append(env, entry)
		}
	}
	return env
}

func (d *ownDaemon) socket() string { return filepath.Join(d.state, "tcid.sock") }

func (d *ownDaemon) awaitReady() {
	c := client.New(client.Options{Socket: d.socket()})
	defer c.Close()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := c.Ready(ctx)
		cancel()
		if err == nil {
			close(d.ready)
			return
		}
		select {
		case <-d.exited:
			return
		case <-time.After(ownDaemonPoll):
		}
	}
}

// failure says that the daemon has ended, before its time.
func (d *ownDaemon) failure() error {
	return fmt.Errorf("the daemon that was started for this connection has ended (%v); standard error tells why, \"tcid doctor\" what the host lacks", d.cmd.ProcessState)
}

// end stops the daemon and waits until nothing of it is left.
func (d *ownDaemon) end() error {
	_ = d.alive.Close()
	defer os.Remove(d.state) // a daemon that did not start leaves it
	select {
	case <-d.exited:
		if d.err != nil {
			return fmt.Errorf("the daemon of its own: %w", d.err)
		}
		return nil
	case <-time.After(ownDaemonStop):
		_ = d.cmd.Process.Kill()
		<-d.exited
		return errors.New("the daemon of its own did not end and was killed; the next start of a daemon sweeps up")
	}
}
