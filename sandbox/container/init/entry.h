/* Where tcid-init begins: the kernel starts it with argc, argv at the stack pointer. */
#ifndef TCID_ENTRY_H
#define TCID_ENTRY_H

void start(long argc, char **argv);

#if defined(__x86_64__)
__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov (%rsp), %rdi\n"
	"	lea 8(%rsp), %rsi\n"
	"	and $-16, %rsp\n"
	"	call start\n"
	"	hlt\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n"
	"_start:\n"
	"	mov x29, #0\n"
	"	ldr x0, [sp]\n"
	"	add x1, sp, #8\n"
	"	bl start\n");
#endif

#endif
