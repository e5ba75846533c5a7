/* SPDX-License-Identifier: MIT */
/*
 * What a host keeps of its pool: pool.conf, which says where the registry is and what the host is
 * called there; and after each refresh a file that says whether it is still what it was.
 */
#ifndef XENLEVEL_POOL_CONF_H
#define XENLEVEL_POOL_CONF_H

#define POOL_CONF "/etc/xenlevel/pool.conf"

/* Return which registry is meant by --pool (NULL: not given), as pool_open() finds it, with the
 * whole path of a folder; malloc'ed.  NULL after a message. */
char *pool_conf_where(const char *option);
/* Return what this host is called in its pool, if the configuration says; malloc'ed.  NULL: it does
 * not, or cannot be read. */
char *pool_conf_host(void);

/*
 * Say where the configuration would be written: POOL_CONF below root, or what XENLEVEL_POOL_CONF
 * names where root is "".  Returns the path, malloc'ed; or NULL, after a message, when one is there
 * that names another registry or host.
 */
char *pool_conf_check(const char *root, const char *where, const char *host);
/* Put into it what is missing, and keep the rest; its folder is made.  0; or -1 after a message. */
int pool_conf_write(const char *path, const char *where, const char *host);

/* What the last refresh of this host said. */
struct pool_mark {
    char *pool, *registry, *host, *refreshed;
    char *drift; /* one line; "none" */
};

/* Write it below root, whole or not at all.  0; or -1 after a message. */
int pool_mark_write(const char *root, const struct pool_mark *mark);
/* Read it.  1: it is there; 0: there is none; -1 with errno: it cannot be read, or is no such
 * file.  Call pool_mark_free() in all cases. */
int pool_mark_read(const char *root, struct pool_mark *mark);
void pool_mark_free(struct pool_mark *mark);

/*
 * Say what this host is to its pool, in one line, malloc'ed.  1: it refreshed lately, and has not
 * drifted; 0: it has, or is late; -1: that is not known; 2: it is a member of none.
 */
int pool_mark_judge(const char *root, char **text);

/* Read a whole small file as text, malloc'ed; NULL with errno.  Write one, whole or not at all, and
 * the folders that it is in; 0, or -1 with errno. */
char *pool_read_text(const char *path);
int pool_write_text(const char *path, const char *text);

#endif /* XENLEVEL_POOL_CONF_H */
