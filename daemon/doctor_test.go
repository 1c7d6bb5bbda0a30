package daemon

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"tcid/sandbox/host"
)

const goodStatus = "Name:\tpython3\nUid:\t525288\t525288\t525288\t525288\nGid:\t525288\t525288\t525288\t525288\n" +
	"CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n" +
	"CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"

// The probe must be able to find each fault that it looks for.
func TestProcessFault(t *testing.T) {
	if fault := processFault(goodStatus); fault != "" {
		t.Errorf("a good process %s", fault)
	}
	for _, c := range []struct{ old, now, want string }{
		{"Seccomp:\t2", "Seccomp:\t0", "without a filter"},
		{"Seccomp:\t2", "", "without a filter"},
		{"NoNewPrivs:\t1", "NoNewPrivs:\t0", "can get privileges"},
		{"CapBnd:\t0000000000000000", "CapBnd:\t0000000000000001", "has capabilities: CapBnd"},
		{"CapAmb:\t0000000000000000\n", "", "has capabilities: CapAmb"},
		{"Uid:\t525288\t525288", "Uid:\t525288\t0", "has ids of the host: Uid"},
		{"Gid:\t525288", "Gid:\tx", "has ids of the host: Gid"},
	} {
		status := strings.Replace(goodStatus, c.old, c.now, 1)
		if fault := processFault(status); !strings.Contains(fault, c.want) {
			t.Errorf("%q for %q: %q, want %q", c.now, c.old, fault, c.want)
		}
	}
}

func TestProbesAreDocumented(t *testing.T) {
	docs, err := os.ReadFile("../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{imageFinding, probeFinding} {
		if !strings.Contains(string(docs), "`"+id+"`") {
			t.Errorf("docs/cli.md doesn't explain %s", id)
		}
	}
	for _, f := range []host.Finding{NotProbed(), ProbeFailed(os.ErrInvalid)} {
		if f.ID != probeFinding || f.Detail == "" || f.Mend == "" || f.Status == host.OK {
			t.Errorf("%+v", f)
		}
	}
}

// A host without images is not given a store.
func TestProbeWithoutImage(t *testing.T) {
	dir := t.TempDir() + "/none"
	found := Probe(t.Context(), Config{DataDir: dir, StateDir: dir})
	if len(found) != 1 || found[0].ID != imageFinding || found[0].Status != host.Weak || found[0].Mend == "" {
		t.Errorf("%+v", found)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the probe made the data directory")
	}
}

// What is weak is told once and to the API; what is accepted, to the API only.
func TestPreflight(t *testing.T) {
	state := t.TempDir() // somewhere below /tmp, which need not be reachable
	cfg := Config{StateDir: state, DataDir: state + "/none"}
	report := Inspect(cfg)
	for _, f := range report.Findings {
		if f.Status == host.Missing {
			cfg.AcceptWeaknesses = append(cfg.AcceptWeaknesses, f.ID)
		}
	}
	weak := 0
	for _, f := range report.Findings {
		if f.Status == host.Weak {
			weak++
		}
	}
	for _, silent := range []bool{false, true} {
		core, logs := observer.New(zap.WarnLevel)
		d := &Daemon{cfg: cfg, log: zap.New(core)}
		if silent {
			d.cfg.AcceptWeaknesses = host.IDs()
		}
		if err := d.preflight(); err != nil {
			t.Fatal(err)
		}
		want := len(report.Weaknesses())
		if silent {
			want -= weak
		}
		if logs.Len() != want || len(d.weaknesses) != len(report.Weaknesses()) {
			t.Errorf("accepted %v: %d warnings, want %d; %d weaknesses, want %d", silent, logs.Len(), want, len(d.weaknesses), len(report.Weaknesses()))
		}
	}
	cfg.AcceptWeaknesses = nil
	cfg.StateDir = state + "/closed/state"
	if err := os.Mkdir(state+"/closed", 0o700); err != nil {
		t.Fatal(err)
	}
	d := &Daemon{cfg: cfg, log: zap.NewNop()}
	if err := d.preflight(); err == nil || !strings.Contains(err.Error(), "--accept-weakness") || !strings.Contains(err.Error(), state+"/closed has mode 0700") {
		t.Errorf("a state directory out of reach: %v", err)
	}
}
