package workspace

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	secret  = "SECRET OF THE HOST"
	raceFor = 400 * time.Millisecond
	// controlFor is how long the naive code may take to be fooled; it takes
	// milliseconds.
	controlFor = 20 * time.Second
)

// hands is what the race is run against: Dir, and code as it is usually
// written.
type hands interface {
	put(name, content string) error
	get(name string) (string, error)
	list(name string) ([]string, error)
	remove(name string) error
}

type safeHands struct{ *Dir }

func (h safeHands) put(name, content string) error {
	_, _, err := h.Put(context.Background(), name, strings.NewReader(content), PutOptions{})
	return err
}
func (h safeHands) get(name string) (string, error) { return get(h.Dir, name) }
func (h safeHands) remove(name string) error        { return h.Remove(name, true) }
func (h safeHands) list(name string) ([]string, error) {
	infos, _, err := h.List(context.Background(), name, true, 0)
	var names []string
	for _, info := range infos {
		names = append(names, info.Name)
	}
	return names, err
}

// naiveHands looks before it acts, which is the mistake.
type naiveHands struct{ root string }

func (h naiveHands) path(name string) (string, error) {
	path := filepath.Join(h.root, name)
	for p := path; p != h.root; p = filepath.Dir(p) {
		if st, err := os.Lstat(p); err == nil && st.Mode()&os.ModeSymlink != 0 {
			return "", errors.New("a link")
		}
	}
	return path, nil
}

func (h naiveHands) put(name, content string) error {
	path, err := h.path(name)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o644)
}

func (h naiveHands) get(name string) (string, error) {
	path, err := h.path(name)
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(path)
	return string(b), err
}

func (h naiveHands) list(name string) ([]string, error) {
	path, err := h.path(name)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(path)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (h naiveHands) remove(name string) error {
	path, err := h.path(name)
	if err != nil {
		return err
	}
	return os.Remove(path)
}

// outside is a tree of the host with the same names as the workspace's.
type outside struct{ dir string }

func newOutside(t *testing.T) outside {
	o := outside{t.TempDir()}
	o.reset(t)
	return o
}

func (o outside) reset(t *testing.T) {
	check(t, os.RemoveAll(o.dir))
	check(t, os.MkdirAll(filepath.Join(o.dir, "sub"), 0o777))
	for _, name := range []string{"f", "sub/f", "secret-name", "victim"} {
		check(t, os.WriteFile(filepath.Join(o.dir, name), []byte(secret), 0o666))
	}
	// The worst case: the session's user could write here.
	check(t, os.Chmod(o.dir, 0o777))
	check(t, os.Chmod(filepath.Join(o.dir, "sub"), 0o777))
}

func (o outside) changed() string {
	for _, name := range []string{"f", "sub/f", "secret-name", "victim"} {
		b, err := os.ReadFile(filepath.Join(o.dir, name))
		if err != nil || string(b) != secret {
			return name + " is now " + string(b)
		}
	}
	names, _ := os.ReadDir(o.dir)
	sub, _ := os.ReadDir(filepath.Join(o.dir, "sub"))
	if len(names) != 4 || len(sub) != 1 {
		return "there are files that weren't"
	}
	return ""
}

// prepare makes the workspace side: "d" and "d2/sub" are directories that swap
// places with links to the outside, "l" is a file that swaps with a link.
func prepare(t *testing.T, root string, o outside) (pairs [][2]string) {
	for _, dir := range []string{"d/sub", "d2/sub", "x"} {
		check(t, os.MkdirAll(filepath.Join(root, dir), 0o777))
	}
	for _, f := range []string{"d/f", "d/sub/f", "d2/sub/f", "l"} {
		check(t, os.WriteFile(filepath.Join(root, f), []byte("inside"), 0o666))
	}
	check(t, filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, testID, testID))
	}))
	check(t, os.Symlink(o.dir, filepath.Join(root, "x/d")))
	check(t, os.Symlink(filepath.Join(o.dir, "sub"), filepath.Join(root, "x/sub")))
	check(t, os.Symlink(filepath.Join(o.dir, "f"), filepath.Join(root, "x/l")))
	return [][2]string{{"d", "x/d"}, {"d2/sub", "x/sub"}, {"l", "x/l"}}
}

