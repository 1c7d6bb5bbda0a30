package container

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"tcid/sandbox"
)

const (
	poolTick = 5 * time.Second
	// waitComing bounds how long a request waits for a sandbox. For those that
	// one-shots use, of which most are short, it waits as long as one comes back
	// every waitUsed: making one more would only take the processors from them.
	waitComing = 2 * time.Second
	waitUsed   = 200 * time.Millisecond
)

// pool keeps sandboxes ahead of demand: new ones with a kernel that waits, for
// whoever comes; and used ones, made anew, for executions of their principal.
type pool struct {
	b *Backend
	// most is how many are kept ready for one key; 0 switches the pool off.
	most int

	mu      sync.Mutex
	closed  bool
	shelves map[key]*shelf
	jobs    sync.WaitGroup
	refill  chan struct{}
	stop    chan struct{}
	counts  sandbox.Stats
}

func newPool(b *Backend, most int) *pool {
	p := &pool{b: b, most: most, shelves: map[key]*shelf{}, refill: make(chan struct{}, 1), stop: make(chan struct{})}
	if most > 0 {
		p.jobs.Add(1)
		go p.keep()
	}
	return p
}

// MaxPool is the most that may be asked for.
const MaxPool = 1024

// DefaultPool is how many sandboxes are kept ready at most, of one kind.
func DefaultPool() int { return 4 * runtime.NumCPU() }

// take returns a prepared sandbox; nil when there is none, and none about to be.
func (p *pool) take(ctx context.Context, spec sandbox.Spec) *box {
	if p.most == 0 || spec.Start != sandbox.StartFork {
		return nil
	}
	keys := []key{keyOf(spec, "")}
	if spec.Once {
		keys = append([]key{keyOf(spec, spec.Principal)}, keys...)
	}
	for _, wait := range []bool{false, true} {
		for _, k := range keys {
			if x := p.takeFrom(ctx, k, spec, wait); x != nil {
				return x
			}
		}
	}
	p.mu.Lock()
	p.counts.PoolMisses++
	p.mu.Unlock()
	return nil
}

func (p *pool) takeFrom(ctx context.Context, k key, spec sandbox.Spec, mayWait bool) *box {
	for {
		x := p.pick(k, spec)
		if x == nil && mayWait {
			x = p.await(ctx, k)
		}
		if x == nil || x.adopt(spec) {
			return x
		}
		p.discard(x) // its init or kernel has ended meanwhile
	}
}

// pick takes what is ready.
func (p *pool) pick(k key, spec sandbox.Spec) *box {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.shelf(k, spec)
	s.last = time.Now()
	n := len(s.ready)
	if n == 0 {
		return nil
	}
	// The newest: its pages are in the caches.
	x := s.ready[n-1]
	s.ready = s.ready[:n-1]
	s.takes = append(s.takes, s.last)
	p.counts.PoolHits++
	p.wake()
	return x
}

// await queues for what is coming, or for what others use.
func (p *pool) await(ctx context.Context, k key) *box {
	patience, wait, begun := waitComing, make(chan *box, 1), time.Now()
	p.mu.Lock()
	s := p.shelves[k]
	s.takes = append(s.takes, begun)
	p.wake()
	switch {
	case s.coming > len(s.waiters):
	case s.used >= p.most:
		patience = waitUsed
	default:
		p.mu.Unlock()
		return nil
	}
	s.waiters = append(s.waiters, wait)
	p.counts.PoolWaited++
	p.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case x := <-wait:
			return x
		case <-timer.C:
			p.mu.Lock()
			more := min(waitUsed-time.Since(s.came), waitComing-time.Since(begun))
			p.mu.Unlock()
			if more > 0 {
				timer.Reset(more)
				continue
			}
		case <-ctx.Done():
		}
		break
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(s.waiters, wait); i >= 0 {
		s.waiters = slices.Delete(s.waiters, i, i+1)
		return nil
	}
	return <-wait // it came at the last moment
}

// arrived puts a prepared sandbox, or nil where preparing it failed, where it is
// wanted.
func (p *pool) arrived(k key, x *box) {
	p.mu.Lock()
	s := p.shelves[k]
	s.coming--
	s.came = time.Now()
	switch {
	case x != nil && len(s.waiters) > 0:
		w := s.waiters[0]
		s.waiters = s.waiters[1:]
		w <- x
		x = nil
	case x != nil && !p.closed && len(s.ready) < p.most:
		x = p.keepReady(s, x)
	case x == nil:
		s.giveUp()
	}
	p.mu.Unlock()
	if x != nil {
		p.discard(x)
	}
}

// lend notes that a one-shot uses a sandbox whose container may come back.
func (p *pool) lend(x *box) {
	if !p.recycles(x) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shelf(keyOf(x.spec, x.spec.Principal), x.spec).used++
	x.lent = true
}

// lost notes that one does not come back. The caller holds the box's lock.
func (p *pool) lost(x *box) {
	if !x.lent {
		return
	}
	x.lent = false
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.shelf(keyOf(x.spec, x.spec.Principal), x.spec)
	s.used--
	s.giveUp()
}

// recycles tells whether a sandbox's container may be used again.
func (p *pool) recycles(x *box) bool {
	return p.most > 0 && x.spec.Once && x.spec.Start == sandbox.StartFork && x.domain != nil && x.used < maxUses && x.warning.Load() == nil
}

