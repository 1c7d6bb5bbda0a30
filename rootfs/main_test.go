package rootfs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// buildEnv makes the test's own program build an image in the store that it
// names, so that a test can kill it.
const buildEnv = "TCID_TEST_ROOTFS_BUILD"

func TestMain(m *testing.M) {
	dir := os.Getenv(buildEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := Open(dir)
	if err == nil {
		_, err = s.Build(context.Background(), BuildOptions{Progress: func(line string) { fmt.Println(line) }})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("images belong to root: run this test as root")
	}
}

func newStore(t *testing.T) *Store {
	t.Helper()
	requireRoot(t)
	s, err := Open(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustBuild(t *testing.T, s *Store, o BuildOptions) Image {
	t.Helper()
	img, err := s.Build(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// addImage publishes an image without a Python: what the store does with it is
// the same, and takes milliseconds.
func addImage(t *testing.T, s *Store, name, content string) Image {
	t.Helper()
	ctx := context.Background()
	unlock, err := s.lock(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	work, err := os.MkdirTemp(s.path(tempDir), "build-")
	if err != nil {
		t.Fatal(err)
	}
	tr, err := newTree(filepath.Join(work, rootDir))
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	for _, err := range []error{
		tr.addSkeleton(), tr.addEtc(), tr.write("/usr/bin/x", content, programMode), tr.fixModes(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	m, faults, err := readTree(ctx, tr.path)
	if err != nil || len(faults) > 0 {
		t.Fatal(err, faults)
	}
	img := Image{Digest: m.digest(), Python: pythonPath, PythonVersion: "3.11.7", Packages: []string{}, Preload: []string{}}
	for _, err := range []error{
		describeImage(work, img, m), s.publish(ctx, img.Digest, work), s.setName(name, img.Digest), os.RemoveAll(work),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if img, err = s.load(name, img.Digest); err != nil {
		t.Fatal(err)
	}
	return img
}

// runInside executes the image's Python in the image, as an ordinary user.
func runInside(t *testing.T, img Image, code string, args ...string) string {
	t.Helper()
	var out, errs strings.Builder
	cmd := exec.Command(img.Python, append([]string{"-I", "-B", "-c", code}, args...)...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin", "LC_ALL=C.UTF-8"}
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: img.Root, Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	if err := run(cmd); err != nil {
		t.Fatalf("Python in the image: %v\n%s%s", err, out.String(), errs.String())
	}
	return out.String()
}
