package workspace

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// mountEnv makes the test binary a process that mounts a tmpfs in namespaces
// of its own and keeps it until its standard input ends.
const mountEnv = "WORKSPACE_TEST_MOUNT"

const (
	testID = 1000
	// userBase is where the tests' user namespace starts on the host.
	userBase = 524288
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(mountEnv); dir != "" {
		if err := holdMount(dir, os.Args[1], os.Args[2:]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests change ids and mount: run them as root")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func holdMount(dir, options string, submounts []string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID, options); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	for _, name := range submounts {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
		if err := unix.Mount("tmpfs", filepath.Join(dir, name), "tmpfs", unix.MS_NOSUID, "mode=0777"); err != nil {
			return fmt.Errorf("mount %s: %w", name, err)
		}
	}
	fmt.Println("mounted")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// newTmpfs mounts a tmpfs that belongs to testID in a mount namespace of its
// own and returns a path to it. In a user namespace its ids start at userBase.
// Further ones are mounted on submounts in it.
func newTmpfs(t testing.TB, options string, userns bool, submounts ...string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "workspace")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Open(exe) // its folder may be closed to the namespace's root
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	cmd := exec.Command("/proc/self/fd/3", fmt.Sprintf("mode=0755,uid=%d,gid=%d,%s", testID, testID, options))
	cmd.Args = append(cmd.Args, submounts...)
	cmd.ExtraFiles = []*os.File{self}
	cmd.Env = []string{mountEnv + "=" + dir, "GORACE=atexit_sleep_ms=0"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	if userns {
		ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: userBase, Size: 65536}}
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings, cmd.SysProcAttr.GidMappings = ids, ids
		cmd.SysProcAttr.Credential = &syscall.Credential{NoSetGroups: true} // its root
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start the mount helper: %v", err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("mount helper: %v", err)
		}
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "mounted\n" {
		t.Fatalf("mount helper said %q, %v", line, err)
	}
	return fmt.Sprintf("/proc/%d/root%s", cmd.Process.Pid, dir)
}

// newDir opens a new, large workspace and returns its path too.
func newDir(t testing.TB) (*Dir, string) {
	t.Helper()
	root := newTmpfs(t, "size=64m,nr_inodes=20000", false)
	return openDirAt(t, root, testID), root
}

func openDirAt(t testing.TB, root string, id int) *Dir {
	t.Helper()
	d, err := Open(root, id, id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func put(t testing.TB, d *Dir, name, content string) FileInfo {
	t.Helper()
	info, _, err := d.Put(context.Background(), name, strings.NewReader(content), PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func get(d *Dir, name string) (string, error) {
	f, err := d.Get(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	return string(b), err
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error is %v, want one that wraps %v", err, want)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// paths lists everything below root with plain calls.
func paths(t testing.TB, d *Dir) []string {
	t.Helper()
	infos, truncated, err := d.List(context.Background(), ".", true, 0)
	if err != nil || truncated {
		t.Fatalf("list: truncated %v, %v", truncated, err)
	}
	names := []string{}
	for _, info := range infos {
		names = append(names, info.Path)
	}
	return names
}

func openFDs(t testing.TB) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	check(t, err)
	return len(names)
}