// open tells whether containers can still come back.
func (p *pool) open() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.closed
}

// recycle makes a container whose use has ended ready for its principal's next,
// in the background.
func (p *pool) recycle(x *box) {
	k := keyOf(x.spec, x.spec.Principal)
	p.mu.Lock()
	s := p.shelf(k, x.spec)
	s.used--
	x.lent = false
	s.coming++
	p.jobs.Add(1)
	p.mu.Unlock()
	go func() {
		defer p.jobs.Done()
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		next, err := x.renew(ctx)
		p.mu.Lock()
		if err == nil {
			p.counts.PoolRecycled++
		} else {
			p.counts.PoolRefused++
		}
		p.mu.Unlock()
		if err != nil {
			p.b.log.Warn("a container could not be made anew and is removed", zap.String("sandbox", x.id), zap.Error(err))
			p.discard(next)
			next = nil
		}
		p.arrived(k, next)
	}()
}

func (p *pool) discard(x *box) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = true
	if x.undo.run(p.b.log) == nil {
		_ = x.whole.run(p.b.log) // logged; the sweep at the next start finds the rest
	}
}

// wake has the keeper look at the shelves.
func (p *pool) wake() {
	select {
	case p.refill <- struct{}{}:
	default:
	}
}

// keep refills the shelves and clears what nobody wants, until the pool closes.
// It prepares one sandbox at a time, so that what runs meanwhile hardly notices.
func (p *pool) keep() {
	defer p.jobs.Done()
	tick := time.NewTicker(poolTick)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			p.tidy()
		case <-p.refill:
		}
		for p.refillOne() {
			select {
			case <-p.stop:
				return
			default:
			}
		}
	}
}

// Prepare has the pool keep sandboxes of this kind ready for a while.
func (b *Backend) Prepare(spec sandbox.Spec) {
	if b.pool.most == 0 || spec.Start != sandbox.StartFork {
		return
	}
	b.pool.mu.Lock()
	b.pool.shelf(keyOf(spec, ""), spec).last = time.Now()
	b.pool.mu.Unlock()
	b.pool.wake()
}

// refillOne prepares one sandbox that will be wanted; false when there is none.
func (p *pool) refillOne() bool {
	p.mu.Lock()
	var k key
	var lacking *shelf
	for candidate, s := range p.shelves {
		if candidate.principal == "" && len(s.ready)+s.coming < p.wanted(s) && (lacking == nil || lacking.wantedLess(s)) {
			k, lacking = candidate, s
		}
	}
	full := lacking != nil && p.ready() >= p.most*poolKinds && !p.leastWanted().wantedLess(lacking)
	if lacking == nil || full || p.closed {
		p.mu.Unlock()
		return false
	}
	lacking.coming++
	spec := lacking.sample
	p.mu.Unlock()
	if p.b.domains.failing(k.digest) {
		p.arrived(k, nil)
		return false
	}
	x, err := p.prepare(spec)
	if err != nil {
		p.b.log.Warn("a sandbox could not be prepared ahead", zap.Error(err))
	} else {
		p.mu.Lock()
		p.counts.PoolRefills++
		p.mu.Unlock()
	}
	p.arrived(k, x)
	return err == nil
}

// prepare makes a sandbox with a kernel that waits.
func (p *pool) prepare(spec sandbox.Spec) (*box, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	x, err := p.b.create(ctx, spec)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	x.parked, err = x.startKernel(ctx, false)
	x.mu.Unlock()
	if w := x.warning.Load(); err == nil && w != nil {
		err = errors.New(*w) // one that is slow and late is no help
	}
	if err != nil {
		p.discard(x)
		return nil, err
	}
	return x, nil
}

// tidy removes what is more than what will be wanted.
func (p *pool) tidy() {
	p.mu.Lock()
	var extra []*box
	for k, s := range p.shelves {
		keep := p.wanted(s)
		if k.principal != "" && keep > 0 {
			keep = p.most
		}
		if n := len(s.ready) - keep; n > 0 {
			extra = append(extra, s.ready[:n]...) // the oldest
			s.ready = s.ready[n:]
		}
		if keep == 0 && s.coming == 0 && s.used == 0 && len(s.waiters) == 0 && len(s.ready) == 0 {
			delete(p.shelves, k)
		}
	}
	p.mu.Unlock()
	for _, x := range extra {
		p.discard(x)
	}
}

// close removes everything that is prepared, and waits for what is coming.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	close(p.stop)
	p.jobs.Wait()
	p.mu.Lock()
	var all []*box
	for _, s := range p.shelves {
		all = append(all, s.ready...)
	}
	p.shelves = map[key]*shelf{}
	p.mu.Unlock()
	for _, x := range all {
		p.discard(x)
	}
}

// Stats tells how well the pool does, and what zygotes have done.
func (b *Backend) Stats() sandbox.Stats {
	p := b.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.counts
	for _, s := range p.shelves {
		c.PoolReady += len(s.ready)
	}
	c.Forks, c.Moves, c.Zygotes = b.forks.Load(), b.moves.Load(), b.zygotes.Load()
	return c
}

// adopt gives a prepared sandbox to its user; false when it is no longer good.
func (x *box) adopt(spec sandbox.Spec) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	select {
	case <-x.done:
		return false
	default:
	}
	if x.parked == nil || x.parked.pidfd.hasEnded() {
		return false
	}
	x.spec = spec
	return true
}
