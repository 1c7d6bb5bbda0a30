package kernel

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestForks(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		s := start(t, python)
		s.want("import os, sys, multiprocessing", "")
		s.want("print('before')\nif os.fork() == 0:\n    print('child'); display(1); os._exit(0)\nos.wait(); print('after')", "out:before\nchild\nafter\n")
		// A child that runs on after the cell must not answer for the kernel.
		s.want("pid = os.fork()\nif pid == 0: sys.exit(7)\nos.WEXITSTATUS(os.waitpid(pid, 0)[1])", "execute_result text/plain=7")
		s.want("pid = os.fork()\nif pid: status = os.WEXITSTATUS(os.waitpid(pid, 0)[1])\nelse: status = -1\nstatus", "execute_result text/plain=0")
		got, _ := s.cell("pid = os.fork()\nif pid == 0: 1/0\nos.WEXITSTATUS(os.waitpid(pid, 0)[1])")
		if !strings.HasPrefix(got, "err:Traceback") || !strings.HasSuffix(got, "division by zero\n|execute_result text/plain=1") {
			t.Errorf("a child that raises: %q", got)
		}
		s.want("def sq(n):\n    print('w%d' % n, flush=True)\n    return n * n\nif __name__ == '__main__':\n"+
			"    with multiprocessing.get_context('fork').Pool(1) as p: v = p.map(sq, range(3))\nv", "out:w0\nw1\nw2\n|execute_result text/plain=[0, 1, 4]")
		s.want("import concurrent.futures as cf\nwith cf.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context('fork')) as e: v = list(e.map(abs, [-1, 2]))\nv",
			"execute_result text/plain=[1, 2]")
	})
}

func TestBackgroundOutput(t *testing.T) {
	s := start(t, onePython(t))
	// Output of a process that outlives its cell comes with the next one.
	s.want("import subprocess, time\np = subprocess.Popen('sleep 0.2; echo late', shell=True)", "")
	time.Sleep(400 * time.Millisecond)
	s.want("print('next')", "out:late\nnext\n")
	// More than the kernel keeps while nothing runs: the writers wait.
	first, _ := s.cell("import threading\ndef w():\n time.sleep(0.2)\n for i in range(3000): print('x' * 999)\nt = threading.Thread(target=w); t.start()\n" +
		"p = subprocess.Popen('sleep 0.2; head -c 9000000 /dev/zero', shell=True); None")
	time.Sleep(700 * time.Millisecond)
	if code, _ := s.cell("t.is_alive(), p.poll()"); !strings.Contains(code, "=(True, None)") {
		t.Errorf("the writers did not wait: %s", code[max(0, len(code)-80):])
	} else {
		first += code
	}
	rest, _ := s.cell("t.join(); p.wait(); None")
	all := first + rest
	if x, zero := strings.Count(all, "x")-strings.Count(all, "text"), strings.Count(all, "\x00"); x < 3000*999 || zero != 9000000 {
		t.Errorf("output between executions: %d of %d, and %d of 9000000", x, 3000*999, zero)
	}
}

func TestStreaming(t *testing.T) {
	s := start(t, onePython(t))
	for _, code := range []string{
		"import time\nprint('now'); time.sleep(2)",
		"import os, time\nos.write(1, b'now\\n'); time.sleep(2)",
		"import time\ndisplay(1); time.sleep(2)",
	} {
		first := time.Duration(0)
		begin := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
		_, err := s.Execute(ctx, ExecuteRequest{Code: code}, func(Event) {
			if first == 0 {
				first = time.Since(begin)
				s.interrupt()
			}
		})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if first == 0 || first > time.Second {
			t.Errorf("%q: the first event after %v", code, first)
		}
	}
}

func TestMuchOutput(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		s := start(t, python)
		for _, c := range []struct {
			name, code string
			bytes      int
		}{
			{"100,000 prints", "for i in range(100_000): print(i)", 588890},
			{"16 MiB in lines", "for i in range(16): print('x' * ((1 << 20) - 1))", 16 << 20},
			{"one print of 32 MiB", "print('x' * ((32 << 20) - 1))", 32 << 20},
			{"32 MiB of a subprocess", "import subprocess\nsubprocess.run('head -c 33554432 /dev/zero | tr \"\\\\0\" x', shell=True); None", 32 << 20},
			{"both streams", "import sys\nfor i in range(20000): print(i); print(i, file=sys.stderr)", 2 * 108890},
		} {
			n, begin := 0, time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
			_, err := s.Execute(ctx, ExecuteRequest{Code: c.code}, func(e Event) { n += len(e.Text) })
			cancel()
			took := time.Since(begin)
			if err != nil {
				t.Fatal(err)
			}
			if n != c.bytes {
				t.Errorf("%s: %d bytes, want %d", c.name, n, c.bytes)
			}
			t.Logf("%s: %v", c.name, took)
		}
	})
}

// TestSlowDaemon stops reading: the kernel's memory must stay bounded, and
// nothing may be lost.
func TestSlowDaemon(t *testing.T) {
	s := start(t, onePython(t))
	n, slow := 0, true
	// Not ru_maxrss: that begins with the size of the process that forked.
	code := "for i in range(64): print('x' * ((1 << 20) - 1))\nint(next(l for l in open('/proc/self/status') if 'VmHWM' in l).split()[1])"
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	o, err := s.Execute(ctx, ExecuteRequest{Code: code}, func(e Event) {
		if slow {
			time.Sleep(time.Second)
			slow = false
		}
		n += len(e.Text)
	})
	if err != nil || n != 64<<20 {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if kib, err := strconv.Atoi(repr(o)); err != nil || kib > 96<<10 {
		t.Errorf("the kernel grew to %s KiB", repr(o))
	}
}
