/*
 * System calls without a C library: glibc's static start-up alone makes a
 * sleeping process 0.7 MiB resident, and every session has two of them.
 */
#ifndef TCID_SYS_H
#define TCID_SYS_H

#include <asm/unistd.h>

#if defined(__x86_64__)
static long sys(long nr, long a, long b, long c, long d, long e)
{
	long ret;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
static long sys(long nr, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4)
			 : "memory");
	return x0;
}
#else
#error "there is no system call stub for this architecture"
#endif

#define SYS0(nr) sys(nr, 0, 0, 0, 0, 0)
#define SYS1(nr, a) sys(nr, (long)(a), 0, 0, 0, 0)
#define SYS2(nr, a, b) sys(nr, (long)(a), (long)(b), 0, 0, 0)
#define SYS3(nr, a, b, c) sys(nr, (long)(a), (long)(b), (long)(c), 0, 0)
#define SYS4(nr, a, b, c, d) sys(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0)

#endif
