//go:build long

// Package soak makes, uses and ends many sessions, and wants nothing to be left
// of them. It takes minutes: make test-long.
package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tcid/api/client"
	v1 "tcid/api/v1"
	daemonpkg "tcid/daemon"
	"tcid/test/leak"
	"tcid/test/repo"
)

const (
	sessions = 2000
	atOnce   = 8
	early    = 500 // sessions after which memory is looked at first
	// growth is what the daemon may grow by from the early look to the last, in
	// KiB: results and events of finished executions are remembered, within a
	// bound, and so are ended sessions and the keys of requests. It is some 4 KiB
	// for a session, and as much again until the garbage is collected.
	growth = 16 << 10
)

func TestSessionsLeaveNothing(t *testing.T) {
	program := repo.Path("bin", "tcid")
	data, err := os.MkdirTemp("/var/tmp", "tcid-soak-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(data)
	state, err := os.MkdirTemp("/run", "tcid-soak-")
	if err != nil {
		t.Fatal(err)
	}
	leak.Check(t, state, daemonpkg.Config{StateDir: state}.CgroupPath())
	if err := os.Chmod(state, 0o711); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", "--ephemeral", "--state-dir", state, "--data-dir", data, "--log-level", "error")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(state); err != nil {
			t.Error(err)
		}
	})
	c := client.New(client.Options{Socket: filepath.Join(state, "tcid.sock"), Retries: -1})
	ready := time.Now().Add(time.Minute)
	for _, err = c.Ready(t.Context()); err != nil; _, err = c.Ready(t.Context()) {
		if time.Now().After(ready) {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	use(t, c, 50) // pools, caches and tables take their size
	before := descriptors(t, cmd.Process.Pid)

	begin := time.Now()
	use(t, c, early)
	first := resident(t, cmd.Process.Pid)
	use(t, c, sessions-early)
	last := resident(t, cmd.Process.Pid)
	t.Logf("%d sessions in %v; the daemon is %d KiB resident after %d, %d KiB after %d",
		sessions, time.Since(begin).Round(time.Second), first, early, last, sessions)
	if last > first+growth {
		t.Errorf("the daemon grew from %d to %d KiB", first, last)
	}
	c.Close()
	time.Sleep(time.Second)
	// What is kept ready for the next session may be more or less than before.
	if after := descriptors(t, cmd.Process.Pid); after > before+2+daemonpkg.DefaultPool()*descriptorsOfOne {
		t.Errorf("the daemon had %d descriptors open, and has %d", before, after)
	}
}

// descriptorsOfOne are what the daemon has open for a sandbox.
const descriptorsOfOne = 8

// use makes n sessions, some at once, and ends each in one of several ways.
func use(t *testing.T, c *client.Client, n int) {
	t.Helper()
	var next atomic.Int64
	var group sync.WaitGroup
	for range atOnce {
		group.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := one(t.Context(), c, i%10 == 0); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}

// one uses a session. killed closes it in the middle of an execution.
func one(ctx context.Context, c *client.Client, killed bool) error {
	s, err := c.CreateSession(ctx, v1.SessionSpec{Resources: &v1.Resources{MemoryMB: 128}})
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	e, err := c.Execute(ctx, s.ID, v1.ExecSpec{Code: "import subprocess\nopen('f', 'w').write('x' * 10000)\nprint('y' * 1000)\nsubprocess.run(['true']).returncode"})
	if err != nil || e.Status != v1.StatusOK || string(e.Result) != "0" {
		return fmt.Errorf("execute: %s %v", e.Status, err)
	}
	if killed {
		ended := make(chan v1.Execution, 1)
		go func() {
			e, _ := c.Execute(ctx, s.ID, v1.ExecSpec{Code: "import os, time\nfor _ in range(3): os.fork()\nwhile True: time.sleep(0.01)"})
			ended <- e
		}()
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
		defer func() { <-ended }()
	}
	return c.CloseSession(ctx, s.ID)
}

func resident(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.Fields(value)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kib
		}
	}
	t.Fatal("the daemon has no resident size")
	return 0
}

func descriptors(t *testing.T, pid int) int {
	t.Helper()
	open, err := leak.Descriptors(pid)
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}
