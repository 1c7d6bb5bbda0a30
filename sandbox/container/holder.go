package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// holderTimeout is how long a holder may take to make its namespace.
const holderTimeout = 10 * time.Second

// holder is the process that owns a user namespace. Containers join the
// namespace by path; it lives as long as one of them does.
type holder struct {
	cmd    *exec.Cmd
	base   uint32
	exited chan struct{}
	// userns is the namespace itself, which so outlives a holder that is killed.
	userns *os.File
}

// holderErrors are the exit codes of "tcid-init hold".
var holderErrors = map[int]string{
	10: "change to its ids",
	11: "set its capabilities",
	12: "make a user namespace (is user.max_user_namespaces 0, or does a security module forbid it?)",
	13: "talk to the daemon",
	14: "forbid nested user namespaces",
	15: "drop its privileges",
}

// startHolder makes a user namespace whose ids 0 to 65535 are base and up.
// place puts the process into its cgroup before it does anything.
func startHolder(ctx context.Context, program string, base uint32, place func(pid int) error) (*holder, error) {
	ctx, cancel := context.WithTimeout(ctx, holderTimeout)
	defer cancel()
	// Not CommandContext: the process outlives this call.
	cmd := exec.Command(program, "hold", strconv.FormatUint(uint64(base), 10))
	cmd.Env = []string{}
	cmd.Dir = "/"
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("make the holder's pipe: %w", err)
	}
	out, outW, err := os.Pipe()
	if err != nil {
		_ = in.Close()
		return nil, fmt.Errorf("make the holder's pipe: %w", err)
	}
	defer out.Close()
	cmd.Stdout = outW
	err = cmd.Start()
	_ = outW.Close()
	if err != nil {
		_ = in.Close()
		return nil, fmt.Errorf("start the holder: %w", err)
	}
	h := &holder{cmd: cmd, base: base, exited: make(chan struct{})}
	go func() {
		awaitExit(cmd.Process.Pid)
		_ = cmd.Wait()
		close(h.exited)
	}()
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()

	steps := func() error {
		if err := place(h.pid()); err != nil {
			return fmt.Errorf("place the holder in its cgroup: %w", err)
		}
		if err := expectByte(out, 'n'); err != nil {
			return err
		}
		if err := h.writeMaps(); err != nil {
			return err
		}
		if _, err := in.Write([]byte{'m'}); err != nil {
			return fmt.Errorf("answer the holder: %w", err)
		}
		if err := expectByte(out, 'r'); err != nil {
			return err
		}
		h.userns, err = os.Open(procPath(h.pid(), "ns/user"))
		return err
	}
	err = steps()
	_ = in.Close()
	if err != nil {
		stopped := h.stop() // first: its exit code explains
		return nil, errors.Join(h.explain(ctx, err), stopped)
	}
	return h, nil
}

func (h *holder) pid() int { return h.cmd.Process.Pid }

// usernsPath names the namespace. Whoever joins it does so as another process.
func (h *holder) usernsPath() string {
	return procPath(os.Getpid(), "fd/"+strconv.Itoa(int(h.userns.Fd())))
}

// stop ends the holder. It has ids of its own: without CAP_KILL root can't end it.
func (h *holder) stop() error {
	if h.userns != nil {
		_ = h.userns.Close()
		h.userns = nil
	}
	err := h.cmd.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	select {
	case <-h.exited:
		return nil
	case <-time.After(killTimeout):
		return errors.Join(fmt.Errorf("the holder of a user namespace (process %d) does not end", h.pid()), err)
	}
}

func (h *holder) writeMaps() error {
	line := fmt.Sprintf("0 %d %d\n", h.base, blockSize)
	for _, name := range []string{"uid_map", "gid_map"} {
		f, err := os.OpenFile(fmt.Sprintf("/proc/%d/%s", h.pid(), name), os.O_WRONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open the holder's %s: %w", name, err)
		}
		_, err = f.WriteString(line)
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("write the holder's %s: %w", name, err)
		}
	}
	return nil
}

func (h *holder) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("make a user namespace: %w", context.Cause(ctx))
	}
	if step, ok := holderErrors[h.cmd.ProcessState.ExitCode()]; ok {
		return fmt.Errorf("make a user namespace: the holder could not %s", step)
	}
	return fmt.Errorf("make a user namespace: %w", err)
}

func expectByte(f *os.File, want byte) error {
	var b [1]byte
	if _, err := f.Read(b[:]); err != nil {
		return fmt.Errorf("wait for the holder: %w", err)
	}
	if b[0] != want {
		return fmt.Errorf("wait for the holder: got %q instead of %q", b[0], want)
	}
	return nil
}
