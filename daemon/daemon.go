// Package daemon puts the parts together: configuration, listeners, the image
// store, the sandboxes, the sessions and the API; it starts them in order and
// stops them in the reverse one.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	sdnotify "github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"tcid/api"
	"tcid/api/gate"
	"tcid/api/transport"
	v1 "tcid/api/v1"
	"tcid/daemon/session"
	"tcid/internal/version"
	"tcid/rootfs"
	"tcid/sandbox/container"
	"tcid/systemd"
)

const (
	stopTimeout  = 60 * time.Second // to end all sessions
	drainTimeout = 5 * time.Second  // for answers under way

	dataDirMode = 0o711 // sandboxes must be able to reach what lies below it

	maxBodyMemory = 1 << 30
	bodyShare     = 8
	// otherMemory is what the daemon takes besides: results that are remembered,
	// most of all. Near the sum, garbage is collected sooner.
	otherMemory = 512 << 20
)

// Daemon is one running daemon.
type Daemon struct {
	cfg   Config
	log   *zap.Logger
	stops []stop // undone in reverse
	serve []*served
	ready atomic.Bool

	sessions   *session.Manager
	keys       atomic.Pointer[api.Keys] // nil without TCP
	weaknesses []v1.Weakness            // of the host
}

type stop struct {
	what string
	do   func(context.Context) error
}

type served struct {
	server   *http.Server
	listener net.Listener
}

// Run starts a daemon, serves until ctx ends, and stops it. The process must
// run as root in a mount namespace of its own (EnterPrivateMounts).
func Run(ctx context.Context, cfg Config, log *zap.Logger) (err error) {
	d := &Daemon{cfg: cfg, log: log}
	debug.SetMemoryLimit(bodyMemory() + otherMemory)
	defer func() { err = errors.Join(err, d.shutdown()) }()
	d.watchHangups()
	if err := d.start(ctx); err != nil {
		return err
	}
	failed := make(chan error, len(d.serve))
	for _, s := range d.serve {
		go func() { failed <- s.server.Serve(s.listener) }()
	}
	d.ready.Store(true)
	_, _ = sdnotify.SdNotify(false, sdnotify.SdNotifyReady) // no-op without systemd
	log.Info("ready", zap.String("version", version.Version), zap.String("socket", cfg.Socket),
		zap.String("cgroup", d.sessions.Isolation().Cgroup))
	select {
	case <-ctx.Done():
		log.Info("stopping", zap.String("because", context.Cause(ctx).Error()))
		return nil
	case err := <-failed:
		return fmt.Errorf("serve the API: %w", err)
	}
}

func (d *Daemon) onStop(what string, do func(context.Context) error) {
	d.stops = append(d.stops, stop{what, do})
}

// start brings the parts up in the order in which they need each other.
func (d *Daemon) start(ctx context.Context) error {
	if err := d.preflight(); err != nil {
		return err
	}
	if err := d.makeDirs(); err != nil {
		return err
	}
	lock, err := lockState(d.cfg.StateDir)
	if err != nil {
		return err
	}
	d.onStop("unlock the state directory", func(context.Context) error { return d.unlock(lock) })
	store, err := d.openImages(ctx)
	if err != nil {
		return err
	}
	backend, err := container.New(ctx, d.sandboxConfig(*d.cfg.Pool))
	if err != nil {
		return fmt.Errorf("prepare the host for sandboxes: %w", err)
	}
	d.onStop("take down the sandboxes' cgroups", func(context.Context) error { return backend.Close() })
	d.sessions = session.NewManager(session.DefaultConfig(), backend, images{store}, d.log.Named("session"))
	d.onStop("end all sessions", d.sessions.Shutdown)
	if err := d.listen(images{store}); err != nil {
		return err
	}
	go d.sessions.Prepare()
	return nil
}

// sandboxConfig chooses the sessions' place among the cgroups: a scope of
// systemd's, where that manages cgroup v2, else a directory of our own.
func (d *Daemon) sandboxConfig(pool int) container.Config {
	c := container.Config{
		StateDir: d.cfg.StateDir, DataDir: d.cfg.DataDir, CgroupRoot: d.cfg.CgroupPath(),
		IDLockDir: idLockDir, Pool: pool, Log: d.log.Named("sandbox"),
	}
	if systemd.Running() && container.CgroupMode() == "v2" {
		unit := d.cfg.scopeUnit()
		c.CgroupRoot = systemd.ScopePath(unit)
		c.Scope = func(ctx context.Context, pid int) error {
			return systemd.StartScope(ctx, unit, "Sessions of the tcid daemon", pid)
		}
	}
	return c
}

