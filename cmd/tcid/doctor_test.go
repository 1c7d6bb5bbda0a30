package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tcid/daemon"
	"tcid/sandbox/host"
)

var (
	goodFinding = host.Finding{ID: "swap", Title: "swap", Status: host.OK, Detail: "none is on"}
	weakFinding = host.Finding{ID: "bpf", Title: "BPF", Status: host.Weak, Detail: "it is on", Mend: "switch it off"}
	lackFinding = host.Finding{ID: "seccomp", Title: "filter", Status: host.Missing, Detail: "there is\nnone", Mend: "get one", Required: true}
)

func TestDoctorReport(t *testing.T) {
	clearEnv(t)
	const good = "ok       swap: none is on\n"
	const weak = "weak     BPF: it is on (bpf)\n         mend: switch it off\n"
	const lack = "MISSING  filter: there is\n         none (seccomp)\n         mend: get one\n"
	for name, c := range map[string]struct {
		findings []host.Finding
		accepted []string
		quiet    bool
		code     int
		want     string
	}{
		"fine":       {[]host.Finding{goodFinding}, nil, false, 0, good + "This host can run sandboxes.\n"},
		"quiet":      {[]host.Finding{goodFinding}, nil, true, 0, ""},
		"weak":       {[]host.Finding{goodFinding, weakFinding}, nil, false, 0, good + weak + "This host can run sandboxes: nothing is missing, 1 weak.\n"},
		"quiet weak": {[]host.Finding{goodFinding, weakFinding}, nil, true, 0, weak + "This host can run sandboxes: nothing is missing, 1 weak.\n"},
		"missing":    {[]host.Finding{lackFinding, weakFinding}, nil, false, 7, lack + weak + "This host can't run sandboxes: 1 missing, 1 weak.\n"},
		"accepted":   {[]host.Finding{lackFinding}, []string{"seccomp"}, false, 0, lack + "What is missing here is accepted: 1 missing, 0 weak.\n"},
		"not enough": {[]host.Finding{lackFinding}, []string{"bpf"}, true, 7, lack + "This host can't run sandboxes: 1 missing, 0 weak.\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs strings.Builder
			a := &app{out: &out, err: &errs}
			code := a.report(a.printReport(host.Report{Findings: c.findings}, c.accepted, c.quiet))
			if diff := cmp.Diff(c.want, out.String()); diff != "" || code != c.code || errs.String() != "" {
				t.Errorf("code %d, want %d; stderr %q; stdout (-want +got):\n%s", code, c.code, errs.String(), diff)
			}
			out.Reset()
			a.json = true
			code = a.report(a.printReport(host.Report{Findings: c.findings}, c.accepted, c.quiet))
			var got struct {
				Findings []host.Finding
				OK       *bool
			}
			if err := json.Unmarshal([]byte(out.String()), &got); err != nil || got.OK == nil || got.Findings == nil {
				t.Fatalf("%q: %v", out.String(), err)
			}
			if code != c.code || *got.OK != (code == 0) || errs.String() != "" {
				t.Errorf("code %d, ok %v, stderr %q", code, *got.OK, errs.String())
			}
			shown := slices.DeleteFunc(slices.Clone(c.findings), func(f host.Finding) bool { return c.quiet && f.Status == host.OK })
			if diff := cmp.Diff(shown, got.Findings); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// The command on this host, whatever that is like.
func TestDoctor(t *testing.T) {
	clearEnv(t)
	dir := t.TempDir()
	out, errs, code := tcid("", "doctor", "--probe=false", "--json", "--state-dir", dir, "--data-dir", filepath.Join(dir, "none"))
	var got struct {
		Findings []host.Finding
		OK       bool
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || errs != "" || got.OK != (code == 0) || code != 0 && code != exitInfra {
		t.Fatalf("code %d, %v, stdout %q, stderr %q", code, err, out, errs)
	}
	if len(got.Findings) != len(host.IDs()) {
		t.Errorf("%d findings, want %d", len(got.Findings), len(host.IDs()))
	}
	text, _, _ := tcid("", "doctor", "--probe=false", "--state-dir", dir, "--data-dir", filepath.Join(dir, "none"))
	for _, f := range got.Findings {
		if !strings.Contains(text, f.Title+": ") {
			t.Errorf("the text says nothing about %s:\n%s", f.ID, text)
		}
	}
}

// What serve says of a host that it refuses.
func TestServeRefusesHost(t *testing.T) {
	var errs strings.Builder
	a := &app{err: &errs}
	code := a.report(host.Report{Findings: []host.Finding{goodFinding, lackFinding, weakFinding}}.Lacks(nil))
	want := `tcid: this host lacks what sandboxes need:
tcid:   seccomp: filter: there is
tcid: none
tcid:     mend: get one
tcid: "tcid doctor" shows the whole host; to start all the same: --accept-weakness seccomp
`
	if diff := cmp.Diff(want, errs.String()); diff != "" || code != exitInfra {
		t.Errorf("code %d; stderr (-want +got):\n%s", code, diff)
	}
}

// File, environment and flag name what is accepted; the last one wins.
func TestAcceptedWeaknesses(t *testing.T) {
	clearEnv(t)
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("accept_weaknesses: [swap, smt]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	accepted := func(args ...string) ([]string, error) {
		cmd := newServeCommand()
		if err := cmd.ParseFlags(args); err != nil {
			t.Fatal(err)
		}
		given, _ := cmd.Flags().GetStringSlice("accept-weakness")
		cfg, err := serveConfig(cmd, file, daemon.Config{AcceptWeaknesses: given})
		return cfg.AcceptWeaknesses, err
	}
	for _, c := range []struct {
		env  string
		args []string
		want []string
	}{
		{"", nil, []string{"swap", "smt"}},
		{"ksm,bpf", nil, []string{"ksm", "bpf"}},
		{"ksm", []string{"--accept-weakness", "seccomp", "--accept-weakness", "overlay"}, []string{"seccomp", "overlay"}},
	} {
		t.Setenv("TCID_ACCEPT_WEAKNESS", c.env)
		got, err := accepted(c.args...)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%v, (-want +got):\n%s", err, diff)
		}
	}
	for _, command := range []string{"serve", "doctor"} {
		out, errs, code := tcid("", command, "--accept-weakness", "nope")
		if code != exitUsage || out != "" || !strings.Contains(errs, `"nope"`) || !strings.Contains(errs, "user-namespaces") {
			t.Errorf("%s: code %d, stdout %q, stderr %q, which should list the names", command, code, out, errs)
		}
	}
}
