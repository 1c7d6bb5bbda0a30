// Package hostile runs programs that attack the sandbox, and shows that each of
// them would succeed without what stops it. README.md says how one is written.
package hostile

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tcid/api/client"
	v1 "tcid/api/v1"
	daemonpkg "tcid/daemon"
	"tcid/test/leak"
	"tcid/test/repo"
)

// The daemons' binaries: the product, and the one that can be weakened.
var (
	product  = repo.Path("bin", "tcid")
	weakened = repo.Path("bin", "tcid-weak")
	dataDir  string
)

func TestMain(m *testing.M) {
	code, err := setUp(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		code = 1
	}
	os.Exit(code)
}

func setUp(m *testing.M) (int, error) {
	for _, path := range []string{product, weakened} {
		if _, err := os.Stat(path); err != nil {
			return 1, fmt.Errorf("there is no %s: run make build bin/tcid-weak first", path)
		}
	}
	var err error
	if dataDir, err = os.MkdirTemp("/var/tmp", "tcid-hostile-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(dataDir)
	if out, err := exec.Command(product, "image", "build", "--data-dir", dataDir).CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build the image: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// daemon is one that runs until the test ends, and must leave nothing.
type daemon struct {
	*client.Client
	socket string
	cmd    *exec.Cmd
	log    *logBuffer
}

// logBuffer shows a daemon's log, and keeps it.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	return os.Stderr.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func start(t *testing.T, binary string, weaken []string, env ...string) *daemon {
	t.Helper()
	return startWith(t, binary, weaken, nil, env...)
}

func startWith(t *testing.T, binary string, weaken, args []string, env ...string) *daemon {
	t.Helper()
	state, err := os.MkdirTemp("/run", "tcid-hostile-")
	if err != nil {
		t.Fatal(err)
	}
	leak.Check(t, state, daemonpkg.Config{StateDir: state}.CgroupPath())
	if err := os.Chmod(state, 0o711); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"serve", "--ephemeral", "--state-dir", state, "--data-dir", dataDir, "--log-level", "error"}, args...)
	cmd := exec.Command(binary, args...)
	cmd.Env = append(append(os.Environ(), "TCID_WEAKEN="+strings.Join(weaken, " ")), env...)
	log := &logBuffer{}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(time.Minute):
			_ = cmd.Process.Kill()
			t.Error("the daemon did not stop")
		}
		if err := os.RemoveAll(state); err != nil {
			t.Error(err)
		}
	})
	socket := filepath.Join(state, "tcid.sock")
	d := &daemon{client.New(client.Options{Socket: socket, Retries: -1}), socket, cmd, log}
	for deadline := time.Now().Add(time.Minute); ; {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := d.Ready(ctx)
		cancel()
		if err == nil {
			return d
		}
		select {
		case <-exited:
			t.Fatal("the daemon ended at its start")
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the daemon is not ready: %v", err)
		}
	}
}

const victimSetup = `import os, socket
secret = "of the victim"
open("secret.txt", "w").write(secret)`

// attack runs a program in a session of its own and returns what it flagged.
func (d *daemon) attack(t *testing.T, p program, isolation string) (flags []string, e v1.Execution) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	attack, err := fs.ReadFile(files, "attack.py")
	if err != nil {
		t.Fatal(err)
	}
	spec := v1.SessionSpec{Isolation: isolation, Resources: &p.resources, Files: []v1.InlineFile{{Name: "attack.py", Encoding: "string", Content: string(attack)}}}
	code := p.code
	if p.victim {
		victim, err := d.CreateSession(ctx, v1.SessionSpec{Isolation: isolation})
		if err != nil {
			t.Fatal(err)
		}
		defer d.close(t, victim.ID)
		if _, err := d.Execute(ctx, victim.ID, v1.ExecSpec{Code: victimSetup}); err != nil {
			t.Fatal(err)
		}
		spec.Env = map[string]string{"VICTIM": victim.ID}
	}
	s, err := d.CreateSession(ctx, spec)
	if err != nil {
		t.Fatalf("create a session: %v", err)
	}
	d.forgetPeak(t)
	begun, before := time.Now(), d.peak(t)
	e, flags = d.execute(ctx, t, s.ID, code, p)
	then := d.follow(ctx, t, s.ID, p)
	d.close(t, s.ID)
	flags = append(flags, believed(p.claims, &observed{e, then, time.Since(begun), d.peak(t) - before})...)
	for line := range strings.Lines(e.Stdout) {
		if text, ok := strings.CutPrefix(line, "FLAG"); ok {
			flags = append(flags, strings.TrimSpace(text))
		}
	}
	return flags, e
}

func (d *daemon) close(t *testing.T, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	if err := d.CloseSession(ctx, id); err != nil {
		t.Errorf("close the session: %v", err)
	}
}

