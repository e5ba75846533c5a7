/* SPDX-License-Identifier: MIT */
/*
 * The derivation of a host's policies, held against what people posted of their real machines:
 * tests/data/posted.  Each file there has the registers of the six policies that one Xen answered
 * on one CPU, and where they were posted.  From the first, raw, ours are derived for the release
 * and command line in the file, and every register in it is compared bit by bit.  What differs must
 * stand in the file with its reason; what stands there must differ.
 *
 * usage: test-posted [FILE.policies]...      those in tests/data/posted by default
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glob.h>
#include <host-policy.h>

#define COLUMNS       HOST_SYSTEM_POLICIES
#define MAX_REGISTERS 128
#define MAX_LINE      1024

/* The columns' order is that of xen-cpuid, which is not that of the ABI. */
static const struct {
    const char *name;
    unsigned int index; /* XEN_SYSCTL_cpu_policy_* */
} columns[COLUMNS] = {
    {"raw", 0}, {"host", 1}, {"pv-max", 2}, {"hvm-max", 3}, {"pv-default", 4}, {"hvm-default", 5},
};

/* One register in all six policies. */
struct reg {
    char name[24];
    uint32_t leaf, subleaf;
    unsigned int reg; /* 0 EAX .. 3 EDX; 4: an MSR */
    uint64_t value[COLUMNS], differs[COLUMNS];
    bool posted[COLUMNS];
};

struct posted {
    const char *path;
    unsigned int xen;
    char cmdline[256];
    size_t n;
    struct reg regs[MAX_REGISTERS];
};

/* ---- reading ---- */

/* "7.0.c", "1.d", "10a": a leaf, a subleaf if it has them, a register; or an MSR. */
static void parse_register(struct reg *r, const char *name)
{
    char *end;
    const char *dot = strrchr(name, '.');

    (void)snprintf(r->name, sizeof(r->name), "%s", name);
    r->leaf = (uint32_t)strtoul(name, &end, 16);
    r->subleaf = POLICY_NONE;
    r->reg = 4;
    if (!dot)
        return;
    if (end != dot)
        r->subleaf = (uint32_t)strtoul(end + 1, &end, 16);
    assert_true(end == dot && dot[1] >= 'a' && dot[1] <= 'd' && !dot[2]);
    r->reg = (unsigned int)(dot[1] - 'a');
}

static void parse_values(struct reg *r, char *rest, const char *where)
{
    for (unsigned int i = 0; i < COLUMNS; i++) {
        const char *word = strtok(i ? NULL : rest, " \n");
        char *end;

        if (!word)
            fail_msg("%s: %s has %u columns", where, r->name, i);
        if (*word == '=') {
            assert_true(i > 0);
            r->value[i] = r->value[i - 1];
            r->posted[i] = r->posted[i - 1];
        } else if (*word != '?') {
            r->value[i] = strtoull(word, &end, 16);
            r->posted[i] = true;
            assert_true(!*end);
        }
    }
    assert_null(strtok(NULL, " \n"));
    assert_true(r->posted[0]);
}

/* "differs POLICY,... REGISTER MASK why" */
static void parse_difference(struct posted *p, const char *line)
{
    char policies[128], name[24], which[160];
    uint64_t mask;
    bool found = false;
    int at = 0;

    if (sscanf(line, "differs %127s %23s %n", policies, name, &at) != 2 || !at)
        fail_msg("%s: '%s'", p->path, line);
    mask = strtoull(line + at, NULL, 16);
    (void)snprintf(which, sizeof(which), ",%s,", policies);
    for (size_t i = 0; i < p->n; i++)
        for (unsigned int c = 1; c < COLUMNS && !strcmp(p->regs[i].name, name); c++) {
            char column[32];

            (void)snprintf(column, sizeof(column), ",%s,", columns[c].name);
            if (!strstr(which, column))
                continue;
            assert_false(p->regs[i].differs[c] & mask);
            p->regs[i].differs[c] |= mask;
            found = true;
        }
    if (!found)
        fail_msg("%s: '%s' is about nothing", p->path, line);
}

