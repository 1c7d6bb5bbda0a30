/*
 * tcid-init: the small processes that stand around a session.
 *
 *   tcid-init reap FILTER FILTER
 *                        PID 1 of a container. It reaps orphans, nothing
 *                        else: it reads no input and runs no program.
 *   tcid-init hold BASE  owner of one user namespace whose ids begin at the
 *                        host id BASE. It makes the namespace, forbids nested
 *                        ones, gives up every privilege and sleeps. It writes
 *                        'n' to descriptor 1 once the namespace exists, waits
 *                        for one byte on descriptor 0 (the daemon has written
 *                        the id maps) and writes 'r' to 1 when it is ready.
 *                        End of file on 0 before that ends it.
 *   tcid-init limit FILTER FILTER KIND:SOFT:HARD... -- PROGRAM ARGS...
 *                        sets resource limits and becomes the program.
 *   tcid-init zygote FILTER PROGRAM ARGS...
 *                        takes /proc, which shows the host's processes, away,
 *                        and becomes the program.
 *
 * FILTER is a file with a system call filter, a program of classic BPF; a
 * session's is in two parts (sandbox/seccomp says why). reap and limit load
 * theirs before they do anything else.
 */
#include <linux/mount.h>

#include "drop.h"
#include "entry.h"

#define MNT_DETACH 2

/* Exit codes; holder.go turns them into messages. */
enum {
	EXIT_USAGE = 2,
	EXIT_IDS = 10,
	EXIT_CAPS = 11,
	EXIT_UNSHARE = 12,
	EXIT_PIPE = 13,
	EXIT_NESTED = 14,
	EXIT_DROP = 15,
	EXIT_LIMIT = 16,
	EXIT_EXEC = 17,
	EXIT_FILTER = 18,
	EXIT_PROC = 19,
};

#define LOWEST_BASE 65536 /* never hand out ids that people or services use */
#define SIG_SETMASK 2
#define SIGSET_BYTES 8
#define LAST_SIGNAL 64

/* Without this, gcc makes a call to memset of the initialisers above. */
void *memset(void *to, int value, unsigned long count)
{
	unsigned char *p = to;

	while (count--)
		*p++ = (unsigned char)value;
	return to;
}

static int forbid_nested(void)
{
	long fd = SYS4(__NR_openat, AT_FDCWD, "/proc/sys/user/max_user_namespaces",
		       O_WRONLY | O_CLOEXEC, 0);
	long n;

	if (fd < 0)
		return -1;
	n = SYS3(__NR_write, fd, "0", 1);
	SYS1(__NR_close, fd);
	return n == 1 ? 0 : -1;
}

static int drop_all(void)
{
	if (empty_bounding_set() || set_caps(0))
		return -1;
	return forbid_new_privileges();
}

static int load_filters(const char *first, const char *second)
{
	static struct filter filter;

	if (forbid_new_privileges() || read_filter(first, &filter) || load_filter(&filter))
		return -1;
	return second && (read_filter(second, &filter) || load_filter(&filter));
}

/*
 * Signals that were ignored where the daemon was started, such as those of the
 * keyboard in a shell's background, would be ignored in every session.
 */
static void reset_signals(void)
{
	unsigned long action[4] = { 0, 0, 0, 0 }; /* handler, flags, restorer, mask */
	unsigned long none = 0;
	long sig;

	for (sig = 1; sig <= LAST_SIGNAL; sig++)
		SYS4(__NR_rt_sigaction, sig, action, 0, SIGSET_BYTES);
	SYS4(__NR_rt_sigprocmask, SIG_SETMASK, &none, 0, SIGSET_BYTES);
}

/* Blocks every signal; only SIGKILL ends these processes. */
static void block_signals(void)
{
	unsigned long all = ~0ul;

	SYS4(__NR_rt_sigprocmask, SIG_SETMASK, &all, 0, SIGSET_BYTES);
}

static void wait_for_signal(void)
{
	unsigned long all = ~0ul;

	SYS4(__NR_rt_sigtimedwait, &all, 0, 0, SIGSET_BYTES);
}

static int hold(long base)
{
	char byte;

	if (base < LOWEST_BASE)
		return EXIT_USAGE;
	/*
	 * The namespace is made with the effective uid of its base id: the
	 * per-namespace counters (inotify instances, queued signals) are charged
	 * to the creator as well, so that with uid 0 as creator one session
	 * could starve the host's root.
	 */
	if (SYS2(__NR_prctl, PR_SET_KEEPCAPS, 1) || SYS2(__NR_setgroups, 0, 0) ||
	    SYS3(__NR_setresgid, base, base, base) ||
	    SYS3(__NR_setresuid, base, base, base))
		return EXIT_IDS;
	if (set_caps(1u << CAP_SYS_ADMIN))
		return EXIT_CAPS;
	if (SYS1(__NR_unshare, CLONE_NEWUSER))
		return EXIT_UNSHARE;
	if (SYS3(__NR_write, 1, "n", 1) != 1 || SYS3(__NR_read, 0, &byte, 1) != 1)
		return EXIT_PIPE;
	/* No namespace below this one, even where seccomp should fail. */
	if (forbid_nested())
		return EXIT_NESTED;
	if (drop_all())
		return EXIT_DROP;
	if (SYS3(__NR_write, 1, "r", 1) != 1)
		return EXIT_PIPE;
	SYS1(__NR_close, 0);
	SYS1(__NR_close, 1);
	block_signals();
	for (;;)
		wait_for_signal();
}

