package workspace

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func changesOf(t *testing.T, d *Dir, most int, do func()) (said []string, complete bool) {
	t.Helper()
	before, err := d.Snapshot(context.Background(), most)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * clockTick) // before Linux 6.13 a file's times are no finer
	do()
	after, err := d.Snapshot(context.Background(), most)
	if err != nil {
		t.Fatal(err)
	}
	changes, complete := before.ChangesUntil(after)
	for _, c := range changes {
		said = append(said, fmt.Sprintf("%s %s %d", c.Kind, c.Path, c.Size))
	}
	return said, complete
}

func TestChanges(t *testing.T) {
	d, root := newDir(t)
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"same", "grown", "gone", "replaced", "sub/deep", ".hidden/x", "__pycache__/m.pyc"} {
		write(name, "1")
	}
	said, complete := changesOf(t, d, 100, func() {
		write("grown", "22")
		write("new/er/file", "333")
		write("sub/deep", "2") // as long as before
		write(".hidden/y", "2")
		write("__pycache__/m.pyc", "2")
		for _, err := range []error{
			os.Remove(filepath.Join(root, "gone")),
			os.WriteFile(filepath.Join(root, "aside"), []byte("2"), 0o600),
			os.Rename(filepath.Join(root, "aside"), filepath.Join(root, "replaced")),
			os.Symlink("/etc/passwd", filepath.Join(root, "link")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	want := []string{"deleted gone 1", "modified grown 2", "created link 0", "created new/er/file 3", "modified replaced 1", "modified sub/deep 1"}
	if diff := cmp.Diff(want, said); diff != "" || !complete {
		t.Errorf("complete %v, (-want +got):\n%s", complete, diff)
	}
}

// More files than are looked at: what is told is true, and said to be not all.
func TestChangesAmongTooManyFiles(t *testing.T) {
	d, root := newDir(t)
	for i := range 50 {
		if err := os.WriteFile(filepath.Join(root, fmt.Sprintf("f%02d", i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	said, complete := changesOf(t, d, 20, func() {
		for _, name := range []string{"f00", "a", "f49"} {
			if err := os.WriteFile(filepath.Join(root, name), []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	})
	if complete {
		t.Error("a cut listing was taken for a whole one")
	}
	if got := strings.Join(said, ", "); got != "created a 1, modified f00 1" {
		t.Errorf("got %s", got)
	}
}
