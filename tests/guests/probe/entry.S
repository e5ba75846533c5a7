/* SPDX-License-Identifier: MIT */
/*
 * The way from Xen's PVH entry (32-bit, no paging, EBX = start info) to C in 64-bit mode; exceptions; SSE and AVX.
 *
 * An HVM domain is started by its firmware as a multiboot kernel, from the same place in the same
 * mode, with EAX = 0x2badb002 and EBX = what multiboot says: only the command line is taken from that.
 */

#define MULTIBOOT_FLAGS 0x10000          /* the addresses are in the header, not in the ELF file */

    .section .note.Xen, "a", @note
    .long 4, 4, 18                      /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start32

    .section .text.start, "ax"
    .balign 4
multiboot:
    .long 0x1badb002, MULTIBOOT_FLAGS, -(0x1badb002 + MULTIBOOT_FLAGS)
    .long multiboot, image_start, image_data_end, image_end, start32

    .code32
    .globl start32
start32:
    cld
    mov $stack_top, %esp
    cmp $0x2badb002, %eax
    jne 0f
    mov 16(%ebx), %eax                  /* its command line, where hvm_start_info has it */
    mov $start_info, %ebx
    mov %eax, 24(%ebx)
    movl $0x336ec578, (%ebx)
0:
    /* The first 4 GB, one to one, in 2 MB pages: Xen's special pages are at its end. */
    mov $pml4, %edi
    movl $(pdpt + 7), (%edi)
    mov $pdpt, %edi
    movl $(page_dirs + 7), (%edi)
    movl $(page_dirs + 0x1000 + 7), 8(%edi)
    movl $(page_dirs + 0x2000 + 7), 16(%edi)
    movl $(page_dirs + 0x3000 + 7), 24(%edi)
    mov $page_dirs, %edi
    mov $0x87, %eax                     /* present, writable, user, large */
    mov $2048, %ecx
1:  mov %eax, (%edi)
    add $8, %edi
    add $0x200000, %eax
    loop 1b
    mov $0x620, %eax                    /* PAE, OSFXSR, OSXMMEXCPT */
    mov %eax, %cr4
    mov $pml4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx               /* EFER: long mode */
    rdmsr
    or $0x100, %eax
    wrmsr
    mov $0x80000033, %eax               /* PG, NE, ET, MP, PE */
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $start64

    .code64
start64:
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $stack_top, %rsp
    mov %ebx, %edi
    xor %ebp, %ebp
    call probe_main
1:  hlt
    jmp 1b

    .text
    /* Exceptions: give every one the same frame (vector, error code), and let C look at it. */
    .macro stub n
    .balign 16
stub_\n:
    .if (\n != 8) && ((\n < 10) || (\n > 14)) && (\n != 17) && (\n != 21) && (\n != 29) && (\n != 30)
    push $0
    .endif
    push $\n
    jmp fault_common
    .endm
    .altmacro
    .macro stubs from, to
    stub %from
    .if \to - \from
    stubs %(from + 1), \to
    .endif
    .endm
    .macro stub_table from, to
    .quad stub_\from
    .if \to - \from
    stub_table %(from + 1), \to
    .endif
    .endm
    stubs 0, 15
    stubs 16, 31

fault_common:
    mov %rsp, %rdi                      /* vector, error, rip, cs, rflags, rsp, ss */
    cmpq $0, guard_rsp
    je 1f
    mov (%rsp), %eax                    /* guarded: unwind to guarded()'s caller */
    inc %eax
    mov guard_rsp, %rsp
    jmp guard_out
1:  and $-16, %rsp
    call fault
2:  hlt
    jmp 2b

    .globl guarded
guarded:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rbp
    mov %rsp, guard_rsp
    mov %rdi, %rax
    mov %rsi, %rdi
    call *%rax
    xor %eax, %eax
guard_out:
    movq $0, guard_rsp
    pop %rbp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

    .globl sse_load, sse_store, avx_load, avx_store
    .macro each16 op, size, reg, from
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    .if \from
    \op (\n * \size)(%rdi), %\reg\n
    .else
    \op %\reg\n, (\n * \size)(%rdi)
    .endif
    .endr
    .endm
    .noaltmacro
sse_load:
    each16 movups, 16, xmm, 1
    ret
sse_store:
    each16 movups, 16, xmm, 0
    ret
avx_load:
    each16 vmovups, 32, ymm, 1
    ret
avx_store:
    each16 vmovups, 32, ymm, 0
    ret

    .section .rodata
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff            /* 64-bit code */
    .quad 0x00cf93000000ffff            /* data */
gdt_pointer:
    .word . - gdt - 1
    .long gdt

    .balign 8
    .globl fault_stubs
fault_stubs:
    .altmacro
    stub_table 0, 15
    stub_table 16, 31

    .bss
    .balign 4096
pml4:       .skip 4096
pdpt:       .skip 4096
page_dirs:  .skip 4 * 4096
    .globl hypercall_page
hypercall_page:
    .skip 4096
stack:      .skip 16384
stack_top:
guard_rsp:  .skip 8
start_info: .skip 64

    .section .note.GNU-stack, "", @progbits
