package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"tcid/api/client"
	v1 "tcid/api/v1"
)

// transferSession has room for the file, and for the copy that replaces it.
const transferRoom = 3

// transfer: a large file into and out of a session, beside cp to a tmpfs.
func (b *bench) transfer(ctx context.Context, row *Row) (err error) {
	d, err := b.startDaemon(ctx)
	if err != nil {
		return err
	}
	c := d.client()
	defer c.Close()
	mib := int64(b.plan.transferMiB)
	s, err := c.CreateSession(ctx, v1.SessionSpec{Resources: &v1.Resources{MemoryMB: transferRoom * mib, DiskMB: transferRoom*mib - 64}})
	if err != nil {
		return err
	}
	// Where cp copies from and to is memory too.
	memory := filepath.Join(b.tmp, "memory")
	if err := os.Mkdir(memory, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", memory, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount a tmpfs: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Unmount(memory, unix.MNT_DETACH)) }()
	source, target := filepath.Join(memory, "source"), filepath.Join(memory, "target")
	if err := writeRandom(source, mib<<20); err != nil {
		return err
	}
	const name = "file"
	list := []contender{
		stateless("cp", "", func(ctx context.Context) error { return exec.CommandContext(ctx, "cp", source, target).Run() }),
		stateless(ourName+" upload", d.isolation(), func(ctx context.Context) error {
			f, err := os.Open(source)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = c.Upload(ctx, s.ID, name, f, client.UploadOptions{})
			return err
		}),
		stateless(ourName+" download", d.isolation(), func(ctx context.Context) error {
			body, err := c.Download(ctx, s.ID, name)
			if err != nil {
				return err
			}
			defer body.Close()
			n, err := io.Copy(io.Discard, body)
			if err == nil && n != mib<<20 {
				err = fmt.Errorf("%d bytes came", n)
			}
			return err
		}),
	}
	// The upload comes first once, so that there is something to download.
	results, err := latency(ctx, append(list[1:2:2], list[0], list[2]), b.plan.transfers, 1)
	if err != nil {
		return err
	}
	for _, r := range results {
		r.Value = float64(mib) / (r.P50 / 1000)
	}
	g := row.group(fmt.Sprintf("%d MiB", mib), unitMiBps, "cp", results)
	for _, what := range []string{"upload", "download"} {
		row.atLeast("times cp to a tmpfs: "+what, g.find(ourName+" "+what).Ratio, "×", transferMust, transferStretch)
	}
	if err := c.CloseSession(ctx, s.ID); err != nil {
		return err
	}
	return d.stop()
}

func writeRandom(path string, size int64) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.CopyN(f, rand.Reader, size)
	return err
}
