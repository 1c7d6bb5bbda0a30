/* Giving up what a process may do; shared by tcid-init and fork.so. */
#ifndef TCID_DROP_H
#define TCID_DROP_H

#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>

#include "sys.h"

#define EINVAL 22
#define LAST_POSSIBLE_CAP 63

static int set_caps(unsigned int low)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { low, low, 0 }, { 0, 0, 0 } };

	return (int)SYS2(__NR_capset, &head, data);
}

static int empty_bounding_set(void)
{
	long cap, err;

	for (cap = 0; cap <= LAST_POSSIBLE_CAP; cap++) {
		err = SYS2(__NR_prctl, PR_CAPBSET_DROP, cap);
		if (err == -EINVAL)
			break; /* the kernel's last one was the one before */
		if (err)
			return -1;
	}
	return (int)sys(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

static int forbid_new_privileges(void)
{
	return (int)sys(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* A system call filter, a program of classic BPF. */
struct filter {
	unsigned short length;
	struct sock_filter code[BPF_MAXINSNS];
};

static int read_filter(const char *path, struct filter *filter)
{
	long fd = SYS4(__NR_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	unsigned long size = 0;
	long n;

	if (fd < 0)
		return -1;
	while ((n = SYS3(__NR_read, fd, (char *)filter->code + size, sizeof(filter->code) - size)) > 0)
		size += (unsigned long)n;
	SYS1(__NR_close, fd);
	if (n < 0 || !size || size % sizeof(*filter->code))
		return -1;
	filter->length = (unsigned short)(size / sizeof(*filter->code));
	return 0;
}

/*
 * Without no_new_privs the kernel would not take a filter from a process that
 * has no capabilities.
 */
static int load_filter(struct filter *filter)
{
	struct sock_fprog program = { filter->length, filter->code };

	return (int)SYS3(__NR_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

#endif
