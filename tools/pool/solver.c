/* SPDX-License-Identifier: MIT */
/* See solver.h. */
#include "solver.h"

#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <glpk.h>

#include "util.h"

#define LIBRARY "libglpk.so.40"

/* The functions of the library that are used, by their own names. */
struct glpk {
    void *library;
    typeof(glp_create_prob) *create_prob;
    typeof(glp_delete_prob) *delete_prob;
    typeof(glp_set_obj_dir) *set_obj_dir;
    typeof(glp_add_rows) *add_rows;
    typeof(glp_add_cols) *add_cols;
    typeof(glp_set_row_bnds) *set_row_bnds;
    typeof(glp_set_col_bnds) *set_col_bnds;
    typeof(glp_set_col_kind) *set_col_kind;
    typeof(glp_set_obj_coef) *set_obj_coef;
    typeof(glp_load_matrix) *load_matrix;
    typeof(glp_init_iocp) *init_iocp;
    typeof(glp_intopt) *intopt;
    typeof(glp_mip_status) *mip_status;
    typeof(glp_mip_col_val) *mip_col_val;
    typeof(glp_term_out) *term_out;
    typeof(glp_ios_reason) *ios_reason;
    typeof(glp_ios_terminate) *ios_terminate;
    typeof(glp_ios_tree_size) *ios_tree_size;
    typeof(glp_free_env) *free_env;
};

static bool open_library(struct glpk *g)
{
    const struct {
        const char *name;
        void **function;
    } functions[] = {
        {"glp_create_prob", (void **)&g->create_prob},
        {"glp_delete_prob", (void **)&g->delete_prob},
        {"glp_set_obj_dir", (void **)&g->set_obj_dir},
        {"glp_add_rows", (void **)&g->add_rows},
        {"glp_add_cols", (void **)&g->add_cols},
        {"glp_set_row_bnds", (void **)&g->set_row_bnds},
        {"glp_set_col_bnds", (void **)&g->set_col_bnds},
        {"glp_set_col_kind", (void **)&g->set_col_kind},
        {"glp_set_obj_coef", (void **)&g->set_obj_coef},
        {"glp_load_matrix", (void **)&g->load_matrix},
        {"glp_init_iocp", (void **)&g->init_iocp},
        {"glp_intopt", (void **)&g->intopt},
        {"glp_mip_status", (void **)&g->mip_status},
        {"glp_mip_col_val", (void **)&g->mip_col_val},
        {"glp_term_out", (void **)&g->term_out},
        {"glp_ios_reason", (void **)&g->ios_reason},
        {"glp_ios_terminate", (void **)&g->ios_terminate},
        {"glp_ios_tree_size", (void **)&g->ios_tree_size},
        {"glp_free_env", (void **)&g->free_env},
    };

    g->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!g->library)
        return false;
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        *functions[i].function = dlsym(g->library, functions[i].name);
        if (!*functions[i].function) {
            (void)dlclose(g->library);
            return false;
        }
    }
    return true;
}

const char *solver_name(void)
{
    return "GLPK (Debian: libglpk40)";
}

/* A variable: how many of a group go into a bin. */
struct variable {
    size_t group, bin;
};

static size_t list_variables(const struct solver_problem *p, struct variable **list)
{
    size_t n = 0;

    *list = xcalloc(p->n_groups * p->n_bins + 1, sizeof(**list));
    for (size_t g = 0; g < p->n_groups; g++)
        for (size_t b = 0; b < p->n_bins; b++)
            if (p->allowed[g * p->n_bins + b] && p->groups[g].size <= p->rooms[b])
                (*list)[n++] = (struct variable){g, b};
    return n;
}

/* How many of a group a bin has room for. */
static size_t find_most(const struct solver_problem *p, const struct variable *v)
{
    uint64_t size = p->groups[v->group].size, n = size ? p->rooms[v->bin] / size : UINT64_MAX;

    return n < p->groups[v->group].n ? (size_t)n : p->groups[v->group].n;
}

/*
 * maximise sum x[g,b], with sum over b of x[g,b] <= n[g] and sum over g of size[g] x[g,b] <=
 * room[b]. Rows: the groups, then the bins.
 */
