package container

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/opencontainers/runc/libcontainer"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"tcid/sandbox"
	"tcid/sandbox/workspace"
)

const (
	// startupNoteBytes bounds what is kept of a kernel's words before it takes
	// its own output over, which is all that a broken image can say.
	startupNoteBytes = 4 << 10
	kernelListenFD   = 3 // the first of ExtraFiles
)

// threadCounts are the environment variables by which libraries for numbers,
// joblib's loky and Python itself (3.13 and later) are told how many processors
// there are.
var threadCounts = []string{
	"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
	"RAYON_NUM_THREADS", "LOKY_MAX_CPU_COUNT", "PYTHON_CPU_COUNT",
}

// process is a kernel. It implements sandbox.Process.
type process struct {
	box    *box
	pid    int
	zygote *zygote // whose child it is; nil: ours
	pidfd  *pidfd
	socket string // name in the box's socket directory
	note   *note
	begun  atomic.Pointer[net.Conn] // that it was made with; nil once somebody has it
	done   chan struct{}
	exit   sandbox.Exit // set before done is closed
}

// StartKernel ends every process but the init, then starts Python.
func (x *box) StartKernel(ctx context.Context) (sandbox.Process, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil, sandbox.ErrClosed
	}
	if p := x.parked; p != nil {
		x.parked = nil
		// It was started with nothing that this sandbox's user asked for.
		if len(x.spec.Env) == 0 && x.spec.Cwd == "" && !p.pidfd.hasEnded() {
			return p, nil
		}
	}
	return x.startKernel(ctx, false)
}

// startKernel starts one. anew says that the container was used before, and what
// can be written to must be mounted anew. The caller holds mu, or is the only one
// who knows the box.
func (x *box) startKernel(ctx context.Context, anew bool) (*process, error) {
	select {
	case <-x.done:
		return nil, fmt.Errorf("%w: its init has ended", sandbox.ErrClosed)
	default:
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout,
		fmt.Errorf("the kernel did not start within %v", startTimeout))
	defer cancel()
	if err := endOthers(ctx, x); err != nil {
		return nil, fmt.Errorf("end the old processes: %w", err)
	}
	// The socket is bound only now, when no old process is left, in a
	// directory that sessions can't see.
	if x.kernels > 0 {
		_ = os.Remove(x.socketPath("kernel" + strconv.Itoa(x.kernels))) // the last one's
	}
	x.kernels++
	name := "kernel" + strconv.Itoa(x.kernels)
	listener, err := listenUnix(x.socketPath(name), unix.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	p := &process{box: x, socket: name, done: make(chan struct{})}
	if err := p.forkOrStart(ctx, listener, anew); err != nil {
		return nil, fmt.Errorf("start the kernel: %w", err)
	}
	return p, nil
}

// socketPath is that of a socket in the sandbox's directory. Leading through the
// descriptor, it keeps within the 108 bytes of a Unix address.
func (x *box) socketPath(name string) string {
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(x.sockets.Fd())), name)
}

// start executes an interpreter as a further process of the container.
func (p *process) start(ctx context.Context, listener *os.File) error {
	x := p.box
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	note, errorPipe, err := notePipe()
	if err != nil {
		return err
	}
	p.note = note
	w := os.NewFile(uintptr(errorPipe), "errors")
	defer w.Close()
	args := []string{initPath, "limit", filterPath, filterRestPath}
	for _, l := range x.limits() {
		args = append(args, fmt.Sprintf("%d:%d:%d", l.kind, l.soft, l.hard))
	}
	// -X utf8: text is UTF-8 whatever the locale says. -s: no user site.
	args = append(args, "--", x.spec.Image.Python, "-X", "utf8", "-s", kernelPath, "--listen-fd", strconv.Itoa(kernelListenFD))
	proc := &libcontainer.Process{
		Args: args, Env: append(environment(threadCount(x.spec.Limits)), x.spec.Env...), Cwd: x.cwd(),
		UID: int(x.owner.kernel), GID: int(x.owner.kernel),
		// Files, not writers: Wait would hang on a writer's copying goroutine
		// until the last process that inherited it has gone.
		Stdin: null, Stdout: null, Stderr: w,
		ExtraFiles: []*os.File{listener},
	}
	if err := x.run(ctx, finalKernel(proc)); err != nil {
		return err
	}
	if p.pid, err = proc.Pid(); err != nil {
		return err
	}
	// The kernel is our child and not yet reaped, so the pid is still its own.
	if p.pidfd, err = openPidfd(p.pid); err != nil {
		_ = unix.Kill(p.pid, unix.SIGKILL)
		_, _ = proc.Wait()
		return err
	}
	go p.wait(proc)
	return nil
}

func (p *process) wait(proc *libcontainer.Process) {
	if err := p.pidfd.wait(); err != nil {
		p.box.b.log.Warn("waiting for a kernel takes a thread", zap.Error(err))
	}
	exit := sandbox.Exit{Code: -1}
	if state := reap(proc); state != nil {
		if status, ok := state.Sys().(syscall.WaitStatus); ok {
			exit = exitOf(status)
		}
	}
	p.finish(exit)
}

func (p *process) finish(exit sandbox.Exit) {
	p.exit = exit
	if nc := p.begun.Swap(nil); nc != nil {
		_ = (*nc).Close()
	}
	p.pidfd.close()
	close(p.done)
}

