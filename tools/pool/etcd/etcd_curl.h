/* SPDX-License-Identifier: MIT */
/*
 * libcurl, loaded when a registry is in etcd: it brings thirty libraries with it, which every other
 * command would load for nothing.
 */
#ifndef POOL_ETCD_CURL_H
#define POOL_ETCD_CURL_H

#include <stddef.h>

#include <curl/curl.h>

struct etcd_curl {
    void *library;
    __typeof__(curl_global_init) *global_init;
    __typeof__(curl_global_cleanup) *global_cleanup;
    __typeof__(curl_free) *free;
    __typeof__(curl_easy_init) *easy_init;
    __typeof__(curl_easy_cleanup) *easy_cleanup;
    __typeof__(curl_easy_reset) *easy_reset;
    __typeof__(curl_easy_setopt) *easy_setopt;
    __typeof__(curl_easy_getinfo) *easy_getinfo;
    __typeof__(curl_easy_perform) *easy_perform;
    __typeof__(curl_easy_strerror) *easy_strerror;
    __typeof__(curl_slist_append) *slist_append;
    __typeof__(curl_slist_free_all) *slist_free_all;
    __typeof__(curl_url) *url;
    __typeof__(curl_url_cleanup) *url_cleanup;
    __typeof__(curl_url_set) *url_set;
    __typeof__(curl_url_get) *url_get;
};

/* Load it and start it.  0; -1 with one safe line in why[]. */
int etcd_curl_load(struct etcd_curl *curl, char *why, size_t size);
/* Let go of it; *curl may be zero. */
void etcd_curl_unload(struct etcd_curl *curl);

#endif /* POOL_ETCD_CURL_H */
