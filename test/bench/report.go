package main

// Report is what a run found, and the content of the JSON file.
type Report struct {
	Schema int    `json:"schema"`
	Date   string `json:"date"`
	Commit string `json:"commit"`
	Plan   string `json:"plan"` // "full" or "short"
	Host   Host   `json:"host"`
	// Versions of the programs that were measured, by name.
	Versions map[string]string `json:"versions"`
	Daemon   Daemon            `json:"daemon"`
	// Interpreters that were looked at, the image's first.
	Interpreters []Interpreter `json:"interpreters"`
	Rows         []*Row        `json:"rows"`
}

// Host is where it was measured.
type Host struct {
	Kernel    string  `json:"kernel"`
	CPU       string  `json:"cpu"`
	Cores     int     `json:"cores"`
	MemoryMiB int     `json:"memory_mib"`
	Cgroup    string  `json:"cgroup"`
	Swap      bool    `json:"swap"`
	Load      float64 `json:"load_at_start"`
}

// Daemon is what the measured daemon says of itself.
type Daemon struct {
	Version    string   `json:"version"`
	Start      string   `json:"start"` // how sessions are started by default
	Features   []string `json:"features"`
	Namespaces []string `json:"namespaces"`
	Seccomp    bool     `json:"seccomp"`
	Limits     []string `json:"limits"`
}

// Interpreter is a CPython of the host.
type Interpreter struct {
	Path    string  `json:"path"`
	Version string  `json:"version"`
	P50     float64 `json:"p50_ms"` // of print(1+1)
	Image   bool    `json:"image"`  // the images were built from it
}

// Row is one row of the targets' table.
type Row struct {
	ID       int       `json:"id"`
	Title    string    `json:"title"`
	Seconds  float64   `json:"seconds"` // that measuring took
	NotBuilt string    `json:"not_built,omitempty"`
	Groups   []*Group  `json:"groups,omitempty"`
	Verdicts []Verdict `json:"verdicts,omitempty"`
	Notes    []string  `json:"notes,omitempty"`
}

// Units of groups.
const (
	unitMS     = "ms"         // percentiles matter
	unitRate   = "per second" // PerSecond matters
	unitMiB    = "MiB"        // Value matters
	unitMiBps  = "MiB/s"
	unitSecond = "s"
)

// Group is a set of results that were measured in turns and compare.
type Group struct {
	Title   string    `json:"title"`
	Unit    string    `json:"unit"`
	Results []*Result `json:"results"`
	// Baseline is the name of what ratios are to.
	Baseline string `json:"baseline,omitempty"`
	// Must is the target in the group's unit, where there is one.
	Must float64 `json:"must,omitempty"`
}

// Result is what one contender did. Times are in milliseconds.
type Result struct {
	Name      string  `json:"name"`
	Isolation string  `json:"isolation,omitempty"`
	Ours      bool    `json:"ours,omitempty"`
	Clients   int     `json:"clients,omitempty"`
	N         int     `json:"n,omitempty"`
	P50       float64 `json:"p50_ms,omitempty"`
	P90       float64 `json:"p90_ms,omitempty"`
	P99       float64 `json:"p99_ms,omitempty"`
	PerSecond float64 `json:"per_second,omitempty"`
	Value     float64 `json:"value,omitempty"`
	// Ratio to the group's baseline.
	Ratio float64 `json:"ratio,omitempty"`
}

// main is the number that matters in a group of this unit.
func (r *Result) main(unit string) float64 {
	switch unit {
	case unitMS:
		return r.P50
	case unitRate:
		return r.PerSecond
	}
	return r.Value
}

// Verdict holds a measured number against its targets.
type Verdict struct {
	What    string  `json:"what"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Must    float64 `json:"must"`
	Stretch float64 `json:"stretch"`
	AtLeast bool    `json:"at_least,omitempty"` // more is better
	Met     string  `json:"met"`                // "stretch", "must", "missed"
}

// atMost adds a verdict where less is better.
func (r *Row) atMost(what string, value float64, unit string, must, stretch float64) {
	r.judge(Verdict{What: what, Value: value, Unit: unit, Must: must, Stretch: stretch})
}

// atLeast adds a verdict where more is better.
func (r *Row) atLeast(what string, value float64, unit string, must, stretch float64) {
	r.judge(Verdict{What: what, Value: value, Unit: unit, Must: must, Stretch: stretch, AtLeast: true})
}

func (r *Row) judge(v Verdict) {
	reached := func(target float64) bool {
		if v.AtLeast {
			return v.Value >= target
		}
		return v.Value <= target
	}
	switch {
	case reached(v.Stretch):
		v.Met = "stretch"
	case reached(v.Must):
		v.Met = "must"
	default:
		v.Met = "missed"
	}
	r.Verdicts = append(r.Verdicts, v)
}

// group adds a group and works out its ratios. ours is the name's beginning of
// the contenders that are tcid.
func (r *Row) group(title, unit, baseline string, results []*Result) *Group {
	g := &Group{Title: title, Unit: unit, Results: results, Baseline: baseline}
	base := g.find(baseline)
	for _, result := range results {
		result.Ours = len(result.Name) >= len(ourName) && result.Name[:len(ourName)] == ourName
		if base != nil && base.main(unit) > 0 {
			result.Ratio = result.main(unit) / base.main(unit)
		}
	}
	r.Groups = append(r.Groups, g)
	return g
}

func (g *Group) find(name string) *Result {
	for _, r := range g.Results {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// fastest is the result with the smallest median whose name is among names.
func fastest(results []*Result, names []string) *Result {
	var best *Result
	for _, r := range results {
		for _, name := range names {
			if r.Name == name && (best == nil || r.P50 < best.P50) {
				best = r
			}
		}
	}
	return best
}

// ourName begins the names of contenders that are tcid.
const ourName = "tcid"
