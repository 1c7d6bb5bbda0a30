package container

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
)

func TestIDBlocksAreNobodyElses(t *testing.T) {
	dir := t.TempDir()
	first, err := newIDRanges(dir, "/state/one")
	if err != nil {
		t.Fatal(err)
	}
	defer first.close()
	second, err := newIDRanges(dir, "/state/two")
	if err != nil {
		t.Fatal(err)
	}
	defer second.close()
	seen := map[uint32]bool{}
	for range 2 * blocksInRange { // more than one range for each
		for _, r := range []*idRanges{first, second} {
			base, err := r.acquire()
			if err != nil {
				t.Fatal(err)
			}
			if seen[base] {
				t.Fatalf("block %d was handed out twice", base)
			}
			if base < firstID || uint64(base)+blockSize-1 > lastID || (base-firstID)%blockSize != 0 {
				t.Fatalf("block %d is no block of the range", base)
			}
			seen[base] = true
		}
	}
}

func TestIDBlocksAreReusedOldestFirst(t *testing.T) {
	r, err := newIDRanges(t.TempDir(), "/state")
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	a, _ := r.acquire()
	b, _ := r.acquire()
	rest := len(r.free)
	r.release(b)
	r.release(a)
	for range rest {
		if got, _ := r.acquire(); got == a || got == b {
			t.Fatal("a released block came back before the unused ones")
		}
	}
	if got, _ := r.acquire(); got != b {
		t.Errorf("got block %d, want %d, which was released first", got, b)
	}
}

func TestIDBlocksAvoidAccounts(t *testing.T) {
	r := &idRanges{dir: t.TempDir(), owner: "/state", taken: []span{
		{firstID + 5, firstID + 5}, {firstID + blockSize*2 - 1, firstID + blockSize*2},
	}}
	defer r.close()
	got, err := r.acquire()
	if err != nil {
		t.Fatal(err)
	}
	if want := uint32(firstID + 3*blockSize); got != want {
		t.Errorf("the first free block is %d, want %d", got, want)
	}
}

// The ids of a daemon that died stay its own while its containers may run.
func TestIDBlocksOfADeadDaemon(t *testing.T) {
	locks, state := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(state, containersDir, "ses_x"), 0o700); err != nil {
		t.Fatal(err)
	}
	dead, err := newIDRanges(locks, state)
	if err != nil {
		t.Fatal(err)
	}
	lost, err := dead.acquire()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range dead.locks {
		_ = f.Close() // as the kernel does at its death
	}
	other, err := newIDRanges(locks, "/state/other")
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	if got, _ := other.acquire(); got < lost+blocksInRange*blockSize {
		t.Errorf("another daemon got block %d, out of the dead one's range at %d", got, lost)
	}
	again, err := newIDRanges(locks, state)
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if got, _ := again.acquire(); got != lost {
		t.Errorf("the daemon's successor got block %d, want %d", got, lost)
	}
}

func TestParseAccounts(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "subuid")
	if err := os.WriteFile(file, []byte("a:100000:65536\nbroken\nb:x:1\nc:700000:0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	spans, err := readSpans(file, subordinateSpan)
	if err != nil || len(spans) != 1 || spans[0] != (span{100000, 165535}) {
		t.Errorf("readSpans = %v, %v", spans, err)
	}
	if spans, err := readSpans(filepath.Join(dir, "missing"), accountSpan); spans != nil || err != nil {
		t.Errorf("a missing file gives %v, %v", spans, err)
	}
}

// Daemons that start and stop at the same time, removing their lock files,
// never share a block.
func TestIDLocksComeAndGo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "locks")
	var mu sync.Mutex
	held := map[uint32]bool{}
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for range 50 {
				r, err := newIDRanges(dir, "/state/"+strconv.Itoa(n))
				if err != nil {
					t.Error(err)
					return
				}
				base, err := r.acquire()
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if held[base] {
					t.Errorf("block %d is held twice", base)
				}
				held[base] = true
				mu.Unlock()
				runtime.Gosched()
				mu.Lock()
				delete(held, base)
				mu.Unlock()
				r.close()
			}
		})
	}
	wg.Wait()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory of locks is left: %v", err)
	}
}
