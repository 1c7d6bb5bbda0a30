package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "tcid/api/v1"
)

// chanceModules are imported ahead in the image that the test of chance makes: a
// fork copies what they have drawn.
var chanceModules = []string{"random", "uuid", "tempfile", "ssl", "secrets", "hashlib", "multiprocessing.process", "numbers"}

// chance prints what must differ from session to session.
const chance = `
import os, random, uuid, tempfile, ssl, secrets, multiprocessing, sys
missing = [m for m in %q.split() if m not in sys.modules]
assert not missing or not os.environ.get("PRELOADED"), missing
u = uuid.uuid1()
draws = [random.random(), random.getrandbits(64), uuid.uuid4().hex, u.hex, u.node, u.clock_seq,
    next(tempfile._get_candidate_names()), os.urandom(8).hex(), ssl.RAND_bytes(8).hex(), secrets.token_hex(8),
    bytes(multiprocessing.current_process().authkey).hex(), random.SystemRandom().random()]
print(*draws)`

// clockSeqField is the place of uuid1's clock sequence among the draws.
const clockSeqField = 5

// Sessions forked from one zygote draw different numbers, whatever they ask.
func TestForkedChance(t *testing.T) {
	const atOnce = 8
	sessions := times(60, 200)
	args := []string{"image", "build", "--data-dir", dataDir, "--name", "chance"}
	for _, m := range chanceModules {
		args = append(args, "--preload", m)
	}
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d := start(t)
	var mu sync.Mutex
	seen := map[string]string{}
	turns := make(chan int)
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for n := range turns {
				s := d.create(t, v1.SessionSpec{Image: "chance", Env: map[string]string{"PRELOADED": "1"}})
				if s.Isolation.Start != "fork" || len(s.Isolation.Warnings) > 0 {
					t.Errorf("%+v", s.Isolation)
				}
				e := d.run(t, s.ID, fmt.Sprintf(chance, strings.Join(chanceModules, " ")))
				if err := d.CloseSession(callContext(t), s.ID); err != nil {
					t.Error(err)
				}
				mu.Lock()
				for i, draw := range strings.Fields(e.Stdout) {
					if i == clockSeqField {
						continue // 14 bits: two of two hundred are alike by chance
					}
					key := strconv.Itoa(i) + ":" + draw
					if other, twice := seen[key]; twice {
						t.Errorf("sessions %s and %d both drew %s as number %d", other, n, draw, i)
					}
					seen[key] = strconv.Itoa(n)
				}
				mu.Unlock()
			}
		})
	}
	for n := range sessions {
		turns <- n
	}
	close(turns)
	wg.Wait()
	if want := sessions * 11; len(seen) != want && !t.Failed() {
		t.Errorf("%d draws, want %d", len(seen), want)
	}
}

// plant leaves in a sandbox what a later use must not find.
const plant = `
import os, socket, sys, time, subprocess, fcntl, threading
from multiprocessing import shared_memory
shm = shared_memory.SharedMemory("planted", create=True, size=64); shm.buf[:4] = b"MINE"
open("/dev/shm/planted-too", "w").write("MINE")
os.makedirs("/tmp/planted/deep"); open("/tmp/planted/deep/file", "w").write("MINE")
open("/workspace/planted", "w").write("MINE")
os.symlink("/tmp", "/workspace/link"); os.mkfifo("/tmp/fifo")
a = socket.socket(); a.bind(("127.0.0.1", 4711)); a.listen()
b = socket.create_connection(("127.0.0.1", 4711)); c, _ = a.accept(); c.close(); b.close()  # TIME_WAIT
u = socket.socket(socket.AF_UNIX); u.bind("\0planted"); u.listen()
v = socket.socket(socket.AF_UNIX); v.bind("/tmp/planted.sock"); v.listen()
lock = open("/tmp/lock", "w"); fcntl.flock(lock, fcntl.LOCK_EX)
for what in (lambda: socket.sethostname("planted"), lambda: os.nice(-5)):
    try: what()
    except OSError: pass
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        a.close(); time.sleep(600)
    os._exit(0)
subprocess.Popen(["sleep", "600"], start_new_session=True)
print("uid", os.getuid(), "pid", os.getpid())
os._exit(0) if %d else None`

