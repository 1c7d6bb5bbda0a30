// Package seccomp makes the system call filter that every process of a session
// runs under: one BPF program, from the policy in this file. sandbox/container
// puts it where the session's processes load it before they run any code of
// others.
package seccomp

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// The system calls that Python and its data stack need, and no others.
const allowed = `
read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 open openat
openat2 creat close close_range dup dup2 dup3 flock fstat stat lstat newfstatat statx
access faccessat faccessat2 lseek getdents getdents64 readlink readlinkat mkdir mkdirat
rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat chmod
fchmod fchmodat chown fchown lchown fchownat utime utimes utimensat futimesat truncate
ftruncate fallocate fsync fdatasync sync_file_range msync statfs fstatfs umask
getcwd chdir fchdir getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr mmap
mprotect munmap mremap madvise mincore brk membarrier memfd_create fork vfork execve
execveat exit exit_group wait4 waitid kill tkill tgkill getpid getppid gettid getpgid
getpgrp setpgid getsid setsid getuid geteuid getgid getegid getresuid getresgid
getgroups arch_prctl set_tid_address set_robust_list rseq futex sched_yield
sched_getaffinity sched_setaffinity sched_getparam sched_getscheduler
sched_get_priority_max sched_get_priority_min sched_rr_get_interval getpriority
setpriority getrlimit setrlimit prlimit64 getrusage times sysinfo uname getcpu capget
rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend
sigaltstack restart_syscall pause signalfd signalfd4 clock_gettime clock_getres
clock_nanosleep nanosleep gettimeofday time alarm getitimer setitimer timer_settime
timer_gettime timer_getoverrun timer_delete timerfd_create timerfd_settime
timerfd_gettime poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl
epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2 pipe pipe2 bind connect listen
accept accept4 getsockname getpeername sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg
shutdown getsockopt getrandom pidfd_open pidfd_send_signal
`

// missing answer ENOSYS, so that programs take their fallback: clone3 hides its
// flags from the filter (CVE-2021-41133), the others have a plainer sibling (for
// coreutils' timeout that of timer_create is alarm) or a history of holes. So
// does every call that is newer than this table.
const missing = `
clone3 copy_file_range io_uring_setup io_uring_enter io_uring_register userfaultfd
memfd_secret landlock_create_ruleset landlock_add_rule landlock_restrict_self shmget
shmat shmctl shmdt semget semop semtimedop semctl msgget msgsnd msgrcv msgctl mq_open
pkey_mprotect pkey_alloc pkey_free timer_create
`

// joining are the calls by which a zygote's child puts itself into a session's
// sandbox, before it gives up the means to do so.
const joining = `
setns unshare mount umount2 setgroups setresgid setresuid capset prctl seccomp clone3
`

const (
	// newNamespaces are the CLONE_NEW* flags of clone, NEWTIME included.
	newNamespaces = 0x7e020080
	// siblings is CLONE_PARENT: a kernel's parent is outside of the sandbox, and
	// would have the children of its guests to reap.
	siblings = 0x8000
)

// Allowed values of arguments.
var (
	fcntlCommands = []uint32{ // without leases and directory notification
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 16, 36, 37, 38,
		1030, 1031, 1032, 1033, 1034,
	}
	ioctlCommands = []uint32{ // terminals made in the session, and FIO*
		0x5401, 0x5402, 0x5403, 0x5404, 0x540b, 0x540f, 0x5410, 0x5413, 0x5414,
		0x541b, 0x5421, 0x5429, 0x5441, 0x5450, 0x5451, 0x80045430, 0x40045431,
	}
	prctlOptions = []uint32{
		1, 2, 3, 4, 15, 16, 23, 29, 30, 36, 37, 38, 39, 41, 42, 0x53564d41,
	}
	socketOptions = [][2]uint32{ // without zero copy, filters, TCP_ULP, IPsec policies
		{1, 2}, {1, 6}, {1, 7}, {1, 8}, {1, 9}, {1, 13}, {1, 15}, {1, 16}, {1, 20},
		{1, 21}, {1, 66}, {1, 67}, {6, 1}, {6, 3}, {6, 4}, {6, 5}, {6, 6}, {6, 12},
		{6, 18}, {41, 26}, {0, 1},
	}
	socketFamilies  = []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6}
	socketProtocols = []uint32{0, unix.IPPROTO_TCP, unix.IPPROTO_UDP}
	personalities   = []uint32{0, 0xffffffff} // the default one, and the question
	// Without DONTNEED, which throws pages of the image out of the memory that
	// all sessions share, and tells by the next read who has used them.
	fileAdvices = []uint32{0, 1, 2, 3, 5}
	nodeTypes   = []uint32{unix.S_IFIFO, unix.S_IFREG, unix.S_IFSOCK, 0}
)

