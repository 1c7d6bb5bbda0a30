package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tcid/test/leak"
	"tcid/test/repo"
)

// The images that scripts/bench makes in the data directory.
const (
	bareImage    = "default" // Python's standard library
	scienceImage = "science" // IPython, numpy, pandas, matplotlib
)

// bench is one run: what it needs, and how to get rid of it.
type bench struct {
	out    io.Writer
	plan   plan
	report *Report

	program string // bin/tcid
	tools   string // where scripts/bench installed what it compares with
	data    string // the daemon's data directory
	// mark is in the name of everything that the run makes on the host.
	mark  string
	tmp   string
	marks []string // of the daemons too
	undo  []func() error

	before  leak.Host
	bare    image // as default
	science image
	// interpreters of the host, the image's first.
	interpreters []interpreter
}

// image is what is known of an image of the data directory.
type image struct {
	root   string // its tree
	python string // in the tree
	source string // the host's interpreter that it was built from
	pip    []string
}

func newBench(_ context.Context, out io.Writer, p plan, data string) (*bench, error) {
	b := &bench{
		out: out, plan: p, data: data,
		program: repo.Path("bin", "tcid"),
		tools:   repo.Path("bin", "tools", "bench"),
		mark:    fmt.Sprintf("tcid-bench-%d", os.Getpid()),
		report:  &Report{Schema: 1, Date: time.Now().UTC().Format(time.RFC3339), Plan: p.name, Versions: map[string]string{}},
	}
	if data == "" {
		return nil, errors.New("no data directory with images: start this with scripts/bench, or name one with -data")
	}
	for _, path := range []string{b.program, data} {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("start this with scripts/bench, which makes what is missing: %w", err)
		}
	}
	var err error
	if b.before, err = leak.Snapshot(); err != nil {
		return nil, err
	}
	// Not /tmp, which may be a tmpfs and would count as memory.
	if b.tmp, err = os.MkdirTemp("/var/tmp", b.mark+"-"); err != nil {
		return nil, err
	}
	b.marks = []string{b.mark}
	b.later(func() error { return os.RemoveAll(b.tmp) })
	return b, nil
}

// later has something undone at the end; the last comes first.
func (b *bench) later(undo func() error) { b.undo = append(b.undo, undo) }

// close undoes everything and looks for what is left.
func (b *bench) close() error {
	var failed []error
	for len(b.undo) > 0 {
		last := b.undo[len(b.undo)-1]
		b.undo = b.undo[:len(b.undo)-1]
		failed = append(failed, last())
	}
	failed = append(failed, removeCgroups(b.mark))
	var left []string
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		now, err := leak.Snapshot()
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		if left = now.Of(b.marks...).Minus(b.before); len(left) == 0 {
			return errors.Join(failed...)
		}
		if time.Now().After(deadline) {
			break
		}
	}
	return errors.Join(append(failed, fmt.Errorf("left behind on the host:\n  %s", strings.Join(left, "\n  ")))...)
}

// progress says what is done now, beside the results.
func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}

// prepare finds out what there is to measure and to compare with.
func (b *bench) prepare(ctx context.Context) error {
	if err := b.report.lookAtHost(); err != nil {
		return err
	}
	b.report.Commit = output(ctx, "git", "-C", repo.Path(), "describe", "--always", "--dirty")
	var err error
	if b.bare, err = b.image(ctx, bareImage); err != nil {
		return err
	}
	if b.science, err = b.image(ctx, scienceImage); err != nil {
		return err
	}
	b.report.Versions["bubblewrap"] = strings.TrimPrefix(output(ctx, "bwrap", "--version"), "bubblewrap ")
	first, _, _ := strings.Cut(output(ctx, b.tool("runc"), "--version"), "\n")
	b.report.Versions["runc"] = strings.TrimPrefix(first, "runc version ")
	for _, p := range b.science.pip {
		name, version, _ := strings.Cut(p, "==")
		switch name {
		case "ipython", "numpy", "pandas", "matplotlib":
			b.report.Versions[name] = version
		}
	}
	if err := b.findInterpreters(ctx); err != nil {
		return err
	}
	d, err := b.startDaemon(ctx)
	if err != nil {
		return err
	}
	b.report.Daemon = d.about
	return d.stop()
}

// image asks our program about an image.
func (b *bench) image(ctx context.Context, name string) (image, error) {
	text, err := exec.CommandContext(ctx, b.program, "image", "ls", "--data-dir", b.data, "--json").Output()
	if err != nil {
		return image{}, fmt.Errorf("list the images of %s: %w", b.data, err)
	}
	var list struct {
		Data []struct {
			Name, Digest, Python, Source string
			Packages                     []string
		}
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return image{}, fmt.Errorf("list the images of %s: %w", b.data, err)
	}
	for _, i := range list.Data {
		if i.Name == name {
			root := filepath.Join(b.data, "images", i.Digest, "root")
			return image{root: root, python: i.Python, source: i.Source, pip: i.Packages}, nil
		}
	}
	return image{}, fmt.Errorf("%s has no image %q; scripts/bench makes it", b.data, name)
}

// tool is the path of something that scripts/bench installed.
func (b *bench) tool(name string) string { return filepath.Join(b.tools, name) }

// output is what a program prints, without white space around it; "" when it
// fails.
func output(ctx context.Context, name string, args ...string) string {
	text, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
