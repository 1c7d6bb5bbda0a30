/*
 * fork.so makes kernels of a zygote. The zygote, which is Python, loads it with
 * ctypes and calls serve (serve.c), which calls spawn for every kernel; all that is
 * between the fork and the first line of Python in the new kernel happens here,
 * without allocating and without a C library but for its fork().
 *
 * spawn makes an intermediate process that shares the zygote's memory, as vfork
 * does: it can join the session's namespaces without a copy of the zygote's page
 * tables. It says "i" on the status socket and waits for one byte: the daemon
 * has put it into the session's cgroup, so that everything the kernel's memory
 * takes is the session's; on cgroup v2 it says "I", since it was made there. Then it joins the namespaces, forks the kernel, and
 * exits. The kernel gives up every privilege, says "k" and waits: the daemon
 * looks at it from outside, and answers with a message that begins with "o", or
 * closes the socket. A step that fails is told as "e", the step's number and the
 * error's, and ends the process. The sender's process id comes with each message
 * from the kernel of the host, not from us.
 */
#include <linux/mount.h>

#include "drop.h"
#include "fork.h"

#define MNT_DETACH 2
#define SIGCHLD 17
#define FIRST_FREE 64 /* descriptors are kept above here while they are sorted */

/* The descriptors that come with an order; the namespaces follow. */
enum { STATUS, LISTENER, CONNECTION, ERRORS, FIRST_NAMESPACE };

/* Where the kernel finds them. */
enum { LISTENER_AT = 3, CONNECTION_AT = 4, STATUS_AT = 5 };

enum step {
	STEP_ORDER = 1,
	STEP_CLONE,
	STEP_PLACE,
	STEP_JOIN,
	STEP_UNSHARE,
	STEP_MOUNT,
	STEP_FORK,
	STEP_SESSION,
	STEP_DESCRIPTORS,
	STEP_BOUNDING,
	STEP_IDS,
	STEP_DIRECTORY,
	STEP_CAPABILITIES,
	STEP_PRIVILEGES,
	STEP_LIMITS,
	STEP_FILTER,
	STEP_GATE,
};

/* Test builds leave single steps out, to see that the daemon notices. */
#ifdef FAULTS
enum {
	FAULT_CAPABILITIES = 1,
	FAULT_BOUNDING = 2,
	FAULT_USER = 4,
	FAULT_GROUP = 8,
	FAULT_GROUPS = 16,
	FAULT_FILTER = 32,
	FAULT_NAMESPACE = 64,
	FAULT_DIRECTORY = 128,
	FAULT_DESCRIPTOR = 256,
	FAULT_THREAD = 512,
	FAULT_PROCESS = 1024,
	FAULT_LIMITS = 2048,
	FAULT_SILENT = 4096,
	FAULT_CHILDREN = 8192,
};
#define FAULTY(order, fault) ((order)->faults & (fault))
#else
#define FAULTY(order, fault) ((void)(order), 0)
#endif

extern int fork(void); /* the C library's: it keeps the thread's own id right */
extern int *__errno_location(void);

static struct filter rest; /* what the session's filter has beyond the zygote's */

/*
 * Called once, before the first fork. The intermediate process is gone when a
 * kernel ends, so the kernel must fall to the zygote: a namespace of processes
 * only ends when somebody has reaped all that were in it.
 */
