package hostile

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	v1 "tcid/api/v1"
)

// faults are steps of a forked kernel's start that a test build can leave out, as
// sandbox/container/init/fork.c numbers them, and what the daemon says then.
var faults = []struct {
	name string
	bit  int
	says string
}{
	{"capabilities", 1, "CapPrm is"}, {"bounding set", 2, "CapBnd is"}, {"user", 4, "could not enter the workspace"}, {"group", 8, "Gid is"},
	{"groups", 16, "Groups is"}, {"filter", 32, "Seccomp_filters is"}, {"namespace", 64, "uts namespace is another"},
	{"directory", 128, "working directory is another"}, {"descriptor", 256, "it has 7 descriptors"}, {"thread", 512, "Threads is"},
	{"process", 1024, "are in the sandbox"}, {"limits", 2048, "limit \\\"Max open files\\\" is"},
	{"silence", 4096, "did not fork within"}, {"children", 8192, "children's pid namespace"},
}

// A kernel that was forked and lacks any one of its safeguards never runs a line
// of Python: the session is refused, and others are not disturbed.
func TestGate(t *testing.T) {
	t.Parallel() // one of them waits
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			d := start(t, weakened, nil, fmt.Sprintf("TCID_FAULTS=%d", f.bit), "TCID_POOL=0")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if s, err := d.CreateSession(ctx, v1.SessionSpec{Isolation: "fork"}); err == nil {
				t.Errorf("a session was made: %+v", s)
			}
			said := func() bool { return strings.Contains(d.log.String(), f.says) }
			for end := time.Now().Add(5 * time.Second); !said() && time.Now().Before(end); {
				time.Sleep(10 * time.Millisecond)
			}
			if !said() {
				t.Errorf("the daemon does not say %q", f.says)
			}
			s, err := d.CreateSession(ctx, v1.SessionSpec{Isolation: "fresh"})
			if err != nil {
				t.Fatal(err)
			}
			d.close(t, s.ID)
		})
	}
	t.Run("none", func(t *testing.T) { // it is the faults that the daemon saw
		d := start(t, weakened, nil, "TCID_FAULTS=0", "TCID_POOL=0")
		s, err := d.CreateSession(t.Context(), v1.SessionSpec{Isolation: "fork"})
		if err != nil {
			t.Fatal(err)
		}
		d.close(t, s.ID)
	})
}