static void parse_line(struct posted *p, char *line)
{
    static const char *const about[] = {"cpu ", "source ", "ran ", "#"};
    char name[24];
    int at;

    for (size_t i = 0; i < sizeof(about) / sizeof(about[0]); i++)
        if (!strncmp(line, about[i], strlen(about[i])))
            return;
    if (!strncmp(line, "xen ", 4)) {
        p->xen = (unsigned int)strtoul(line + 4, NULL, 10);
        return;
    }
    if (sscanf(line, "cmdline %255[^\n]", p->cmdline) == 1 || strspn(line, " \n") == strlen(line))
        return;
    if (!strncmp(line, "differs ", 8)) {
        parse_difference(p, line);
        return;
    }
    if (sscanf(line, "%23s %n", name, &at) != 1 || p->n == MAX_REGISTERS)
        fail_msg("%s: '%s'", p->path, line);
    parse_register(&p->regs[p->n], name);
    parse_values(&p->regs[p->n], line + at, p->path);
    p->n++;
}

static void read_posted(struct posted *p, const char *path)
{
    char line[MAX_LINE];
    FILE *f = fopen(path, "re");

    memset(p, 0, sizeof(*p));
    p->path = path;
    if (!f)
        fail_msg("%s cannot be opened", path);
    while (fgets(line, sizeof(line), f))
        parse_line(p, line);
    (void)fclose(f);
    assert_true(p->n > 0 && p->xen);
}

/* ---- comparing ---- */

static uint64_t get(const struct cpu_policy *p, const struct reg *r)
{
    const struct cpuid_regs *leaf;

    if (r->reg == 4)
        return r->leaf == 0xce ? p->platform_info : p->arch_caps;
    leaf = policy_leaf_const(p, r->leaf, r->subleaf);
    if (!leaf)
        fail_msg("no policy has %s", r->name);
    return (&leaf->a)[r->reg];
}

static void set_raw(struct cpu_policy *raw, const struct reg *r)
{
    if (r->reg == 4 && r->leaf == 0xce)
        raw->platform_info = (uint32_t)r->value[0];
    else if (r->reg == 4)
        raw->arch_caps = r->value[0];
    else
        (&policy_leaf(raw, r->leaf, r->subleaf)->a)[r->reg] = (uint32_t)r->value[0];
}

/* The number of bits compared; *wrong counts the registers that differ otherwise than stated. */
static size_t compare(const struct posted *p, const struct cpu_policy *policies, size_t *wrong)
{
    size_t bits = 0;

    for (size_t i = 0; i < p->n; i++)
        for (unsigned int c = 1; c < COLUMNS; c++) {
            const struct reg *r = &p->regs[i];
            uint64_t ours = get(&policies[columns[c].index], r);

            if (!r->posted[c])
                continue;
            bits += r->reg == 4 ? 64 : 32;
            if ((ours ^ r->value[c]) == r->differs[c])
                continue;
            (*wrong)++;
            print_error("%s: %s %s: posted %llx, ours %llx: %llx differs, %llx is stated\n",
                        strrchr(p->path, '/') + 1, columns[c].name, r->name,
                        (unsigned long long)r->value[c], (unsigned long long)ours,
                        (unsigned long long)(ours ^ r->value[c]),
                        (unsigned long long)r->differs[c]);
        }
    return bits;
}

static glob_t files;

static void every_posted_host(void **state)
{
    static struct posted p;
    static struct cpu_policy policies[HOST_POLICIES];
    size_t bits = 0, wrong = 0;

    (void)state;
    for (size_t i = 0; i < files.gl_pathc; i++) {
        struct host_options options;
        bool has_hvm, has_hap;
        size_t where;

        read_posted(&p, files.gl_pathv[i]);
        memset(policies, 0, sizeof(policies));
        for (size_t k = 0; k < p.n; k++)
            set_raw(&policies[0], &p.regs[k]);
        assert_int_equal(host_options_read(&options, p.xen, p.cmdline, NULL, &where), 0);
        host_policies_derive(policies, &options, &has_hvm, &has_hap);
        bits += compare(&p, policies, &wrong);
    }
    if (wrong)
        fail_msg("%zu registers differ otherwise than stated", wrong);
    print_message("%zu bits of %zu hosts compared\n", bits, files.gl_pathc);
    assert_true(files.gl_pathc >= 1 && bits > 1000);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_posted_host)};

    if (argc > 1) {
        files.gl_pathc = (size_t)argc - 1;
        files.gl_pathv = argv + 1;
    } else if (glob(POSTED "/*.policies", 0, NULL, &files)) {
        (void)fprintf(stderr, "nothing in " POSTED "\n");
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