static void state_problem(const struct glpk *g, glp_prob *lp, const struct solver_problem *p,
                          const struct variable *list, size_t n)
{
    int *row = xcalloc(2 * n + 1, sizeof(*row)), *column = xcalloc(2 * n + 1, sizeof(*column));
    double *value = xcalloc(2 * n + 1, sizeof(*value));

    g->set_obj_dir(lp, GLP_MAX);
    (void)g->add_rows(lp, (int)(p->n_groups + p->n_bins));
    (void)g->add_cols(lp, (int)n);
    for (size_t i = 0; i < p->n_groups; i++)
        g->set_row_bnds(lp, (int)i + 1, GLP_UP, 0, (double)p->groups[i].n);
    for (size_t i = 0; i < p->n_bins; i++)
        g->set_row_bnds(lp, (int)(p->n_groups + i) + 1, GLP_UP, 0, (double)p->rooms[i]);
    for (size_t i = 0; i < n; i++) {
        const struct variable *v = &list[i];

        g->set_col_kind(lp, (int)i + 1, GLP_IV);
        g->set_col_bnds(lp, (int)i + 1, GLP_DB, 0, (double)find_most(p, v));
        g->set_obj_coef(lp, (int)i + 1, 1);
        row[2 * i + 1] = (int)v->group + 1;
        column[2 * i + 1] = (int)i + 1;
        value[2 * i + 1] = 1;
        row[2 * i + 2] = (int)(p->n_groups + v->bin) + 1;
        column[2 * i + 2] = (int)i + 1;
        value[2 * i + 2] = (double)p->groups[v->group].size;
    }
    g->load_matrix(lp, (int)(2 * n), row, column, value);
    free(row);
    free(column);
    free(value);
}

struct search {
    const struct glpk *glpk;
    unsigned int nodes;
    bool ended;
};

static void count_node(glp_tree *tree, void *opaque)
{
    struct search *s = opaque;
    int total;

    if (s->glpk->ios_reason(tree) != GLP_ISELECT)
        return;
    s->glpk->ios_tree_size(tree, NULL, NULL, &total);
    if ((unsigned int)total > s->nodes) {
        s->ended = true;
        s->glpk->ios_terminate(tree);
    }
}

/* Take the solution, if it is one: the library computes in floating point. */
static void take_solution(const struct glpk *g, glp_prob *lp, const struct solver_problem *p,
                          const struct variable *list, size_t n_variables, size_t *n)
{
    uint64_t *left = xcalloc(p->n_bins + 1, sizeof(*left));
    size_t *open = xcalloc(p->n_groups + 1, sizeof(*open));

    memcpy(left, p->rooms, p->n_bins * sizeof(*left));
    for (size_t i = 0; i < p->n_groups; i++)
        open[i] = p->groups[i].n;
    for (size_t i = 0; i < n_variables; i++) {
        const struct variable *v = &list[i];
        size_t take = (size_t)llround(g->mip_col_val(lp, (int)i + 1));

        for (; take && open[v->group] && left[v->bin] >= p->groups[v->group].size; take--) {
            open[v->group]--;
            left[v->bin] -= p->groups[v->group].size;
            n[v->group * p->n_bins + v->bin]++;
        }
    }
    free(left);
    free(open);
}

enum solver_result solver_run(const struct solver_problem *p, size_t *n)
{
    struct glpk g;
    struct search search = {.glpk = &g, .nodes = p->nodes};
    struct variable *list;
    glp_prob *lp;
    glp_iocp options;
    size_t n_variables = list_variables(p, &list);
    int rc, status;

    memset(n, 0, p->n_groups * p->n_bins * sizeof(*n));
    if (!n_variables || n_variables > SOLVER_COLUMNS || !open_library(&g)) {
        free(list);
        return !n_variables                   ? SOLVER_OPTIMAL
               : n_variables > SOLVER_COLUMNS ? SOLVER_LIMIT
                                              : SOLVER_NONE;
    }
    (void)g.term_out(GLP_OFF);
    lp = g.create_prob();
    state_problem(&g, lp, p, list, n_variables);
    g.init_iocp(&options);
    options.presolve = GLP_ON;
    options.cov_cuts = GLP_ON;
    options.mir_cuts = GLP_ON;
    options.tm_lim = (int)SOLVER_SECONDS * 1000;
    options.cb_func = count_node;
    options.cb_info = &search;
    /* They are counted: what is nearer than one to the bound is the bound. */
    options.mip_gap = 0.9 / (double)(p->enough + 1);
    rc = g.intopt(lp, &options);
    status = g.mip_status(lp);
    if (status == GLP_OPT || status == GLP_FEAS)
        take_solution(&g, lp, p, list, n_variables, n);
    g.delete_prob(lp);
    (void)g.free_env();
    (void)dlclose(g.library);
    free(list);
    return !search.ended && (rc == GLP_EMIPGAP || (!rc && status == GLP_OPT)) ? SOLVER_OPTIMAL
                                                                              : SOLVER_LIMIT;
}
