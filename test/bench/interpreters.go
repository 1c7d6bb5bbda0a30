package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tcid/test/repo"
)

// places where interpreters of a host are; a shim or a link leads to one that
// is found under its own name.
var places = []string{
	"/usr/bin/python3.*", "/usr/local/bin/python3.*", "/opt/*/bin/python3",
	"$HOME/.pyenv/versions/*/bin/python3", "$HOME/.local/share/uv/python/*/bin/python3",
}

// oldest and oldestScience are the oldest versions that are measured at all, and
// with the data-science packages, whose versions want it.
var oldest, oldestScience = [2]int{3, 9}, [2]int{3, 11}

// interpreter is a real CPython: no shim, no link.
type interpreter struct {
	path    string
	version [2]int
	image   bool // the images were built from it
	p50     float64
	full    string
}

func (i interpreter) name() string { return fmt.Sprintf("bare %s (%s)", i.path, i.full) }

// findInterpreters finds the image's interpreter and the host's others, and
// which of them is the fastest.
func (b *bench) findInterpreters(ctx context.Context) error {
	if b.science.source != b.bare.source {
		return fmt.Errorf("the images were built from two interpreters, %s and %s", b.bare.source, b.science.source)
	}
	paths := []string{b.bare.source}
	for _, place := range places {
		found, _ := filepath.Glob(os.ExpandEnv(place))
		paths = append(paths, found...)
	}
	var seen []string
	for _, path := range paths {
		real, err := filepath.EvalSymlinks(path)
		if err != nil || slices.Contains(seen, real) {
			continue
		}
		seen = append(seen, real)
		i := interpreter{path: real, image: real == b.bare.source}
		// A script such as python3.11-config fails here.
		text := output(ctx, real, "-Ic", "import sys; print(sys.implementation.name, *sys.version_info[:3])")
		var micro int
		if _, err := fmt.Sscanf(text, "cpython %d %d %d", &i.version[0], &i.version[1], &micro); err != nil {
			continue
		}
		if slices.Compare(i.version[:], oldest[:]) < 0 {
			continue
		}
		i.full = fmt.Sprintf("%d.%d.%d", i.version[0], i.version[1], micro)
		b.interpreters = append(b.interpreters, i)
	}
	if len(b.interpreters) == 0 || !b.interpreters[0].image {
		return fmt.Errorf("the interpreter %s that the images were built from is gone", b.bare.source)
	}
	samples := make([]sample, len(b.interpreters))
	for round := range b.plan.probes {
		for _, n := range order(len(b.interpreters), round) {
			begin := time.Now()
			if err := b.runBare(ctx, b.interpreters[n].path, oneLine, "2\n"); err != nil {
				return err
			}
			samples[n] = append(samples[n], time.Since(begin))
		}
	}
	for n := range b.interpreters {
		i := &b.interpreters[n]
		i.p50 = samples[n].ms(50)
		b.report.Interpreters = append(b.report.Interpreters, Interpreter{Path: i.path, Version: i.full, P50: i.p50, Image: i.image})
	}
	return nil
}

// baselines are the image's interpreter and the fastest other one that is new
// enough.
func (b *bench) baselines(least [2]int) []interpreter {
	list := b.interpreters[:1:1]
	var best *interpreter
	for n := range b.interpreters[1:] {
		i := &b.interpreters[n+1]
		if slices.Compare(i.version[:], least[:]) >= 0 && (best == nil || i.p50 < best.p50) {
			best = i
		}
	}
	if best != nil {
		list = append(list, *best)
	}
	return list
}

// environment is what a bare Python gets: nothing of ours, such as paths or
// tuning of libraries, that would make it slower or faster.
func (b *bench) environment() []string {
	return []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + b.tmp}
}

// runBare runs a program in a Python of the host and checks what it writes.
func (b *bench) runBare(ctx context.Context, python, code, want string) error {
	cmd := exec.CommandContext(ctx, python, "-c", code)
	cmd.Env = b.environment()
	cmd.Dir = b.tmp
	return wantOutput(cmd, want)
}

// wantOutput runs a command and checks what it writes.
func wantOutput(cmd *exec.Cmd, want string) error {
	var stderr strings.Builder
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w: %s", err, stderr.String())
	}
	if string(text) != want {
		return fmt.Errorf("it wrote %q instead of %q: %s", text, want, stderr.String())
	}
	return nil
}

// venv makes a virtual environment of an interpreter with packages of the
// science image's versions, and with others; it is kept for the next run.
func (b *bench) venv(ctx context.Context, i interpreter, names, others []string) (string, error) {
	requirements := slices.Clone(others)
	for _, p := range b.science.pip {
		if name, _, _ := strings.Cut(p, "=="); slices.Contains(names, name) {
			requirements = append(requirements, p)
		}
	}
	dir := b.tool("venv-" + i.full + "-" + names[0])
	stamp := strings.Join(append([]string{i.path}, requirements...), " ") + "\n"
	if text, err := os.ReadFile(filepath.Join(dir, "stamp")); err == nil && string(text) == stamp {
		return filepath.Join(dir, "bin", "python3"), nil
	}
	b.progress("a virtual environment of %s with %s", i.path, strings.Join(requirements, " "))
	cmd := exec.CommandContext(ctx, repo.Path("scripts", "venv"), append([]string{dir}, requirements...)...)
	cmd.Env = append(os.Environ(), "PYTHON="+i.path)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make a virtual environment of %s: %w\n%s", i.path, err, text)
	}
	return filepath.Join(dir, "bin", "python3"), os.WriteFile(filepath.Join(dir, "stamp"), []byte(stamp), 0o644)
}
