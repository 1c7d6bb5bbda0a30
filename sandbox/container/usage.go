package container

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tcid/sandbox"
)

// usage reads what the cgroup has consumed.
func (l *leaf) usage() (sandbox.Usage, error) {
	var u sandbox.Usage
	if l.v2 {
		return u, l.usageV2(&u)
	}
	return u, l.usageV1(&u)
}

func (l *leaf) usageV2(u *sandbox.Usage) error {
	dir := l.paths[""]
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
	pidsUsage(dir, u)
	return nil
}

func (l *leaf) usageV1(u *sandbox.Usage) error {
	stat, err := readKeys(l.paths["cpuacct"], "cpuacct.stat") // in ticks of 10 ms
	if err != nil {
		return err
	}
	total, err := readNumber(l.paths["cpuacct"], "cpuacct.usage") // ns, exact
	if err != nil {
		return err
	}
	// Split the exact sum by the ratio of the ticks.
	if ticks := stat["user"] + stat["system"]; ticks > 0 {
		u.CPUSystem = time.Duration(float64(total) * float64(stat["system"]) / float64(ticks))
	}
	u.CPUUser = time.Duration(total) - u.CPUSystem
	if cpu, err := readKeys(l.paths["cpu"], "cpu.stat"); err == nil {
		u.Throttled = time.Duration(cpu["throttled_time"])
	}
	memory := l.paths["memory"]
	if u.MemoryBytes, err = readNumber(memory, "memory.usage_in_bytes"); err != nil {
		return err
	}
	if u.MemoryPeakBytes, err = readNumber(memory, "memory.max_usage_in_bytes"); err != nil {
		return err
	}
	if oom, err := readKeys(memory, "memory.oom_control"); err == nil {
		u.OOMKills = uint64(oom["oom_kill"])
	}
	pidsUsage(l.paths["pids"], u)
	return nil
}

func pidsUsage(dir string, u *sandbox.Usage) {
	if peak, err := readNumber(dir, "pids.peak"); err == nil { // since Linux 6.11
		u.PidsPeak = &peak
	}
	if events, err := readKeys(dir, "pids.events"); err == nil {
		u.PidsRefused = uint64(events["max"])
	}
}

// resetPeaks starts the peak measurement anew, where the kernel can do that
// for everybody: v2 can only reset per open file.
func (l *leaf) resetPeaks() {
	if !l.v2 {
		_ = writeFile(filepath.Join(l.paths["memory"], "memory.max_usage_in_bytes"), "0")
	}
}

func readNumber(dir, name string) (int64, error) {
	b, err := readFile(filepath.Join(dir, name))
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
	b, err := readFile(filepath.Join(dir, name))
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