func (d *Daemon) makeDirs() error {
	for _, dir := range []struct {
		path string
		mode os.FileMode
	}{
		{d.cfg.StateDir, 0o711}, {d.cfg.DataDir, dataDirMode},
		{filepath.Join(d.cfg.DataDir, secretsDir), 0o700},
	} {
		if err := os.MkdirAll(dir.path, dir.mode); err != nil {
			return fmt.Errorf("make a directory of the daemon: %w", err)
		}
	}
	return nil
}

// openImages opens the image store and, where there is no default image yet,
// makes one from the host's Python.
func (d *Daemon) openImages(ctx context.Context) (*rootfs.Store, error) {
	store, err := rootfs.Open(d.cfg.DataDir)
	if err != nil {
		return nil, fmt.Errorf("open the image store: %w", err)
	}
	if _, err := store.Resolve(rootfs.DefaultName); err == nil {
		return store, nil
	} else if !errors.Is(err, rootfs.ErrNotFound) {
		return nil, fmt.Errorf("find the default image: %w", err)
	}
	d.log.Info("there is no default image; building one from the host's Python")
	img, err := store.Build(ctx, rootfs.BuildOptions{Name: rootfs.DefaultName, Progress: func(line string) { d.log.Info(line) }})
	if err != nil {
		return nil, fmt.Errorf("build the default image (tcid image build --python PATH chooses another Python): %w", err)
	}
	d.log.Info("built the default image", zap.String("python", img.PythonVersion), zap.String("from", img.Source))
	return store, nil
}

func (d *Daemon) listen(list api.Images) error {
	together, err := d.cfg.tciSettings()
	if err != nil {
		return err
	}
	options := api.Options{
		Sessions: d.sessions, Images: list, Hosts: d.cfg.AllowHosts,
		TCI: together, Version: version.Version, Log: d.log.Named("api"), Ready: d.ready.Load,
		Weaknesses: d.weaknesses, Bodies: transport.NewBudget(bodyMemory()),
	}
	l, err := listenUnix(d.cfg.Socket)
	if err != nil {
		return err
	}
	d.add(api.NewServer(options), gate.Bound(l, gate.Limits{Total: gate.MaxUnix}, d.log.Named("unix")))
	return d.listenTCP(options)
}

// bodyMemory is what the bodies of all requests may take together: an eighth of
// the host's memory, and maxBodyMemory at most.
func bodyMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return maxBodyMemory
	}
	return min(maxBodyMemory, int64(info.Totalram)*int64(info.Unit)/bodyShare)
}

func (d *Daemon) add(handler *api.Server, l net.Listener) {
	server := handler.HTTPServer()
	d.serve = append(d.serve, &served{server, l})
	d.onStop("stop listening on "+l.Addr().String(), func(ctx context.Context) error {
		// The sessions end before the listeners do their part, so that answers
		// under way get out; what is left then is cut off.
		ctx, cancel := context.WithTimeout(ctx, drainTimeout)
		defer cancel()
		_ = handler.CloseMCP(ctx) // its sessions have ended
		if err := server.Shutdown(ctx); err != nil {
			return server.Close()
		}
		return nil
	})
}

// shutdown undoes what start did, the last step first, except that new work is
// refused before all else.
func (d *Daemon) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	_, _ = sdnotify.SdNotify(false, sdnotify.SdNotifyStopping)
	var errs []error
	if d.sessions != nil {
		if err := d.sessions.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("end all sessions: %w", err))
		}
	}
	for i := len(d.stops) - 1; i >= 0; i-- {
		if err := d.stops[i].do(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", d.stops[i].what, err))
		}
	}
	return errors.Join(errs...)
}

// unlock gives the state directory up. An ephemeral daemon leaves nothing in it.
func (d *Daemon) unlock(lock *os.File) error {
	if d.cfg.Ephemeral {
		if err := os.Remove(lock.Name()); err != nil {
			return errors.Join(fmt.Errorf("remove the lock: %w", err), lock.Close())
		}
		_ = os.Remove(d.cfg.StateDir) // fails, rightly, when others keep something there
	}
	return lock.Close()
}
