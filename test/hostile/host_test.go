package hostile

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	v1 "tcid/api/v1"
)

// greedy takes as much as it gets of what Linux counts per user: descriptors of
// every kind, watches, queued signals, pipe memory, processes; and holds it.
const greedy = `
import fcntl, os, select, signal, socket, time
from attack import *

held = []

def take(make):
    for n in range(5000):
        try:
            held.append(make())
        except OSError:
            return n
    return n

signal.pthread_sigmask(signal.SIG_BLOCK, range(34, 65))
for n in range(3000):
    try:
        os.kill(os.getpid(), 34 + n % 30)
    except OSError:
        break
for _ in range(60):
    try:
        if os.fork() == 0:
            for _ in range(3000):
                try:
                    os.kill(os.getpid(), 34)
                except OSError:
                    break
            time.sleep(30)
            os._exit(0)
    except OSError:
        break

def pipe():
    r, w = os.pipe()
    held.append(os.fdopen(r, "rb", 0))
    try:
        fcntl.fcntl(w, 1031, 1 << 20)
    except OSError:
        pass
    return os.fdopen(w, "wb", 0)

poll = select.epoll()
taken = [take(pipe), take(socket.socket), syscall(NR["inotify_init"]), syscall(NR["keyctl"], 0, -3, 1)]
print("took", taken, flush=True)
time.sleep(6)
`

// While sessions take what they can, the host's root can do what it always can.
func TestHostKeepsItsOwn(t *testing.T) {
	d := start(t, product, nil)
	attack, err := files.ReadFile("attack.py")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	for range cap(ended) {
		s, err := d.CreateSession(t.Context(), v1.SessionSpec{Files: []v1.InlineFile{{Name: "attack.py", Encoding: "string", Content: string(attack)}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.close(t, s.ID) })
		go func() {
			timeout := 10.0
			e, err := d.Execute(t.Context(), s.ID, v1.ExecSpec{Code: greedy, Timeout: &timeout})
			if err == nil && e.Stdout == "" {
				err = fmt.Errorf("it took nothing: %s %s", e.Status, e.Stderr)
			}
			ended <- err
		}()
	}
	time.Sleep(2 * time.Second) // they have it by now
	for name, use := range map[string]func() error{
		"inotify": useInotify, "timers": useTimers, "signals": useSignals, "keys": useKeys, "processes": useProcesses, "pipes": usePipes,
	} {
		if err := use(); err != nil {
			t.Errorf("the host's root has no %s left: %v", name, err)
		}
	}
	for range cap(ended) {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func useInotify() error {
	for range 20 {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if _, err := unix.InotifyAddWatch(fd, "/tmp", unix.IN_CREATE); err != nil {
			return err
		}
	}
	return nil
}

func useTimers() error {
	for range 50 {
		fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
	}
	return nil
}

// useSignals waits for a signal that it sends itself.
func useSignals() error {
	got := make(chan os.Signal, 1)
	signal.Notify(got, unix.SIGUSR2)
	defer signal.Stop(got)
	if err := unix.Kill(os.Getpid(), unix.SIGUSR2); err != nil {
		return err
	}
	select {
	case <-got:
		return nil
	case <-time.After(5 * time.Second):
		return errors.New("a signal did not come")
	}
}

func useKeys() error {
	id, err := unix.AddKey("user", "tcid-test", []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING)
	if err != nil {
		return err
	}
	_, err = unix.KeyctlInt(unix.KEYCTL_REVOKE, id, 0, 0, 0)
	return err
}

func useProcesses() error {
	var all []*exec.Cmd
	defer func() {
		for _, c := range all {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	}()
	for range 50 {
		c := exec.Command("sleep", "30")
		if err := c.Start(); err != nil {
			return err
		}
		all = append(all, c)
	}
	return nil
}

func usePipes() error {
	for range 50 {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		defer r.Close()
		defer w.Close()
		if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 1<<20); err != nil {
			return err
		}
	}
	return nil
}
