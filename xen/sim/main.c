/* SPDX-License-Identifier: MIT */
/*
 * xen-sim: one simulated host.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sim/machine.h>
#include <sim/machines-dir.h>
#include <sim/server.h>
#include <sim/stock.h>

#include "xc_path.h"
#include "xc_text.h"

enum { STATUS_DONE = 0, STATUS_TROUBLE = 2 };

static const char usage[] =
    "usage: xen-sim --machine FILE [OPTION]... [-- HYPERVISOR COMMAND LINE]\n";

static const char help[] =
    "\n"
    "Switch on a simulated host: a machine with the CPU that FILE describes, the hypervisor on "
    "it,\n"
    "and a socket for the toolstack (xl-sim, xenlevel).  It runs until it is switched off (xl-sim\n"
    "poweroff, or SIGTERM) and says \"ready\" on standard output when it can be talked to.\n"
    "\n"
    "  -m, --machine FILE   a machine file, or the name of a known one (intel-penryn)\n"
    "  -s, --socket PATH    where toolstacks connect (./NAME.sock)\n"
    "  -c, --pcpus N        physical CPUs, 1 to 64 (the machine's)\n"
    "      --memory MIB     memory (the machine's)\n"
    "      --seed N         equal seeds and equal requests give equal histories (1)\n"
    "      --stepped        guests run only when told to: xl-sim run N\n"
    "      --stock[=4.N]    give domains their CPUID policies as stock Xen 4.N does (4.17)\n"
    "      --log FILE       the hypervisor's console as well into FILE (-: standard error)\n"
    "      --list           the known machines\n"
    "  -V, --version        the version\n"
    "  -h, --help           this text\n"
    "\n"
    "Exit status: 0 switched off; 2 bad usage, bad input, or it could not be done.\n";

struct settings {
    const char *machine, *socket, *log;
    struct sim_boot boot;
    bool stepped;
    const struct policy_way *way;
    char cmdline[1024];
};

/* One line about foreign text: see xc_text.h. */
static void say_line(FILE *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say_line(FILE *f, const char *fmt, ...)
{
    char line[PATH_MAX + 512];
    va_list ap;

    va_start(ap, fmt);
    (void)xc_text_vprint(line, sizeof(line), fmt, ap);
    va_end(ap);
    (void)fprintf(f, "%s\n", line);
    (void)fflush(f); /* whoever waits for it reads a pipe */
}

static int say_trouble(const char *what, const char *why)
{
    say_line(stderr, "xen-sim: %s%s%s", what, why ? ": " : "", why ? why : "");
    return STATUS_TROUBLE;
}

static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *n)
{
    char *end;

    errno = 0;
    *n = strtoull(text, &end, 0);
    return *text && *text != '-' && !*end && !errno && *n >= min && *n <= max;
}

/* Returns only when it fails: the exit status. */
static int list_machines(void)
{
    char dir[PATH_MAX];

    if (sim_machines_dir(dir, sizeof(dir)))
        return say_trouble("the machine files", strerror(errno));
    (void)execlp("ls", "ls", dir, (char *)NULL);
    return say_trouble(dir, strerror(errno));
}

/* "4.20"; NULL stands for 4.17. */
static const struct policy_way *find_way(const char *version)
{
    uint64_t minor = STOCK_FIRST;

    if (version && (strncmp(version, "4.", 2) != 0 || !parse_number(version + 2, 0, 99, &minor)))
        return NULL;
    return stock_way((unsigned int)minor);
}

/* Everything behind `--`, joined again. */
static bool join_words(char *dst, size_t size, char **words, int n)
{
    size_t at = 0;

    for (int i = 0; i < n; i++) {
        int len = snprintf(dst + at, size - at, "%s%s", i ? " " : "", words[i]);

        if (len < 0 || (size_t)len >= size - at)
            return false;
        at += (size_t)len;
    }
    return true;
}

