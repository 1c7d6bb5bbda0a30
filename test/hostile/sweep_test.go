package hostile

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	v1 "tcid/api/v1"
	"tcid/sandbox/seccomp"
)

// probe is a system call that a session makes, and the error that the filter
// must answer.
type probe struct {
	Number uint32
	Args   [6]uint64
	Errno  int
}

const (
	eperm  = 1
	enosys = 38
	// beyond is how far above the newest known call the sweep goes.
	beyond = 600
)

// unseen are uretprobe and uprobe, which the kernel itself passes by the filter;
// they are of use at one address only.
var unseen = []uint32{335, 336}

// refusals makes probes of all that the policy refuses: every number without a
// rule, and of those with conditions, every value near an allowed one that is
// not allowed itself.
func refusals(t *testing.T) (probes []probe) {
	t.Helper()
	rules, err := seccomp.Policy()
	if err != nil {
		t.Fatal(err)
	}
	byNumber := map[uint32]seccomp.Rule{}
	for _, r := range rules {
		byNumber[r.Number] = r
	}
	for number := range uint32(seccomp.Newest + beyond) {
		rule, ruled := byNumber[number]
		switch {
		case slices.Contains(unseen, number):
		case number > seccomp.Newest, ruled && rule.Answer == seccomp.Missing:
			probes = append(probes, probe{Number: number, Errno: enosys})
		case !ruled:
			probes = append(probes, probe{Number: number, Errno: eperm})
		case rule.Answer == seccomp.Refuse:
			probes = append(probes, conditional(rule)...)
		}
	}
	return probes
}

// conditional makes probes of the values that a rule with conditions refuses.
// The other arguments are no use to anybody.
func conditional(r seccomp.Rule) (probes []probe) {
	const most = 300
	values := map[int][]uint64{}
	for _, alternative := range r.Unless {
		for _, c := range alternative {
			v := uint64(c.Value)
			values[c.Arg] = append(values[c.Arg], v, v+1, v-1, v<<1, v|1<<30, uint64(c.Mask)&^v)
		}
	}
	for arg := range values {
		for v := range uint64(64) {
			values[arg] = append(values[arg], v)
		}
		slices.Sort(values[arg])
		values[arg] = slices.Compact(values[arg])
	}
	for arg, list := range values {
		for _, v := range list {
			p := probe{Number: r.Number, Errno: eperm}
			for i := range p.Args {
				p.Args[i] = 0xffffffff // no descriptor, no address
			}
			p.Args[arg] = v & 0xffffffff
			if len(probes) < most && !allows(r, p.Args) {
				probes = append(probes, p)
			}
		}
	}
	return probes
}

func allows(r seccomp.Rule, args [6]uint64) bool {
	return slices.ContainsFunc(r.Unless, func(alternative []seccomp.Condition) bool {
		return !slices.ContainsFunc(alternative, func(c seccomp.Condition) bool { return uint32(args[c.Arg])&c.Mask != c.Value })
	})
}

// sweep makes the calls and counts those that were answered by somebody else
// than the filter. A call that ends or stops the process is one of them: each
// runs in a child where the filter may be missing.
const sweep = `
import json
from attack import *

probes = json.load(open("probes.json"))
through = []
for p in probes:
    args = [ctypes.c_ulong(a) for a in p["Args"]]
    if CAREFUL:
        status = in_child(lambda: os._exit(min(-syscall(p["Number"], *args), 99) if syscall(p["Number"], *args) < 0 else 0), 1)
        answer = -os.WEXITSTATUS(status) if status is not None and os.WIFEXITED(status) else None
    else:
        answer = syscall(p["Number"], *args)
    if answer != -p["Errno"]:
        through.append((p["Number"], [hex(a) for a in p["Args"][:3]], answer))
print(len(through), "of", len(probes))
for t in through[:20]:
    print(*t)
result = len(through)
`

func (d *daemon) sweep(t *testing.T, probes []probe, careful bool) (through int, report string) {
	t.Helper()
	list, err := json.Marshal(probes)
	if err != nil {
		t.Fatal(err)
	}
	attack, err := files.ReadFile("attack.py")
	if err != nil {
		t.Fatal(err)
	}
	code := fmt.Sprintf("CAREFUL = %s%s", map[bool]string{true: "True", false: "False"}[careful], sweep)
	e, err := d.RunOnce(t.Context(), v1.OneShot{ExecSpec: v1.ExecSpec{Code: code, Files: []v1.InlineFile{
		{Name: "probes.json", Encoding: "string", Content: string(list)}, {Name: "attack.py", Encoding: "string", Content: string(attack)},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if e.Status != v1.StatusOK {
		t.Fatalf("the sweep ended with %s: %.1000s %.1000s", e.Status, e.Stdout, e.Stderr)
	}
	if err := json.Unmarshal(e.Result, &through); err != nil {
		t.Fatal(err)
	}
	return through, e.Stdout
}

// What the policy refuses, the filter of a real session refuses: every number,
// and every kind of argument.
func TestFilterSweep(t *testing.T) {
	probes := refusals(t)
	through, report := start(t, product, nil).sweep(t, probes, false)
	if through > 0 {
		t.Errorf("not answered by the filter: %s", report)
	}
	t.Logf("%d calls refused", len(probes)-through)
}

// Without the filter the same sweep finds others' answers. Only harmless calls
// are made there: of numbers that nothing answers to, and with arguments that
// are no use.
func TestFilterSweepControl(t *testing.T) {
	if _, err := os.Stat(weakened); err != nil {
		t.Fatal(err)
	}
	var harmless []probe
	for _, p := range refusals(t) {
		// fcntl, ioctl, setsockopt of a descriptor that is not open; socket,
		// socketpair of what there is; splice, tee, vmsplice and the like of -1.
		if slices.Contains([]uint32{16, 41, 53, 54, 72, 275, 276, 278, 188, 253, 291, 237, 312, 440}, p.Number) {
			harmless = append(harmless, p)
		}
	}
	through, report := start(t, weakened, []string{"filter"}).sweep(t, harmless, true)
	if through < len(harmless)/2 {
		t.Errorf("without a filter only %d of %d calls get through: %s", through, len(harmless), report)
	}
	t.Logf("%d of %d calls get through without the filter", through, len(harmless))
}