// look says what of all that is there.
const look = `
import os, socket, glob, subprocess
found = []
found += glob.glob("/dev/shm/*") + glob.glob("/tmp/*") + os.listdir("/workspace")
for family, address in ((socket.AF_INET, ("127.0.0.1", 4711)), (socket.AF_UNIX, "\0planted"), (socket.AF_UNIX, "/tmp/planted.sock")):
    s = socket.socket(family)
    try:
        s.bind(address)
    except OSError as e:
        found.append("%%s: %%s" %% (address, e))
s = socket.socket()
s.settimeout(1)
try:
    s.bind(("127.0.0.1", 0)); s.listen(); socket.create_connection(s.getsockname(), 1)
except OSError as e:
    found.append("no loopback: %%s" %% e)
if socket.gethostname() != "sandbox": found.append(socket.gethostname())
procs = [p for p in os.listdir("/proc") if p.isdigit() and int(p) != os.getpid()]
for p in procs: found.append("process " + p)
usage = open("/proc/self/cgroup").read()
if "%s" in usage: found.append(usage)
print(found, os.getuid(), os.getpid())`

// One principal's one-shots share containers one after the other; what one leaves
// there the next does not find.
func TestRecycledContainers(t *testing.T) {
	d := start(t)
	users, pids := map[string]bool{}, map[string]bool{}
	for round := range 12 {
		crash := 0
		status := v1.StatusOK
		if round%3 == 2 {
			crash, status = 1, v1.StatusCrashed
		}
		e, err := d.RunOnce(callContext(t), v1.OneShot{ExecSpec: v1.ExecSpec{Code: fmt.Sprintf(plant, crash)}})
		if err != nil || e.Status != status {
			t.Fatalf("%v %s %+v", err, e.Status, e.Error)
		}
		e, err = d.RunOnce(callContext(t), v1.OneShot{ExecSpec: v1.ExecSpec{Code: fmt.Sprintf(look, "sbx_")}})
		if err != nil || e.Status != v1.StatusOK {
			t.Fatalf("%v %s %+v", err, e.Status, e.Error)
		}
		found, rest, _ := strings.Cut(strings.TrimSpace(e.Stdout), "]")
		if found != "[" {
			t.Errorf("round %d: it found %s", round, e.Stdout)
		}
		fields := strings.Fields(rest)
		if users[fields[0]] {
			t.Errorf("round %d: the user %s again", round, fields[0])
		}
		users[fields[0]], pids[fields[1]] = true, true
		if e.Receipt.MaxMemoryBytes > 64<<20 {
			t.Errorf("its memory is %d bytes", e.Receipt.MaxMemoryBytes)
		}
	}
	if recycled := d.metric(t, "tcid_pool_recycled_total"); recycled < 6 {
		t.Errorf("only %d containers were used again", recycled)
	}
	if refused := d.metric(t, "tcid_pool_refused_total"); refused > 0 {
		t.Errorf("%d containers could not be made anew", refused)
	}
	// What one was used for never shows to others, nor in sessions.
	s := d.create(t, v1.SessionSpec{})
	if e := d.run(t, s.ID, fmt.Sprintf(look, "sbx_")); !strings.HasPrefix(e.Stdout, "[] ") {
		t.Errorf("a session found %s", e.Stdout)
	}
}

