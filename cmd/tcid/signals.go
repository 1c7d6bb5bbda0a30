package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
)

// interrupts gives Ctrl-C to whoever wants it at the moment: by default it ends
// the command, and a second one the program at once.
type interrupts struct {
	end context.CancelFunc

	mu    sync.Mutex
	taken func() // what happens in the place of the default
}

// watchInterrupts begins; call stop at the end of the command. Its context ends
// with a Ctrl-C that nobody took.
func watchInterrupts(ctx context.Context) (_ context.Context, i *interrupts, stop func()) {
	ctx, end := context.WithCancel(ctx)
	i = &interrupts{end: end}
	signals := make(chan os.Signal, 4) // nobody presses faster than that
	signal.Notify(signals, os.Interrupt)
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for range signals {
			if i.interrupt() {
				signal.Stop(signals)
			}
		}
	})
	return ctx, i, func() {
		signal.Stop(signals)
		close(signals)
		watcher.Wait()
		end()
	}
}

// interrupt tells whether the command was ended by it.
func (i *interrupts) interrupt() bool {
	i.mu.Lock()
	taken := i.taken
	i.mu.Unlock()
	if taken != nil {
		taken()
		return false
	}
	i.end()
	return true
}

// take lets f have each Ctrl-C until giveBack is called. f must return soon.
func (i *interrupts) take(f func()) (giveBack func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	before := i.taken
	i.taken = f
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.taken = before
	}
}
