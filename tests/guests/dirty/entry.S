/* SPDX-License-Identifier: MIT */
/* Where QEMU's multiboot loader enters (the Multiboot specification 0.6.96): 32-bit, flat, no paging, interrupts off. */
        .set MAGIC, 0x1badb002
        .section .head, "a"
        .align 4
        .long MAGIC, 0, -MAGIC

        .text
        .globl _start, tick
_start: movl $stack_top, %esp
        call dirty_main
1:      hlt
        jmp 1b

/* Interrupt 32, the PIT's: it only ends a hlt. */
tick:   pushl %eax
        movb $0x20, %al         /* end of interrupt, to the PIC */
        outb %al, $0x20
        popl %eax
        iret

        .bss
        .align 16
        .skip 4096
stack_top:

        .section .note.GNU-stack, "", @progbits