// metric reads one of the daemon's counts.
func (d *daemon) metric(t *testing.T, name string) int {
	t.Helper()
	answer, err := d.http().Get("http://localhost/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + name + ` (\d+)$`).FindSubmatch(body)
	if m == nil {
		t.Fatalf("there is no %s in %s", name, body)
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}

// processesNamed lists the host's processes of the daemon whose command line has
// all words.
func (d *daemon) processesNamed(t *testing.T, words ...string) (pids []int) {
	t.Helper()
	cgroup := marks(d.state)[1]
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
next:
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		command, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		place, _ := os.ReadFile("/proc/" + e.Name() + "/cgroup")
		for _, w := range words {
			if !strings.Contains(string(command)+" "+string(place), w) {
				continue next
			}
		}
		if strings.Contains(string(place), cgroup) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Zygotes and holders that die under load take nobody with them: sessions go on,
// closes end, new sessions start, nothing is left.
func TestZygotesAndHoldersDie(t *testing.T) {
	d := start(t)
	var live []v1.Session
	for i := range 10 {
		s := d.create(t, v1.SessionSpec{})
		d.run(t, s.ID, fmt.Sprintf("x = %d", i))
		live = append(live, s)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				e, err := d.RunOnce(callContext(t), v1.OneShot{ExecSpec: v1.ExecSpec{Code: "print(1+1)"}})
				if err != nil {
					t.Error(err)
				} else if e.Status == v1.StatusOK && e.Stdout != "2\n" {
					t.Errorf("a one-shot printed %q", e.Stdout)
				}
			}
		})
	}
	for round := range 6 {
		kill := d.processesNamed(t, "--zygote-fd", "/zygote-")
		if round%3 == 2 {
			kill = append(kill, d.processesNamed(t, "tcid-init\x00hold")...)
		}
		for _, pid := range kill {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(300 * time.Millisecond)
	}
	close(stop)
	wg.Wait()
	for i, s := range live {
		if e := d.run(t, s.ID, "x"); string(e.Result) != strconv.Itoa(i) {
			t.Errorf("session %d: x = %s", i, e.Result)
		}
	}
	// Zygotes that were killed as they started are a reason to wait for a while.
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		s := d.create(t, v1.SessionSpec{})
		live = append(live, s)
		if d.run(t, s.ID, "1"); s.Isolation.Start == "fork" {
			break
		}
	}
	for range 3 {
		begin := time.Now()
		s := d.create(t, v1.SessionSpec{})
		d.run(t, s.ID, "1")
		if s.Isolation.Start != "fork" {
			t.Errorf("a new session's kernel is not forked: %v", s.Isolation.Warnings)
		}
		t.Logf("a new session took %v, by %s", time.Since(begin), s.Isolation.Start)
		live = append(live, s)
	}
	// Kernels whose zygote has died are reaped by the host's init, when it likes.
	begin := time.Now()
	for _, s := range live {
		wg.Go(func() {
			if err := d.CloseSession(callContext(t), s.ID); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("closing %d sessions took %v", len(live), took)
	} else {
		t.Logf("closing %d sessions took %v", len(live), took)
	}
}

// A zygote that hangs is ended: closes end in seconds, and new sessions start.
func TestZygoteHangs(t *testing.T) {
	t.Parallel() // with the others that wait
	d := start(t, "--pool", "0")
	s := d.create(t, v1.SessionSpec{})
	d.run(t, s.ID, "x = 1")
	other := d.create(t, v1.SessionSpec{})
	hang := func() {
		for _, pid := range d.processesNamed(t, "--zygote-fd", "/zygote-") {
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Error(err)
			}
		}
	}
	hang()
	begin := time.Now()
	if err := d.CloseSession(callContext(t), s.ID); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 8*time.Second {
		t.Errorf("closing took %v", took)
	}
	d.run(t, other.ID, "1")
	third := d.create(t, v1.SessionSpec{})
	if third.Isolation.Start != "fork" {
		t.Errorf("%+v", third.Isolation)
	}
	hang()
	begin = time.Now()
	fourth := d.create(t, v1.SessionSpec{})
	t.Logf("a session took %v where the zygote hung", time.Since(begin))
	if e := d.run(t, fourth.ID, "1 + 1"); string(e.Result) != "2" || fourth.Isolation.Start != "fork" {
		t.Errorf("%s %+v", e.Result, fourth.Isolation)
	}
}

// As large an environment as is allowed reaches a forked kernel whole, whatever
// is in it.
func TestForkedEnvironment(t *testing.T) {
	d := start(t)
	value := strings.Repeat("<&\x01é=\n", 8000)
	s := d.create(t, v1.SessionSpec{Isolation: "fork", Env: map[string]string{"LONG": value, "EMPTY": ""}})
	e := d.run(t, s.ID, "import os; print(os.environ['EMPTY'] == '', os.environ['LONG'] == '<&\\x01é=\\n' * 8000, len(os.environ) > 2)")
	if e.Stdout != "True True True\n" {
		t.Errorf("%s %s", e.Stdout, e.Stderr)
	}
}

// A forked kernel's environment is that of one that starts by itself, whatever the
// kernels before were given.
func TestForkedLikeFresh(t *testing.T) {
	d := start(t)
	const show = `
import os, subprocess, threading, time
for text in sorted("%s=%s" % pair for pair in os.environ.items()), subprocess.check_output(["env", "-0"]).split(b"\0"):
    print(sorted(x for x in text if "SHLVL" not in str(x) and not str(x).startswith(("_=", "b'_="))))
print(time.tzname, os.getcwd(), threading.main_thread().native_id == threading.get_native_id())`
	for _, spec := range []v1.SessionSpec{
		{},
		{Resources: &v1.Resources{CPUs: 0.5}},
		{Env: map[string]string{"TZ": "Asia/Tokyo", "OMP_NUM_THREADS": "7", "HOME": "/tmp", "MPLBACKEND": "svg"}},
		{},
	} {
		var said [2]string
		for i, isolation := range []string{"fork", "fresh"} {
			spec.Isolation = isolation
			s := d.create(t, spec)
			if s.Isolation.Start != isolation {
				t.Errorf("%+v", s.Isolation)
			}
			said[i] = d.run(t, s.ID, show).Stdout
		}
		if said[0] != said[1] || strings.Count(said[0], "\n") != 3 {
			t.Errorf("forked:\n%s\nfresh:\n%s", said[0], said[1])
		}
	}
}

// A zygote has answered requests before it forks. Its kernels show nothing of that.
func TestForkedAsIfFirst(t *testing.T) {
	d := start(t)
	const show = `
names = sorted(globals())
import collections, linecache, os, signal, sys, threading
handlers = {s: signal.getsignal(s) for s in signal.valid_signals()}
print(names, {s: getattr(h, "__name__", h) for s, h in handlers.items()}, signal.pthread_sigmask(signal.SIG_BLOCK, ()))
print(sys.path, [(x.name, x.encoding, x is y) for x, y in ((sys.stdin, sys.__stdin__), (sys.stdout, sys.__stdout__), (sys.stderr, sys.__stderr__))])
links = [os.readlink("/proc/self/fd/" + fd).partition(":")[0] for fd in os.listdir("/proc/self/fd") if os.path.islink("/proc/self/fd/" + fd)]
print(sorted(linecache.cache), sorted(collections.Counter(links).items()), threading.active_count(), signal.set_wakeup_fd(-1))
sys.stderr.write("and to stderr\n"); os.system("echo of a child"); sys.stdin.read()`
	var said [2]string
	for i, isolation := range []string{"fork", "fresh"} {
		s := d.create(t, v1.SessionSpec{Isolation: isolation})
		for range 2 {
			e := d.run(t, s.ID, show)
			said[i] += fmt.Sprint(e.Index, e.Stdout, e.Stderr)
		}
	}
	if said[0] != said[1] || !strings.Contains(said[0], "of a child") {
		t.Errorf("forked:\n%s\nfresh:\n%s", said[0], said[1])
	}
}

// Callers choose the limits, so that kinds of sandboxes are without number: what is
// kept ready for all of them together has a bound, and the rest still works.
func TestPoolOfManyKinds(t *testing.T) {
	const most, kinds = 1, 4 // --pool, and container.poolKinds
	d := start(t, "--pool", strconv.Itoa(most))
	for n := range 3 * kinds {
		s := d.create(t, v1.SessionSpec{Resources: &v1.Resources{CPUs: 0.5 + float64(n)/100}})
		if s.Isolation.Start != "fork" {
			t.Errorf("%+v", s.Isolation)
		}
		if e := d.run(t, s.ID, "6 * 7"); string(e.Result) != "42" {
			t.Errorf("%s", e.Result)
		}
		if err := d.CloseSession(callContext(t), s.ID); err != nil {
			t.Error(err)
		}
	}
	refills := -1
	for {
		now := d.metric(t, "tcid_pool_refills_total")
		if now == refills {
			break // it rests
		}
		refills = now
		time.Sleep(500 * time.Millisecond)
	}
	if ready := d.metric(t, "tcid_pool_ready"); ready < 1 || ready > most*kinds {
		t.Errorf("%d sandboxes are ready, after %d were made ready", ready, refills)
	}
	t.Logf("%d sandboxes were made ready", refills)
}

// What modules want done around a fork is done around those of user code, though
// not around the one that made the kernel.
func TestForksInForkedKernels(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{Isolation: "fork"})
	const code = `
import logging, os, threading
asked = []
os.register_at_fork(before=lambda: asked.append("before"), after_in_child=lambda: asked.append("child"))
held, release = threading.Event(), threading.Event()
def hold():
    logging.getLogger().handlers[0].acquire()
    held.set(); release.wait()
logging.basicConfig()
threading.Thread(target=hold).start(); held.wait()
pid = os.fork()
if pid == 0:
    logging.warning("from the child")  # would wait for ever for a lock that nobody holds there
    os._exit(len(threading.enumerate()) * 10 + (asked == ["before", "child"]))
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
release.set()`
	e, err := d.Execute(callContext(t), s.ID, v1.ExecSpec{Code: code, Timeout: new(20.0)})
	if err != nil || e.Stdout != "11\n" || !strings.Contains(e.Stderr, "from the child") {
		t.Errorf("%v %s %q %q", err, e.Status, e.Stdout, e.Stderr)
	}
}