__attribute__((visibility("default"))) int prepare(const char *path)
{
	if (sys(__NR_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
		return -1;
#ifndef FAULTS
	/* What a zygote has it keeps; what it could gain nobody shall. */
	if (empty_bounding_set())
		return -1;
#endif
	return read_filter(path, &rest);
}

static void tell(int status, enum step step, long error)
{
	unsigned char message[3] = { 'e', step, (unsigned char)-error };

	SYS3(__NR_write, status, message, sizeof(message));
}

static void leave(int code)
{
	SYS1(__NR_exit_group, code);
	__builtin_unreachable();
}

static void fail(int status, enum step step, long error)
{
	tell(status, step, error);
	leave(1);
}

#define TRY(step, call)                                  \
	do {                                             \
		long result_ = (call);                   \
		if (result_ < 0)                         \
			fail(status, (step), result_);   \
	} while (0)

static long receive(int status, char *message, unsigned long size)
{
	long n;

	do
		n = SYS3(__NR_read, status, message, size);
	while (n == -EINTR);
	return n;
}

/*
 * Puts the descriptors where the kernel wants them, and closes all others. The
 * session's /dev is safe to open: nobody in it may write there.
 */
static int sort_descriptors(const struct order *order, int fds[])
{
	int status, listener, connection, errors, null;

	status = (int)SYS3(__NR_fcntl, fds[STATUS], F_DUPFD_CLOEXEC, FIRST_FREE);
	listener = (int)SYS3(__NR_fcntl, fds[LISTENER], F_DUPFD_CLOEXEC, FIRST_FREE);
	connection = (int)SYS3(__NR_fcntl, fds[CONNECTION], F_DUPFD_CLOEXEC, FIRST_FREE);
	errors = (int)SYS3(__NR_fcntl, fds[ERRORS], F_DUPFD_CLOEXEC, FIRST_FREE);
	null = (int)SYS4(__NR_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
	if (status < 0 || listener < 0 || connection < 0 || errors < 0 || null < 0)
		return -1;
	null = (int)SYS3(__NR_fcntl, null, F_DUPFD_CLOEXEC, FIRST_FREE); /* it may be one of the low ones */
	if (null < 0)
		return -1;
	if (SYS3(__NR_dup3, null, 0, 0) < 0 || SYS3(__NR_dup3, null, 1, 0) < 0 ||
	    SYS3(__NR_dup3, errors, 2, 0) < 0 ||
	    SYS3(__NR_dup3, listener, LISTENER_AT, O_CLOEXEC) < 0 ||
	    SYS3(__NR_dup3, connection, CONNECTION_AT, O_CLOEXEC) < 0 ||
	    SYS3(__NR_dup3, status, STATUS_AT, O_CLOEXEC) < 0)
		return -1;
	return (int)SYS3(__NR_close_range, STATUS_AT + 1 + !!FAULTY(order, FAULT_DESCRIPTOR), ~0u, 0);
}

static int set_ids(const struct order *order)
{
	long uid = order->uid, gid = order->uid;

#ifdef FAULTS
	if (FAULTY(order, FAULT_GROUPS)) {
		unsigned int group = 5;

		SYS2(__NR_setgroups, 1, &group);
	} else
#endif
	if (SYS2(__NR_setgroups, 0, 0))
		return -1;
	if (FAULTY(order, FAULT_GROUP))
		gid--;
	if (FAULTY(order, FAULT_USER))
		uid--;
	if (SYS3(__NR_setresgid, gid, gid, gid))
		return -1;
	return (int)SYS3(__NR_setresuid, uid, uid, uid);
}

static int set_limits(const struct order *order)
{
	unsigned int i;

	for (i = 0; i < order->limit_count; i++)
		if (SYS4(__NR_prlimit64, 0, order->limits[i].kind, &order->limits[i].soft, 0))
			return -1;
	return 0;
}

#ifdef FAULTS
static void idle(void)
{
	for (;;)
		SYS0(__NR_pause);
}

static void go_wrong(const struct order *order)
{
	static char stack[4096] __attribute__((aligned(16)));

	if (FAULTY(order, FAULT_PROCESS) && !fork())
		idle();
	if (FAULTY(order, FAULT_SILENT))
		idle();
	if (FAULTY(order, FAULT_THREAD)) {
		/* CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM */
		long pid;
		void *top = stack + sizeof(stack);

		__asm__ volatile("syscall"
				 : "=a"(pid)
				 : "a"(__NR_clone), "D"(0x50f00L), "S"(top), "d"(0)
				 : "rcx", "r11", "memory");
		if (!pid)
			for (;;)
				__asm__ volatile("syscall" : "=a"(pid) : "a"(__NR_pause) : "rcx", "r11", "memory");
	}
}
#endif

/* The kernel's way to its first line of Python; returns the message's length. */
static long become_kernel(const struct order *order, int fds[], char *message, unsigned long size)
{
	int status = fds[STATUS];
	long n;

	TRY(STEP_SESSION, SYS0(__NR_setsid));
	SYS1(__NR_umask, 022);
	TRY(STEP_DESCRIPTORS, sort_descriptors(order, fds));
	status = STATUS_AT;
#ifdef FAULTS
	go_wrong(order);
	if (FAULTY(order, FAULT_CAPABILITIES))
		SYS2(__NR_prctl, PR_SET_KEEPCAPS, 1);
#endif
#ifdef FAULTS
	if (!FAULTY(order, FAULT_BOUNDING))
		TRY(STEP_BOUNDING, empty_bounding_set());
#endif
	TRY(STEP_IDS, set_ids(order));
	/* Nobody but the session's user may enter it. */
	TRY(STEP_DIRECTORY, SYS1(__NR_chdir, FAULTY(order, FAULT_DIRECTORY) ? "/" : "/workspace"));
	if (!FAULTY(order, FAULT_CAPABILITIES))
		TRY(STEP_CAPABILITIES, set_caps(0));
	/* The change of ids has made /proc/self root's. */
	TRY(STEP_PRIVILEGES, sys(__NR_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0));
	TRY(STEP_PRIVILEGES, forbid_new_privileges());
	if (!FAULTY(order, FAULT_LIMITS))
		TRY(STEP_LIMITS, set_limits(order));
	if (!FAULTY(order, FAULT_FILTER))
		TRY(STEP_FILTER, load_filter(&rest));
	TRY(STEP_GATE, SYS3(__NR_write, status, "k", 1));
	n = receive(status, message, size);
	if (n < 1 || message[0] != 'o')
		leave(1); /* refused, and told to somebody else */
	hold_children(0);
	SYS1(__NR_close, status);
	return n;
}

static void mount_anew(const struct order *order, int status)
{
	unsigned int i;

	for (i = 0; i < order->mount_count; i++) {
		const struct tmpfs *m = &order->mounts[i];

		TRY(STEP_MOUNT, SYS2(__NR_umount2, m->target, MNT_DETACH));
		TRY(STEP_MOUNT, sys(__NR_mount, (long)"tmpfs", (long)m->target, (long)"tmpfs",
				    (long)m->flags, (long)m->data));
	}
}

/* Runs in the zygote's memory while the zygote waits; returns in the kernel only. */
static __attribute__((noinline)) long intermediate(const struct order *order, int fds[], char *message,
						   unsigned long size, int placed)
{
	int status = fds[STATUS], pid;
	unsigned int i;
	char go;

	TRY(STEP_PLACE, SYS3(__NR_write, status, placed ? "I" : "i", 1));
	if (receive(status, &go, 1) != 1)
		leave(1); /* the daemon has given up */
	for (i = !!FAULTY(order, FAULT_NAMESPACE); i < order->namespace_count; i++)
		TRY(STEP_JOIN, SYS2(__NR_setns, fds[FIRST_NAMESPACE + i], 0));
	if (order->unshare)
		TRY(STEP_UNSHARE, SYS1(__NR_unshare, order->unshare));
	mount_anew(order, status);
	pid = fork();
	if (pid < 0)
		fail(status, STEP_FORK, -*__errno_location());
#ifdef FAULTS
	/* Another namespace for the kernel's children than its own. */
	if (!pid && FAULTY(order, FAULT_CHILDREN))
		SYS1(__NR_unshare, CLONE_NEWPID);
#endif
	if (pid)
		leave(0);
	return become_kernel(order, fds, message, size);
}

/*
 * Makes a kernel. Returns 0 in the zygote, whatever became of the kernel: the
 * status socket tells. Returns the length of the daemon's message in the kernel.
 */
long spawn(const struct order *order, unsigned long length, int fds[], int fd_count, char *message,
	   unsigned long size)
{
	struct clone_args into = { .flags = CLONE_VM | CLONE_VFORK | CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	int status = fds[STATUS], code, placed;
	long pid, reaped;

	if (length != sizeof(*order) || order->version != ORDER_VERSION || order->size != sizeof(*order) ||
	    order->limit_count > MAX_LIMITS || order->mount_count > MAX_MOUNTS ||
	    order->namespace_count > MAX_NAMESPACES || !order->uid ||
	    (unsigned int)fd_count != FIRST_NAMESPACE + order->namespace_count + !!order->into_cgroup) {
		tell(status, STEP_ORDER, -EINVAL);
		return 0;
	}
	/*
	 * The two share this stack, which is safe while the intermediate stays below
	 * this frame. So it must not be called in this function's place, which is
	 * what a compiler makes of a call at the end: hence the empty assembly.
	 */
	placed = !!order->into_cgroup;
	if (placed) {
		into.cgroup = fds[fd_count - 1];
		pid = SYS2(__NR_clone3, &into, sizeof(into));
		if (pid < 0)
			placed = 0; /* a kernel before 5.7, or no right to: the daemon moves it */
	}
	if (!placed)
		pid = sys(__NR_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
	if (!pid) {
		pid = intermediate(order, fds, message, size, placed);
		__asm__ volatile("" : "+r"(pid));
		return pid;
	}
	if (pid < 0) {
		tell(status, STEP_CLONE, pid);
		return 0;
	}
	do
		reaped = SYS4(__NR_wait4, pid, &code, 0, 0);
	while (reaped == -EINTR);
	return 0;
}

/* Without this, gcc makes a call to memset of initialisers. */
void *memset(void *to, int value, unsigned long count)
{
	unsigned char *p = to;

	while (count--)
		*p++ = (unsigned char)value;
	return to;
}
