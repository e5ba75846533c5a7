/* SPDX-License-Identifier: MIT */
/* How far a save, a migration or a restore is: see view.h. */
#include "view.h"

#include <stdio.h>

#include "out.h"
#include "xc_clock.h"

#define BAR_WIDTH  20u
#define SHOW_EVERY 100000000u /* ns */

int view_suspend(void *data)
{
    struct save_view *v = data;

    v->suspended = xc_now_ns();
    return xc_domain_suspend(v->xch, v->domid);
}

/* "[#####...............] 25%  812 MB/s" */
static void show_bar(const char *what, uint64_t done, uint64_t all, uint64_t bytes_per_second,
                     const char *more)
{
    uint64_t percent = done < all ? done * 100 / all : 100;
    char bar[BAR_WIDTH + 1] = "";

    for (unsigned int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < percent * BAR_WIDTH / 100 ? '#' : '.';
    out_line("%s[%s] %llu%%  %llu MB/s%s", what, bar, (unsigned long long)percent,
             (unsigned long long)(bytes_per_second / 1000000), more);
}

/* "round 1 [#####...............] 25%  812 MB/s  20012 pages/s dirtied  downtime 31.0 ms" */
int view_progress(void *data, const struct xc_sr_stats *st)
{
    struct save_view *v = data;
    uint64_t now = xc_now_ns();
    char round[32], dirty[96] = "";

    if (v->shown && v->round == st->round && now - v->shown < SHOW_EVERY)
        return 0;
    v->shown = now;
    v->round = st->round;
    (void)snprintf(round, sizeof(round), "round %u ", st->round);
    /* Before the first round has ended nobody knows. */
    if (st->round)
        (void)snprintf(dirty, sizeof(dirty), "  %llu pages/s dirtied  downtime %.1f ms",
                       (unsigned long long)st->dirty_pages_per_second,
                       (double)st->expected_downtime_ns / 1e6);
    show_bar(round, st->sent_in_round, st->round_pages, st->bytes_per_second, dirty);
    return 0;
}

int view_restore(void *data, const struct xc_sr_stats *st)
{
    struct restore_view *v = data;
    uint64_t now = xc_now_ns(), rate = 0;

    if (v->shown && now - v->shown < SHOW_EVERY)
        return 0;
    v->shown = now;
    if (st->elapsed_ns)
        rate = (uint64_t)((double)st->bytes * 1e9 / (double)st->elapsed_ns);
    show_bar("", st->sent_pages + st->zero_pages, v->pages, rate, "");
    return 0;
}
