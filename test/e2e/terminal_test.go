package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const showTimeout = 20 * time.Second

const (
	ctrlC   = "\x03"
	ctrlD   = "\x04"
	arrowUp = "\x1b[A"
)

// terminal is a program of ours that runs on a terminal, whose other end the
// test holds.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File
	exited chan struct{}

	mu    sync.Mutex
	shown bytes.Buffer
	read  int // of shown, by expect
}

// onTerminal starts the program on a terminal of 80 columns, with the daemon d
// and a home of its own.
func (d *daemon) onTerminal(t *testing.T, home string, args ...string) *terminal {
	t.Helper()
	master, slave := openTerminal(t)
	x := &terminal{t: t, master: master, exited: make(chan struct{})}
	x.cmd = exec.Command(program, args...)
	x.cmd.Env = append(os.Environ(), "TCID_SOCKET="+filepath.Join(d.state, "tcid.sock"), "TCID_URL=", "XDG_STATE_HOME="+home)
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = slave, slave, slave
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := x.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	var reader sync.WaitGroup
	reader.Go(x.watch)
	go func() {
		_ = x.cmd.Wait()
		close(x.exited)
	}()
	t.Cleanup(func() {
		_ = x.cmd.Process.Kill()
		<-x.exited
		x.master.Close()
		reader.Wait()
		if t.Failed() {
			t.Logf("the terminal showed:\n%q", x.shown.String())
		}
	})
	return x
}

func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	var number uint32
	err = control(master, func(fd int) error {
		var err error
		if number, err = unix.IoctlGetUint32(fd, unix.TIOCGPTN); err != nil {
			return err
		}
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	})
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		master.Close()
		t.Fatal(err)
	}
	return master, slave
}

// control calls f with a file's descriptor. Fd would keep Close from ending a
// Read.
func control(file *os.File, f func(fd int) error) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	return errors.Join(conn.Control(func(fd uintptr) { failed = f(int(fd)) }), failed)
}

func (x *terminal) watch() {
	buffer := make([]byte, 4096)
	for {
		n, err := x.master.Read(buffer)
		x.mu.Lock()
		x.shown.Write(buffer[:n])
		x.mu.Unlock()
		if err != nil { // EIO: nobody has the other end any more
			if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.EIO) && !errors.Is(err, os.ErrClosed) {
				x.t.Error(err)
			}
			return
		}
	}
}

// press types keys.
func (x *terminal) press(keys string) {
	x.t.Helper()
	if _, err := x.master.WriteString(keys); err != nil {
		x.t.Fatal(err)
	}
}

// expect waits until text is shown behind what was expected before, and returns
// what came before it.
func (x *terminal) expect(text string) string {
	x.t.Helper()
	for deadline := time.Now().Add(showTimeout); ; time.Sleep(5 * time.Millisecond) {
		x.mu.Lock()
		rest := x.shown.String()[x.read:]
		at := strings.Index(rest, text)
		if at >= 0 {
			x.read += at + len(text)
		}
		x.mu.Unlock()
		if at >= 0 {
			return rest[:at]
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("%q is not shown; there is %q", text, rest)
		}
	}
}

// exit waits for the end and checks the exit code, which is one of these.
func (x *terminal) exit(codes ...int) {
	x.t.Helper()
	select {
	case <-x.exited:
	case <-time.After(showTimeout):
		x.t.Fatal("the program goes on")
	}
	if got := x.cmd.ProcessState.ExitCode(); !slices.Contains(codes, got) {
		x.t.Errorf("exit code %d, want one of %d", got, codes)
	}
}

// mode is what the terminal does with keys.
func (x *terminal) mode() unix.Termios {
	x.t.Helper()
	var mode *unix.Termios
	err := control(x.master, func(fd int) (err error) {
		mode, err = unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	})
	if err != nil {
		x.t.Fatal(err)
	}
	return *mode
}