// A sandbox that takes long to end, since it has much to end and little of the
// processors for it, costs nobody else the zygote, who knows how kernels ended.
func TestSlowEndHarmsNobody(t *testing.T) {
	t.Parallel() // with the others that wait
	d := start(t)
	neighbour := d.create(t, v1.SessionSpec{})
	s := d.create(t, v1.SessionSpec{Resources: &v1.Resources{CPUs: 0.1, MemoryMB: 2048, Pids: 256}})
	const many = `
import os, time
made = 0
for _ in range(240):
    if os.fork() == 0:
        block = bytearray(7 << 20)
        while True: time.sleep(60)
    made += 1
print(made)`
	if e := d.run(t, s.ID, many); e.Stdout != "240\n" {
		t.Fatalf("%s: %s %s", e.Status, e.Stdout, e.Stderr)
	}
	begun := time.Now()
	if err := d.CloseSession(callContext(t), s.ID); err != nil {
		t.Error(err)
	}
	t.Logf("closing it took %v", time.Since(begun))
	e, err := d.Execute(callContext(t), neighbour.ID, v1.ExecSpec{Code: "import os; os._exit(5)"})
	if err != nil || e.Error == nil || !strings.Contains(e.Error.Value, "code 5") {
		t.Errorf("the neighbour's kernel: %v, %+v", err, e.Error)
	}
	if strings.Contains(d.log.String(), "does not reap") {
		t.Error("the zygote was ended")
	}
}
