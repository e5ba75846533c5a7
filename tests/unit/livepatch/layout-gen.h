/* SPDX-License-Identifier: MIT */
/* What gen-layout.py makes of Debian's Xen 4.17.7, for a test that needs no hypervisor. */
#define LAYOUT_EXTD          0x580
#define LAYOUT_XSTATE        0x190
#define LAYOUT_FEAT          0x140
#define LAYOUT_ARCH_CAPS     0x7a8
#define LAYOUT_NR_BASIC      0xe
#define LAYOUT_NR_FEAT       0x3
#define LAYOUT_NR_XSTATE     0x3f
#define LAYOUT_NR_EXTD       0x22
#define LAYOUT_PLATFORM_INFO 0x7a0
#define LAYOUT_SIZE          0x7b8
#define LAYOUT_XEN_WORDS     0x13
