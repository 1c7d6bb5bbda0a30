package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	v1 "tcid/api/v1"
	"tcid/rootfs"
	"tcid/sandbox"
	"tcid/sandbox/container"
	"tcid/sandbox/host"
	"tcid/sandbox/kernel"
)

const (
	// probeStateDir has a fixed name, so that what a killed probe left is found
	// and removed by the next one.
	probeStateDir = "/run/tcid-doctor"
	probeTimeout  = 60 * time.Second
	lockWait      = 10 * time.Second
	lockPoll      = 50 * time.Millisecond
)

// ids of the findings that Probe adds to the host's.
const (
	imageFinding = "image"
	probeFinding = "live-probe"
	probeTitle   = "a sandbox"
	forkFinding  = "fork"
)

// probeLimits are enough for an interpreter that runs nothing.
var probeLimits = sandbox.Limits{
	MemoryBytes: 256 << 20, CPUs: 1, Pids: 32, DiskBytes: 1 << 20, DiskInodes: 1024, ShmBytes: 1 << 20, OpenFiles: 256,
}

// Inspect looks at the host that a daemon with this configuration would run on.
func Inspect(cfg Config) host.Report {
	return host.Check(host.Options{StateDir: cfg.StateDir, DataDir: cfg.DataDir})
}

// preflight refuses a host that lacks what sandboxes need, unless the operator
// accepts that, and says once what is weak.
func (d *Daemon) preflight() error {
	report := Inspect(d.cfg)
	if err := report.Lacks(d.cfg.AcceptWeaknesses); err != nil {
		return err
	}
	for _, f := range report.Weaknesses() {
		d.weaknesses = append(d.weaknesses, v1.Weakness{ID: f.ID, Title: f.Title, Detail: f.Detail})
		// What is known and only weak needs no warning at every start.
		if f.Status == host.Weak && slices.Contains(d.cfg.AcceptWeaknesses, f.ID) {
			continue
		}
		d.log.Warn("the host is weak", zap.String("id", f.ID), zap.String("what", f.Title+": "+f.Detail), zap.String("mend", f.Mend))
	}
	return nil
}

// Probe makes one real sandbox, looks at its processes from outside and removes
// it. The process must run as root in a mount namespace of its own.
func Probe(ctx context.Context, cfg Config) []host.Finding {
	ctx, cancel := context.WithTimeoutCause(ctx, probeTimeout, fmt.Errorf("the probe took longer than %v", probeTimeout))
	defer cancel()
	found := host.Finding{ID: imageFinding, Title: "default image", Status: host.Weak}
	store, err := probeStore(cfg)
	if err == nil {
		err = store.Verify(ctx, rootfs.DefaultName)
	}
	switch {
	case errors.Is(err, rootfs.ErrNotFound):
		found.Detail, found.Mend = "there is none yet, so that no sandbox can be tried", "tcid image build; tcid serve makes one too"
		return []host.Finding{found}
	case errors.Is(err, rootfs.ErrDamaged):
		found.Detail, found.Mend = err.Error(), "tcid image build"
	case err != nil:
		found.Detail, found.Mend = err.Error(), "tcid image verify says more"
		return []host.Finding{found}
	default:
		found.Status, found.Detail = host.OK, "every file is as it was built"
	}
	live, warning := probeSandbox(ctx, cfg, images{store})
	all := []host.Finding{found, live}
	if live.Status == host.OK {
		all = append(all, probeForks(ctx, cfg, images{store}, warning))
	}
	return all
}

// probeStore opens the image store without making one.
func probeStore(cfg Config) (*rootfs.Store, error) {
	if _, err := os.Stat(cfg.DataDir); errors.Is(err, os.ErrNotExist) {
		return nil, rootfs.ErrNotFound
	}
	return rootfs.Open(cfg.DataDir)
}

// probeSandbox tries the default image. warning says what keeps its kernels from
// being forked, or from having all of their modules then.
func probeSandbox(ctx context.Context, cfg Config, list images) (f host.Finding, warning string) {
	detail, warning, err := tryOne(ctx, cfg, list, rootfs.DefaultName)
	if err != nil {
		return ProbeFailed(err), ""
	}
	return host.Finding{ID: probeFinding, Title: probeTitle, Status: host.OK, Detail: detail, Required: true}, warning
}