func exitOf(status syscall.WaitStatus) sandbox.Exit {
	if status.Signaled() {
		return sandbox.Exit{Code: -1, Signal: unix.SignalName(status.Signal())}
	}
	return sandbox.Exit{Code: status.ExitStatus()}
}

func (p *process) Begun() (conn net.Conn, python, shell string) {
	nc := p.begun.Swap(nil)
	if nc == nil {
		return nil, "", ""
	}
	return *nc, p.zygote.hello.Python, p.zygote.hello.Shell
}

func (p *process) Dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", p.box.socketPath(p.socket))
	if err != nil {
		return nil, fmt.Errorf("connect to the kernel: %w", err)
	}
	return conn, nil
}

// Interrupt sends SIGINT to the kernel's process group, so that a program that
// it waits for is interrupted too.
func (p *process) Interrupt() error {
	err := p.signal(unix.SIGINT, unix.PIDFD_SIGNAL_PROCESS_GROUP)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.9: the kernel alone
		err = p.signal(unix.SIGINT, 0)
	}
	return err
}

func (p *process) Kill() error { return p.signal(unix.SIGKILL, 0) }

func (p *process) signal(sig unix.Signal, flags int) error {
	if err := p.pidfd.signal(sig, flags); err != nil {
		return fmt.Errorf("send %s to the kernel: %w", unix.SignalName(sig), err)
	}
	return nil
}

// OpenFiles costs two system calls where stat tells the number, which it does
// since Linux 6.2, and otherwise the reading of a directory.
func (p *process) OpenFiles() (n int64, ok bool) {
	path := "/proc/" + strconv.Itoa(p.pid) + "/fd"
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, false
	}
	n = st.Size
	if n == 0 {
		dir, err := os.Open(path)
		if err != nil {
			return 0, false
		}
		defer dir.Close()
		names, err := dir.Readdirnames(-1)
		if err != nil {
			return 0, false
		}
		n = int64(len(names))
	}
	// Looked at last: until it is reaped, the pid was the kernel's own.
	return n, !p.pidfd.reaped()
}

func (p *process) Done() <-chan struct{} { return p.done }

func (p *process) Exit() sandbox.Exit {
	select {
	case <-p.done:
		return p.exit
	default:
		return sandbox.Exit{Code: -1}
	}
}

// StartupNote is what the kernel said before it took its output over.
func (p *process) StartupNote() string { return p.note.text() }

// cwd is the directory that a kernel starts in: the one that was asked for, as
// long as it is there.
func (x *box) cwd() string {
	if x.spec.Cwd == "" {
		return workspaceDir
	}
	info, err := x.workspace.Stat(x.spec.Cwd)
	if err != nil || info.Type != workspace.TypeDirectory {
		return workspaceDir
	}
	return filepath.Join(workspaceDir, info.Path)
}

// threadCount is how many threads libraries for numbers use.
func threadCount(l sandbox.Limits) int { return max(1, int(l.CPUs)) }

// environment is built from nothing: the daemon's own never reaches a session.
func environment(threads int) []string {
	env := []string{
		"PATH=/usr/local/bin:/usr/bin:/bin",
		"HOME=" + workspaceDir, "PWD=" + workspaceDir, "USER=user", "LOGNAME=user", "SHELL=/bin/sh",
		"LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TZ=UTC", "TERM=dumb",
		"PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1",
		// Not in the workspace, where a user would find them among the files. Agg
		// is for child processes; the kernel has figures shown.
		"IPYTHONDIR=/tmp/.ipython", "MPLCONFIGDIR=/tmp/.matplotlib", "XDG_CACHE_HOME=/tmp/.cache", "MPLBACKEND=Agg",
		// OpenBLAS's threads wait for work by turning in a loop, for 2^26 cycles by
		// default: that costs more than a whole session. 2^20 are half a millisecond.
		"OPENBLAS_THREAD_TIMEOUT=20",
		// Without a network pip fails soon instead of trying for a minute.
		"TCID_NETWORK=none", "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1", "PIP_RETRIES=1",
	}
	// Libraries size their thread pools by the host's cores otherwise.
	for _, name := range threadCounts {
		env = append(env, name+"="+strconv.Itoa(threads))
	}
	return env
}

// note keeps the head of what a pipe says, which is all that a broken image's
// kernel can say.
type note struct {
	mu   sync.Mutex
	head []byte
}

// notePipe makes a pipe for somebody else to write to.
func notePipe() (n *note, writeEnd int, err error) {
	var pair [2]int
	if err := unix.Pipe2(pair[:], unix.O_CLOEXEC); err != nil {
		return nil, -1, fmt.Errorf("make a pipe: %w", err)
	}
	n = &note{}
	err = unix.SetNonblock(pair[0], true) // so that os.NewFile knows it for one to wait for
	r := os.NewFile(uintptr(pair[0]), "errors")
	if err != nil {
		_ = r.Close()
		unix.Close(pair[1])
		return nil, -1, fmt.Errorf("make a pipe: %w", err)
	}
	go func() {
		defer r.Close()
		buf := make([]byte, startupNoteBytes)
		for {
			k, err := r.Read(buf)
			n.mu.Lock()
			n.head = append(n.head, buf[:min(k, startupNoteBytes-len(n.head))]...)
			n.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return n, pair[1], nil
}

func (n *note) text() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.ToValidUTF8(strings.TrimSpace(string(n.head)), "\ufffd")
}
