/*
 * The zygote's loop, for which no Python runs: as long as a kernel has not copied a
 * page, the zygote has to before it writes there, and whoever runs Python writes to
 * the counts of each object that it looks at. sandbox/kernel/py/zygote.py says what
 * the zygote and the daemon tell each other.
 */
#include <linux/fcntl.h>

#include "fork.h"

#define SIGCHLD 17
#define SIG_BLOCK 0
#define SIG_UNBLOCK 1
#define SIGSET_BYTES 8
#define SOL_SOCKET 1
#define SCM_RIGHTS 1
#define MSG_NOSIGNAL 0x4000
#define MSG_CMSG_CLOEXEC 0x40000000
#define POLLIN 1
#define WNOHANG 1
#define SIGNALFD_INFO_BYTES 128

/* Ends of kernels that nobody was there to be told of: the last of so many. */
#define KEPT_EXITS 4096

struct iovec {
	void *base;
	unsigned long length;
};

struct msghdr {
	void *name;
	unsigned int name_length;
	struct iovec *parts;
	unsigned long part_count;
	void *control;
	unsigned long control_length;
	unsigned int flags;
};

struct cmsghdr {
	unsigned long length;
	int level, type;
	int fds[MAX_DESCRIPTORS];
};

struct pollfd {
	int fd;
	short events, revents;
};

struct ended {
	int pid, status;
};

/* Python's, of whatever program has loaded this. */
extern void PyOS_BeforeFork(void);
extern void PyOS_AfterFork_Parent(void);
extern void PyOS_AfterFork_Child(void);

static int children = -1; /* tells of SIGCHLD */
static int connection = -1; /* the connection */
static struct ended exits[KEPT_EXITS];
static unsigned int exits_first, exits_count;
/* The order that is worked on. It waits while Python sets the number of threads. */
static struct order order;
static long order_length;
static int order_fds[MAX_DESCRIPTORS], order_fd_count;

void hold_children(int hold)
{
	unsigned long set = 1UL << (SIGCHLD - 1);

	SYS4(__NR_rt_sigprocmask, hold ? SIG_BLOCK : SIG_UNBLOCK, &set, 0, SIGSET_BYTES);
}

static int watch_children(void)
{
	unsigned long set = 1UL << (SIGCHLD - 1);

	if (children >= 0)
		return 0;
	hold_children(1);
	children = (int)SYS4(__NR_signalfd4, -1, &set, SIGSET_BYTES, O_CLOEXEC | O_NONBLOCK);
	return children < 0 ? -1 : 0;
}

static void lost(void)
{
	SYS1(__NR_close, connection);
	connection = -1;
}

static int tell(const char *text, unsigned long length)
{
	long n;

	do
		n = sys(__NR_sendto, connection, (long)text, (long)length, MSG_NOSIGNAL, 0);
	while (n == -EINTR);
	if (n >= 0)
		return 0;
	lost();
	return -1;
}

static char *put_text(char *to, const char *text)
{
	while (*text)
		*to++ = *text++;
	return to;
}

static char *put_number(char *to, unsigned int n)
{
	char digits[10];
	int count = 0;

	do
		digits[count++] = (char)('0' + n % 10);
	while (n /= 10);
	while (count)
		*to++ = digits[--count];
	return to;
}

/* The next kernels shall not find here how others ended. */
static void forget_first(void)
{
	exits[exits_first] = (struct ended){ 0, 0 };
	exits_first = (exits_first + 1) % KEPT_EXITS;
	exits_count--;
}

static void tell_exits(void)
{
	char text[64], *end;

	while (connection >= 0 && exits_count) {
		const struct ended *e = &exits[exits_first];

		end = put_text(text, "{\"type\":\"exit\",\"pid\":");
		end = put_number(end, (unsigned int)e->pid);
		end = put_text(end, ",\"status\":");
		end = put_number(end, (unsigned int)e->status);
		end = put_text(end, "}");
		if (tell(text, (unsigned long)(end - text)))
			return;
		forget_first();
	}
}

static void reap(void)
{
	char info[SIGNALFD_INFO_BYTES];
	struct ended *e;
	long pid;
	int status;

	SYS3(__NR_read, children, info, sizeof(info));
	while ((pid = SYS4(__NR_wait4, -1, &status, WNOHANG, 0)) > 0 || pid == -EINTR) {
		if (pid < 0)
			continue;
		if (exits_count == KEPT_EXITS)
			forget_first(); /* the oldest */
		e = &exits[(exits_first + exits_count++) % KEPT_EXITS];
		e->pid = (int)pid;
		e->status = status;
	}
	tell_exits();
}

static void greet(int listener, const char *hello, unsigned long length)
{
	connection = (int)SYS4(__NR_accept4, listener, 0, 0, O_CLOEXEC);
	if (connection >= 0 && !tell(hello, length))
		tell_exits();
}

/* Takes an order; 0 when there is none. */
static int take_order(void)
{
	struct cmsghdr control;
	struct iovec part = { &order, sizeof(order) };
	struct msghdr message = { 0, 0, &part, 1, &control, sizeof(control), 0 };
	long n;

	order_fd_count = 0;
	n = SYS3(__NR_recvmsg, connection, &message, MSG_CMSG_CLOEXEC);
	if (n == -EINTR)
		return 0;
	if (n <= 0) {
		lost();
		return 0;
	}
	if (message.control_length >= 16 && control.level == SOL_SOCKET && control.type == SCM_RIGHTS)
		for (; order_fd_count < (int)((control.length - 16) / sizeof(int)); order_fd_count++)
			order_fds[order_fd_count] = control.fds[order_fd_count];
	order_length = n;
	return order_fd_count > 0;
}

static void close_order(void)
{
	while (order_fd_count)
		SYS1(__NR_close, order_fds[--order_fd_count]);
}

/* How many threads the order's kernel shall use libraries with. */
__attribute__((visibility("default"))) unsigned int wanted_threads(void)
{
	return order.threads;
}

/*
 * Serves the daemon. Returns in kernels: the length of what the daemon told them.
 * Returns in the zygote, 0, only when an order's kernel shall use another number of
 * threads than the ones before, and -1 when it can't serve: call it again when
 * Python's variables say so.
 */
__attribute__((visibility("default"))) long serve(int listener, const char *hello, unsigned long hello_length,
						  unsigned int threads, char *message, unsigned long size)
{
	struct pollfd fds[2];
	long length;

	if (watch_children())
		return -1;
	for (;;) {
		if (!order_fd_count) {
			fds[0] = (struct pollfd){ children, POLLIN, 0 };
			fds[1] = (struct pollfd){ connection < 0 ? listener : connection, POLLIN, 0 };
			if (sys(__NR_ppoll, (long)fds, 2, 0, 0, 0) < 0)
				continue;
			if (fds[0].revents)
				reap();
			if (!fds[1].revents || fds[1].fd == -1)
				continue;
			if (fds[1].fd == listener) {
				greet(listener, hello, hello_length);
				continue;
			}
			if (connection < 0 || !take_order())
				continue;
		}
		if (order_length == sizeof(order) && order.threads != threads)
			return 0;
		PyOS_BeforeFork();
		length = spawn(&order, (unsigned long)order_length, order_fds, order_fd_count, message, size);
		if (length) {
			PyOS_AfterFork_Child();
			return length;
		}
		PyOS_AfterFork_Parent();
		close_order();
	}
}