// Condition compares the low half of an argument. The kernel reads all
// arguments that are compared here as 32 bits: whatever is above them must make
// no difference.
type Condition struct {
	Arg         int // 0 to 5
	Mask, Value uint32
}

// Rule is what becomes of one system call.
type Rule struct {
	Name   string
	Number uint32
	// Answer is the action without conditions, as a filter returns it.
	Answer uint32
	// Unless is empty, or the call is only allowed if all conditions of one of
	// the alternatives hold; else it is refused.
	Unless [][]Condition
}

// What a filter returns.
const (
	Allow   uint32 = unix.SECCOMP_RET_ALLOW
	Refuse  uint32 = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	Missing uint32 = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	// Kill is for system calls of other architectures, which no program that
	// belongs here makes.
	Kill uint32 = unix.SECCOMP_RET_KILL_PROCESS
)

// Policy lists the rules. Calls that it does not name are refused, those above
// Newest are missing.
func Policy() ([]Rule, error) {
	var rules []Rule
	var unknown []string
	add := func(name string, answer uint32, alternatives ...[]Condition) {
		number, ok := numbers[name]
		if !ok {
			unknown = append(unknown, name)
			return
		}
		rules = append(rules, Rule{name, number, answer, alternatives})
	}
	for _, name := range strings.Fields(allowed) {
		add(name, Allow)
	}
	for _, name := range strings.Fields(missing) {
		add(name, Missing)
	}
	add("clone", Refuse, []Condition{{0, newNamespaces | siblings, 0}})
	var sockets, options [][]Condition
	for _, family := range socketFamilies {
		for _, protocol := range socketProtocols {
			sockets = append(sockets, []Condition{is(0, family), is(2, protocol)})
		}
	}
	for _, o := range socketOptions {
		options = append(options, []Condition{is(1, o[0]), is(2, o[1])})
	}
	add("socket", Refuse, sockets...)
	add("setsockopt", Refuse, options...)
	add("socketpair", Refuse, []Condition{is(0, unix.AF_UNIX)})
	add("fadvise64", Refuse, oneOf(3, fileAdvices)...)
	add("fcntl", Refuse, oneOf(1, fcntlCommands)...)
	add("ioctl", Refuse, oneOf(1, ioctlCommands)...)
	add("prctl", Refuse, oneOf(0, prctlOptions)...)
	add("personality", Refuse, oneOf(0, personalities)...)
	add("mknod", Refuse, nodes(1)...)
	add("mknodat", Refuse, nodes(2)...)
	if len(unknown) > 0 {
		return nil, noNumbers(unknown)
	}
	return rules, nil
}

func noNumbers(names []string) error {
	return fmt.Errorf("the system call filter has no numbers for %s on this architecture", strings.Join(names, ", "))
}

// split divides the policy in two, which together are the policy: what a zygote
// lives under and hands down, and what its children add to it.
func split(rules []Rule) (zygote, rest []Rule, err error) {
	named := map[uint32]Rule{}
	for _, r := range rules {
		named[r.Number] = r
	}
	for _, name := range strings.Fields(joining) {
		number, ok := numbers[name]
		if !ok {
			return nil, nil, noNumbers([]string{name})
		}
		r, ok := named[number]
		if !ok {
			r = Rule{Name: name, Number: number, Answer: Refuse}
		}
		rest = append(rest, r)
		named[number] = Rule{Name: name, Number: number, Answer: Allow}
	}
	for _, r := range named {
		zygote = append(zygote, r)
	}
	return zygote, rest, nil
}

const whole = 0xffffffff

func is(arg int, value uint32) Condition { return Condition{arg, whole, value} }

func oneOf(arg int, values []uint32) (alternatives [][]Condition) {
	for _, v := range values {
		alternatives = append(alternatives, []Condition{is(arg, v)})
	}
	return alternatives
}

func nodes(arg int) (alternatives [][]Condition) {
	for _, t := range nodeTypes {
		alternatives = append(alternatives, []Condition{{arg, unix.S_IFMT, t}})
	}
	return alternatives
}
