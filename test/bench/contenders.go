package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"tcid/api/client"
	v1 "tcid/api/v1"
)

// oneLine is the program of the one-shots; what it writes is checked.
const (
	oneLine     = "print(1+1)"
	oneLineSays = "2\n"
)

// noIsolation is what a program of the host's has around it.
const noIsolation = "none: a process of the host's root"

// ourOneShot is tcid's one-shot over the Unix socket.
func (d *daemon) ourOneShot(kind string) contender {
	return d.contender(kind, func(ctx context.Context, c *client.Client) error {
		spec := v1.OneShot{ExecSpec: v1.ExecSpec{Code: oneLine}}
		if kind != "" {
			spec.Session = &v1.SessionSpec{Isolation: kind}
		}
		e, err := c.RunOnce(ctx, spec)
		return wantOK(e, err, oneLineSays, "")
	})
}

// ourSession makes a session on the science image, runs code in it and closes it.
func (d *daemon) ourSession(kind, code, result string) contender {
	return d.contender(kind, func(ctx context.Context, c *client.Client) error {
		s, err := c.CreateSession(ctx, v1.SessionSpec{Image: scienceImage, Isolation: kind})
		if err != nil {
			return err
		}
		e, err := c.Execute(ctx, s.ID, v1.ExecSpec{Code: code})
		if err := wantOK(e, err, "", result); err != nil {
			return err
		}
		return c.CloseSession(ctx, s.ID)
	})
}

// contender is a tcid whose clients have connections of their own.
func (d *daemon) contender(kind string, work func(ctx context.Context, c *client.Client) error) contender {
	return contender{name: d.nameOf(kind), isolation: d.isolation(), open: func(context.Context) (worker, error) {
		c := d.client()
		return worker{once: timed(func(ctx context.Context) error { return work(ctx, c) }), close: c.Close}, nil
	}}
}

// bareContenders run a program in interpreters of the host, as they are.
func (b *bench) bareContenders(code, want string) (list []contender, names []string) {
	for _, i := range b.baselines(oldest) {
		list = append(list, stateless(i.name(), noIsolation, func(ctx context.Context) error {
			return b.runBare(ctx, i.path, code, want)
		}))
		names = append(names, i.name())
	}
	return list, names
}

// bubblewrap runs the image's Python in new namespaces, with the image as its root.
func (b *bench) bubblewrap() contender {
	args := []string{"--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", b.bare.root, "/", "--proc", "/proc",
		"--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/workspace", "--chdir", "/workspace", "--clearenv",
		"--setenv", "PATH", "/usr/bin", b.bare.python, "-c", oneLine}
	return stateless("bubblewrap", "six namespaces, read-only root; no system call filter, no cgroup", func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, "bwrap", args...)
		cmd.Env = b.environment()
		return wantOutput(cmd, oneLineSays)
	})
}

// runc runs the image's Python in a container of runc's, with limits.
func (b *bench) runc() (contender, error) {
	bundle := filepath.Join(b.tmp, "bundle")
	if err := os.MkdirAll(bundle, 0o755); err != nil {
		return contender{}, err
	}
	spec, err := json.Marshal(b.runcSpec())
	if err != nil {
		return contender{}, err
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), spec, 0o644); err != nil {
		return contender{}, err
	}
	state := filepath.Join(b.tmp, "runc")
	var number atomic.Int64
	return stateless("runc run", "container: namespaces, cgroup limits, no capabilities, read-only root; no system call filter", func(ctx context.Context) error {
		id := b.mark + "-" + strconv.FormatInt(number.Add(1), 10)
		cmd := exec.CommandContext(ctx, b.tool("runc"), "--root", state, "run", "--bundle", bundle, id)
		cmd.Env = b.environment()
		return wantOutput(cmd, oneLineSays)
	}), nil
}

// runcSpec is an OCI bundle's configuration.
func (b *bench) runcSpec() map[string]any {
	type m = map[string]any
	mount := func(kind, at string, options ...string) m {
		return m{"destination": at, "type": kind, "source": kind, "options": append([]string{"nosuid"}, options...)}
	}
	var namespaces []m
	for _, kind := range []string{"pid", "network", "ipc", "uts", "mount", "cgroup"} {
		namespaces = append(namespaces, m{"type": kind})
	}
	return m{
		"ociVersion": "1.0.2",
		"process": m{
			"user": m{"uid": 1000, "gid": 1000}, "cwd": "/workspace", "args": []string{b.bare.python, "-c", oneLine},
			"env": []string{"PATH=/usr/bin"}, "noNewPrivileges": true,
		},
		"root": m{"path": b.bare.root, "readonly": true},
		"mounts": []m{mount("proc", "/proc"), mount("tmpfs", "/dev", "mode=755"), mount("tmpfs", "/dev/shm", "nodev"),
			mount("tmpfs", "/tmp", "nodev"), mount("tmpfs", "/workspace", "nodev", "mode=1777")},
		"linux": m{
			"namespaces": namespaces, "cgroupsPath": "/" + b.mark + "/runc",
			"resources":   m{"memory": m{"limit": 1 << 30}, "pids": m{"limit": 128}},
			"maskedPaths": []string{"/proc/kcore", "/proc/keys", "/sys/firmware"}, "readonlyPaths": []string{"/proc/sys"},
		},
	}
}
