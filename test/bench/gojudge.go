package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const goJudgeIsolation = "container of its own kind: namespaces, cgroup limits, read-only root; no system call filter"

// goJudge is a go-judge server of our own, which runs the same Python.
type goJudge struct {
	url    string
	python string
	token  string
	client *http.Client
}

// startGoJudge starts the pinned go-judge (tools/go.mod) with the image as its
// root. Without it there is no bench: it is what row 2 is about.
func (b *bench) startGoJudge(ctx context.Context) (*goJudge, error) {
	dir := filepath.Join(b.tmp, "gojudge")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	mounts := filepath.Join(dir, "mount.yaml")
	if err := os.WriteFile(mounts, []byte(b.goJudgeMounts()), 0o644); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	g := &goJudge{
		url: "http://127.0.0.1:" + port, python: b.bare.python, token: b.mark,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: maxClients, MaxIdleConns: maxClients}},
	}
	cmd := exec.Command(b.tool("go-judge"), "-http-addr", "127.0.0.1:"+port, "-auth-token", g.token, "-mount-conf", mounts,
		"-cgroup-prefix", b.mark, "-no-fallback", "-silent", "-release", "-pre-fork", "8", "-parallelism", "8", "-dir", dir)
	var log bytes.Buffer
	cmd.Stderr, cmd.Stdout = &log, &log
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start go-judge: %w", err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	b.later(func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(10 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-exited
		}
		return nil
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := g.run(ctx)
		if err == nil {
			return g, nil
		}
		select {
		case <-exited:
			return nil, fmt.Errorf("go-judge ended: %s", log.String())
		default:
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("go-judge does not run the program: %w\n%s", err, log.String())
		}
	}
}

// run runs the one line and checks what it wrote.
func (g *goJudge) run(ctx context.Context) error {
	type m = map[string]any
	body, err := json.Marshal(m{"cmd": []m{{
		"args": []string{g.python, "-c", oneLine}, "env": []string{"PATH=/usr/bin"},
		"files":    []m{{"content": ""}, {"name": "stdout", "max": 10240}, {"name": "stderr", "max": 10240}},
		"cpuLimit": 10_000_000_000, "clockLimit": 30_000_000_000, "memoryLimit": 1 << 30, "procLimit": 128,
	}}})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+"/run", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+g.token)
	response, err := g.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer []struct {
		Status, Error string
		Files         map[string]string
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("read go-judge's answer (%s): %w", response.Status, err)
	}
	if len(answer) != 1 || answer[0].Status != "Accepted" || answer[0].Files["stdout"] != oneLineSays {
		return fmt.Errorf("go-judge answered %+v", answer)
	}
	return nil
}

func (g *goJudge) contender() contender {
	return stateless("go-judge", goJudgeIsolation, g.run)
}

// goJudgeMounts has the image's files as the root.
func (b *bench) goJudgeMounts() string {
	var y strings.Builder
	y.WriteString("mount:\n")
	for _, name := range []string{"usr", "etc"} {
		fmt.Fprintf(&y, "  - {type: bind, source: %q, target: /%s, readonly: true}\n", filepath.Join(b.bare.root, name), name)
	}
	for _, device := range []string{"null", "zero", "urandom", "random", "full"} {
		fmt.Fprintf(&y, "  - {type: bind, source: /dev/%[1]s, target: /dev/%[1]s}\n", device)
	}
	y.WriteString("  - {type: tmpfs, target: /w, data: \"size=128m,nr_inodes=4k\"}\n")
	y.WriteString("  - {type: tmpfs, target: /tmp, data: \"size=128m,nr_inodes=4k\"}\n")
	y.WriteString("proc: true\nsymLink:\n")
	for _, name := range []string{"bin", "lib", "lib64"} {
		fmt.Fprintf(&y, "  - {linkPath: /%[1]s, target: usr/%[1]s}\n", name)
	}
	y.WriteString("workDir: /w\nhostName: bench\ndomainName: bench\nuid: 1536\ngid: 1536\n")
	return y.String()
}

// freePort is a port of loopback that nobody uses now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}