// neighbour keeps computing 1+1 in a session of its own.
type neighbour struct {
	d    *daemon
	id   string
	mu   sync.Mutex
	took []time.Duration
	stop context.CancelFunc
	done chan struct{}
}

const neighbourPause = 10 * time.Millisecond

func (d *daemon) neighbour(t *testing.T) *neighbour {
	t.Helper()
	s, err := d.CreateSession(t.Context(), v1.SessionSpec{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	n := &neighbour{d: d, id: s.ID, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(n.done)
		for ctx.Err() == nil {
			begin := time.Now()
			e, err := d.Execute(ctx, n.id, v1.ExecSpec{Code: "1+1"})
			if ctx.Err() != nil {
				return
			}
			if err != nil || string(e.Result) != "2" {
				t.Errorf("the neighbour: %v, %s %s", err, e.Status, e.Result)
			}
			n.mu.Lock()
			n.took = append(n.took, time.Since(begin))
			n.mu.Unlock()
			time.Sleep(neighbourPause)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-n.done
		d.close(t, n.id)
	})
	return n
}

// p99 of what was measured since the last call, and how often.
func (n *neighbour) p99() (time.Duration, int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	took := n.took
	n.took = nil
	if len(took) == 0 {
		return 0, 0
	}
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	return took[len(took)*99/100], len(took)
}

// neighbourBudget is what a neighbour's 1+1 may take at worst while a program
// runs; figures are printed, and far better.
const neighbourBudget = time.Second

// TestContained runs every program in the product, however kernels start. Three
// daemons share them, which notice nothing of each other: some programs mostly
// wait, and interpreters that start fresh take longest.
func TestContained(t *testing.T) {
	all := programs(t)
	for _, part := range []struct {
		name, isolation string
		list            []program
	}{
		{"fork", "fork", all},
		{"fresh", "fresh", slices.DeleteFunc(slices.Clone(all), func(p program) bool { return !reachesOthers(p) })},
		{"fresh, telling", "fresh", slices.DeleteFunc(slices.Clone(all), reachesOthers)},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			testContained(t, part.isolation, part.list)
		})
	}
}

func testContained(t *testing.T, isolation string, list []program) {
	d := start(t, product, nil)
	n := d.neighbour(t)
	for _, p := range list {
		t.Run(p.name, func(t *testing.T) {
			n.p99()
			flags, e := d.attack(t, p, isolation)
			if len(flags) > 0 {
				t.Errorf("%s It got through: %s", p.about, strings.Join(flags, "; "))
			}
			if !slices.Contains(p.expect, e.Status) {
				t.Errorf("it ended with %s, not %s: %.600s %.600s", e.Status, strings.Join(p.expect, " or "), e.Stdout, e.Stderr)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := d.Ready(ctx); err != nil {
				t.Errorf("the daemon does not answer: %v", err)
			}
			slowest, count := n.p99()
			t.Logf("neighbour: p99 %v of %d", slowest.Round(time.Microsecond), count)
			if slowest > neighbourBudget {
				t.Errorf("a neighbour's 1+1 took %v", slowest)
			}
		})
	}
}

// reachesOthers tells whether a program that gets through may disturb more than
// its own daemon: the others only tell that untruths, and mostly wait.
func reachesOthers(p program) bool {
	return !slices.Contains([]string{"channel", "files", "forgery"}, p.group)
}

// TestControls runs every program where what stops it is left out: then it must
// get through.
func TestControls(t *testing.T) {
	t.Parallel() // with TestRequests, which waits
	bySet := map[string][]program{}
	for _, p := range programs(t) {
		slices.Sort(p.weaken)
		key := strings.Join(p.weaken, " ")
		bySet[key] = append(bySet[key], p)
	}
	for weaken, list := range bySet {
		t.Run(strings.ReplaceAll(weaken, " ", "+"), func(t *testing.T) {
			if !slices.ContainsFunc(list, reachesOthers) {
				t.Parallel()
			}
			d := start(t, weakened, strings.Fields(weaken))
			for _, p := range list {
				t.Run(p.name, func(t *testing.T) {
					if flags, e := d.attack(t, p, p.control); len(flags) == 0 {
						t.Errorf("%s It fails also without %s: %s, %.600s %.600s", p.about, weaken, e.Status, e.Stdout, e.Stderr)
					}
				})
			}
		})
	}
}

// The groups have at least so many programs.
func TestNumbers(t *testing.T) {
	count := map[string]int{}
	for _, p := range programs(t) {
		count[p.group]++
	}
	for group, least := range map[string]int{"escape": 15, "exhaustion": 15, "leak": 8, "neighbour": 8, "channel": 8,
		"files": 8, "forgery": 20} {
		if count[group] < least {
			t.Errorf("%d programs of the group %s, fewer than %d", count[group], group, least)
		}
	}
	if count["http"] = len(requests); count["http"] < 12 {
		t.Errorf("%d attacks over HTTP, fewer than 12", count["http"])
	}
	t.Log(count)
}
