package container

import (
	"time"

	"tcid/sandbox"
)

// peakFile has the most memory that was used, on v1.
const peakFile = "memory.max_usage_in_bytes"

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
	cpu, err := l.meter.keys(dir, "cpu.stat")
	if err != nil {
		return err
	}
	u.CPUUser = time.Duration(cpu["user_usec"]) * time.Microsecond
	u.CPUSystem = time.Duration(cpu["system_usec"]) * time.Microsecond
	u.Throttled = time.Duration(cpu["throttled_usec"]) * time.Microsecond
	if u.MemoryBytes, err = l.meter.number(dir, "memory.current"); err != nil {
		return err
	}
	if u.MemoryPeakBytes, err = l.meter.number(dir, "memory.peak"); err != nil {
		u.MemoryPeakBytes = u.MemoryBytes // before Linux 5.19
	}
	events, err := l.meter.keys(dir, "memory.events")
	if err != nil {
		return err
	}
	u.OOMKills = uint64(events["oom_kill"])
	l.pidsUsage(dir, u)
	return nil
}

func (l *leaf) usageV1(u *sandbox.Usage) error {
	stat, err := l.shared.keys(l.paths["cpuacct"], "cpuacct.stat") // in ticks of 10 ms
	if err != nil {
		return err
	}
	total, err := l.shared.number(l.paths["cpuacct"], "cpuacct.usage") // ns, exact
	if err != nil {
		return err
	}
	// Split the exact sum by the ratio of the ticks.
	if ticks := stat["user"] + stat["system"]; ticks > 0 {
		u.CPUSystem = time.Duration(float64(total) * float64(stat["system"]) / float64(ticks))
	}
	u.CPUUser = time.Duration(total) - u.CPUSystem
	if cpu, err := l.shared.keys(l.paths["cpu"], "cpu.stat"); err == nil {
		u.Throttled = time.Duration(cpu["throttled_time"])
	}
	memory := l.paths["memory"]
	if u.MemoryBytes, err = l.meter.number(memory, "memory.usage_in_bytes"); err != nil {
		return err
	}
	if u.MemoryPeakBytes, err = l.meter.number(memory, peakFile); err != nil {
		return err
	}
	if oom, err := l.meter.keys(memory, "memory.oom_control"); err == nil {
		u.OOMKills = uint64(oom["oom_kill"])
	}
	l.pidsUsage(l.paths["pids"], u)
	return nil
}

func (l *leaf) pidsUsage(dir string, u *sandbox.Usage) {
	if peak, err := l.meter.number(dir, "pids.peak"); err == nil { // since Linux 6.11
		u.PidsPeak = &peak
	}
	if events, err := l.meter.keys(dir, "pids.events"); err == nil {
		u.PidsRefused = uint64(events["max"])
	}
}

// resetPeaks starts the peak measurement anew, where the kernel can do that
// for everybody: v2 can only reset per open file.
func (l *leaf) resetPeaks() {
	if !l.v2 {
		_ = l.meter.write(l.paths["memory"], peakFile, "0")
	}
}
