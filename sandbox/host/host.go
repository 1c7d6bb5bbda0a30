// Package host looks at the machine that sandboxes shall run on: what they
// can't do without, and what makes their walls thinner than they need be. It
// changes nothing, and reads files and a few harmless answers of the kernel
// only, so that the daemon can afford it at every start. It knows no
// mechanism: sandbox/container fails by itself where something is missing, but
// later, and with less of an explanation.
package host

import (
	"fmt"
	"slices"
	"strings"
)

// Status is how one check came out.
type Status string

// The states of a Finding. Something that nobody can mend, or that is no
// danger behind the filter, may still be weak: the operator decides.
const (
	OK      Status = "ok"
	Weak    Status = "weak"
	Missing Status = "missing"
)

// Finding is what one check found.
type Finding struct {
	ID       string `json:"id"` // in kebab case; docs/cli.md lists all
	Title    string `json:"title"`
	Status   Status `json:"status"`
	Detail   string `json:"detail"`         // what this host has, with its values
	Mend     string `json:"mend,omitempty"` // what to do about it
	Required bool   `json:"required"`       // sandboxes can't do without
}

// Options say where to look.
type Options struct {
	// Root is the directory that stands for "/"; tests give a tree of their own.
	Root string
	// StateDir and DataDir are the daemon's, as a path below Root.
	StateDir, DataDir string
	// System answers what no file tells; nil is this machine's kernel.
	System System
}

// Report is the outcome of all checks, in their order.
type Report struct {
	Findings []Finding `json:"findings"`
}

// check is one entry of the list.
type check struct {
	id, title string
	required  bool
	run       func(*probe) verdict
}

// verdict is what a check returns; the list knows the rest of a Finding.
type verdict struct {
	status       Status
	detail, mend string
}

// probe is what a check may use.
type probe struct {
	source
	Options
}

// checks returns all checks. It is a function, not a variable: whatever is
// initialised at the program's start is paid for by every container.
func checks() []check {
	return []check{
		{"root", "superuser", true, checkRoot},
		{"capabilities", "capabilities", true, checkCapabilities},
		{"kernel-version", "kernel", true, checkKernelVersion},
		{"system-calls", "system calls", true, checkSystemCalls},
		{"seccomp", "system call filter", true, checkSeccomp},
		{"user-namespaces", "user namespaces", true, checkUserNamespaces},
		{"namespaces", "other namespaces", true, checkNamespaces},
		{"host-ids", "host ids", true, checkIDs},
		{"overlay", "overlay file system", true, checkOverlay},
		{"cgroups", "control groups", true, checkCgroups},
		{"proc-mounts", "mounts over /proc", true, checkProcMounts},
		{"state-directory", "state directory", true, checkStateDir},
		{"data-directory", "data directory", true, checkDataDir},
		{"secrets", "API keys", false, checkSecrets},
		{"swap", "swap", false, checkSwap},
		{"memory", "memory", false, checkMemory},
		{"process-ids", "process ids", false, checkProcessIDs},
		{"core-pattern", "core dumps", false, checkCorePattern},
		{"bpf", "BPF for everybody", false, checkBPF},
		{"io-uring", "io_uring", false, checkIOUring},
		{"kernel-modules", "kernel modules", false, checkModules},
		{"cpu-vulnerabilities", "CPU vulnerabilities", false, checkVulnerabilities},
		{"smt", "hyper-threading", false, checkSMT},
		{"ksm", "merging of memory pages", false, checkKSM},
		{"ptrace-scope", "ptrace", false, checkPtrace},
		{"keys", "kernel keys", false, checkKeys},
		{"inotify", "inotify", false, checkInotify},
	}
}

// Check looks at the host.
func Check(o Options) Report {
	if o.Root == "" {
		o.Root = "/"
	}
	if o.System == nil {
		o.System = thisKernel{}
	}
	all := checks()
	r := Report{Findings: make([]Finding, 0, len(all))}
	for _, c := range all {
		p := &probe{source: source{root: o.Root}, Options: o}
		v := c.run(p)
		if len(p.trouble) > 0 && v.status == OK {
			// Not to have seen a danger is not the same as that there is none.
			v = weak("look at this as root", "%s; could not read %s", v.detail, strings.Join(p.trouble, ", "))
		}
		r.Findings = append(r.Findings, Finding{
			ID: c.id, Title: c.title, Status: v.status, Detail: v.detail, Mend: v.mend, Required: c.required,
		})
	}
	return r
}

// IDs are the names of all checks.
func IDs() []string {
	var ids []string
	for _, c := range checks() {
		ids = append(ids, c.id)
	}
	return ids
}

// KnownIDs returns an error that lists the known names when one of ids is
// unknown.
func KnownIDs(ids []string) error {
	known := IDs()
	for _, id := range ids {
		if !slices.Contains(known, id) {
			return fmt.Errorf("%q is not the name of a weakness; known are %s", id, strings.Join(known, ", "))
		}
	}
	return nil
}

func fine(format string, args ...any) verdict {
	return verdict{status: OK, detail: fmt.Sprintf(format, args...)}
}

func weak(mend, format string, args ...any) verdict {
	return verdict{Weak, fmt.Sprintf(format, args...), mend}
}

func missing(mend, format string, args ...any) verdict {
	return verdict{Missing, fmt.Sprintf(format, args...), mend}
}
