package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// contender is something that does the same work as others.
type contender struct {
	name string
	// isolation says what kept the program from the host, for honesty.
	isolation string
	// open makes a worker of it, with a connection or a helper of its own.
	open func(ctx context.Context) (worker, error)
}

// worker does the work once, checks its outcome, and says how long it took.
type worker struct {
	once  func(ctx context.Context) (time.Duration, error)
	close func() // nil: nothing to do
}

// timed is a client's once for work whose time is that of the call.
func timed(work func(ctx context.Context) error) func(context.Context) (time.Duration, error) {
	return func(ctx context.Context) (time.Duration, error) {
		begin := time.Now()
		err := work(ctx)
		return time.Since(begin), err
	}
}

// stateless is a contender whose clients have nothing of their own.
func stateless(name, isolation string, work func(ctx context.Context) error) contender {
	return contender{name: name, isolation: isolation, open: func(context.Context) (worker, error) {
		return worker{once: timed(work)}, nil
	}}
}

// turn runs one turn, within its time.
func turn(ctx context.Context, who string, c worker) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	took, err := c.once(ctx)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", who, err)
	}
	return took, nil
}

// order is whose turn it is in a round. It rotates, so that nobody always
// comes after the same one and pays for what that left in the caches.
func order(n, round int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = (i + round) % n
	}
	return list
}

// openAll opens n clients of each contender.
func openAll(ctx context.Context, contenders []contender, n int) (all [][]worker, closeAll func(), err error) {
	closeAll = func() {
		for _, clients := range all {
			for _, c := range clients {
				if c.close != nil {
					c.close()
				}
			}
		}
	}
	all = make([][]worker, len(contenders))
	for i, contender := range contenders {
		for range n {
			c, err := contender.open(ctx)
			if err != nil {
				closeAll()
				return nil, nil, fmt.Errorf("%s: %w", contender.name, err)
			}
			all[i] = append(all[i], c)
		}
	}
	return all, closeAll, nil
}

// latency lets contenders take turns, batch times each, one client at a time.
func latency(ctx context.Context, contenders []contender, rounds, batch int) ([]*Result, error) {
	clients, closeAll, err := openAll(ctx, contenders, 1)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	samples := make([]sample, len(contenders))
	for round := -warmUps; round < rounds; round++ {
		for _, i := range order(len(contenders), round+warmUps) {
			for range batch {
				took, err := turn(ctx, contenders[i].name, clients[i][0])
				if err != nil {
					return nil, err
				}
				if round >= 0 {
					samples[i] = append(samples[i], took)
				}
			}
		}
	}
	var results []*Result
	for i, c := range contenders {
		r := &Result{Name: c.name, Isolation: c.isolation, Clients: 1}
		samples[i].percentiles(r)
		results = append(results, r)
	}
	return results, nil
}

// throughput lets contenders take turns of a slice of time each, with n clients
// at once. What counts is what is done per second until the last client has
// ended its work: the median of the slices.
func throughput(ctx context.Context, contenders []contender, n, slices int, slice time.Duration) ([]*Result, error) {
	clients, closeAll, err := openAll(ctx, contenders, n)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	samples := make([]sample, len(contenders))
	rates := make([][]float64, len(contenders))
	for round := -1; round < slices; round++ {
		for _, i := range order(len(contenders), round+1) {
			length := slice
			if round < 0 {
				length = slice / 3 // to warm up
			}
			took, rate, err := crowd(ctx, contenders[i].name, clients[i], length)
			if err != nil {
				return nil, err
			}
			if round >= 0 {
				samples[i] = append(samples[i], took...)
				rates[i] = append(rates[i], rate)
			}
		}
	}
	var results []*Result
	for i, c := range contenders {
		r := &Result{Name: c.name, Isolation: c.isolation, Clients: n, PerSecond: median(rates[i])}
		samples[i].percentiles(r)
		results = append(results, r)
	}
	return results, nil
}

// crowd lets clients work at once for some time.
func crowd(ctx context.Context, who string, clients []worker, length time.Duration) (sample, float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var all sample
	var group sync.WaitGroup
	begin := time.Now()
	for _, c := range clients {
		group.Go(func() {
			var own sample
			for time.Since(begin) < length && ctx.Err() == nil {
				took, err := turn(ctx, who, c)
				if err != nil {
					cancel(err)
					return
				}
				own = append(own, took)
			}
			mu.Lock()
			all = append(all, own...)
			mu.Unlock()
		})
	}
	group.Wait()
	elapsed := time.Since(begin)
	if ctx.Err() != nil {
		return nil, 0, context.Cause(ctx)
	}
	return all, float64(len(all)) / elapsed.Seconds(), nil
}
