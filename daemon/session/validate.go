package session

import (
	"errors"
	"math"
	"sort"
	"strings"
	"time"

	"tcid/daemon/grade"
	"tcid/sandbox"
	"tcid/sandbox/workspace"
)

// The one language and network mode so far.
const (
	LanguagePython = "python"
	NetworkNone    = "none"
)

// complete fills a spec's empty fields and reports what is wrong with it.
func (c Config) complete(s Spec) (Spec, error) {
	if s.Language == "" {
		s.Language = LanguagePython
	}
	if s.Language != LanguagePython {
		return s, &Error{Code: CodeUnsupported, Param: "language",
			Message: "language " + quote(s.Language) + " is not supported; use \"python\""}
	}
	if s.Isolation == "" {
		s.Isolation = sandbox.StartFork
	}
	if s.Isolation != sandbox.StartFork && s.Isolation != sandbox.StartFresh {
		return s, &Error{Code: CodeUnsupported, Param: "isolation",
			Message: "isolation " + quote(s.Isolation) + " is not supported; use \"fork\" or \"fresh\""}
	}
	if s.NetworkMode == "" {
		s.NetworkMode = NetworkNone
	}
	if s.NetworkMode != NetworkNone {
		return s, &Error{Code: CodeUnsupported, Param: "network.mode",
			Message: "network mode " + quote(s.NetworkMode) + " is not supported; sessions have loopback only (\"none\")"}
	}
	if s.TTL < 0 || s.TTL > MaxLifetime {
		return s, invalid("ttl", "ttl must be between 0 and %.0f seconds", MaxLifetime.Seconds())
	}
	if s.IdleTimeout == nil {
		s.IdleTimeout = &c.IdleTimeout
	}
	if *s.IdleTimeout < 0 || *s.IdleTimeout > MaxLifetime {
		return s, invalid("idle_timeout", "idle_timeout must be between 0 (never) and %.0f seconds", MaxLifetime.Seconds())
	}
	if err := checkMetadata(s.Metadata); err != nil {
		return s, err
	}
	if err := checkEnv("env", s.Env); err != nil {
		return s, err
	}
	if err := checkCwd(s.Cwd); err != nil {
		return s, err
	}
	if err := c.checkFiles(s.Files); err != nil {
		return s, err
	}
	var err error
	s.Resources, err = c.completeResources(s.Resources)
	return s, err
}

func (c Config) completeResources(r Resources) (Resources, error) {
	r.MemoryMB = orDefault(r.MemoryMB, c.Default.MemoryMB)
	r.CPUs = orDefault(r.CPUs, c.Default.CPUs)
	r.Pids = orDefault(r.Pids, c.Default.Pids)
	// The workspace lies in the session's memory: by default at most half.
	r.DiskMB = orDefault(r.DiskMB, max(c.Floor.DiskMB, min(c.Default.DiskMB, r.MemoryMB/2)))
	switch {
	case r.MemoryMB < c.Floor.MemoryMB || r.MemoryMB > c.Ceiling.MemoryMB:
		return r, invalid("resources.memory_mb", "memory_mb must be between %d and %d", c.Floor.MemoryMB, c.Ceiling.MemoryMB)
	case math.IsNaN(r.CPUs) || r.CPUs < c.Floor.CPUs || r.CPUs > c.Ceiling.CPUs:
		return r, invalid("resources.cpus", "cpus must be between %g and %g", c.Floor.CPUs, c.Ceiling.CPUs)
	case r.Pids < c.Floor.Pids || r.Pids > c.Ceiling.Pids:
		return r, invalid("resources.pids", "pids must be between %d and %d", c.Floor.Pids, c.Ceiling.Pids)
	case r.DiskMB < c.Floor.DiskMB || r.DiskMB > min(c.Ceiling.DiskMB, r.MemoryMB):
		return r, invalid("resources.disk_mb", "disk_mb must be between %d and memory_mb (%d): the workspace lies in memory", c.Floor.DiskMB, r.MemoryMB)
	}
	return r, nil
}

// limits turns a completed request into what the sandbox enforces.
func (r Resources) limits() sandbox.Limits {
	disk := r.DiskMB << 20
	return sandbox.Limits{
		MemoryBytes: r.MemoryMB << 20,
		CPUs:        r.CPUs,
		Pids:        r.Pids,
		DiskBytes:   disk,
		DiskInodes:  min(max(disk/bytesPerInode, minInodes), maxInodes),
		ShmBytes:    min(shmBytes, r.MemoryMB<<20/2),
		OpenFiles:   openFiles,
	}
}

