package container

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// sessionFilters is how many system call filters a session's processes have: the
// two parts of the one policy.
const sessionFilters = "2"

// How long the process between a zygote and its kernel may take to be gone.
const (
	companyTimeout = time.Second
	companyPoll    = 100 * time.Microsecond
)

// forkedFDs is how many descriptors a forked kernel begins with.
const forkedFDs = 6

// processStatus is what /proc/PID/status says, by the names there.
type processStatus map[string]string

func readStatus(pid int) (processStatus, error) {
	text, err := readFile(procPath(pid, "status"))
	if err != nil {
		return nil, fmt.Errorf("look at a process: %w", err)
	}
	return parseStatus(text), nil
}

func parseStatus(text []byte) processStatus {
	s := processStatus{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		s[name] = strings.Join(strings.Fields(value), " ")
	}
	return s
}

func procPath(pid int, name string) string {
	return "/proc/" + strconv.Itoa(pid) + "/" + name
}

// inspect looks from outside at a kernel that a zygote forked, which waits
// meanwhile, and says what about it is not as in every other session. It finds
// our mistakes and a kernel's that the host's runs; a zygote that is hostile could
// change its child afterwards.
func (x *box) inspect(pid, parent int, given descriptors) error {
	if err := x.container.lookAtInit(); err != nil {
		return err
	}
	workspace, err := idOf(procPath(x.initPid, "root"+workspaceDir))
	if err != nil {
		return err
	}
	return errors.Join(
		x.inspectStatus(pid),
		x.inspectNamespaces(pid),
		x.inspectCgroups(pid),
		sameFile("root directory", procPath(pid, "root"), x.facts.root),
		sameFile("working directory", procPath(pid, "cwd"), workspace),
		inspectDescriptors(pid, given),
		inspectLimits(pid, x.limits()),
		x.inspectCompany(pid, parent),
	)
}

// fileID tells files apart.
type fileID struct{ dev, ino uint64 }

func idOf(path string) (fileID, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return fileID{}, fmt.Errorf("look at %s: %w", path, err)
	}
	return fileID{st.Dev, st.Ino}, nil
}

// facts are what holds for a container's init as long as that lives. Kernels are
// compared with it.
type facts struct {
	namespaces map[string]fileID
	root       fileID
	cgroups    []byte
}

// lookAtInit finds the facts, once.
func (c *container) lookAtInit() (err error) {
	if c.facts.namespaces != nil {
		return nil
	}
	f := facts{namespaces: map[string]fileID{}}
	for _, name := range append([]string{"user"}, joined...) {
		if f.namespaces[name], err = idOf(procPath(c.initPid, "ns/"+name)); err != nil {
			return err
		}
	}
	if f.root, err = idOf(procPath(c.initPid, "root")); err != nil {
		return err
	}
	if f.cgroups, err = readFile(procPath(c.initPid, "cgroup")); err != nil {
		return fmt.Errorf("look at the init's cgroups: %w", err)
	}
	c.facts = f
	return nil
}

func (x *box) inspectStatus(pid int) error {
	s, err := readStatus(pid)
	if err != nil {
		return err
	}
	host := strconv.Itoa(x.owner.hostID())
	ids := strings.Join([]string{host, host, host, host}, " ")
	const none = "0000000000000000"
	want := processStatus{
		"Threads": "1", "Uid": ids, "Gid": ids, "Groups": "", "NoNewPrivs": "1", "Seccomp": "2", "Seccomp_filters": sessionFilters,
		"CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none,
	}
	if _, told := s["Seccomp_filters"]; !told {
		delete(want, "Seccomp_filters") // before Linux 5.9
	}
	var errs []error
	for name, value := range want {
		if s[name] != value {
			errs = append(errs, fmt.Errorf("%s is %q, not %q", name, s[name], value))
		}
	}
	return errors.Join(errs...)
}

func (x *box) inspectNamespaces(pid int) error {
	var errs []error
	own := joined
	if x.used > 0 {
		own = joinedAgain
	}
	for _, name := range append([]string{"user"}, joined...) {
		what, its := name+" namespace", procPath(pid, "ns/"+name)
		if name == "user" || slices.Contains(own, name) {
			errs = append(errs, sameFile(what, its, x.facts.namespaces[name]))
			continue
		}
		// Made anew: neither that of the uses before nor the host's.
		host, hostErr := hostNamespaces()
		got, err := idOf(its)
		if err := errors.Join(hostErr, err); err != nil || got == x.facts.namespaces[name] || got == host[name] {
			errs = append(errs, fmt.Errorf("its %s is no new one", what), err)
		}
	}
	// The one that its children will be in.
	errs = append(errs, sameFile("children's pid namespace", procPath(pid, "ns/pid_for_children"), x.facts.namespaces["pid"]))
	return errors.Join(errs...)
}

// hostNamespaces are the daemon's own.
var hostNamespaces = sync.OnceValues(func() (map[string]fileID, error) {
	ids := map[string]fileID{}
	for _, name := range joined {
		id, err := idOf("/proc/self/ns/" + name)
		if err != nil {
			return nil, err
		}
		ids[name] = id
	}
	return ids, nil
})

