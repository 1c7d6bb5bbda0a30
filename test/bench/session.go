package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	v1 "tcid/api/v1"
)

const (
	importScience = "import numpy, pandas, matplotlib.pyplot"
	frameCode     = "import pandas as pd; int(pd.DataFrame({'a': [1, 2, 3]}).sum()['a'])"
	crowdWord     = "%d clients"
)

func crowdTitle(clients int) string { return fmt.Sprintf(crowdWord, clients) }

// session: create, first execution, close, on the data-science image.
func (b *bench) session(ctx context.Context, row *Row) error {
	d, err := b.startDaemon(ctx)
	if err != nil {
		return err
	}
	var list []contender
	var bare []string
	for _, i := range b.baselines(oldestScience) {
		python, err := b.venv(ctx, i, []string{"numpy", "pandas", "matplotlib"}, nil)
		if err != nil {
			return err
		}
		name := i.name() + ", " + importScience
		list = append(list, stateless(name, noIsolation, func(ctx context.Context) error {
			return b.runBare(ctx, python, importScience, "")
		}))
		bare = append(bare, name)
	}
	jupyter, err := b.jupyter(ctx)
	if err != nil {
		return err
	}
	list = append(list, jupyter.startStop())
	for _, cell := range []struct{ code, result string }{{"1 + 1", "2"}, {frameCode, "6"}} {
		for _, kind := range d.kinds() {
			c := d.ourSession(kind, cell.code, cell.result)
			c.name += ": " + shorten(cell.code)
			list = append(list, c)
		}
	}
	results, err := latency(ctx, list, b.plan.slowRounds, 1)
	if err != nil {
		return err
	}
	base := fastest(results, bare)
	g := row.group("latency", unitMS, base.Name, results)
	for _, code := range []string{"1 + 1", frameCode} {
		ours := g.find(d.nameOf("") + ": " + shorten(code))
		row.atMost("times a bare Python that imports the packages; first execution "+shorten(code), ours.P50/base.P50, "×", sessionMust, sessionStretch)
	}
	return d.stop()
}

// shorten names a program in a table.
func shorten(code string) string {
	if code == frameCode {
		return "a DataFrame's sum"
	}
	return code
}

// sessionRate: the same with eight clients.
func (b *bench) sessionRate(ctx context.Context, row *Row) error {
	d, err := b.startDaemon(ctx)
	if err != nil {
		return err
	}
	python, err := b.venv(ctx, b.interpreters[0], []string{"numpy", "pandas", "matplotlib"}, nil)
	if err != nil {
		return err
	}
	bare := stateless(b.interpreters[0].name()+", "+importScience, noIsolation, func(ctx context.Context) error {
		return b.runBare(ctx, python, importScience, "")
	})
	results, err := throughput(ctx, []contender{d.ourSession("", "1 + 1", "2"), bare}, fewClients, b.plan.slices, b.plan.slice)
	if err != nil {
		return err
	}
	ours := row.group(crowdTitle(fewClients), unitRate, bare.name, results).find(d.nameOf(""))
	row.atLeast("sessions per second", ours.PerSecond, "per second", sessionRateMust, sessionRateStretch)
	return d.stop()
}

// live: an execution in a session that is there, and the same in Jupyter.
func (b *bench) live(ctx context.Context, row *Row) error {
	d, err := b.startDaemon(ctx)
	if err != nil {
		return err
	}
	c := d.client()
	defer c.Close()
	s, err := c.CreateSession(ctx, v1.SessionSpec{Image: scienceImage})
	if err != nil {
		return err
	}
	ours := stateless(d.nameOf(""), d.isolation(), func(ctx context.Context) error {
		e, err := c.Execute(ctx, s.ID, v1.ExecSpec{Code: "1 + 1"})
		return wantOK(e, err, "", "2")
	})
	jupyter, err := b.jupyter(ctx)
	if err != nil {
		return err
	}
	results, err := latency(ctx, []contender{ours, jupyter.live(), jupyter.ipython()}, b.plan.liveRounds, b.plan.liveBatch)
	if err != nil {
		return err
	}
	g := row.group("latency", unitMS, "", results)
	row.atMost("milliseconds", g.find(d.nameOf("")).P50, "ms", liveMust, liveStretch)
	if err := c.CloseSession(ctx, s.ID); err != nil {
		return err
	}
	return d.stop()
}

// jupyter is what the helper program does with jupyter_client and ipykernel.
type jupyter struct {
	b      *bench
	python string
}

func (b *bench) jupyter(ctx context.Context) (*jupyter, error) {
	python, err := b.venv(ctx, b.interpreters[0], []string{"ipython", "numpy", "pandas", "matplotlib"}, []string{"jupyter_client==8.6.3", "ipykernel==6.30.1"})
	if err != nil {
		return nil, err
	}
	return &jupyter{b, python}, nil
}

func (j *jupyter) startStop() contender {
	return j.contender("jupyter_client and ipykernel: start, "+importScience+", shut down", "session")
}

func (j *jupyter) live() contender { return j.contender("jupyter_client and ipykernel", "live") }

func (j *jupyter) ipython() contender {
	return j.contender("IPython's run_cell, in one process", "ipython")
}

// contender talks to jupyter.py, which does one thing for each line that it reads.
func (j *jupyter) contender(name, what string) contender {
	return contender{name: name, isolation: noIsolation, open: func(context.Context) (worker, error) {
		cmd := exec.Command(j.python, "-", what)
		cmd.Args = []string{j.python, j.b.helper(), what}
		cmd.Env = j.b.environment()
		cmd.Dir = j.b.tmp
		in, err1 := cmd.StdinPipe()
		out, err2 := cmd.StdoutPipe()
		var stderr strings.Builder
		cmd.Stderr = &stderr
		if err := errors.Join(err1, err2, cmd.Start()); err != nil {
			return worker{}, fmt.Errorf("start %s: %w", name, err)
		}
		answers := bufio.NewReader(out)
		once := func(context.Context) (time.Duration, error) {
			begin := time.Now()
			if _, err := in.Write([]byte("go\n")); err != nil {
				return 0, fmt.Errorf("%w: %s", err, stderr.String())
			}
			line, err := answers.ReadString('\n')
			if err != nil || line != "2\n" {
				return 0, fmt.Errorf("it answered %q: %w: %s", line, err, stderr.String())
			}
			return time.Since(begin), nil
		}
		return worker{once: once, close: func() {
			_ = in.Close()
			_ = cmd.Wait()
		}}, nil
	}}
}
