package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tcid/api/client"
	v1 "tcid/api/v1"
)

// command is the program with arguments, against the daemon.
func (d *daemon) command(args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "TCID_SOCKET="+filepath.Join(d.state, "tcid.sock"), "TCID_URL=")
	return cmd
}

// cli runs the program to its end.
func (d *daemon) cli(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs strings.Builder
	cmd := d.command(args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// sessions counts the daemon's.
func (d *daemon) sessions() int {
	d.t.Helper()
	all, err := d.AllSessions(callContext(d.t), client.ListOptions{})
	if err != nil {
		d.t.Fatal(err)
	}
	return len(all)
}

// Output comes while the code runs, to a pipe as well.
func TestRunStreams(t *testing.T) {
	d := start(t)
	cmd := d.command("run", "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(in, "import time\nprint('first')\ntime.sleep(3)\n'last'")
	in.Close()
	began := time.Now()
	first := make([]byte, len("first\n"))
	if _, err := io.ReadFull(out, first); err != nil || string(first) != "first\n" {
		t.Fatalf("got %q, %v", first, err)
	}
	between := time.Now()
	rest, err := io.ReadAll(out)
	if err != nil || string(rest) != "'last'\n" {
		t.Errorf("got %q, %v", rest, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if early, late := between.Sub(began), time.Since(between); late < 2*time.Second {
		t.Errorf("the first line came after %v, the end %v later", early, late)
	}
}

func TestRunShows(t *testing.T) {
	t.Parallel() // with the others that wait
	d := start(t)
	dir := t.TempDir()
	code := `
import sys
class Picture:
    def __repr__(self): return '<picture>'
    def _repr_png_(self): return b'\x89PNG'
    def _repr_html_(self): return '<b>'
print('out'); print('err', file=sys.stderr)
handle = display('one', display_id=True)
handle.update('two')
display(Picture())
print(sys.stdin.buffer.read())
{'a': 1}`
	out, errs, exit := d.cli(t, "\xff\x00", "run", "--code", code, "--stdin", "-", "--output-dir", dir)
	want := "out\n'one'\n'two'\n<picture>\nb'\\xff\\x00'\n{'a': 1}\n"
	png, html := filepath.Join(dir, "output-001.png"), filepath.Join(dir, "output-001.html")
	if diff := cmp.Diff([]any{want, "err\ntcid: image/png is in " + png + "\ntcid: text/html is in " + html + "\n", 0}, []any{out, errs, exit}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err := os.ReadFile(png); err != nil || string(got) != "\x89PNG" {
		t.Errorf("the picture is %q, %v", got, err)
	}
	if got, err := os.ReadFile(html); err != nil || string(got) != "<b>" {
		t.Errorf("the page is %q, %v", got, err)
	}
	// Nobody reads on: a quiet end, and the code's as well.
	began := time.Now()
	script := "set -o pipefail; " + program + ` run --code 'while True: print("y" * 100)' | head -c 5`
	pipe := exec.Command("bash", "-c", script)
	pipe.Env = d.command().Env
	text, err := pipe.CombinedOutput()
	if string(text) != "yyyyy" || pipe.ProcessState.ExitCode() != 128+int(syscall.SIGPIPE) || time.Since(began) > 30*time.Second {
		t.Errorf("into head: %q, %v, after %v", text, err, time.Since(began))
	}
	for deadline := time.Now().Add(showTimeout); d.sessions() != 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the code runs on")
		}
	}
}

// Ctrl-C on a terminal: of one execution it leaves the session's variables.
func TestCtrlC(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{})
	const code = "kept = 1\nimport time\nprint('be' + 'gun', flush=True)\ntime.sleep(100)"
	x := d.onTerminal(t, t.TempDir(), "session", "exec", s.ID, "--code", code)
	x.expect("begun\r\n")
	x.press(ctrlC)
	x.expect("KeyboardInterrupt")
	x.expect("tcid: interrupted")
	x.exit(130)
	if e := d.run(t, s.ID, "kept"); string(e.Result) != "1" || e.StateLost {
		t.Errorf("afterwards there is %s", e.Result)
	}
	// A kernel takes two interrupts within 0.1 s for one.
	time.Sleep(200 * time.Millisecond)
	// One that catches it goes on, and its end is what counts.
	x = d.onTerminal(t, t.TempDir(), "session", "exec", s.ID, "--code",
		"import time\ntry:\n    print('be' + 'gun', flush=True); time.sleep(100)\nexcept KeyboardInterrupt:\n    print('caught')")
	x.expect("begun\r\n")
	x.press(ctrlC)
	x.expect("caught\r\n")
	x.exit(0)
	time.Sleep(200 * time.Millisecond)
	// A second one leaves, whatever the code does; it is cancelled soon after.
	x = d.onTerminal(t, t.TempDir(), "session", "exec", s.ID, "--code",
		"import time\nprint('be' + 'gun', flush=True)\nwhile True:\n    try: time.sleep(100)\n    except KeyboardInterrupt: print('never mind', flush=True)")
	x.expect("begun\r\n")
	x.press(ctrlC)
	x.expect("never mind")
	x.press(ctrlC)
	x.exit(130)
	x = d.onTerminal(t, t.TempDir(), "run", "--code", code)
	x.expect("begun\r\n")
	x.press(ctrlC)
	x.expect("tcid: interrupted")
	x.exit(130)
}

// A detached execution can be listened to later, also twice.
func TestDetachAndListen(t *testing.T) {
	d := start(t)
	id, errs, code := d.cli(t, "", "run", "--detach", "--code", "import time\nprint('a', flush=True); time.sleep(1); print('b')\n1/0")
	if id = strings.TrimSpace(id); !strings.HasPrefix(id, "exe_") || errs != "" || code != 0 {
		t.Fatalf("stdout %q, stderr %q, code %d", id, errs, code)
	}
	for range 2 {
		out, errs, code := d.cli(t, "", "execution", "events", id)
		if out != "a\nb\n" || !strings.HasSuffix(errs, "ZeroDivisionError: division by zero\n") || code != 1 {
			t.Errorf("stdout %q, stderr %q, code %d", out, errs, code)
		}
	}
	if out, _, code := d.cli(t, "", "execution", "show", id); !strings.Contains(out, "ZeroDivisionError") || code != 0 {
		t.Errorf("stdout %q, code %d", out, code)
	}
	s := d.create(t, v1.SessionSpec{})
	id, _, _ = d.cli(t, "", "session", "exec", s.ID, "--detach", "--code", "import time; time.sleep(100)")
	if out, _, code := d.cli(t, "", "execution", "cancel", strings.TrimSpace(id)); !strings.Contains(out, "cancelled") || code != 0 {
		t.Errorf("stdout %q, code %d", out, code)
	}
	if out, _, _ := d.cli(t, "", "session", "executions", s.ID); strings.Count(out, "\n") != 2 {
		t.Errorf("the history is %q", out)
	}
}

// badConnection passes on what comes, and breaks each connection after so many
// bytes of answers, some more each time.
func badConnection(t *testing.T, socket string, bytes int64) (path string, connections *int) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	connections = new(int)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			*connections++
			most := bytes + int64(*connections)
			all.Go(func() {
				defer near.Close()
				far, err := net.Dial("unix", socket)
				if err != nil {
					t.Error(err)
					return
				}
				defer far.Close()
				all.Go(func() { _, _ = io.Copy(far, near); far.Close() })
				_, _ = io.CopyN(near, far, most)
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return path, connections
}

// However often the connection breaks, each line comes once and the code runs
// once.
func TestStreamOverABadConnection(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{})
	path, connections := badConnection(t, filepath.Join(d.state, "tcid.sock"), 2500)
	c := client.New(client.Options{Socket: path})
	defer c.Close()
	const lines = 400
	stream, err := c.Stream(callContext(t), s.ID, v1.ExecSpec{Code: fmt.Sprintf(
		"runs = globals().get('runs', 0) + 1\nimport time\nfor i in range(%d):\n    print('%%05d' %% i, 'x' * 100, flush=True)\n    time.sleep(0.005)", lines)}, client.Compact)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	var text strings.Builder
	last := int64(0)
	for {
		e, err := stream.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Seq != last+1 {
			t.Errorf("event %d came after %d", e.Seq, last)
		}
		last = e.Seq
		text.WriteString(e.Text)
	}
	var want strings.Builder
	for i := range lines {
		fmt.Fprintf(&want, "%05d %s\n", i, strings.Repeat("x", 100))
	}
	if diff := cmp.Diff(want.String(), text.String()); diff != "" {
		t.Error(diff)
	}
	if e := stream.Execution(); e.Status != v1.StatusOK || e.ID != stream.ExecutionID() {
		t.Errorf("it ended as %+v", e)
	}
	if e := d.run(t, s.ID, "runs"); string(e.Result) != "1" {
		t.Errorf("the code ran %s times", e.Result)
	}
	if *connections < 5 {
		t.Errorf("only %d connections: nothing broke", *connections)
	}
	t.Logf("%d events over %d connections", last, *connections)
}
