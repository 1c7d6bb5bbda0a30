/* What the two halves of fork.so have of each other. */
#ifndef TCID_FORK_H
#define TCID_FORK_H

#include "sys.h"

#define EINTR 4
#define EAGAIN 11

#define ORDER_VERSION 3
#define MAX_LIMITS 16
#define MAX_MOUNTS 4
#define MAX_NAMESPACES 8
#define MAX_DESCRIPTORS 32

/* What the daemon orders; order.go writes it. */
struct limit {
	unsigned long kind, soft, hard;
};

struct tmpfs {
	unsigned long flags;
	char target[64];
	char data[192];
};

struct order {
	unsigned int version, size;
	unsigned int uid;    /* the kernel's, and its group's */
	unsigned int faults; /* what the tests have left out */
	unsigned int unshare; /* namespaces to make anew, as CLONE_NEW* */
	unsigned int limit_count, mount_count, namespace_count;
	unsigned int into_cgroup; /* one more descriptor: the cgroup to begin in */
	unsigned int threads; /* how many the kernel's libraries shall use */
	struct limit limits[MAX_LIMITS];
	struct tmpfs mounts[MAX_MOUNTS]; /* mounted anew */
};

/* Lets SIGCHLD through, or holds it back. */
void hold_children(int hold);

long spawn(const struct order *order, unsigned long length, int fds[], int fd_count, char *message,
	   unsigned long size);

#endif
