package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"tcid/api/client"
	v1 "tcid/api/v1"
	daemonpkg "tcid/daemon"
)

const (
	readyTimeout = 2 * time.Minute // the first start may prepare images
	stopTimeout  = 3 * time.Minute // with a thousand sessions
)

// daemon is a tcid of our own. Each row has a new one, so that none pays for
// what another left in it.
type daemon struct {
	cmd    *exec.Cmd
	socket string
	cgroup string // relative to a hierarchy
	about  Daemon
	log    string
	exited chan struct{}
	ended  bool
}

func (b *bench) startDaemon(ctx context.Context) (*daemon, error) {
	// Below /run, since sandboxes must be able to reach it.
	state, err := os.MkdirTemp("/run", b.mark+"-")
	if err != nil {
		return nil, err
	}
	b.later(func() error { return os.RemoveAll(state) })
	if err := os.Chmod(state, 0o711); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(b.tmp, filepath.Base(state)+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	d := &daemon{
		socket: filepath.Join(state, "tcid.sock"), cgroup: daemonpkg.Config{StateDir: state}.CgroupPath(),
		log: log.Name(), exited: make(chan struct{}),
	}
	b.marks = append(b.marks, state, d.cgroup)
	d.cmd = exec.Command(b.program, "serve", "--ephemeral", "--state-dir", state, "--data-dir", b.data, "--log-level", "warn")
	d.cmd.Stderr = log
	// A terminal's Ctrl-C goes to the whole group; the daemon is ended by us,
	// in its turn.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = d.cmd.Wait()
		close(d.exited)
	}()
	b.later(d.stop)
	if err := d.ready(ctx); err != nil {
		return nil, d.explain(err)
	}
	return d, nil
}

func (d *daemon) ready(ctx context.Context) error {
	c := d.client()
	defer c.Close()
	for deadline := time.Now().Add(readyTimeout); ; time.Sleep(20 * time.Millisecond) {
		_, err := c.Ready(ctx)
		if err == nil {
			break
		}
		select {
		case <-d.exited:
			return errors.New("the daemon ended at its start")
		case <-ctx.Done():
			return context.Cause(ctx)
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the daemon is not ready: %w", err)
		}
	}
	v, err := c.Version(ctx)
	if err != nil {
		return err
	}
	d.about = Daemon{
		Version: v.Version, Features: v.Features, Start: v.Isolation.Start, Namespaces: v.Isolation.Namespaces,
		Seccomp: v.Isolation.Seccomp, Limits: v.Isolation.Limits,
	}
	return nil
}

// client is a new client with connections of its own.
func (d *daemon) client() *client.Client {
	return client.New(client.Options{Socket: d.socket, Retries: -1})
}

// stop ends the daemon as systemd would. A second call does nothing.
func (d *daemon) stop() error {
	if d.ended {
		return nil
	}
	d.ended = true
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(stopTimeout):
		_ = d.cmd.Process.Kill()
		<-d.exited
		return d.explain(fmt.Errorf("the daemon did not stop within %v", stopTimeout))
	}
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		return d.explain(fmt.Errorf("the daemon ended with exit code %d", code))
	}
	return nil
}

// explain adds the end of the daemon's log to an error.
func (d *daemon) explain(err error) error {
	const most = 4 << 10
	text, readErr := os.ReadFile(d.log)
	if readErr != nil || len(text) == 0 {
		return err
	}
	return fmt.Errorf("%w; the daemon said:\n%s", err, text[max(0, len(text)-most):])
}

// kinds are the ways of starting sessions that are measured: the default, and
// "fresh" where that is another one.
func (d *daemon) kinds() []string {
	if d.about.Start == "fresh" || d.about.Start == "" {
		return []string{""}
	}
	return []string{"", "fresh"}
}

// nameOf names the contender with sessions of a kind.
func (d *daemon) nameOf(kind string) string {
	if kind == "" {
		kind = d.about.Start
	}
	return ourName + " (" + kind + ")"
}

// isolation says what is around a session, in the words of the daemon.
func (d *daemon) isolation() string {
	return fmt.Sprintf("container: %d namespaces, seccomp, no capabilities, cgroup limits, read-only root", len(d.about.Namespaces))
}

// wantOK turns an execution that did not end well, or gave something else, into
// an error: what is fast and wrong is not fast.
func wantOK(e v1.Execution, err error, stdout, result string) error {
	switch {
	case err != nil:
		return err
	case e.Status != v1.StatusOK:
		return fmt.Errorf("the execution ended as %s: %s%v", e.Status, e.Stderr, e.Error)
	case stdout != "" && e.Stdout != stdout:
		return fmt.Errorf("the execution wrote %q instead of %q", e.Stdout, stdout)
	case result != "" && string(e.Result) != result:
		return fmt.Errorf("the execution's result is %s instead of %s", e.Result, result)
	}
	return nil
}