func (x *box) inspectCgroups(pid int) error {
	got, err := readFile(procPath(pid, "cgroup"))
	if err != nil {
		return fmt.Errorf("look at its cgroups: %w", err)
	}
	want := x.facts.cgroups
	if x.used > 0 {
		want = x.ownCgroups(want)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("it is in the cgroups %q, not %q", got, want)
	}
	return nil
}

// ownCgroups turns the init's line of each hierarchy ("4:memory:/PATH/ID") into that
// of a use that has a leaf of its own there.
func (x *box) ownCgroups(of []byte) []byte {
	var out []byte
	for line := range bytes.Lines(of) {
		controllers := strings.Split(string(bytes.SplitN(line, []byte(":"), 3)[1]), ",")
		if x.leaf.v2 || slices.ContainsFunc(controllers, isAccounted) {
			line = append(bytes.TrimSuffix(slices.Clone(line), []byte(x.id+"\n")), x.leafName()+"\n"...)
		}
		out = append(out, line...)
	}
	return out
}

func isAccounted(controller string) bool { return slices.Contains(accounted, controller) }

func sameFile(what, path string, want fileID) error {
	got, err := idOf(path)
	if err != nil {
		return fmt.Errorf("look at its %s: %w", what, err)
	}
	if got != want {
		return fmt.Errorf("its %s is another one than the sandbox's", what)
	}
	return nil
}

// descriptors are what a kernel is given as its descriptors from 2 on.
type descriptors [forkedFDs - 2]fileID

func identify(fds ...int) (d descriptors, err error) {
	for i, fd := range fds {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return d, fmt.Errorf("look at a kernel's descriptors: %w", err)
		}
		d[i] = fileID{st.Dev, st.Ino}
	}
	return d, nil
}

// inspectDescriptors wants the null device twice, our end of the pipe for errors,
// the listener, the first connection, the status socket, and nothing else.
func inspectDescriptors(pid int, given descriptors) error {
	dir := procPath(pid, "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look at its descriptors: %w", err)
	}
	if len(entries) != forkedFDs {
		return fmt.Errorf("it has %d descriptors, not %d", len(entries), forkedFDs)
	}
	for fd := range forkedFDs {
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(dir, strconv.Itoa(fd)), &st); err != nil {
			return fmt.Errorf("look at its descriptors: %w", err)
		}
		var ok bool
		switch fd {
		case 0, 1:
			ok = st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == unix.Mkdev(1, 3)
		default:
			ok = fileID{st.Dev, st.Ino} == given[fd-2]
		}
		if !ok {
			return fmt.Errorf("its descriptor %d is none that it should have", fd)
		}
	}
	return nil
}

// limitNames are what /proc/PID/limits calls them.
var limitNames = map[uint64]string{
	unix.RLIMIT_NOFILE: "Max open files", unix.RLIMIT_CORE: "Max core file size", unix.RLIMIT_FSIZE: "Max file size",
	unix.RLIMIT_STACK: "Max stack size", unix.RLIMIT_MEMLOCK: "Max locked memory", unix.RLIMIT_MSGQUEUE: "Max msgqueue size",
	unix.RLIMIT_SIGPENDING: "Max pending signals", unix.RLIMIT_NICE: "Max nice priority", unix.RLIMIT_RTPRIO: "Max realtime priority",
}

// inspectLimits wants the resource limits.
func inspectLimits(pid int, want []rlimit) error {
	const nameWidth, valueWidth = 26, 21 // as the kernel prints them
	text, err := readFile(procPath(pid, "limits"))
	if err != nil {
		return fmt.Errorf("look at its limits: %w", err)
	}
	has := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if len(line) > nameWidth+2*valueWidth {
			soft, hard := line[nameWidth:nameWidth+valueWidth], line[nameWidth+valueWidth:nameWidth+2*valueWidth]
			has[strings.TrimSpace(line[:nameWidth])] = strings.TrimSpace(soft) + "/" + strings.TrimSpace(hard)
		}
	}
	var errs []error
	for _, l := range want {
		if got, value := has[limitNames[l.kind]], limitText(l.soft)+"/"+limitText(l.hard); got != value {
			errs = append(errs, fmt.Errorf("limit %q is %q, not %q", limitNames[l.kind], got, value))
		}
	}
	return errors.Join(errs...)
}

func limitText(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

// inspectCompany wants nobody but the init beside the kernel. The process that
// forked it may need a moment to be gone.
func (x *box) inspectCompany(pid, parent int) error {
	want := []int{pid}
	if x.used == 0 {
		want = append(want, x.initPid)
	}
	slices.Sort(want)
	for end := time.Now().Add(companyTimeout); ; {
		pids, err := x.leaf.pids()
		if err != nil {
			return fmt.Errorf("look at its company: %w", err)
		}
		slices.Sort(pids)
		if slices.Equal(pids, want) {
			return nil
		}
		if !slices.Contains(pids, parent) || time.Now().After(end) {
			return fmt.Errorf("the processes %v are in the sandbox, not %v", pids, want)
		}
		time.Sleep(companyPoll)
	}
}
