// Package e2e runs the built program as a user would: daemons of their own,
// real containers, and the public API.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tcid/api/client"
	daemonpkg "tcid/daemon"
	"tcid/test/contract"
	"tcid/test/leak"
	"tcid/test/repo"
)

const (
	readyTimeout = 60 * time.Second
	stopTimeout  = 60 * time.Second
	callTimeout  = 3 * time.Minute
)

// program is the binary that make build made.
var program = repo.Path("bin", "tcid")

// dataDir holds the image that all tests use.
var dataDir string

func TestMain(m *testing.M) {
	code, err := setUp(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func setUp(m *testing.M) (int, error) {
	if os.Geteuid() != 0 {
		return 1, errors.New("these tests start containers: run them as root")
	}
	if _, err := os.Stat(program); err != nil {
		return 1, fmt.Errorf("there is no %s: run make build first", program)
	}
	var err error
	if dataDir, err = os.MkdirTemp("/var/tmp", "tcid-e2e-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(dataDir)
	out, err := exec.Command(program, "image", "build", "--data-dir", dataDir).CombinedOutput()
	if err != nil {
		return 1, fmt.Errorf("build the image: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// daemon is a running daemon of the test's own.
type daemon struct {
	t     *testing.T
	cmd   *exec.Cmd
	state string
	log   *syncBuffer
	*client.Client
	contract *contract.Validator
	exited   chan struct{}
	ended    bool
}

// start runs a daemon until the test ends, and checks that it leaves nothing.
func start(t *testing.T, args ...string) *daemon {
	t.Helper()
	d := startIn(t, stateDir(t), args...)
	t.Cleanup(d.stop)
	return d
}

// stateDir makes the directory of a daemon that leaves nothing.
func stateDir(t *testing.T) string {
	t.Helper()
	state, err := os.MkdirTemp("/run", "tcid-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	leak.Check(t, marks(state)...)
	if err := os.Chmod(state, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(state); err != nil {
			t.Error(err)
		}
	})
	return state
}

// marks are what a daemon's things have in their names.
func marks(state string) []string {
	return []string{state, daemonpkg.Config{StateDir: state}.CgroupPath()}
}

// startIn runs a daemon with the given state directory and waits until it is
// ready.
func startIn(t *testing.T, state string, args ...string) *daemon {
	t.Helper()
	all := append([]string{"serve", "--ephemeral", "--state-dir", state, "--data-dir", dataDir}, args...)
	return startCommand(t, state, exec.Command(program, all...))
}

// startCommand is startIn for any command that is a daemon with that directory.
func startCommand(t *testing.T, state string, cmd *exec.Cmd) *daemon {
	t.Helper()
	d := &daemon{t: t, state: state, log: &syncBuffer{}, exited: make(chan struct{}), cmd: cmd}
	d.cmd.Stderr = d.log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = d.cmd.Wait()
		close(d.exited)
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", d.log)
		}
	})
	d.contract = contract.New(t)
	d.Client = client.New(client.Options{
		Socket: filepath.Join(state, "tcid.sock"), Wrap: d.contract.RoundTripper,
		Retries: -1, // tests want to see the refusals
	})
	deadline := time.Now().Add(readyTimeout)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := d.Ready(ctx)
		cancel()
		if err == nil {
			return d
		}
		select {
		case <-d.exited:
			t.Fatalf("the daemon ended at its start:\n%s", d.log)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			_ = d.cmd.Process.Kill()
			t.Fatalf("the daemon is not ready: %v\n%s", err, d.log)
		}
	}
}

// kill ends the daemon as a crash would.
func (d *daemon) kill() {
	d.t.Helper()
	d.ended = true
	if err := d.cmd.Process.Kill(); err != nil {
		d.t.Fatal(err)
	}
	<-d.exited
}

// stop ends the daemon as systemd would, and waits for its end. A daemon that
// the test has ended already stays as it is.
func (d *daemon) stop() {
	d.t.Helper()
	if d.ended {
		return
	}
	d.ended = true
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
		if code := d.cmd.ProcessState.ExitCode(); code != 0 {
			d.t.Errorf("the daemon ended with exit code %d", code)
		}
	case <-time.After(stopTimeout):
		_ = d.cmd.Process.Kill()
		<-d.exited
		d.t.Errorf("the daemon did not stop within %v", stopTimeout)
	}
}

// descriptors returns what the daemon has open.
func (d *daemon) descriptors() []string {
	d.t.Helper()
	open, err := leak.Descriptors(d.cmd.Process.Pid)
	if err != nil {
		d.t.Fatal(err)
	}
	return open
}

// residentKiB reads a process's resident size.
func residentKiB(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kib int
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			return kib
		}
	}
	t.Fatalf("process %d has no resident size", pid)
	return 0
}

// times is how often a test repeats itself: few times, or with TCID_TEST_ALL (make
// test-long) all.
func times(few, all int) int {
	if os.Getenv("TCID_TEST_ALL") != "" {
		return all
	}
	return few
}

// callContext bounds one call of a test.
func callContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	t.Cleanup(cancel)
	return ctx
}

// syncBuffer is a bytes.Buffer for two goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
