/* SPDX-License-Identifier: MIT */
/*
 * The report's words for types, CPUs, features and times.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "describe.h"
#include "report-private.h"
#include "util.h"

const char *report_verdict_name(enum report_verdict verdict)
{
    static const char *const names[REPORT_VERDICTS] = {
        [REPORT_YES] = "yes",
        [REPORT_CYCLE] = "power cycle",
        [REPORT_NO] = "no",
        [REPORT_UNKNOWN] = "cannot say",
    };

    return names[verdict];
}

const char *report_type_name(enum guest_type type)
{
    return type == GUEST_PV ? "PV" : "HVM and PVH";
}

static void cut_out(char *text, const char *what)
{
    for (char *at; (at = strstr(text, what));)
        memmove(at, at + strlen(what), strlen(at + strlen(what)) + 1);
}

/* One blank between words, none at the ends. */
static void squeeze(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++)
        if (*from != ' ' || (to != text && to[-1] != ' '))
            *to++ = *from;
    while (to != text && to[-1] == ' ')
        to--;
    *to = '\0';
}

char *report_short_cpu(const char *brand)
{
    static const char *const noise[] = {"(R)",    "(TM)",      "(tm)", "Genuine Intel CPU",
                                        "Intel ", "Processor", " CPU", "AMD "};
    char *text = xasprintf("%s ", brand);

    text[strcspn(text, "@")] = '\0'; /* the clock */
    for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++)
        cut_out(text, noise[i]);
    squeeze(text);
    return text;
}

char *report_count(size_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%zu", n);
    char *text = xcalloc((size_t)len * 2, 1), *to = text;

    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    return text;
}

char *report_feature_list(const struct featureset *fs, size_t most)
{
    size_t n = featureset_count(fs), done = 0, len = 0;
    char *text = NULL, word[64];
    FILE *f = open_memstream(&text, &len);

    if (!f)
        out_of_memory();
    for (int i = featureset_next(fs, 0); i >= 0; i = featureset_next(fs, (unsigned int)i + 1)) {
        if (most && done >= most && n > most + 1)
            break;
        feature_word((unsigned int)i, word, sizeof(word));
        (void)fprintf(f, "%s%s", done ? ", " : "", word);
        done++;
    }
    if (done < n)
        (void)fprintf(f, " and %zu more", n - done);
    if (fclose(f))
        out_of_memory();
    return text;
}

const char *report_noun(size_t n, const char *one, const char *many)
{
    return n == 1 ? one : many;
}

char *report_date(const char *when)
{
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    struct tm tm;
    time_t t;

    if (!when || !date_read(when, &t) || !gmtime_r(&t, &tm))
        return xstrdup(when ? when : "");
    return xasprintf("%d %s %d, %02d:%02d UTC", tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
                     tm.tm_hour, tm.tm_min);
}
