package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// BuildOptions say what image to make.
type BuildOptions struct {
	Name   string // default DefaultName; an image of that name is replaced
	Python string // path or name of the interpreter; default: the first CPython on PATH

	// Packages to install into the image, from wheels only; see wheels.go.
	Requirements     []string // such as "numpy>=2" or the path of a wheel
	RequirementFiles []string // as pip reads them
	IndexURL         string   // default: the installer's configuration
	FindLinks        []string // directories, or URLs of pages, with more wheels
	NoIndex          bool     // only FindLinks and what the requirements name

	// Preload names modules that are imported once, ahead of the sessions that
	// use the image. nil: those of DefaultPreload that are there.
	Preload []string

	// MaxBytes bounds what the packages unpack to; 0: DefaultMaxBytes.
	MaxBytes int64

	// Progress, when set, is told what goes on, a line at a time.
	Progress func(line string)
	// Detail, when set, is told what the last line is at.
	Detail func(text string)
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
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.MaxBytes < 0 {
		return Image{}, errors.New("max-size: a size below 0 can't be kept to")
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Detail == nil {
		o.Detail = func(string) {}
	}
	say := o.Progress
	if err := checkPreload(o.Preload); err != nil {
		return Image{}, err
	}
	want, err := readRequirements(o)
	if err != nil {
		return Image{}, err
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
	img, err := build(ctx, py, want, work, o)
	if err != nil {
		return Image{}, fmt.Errorf("build image %s: %w", o.Name, err)
	}
	if err := s.publish(ctx, img.Digest, work); err != nil {
		return Image{}, fmt.Errorf("publish image %s: %w", o.Name, err)
	}
	if err := s.setName(o.Name, img.Digest); err != nil {
		return Image{}, fmt.Errorf("name image %s: %w", o.Name, err)
	}
	if _, err := s.prune(); err != nil {
		// The new image is there and has its name.
		say("old images were not all removed: " + err.Error())
	}
	return s.load(o.Name, img.Digest)
}

// build makes the tree and its description in an empty directory.
func build(ctx context.Context, py interpreter, want requirements, work string, o BuildOptions) (Image, error) {
	l, err := newLoader(ctx)
	if err != nil {
		return Image{}, err
	}
	// First, as this is what fails most.
	wheels, err := stageWheels(ctx, py, want, work, o)
	if err != nil {
		return Image{}, err
	}
	t, err := newTree(filepath.Join(work, rootDir))
	if err != nil {
		return Image{}, err
	}
	defer t.Close()
	if err := t.fill(ctx, py, l, wheels, o.Progress); err != nil {
		return Image{}, err
	}
	if err := os.RemoveAll(filepath.Join(work, wheelsDir)); err != nil {
		return Image{}, fmt.Errorf("remove what was downloaded: %w", err)
	}
	packages := t.installed(py)
	modules := preload(o.Preload, packages)
	if err := t.addPreload(modules); err != nil {
		return Image{}, err
	}
	o.Progress("hashing")
	m, faults, err := readTree(ctx, t.path)
	if err := errors.Join(append(faults, err)...); err != nil {
		return Image{}, err
	}
	img := Image{
		Digest: m.digest(), Python: pythonPath, PythonVersion: py.version(), Source: py.Executable,
		Packages: packages, Preload: modules, CreatedAt: time.Now().UTC().Truncate(time.Second),
		SizeBytes: m.bytes, Files: m.files,
	}
	return img, describeImage(work, img, m)
}

// fill puts everything into an empty tree. Python comes first, so that no
// program of the host takes its names, and packages after all that is the
// system's, so that they take none of these names. They lie in wheels, unless
// that is empty.
func (t *tree) fill(ctx context.Context, py interpreter, l *loader, wheels string, say func(string)) error {
	if err := t.addSkeleton(); err != nil {
		return err
	}
	say("copying Python and its standard library")
	modules, err := t.addPython(ctx, py)
	if err != nil {
		return err
	}
	say("copying programs")
	if err := t.addPrograms(); err != nil {
		return err
	}
	if err := t.addData(ctx, py); err != nil {
		return err
	}
	if err := t.addEtc(); err != nil {
		return err
	}
	if wheels != "" {
		say("copying packages")
		if err := t.addPackages(ctx, py, wheels); err != nil {
			return err
		}
		modules = append(modules, t.packages.inside)
	}
	say("compiling modules")
	if err := t.compile(ctx, py, modules); err != nil {
		return err
	}
	say("copying shared libraries")
	if err := t.addLibraries(ctx, l); err != nil {
		return err
	}
	notes, err := l.close(ctx, t)
	if err != nil {
		return err
	}
	for _, note := range notes {
		say(note)
	}
	if err := t.writeCache(ctx); err != nil {
		return err
	}
	if err := t.fixModes(); err != nil {
		return err
	}
	say("trying it out")
	return t.try(ctx, py)
}