// race swaps directories and links as fast as it can while h works, until it
// ends or h has done harm, and returns which kinds of harm it saw.
func race(t *testing.T, h hands, root string, o outside, kinds []string, limit time.Duration) (harm map[string]bool, calls, good int64) {
	pairs := prepare(t, root, o)
	deadline := time.Now().Add(limit)
	var stop atomic.Bool
	var group sync.WaitGroup
	for _, pair := range pairs {
		a, b := filepath.Join(root, pair[0]), filepath.Join(root, pair[1])
		group.Go(func() {
			for !stop.Load() {
				unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
			}
		})
	}
	harm = map[string]bool{}
	for len(harm) < len(kinds) && time.Now().Before(deadline) {
		for _, kind := range kinds {
			for _, dir := range []string{"d", "d2/sub"} {
				var err error
				calls++
				switch kind {
				case "get":
					var content string
					if content, err = h.get(dir + "/f"); strings.Contains(content, secret) {
						harm[kind] = true
					}
				case "list":
					var names []string
					if names, err = h.list(dir); strings.Contains(strings.Join(names, "/"), "secret-name") {
						harm[kind] = true
					}
				case "put":
					err = h.put(dir+"/f", "inside")
				case "remove":
					// "victim" is only outside; what is put in its place inside goes.
					if err = h.put(dir+"/victim", "inside"); err == nil {
						err = h.remove(dir + "/victim")
					}
				}
				if err == nil {
					good++
				}
			}
			if kind == "put" {
				h.put("l", "inside")
			}
			if what := o.changed(); what != "" {
				harm[kind] = true
				o.reset(t)
			}
		}
	}
	stop.Store(true)
	group.Wait()
	return harm, calls, good
}

func TestRace(t *testing.T) {
	d, root := newDir(t)
	o := newOutside(t)
	fds := openFDs(t)
	harm, calls, good := race(t, safeHands{d}, root, o, []string{"get", "list", "put", "remove"}, raceFor)
	if len(harm) > 0 {
		t.Errorf("the outside was reached by: %v", harm)
	}
	// Both sides of the race must have been met, else it showed nothing.
	if good == 0 || good == calls {
		t.Errorf("%d of %d calls succeeded: there was no race", good, calls)
	}
	if n := openFDs(t); n != fds {
		t.Errorf("%d descriptors are open, %d were", n, fds)
	}
	t.Logf("%d calls, %d succeeded", calls, good)
}

// The same race fools code that checks paths, which shows that TestRace can
// fail.
func TestRaceFoolsNaiveCode(t *testing.T) {
	for _, kind := range []string{"get", "list", "put", "remove"} {
		root := newTmpfs(t, "size=8m", false)
		start := time.Now()
		harm, _, _ := race(t, naiveHands{root}, root, newOutside(t), []string{kind}, controlFor)
		if !harm[kind] {
			t.Errorf("%s was not fooled in %v", kind, controlFor)
		}
		t.Logf("%s was fooled after %v", kind, time.Since(start))
	}
}

// A recursive listing and removal, and uploads with new parents, of a tree
// whose directories move around and get replaced all the time.
func TestRaceTree(t *testing.T) {
	d, root := newDir(t)
	o := newOutside(t)
	at := func(name string) string { return filepath.Join(root, name) }
	var stop atomic.Bool
	var group sync.WaitGroup
	group.Go(func() {
		for !stop.Load() {
			d.asOwner(func() error {
				os.MkdirAll(at("t/a/b/c"), 0o755)
				os.Symlink(o.dir, at("t/a/link"))
				os.Symlink(o.dir, at("swap"))
				unix.Renameat2(unix.AT_FDCWD, at("t/a/b"), unix.AT_FDCWD, at("swap"), unix.RENAME_EXCHANGE)
				unix.Renameat2(unix.AT_FDCWD, at("swap"), unix.AT_FDCWD, at("t/a/b"), unix.RENAME_EXCHANGE)
				os.Rename(at("t/a/b"), at("t/moved"))
				os.Rename(at("t/moved"), at("t/a/b"))
				return nil
			})
		}
	})
	calls := 0
	allowed := []error{ErrBusy, ErrNotFound, ErrLink, ErrNotDirectory, ErrNotEmpty, ErrExists}
	for end := time.Now().Add(raceFor); time.Now().Before(end); calls++ {
		infos, _, err := d.List(t.Context(), "", true, 0)
		for _, info := range infos {
			if strings.Contains(info.Path, "secret-name") {
				t.Errorf("listed %q", info.Path)
			}
		}
		_, _, putErr := d.Put(t.Context(), "t/a/b/n1/n2/f", bytes.NewReader([]byte("x")), PutOptions{})
		for _, err := range []error{err, putErr, d.Remove("t/a", true)} {
			ok := err == nil
			for _, a := range allowed {
				ok = ok || errors.Is(err, a)
			}
			if !ok {
				t.Errorf("unexpected error: %v", err)
			}
		}
		if what := o.changed(); what != "" {
			t.Fatalf("the outside was changed: %s", what)
		}
	}
	stop.Store(true)
	group.Wait()
	if calls < 10 {
		t.Errorf("only %d rounds", calls)
	}
	t.Logf("%d rounds", calls)
}
