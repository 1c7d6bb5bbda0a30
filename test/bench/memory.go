package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	v1 "tcid/api/v1"
)

// closeLimit is how long closing all sessions may take, in seconds.
const closeLimit = 20.0

// memory: what idle sessions on the data-science image take, everything counted:
// what the host has less of, with a breakdown.
func (b *bench) memory(ctx context.Context, row *Row) error {
	d, err := b.startDaemon(ctx)
	if err != nil {
		return err
	}
	c := d.client()
	defer c.Close()
	first := d.ourSession("", "1 + 1", "2") // the zygote and the image's pages are there then
	w, err := first.open(ctx)
	if err != nil {
		return err
	}
	if _, err := w.once(ctx); err != nil {
		return err
	}
	w.close()
	time.Sleep(settle)
	before, err := meminfo()
	if err != nil {
		return err
	}
	daemonBefore := resident(d.cmd.Process.Pid)
	ids := make([]string, b.plan.sessions)
	took, err := each(ctx, len(ids), func(ctx context.Context, i int) error {
		s, err := c.CreateSession(ctx, v1.SessionSpec{Image: scienceImage})
		if err != nil {
			return err
		}
		ids[i] = s.ID
		e, err := c.Execute(ctx, s.ID, v1.ExecSpec{Code: fmt.Sprintf("x = %d", i)})
		return wantOK(e, err, "", "")
	})
	if err != nil {
		return err
	}
	row.Notes = append(row.Notes, fmt.Sprintf("%d sessions were made in %.1f s", len(ids), took.Seconds()))
	time.Sleep(settle)
	after, err := meminfo()
	if err != nil {
		return err
	}
	n := float64(len(ids))
	mib := func(bytes int64) float64 { return float64(bytes) / n / (1 << 20) }
	total := mib(before["MemAvailable"] - after["MemAvailable"])
	part := func(name string, bytes int64) *Result { return &Result{Name: name, Value: mib(bytes)} }
	grown := func(key string) int64 { return after[key] - before[key] }
	row.group("MiB a session", unitMiB, "", []*Result{
		{Name: ourName + ": everything, by what the host has less of", Value: total},
		part("kernels: anonymous memory", grown("AnonPages")),
		part("page tables", grown("PageTables")),
		part("kernel stacks", grown("KernelStack")),
		part("files in memory (tmpfs)", grown("Shmem")),
		part("the host's kernel: namespaces, mounts, cgroups, filters (slab, unreclaimable)", grown("SUnreclaim")),
		part("the daemon", resident(d.cmd.Process.Pid)-daemonBefore),
	})
	row.atMost("MiB a session", total, "MiB", memoryMust, memoryStretch)
	took, err = each(ctx, len(ids), func(ctx context.Context, i int) error {
		e, err := c.Execute(ctx, ids[i], v1.ExecSpec{Code: "x"})
		return wantOK(e, err, "", strconv.Itoa(i))
	})
	if err != nil {
		return err
	}
	row.Notes = append(row.Notes, fmt.Sprintf("all answered within %.1f s", took.Seconds()))
	took, err = each(ctx, len(ids), func(ctx context.Context, i int) error { return c.CloseSession(ctx, ids[i]) })
	if err != nil {
		return err
	}
	row.atMost("seconds to close all", took.Seconds(), "s", closeLimit, closeLimit/2)
	return d.stop() // and close looks for what is left
}

// each does something for every number below n, eight at once.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	begin := time.Now()
	for range fewClients {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := do(ctx, i); err != nil {
					cancel(fmt.Errorf("number %d: %w", i, err))
				}
			}
		})
	}
	group.Wait()
	return time.Since(begin), context.Cause(ctx)
}

// resident is a process's resident memory in bytes; 0 when it can't be read.
func resident(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// restart: sessions that outlive the daemon.
func (b *bench) restart(_ context.Context, row *Row) error {
	row.NotBuilt = "sessions end with the daemon"
	return nil
}

// idle: the daemon's own memory.
func (b *bench) idle(ctx context.Context, row *Row) error {
	d, err := b.startDaemon(ctx)
	if err != nil {
		return err
	}
	time.Sleep(settle)
	value := float64(resident(d.cmd.Process.Pid)) / (1 << 20)
	row.group("resident", unitMiB, "", []*Result{{Name: ourName + ": the daemon", Value: value}})
	row.atMost("MiB", value, "MiB", idleMust, idleStretch)
	return d.stop()
}
