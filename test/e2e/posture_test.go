package e2e

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "tcid/api/v1"
	"tcid/test/leak"
)

const maxInitKiB = 512

// posture is all that the host's kernel tells about a process of a session, with
// what differs from session to session taken out.
type posture struct {
	Status      map[string]string // lines of /proc/PID/status
	Ids         string            // the user namespace's map
	Limits      map[string]string // resource limits, soft/hard
	Score       string            // for the out-of-memory killer
	Root, Cwd   string
	Descriptors []string // by class
	Mounts      []string // but those that hide or protect files of /proc
	Hidden      int      // how many of those there are: it depends on the host
	Environment []string
}

// statusLines are those of /proc/PID/status that say what a process may do.
var statusLines = []string{
	"Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters", "Umask",
	"SigIgn", "THP_enabled",
}

var (
	inodeNumber = regexp.MustCompile(`:\[\d+\]$`)
	layerName   = regexp.MustCompile(`lowerdir\+?=[^,]*`)
	// What kernels say by themselves, as they were configured.
	kernelOptions = regexp.MustCompile(`,(inode64|redirect_dir=\w+|metacopy=\w+|xino=\w+|index=\w+|nfs_export=\w+|uuid=\w+)\b`)
	ownerID       = regexp.MustCompile(`\b([ug]id)=(\d+)`)
)

// kernelOf is the process id of a session's kernel.
func kernelOf(pids map[int]string) (kernel int) {
	for pid, command := range pids {
		if strings.Contains(command, "python3") {
			kernel = pid
		}
	}
	return kernel
}

