package container

import (
	"strings"
	"sync"

	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/seccomp"
	"golang.org/x/sys/unix"
)

// The system calls that Python and its data stack need, and no others. An
// unknown name here would be ignored without a word by libseccomp, and two
// conditions on one argument become two rules: keep to allow rules whose
// conditions are equalities.
const allowedCalls = `
read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 open openat
openat2 creat close close_range dup dup2 dup3 flock fstat stat lstat newfstatat statx
access faccessat faccessat2 lseek getdents getdents64 readlink readlinkat mkdir mkdirat
rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat chmod
fchmod fchmodat chown fchown lchown fchownat utime utimes utimensat futimesat truncate
ftruncate fallocate fadvise64 fsync fdatasync sync_file_range msync statfs fstatfs umask
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

// refusedAsMissing answer ENOSYS, so that programs take their fallback: clone3
// hides its flags from the filter (CVE-2021-41133), the others have a plainer
// sibling or a history of holes.
const refusedAsMissing = `
clone3 copy_file_range io_uring_setup io_uring_enter io_uring_register userfaultfd
memfd_secret landlock_create_ruleset landlock_add_rule landlock_restrict_self shmget
shmat shmctl shmdt semget semop semtimedop semctl msgget msgsnd msgrcv msgctl mq_open
pkey_mprotect pkey_alloc pkey_free
`

// Argument filters. Arguments that the kernel reads as 32 bits are compared as
// 32 bits: garbage above them would otherwise pass by a rule.
const (
	low32 = 0xffffffff
	// newNamespaces are the CLONE_NEW* flags of clone, NEWTIME included.
	newNamespaces = 0x7e020080
)

var (
	fcntlCommands = []uint64{ // without leases and directory notification
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 16, 36, 37, 38,
		1030, 1031, 1032, 1033, 1034,
	}
	ioctlCommands = []uint64{ // terminals made in the session, and FIO*
		0x5401, 0x5402, 0x5403, 0x5404, 0x540b, 0x540f, 0x5410, 0x5413, 0x5414,
		0x541b, 0x5421, 0x5429, 0x5441, 0x5450, 0x5451, 0x80045430, 0x40045431,
	}
	prctlOptions = []uint64{
		1, 2, 3, 4, 15, 16, 23, 29, 30, 36, 37, 38, 39, 41, 42, 0x53564d41,
	}
	socketOptions = [][2]uint64{ // without zero copy, filters, TCP_ULP, IPsec policies
		{1, 2}, {1, 6}, {1, 7}, {1, 8}, {1, 9}, {1, 13}, {1, 15}, {1, 16}, {1, 20},
		{1, 21}, {1, 66}, {1, 67}, {6, 1}, {6, 3}, {6, 4}, {6, 5}, {6, 6}, {6, 12},
		{6, 18}, {41, 26}, {0, 1},
	}
	socketFamilies  = []uint64{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6}
	socketProtocols = []uint64{0, unix.IPPROTO_TCP, unix.IPPROTO_UDP}
	personalities   = []uint64{0, low32} // the default one, and the question
	nodeTypes       = []uint64{unix.S_IFIFO, unix.S_IFREG, unix.S_IFSOCK, 0}
)

// seccompSupported is false in a binary built without the seccomp tag, which
// must not start.
const seccompSupported = seccomp.Enabled

// seccompFilter returns the filter that every process of a session runs under:
// EPERM for what is not allowed, x86_64 calls only.
func seccompFilter() *configs.Seccomp {
	eperm, enosys := uint(unix.EPERM), uint(unix.ENOSYS)
	f := &configs.Seccomp{
		DefaultAction:   configs.Errno,
		DefaultErrnoRet: &eperm,
		Architectures:   []string{"amd64"},
	}
	allow := func(name string, args ...*configs.Arg) {
		f.Syscalls = append(f.Syscalls, &configs.Syscall{Name: name, Action: configs.Allow, Args: args})
	}
	for _, name := range strings.Fields(allowedCalls) {
		allow(name)
	}
	for _, name := range strings.Fields(refusedAsMissing) {
		f.Syscalls = append(f.Syscalls, &configs.Syscall{Name: name, Action: configs.Errno, ErrnoRet: &enosys})
	}
	allow("clone", masked(0, newNamespaces, 0))
	for _, family := range socketFamilies {
		for _, protocol := range socketProtocols {
			allow("socket", equal32(0, family), equal32(2, protocol))
		}
	}
	allow("socketpair", equal32(0, unix.AF_UNIX))
	for _, command := range fcntlCommands {
		allow("fcntl", equal32(1, command))
	}
	for _, command := range ioctlCommands {
		allow("ioctl", equal32(1, command))
	}
	for _, option := range prctlOptions {
		allow("prctl", equal32(0, option))
	}
	for _, o := range socketOptions {
		allow("setsockopt", equal32(1, o[0]), equal32(2, o[1]))
	}
	for _, p := range personalities {
		allow("personality", equal32(0, p))
	}
	for _, t := range nodeTypes {
		allow("mknod", masked(1, unix.S_IFMT, t))
		allow("mknodat", masked(2, unix.S_IFMT, t))
	}
	return f
}

// sharedFilter is the one filter that all containers' configurations point to;
// nobody changes it.
var sharedFilter = sync.OnceValue(seccompFilter)

func equal32(index uint, value uint64) *configs.Arg { return masked(index, low32, value) }

func masked(index uint, mask, value uint64) *configs.Arg {
	return &configs.Arg{Index: index, Value: mask, ValueTwo: value, Op: configs.MaskEqualTo}
}