// completeExec fills an execution's empty fields and reports what is wrong.
func (c Config) completeExec(e ExecSpec) (ExecSpec, error) {
	if int64(len(e.Code)) > c.CodeBytes {
		return e, invalid("code", "code has %d bytes, more than the %d allowed; upload it as a file and run that", len(e.Code), c.CodeBytes)
	}
	if strings.ContainsRune(e.Code, 0) {
		return e, invalid("code", "code must not contain NUL characters")
	}
	e.Timeout = orDefault(e.Timeout, c.ExecTimeout)
	if e.Timeout < 0 || e.Timeout > c.MaxExecTimeout {
		return e, invalid("timeout", "timeout must be above 0 and at most %.0f seconds", c.MaxExecTimeout.Seconds())
	}
	e.MaxOutputBytes = orDefault(e.MaxOutputBytes, c.OutputBytes)
	if e.MaxOutputBytes < 0 || e.MaxOutputBytes > c.MaxOutputBytes {
		return e, invalid("max_output_bytes", "max_output_bytes must be between 1 and %d", c.MaxOutputBytes)
	}
	if err := checkEnv("env", e.Env); err != nil {
		return e, err
	}
	if err := checkCwd(e.Cwd); err != nil {
		return e, err
	}
	if err := c.checkFiles(e.Files); err != nil {
		return e, err
	}
	if len(e.Tests) > c.TestsPerExecution {
		return e, invalid("tests", "at most %d tests are allowed, not %d", c.TestsPerExecution, len(e.Tests))
	}
	for i := range e.Tests {
		t := &e.Tests[i]
		t.Timeout = orDefault(t.Timeout, c.TestTimeout)
		if t.Timeout < 0 || t.Timeout > c.MaxExecTimeout {
			return e, invalid("tests", "tests[%d]: timeout must be above 0 and at most %.0f seconds", i, c.MaxExecTimeout.Seconds())
		}
		if t.Type != grade.TypeCondition || t.Condition == "" {
			return e, invalid("tests", "tests[%d]: a test of an execution needs a condition", i)
		}
	}
	if err := grade.Check(e.Tests, e.Grading); err != nil {
		return e, invalid("tests", "%s", err.Error())
	}
	return e, nil
}

func (c Config) checkFiles(files []File) error {
	for _, f := range files {
		if _, err := workspace.CleanNew(f.Name); err != nil {
			return invalid("files", "%s", err.Error())
		}
		if int64(len(f.Content)) > c.InlineFileBytes {
			return invalid("files", "file %s has %d bytes; at most %d fit in a JSON body, upload it with PUT instead",
				quote(f.Name), len(f.Content), c.InlineFileBytes)
		}
	}
	return nil
}

func checkCwd(cwd string) error {
	if cwd == "" || cwd == "." || cwd == workspace.Home {
		return nil
	}
	if _, err := workspace.Clean(cwd); err != nil {
		return invalid("cwd", "cwd: %s", err.Error())
	}
	return nil
}

func checkMetadata(m map[string]string) error {
	if len(m) > maxMetadataKeys {
		return invalid("metadata", "metadata has %d keys, more than %d", len(m), maxMetadataKeys)
	}
	for k, v := range m {
		if k == "" || len(k) > maxMetadataKey || len(v) > maxMetadataValue {
			return invalid("metadata", "metadata keys have 1 to %d bytes and values at most %d", maxMetadataKey, maxMetadataValue)
		}
	}
	return nil
}

func checkEnv(param string, env map[string]string) error {
	total := 0
	for k, v := range env {
		if k == "" || strings.ContainsAny(k, "=\x00") || strings.ContainsRune(v, 0) {
			return invalid(param, "%s: %s is not a valid environment variable: names must not be empty or contain '=', and nothing may contain NUL", param, quote(k))
		}
		total += len(k) + len(v) + 2
	}
	if total > maxEnvBytes {
		return invalid(param, "%s has %d bytes, more than %d", param, total, maxEnvBytes)
	}
	return nil
}

// environ lists env as NAME=value, in a fixed order.
func environ(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for k, v := range env {
		list = append(list, k+"="+v)
	}
	sort.Strings(list)
	return list
}

// fileError turns a failure to write a request's file into the client's error.
func fileError(err error, name string) error {
	if errors.Is(err, workspace.ErrNoSpace) {
		return invalid("files", "there is no space for file %s in the workspace", quote(name))
	}
	return invalid("files", "file %s can't be written: %s", quote(name), err.Error())
}

func orDefault[T int64 | float64 | time.Duration](v, fallback T) T {
	if v == 0 {
		return fallback
	}
	return v
}

// quote shows a client's text in a message: bounded, on one line.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most] + "…"
	}
	return `"` + strings.Map(func(r rune) rune {
		if r < ' ' || r == '"' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?")) + `"`
}