// postureOf looks at a process of the session whose kernel is named. Its ids and the
// init's, which differ from session to session, are shown as 1000 and 1001.
func postureOf(t *testing.T, pid, kernel int) posture {
	t.Helper()
	read := func(name string) string {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	p := posture{Status: map[string]string{}, Limits: map[string]string{}}
	for _, name := range statusLines {
		p.Status[name] = statusField(t, pid, name)
	}
	ids := strings.Fields(read("uid_map"))
	base, err := strconv.Atoi(ids[1])
	if err != nil || base < 524288 {
		t.Errorf("the session's ids begin at %s", ids[1])
	}
	if g := strings.Fields(read("gid_map")); !slices.Equal(g, ids) {
		t.Errorf("user and group ids differ: %v, %v", ids, g)
	}
	p.Ids = ids[0] + " BASE " + ids[2]
	first, err := strconv.Atoi(strings.Fields(statusField(t, kernel, "Uid"))[0])
	if err != nil {
		t.Fatal(err)
	}
	inside := func(id string) string {
		n, _ := strconv.Atoi(id)
		if own := n - first; own == 0 || own == 1 {
			return strconv.Itoa(1000 + own)
		}
		return strconv.Itoa(n - base)
	}
	for _, name := range []string{"Uid", "Gid"} {
		all := strings.Fields(statusField(t, pid, name))
		for i := range all {
			all[i] = inside(all[i])
		}
		p.Status[name] = strings.Join(all, " ")
	}
	for line := range strings.Lines(read("limits")) {
		// That on processes is the host's: the cgroup bounds them.
		if len(line) < 68 || strings.HasPrefix(line, "Limit") || strings.HasPrefix(line, "Max processes") {
			continue
		}
		p.Limits[strings.TrimSpace(line[:26])] = strings.TrimSpace(line[26:47]) + "/" + strings.TrimSpace(line[47:68])
	}
	p.Score = strings.TrimSpace(read("oom_score_adj"))
	for name, to := range map[string]*string{"root": &p.Root, "cwd": &p.Cwd} {
		if *to, err = os.Readlink(fmt.Sprintf("/proc/%d/%s", pid, name)); err != nil {
			t.Fatal(err)
		}
	}
	open, err := leak.Descriptors(pid)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range open {
		p.Descriptors = append(p.Descriptors, inodeNumber.ReplaceAllString(d, ""))
	}
	slices.Sort(p.Descriptors)
	for line := range strings.Lines(read("mountinfo")) {
		before, after, _ := strings.Cut(strings.TrimSpace(line), " - ")
		fields, source := strings.Fields(before), strings.Fields(after)
		if strings.HasPrefix(fields[4], "/proc/") {
			p.Hidden++
			if !strings.HasPrefix(fields[5], "ro,") && fields[3] != "/null" {
				t.Errorf("%s is neither hidden nor read-only: %s", fields[4], line)
			}
			continue
		}
		options := ownerID.ReplaceAllStringFunc(layerName.ReplaceAllString(source[2], "lowerdir=…"), func(o string) string {
			name, id, _ := strings.Cut(o, "=")
			return name + "=" + inside(id)
		})
		mount := fields[4] + " " + fields[5] + " " + source[0] + " " + kernelOptions.ReplaceAllString(options, "")
		if strings.HasPrefix(fields[3], "/") && fields[3] != "/" {
			mount = fields[4] + " is " + fields[3] + " of an " + source[0]
		}
		p.Mounts = append(p.Mounts, mount)
	}
	slices.Sort(p.Mounts)
	for entry := range strings.SplitSeq(strings.TrimRight(read("environ"), "\x00"), "\x00") {
		p.Environment = append(p.Environment, entry)
	}
	slices.Sort(p.Environment)
	return p
}

// leastHidden are the files of /proc that every host of today has.
const leastHidden = 15

// commonStatus is what all processes of a session have.
var commonStatus = map[string]string{
	"Groups": "", "CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000",
	"CapBnd": "0000000000000000", "CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2", "Seccomp_filters": "2",
	"Umask": "0022", "THP_enabled": "1",
}

// commonMounts are all that a session sees.
var commonMounts = []string{
	"/ ro,nosuid,nodev,relatime overlay ro,lowerdir=…",
	"/dev rw,nosuid,noexec tmpfs rw,size=64k,nr_inodes=64,mode=755,uid=0,gid=0",
	"/dev/full is /full of an overlay",
	"/dev/null is /null of an overlay",
	"/dev/pts rw,nosuid,noexec,relatime devpts rw,gid=5,mode=620,ptmxmode=666,max=64",
	"/dev/random is /random of an overlay",
	"/dev/shm rw,nosuid,nodev,noexec,relatime tmpfs rw,size=65536k,nr_inodes=1024,uid=0,gid=0",
	"/dev/urandom is /urandom of an overlay",
	"/dev/zero is /zero of an overlay",
	"/proc rw,nosuid,nodev,noexec,relatime proc rw,hidepid=invisible",
	"/tmp rw,nosuid,nodev,relatime tmpfs rw,size=262144k,nr_inodes=4096,uid=0,gid=0",
	"/workspace rw,nosuid,nodev,relatime tmpfs rw,size=262144k,nr_inodes=32768,mode=700,uid=1000,gid=1000",
}

func with(status map[string]string, more ...string) map[string]string {
	status = maps.Clone(status)
	for i := 0; i < len(more); i += 2 {
		status[more[i]] = more[i+1]
	}
	return status
}

// golden is the posture of a session with one CPU and 256 MiB of disk. Whatever
// changes here changes what user code may do: think before you adapt it.
var golden = map[string]posture{
	"tcid-init": {
		Status: with(commonStatus, "Uid", "1001 1001 1001 1001", "Gid", "1001 1001 1001 1001", "SigIgn", "0000000000000000"),
		Ids:    "0 BASE 65536", Score: "500", Root: "/", Cwd: "/",
		Descriptors: []string{"/dev/null", "/dev/null", "/dev/null"},
		Mounts:      commonMounts,
		Environment: []string{"HOME=/", "PATH="},
	},
	"python3": {
		// Ignored are SIGPIPE and SIGXFSZ, as Python has it.
		Status: with(commonStatus, "Uid", "1000 1000 1000 1000", "Gid", "1000 1000 1000 1000", "SigIgn", "0000000001001000"),
		Ids:    "0 BASE 65536", Score: "500", Root: "/", Cwd: "/workspace",
		Limits: map[string]string{
			"Max address space": "unlimited/unlimited", "Max core file size": "1/1", "Max cpu time": "unlimited/unlimited",
			"Max data size": "unlimited/unlimited", "Max file locks": "unlimited/unlimited",
			"Max file size": "268435456/268435456", "Max locked memory": "0/0", "Max msgqueue size": "0/0",
			"Max nice priority": "0/0", "Max open files": "1024/1024", "Max pending signals": "64/64",
			"Max realtime priority": "0/0", "Max realtime timeout": "unlimited/unlimited",
			"Max resident set": "unlimited/unlimited", "Max stack size": "8388608/unlimited",
		},
		// The streams, as pipes that the kernel itself reads, its two wake-up
		// pipes, the listener and the daemon's connection.
		Descriptors: []string{
			"/dev/null", "/dev/null", "pipe", "pipe", "pipe", "pipe", "pipe", "pipe", "pipe", "pipe", "pipe", "pipe",
			"socket", "socket",
		},
		Mounts: commonMounts,
		Environment: []string{
			"BLIS_NUM_THREADS=1", "HOME=/workspace", "IPYTHONDIR=/tmp/.ipython", "LANG=C.UTF-8", "LC_ALL=C.UTF-8",
			"LOGNAME=user", "LOKY_MAX_CPU_COUNT=1", "MKL_NUM_THREADS=1", "MPLBACKEND=Agg", "MPLCONFIGDIR=/tmp/.matplotlib",
			"NUMEXPR_NUM_THREADS=1", "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "OPENBLAS_THREAD_TIMEOUT=20",
			"PATH=/usr/local/bin:/usr/bin:/bin",
			"PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1", "PIP_RETRIES=1", "PWD=/workspace", "PYTHONDONTWRITEBYTECODE=1",
			"PYTHONUNBUFFERED=1", "PYTHON_CPU_COUNT=1", "RAYON_NUM_THREADS=1", "SHELL=/bin/sh", "TCID_NETWORK=none",
			"TERM=dumb", "TZ=UTC", "USER=user", "XDG_CACHE_HOME=/tmp/.cache",
		},
	},
}

// From outside, a session's processes have what they should and nothing more,
// also after their threads and children have come and gone.
func TestPosture(t *testing.T) {
	for _, isolation := range []string{"fork", "fresh"} {
		t.Run(isolation, func(t *testing.T) { testPosture(t, isolation) })
	}
}

func testPosture(t *testing.T, isolation string) {
	d := start(t)
	spec := v1.SessionSpec{Isolation: isolation, Resources: &v1.Resources{CPUs: 1, DiskMB: 256}}
	s, other := d.create(t, spec), d.create(t, spec)
	look := func(when string) (namespaces map[string]string) {
		t.Helper()
		pids := processesOf(t, s.Sandbox)
		if len(pids) != len(golden) {
			t.Fatalf("%s: processes: %v", when, pids)
		}
		namespaces = map[string]string{}
		for pid, command := range pids {
			name := command[strings.LastIndex(strings.Fields(command)[0], "/")+1:]
			name = strings.Fields(name)[0]
			got := postureOf(t, pid, kernelOf(pids))
			if got.Hidden < leastHidden {
				t.Errorf("%s: only %d files of /proc are hidden", name, got.Hidden)
			}
			got.Hidden = 0
			if name == "tcid-init" {
				got.Limits = nil // the daemon's; it takes nothing
				kib := residentKiB(t, pid)
				t.Logf("the init is %d KiB resident", kib)
				if kib > maxInitKiB {
					t.Errorf("the init is %d KiB resident, want at most %d", kib, maxInitKiB)
				}
			}
			if diff := cmp.Diff(golden[name], got); diff != "" {
				t.Errorf("%s: %s (-golden +session):\n%s", when, name, diff)
			}
			for _, ns := range []string{"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"} {
				link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, ns))
				if err != nil {
					t.Fatal(err)
				}
				if mine, _ := os.Readlink("/proc/self/ns/" + ns); link == mine {
					t.Errorf("%s: %s: the %s namespace is the host's", when, name, ns)
				}
				if before, ok := namespaces[ns]; ok && before != link {
					t.Errorf("%s: the session has two %s namespaces", when, ns)
				}
				namespaces[ns] = link
			}
		}
		return namespaces
	}
	d.run(t, s.ID, "1")
	own := look("at first")
	d.run(t, s.ID, "import threading, subprocess, multiprocessing\nts = [threading.Thread(target=sum, args=(range(10**5),)) for _ in range(20)]\n[x.start() for x in ts]; [x.join() for x in ts]\n"+
		"subprocess.run(['true']); p = multiprocessing.get_context('fork').Process(target=print); p.start(); p.join(); p.close()")
	look("after threads and children")
	d.run(t, other.ID, "1")
	for pid := range processesOf(t, other.Sandbox) {
		for ns, link := range own {
			if ns == "user" && isolation == "fork" {
				continue // one for each image
			}
			if theirs, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, ns)); theirs == link {
				t.Errorf("two sessions share a %s namespace", ns)
			}
		}
	}
	if _, err := d.Restart(callContext(t), s.ID); err != nil {
		t.Fatal(err)
	}
	d.run(t, s.ID, "1")
	look("after a new kernel")
}
