package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/cgroups"
	_ "github.com/opencontainers/cgroups/devices" // without it, device rules are an error
	devices "github.com/opencontainers/cgroups/devices/config"
	"github.com/opencontainers/cgroups/manager"
	"golang.org/x/sys/unix"

	"tcid/sandbox"
)

const (
	cpuPeriod      = 100_000 // µs
	killPoll       = 2 * time.Millisecond
	holdersGroup   = "holders"
	sandboxesGroup = "sandboxes"
	keeperGroup    = "keeper"
	tcpBytes       = 16 << 20 // of a session's TCP buffers, on cgroup v1
)

// CgroupMode tells which kind of hierarchy limits sessions: "v1", "hybrid" (v1
// controllers beside an empty v2 tree) or "v2".
func CgroupMode() string {
	switch {
	case cgroups.IsCgroup2UnifiedMode():
		return "v2"
	case cgroups.IsCgroup2HybridMode():
		return "hybrid"
	}
	return "v1"
}

// group is one cgroup, in whichever hierarchies the host has.
type group struct {
	cgroups.Manager
	v2 bool
}

func newGroup(groupPath string, resources *cgroups.Resources) (*group, error) {
	m, err := manager.New(&cgroups.Cgroup{Path: groupPath, Resources: resources})
	if err != nil {
		return nil, fmt.Errorf("prepare the cgroup %s: %w", groupPath, err)
	}
	return &group{Manager: m, v2: cgroups.IsCgroup2UnifiedMode()}, nil
}

// create makes the cgroup, sets its limits and moves pid into it; pid -1 moves
// nobody.
func (g *group) create(pid int) error {
	if err := g.Apply(pid); err != nil {
		return fmt.Errorf("make the cgroup: %w", err)
	}
	if err := g.Set(nil); err != nil {
		return fmt.Errorf("set the cgroup's limits: %w", err)
	}
	return nil
}

// limitTCP bounds what the buffers of TCP connections take. cgroup v1 counts it
// apart from all other memory, and does not limit it; libcontainer has no
// setting for it. A kernel without that file counts nothing.
func (g *group) limitTCP() error {
	if g.v2 || !boundsTCP() {
		return nil
	}
	file := filepath.Join(g.Path("memory"), "memory.kmem.tcp.limit_in_bytes")
	err := os.WriteFile(file, []byte(strconv.Itoa(tcpBytes)), 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("limit the memory of TCP buffers: %w", err)
	}
	return nil
}

// resources turns limits into cgroup settings.
func resources(l sandbox.Limits) *cgroups.Resources {
	r := &cgroups.Resources{
		Memory:     l.MemoryBytes,
		MemorySwap: l.MemoryBytes, // no swap
		PidsLimit:  &l.Pids,
		Devices:    deviceRules(),
	}
	if !swapAccounted() {
		r.MemorySwap = 0
	}
	if l.CPUs > 0 {
		r.CpuPeriod = cpuPeriod
		r.CpuQuota = int64(l.CPUs * cpuPeriod)
	}
	if cgroups.IsCgroup2UnifiedMode() {
		// The kernel, not a victim's siblings, decides what an out-of-memory
		// event ends: one process, so that the session can report it.
		r.Unified = map[string]string{"memory.oom.group": "0"}
	}
	return r
}

// swapAccounted tells whether a limit on swap can be set.
func swapAccounted() bool {
	if cgroups.IsCgroup2UnifiedMode() {
		return true
	}
	_, err := os.Stat("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes")
	return err == nil
}

// deviceRules allow the harmless character devices and nothing else.
func deviceRules() []*devices.Rule {
	rules := []*devices.Rule{{Type: devices.WildcardDevice, Major: devices.Wildcard, Minor: devices.Wildcard, Permissions: "rwm"}}
	for _, d := range [][2]int64{{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 2}, {136, devices.Wildcard}} {
		rules = append(rules, &devices.Rule{Type: devices.CharDevice, Major: d[0], Minor: d[1], Permissions: "rwm", Allow: true})
	}
	return rules
}

// killAll ends every process of the cgroup but spare (0: none) and waits until
// they are gone.
func (g *group) killAll(ctx context.Context, spare int) error {
	if g.v2 && spare == 0 {
		if err := os.WriteFile(filepath.Join(g.Path(""), "cgroup.kill"), []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("kill the cgroup: %w", err)
		}
	}
	for {
		left, err := g.killOnce(spare)
		if err != nil {
			return err
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d processes are still there: %w", left, context.Cause(ctx))
		case <-time.After(killPoll):
		}
	}
}

