package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"tcid/sandbox"
)

const (
	// zygoteTimeout is how long a zygote may take to import its modules.
	zygoteTimeout = 60 * time.Second
	// zygoteMemory bounds a zygote itself; its children are charged to their
	// sessions from before their first page on.
	zygoteMemory  = 2 << 30
	zygotePids    = 256
	zygoteDisk    = 64 << 20 // what imports may write, in memory
	zygoteInodes  = 4096
	zygotePacket  = 256 << 10
	listenBacklog = 16 // of connections that wait to be accepted; there is one at a time
	zygoteSocket  = "zygote"
	zygoteForks   = 20_000          // then another takes its place,
	zygoteGrowth  = 32 << 10        // or when it has twice its size and so many KiB
	measureEvery  = 500             // forks
	exitTimeout   = 2 * time.Second // for a zygote to reap a child that has ended
	reapTime      = time.Second     // more than that takes
	goneSoon      = 20 * time.Millisecond
	zygoteVersion = 1
)

// zygoteCapabilities are what joining another sandbox takes, inside the user
// namespace of the image's domain.
var zygoteCapabilities = []string{"CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"}

// zygote is a process that has imported an image's modules and forks kernels;
// sandbox/kernel/py/zygote.py is what runs in it. It runs the image's code, so
// what it says is checked, but whoever controls it controls the kernels that it
// forks.
type zygote struct {
	d     *domain
	c     *container
	undo  cleanup
	conn  *net.UnixConn
	note  *note
	hello zygoteHello
	// orders has one for each order that the zygote has not done yet.
	orders chan struct{}

	mu      sync.Mutex
	forks   int
	over    bool  // it shall fork no more
	size    int64 // resident KiB at first
	alive   int   // kernels that have not ended
	retired bool
	kernels map[int]chan sandbox.Exit // by process id, until they are forgotten
	gone    chan struct{}             // closed when the connection has ended
}

type zygoteHello struct {
	Protocol  int               `json:"protocol"`
	Python    string            `json:"python"`
	Shell     string            `json:"shell"`
	Preloaded []string          `json:"preloaded"`
	Failed    map[string]string `json:"failed"`
}

// startZygote starts a zygote in the domain's user namespace and waits until it
// has imported everything.
func startZygote(ctx context.Context, d *domain) (_ *zygote, err error) {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), zygoteTimeout,
		fmt.Errorf("the zygote did not get ready within %v", zygoteTimeout))
	defer cancel()
	b := d.b
	z := &zygote{d: d, kernels: map[int]chan sandbox.Exit{}, gone: make(chan struct{}), orders: make(chan struct{}, forkOrders)}
	defer func() {
		if err != nil {
			_ = z.undo.run(b.log)
		}
	}()
	id := "zygote-" + strconv.FormatUint(b.zygotes.Add(1), 10)
	dir, err := b.socketDir(id, &z.undo)
	if err != nil {
		return nil, err
	}
	address := &net.UnixAddr{Name: filepath.Join("/proc/self/fd", strconv.Itoa(int(dir.Fd())), zygoteSocket), Net: "unixpacket"}
	listener, err := listenUnix(address.Name, unix.SOCK_SEQPACKET)
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	init, streams, err := z.process(listener)
	if err != nil {
		return nil, err
	}
	z.c, err = b.start(ctx, id, d.image, init, &z.undo, func(rootfs, devices string) *configs.Config {
		return zygoteConfig(rootfs, devices, d.cgroupPath(id), d.holder)
	})
	streams()
	if err != nil {
		return nil, fmt.Errorf("start a zygote: %w", err)
	}
	if err := z.connect(ctx, address); err != nil {
		if note := z.note.text(); note != "" {
			err = fmt.Errorf("%w; it said: %s", err, note)
		}
		return nil, fmt.Errorf("start a zygote: %w", err)
	}
	z.undo.add("close the zygote's connection", z.conn.Close)
	go z.read()
	return z, nil
}

// process is the zygote's. Call streams once it runs.
func (z *zygote) process(listener *os.File) (p *libcontainer.Process, streams func(), err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	note, errorPipe, err := notePipe()
	if err != nil {
		_ = null.Close()
		return nil, nil, err
	}
	z.note = note
	w := os.NewFile(uintptr(errorPipe), "errors")
	image := z.d.image
	args := []string{initPath, "zygote", filterPath, image.Python, "-X", "utf8", "-s", kernelPath,
		"--zygote-fd", strconv.Itoa(kernelListenFD), forkPath, filterRestPath}
	capabilities := &configs.Capabilities{Bounding: zygoteCapabilities, Effective: zygoteCapabilities, Permitted: zygoteCapabilities}
	return &libcontainer.Process{
			// One thread for linear algebra, since the zygote must have one thread in all.
			Args: append(args, image.Preload...), Env: environment(1), Cwd: workspaceDir, Init: true,
			Capabilities: capabilities, Stdin: null, Stdout: null, Stderr: w, ExtraFiles: []*os.File{listener},
		}, func() {
			_ = null.Close()
			_ = w.Close()
		}, nil
}