enum { MEMORY = 256, SEED, STEPPED, STOCK, LOG, LIST };
static const struct option options[] = {
    {"machine", required_argument, NULL, 'm'}, {"socket", required_argument, NULL, 's'},
    {"pcpus", required_argument, NULL, 'c'},   {"memory", required_argument, NULL, MEMORY},
    {"seed", required_argument, NULL, SEED},   {"stepped", no_argument, NULL, STEPPED},
    {"stock", optional_argument, NULL, STOCK}, {"log", required_argument, NULL, LOG},
    {"list", no_argument, NULL, LIST},         {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
};

/* What stands behind the options.  -1: go on; else the exit status. */
static int parse_rest(int argc, char **argv, struct settings *set)
{
    if (!set->machine) {
        (void)fputs(usage, stderr);
        return STATUS_TROUBLE;
    }
    if (optind < argc && strcmp(argv[optind - 1], "--") != 0)
        return say_trouble(
            "an argument that is no option (the hypervisor's command line stands behind "
            "--)",
            argv[optind]);
    if (!join_words(set->cmdline, sizeof(set->cmdline), argv + optind, argc - optind))
        return say_trouble("the hypervisor's command line is too long", NULL);
    return -1;
}

/* After '?' of getopt_long(), whose own message would print the word as it is. */
static int say_misuse(char **argv)
{
    const char *name = NULL;

    for (const struct option *o = options; o->name; o++)
        if (o->val == optopt)
            name = o->name;
    if (name)
        say_line(stderr, "xen-sim: option --%s: its argument is missing, or it takes none", name);
    else if (optopt)
        say_line(stderr, "xen-sim: there is no option -%c", optopt);
    else
        say_line(stderr, "xen-sim: there is no option '%s'", argv[optind - 1]);
    (void)fputs(usage, stderr);
    return STATUS_TROUBLE;
}

/* One option with a number.  -1: go on; else the exit status. */
static int take_number(int letter, struct settings *set)
{
    struct sim_boot *boot = &set->boot;
    uint64_t n = 0;
    bool good;

    if (letter == 'c')
        good = parse_number(optarg, 1, PLATFORM_MAX_PCPUS, &n);
    else if (letter == MEMORY)
        good = parse_number(optarg, 1, 1u << 22, &boot->memory_mib);
    else
        good = parse_number(optarg, 0, UINT64_MAX, &boot->seed);
    if (letter == 'c')
        boot->nr_pcpus = (unsigned int)n;
    return good ? -1 : say_trouble("not a number that can be used here", optarg);
}

/* One option.  -1: go on; else the exit status. */
static int take_option(int letter, char **argv, struct settings *set)
{
    switch (letter) {
    case 'm':
        set->machine = optarg;
        return -1;
    case 's':
        set->socket = optarg;
        return -1;
    case 'c':
    case MEMORY:
    case SEED:
        return take_number(letter, set);
    case STEPPED:
        set->stepped = true;
        return -1;
    case STOCK:
        set->way = find_way(optarg);
        return set->way ? -1 : say_trouble("not a Xen whose ways are known (4.17 to 4.22)", optarg);
    case LOG:
        set->log = optarg;
        return -1;
    case LIST:
        return list_machines();
    case 'V':
        (void)printf("xen-sim %s\n", XENLEVEL_VERSION);
        return STATUS_DONE;
    case 'h':
        (void)printf("%s%s", usage, help);
        return STATUS_DONE;
    default:
        return say_misuse(argv);
    }
}

/* -1: go on; else the exit status. */
static int parse_options(int argc, char **argv, struct settings *set)
{
    int letter, status = -1;

    opterr = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    while (status < 0 && (letter = getopt_long(argc, argv, "+m:s:c:Vh", options, NULL)) != -1)
        status = take_option(letter, argv, set);
    return status < 0 ? parse_rest(argc, argv, set) : status;
}

/* A file; or, without a slash and when there is no such file, one of those known by name. */
static int load_machine(const char *name, struct sim_machine_file *m)
{
    char dir[PATH_MAX], path[2 * PATH_MAX], why[512];

    (void)snprintf(path, sizeof(path), "%s", name);
    if (!strchr(name, '/') && access(name, F_OK)) {
        if (sim_machines_dir(dir, sizeof(dir)))
            return say_trouble("the machine files", strerror(errno));
        (void)snprintf(path, sizeof(path), "%s/%s.ini", dir, name);
    }
    return sim_machine_load(path, m, why, sizeof(why)) ? say_trouble(why, NULL) : 0;
}

static void log_line(void *opaque, const char *text, size_t len)
{
    FILE *f = opaque;

    say_line(f, "%.*s", (int)len, text);
}

/* A log of this run: what was in the file goes.  A reader that is slow is waited for.  NULL with
 * errno. */
static FILE *open_log(const char *path)
{
    int fd = xc_path_open_log(path);
    struct stat st;
    FILE *f = NULL;
    int err;

    if (fd < 0)
        return NULL;
    if (!fstat(fd, &st) && (!S_ISREG(st.st_mode) || !ftruncate(fd, 0)) &&
        !fcntl(fd, F_SETFL, O_APPEND))
        f = fdopen(fd, "a");
    err = errno;
    if (!f)
        (void)close(fd);
    errno = err;
    return f;
}

/* Signals that end a host arrive through a descriptor, between requests. */
static int block_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL))
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int serve_host(struct sim_host *host, const struct sim_machine_file *m,
                      const struct settings *set)
{
    char path[PATH_MAX], why[512] = "";
    int signals = block_signals(), rc;
    struct sim_server *server;

    if (signals < 0)
        return say_trouble("signals", strerror(errno));
    (void)snprintf(path, sizeof(path), "%s.sock", m->name);
    server = sim_server_open(host, m->name, set->socket ? set->socket : path, set->stepped, why,
                             sizeof(why));
    if (!server)
        return say_trouble(why, NULL);
    say_line(stdout, "xen-sim: %s is ready at %s", m->name, set->socket ? set->socket : path);
    rc = sim_server_run(server, signals);
    if (rc)
        rc = say_trouble("waiting for requests", strerror(errno));
    sim_server_close(server);
    return rc;
}

int main(int argc, char **argv)
{
    static struct sim_machine_file machine;
    static struct sim_host host;
    struct settings set = {.boot = {.seed = 1}};
    char why[512] = "";
    FILE *log = NULL;
    int status = parse_options(argc, argv, &set);

    if (status >= 0)
        return status;
    if (load_machine(set.machine, &machine))
        return STATUS_TROUBLE;
    if (set.log) {
        log = strcmp(set.log, "-") != 0 ? open_log(set.log) : stderr;
        if (!log)
            return say_trouble(set.log, strerror(errno));
    }
    set.boot.cmdline = set.cmdline;
    set.boot.line = log ? log_line : NULL;
    set.boot.opaque = log;
    if (sim_host_boot(&host, &machine, &set.boot, why, sizeof(why)))
        return say_trouble(why, NULL);
    host.hv.policy_way = set.way;
    status = serve_host(&host, &machine, &set);
    sim_host_halt(&host);
    return status;
}
