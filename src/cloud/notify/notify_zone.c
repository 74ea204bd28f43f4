#include "cloud/notify/notify_zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cursor.h"
#include "os/file.h"

enum {
    DAY_S = 86400,
    TYPE_BYTES = 6,
    NAME_MAX = 64,
    OFFSET_MOST_S = 93599,  /* RFC 8536, 3.2: -24:59:59 to +25:59:59; both ends fit */
    RULE_TIME_MOST_H = 167, /* RFC 8536, 3.3.1 */
};

/* ---- the rule at a file's end --------------------------------------------------------------------------
 */

typedef struct {
    enum { RULE_MONTH, RULE_JULIAN, RULE_DAY } kind;
    int month, week, day; /* day: of the week, or of the year */
    int32_t time_s;       /* local, after midnight; may be negative */
} rule_date;

static bool take(porch_reader *r, char c) {
    if (r->rest.len == 0 || r->rest.at[0] != (uint8_t)c) return false;
    r->rest.at++;
    r->rest.len--;
    return true;
}

static bool digit_next(const porch_reader *r) {
    return r->rest.len > 0 && r->rest.at[0] >= '0' && r->rest.at[0] <= '9';
}

static porch_err read_int(porch_reader *r, int most, int *ret) {
    int v = 0;
    if (!digit_next(r)) return PORCH_ERR_MALFORMED;
    while (digit_next(r)) {
        v = v * 10 + (r->rest.at[0] - '0');
        if (v > most) return PORCH_ERR_MALFORMED;
        r->rest.at++;
        r->rest.len--;
    }
    *ret = v;
    return PORCH_OK;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static porch_err read_time(porch_reader *r, int hours_most, int32_t *ret) {
    int parts[3] = {0, 0, 0};
    bool negative = take(r, '-');
    if (!negative) (void)take(r, '+');
    PORCH_TRY(read_int(r, hours_most, &parts[0]));
    for (int i = 1; i < 3 && take(r, ':'); i++)
        PORCH_TRY(read_int(r, 59, &parts[i]));
    int32_t s = parts[0] * 3600 + parts[1] * 60 + parts[2];
    *ret = negative ? -s : s;
    return PORCH_OK;
}

/* "CET" or "<+03>". */
static porch_err skip_zone_name(porch_reader *r) {
    bool quoted = take(r, '<');
    size_t n = 0;
    while (r->rest.len > 0) {
        uint8_t c = r->rest.at[0];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool more = quoted && ((c >= '0' && c <= '9') || c == '+' || c == '-');
        if (!letter && !more) break;
        r->rest.at++;
        r->rest.len--;
        n++;
    }
    if (quoted && !take(r, '>')) return PORCH_ERR_MALFORMED;
    return n >= 3 ? PORCH_OK : PORCH_ERR_MALFORMED;
}

static porch_err read_date(porch_reader *r, rule_date *ret) {
    rule_date d = {.kind = RULE_DAY, .time_s = 2 * 3600};
    if (take(r, 'M')) {
        d.kind = RULE_MONTH;
        PORCH_TRY(read_int(r, 12, &d.month));
        if (!take(r, '.')) return PORCH_ERR_MALFORMED;
        PORCH_TRY(read_int(r, 5, &d.week));
        if (!take(r, '.') || d.month < 1 || d.week < 1) return PORCH_ERR_MALFORMED;
        PORCH_TRY(read_int(r, 6, &d.day));
    } else {
        if (take(r, 'J')) d.kind = RULE_JULIAN;
        PORCH_TRY(read_int(r, 365, &d.day));
        if (d.kind == RULE_JULIAN && d.day < 1) return PORCH_ERR_MALFORMED;
    }
    if (take(r, '/')) PORCH_TRY(read_time(r, RULE_TIME_MOST_H, &d.time_s));
    *ret = d;
    return PORCH_OK;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar (eras of 400 years, years beginning in March).
 */
static int64_t days_of(int64_t year, int month, int day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool is_leap(int64_t year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int64_t year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

static int64_t day_of_rule(const rule_date *d, int64_t year) {
    int64_t new_year = days_of(year, 1, 1);
    if (d->kind == RULE_DAY) return new_year + d->day;
    if (d->kind == RULE_JULIAN) return new_year + d->day - 1 + (is_leap(year) && d->day >= 60);
    int64_t first = days_of(year, d->month, 1);
    int64_t weekday = (first % 7 + 11) % 7; /* 1970-01-01 was a Thursday */
    int64_t day = 1 + (d->day - weekday + 7) % 7 + (int64_t)7 * (d->week - 1);
    while (day > days_in_month(year, d->month))
        day -= 7;
    return first + day - 1;
}

static int64_t year_of(int64_t unix_s) {
    int64_t day = unix_s / DAY_S - (unix_s % DAY_S < 0);
    int64_t year = 1970 + day / 366;
    while (days_of(year + 1, 1, 1) <= day)
        year++;
    while (days_of(year, 1, 1) > day)
        year--;
    return year;
}

typedef struct {
    int32_t standard, summer; /* seconds east */
    bool has_summer;
    rule_date begin, end;
} zone_rule;

static porch_err read_rule(porch_bytes text, zone_rule *ret) {
    porch_reader r = porch_reader_of(text);
    zone_rule z = {0};
    PORCH_TRY(skip_zone_name(&r));
    PORCH_TRY(read_time(&r, 24, &z.standard));
    z.standard = -z.standard; /* POSIX counts west */
    if (!porch_reader_done(&r)) {
        z.has_summer = true;
        z.summer = z.standard + 3600;
        PORCH_TRY(skip_zone_name(&r));
        if (r.rest.len > 0 && r.rest.at[0] != ',') {
            PORCH_TRY(read_time(&r, 24, &z.summer));
            z.summer = -z.summer;
        }
        if (!take(&r, ',')) return PORCH_ERR_MALFORMED;
        PORCH_TRY(read_date(&r, &z.begin));
        if (!take(&r, ',')) return PORCH_ERR_MALFORMED;
        PORCH_TRY(read_date(&r, &z.end));
    }
    if (!porch_reader_done(&r)) return PORCH_ERR_MALFORMED;
    *ret = z;
    return PORCH_OK;
}

/* Far beyond any clock; keeps the arithmetic above small. */
static bool time_is_sane(int64_t unix_s) {
    return unix_s > -(int64_t)1000 * 366 * DAY_S && unix_s < (int64_t)8000 * 366 * DAY_S;
}

porch_err porch_zone_rule_offset(porch_bytes rule, int64_t unix_s, int32_t *ret) {
    zone_rule z;
    PORCH_TRY(read_rule(rule, &z));
    if (!time_is_sane(unix_s)) return PORCH_ERR_LIMIT;
    *ret = z.standard;
    if (!z.has_summer) return PORCH_OK;
    int64_t year = year_of(unix_s + z.standard);
    int64_t begin = day_of_rule(&z.begin, year) * DAY_S + z.begin.time_s - z.standard;
    int64_t end = day_of_rule(&z.end, year) * DAY_S + z.end.time_s - z.summer;
    bool summer = begin < end ? unix_s >= begin && unix_s < end : unix_s >= begin || unix_s < end;
    if (summer) *ret = z.summer;
    return PORCH_OK;
}

/* ---- the file (RFC 8536, 3)
 * ------------------------------------------------------------------------------ */

typedef struct {
    uint8_t version;
    uint32_t utc_count, std_count, leap_count, time_count, type_count, char_count;
} tzif_head;

static porch_err read_head(porch_reader *r, tzif_head *ret) {
    porch_bytes magic, unused;
    PORCH_TRY(porch_read_bytes(r, 4, &magic));
    if (!porch_bytes_eq_text(magic, "TZif")) return PORCH_ERR_MALFORMED;
    PORCH_TRY(porch_read_u8(r, &ret->version));
    PORCH_TRY(porch_read_bytes(r, 15, &unused));
    uint32_t *const counts[] = {&ret->utc_count,  &ret->std_count,  &ret->leap_count,
                                &ret->time_count, &ret->type_count, &ret->char_count};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        PORCH_TRY(porch_read_u32(r, counts[i]));
        if (*counts[i] > PORCH_ZONE_FILE_MAX) return PORCH_ERR_MALFORMED;
    }
    return ret->type_count > 0 ? PORCH_OK : PORCH_ERR_MALFORMED;
}

typedef struct {
    porch_bytes times, indices, types;
} tzif_tables;

static porch_err read_tables(porch_reader *r, const tzif_head *h, size_t time_bytes, tzif_tables *ret) {
    porch_bytes unused;
    PORCH_TRY(porch_read_bytes(r, h->time_count * time_bytes, &ret->times));
    PORCH_TRY(porch_read_bytes(r, h->time_count, &ret->indices));
    PORCH_TRY(porch_read_bytes(r, (size_t)h->type_count * TYPE_BYTES, &ret->types));
    PORCH_TRY(porch_read_bytes(r, h->char_count, &unused));
    PORCH_TRY(porch_read_bytes(r, h->leap_count * (time_bytes + 4), &unused));
    return porch_read_bytes(r, (size_t)h->std_count + h->utc_count, &unused);
}

static int64_t time_at(porch_bytes times, size_t i) {
    porch_reader r = porch_reader_of((porch_bytes){times.at + i * 8, 8});
    uint64_t v = 0;
    (void)porch_read_u64(&r, &v);
    return (int64_t)v;
}

static porch_err offset_of_type(const tzif_tables *t, size_t type, int32_t *ret) {
    if (type >= t->types.len / TYPE_BYTES) return PORCH_ERR_MALFORMED;
    porch_reader r = porch_reader_of((porch_bytes){t->types.at + type * TYPE_BYTES, TYPE_BYTES});
    uint32_t v = 0;
    PORCH_TRY(porch_read_u32(&r, &v));
    int32_t offset = (int32_t)v;
    if (offset > OFFSET_MOST_S || offset < -OFFSET_MOST_S) return PORCH_ERR_MALFORMED;
    *ret = offset;
    return PORCH_OK;
}

/* How many transitions are at or before the time. */
static size_t passed(porch_bytes times, int64_t unix_s) {
    size_t low = 0;
    size_t high = times.len / 8;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (time_at(times, middle) <= unix_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static porch_err read_footer(porch_reader *r, porch_bytes *ret) {
    if (!take(r, '\n')) return PORCH_ERR_MALFORMED;
    const uint8_t *end = r->rest.len ? memchr(r->rest.at, '\n', r->rest.len) : NULL;
    if (!end) return PORCH_ERR_MALFORMED;
    *ret = (porch_bytes){r->rest.at, (size_t)(end - r->rest.at)};
    return PORCH_OK;
}

porch_err porch_zone_offset(porch_bytes tzif, int64_t unix_s, int32_t *ret) {
    porch_reader r = porch_reader_of(tzif);
    tzif_head head;
    tzif_tables tables;
    porch_bytes rule;
    if (tzif.len > PORCH_ZONE_FILE_MAX) return PORCH_ERR_LIMIT;
    PORCH_TRY(read_head(&r, &head));
    if (head.version < '2')
        return PORCH_ERR_UNSUPPORTED; /* 32-bit times alone: no system writes them now */
    PORCH_TRY(read_tables(&r, &head, 4, &tables));
    PORCH_TRY(read_head(&r, &head));
    PORCH_TRY(read_tables(&r, &head, 8, &tables));
    PORCH_TRY(read_footer(&r, &rule));
    size_t before = passed(tables.times, unix_s);
    if (before == head.time_count && rule.len > 0) return porch_zone_rule_offset(rule, unix_s, ret);
    return offset_of_type(&tables, before == 0 ? 0 : tables.indices.at[before - 1], ret);
}

/* ---- names and text
 * -------------------------------------------------------------------------------------- */

bool porch_zone_name_valid(const char *name) {
    size_t n = name ? strlen(name) : 0;
    if (n == 0 || n > NAME_MAX) return false;
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool begins = i == 0 || name[i - 1] == '/';
        bool inner = (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '+' || (c == '/' && i + 1 < n);
        if (!letter && (begins || !inner)) return false;
    }
    return true;
}

/* The zone's file; false when the name is none or the file cannot be read. *bytes is the caller's. */
static bool load_file(const char *name, uint8_t **bytes, size_t *len) {
    char path[NAME_MAX + 32];
    if (!porch_zone_name_valid(name)) return false;
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
    return porch_file_read(path, PORCH_ZONE_FILE_MAX, bytes, len, NULL) == PORCH_OK;
}

static bool file_offset(const char *name, int64_t unix_s, int32_t *ret) {
    uint8_t *bytes = NULL;
    size_t len = 0;
    if (!load_file(name, &bytes, &len)) return false;
    porch_err e = porch_zone_offset((porch_bytes){bytes, len}, unix_s, ret);
    free(bytes);
    return e == PORCH_OK;
}

bool porch_zone_local(const char *name, uint64_t unix_ms, char out[PORCH_ZONE_TIME_BYTES]) {
    const int64_t last_s = 253402214400; /* 9999-12-31: a year keeps its four digits in any zone */
    int64_t unix_s = unix_ms / 1000 < (uint64_t)last_s ? (int64_t)(unix_ms / 1000) : last_s;
    int32_t offset = 0;
    bool known = file_offset(name, unix_s, &offset);
    time_t shifted = (time_t)(unix_s + offset);
    struct tm t;
    char text[24];
    if (!gmtime_r(&shifted, &t) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &t) == 0) return false;
    int32_t minutes = (offset < 0 ? -offset : offset) / 60;
    if (!known)
        snprintf(out, PORCH_ZONE_TIME_BYTES, "%sZ", text);
    else
        snprintf(out, PORCH_ZONE_TIME_BYTES, "%s%c%02d:%02d", text, offset < 0 ? '-' : '+',
                 minutes / 60 % 100, minutes % 60);
    return known;
}

/* ---- days ----------------------------------------------------------------------------------------------
 */

static porch_err read_day(porch_bytes date, int64_t *ret) {
    porch_reader r = porch_reader_of(date);
    int year = 0, month = 0, day = 0;
    if (date.len != sizeof "2026-05-03" - 1) return PORCH_ERR_MALFORMED;
    PORCH_TRY(read_int(&r, 9998, &year));
    if (year < 1970 || !take(&r, '-')) return PORCH_ERR_MALFORMED;
    PORCH_TRY(read_int(&r, 12, &month));
    if (month < 1 || !take(&r, '-')) return PORCH_ERR_MALFORMED;
    PORCH_TRY(read_int(&r, 31, &day));
    if (day < 1 || day > days_in_month(year, month) || r.rest.len != 0) return PORCH_ERR_MALFORMED;
    *ret = days_of(year, month, day);
    return PORCH_OK;
}

/* The first second whose local time is midnight of that day or later. Where a change of clocks skips
 * midnight that is the change; where it repeats midnight it is one of the two, and always the same one. */
static int64_t day_begins(porch_bytes tzif, int64_t day) {
    int64_t midnight = day * DAY_S, low = midnight - OFFSET_MOST_S, high = midnight + OFFSET_MOST_S;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int32_t offset = 0;
        if (tzif.len > 0 && porch_zone_offset(tzif, middle, &offset) != PORCH_OK) offset = 0;
        if (middle + offset >= midnight)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

porch_err porch_zone_day(const char *name, porch_bytes date, uint64_t *from_ms, uint64_t *to_ms) {
    uint8_t *bytes = NULL;
    size_t len = 0;
    int64_t day = 0;
    PORCH_TRY(read_day(date, &day));
    if (!load_file(name, &bytes, &len)) len = 0;
    int64_t from = day_begins((porch_bytes){bytes, len}, day);
    int64_t to = day_begins((porch_bytes){bytes, len}, day + 1);
    free(bytes);
    *from_ms = from > 0 ? (uint64_t)from * 1000 : 0;
    *to_ms = to > 0 ? (uint64_t)to * 1000 : 0;
    return PORCH_OK;
}
