package kernel

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// pythons are the interpreters to test with: TCID_TEST_PYTHONS (a list as PATH
// is), else those of pyenv and the one on the PATH.
func pythons(t testing.TB) []string {
	t.Helper()
	list := filepath.SplitList(os.Getenv("TCID_TEST_PYTHONS"))
	if len(list) == 0 {
		home, _ := os.UserHomeDir()
		for _, pattern := range []string{"3.9.*", "3.1?.*"} {
			found, err := filepath.Glob(filepath.Join(home, ".pyenv/versions", pattern, "bin/python3"))
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, found...)
		}
	}
	if len(list) == 0 {
		path, err := exec.LookPath("python3")
		if err != nil {
			t.Fatal("no Python found: set TCID_TEST_PYTHONS to the paths of interpreters from 3.9 on")
		}
		list = append(list, path)
	}
	sort.Strings(list)
	return list
}

// eachPython runs a test with every interpreter. The kernels have nothing in
// common, and often wait.
func eachPython(t *testing.T, f func(t *testing.T, python string)) {
	for _, python := range pythons(t) {
		t.Run(pythonName(python), func(t *testing.T) {
			t.Parallel()
			f(t, python)
		})
	}
}

// pythonName is the folder that an interpreter is installed in.
func pythonName(python string) string {
	return filepath.Base(filepath.Dir(filepath.Dir(python)))
}

// onePython is the interpreter for tests that do not depend on its version.
func onePython(t testing.TB) string {
	list := pythons(t)
	return list[len(list)/2]
}

var source = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tcid-kernel-test-")
	if err != nil {
		return "", err
	}
	return dir, WriteTo(dir)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := source(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// running is a kernel's process.
type running struct {
	t      testing.TB
	cmd    *exec.Cmd
	socket string
	dir    string // its workspace
	exited chan struct{}
	stderr bytes.Buffer
}

func startKernel(t testing.TB, python string) *running {
	t.Helper()
	return startKernelWith(t, python, func(*exec.Cmd) {})
}

func startKernelWith(t testing.TB, python string, change func(*exec.Cmd)) *running {
	t.Helper()
	src, err := source()
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, dir: t.TempDir(), exited: make(chan struct{})}
	socketDir, err := os.MkdirTemp("", "tcid-sock-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(socketDir) })
	r.socket = filepath.Join(socketDir, "k")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: r.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	r.cmd = exec.Command(python, "-X", "utf8", "-s", filepath.Join(src, "__main__.py"), "--listen-fd", "3")
	r.cmd.Dir = r.dir
	r.cmd.ExtraFiles = []*os.File{file}
	r.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + r.dir, "LC_ALL=C.UTF-8",
		"IPYTHONDIR=" + filepath.Join(socketDir, "ipython"), "MPLCONFIGDIR=" + filepath.Join(socketDir, "matplotlib")}
	r.cmd.Stderr = &r.stderr
	r.cmd.WaitDelay = time.Second
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	change(r.cmd)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	go func() { _ = r.cmd.Wait(); close(r.exited) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
		<-r.exited
		if t.Failed() && r.stderr.Len() > 0 {
			t.Logf("the kernel's stderr: %s", r.stderr.String())
		}
	})
	return r
}

func (r *running) dial() net.Conn {
	r.t.Helper()
	nc, err := net.Dial("unix", r.socket)
	if err != nil {
		r.t.Fatal(err)
	}
	return nc
}

func (r *running) connect(state State) *Conn {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := Resume(ctx, r.dial(), state)
	if err != nil {
		r.t.Fatalf("connect: %v", err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (r *running) interrupt() {
	r.t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		r.t.Fatal(err)
	}
}

// session is a kernel with a connection.
type session struct {
	*running
	*Conn
}

func start(t testing.TB, python string) *session {
	t.Helper()
	r := startKernel(t, python)
	return &session{r, r.connect(State{})}
}

const testTimeout = 30 * time.Second

// run executes a cell; it must get an outcome.
func (s *session) run(r ExecuteRequest) ([]Event, Outcome) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	var events []Event
	outcome, err := s.Execute(ctx, r, func(e Event) { events = append(events, e) })
	if err != nil {
		s.t.Fatalf("execute %.200q: %v", r.Code, err)
	}
	return events, outcome
}

// cell runs code and returns its events as lines, for comparison.
func (s *session) cell(code string) (string, Outcome) {
	s.t.Helper()
	events, outcome := s.run(ExecuteRequest{Code: code})
	return transcript(events), outcome
}

// want runs code and compares its events.
func (s *session) want(code, want string) Outcome {
	s.t.Helper()
	got, outcome := s.cell(code)
	if got != want {
		s.t.Errorf("code:\n%s\ngot:\n%.2000s\nwant:\n%s", code, got, want)
	}
	return outcome
}

// transcript is one line for each event; adjacent output of a stream is merged.
func transcript(events []Event) string {
	var lines []string
	last := ""
	for _, e := range events {
		switch e.Type {
		case TypeStdout, TypeStderr:
			if e.Type == last {
				lines[len(lines)-1] += e.Text
			} else {
				lines = append(lines, map[string]string{TypeStdout: "out:", TypeStderr: "err:"}[e.Type]+e.Text)
			}
		case TypeError:
			lines = append(lines, fmt.Sprintf("%s: %s", e.Name, e.Value))
		case TypeClearOutput:
			lines = append(lines, e.Type+" "+map[bool]string{true: "wait"}[e.Wait])
		default:
			keys := make([]string, 0, len(e.Data))
			for k, v := range e.Data {
				if raw, ok := v.(fmt.Stringer); ok {
					v = raw
				}
				keys = append(keys, fmt.Sprintf("%s=%s", k, v))
			}
			sort.Strings(keys)
			id := ""
			if e.DisplayID != "" {
				id = "#" + e.DisplayID
			}
			lines = append(lines, e.Type+id+" "+strings.Join(keys, " "))
		}
		last = e.Type
	}
	return strings.Join(lines, "|")
}

func repr(o Outcome) string {
	if o.Repr == nil {
		return "-"
	}
	return *o.Repr
}
