/* SPDX-License-Identifier: MIT */
/* See etcd_curl.h. */
#include "etcd_curl.h"

#include <dlfcn.h>

#include "xc_text.h"

/* The same in every Debian since 2006: its functions are only added to. */
#define LIBRARY "libcurl.so.4"

/* 0; -1 with why[]. */
static int find_functions(struct etcd_curl *c, char *why, size_t size)
{
    const struct {
        const char *name;
        void **function;
    } functions[] = {
        {"curl_global_init", (void **)&c->global_init},
        {"curl_global_cleanup", (void **)&c->global_cleanup},
        {"curl_free", (void **)&c->free},
        {"curl_easy_init", (void **)&c->easy_init},
        {"curl_easy_cleanup", (void **)&c->easy_cleanup},
        {"curl_easy_reset", (void **)&c->easy_reset},
        {"curl_easy_setopt", (void **)&c->easy_setopt},
        {"curl_easy_getinfo", (void **)&c->easy_getinfo},
        {"curl_easy_perform", (void **)&c->easy_perform},
        {"curl_easy_strerror", (void **)&c->easy_strerror},
        {"curl_slist_append", (void **)&c->slist_append},
        {"curl_slist_free_all", (void **)&c->slist_free_all},
        {"curl_url", (void **)&c->url},
        {"curl_url_cleanup", (void **)&c->url_cleanup},
        {"curl_url_set", (void **)&c->url_set},
        {"curl_url_get", (void **)&c->url_get},
    };

    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        *functions[i].function = dlsym(c->library, functions[i].name);
        if (!*functions[i].function) {
            (void)xc_text_print(why, size, LIBRARY " has no %s: a newer one is needed",
                                functions[i].name);
            return -1;
        }
    }
    return 0;
}

int etcd_curl_load(struct etcd_curl *curl, char *why, size_t size)
{
    *curl = (struct etcd_curl){.library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL)};
    if (!curl->library) {
        (void)xc_text_print(why, size,
                            "a registry in etcd needs libcurl, which is not installed here "
                            "(Debian: libcurl4, or libcurl4t64): %s",
                            dlerror());
        return -1;
    }
    if (!find_functions(curl, why, size)) {
        if (!curl->global_init(CURL_GLOBAL_DEFAULT))
            return 0;
        (void)xc_text_print(why, size, LIBRARY " cannot be started");
    }
    (void)dlclose(curl->library);
    *curl = (struct etcd_curl){0};
    return -1;
}

void etcd_curl_unload(struct etcd_curl *curl)
{
    if (!curl->library)
        return;
    curl->global_cleanup();
    /* It stays loaded: what it is made of does not like to be taken away before the end. */
    *curl = (struct etcd_curl){0};
}
