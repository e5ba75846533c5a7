/* SPDX-License-Identifier: MIT */
/* See xlu.h. */
#include "xlu.h"

#include <dlfcn.h>
#include <stdio.h>

#include <cpuid-policy/releases.h>

#include "out.h"

/* The libraries by their release, the newest first, then the one that development packages have. */
static void *open_library(void)
{
    void *library = NULL;
    char name[32];

    for (unsigned int xen = XEN_NEWEST; !library && xen >= XEN_OLDEST; xen--) {
        (void)snprintf(name, sizeof(name), "libxlutil.so.%u.%u", xen / 100, xen % 100);
        library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    }
    return library ? library : dlopen("libxlutil.so", RTLD_NOW | RTLD_LOCAL);
}

int xlu_open(struct xlu *xlu)
{
    const struct {
        const char *name;
        void **function;
    } functions[] = {
        {"xlu_cfg_init", (void **)&xlu->init},
        {"xlu_cfg_readdata", (void **)&xlu->readdata},
        {"xlu_cfg_destroy", (void **)&xlu->destroy},
        {"xlu_cfg_get_string", (void **)&xlu->get_string},
        {"xlu_cfg_get_long", (void **)&xlu->get_long},
        {"xlu_cfg_get_list", (void **)&xlu->get_list},
        {"xlu_cfg_get_listitem", (void **)&xlu->get_listitem},
    };

    xlu->library = open_library();
    if (!xlu->library) {
        warn("a configuration is read by xl's own library, libxlutil of Xen %u.%u to %u.%u, and "
             "none is installed here (Debian: libxenmisc4.17 or another release's)",
             XEN_OLDEST / 100, XEN_OLDEST % 100, XEN_NEWEST / 100, XEN_NEWEST % 100);
        return -1;
    }
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        *functions[i].function = dlsym(xlu->library, functions[i].name);
        if (!*functions[i].function) {
            warn("libxlutil has no %s", functions[i].name);
            return -1;
        }
    }
    return 0;
}

void xlu_close(struct xlu *xlu)
{
    if (xlu->library)
        (void)dlclose(xlu->library);
    *xlu = (struct xlu){0};
}