/*
 * A zygote lives in the host's namespace of processes, since only an ancestor's
 * member may join that of a session; libcontainer wants a /proc, and a new one
 * can't be mounted there. In its place come copies of what libraries read to
 * learn about processors and memory.
 */
static int replace_proc(void)
{
	static const char *const names[] = { "/proc/cpuinfo", "/proc/meminfo", "/proc/stat" };
	enum { COUNT = sizeof(names) / sizeof(*names), MOST = 256 << 10 };
	static char text[COUNT][MOST];
	long size[COUNT], fd, n;
	int i;

	for (i = 0; i < COUNT; i++) {
		fd = SYS4(__NR_openat, AT_FDCWD, names[i], O_RDONLY | O_CLOEXEC, 0);
		if (fd < 0)
			return -1;
		for (size[i] = 0; (n = SYS3(__NR_read, fd, text[i] + size[i], MOST - size[i])) > 0;)
			size[i] += n;
		SYS1(__NR_close, fd);
	}
	if (SYS2(__NR_umount2, "/proc", MNT_DETACH) ||
	    sys(__NR_mount, (long)"tmpfs", (long)"/proc", (long)"tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		(long)"size=1m,nr_inodes=16,mode=755"))
		return -1;
	for (i = 0; i < COUNT; i++) {
		fd = SYS4(__NR_openat, AT_FDCWD, names[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
		if (fd < 0 || SYS3(__NR_write, fd, text[i], size[i]) != size[i])
			return -1;
		SYS1(__NR_close, fd);
	}
	return 0;
}

static int become_zygote(char **argv, char **envp)
{
	if (replace_proc())
		return EXIT_PROC;
	if (load_filters(argv[0], 0))
		return EXIT_FILTER;
	SYS3(__NR_execve, argv[1], argv + 1, envp);
	return EXIT_EXEC;
}

static void reap(void)
{
	block_signals();
	for (;;) {
		while (SYS4(__NR_wait4, -1, 0, 1 /* WNOHANG */, 0) > 0)
			;
		wait_for_signal();
	}
}

static int equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/* Reads digits up to a character that is none, and moves text there. */
static unsigned long number(const char **text)
{
	unsigned long n = 0;

	for (; **text >= '0' && **text <= '9'; ++*text)
		n = n * 10 + (unsigned long)(**text - '0');
	return n;
}

static int set_limit(const char *text)
{
	unsigned long kind, value[2];

	kind = number(&text);
	if (*text++ != ':')
		return -1;
	value[0] = number(&text);
	if (*text++ != ':')
		return -1;
	value[1] = number(&text);
	return *text ? -1 : (int)SYS4(__NR_prlimit64, 0, kind, value, 0);
}

/*
 * Limits are set here, by the process itself, and not by the daemon: setting
 * another process's limits needs CAP_SYS_RESOURCE over its user namespace,
 * which a daemon in a container may not have. Lowering one's own needs nothing.
 */
static int limit(char **argv, char **envp)
{
	for (; *argv && !equal(*argv, "--"); argv++)
		if (set_limit(*argv))
			return EXIT_LIMIT;
	if (!*argv || !argv[1])
		return EXIT_USAGE;
	SYS3(__NR_execve, argv[1], argv + 1, envp);
	return EXIT_EXEC;
}

void start(long argc, char **argv)
{
	int code = EXIT_USAGE;

	reset_signals();
	if (argc == 4 && equal(argv[1], "reap")) {
		if (!load_filters(argv[2], argv[3]))
			reap();
		code = EXIT_FILTER;
	}
	if (argc == 3 && equal(argv[1], "hold")) {
		const char *text = argv[2];
		long base = (long)number(&text);

		code = *text ? EXIT_USAGE : hold(base);
	}
	if (argc > 5 && equal(argv[1], "limit"))
		code = load_filters(argv[2], argv[3]) ? EXIT_FILTER : limit(argv + 4, argv + argc + 1);
	if (argc > 3 && equal(argv[1], "zygote"))
		code = become_zygote(argv + 2, argv + argc + 1);
	SYS1(__NR_exit_group, code);
	for (;;)
		;
}