func zygoteConfig(rootfs, devices, cgroupPath string, h *holder) *configs.Config {
	pids := int64(zygotePids)
	limits := &cgroups.Resources{Memory: zygoteMemory, PidsLimit: &pids, Devices: deviceRules()}
	if swapAccounted() {
		limits.MemorySwap = zygoteMemory
	}
	c := baseConfig(rootfs, cgroupPath, h, limits)
	c.Capabilities = &configs.Capabilities{Bounding: zygoteCapabilities, Effective: zygoteCapabilities, Permitted: zygoteCapabilities}
	c.Mounts = append([]*configs.Mount{
		// tcid-init takes it away before anything of the image runs.
		{Source: "/proc", Destination: "/proc", Device: "bind", Flags: unix.MS_BIND | unix.MS_REC},
		devMount,
	}, deviceMounts(devices)...)
	for _, m := range []tmpfs{
		{nosuidNodev, "/tmp", fmt.Sprintf("mode=1777,size=%d,nr_inodes=%d", zygoteDisk, zygoteInodes)},
		{nosuidNodev, workspaceDir, fmt.Sprintf("mode=755,size=%d,nr_inodes=%d", zygoteDisk, zygoteInodes)},
	} {
		c.Mounts = append(c.Mounts, m.mount())
	}
	return c
}

// connect dials the zygote, hears what it has to say of itself, and checks what
// makes it fit to be forked.
func (z *zygote) connect(ctx context.Context, address *net.UnixAddr) error {
	conn, err := net.DialUnix("unixpacket", nil, address)
	if err != nil {
		return fmt.Errorf("connect to it: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	go func() { // an import may end it
		select {
		case <-z.c.done:
			_ = conn.SetDeadline(time.Unix(1, 0))
		case <-ctx.Done():
		}
	}()
	buf := make([]byte, zygotePacket)
	n, err := conn.Read(buf)
	if err == nil {
		err = json.Unmarshal(buf[:n], &z.hello)
	}
	if err == nil && z.hello.Protocol != zygoteVersion {
		err = fmt.Errorf("it speaks version %d of the protocol, not %d", z.hello.Protocol, zygoteVersion)
	}
	if err == nil {
		// Forking a process with threads is not safe: their locks stay locked.
		var status processStatus
		if status, err = readStatus(z.c.initPid); err == nil && status["Threads"] != "1" {
			err = fmt.Errorf("its imports have started threads (%s), so that it can't be forked safely", status["Threads"])
		}
	}
	if err != nil {
		_ = conn.Close()
		select {
		case <-z.c.done:
			return fmt.Errorf("it ended (%v)", z.c.state)
		default:
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	z.conn = conn
	return nil
}

// read takes what the zygote tells of its children until the connection ends.
func (z *zygote) read() {
	defer close(z.gone)
	buf := make([]byte, zygotePacket)
	for {
		n, err := z.conn.Read(buf)
		if err != nil || n == 0 {
			break
		}
		var m struct {
			Type   string `json:"type"`
			Pid    int    `json:"pid"`
			Status uint32 `json:"status"`
		}
		if err := json.Unmarshal(buf[:n], &m); err != nil || m.Type != "exit" {
			z.d.b.log.Warn("a zygote does not keep to the protocol and is ended", zap.String("image", z.d.image.Name))
			break
		}
		z.noteExit(m.Pid, exitOf(syscall.WaitStatus(m.Status)))
	}
	go z.stop() // without a connection it is of no use; its children go on
}

// flaws says what of the image could not be imported ahead; nothing if all was.
func (z *zygote) flaws() string {
	var texts []string
	for _, module := range slices.Sorted(maps.Keys(z.hello.Failed)) {
		texts = append(texts, module+" ("+z.hello.Failed[module]+")")
	}
	if texts == nil {
		return ""
	}
	return "not imported ahead of the sessions: " + strings.Join(texts, ", ")
}

// worn tells whether the zygote should be replaced: it is gone, or has forked a
// great deal.
func (z *zygote) worn() bool {
	select {
	case <-z.gone:
		return true
	case <-z.c.done:
		return true
	default:
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.over || z.forks >= zygoteForks
}

// condemn keeps the zygote from being asked again.
func (z *zygote) condemn() {
	z.mu.Lock()
	z.over = true
	z.mu.Unlock()
}

// measure looks now and then at how large the zygote is.
func (z *zygote) measure() {
	status, err := readStatus(z.c.initPid)
	if err != nil {
		return
	}
	kib, _ := strconv.ParseInt(strings.TrimSuffix(status["VmRSS"], " kB"), 10, 64)
	z.mu.Lock()
	defer z.mu.Unlock()
	switch {
	case z.size == 0:
		z.size = kib
	case kib > 2*z.size+zygoteGrowth:
		z.over = true
	}
}

// endsSoon tells whether the zygote has ended or is just about to: of a child that
// it was making the end is seen first.
func (z *zygote) endsSoon() bool {
	select {
	case <-z.gone:
		return true
	case <-z.c.done:
		return true
	case <-time.After(goneSoon):
		return false
	}
}

// stop ends the zygote. Children that it still has fall to the host's init.
func (z *zygote) stop() {
	z.mu.Lock()
	undo := z.undo
	z.undo = cleanup{}
	z.mu.Unlock()
	_ = undo.run(z.d.b.log)
}

var errZygoteGone = errors.New("the zygote has ended")

// send hands an order and its descriptors to the zygote.
func (z *zygote) send(order []byte, fds []int) error {
	n, _, err := z.conn.WriteMsgUnix(order, unix.UnixRights(fds...), nil)
	if err == nil && n != len(order) {
		err = errors.New("the order was cut short")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errZygoteGone, err)
	}
	z.mu.Lock()
	z.forks++
	look := z.forks%measureEvery == 1
	z.mu.Unlock()
	if look {
		z.measure()
	}
	return nil
}

// listenUnix makes a socket for somebody else to accept connections at.
func listenUnix(path string, kind int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), path)
	if err = unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err == nil {
		err = unix.Listen(fd, listenBacklog)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("listen at the socket %s: %w", path, err)
	}
	return f, nil
}
