package api

import (
	"fmt"
	"net/http"
	"strings"
)

// metricsType is Prometheus's text format.
const metricsType = "text/plain; version=0.0.4; charset=utf-8"

// metrics tells what the daemon has done, for Prometheus. Its client library would
// be initialised in every container's start, which executes this program again.
func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) error {
	stats := s.Sessions.Stats()
	pool := stats.Sandboxes
	var b strings.Builder
	add := func(name, kind, help string, value uint64) {
		fmt.Fprintf(&b, "# HELP %[1]s %[2]s\n# TYPE %[1]s %[3]s\n%[1]s %[4]d\n", name, help, kind, value)
	}
	add("tcid_sessions", "gauge", "Sessions alive.", uint64(stats.Sessions))
	add("tcid_executions", "gauge", "Executions that wait or run.", uint64(stats.Executions))
	add("tcid_pool_ready", "gauge", "Sandboxes ready ahead of demand.", uint64(pool.PoolReady))
	add("tcid_pool_hits_total", "counter", "Sandboxes that were ready when they were wanted.", pool.PoolHits)
	add("tcid_pool_waited_total", "counter", "Sandboxes that were about to be ready.", pool.PoolWaited)
	add("tcid_pool_misses_total", "counter", "Sandboxes that had to be made when they were wanted.", pool.PoolMisses)
	add("tcid_pool_refills_total", "counter", "Sandboxes made ahead of demand.", pool.PoolRefills)
	add("tcid_pool_recycled_total", "counter", "Containers made anew for their principal's next execution.", pool.PoolRecycled)
	add("tcid_pool_refused_total", "counter", "Containers that could not be made anew, and were removed.", pool.PoolRefused)
	add("tcid_forks_total", "counter", "Kernels forked from zygotes.", pool.Forks)
	add("tcid_cgroup_moves_total", "counter", "Forked kernels that had to be moved to their cgroup; none on cgroup v2.", pool.Moves)
	add("tcid_zygotes_total", "counter", "Zygotes started.", pool.Zygotes)
	w.Header().Set("Content-Type", metricsType)
	_, err := w.Write([]byte(b.String()))
	return err
}
