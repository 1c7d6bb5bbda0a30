package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	v1 "tcid/api/v1"
)

// maxInput bounds what is read to be sent in one request, which the daemon
// bounds too.
const maxInput = 64 << 20

// readSource reads a program: a file, or "-" for standard input.
func (a *app) readSource(ctx context.Context, name string) (string, error) {
	text, err := a.readInput(ctx, name)
	if err != nil {
		return "", err
	}
	if !utf8.Valid(text) {
		return "", usageError{fmt.Errorf("%s is not UTF-8 text", name)}
	}
	return string(text), nil
}

// readInput reads a file, or "-" for standard input.
func (a *app) readInput(ctx context.Context, name string) ([]byte, error) {
	if name == "-" {
		return a.readStdin(ctx)
	}
	return readFile(name)
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, usageError{err}
	}
	defer f.Close()
	return readBounded(f, name)
}

// readStdin gives up when the context ends: Ctrl-C is for the program then, and
// the terminal may have nothing more to say.
func (a *app) readStdin(ctx context.Context) ([]byte, error) {
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := readBounded(a.in, "standard input")
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func readBounded(r io.Reader, name string) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	var path *fs.PathError // it names the file, too
	if errors.As(err, &path) {
		err = path.Err
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("read %s: %w", name, err)}
	}
	if len(text) > maxInput {
		return nil, usageError{fmt.Errorf("%s is larger than %d MiB, the limit of a request; \"tcid session cp\" copies larger files", name, maxInput>>20)}
	}
	return text, nil
}

// readKeyFile reads the first key of a key file: "KEY" or "NAME KEY".
func readKeyFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("open the key file: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 0 && !strings.HasPrefix(fields[0], "#") {
			return fields[len(fields)-1], nil
		}
	}
	return "", fmt.Errorf("the key file %s holds no key", path)
}

// pairs reads NAME=VALUE arguments.
func pairs(flag string, args []string) (map[string]string, error) {
	if len(args) == 0 {
		return nil, nil
	}
	m := make(map[string]string, len(args))
	for _, arg := range args {
		k, v, ok := strings.Cut(arg, "=")
		if !ok || k == "" {
			return nil, usageError{fmt.Errorf("--%s %s: want NAME=VALUE", flag, arg)}
		}
		m[k] = v
	}
	return m, nil
}

// sessionFlags are the flags that make a SessionSpec.
type sessionFlags struct {
	ttl, idle     float64
	image         string
	isolation     string
	memory, pids  int64
	cpus          float64
	disk          int64
	env, metadata []string
}

func (s *sessionFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.image, "image", "", "image to run on (default \"default\")")
	f.StringVar(&s.isolation, "isolation", "", "how kernels start: fork, from a process that has the image's modules (default), or fresh")
	f.Int64Var(&s.memory, "memory-mb", 0, "memory limit in MiB (default 1024)")
	f.Float64Var(&s.cpus, "cpus", 0, "CPU limit, such as 1.5 (default 2, or what the host has)")
	f.Int64Var(&s.pids, "pids", 0, "limit of processes and threads (default 128)")
	f.Int64Var(&s.disk, "disk-mb", 0, "size of the workspace in MiB, which lies in memory (default 512, or half of the memory)")
	f.StringArrayVar(&s.env, "env", nil, "environment variable NAME=VALUE (repeatable)")
}

// given tells whether any of the flags was.
func (*sessionFlags) given(cmd *cobra.Command) bool {
	return slices.ContainsFunc([]string{"image", "isolation", "memory-mb", "cpus", "pids", "disk-mb", "env"}, cmd.Flags().Changed)
}

func (s *sessionFlags) spec(cmd *cobra.Command) (v1.SessionSpec, error) {
	spec := v1.SessionSpec{Image: s.image, Isolation: s.isolation}
	var err error
	if spec.Env, err = pairs("env", s.env); err != nil {
		return spec, err
	}
	if spec.Metadata, err = pairs("metadata", s.metadata); err != nil {
		return spec, err
	}
	if cmd.Flags().Changed("ttl") {
		spec.TTL = &s.ttl
	}
	if cmd.Flags().Changed("idle-timeout") {
		spec.IdleTimeout = &s.idle
	}
	spec.Resources = &v1.Resources{MemoryMB: s.memory, CPUs: s.cpus, Pids: s.pids, DiskMB: s.disk}
	return spec, nil
}

// execFlags are the flags that make an ExecSpec.
type execFlags struct {
	timeout   float64
	stdin     string
	files     []string
	code      string
	detach    bool
	outputDir string
}

func (e *execFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Float64Var(&e.timeout, "timeout", 0, "time limit in seconds (default 60)")
	f.StringVar(&e.stdin, "stdin", "", "file that the program reads as standard input, or -")
	f.StringArrayVar(&e.files, "file", nil, "file to put into the workspace, LOCAL or LOCAL:REMOTE (repeatable)")
	f.StringVar(&e.code, "code", "", "the program itself, in the place of a file")
	f.BoolVar(&e.detach, "detach", false, "print the execution's id and leave; \"tcid execution events\" shows its output")
	f.StringVar(&e.outputDir, "output-dir", "", "directory for pictures and other rich output, made when missing")
}

// spec makes an ExecSpec from the flags and the program's file, if one is
// named.
func (e *execFlags) spec(a *app, cmd *cobra.Command, program []string) (v1.ExecSpec, error) {
	var spec v1.ExecSpec
	var err error
	if e.detach && e.outputDir != "" {
		return spec, usageError{errors.New("--detach shows no output that --output-dir could keep; give that to \"tcid execution events\"")}
	}
	switch given := cmd.Flags().Changed("code"); {
	case given && len(program) > 0:
		return spec, usageError{errors.New("two programs are named: give a file, - for standard input, or --code")}
	case !given && len(program) == 0:
		return spec, usageError{errors.New("name the program: a file, - for standard input, or --code")}
	case given:
		spec.Code = e.code
	case program[0] == "-" && e.stdin == "-":
		return spec, usageError{errors.New("standard input can't be the program and its input")}
	default:
		if spec.Code, err = a.readSource(cmd.Context(), program[0]); err != nil {
			return spec, err
		}
	}
	if e.stdin != "" {
		input, err := a.readInput(cmd.Context(), e.stdin)
		if err != nil {
			return spec, err
		}
		if text := string(input); utf8.Valid(input) {
			spec.Stdin = &text
		} else {
			text = base64.StdEncoding.EncodeToString(input)
			spec.StdinBase64 = &text
		}
	}
	if cmd.Flags().Changed("timeout") {
		spec.Timeout = &e.timeout
	}
	for _, f := range e.files {
		file, err := inlineFile(f)
		if err != nil {
			return spec, err
		}
		spec.Files = append(spec.Files, file)
	}
	return spec, nil
}

func inlineFile(arg string) (v1.InlineFile, error) {
	local, remote, ok := strings.Cut(arg, ":")
	if !ok {
		remote = filepath.Base(local)
	}
	content, err := readFile(local)
	if err != nil {
		return v1.InlineFile{}, fmt.Errorf("--file: %w", err)
	}
	return v1.InlineFile{Name: remote, Encoding: "base64", Content: base64.StdEncoding.EncodeToString(content)}, nil
}
