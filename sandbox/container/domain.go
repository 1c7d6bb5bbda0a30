package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/opencontainers/cgroups"
	"go.uber.org/zap"

	"tcid/sandbox"
)

// A domain's cgroup is named by its image, and by its first id: one that ends may
// not be gone yet when the next begins.
const (
	domainName   = "img_"
	domainDigits = 12
)

const (
	// maxIdleDomains is how many images keep a zygote though no session uses them.
	maxIdleDomains = 4
	// After so many failures in a row a zygote is not tried for some time, which
	// doubles with each more: what is broken costs every session its start, but what
	// was killed may work the next time.
	maxZygoteFailures = 3
	zygoteRetryAfter  = time.Second
	maxPauseDoublings = 6
	maxZygotePause    = time.Minute
)

// domain is what the sandboxes of one image share when their kernels are forked:
// a user namespace and a zygote in it. An image is one domain of trust: whoever
// controls the zygote controls all kernels that it forks.
type domain struct {
	b      *Backend
	image  sandbox.Image
	base   uint32
	holder *holder
	ids    *idPool
	name   string // of its cgroup
	group  *group // of the zygote and the sandboxes

	mu       sync.Mutex // held while a zygote starts
	zygote   *zygote    // nil: there is none yet, or it is gone
	failures int
	failed   time.Time
	reason   error // of the last failure

	// Guarded by domains.mu.
	users    int
	lastUsed time.Time
}

// domains are the domains of a Backend, by the digest of their image.
type domains struct {
	b *Backend

	mu     sync.Mutex
	byID   map[string]*domain
	closed bool
}

// join returns the image's domain, whose zygote runs. The caller leaves it later.
func (s *domains) join(ctx context.Context, image sandbox.Image) (*domain, error) {
	d, err := s.get(ctx, image)
	if err != nil {
		return nil, err
	}
	if _, err := d.current(ctx); err != nil {
		s.leave(d)
		return nil, err
	}
	return d, nil
}

func (s *domains) get(ctx context.Context, image sandbox.Image) (*domain, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, sandbox.ErrClosed
	}
	d := s.byID[image.Digest]
	if d == nil {
		base, err := s.b.ids.acquire()
		if err != nil {
			return nil, err
		}
		if d, err = s.make(ctx, image, base); err != nil {
			s.b.ids.release(base)
			return nil, err
		}
		s.byID[image.Digest] = d
	}
	d.users++
	return d, nil
}

// make makes a domain without a zygote.
func (s *domains) make(ctx context.Context, image sandbox.Image, base uint32) (_ *domain, err error) {
	h, err := startHolder(ctx, s.b.program, base, s.b.holders.Apply)
	if err != nil {
		return nil, exhausted(err)
	}
	digest := image.Digest[:min(len(image.Digest), domainDigits)]
	d := &domain{
		b: s.b, image: image, base: base, holder: h, ids: newIDPool(),
		name: domainName + digest + "-" + strconv.FormatUint(uint64(base), 10),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.removeGroup(), h.stop())
		}
	}()
	if d.group, err = newGroup(d.cgroupPath(""), &cgroups.Resources{}); err != nil {
		return nil, err
	}
	if err := d.group.create(-1); err != nil {
		return nil, err
	}
	return d, d.allowClone(d.group.GetPaths())
}

// allowClone lets the zygote have its children begin in a cgroup: on v2, moving a
// process there afterwards waits for a grace period of the host's kernel. What
// that takes is the right to write to the list of processes there, and to that of
// the nearest cgroup that contains both. The zygote sees no cgroup file system.
func (d *domain) allowClone(paths map[string]string) error {
	if !d.group.v2 {
		return nil
	}
	for _, dir := range paths {
		if err := os.Chown(filepath.Join(dir, "cgroup.procs"), int(d.base), -1); err != nil {
			return fmt.Errorf("let the zygote place its children: %w", err)
		}
	}
	return nil
}

func (d *domain) removeGroup() error {
	if d.group == nil {
		return nil
	}
	return d.group.remove()
}

// cgroupPath is that of a container of the domain.
func (d *domain) cgroupPath(id string) string {
	return path.Join(d.b.tree.sandboxPath(d.name), id)
}

// leave gives a domain up. Those that nobody uses end when there are too many.
func (s *domains) leave(d *domain) {
	s.mu.Lock()
	d.users--
	d.lastUsed = time.Now()
	var idle []*domain
	for _, other := range s.byID {
		if other.users == 0 {
			idle = append(idle, other)
		}
	}
	var oldest *domain
	if len(idle) > maxIdleDomains {
		oldest = idle[0]
		for _, other := range idle[1:] {
			if other.lastUsed.Before(oldest.lastUsed) {
				oldest = other
			}
		}
		delete(s.byID, oldest.image.Digest)
	}
	s.mu.Unlock()
	if oldest != nil {
		oldest.end()
	}
}

// close ends all domains. No sandbox may be left in any.
func (s *domains) close() {
	s.mu.Lock()
	s.closed = true
	all := s.byID
	s.byID = nil
	s.mu.Unlock()
	for _, d := range all {
		d.end()
	}
}

func (d *domain) end() {
	d.mu.Lock()
	z := d.zygote
	d.zygote = nil
	d.mu.Unlock()
	if z != nil {
		z.stop()
	}
	if err := errors.Join(d.removeGroup(), d.holder.stop()); err != nil {
		d.b.log.Warn("cleaning up failed", zap.Error(err)) // the next start finds it
	}
	d.b.ids.release(d.base)
}

// current returns the zygote, which it starts when there is none.
func (d *domain) current(ctx context.Context) (*zygote, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if z := d.zygote; z != nil {
		if !z.worn() {
			return z, nil
		}
		d.zygote = nil
		go z.retire()
	}
	if d.pausing() {
		return nil, d.reason
	}
	z, err := startZygote(ctx, d)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			d.failures++
			d.failed, d.reason = time.Now(), err
			d.b.log.Warn("an image's zygote does not start; its kernels start by themselves, which takes longer",
				zap.String("image", d.image.Name), zap.Error(err))
		}
		return nil, err
	}
	d.failures = 0
	d.zygote = z
	for module, why := range z.hello.Failed {
		d.b.log.Warn("a module of an image can't be imported ahead", zap.String("image", d.image.Name),
			zap.String("module", module), zap.String("why", why))
	}
	return z, nil
}

// pausing tells whether another zygote is not tried for a while. The caller holds
// the lock.
func (d *domain) pausing() bool {
	over := d.failures - maxZygoteFailures
	return over >= 0 && time.Since(d.failed) < min(zygoteRetryAfter<<min(over, maxPauseDoublings), maxZygotePause)
}

// failing tells whether an image's kernels are known to start by themselves now.
func (s *domains) failing(digest string) bool {
	s.mu.Lock()
	d := s.byID[digest]
	s.mu.Unlock()
	if d == nil || !d.mu.TryLock() {
		return false
	}
	defer d.mu.Unlock()
	return d.pausing()
}

// weaknesses tells which images can't have their kernels forked, or not with all
// of their modules, and why.
func (s *domains) weaknesses() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, d := range s.byID {
		if d.mu.TryLock() {
			if d.failures > 0 {
				list = append(list, fmt.Sprintf("kernels of image %s start anew: %v", d.image.Name, d.reason))
			} else if z := d.zygote; z != nil && z.flaws() != "" {
				list = append(list, fmt.Sprintf("image %s: %s", d.image.Name, z.flaws()))
			}
			d.mu.Unlock()
		}
	}
	return list
}
