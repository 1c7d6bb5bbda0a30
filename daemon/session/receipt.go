package session

import (
	"time"

	"go.uber.org/zap"

	"tcid/sandbox"
	"tcid/sandbox/workspace"
)

// Limits that an execution can hit, as its receipt names them.
const (
	limitMemory    = "memory"
	limitCPU       = "cpu"
	limitPids      = "pids"
	limitTime      = "time"
	limitOpenFiles = "open_files"
	limitDisk      = "disk"
	limitFiles     = "files"
	limitOutput    = "output"
	limitDisplays  = "displays"
)

// receiptOf is the difference between two measurements.
func receiptOf(before, after sandbox.Usage, queue, wall time.Duration) Receipt {
	r := Receipt{
		Wall: wall, Queue: queue,
		CPUUser:        max(0, after.CPUUser-before.CPUUser),
		CPUSystem:      max(0, after.CPUSystem-before.CPUSystem),
		Throttled:      max(0, after.Throttled-before.Throttled),
		MaxMemoryBytes: after.MemoryPeakBytes,
		OOMKills:       growth(before.OOMKills, after.OOMKills),
		MaxPids:        after.PidsPeak,
		RefusedForks:   growth(before.PidsRefused, after.PidsRefused),
	}
	if r.OOMKills > 0 {
		r.LimitsHit = append(r.LimitsHit, limitMemory)
	}
	if r.Throttled > 0 {
		r.LimitsHit = append(r.LimitsHit, limitCPU)
	}
	if r.RefusedForks > 0 {
		r.LimitsHit = append(r.LimitsHit, limitPids)
	}
	return r
}

// growth is how much a counter has grown; 0 when one of its readings failed.
func growth(before, after uint64) int64 {
	if after < before {
		return 0
	}
	return int64(after - before)
}

// looks is what was seen in use while an execution ran. What is full for less
// time than lies between two looks stays unseen.
type looks struct {
	openFiles           int64
	counted             bool // openFiles is known
	diskFull, filesFull bool
}

// look takes one more look.
func (r *run) look() (workspace.Space, error) {
	if n, ok := r.session.kernel.process.OpenFiles(); ok {
		r.seen.openFiles, r.seen.counted = max(r.seen.openFiles, n), true
	}
	space, err := r.session.sandbox.Workspace().Space()
	if err == nil {
		r.seen.diskFull = r.seen.diskFull || space.FreeBytes <= 0
		r.seen.filesFull = r.seen.filesFull || space.FreeFiles <= 0
	}
	return space, err
}

// measure takes the last look, once the code has ended: a workspace that is full
// then has failed writes, or would fail the next.
func (r *run) measure(to *Receipt) {
	space, err := r.look()
	if err != nil {
		r.session.log.Warn("a session's workspace can't be measured", zap.Error(err))
	}
	to.WorkspaceBytes, to.WorkspaceFiles = space.UsedBytes, space.UsedFiles
	if r.seen.counted {
		most := r.seen.openFiles // a pointer into r would keep the whole session in memory
		to.MaxOpenFiles = &most
	}
	for _, limit := range []struct {
		hit  bool
		name string
	}{
		{r.seen.openFiles >= openFiles, limitOpenFiles},
		{r.seen.diskFull, limitDisk},
		{r.seen.filesFull, limitFiles},
	} {
		if limit.hit {
			to.LimitsHit = append(to.LimitsHit, limit.name)
		}
	}
}
