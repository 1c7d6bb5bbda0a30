package rootfs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// BuildOptions say what image to make.
type BuildOptions struct {
	Name   string // default DefaultName; an image of that name is replaced
	Python string // path or name of the interpreter; default: the first CPython on PATH
	// Progress, when set, is told what goes on, a line at a time.
	Progress func(line string)
}

// Build makes an image from a CPython of the host and gives it a name. It is
// seen by others whole or not at all. Content that is there already is used
// again.
func (s *Store) Build(ctx context.Context, o BuildOptions) (Image, error) {
	if o.Name == "" {
		o.Name = DefaultName
	}
	if err := checkName(o.Name); err != nil {
		return Image{}, err
	}
	say := o.Progress
	if say == nil {
		say = func(string) {}
	}
	py, err := findPython(ctx, o.Python)
	if err != nil {
		return Image{}, err
	}
	say(fmt.Sprintf("using Python %s: %s", py.version(), py.Executable))
	unlock, err := s.lock(ctx, func() { say("waiting for another build to finish") })
	if err != nil {
		return Image{}, err
	}
	defer unlock()
	if err := s.sweep(); err != nil {
		return Image{}, err
	}
	work, err := os.MkdirTemp(s.path(tempDir), "build-")
	if err != nil {
		return Image{}, fmt.Errorf("build an image: %w", err)
	}
	defer os.RemoveAll(work)
	img, err := build(ctx, py, work, say)
	if err != nil {
		return Image{}, fmt.Errorf("build image %s: %w", o.Name, err)
	}
	if err := s.publish(img.Digest, work); err != nil {
		return Image{}, fmt.Errorf("publish image %s: %w", o.Name, err)
	}
	if err := s.setName(o.Name, img.Digest); err != nil {
		return Image{}, fmt.Errorf("name image %s: %w", o.Name, err)
	}
	if _, err := s.prune(); err != nil {
		return Image{}, err
	}
	return s.load(o.Name, img.Digest)
}

// build makes the tree and its description in an empty directory.
func build(ctx context.Context, py interpreter, work string, say func(string)) (Image, error) {
	t := &tree{root: filepath.Join(work, rootDir), sources: map[string]string{}}
	l, err := newLoader(ctx)
	if err != nil {
		return Image{}, err
	}
	if err := os.Mkdir(t.root, 0o755); err != nil {
		return Image{}, err
	}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"", t.addSkeleton},
		{"copying Python and its standard library", func() error { return t.addPython(ctx, py) }},
		{"copying programs", t.addPrograms},
		{"", func() error { return t.addData(ctx, py) }},
		{"", t.addEtc},
		{"copying shared libraries", func() error { return t.addLibraries(ctx, l) }},
		{"", func() error { return t.addClosure(ctx, l, say) }},
		{"", func() error { return t.writeCache(ctx) }},
		{"", t.fixModes},
	} {
		if step.what != "" {
			say(step.what)
		}
		if err := step.do(); err != nil {
			return Image{}, err
		}
	}
	say("hashing")
	m, err := readTree(ctx, t.root)
	if err != nil {
		return Image{}, err
	}
	img := Image{
		Digest: m.digest(), Python: "/usr/bin/python3", PythonVersion: py.version(), Source: py.Executable,
		Packages: t.packages(py), Preload: []string{}, CreatedAt: time.Now().UTC().Truncate(time.Second),
		SizeBytes: m.bytes, Files: m.files,
	}
	return img, describeImage(work, img, m)
}

func (t *tree) addClosure(ctx context.Context, l *loader, say func(string)) error {
	missing, err := l.close(ctx, t)
	for _, m := range missing {
		say("the host lacks " + m)
	}
	return err
}

// fixModes gives directories, whose modes depend on the umask so far, and the
// tree as a whole, the modes that images have.
func (t *tree) fixModes() error {
	return filepath.WalkDir(t.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o755)
	})
}

// describeImage writes the files beside the tree.
func describeImage(work string, img Image, m *manifest) error {
	info, err := json.MarshalIndent(img, "", "  ")
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{infoFile: append(info, '\n'), listFile: m.text(), useLock: nil} {
		if err := os.WriteFile(filepath.Join(work, name), content, 0o644); err != nil {
			return err
		}
	}
	return os.Chmod(work, 0o755)
}

// publish moves a finished image to its place. The same content may be there
// already, unless somebody damaged it: then the new one takes its place.
func (s *Store) publish(digest, work string) error {
	dir, err := os.Open(work)
	if err != nil {
		return err
	}
	// Before the image can be seen, its files must survive a loss of power.
	err = unix.Syncfs(int(dir.Fd()))
	if err := errors.Join(err, dir.Close()); err != nil {
		return err
	}
	target := s.path(imagesDir, digest)
	if _, err := os.Stat(filepath.Join(target, infoFile)); err == nil {
		if want, err := os.ReadFile(filepath.Join(target, listFile)); err == nil {
			got, faults := readTree(context.Background(), filepath.Join(target, rootDir))
			if faults == nil && got.digest() == digest && string(want) == string(got.text()) {
				return nil
			}
		}
		if err := s.removeImage(digest); err != nil {
			return fmt.Errorf("replace the damaged image: %w", err)
		}
	}
	return os.Rename(work, target)
}

func (s *Store) setName(name, digest string) error {
	temp := s.path(tempDir, "name-"+name)
	if err := os.WriteFile(temp, []byte(digest+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(temp, s.path(namesDir, name))
}

// sweep removes what builds that were killed left. The caller holds the lock,
// so that nothing there is in use.
func (s *Store) sweep() error {
	entries, err := os.ReadDir(s.path(tempDir))
	if err != nil {
		return fmt.Errorf("sweep old builds: %w", err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(s.path(tempDir, e.Name())); err != nil {
			return fmt.Errorf("sweep old builds: %w", err)
		}
	}
	return nil
}
