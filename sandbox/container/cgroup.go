package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
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
	firstKillPoll  = 200 * time.Microsecond
	killAgain      = 50 // polls, until what is still there is killed once more
	holdersGroup   = "holders"
	sandboxesGroup = "sandboxes"
	keeperGroup    = "keeper"
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
	resources *cgroups.Resources
	v2        bool
}

func newGroup(groupPath string, resources *cgroups.Resources) (*group, error) {
	m, err := manager.New(&cgroups.Cgroup{Path: groupPath, Resources: resources})
	if err != nil {
		return nil, fmt.Errorf("prepare the cgroup %s: %w", groupPath, err)
	}
	return &group{Manager: m, resources: resources, v2: cgroups.IsCgroup2UnifiedMode()}, nil
}

// create makes the cgroup, sets its limits and moves pid into it; pid -1 moves
// nobody.
func (g *group) create(pid int) error {
	if err := g.Apply(pid); err != nil {
		return fmt.Errorf("make the cgroup: %w", err)
	}
	limits := *g.resources
	limits.SkipDevices = len(limits.Devices) == 0 // they are the sandboxes' own affair then
	if err := g.Set(&limits); err != nil {
		return fmt.Errorf("set the cgroup's limits: %w", err)
	}
	return nil
}

// remove removes the cgroup and those below it.
func (g *group) remove() error {
	for _, dir := range g.GetPaths() {
		if err := cgroups.RemovePath(dir); err != nil {
			return fmt.Errorf("remove the cgroup %s: %w", dir, err)
		}
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

// tree is the daemon's part of the cgroup hierarchies: holders and sandboxes
// below one root that bounds them all together.
type tree struct{ root string }

func (t tree) sandboxPath(id string) string { return path.Join(t.root, sandboxesGroup, id) }
func (t tree) holdersPath() string          { return path.Join(t.root, holdersGroup) }
func (t tree) keeperPath() string           { return path.Join(t.root, keeperGroup) }
