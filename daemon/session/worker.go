package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"tcid/sandbox"
	"tcid/sandbox/kernel"
)

// liveKernel is a started kernel and the connection to it.
type liveKernel struct {
	process sandbox.Process
	conn    *kernel.Conn
}

// kill ends the kernel and waits until it is gone.
func (k *liveKernel) kill() {
	_ = k.process.Kill()
	<-k.process.Done()
	_ = k.conn.Close()
}

// endsByItself waits a moment for the end of a kernel whose connection broke,
// and tells whether it came.
func (k *liveKernel) endsByItself() bool {
	select {
	case <-k.process.Done():
		return true
	case <-time.After(kernelDrain):
		return false
	}
}

func (k *liveKernel) dead() bool {
	select {
	case <-k.process.Done():
		return true
	case <-k.conn.Done():
		return true
	default:
		return false
	}
}

// work runs executions one after the other until the session ends. It is the
// only goroutine that uses the kernel.
func (s *Session) work() {
	defer s.destroy()
	for {
		select {
		case <-s.closing:
			return
		case done := <-s.restarts:
			done <- s.replaceKernel()
			continue
		default:
		}
		if e := s.next(); e != nil {
			s.execute(e)
			continue
		}
		select {
		case <-s.closing:
			return
		case <-s.wake:
		case ask := <-s.asks:
			ask()
		case done := <-s.restarts:
			done <- s.replaceKernel()
		case <-s.sandbox.Done():
			s.fail("its sandbox ended")
		case <-s.kernel.process.Done():
			s.kernelDied()
		case <-s.kernel.conn.Done():
			s.kernelDied()
		}
	}
}

// next takes the first execution of the queue.
func (s *Session) next() *Execution {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return nil
	}
	e := s.queue[0]
	s.queue = s.queue[1:]
	s.running = e
	return e
}

// execute runs one execution from the queue and leaves a living kernel behind.
func (s *Session) execute(e *Execution) {
	// The slot is given back before the execution shows as finished, so that
	// a client that waited for it can send the next one.
	r := run{session: s, execution: e}
	r.do(func() {
		s.mu.Lock()
		s.running = nil
		s.lastUse = time.Now()
		s.armLocked()
		s.mu.Unlock()
		s.manager.releaseSlot(s.principal)
	})
	s.deaths = 0
	if s.kernel.dead() {
		s.kernelDied()
	}
}

// kernelDied starts a new kernel in the place of one that ended.
func (s *Session) kernelDied() {
	select {
	case <-s.closing:
		return
	case <-s.sandbox.Done():
		s.fail("its sandbox ended")
		return
	default:
	}
	s.mu.Lock()
	s.stateLost = true
	s.mu.Unlock()
	if s.deaths++; s.deaths > maxDeaths {
		s.fail("its kernel keeps ending by itself")
		return
	}
	if err := s.replaceKernel(); err != nil {
		s.log.Warn("a session lost its kernel for good", zap.Error(err))
	}
}

// replaceKernel ends the kernel and starts another. A session that can't have
// one has failed.
func (s *Session) replaceKernel() error {
	s.kernel.kill()
	if err := s.startKernel(context.Background()); err != nil {
		s.fail("its kernel could not be started again")
		return err
	}
	s.mu.Lock()
	s.kernels++
	s.lastUse = time.Now()
	s.armLocked()
	s.mu.Unlock()
	return nil
}

func (s *Session) fail(reason string) {
	s.end(stateFailed, statusCancelled, reason)
}

// startKernel starts a kernel and shakes hands with it.
func (s *Session) startKernel(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, kernelDialTimeout,
		fmt.Errorf("the kernel did not answer within %v", kernelDialTimeout))
	defer cancel()
	process, err := s.sandbox.StartKernel(ctx)
	if err != nil {
		return err
	}
	conn, err := connect(ctx, process)
	if err != nil {
		_ = process.Kill()
		<-process.Done()
		if note := process.StartupNote(); note != "" {
			err = fmt.Errorf("%w; it said: %s", err, note)
		}
		return s.explainStart(fmt.Errorf("start the kernel: %w", err))
	}
	go func() {
		// A child that the kernel forked may hold the connection open; give
		// the kernel's last words time to be read, then end it.
		<-process.Done()
		time.Sleep(kernelDrain)
		_ = conn.Close()
	}()
	s.kernel = &liveKernel{process, conn}
	s.mu.Lock()
	s.process = process
	s.mu.Unlock()
	return nil
}

// explainStart finds out whether a kernel died of its memory limit.
func (s *Session) explainStart(err error) error {
	if u, usageErr := s.sandbox.Usage(); usageErr == nil && u.OOMKills > 0 {
		return fmt.Errorf("%w: %d MiB of memory are too few: %w", sandbox.ErrLimitTooLow, s.spec.Resources.MemoryMB, err)
	}
	return err
}

// connect connects to a new kernel, and gives up as soon as that has ended.
func connect(ctx context.Context, process sandbox.Process) (*kernel.Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-process.Done():
			exit := process.Exit()
			cancel(errors.New("the interpreter ended at once (" + exitText(exit) + ")"))
		case <-stop:
		}
	}()
	conn, err := kernel.Connect(ctx, process)
	if err != nil {
		return nil, causeOf(ctx, err)
	}
	return conn, nil
}

// causeOf prefers the reason for which a context ended.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func exitText(x sandbox.Exit) string {
	switch {
	case x.Signal != "":
		return "signal " + x.Signal
	case x.Code < 0:
		return "unknown exit"
	}
	return fmt.Sprintf("exit code %d", x.Code)
}