// probeForks has the zygote of every other image fork a kernel too.
func probeForks(ctx context.Context, cfg Config, list images, ofDefault string) host.Finding {
	f := host.Finding{ID: forkFinding, Title: "kernels forked from a zygote", Status: host.OK}
	var flaws []string
	add := func(name, flaw string) {
		if flaw != "" {
			flaws = append(flaws, "image "+name+": "+flaw)
		}
	}
	add(rootfs.DefaultName, ofDefault)
	all, err := list.store.List()
	if err != nil {
		add("list", err.Error())
	}
	for _, img := range all {
		if img.Name == rootfs.DefaultName {
			continue
		}
		_, warning, err := tryOne(ctx, cfg, list, img.Name)
		if err != nil {
			warning = err.Error()
		}
		add(img.Name, warning)
	}
	if f.Detail = fmt.Sprintf("of %d images", len(all)); len(flaws) > 0 {
		f.Status, f.Detail = host.Weak, strings.Join(flaws, "\n")
		f.Mend = "tcid image build with --preload for the modules that can be imported ahead: those that work here and start no threads"
	}
	return f
}

// NotProbed is the finding that no sandbox was tried, since something that one
// needs is missing: the attempt could fail half-way and leave things behind.
func NotProbed() host.Finding {
	return host.Finding{
		ID: probeFinding, Title: probeTitle, Status: host.Weak, Required: true,
		Detail: "not tried while what it needs is missing", Mend: "mend what is missing above first",
	}
}

// ProbeFailed is the finding that no sandbox could be made.
func ProbeFailed(err error) host.Finding {
	return host.Finding{
		ID: probeFinding, Title: probeTitle, Status: host.Missing, Required: true, Detail: err.Error(),
		Mend: "mend what is missing above; where nothing is, report this",
	}
}

// tryOne starts and ends one sandbox of an image. Nobody's code runs in it but
// what the image imports ahead.
func tryOne(ctx context.Context, cfg Config, list images, name string) (detail, warning string, err error) {
	cfg.StateDir, cfg.Ephemeral = probeStateDir, true
	d := &Daemon{cfg: cfg, log: zap.NewNop()}
	defer func() { err = errors.Join(err, d.shutdown()) }()
	if err := os.MkdirAll(cfg.StateDir, 0o711); err != nil {
		return "", "", err
	}
	lock, err := lockSoon(ctx, cfg.StateDir)
	if err != nil {
		return "", "", err
	}
	d.onStop("unlock the state directory", func(context.Context) error { return d.unlock(lock) })
	backend, err := container.New(ctx, d.sandboxConfig(0))
	if err != nil {
		return "", "", err
	}
	d.onStop("take down the sandbox's cgroups", func(context.Context) error { return backend.Close() })
	image, release, err := list.Acquire(name)
	if err != nil {
		return "", "", err
	}
	d.onStop("give the image back", func(context.Context) error { release(); return nil })

	start := time.Now()
	box, err := backend.Create(ctx, sandbox.Spec{Image: image, Start: sandbox.StartFork, Limits: probeLimits})
	if err != nil {
		return "", "", err
	}
	d.onStop("remove the sandbox", box.Destroy)
	hello, err := greet(ctx, box)
	if err != nil {
		return "", "", err
	}
	took := time.Since(start).Round(time.Millisecond)
	count, err := inspectProcesses(box.ID())
	if err != nil {
		return "", "", err
	}
	_, warning = box.Start()
	detail = fmt.Sprintf("Python %s ran %v after it was asked for; %d processes with a filter, without capabilities, and with ids and namespaces of their own",
		hello.Python, took, count)
	if !backend.UsesStarter() {
		detail += "; it was started with the whole program, which takes longer (the daemon's log says why)"
	}
	return detail, warning, nil
}

// lockSoon waits for another doctor to be done.
func lockSoon(ctx context.Context, dir string) (*os.File, error) {
	deadline := time.Now().Add(lockWait)
	for {
		lock, err := lockState(dir)
		if err == nil || time.Now().After(deadline) {
			return lock, err
		}
		select {
		case <-time.After(lockPoll):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		// The other one may have removed the directory.
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, fmt.Errorf("make the probe's directory: %w", err)
		}
	}
}

// greet starts a kernel and waits until it speaks.
func greet(ctx context.Context, box sandbox.Sandbox) (kernel.Hello, error) {
	process, err := box.StartKernel(ctx)
	if err != nil {
		return kernel.Hello{}, err
	}
	conn, err := kernel.Connect(ctx, process)
	if err != nil {
		return kernel.Hello{}, errors.Join(err, startupError(process))
	}
	defer conn.Close()
	return conn.Hello(), nil
}

func startupError(process sandbox.Process) error {
	if note := process.StartupNote(); note != "" {
		return errors.New("the interpreter said: " + note)
	}
	return nil
}