// killOnce freezes the cgroup, so that nothing forks away and no pid is reused
// meanwhile, kills what is in it, and thaws it. It returns how many it found.
func (g *group) killOnce(spare int) (int, error) {
	if !g.Exists() {
		return 0, nil
	}
	pids, err := g.others(spare)
	if len(pids) == 0 || err != nil {
		return 0, err
	}
	// A failure to freeze is no reason not to kill; the caller looks again.
	_ = g.Freeze(cgroups.Frozen)
	pids, err = g.others(spare)
	for _, pid := range pids {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	if thawErr := g.Freeze(cgroups.Thawed); thawErr != nil && g.Exists() {
		err = errors.Join(err, fmt.Errorf("thaw the cgroup: %w", thawErr))
	}
	return len(pids), err
}

func (g *group) others(spare int) ([]int, error) {
	pids, err := g.GetAllPids()
	if err != nil {
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) {
			return nil, nil
		}
		return nil, fmt.Errorf("list the cgroup's processes: %w", err)
	}
	others := pids[:0]
	for _, pid := range pids {
		if pid != spare {
			others = append(others, pid)
		}
	}
	return others, nil
}

// usage reads what the cgroup has consumed.
func (g *group) usage() (sandbox.Usage, error) {
	var u sandbox.Usage
	if g.v2 {
		return u, g.usageV2(&u)
	}
	return u, g.usageV1(&u)
}

func (g *group) usageV2(u *sandbox.Usage) error {
	dir := g.Path("")
	cpu, err := readKeys(dir, "cpu.stat")
	if err != nil {
		return err
	}
	u.CPUUser = time.Duration(cpu["user_usec"]) * time.Microsecond
	u.CPUSystem = time.Duration(cpu["system_usec"]) * time.Microsecond
	u.Throttled = time.Duration(cpu["throttled_usec"]) * time.Microsecond
	if u.MemoryBytes, err = readNumber(dir, "memory.current"); err != nil {
		return err
	}
	if u.MemoryPeakBytes, err = readNumber(dir, "memory.peak"); err != nil {
		u.MemoryPeakBytes = u.MemoryBytes // before Linux 5.19
	}
	events, err := readKeys(dir, "memory.events")
	if err != nil {
		return err
	}
	u.OOMKills = uint64(events["oom_kill"])
	g.pidsUsage(dir, u)
	return nil
}

func (g *group) usageV1(u *sandbox.Usage) error {
	stat, err := readKeys(g.Path("cpuacct"), "cpuacct.stat") // in ticks of 10 ms
	if err != nil {
		return err
	}
	total, err := readNumber(g.Path("cpuacct"), "cpuacct.usage") // ns, exact
	if err != nil {
		return err
	}
	// Split the exact sum by the ratio of the ticks.
	if ticks := stat["user"] + stat["system"]; ticks > 0 {
		u.CPUSystem = time.Duration(float64(total) * float64(stat["system"]) / float64(ticks))
	}
	u.CPUUser = time.Duration(total) - u.CPUSystem
	if cpu, err := readKeys(g.Path("cpu"), "cpu.stat"); err == nil {
		u.Throttled = time.Duration(cpu["throttled_time"])
	}
	memory := g.Path("memory")
	if u.MemoryBytes, err = readNumber(memory, "memory.usage_in_bytes"); err != nil {
		return err
	}
	if u.MemoryPeakBytes, err = readNumber(memory, "memory.max_usage_in_bytes"); err != nil {
		return err
	}
	if oom, err := readKeys(memory, "memory.oom_control"); err == nil {
		u.OOMKills = uint64(oom["oom_kill"])
	}
	g.pidsUsage(g.Path("pids"), u)
	return nil
}

func (g *group) pidsUsage(dir string, u *sandbox.Usage) {
	if peak, err := readNumber(dir, "pids.peak"); err == nil { // since Linux 6.11
		u.PidsPeak = &peak
	}
	if events, err := readKeys(dir, "pids.events"); err == nil {
		u.PidsRefused = uint64(events["max"])
	}
}

// resetPeaks starts the peak measurement anew, where the kernel can do that
// for everybody: v2 can only reset per open file.
func (g *group) resetPeaks() {
	if !g.v2 {
		_ = os.WriteFile(filepath.Join(g.Path("memory"), "memory.max_usage_in_bytes"), []byte("0"), 0)
	}
}

func readNumber(dir, name string) (int64, error) {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return 0, fmt.Errorf("read usage: %w", err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read usage: %s: %w", name, err)
	}
	return n, nil
}

// readKeys reads a file of "key number" lines.
func readKeys(dir, name string) (map[string]int64, error) {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	keys := make(map[string]int64)
	for line := range strings.Lines(string(b)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseInt(value, 10, 64); ok && err == nil {
			keys[key] = n
		}
	}
	return keys, nil
}

// tree is the daemon's part of the cgroup hierarchies: holders and sandboxes
// below one root that bounds them all together.
type tree struct{ root string }

func (t tree) sandboxPath(id string) string { return path.Join(t.root, sandboxesGroup, id) }
func (t tree) holdersPath() string          { return path.Join(t.root, holdersGroup) }
func (t tree) keeperPath() string           { return path.Join(t.root, keeperGroup) }
