package seccomp

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// call is what the kernel tells a filter.
type call struct {
	number, arch uint32
	args         [6]uint64
}

// decide says by the policy alone what becomes of a call: what the program must
// answer, found another way.
func decide(rules []Rule, c call) uint32 {
	if c.arch != arch || c.number >= foreign {
		return Kill
	}
	if c.number > Newest {
		return Missing
	}
	for _, r := range rules {
		if r.Number != c.number {
			continue
		}
		for _, alternative := range r.Unless {
			if !slices.ContainsFunc(alternative, func(x Condition) bool { return uint32(c.args[x.Arg])&x.Mask != x.Value }) {
				return Allow
			}
		}
		return r.Answer
	}
	return Refuse
}

// machine runs the filter's programs as the kernel would: of those that allow and
// those that refuse, the refusal counts.
func machine(t *testing.T) func(call) uint32 {
	t.Helper()
	f, err := Assemble()
	if err != nil {
		t.Fatal(err)
	}
	zygote, rest := simulate(t, f.Zygote), simulate(t, f.Rest)
	return func(c call) uint32 {
		first, second := zygote(c), rest(c)
		if second == Allow {
			return first
		}
		if first != Allow && first != second {
			t.Fatalf("%+v: the programs answer %#x and %#x", c, first, second)
		}
		return second
	}
}

func simulate(t *testing.T, code []Instruction) func(call) uint32 {
	t.Helper()
	var raw []bpf.RawInstruction
	for _, i := range code {
		raw = append(raw, bpf.RawInstruction{Op: i.Code, Jt: i.Jt, Jf: i.Jf, K: i.K})
	}
	program, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the program holds instructions that are none")
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	return func(c call) uint32 {
		// The machine is one for packets: it loads words in network order.
		data := binary.BigEndian.AppendUint32(nil, c.number)
		data = binary.BigEndian.AppendUint32(data, c.arch)
		data = binary.BigEndian.AppendUint64(data, 0)
		for _, a := range c.args {
			data = binary.BigEndian.AppendUint32(data, uint32(a))
			data = binary.BigEndian.AppendUint32(data, uint32(a>>32))
		}
		answer, err := vm.Run(data)
		if err != nil {
			t.Fatal(err)
		}
		return uint32(answer)
	}
}

// The program does what the policy says: for every number, with arguments that
// conditions name, their neighbours, and garbage above the 32 bits that count.
func TestProgramIsThePolicy(t *testing.T) {
	rules, err := Policy()
	if err != nil {
		t.Fatal(err)
	}
	run := machine(t)
	check := func(c call) {
		if got, want := run(c), decide(rules, c); got != want {
			t.Fatalf("%+v: the program answers %#x, the policy %#x", c, got, want)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for number := range uint32(Newest + 600) {
		for range 20 {
			c := call{number: number, arch: arch}
			for i := range c.args {
				c.args[i] = random.Uint64() >> random.IntN(64)
			}
			check(c)
		}
	}
	for _, number := range []uint32{foreign - 1, foreign, foreign | unix.SYS_READ, 1<<32 - 1} {
		check(call{number: number, arch: arch})
	}
	for _, other := range []uint32{0, 0x40000003 /* i386 */, 0xc00000b7 /* arm64 */, arch + 1} {
		check(call{number: unix.SYS_READ, arch: other})
	}
	for _, r := range rules {
		for _, alternative := range r.Unless {
			for shift := range 64 {
				for _, delta := range []uint64{0, 1, 1<<64 - 1} {
					c := call{number: r.Number, arch: arch}
					for _, x := range alternative {
						c.args[x.Arg] = uint64(x.Value)
					}
					check(c)
					for _, x := range alternative {
						d := c
						d.args[x.Arg] = (d.args[x.Arg] + delta) ^ 1<<shift
						check(d)
					}
				}
			}
		}
	}
}

func TestPolicy(t *testing.T) {
	rules, err := Policy()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint32]string{}
	for _, r := range rules {
		if other, twice := seen[r.Number]; twice {
			t.Errorf("%s and %s have the number %d", r.Name, other, r.Number)
		}
		if r.Number > Newest {
			t.Errorf("%s is newer than the policy", r.Name)
		}
		seen[r.Number] = r.Name
	}
	for _, denied := range []uint32{
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_SETNS, unix.SYS_UNSHARE, unix.SYS_PTRACE, unix.SYS_BPF, unix.SYS_KEYCTL,
		unix.SYS_ADD_KEY, unix.SYS_SPLICE, unix.SYS_TEE, unix.SYS_VMSPLICE, unix.SYS_SENDFILE, unix.SYS_PROCESS_VM_READV,
		unix.SYS_PERF_EVENT_OPEN, unix.SYS_INIT_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_REBOOT, unix.SYS_SETUID, unix.SYS_SETGID,
		unix.SYS_SETGROUPS, unix.SYS_CAPSET, unix.SYS_CHROOT, unix.SYS_PIVOT_ROOT, unix.SYS_NAME_TO_HANDLE_AT,
		unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_SECCOMP, unix.SYS_INOTIFY_INIT1, unix.SYS_FANOTIFY_INIT, unix.SYS_MODIFY_LDT,
		unix.SYS_PIDFD_GETFD, unix.SYS_FSOPEN, unix.SYS_MOVE_MOUNT, unix.SYS_MLOCK, unix.SYS_SCHED_SETSCHEDULER, unix.SYS_IO_SETUP,
	} {
		if name, named := seen[denied]; named {
			t.Errorf("%s (%d) has a rule", name, denied)
		}
	}
}

// A zygote may do what its children need to join a session, and otherwise what
// sessions may.
func TestZygote(t *testing.T) {
	rules, err := Policy()
	if err != nil {
		t.Fatal(err)
	}
	f, err := Assemble()
	if err != nil {
		t.Fatal(err)
	}
	run := simulate(t, f.Zygote)
	opened := map[uint32]bool{}
	for _, name := range strings.Fields(joining) {
		opened[numbers[name]] = true
	}
	for number := range uint32(Newest + 2) {
		c := call{number: number, arch: arch}
		want := decide(rules, c)
		if opened[number] {
			want = Allow
		}
		if got := run(c); got != want {
			t.Errorf("system call %d of a zygote is answered %#x, not %#x", number, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	f, err := Assemble()
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range [][]Instruction{f.Zygote, f.Rest} {
		if n := len(Encode(code)); n != len(code)*instruction {
			t.Errorf("%d instructions are encoded in %d bytes", len(code), n)
		}
	}
	t.Logf("%d and %d instructions", len(f.Zygote), len(f.Rest))
}

func FuzzProgram(f *testing.F) {
	f.Add(uint32(unix.SYS_CLONE), uint32(arch), uint64(newNamespaces), uint64(0), uint64(0))
	f.Add(uint32(unix.SYS_SOCKET), uint32(arch), uint64(1)<<32|unix.AF_UNIX, uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, number, architecture uint32, a, b, c uint64) {
		rules, err := Policy()
		if err != nil {
			t.Fatal(err)
		}
		one := call{number, architecture, [6]uint64{a, b, c}}
		if got, want := machine(t)(one), decide(rules, one); got != want {
			t.Errorf("%+v: %#x, not %#x", one, got, want)
		}
	})
}
