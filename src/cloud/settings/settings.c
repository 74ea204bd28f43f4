#include "cloud/settings/settings.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "os/file.h"

/* The list once more, as rows that code can walk: where the value lives and what it may be. */
typedef enum { TYPE_U32, TYPE_U64, TYPE_TEXT, TYPE_BOOL } setting_type;

typedef struct {
    const char *name;
    const char *type_name;
    const char *help;
    const char *default_text;
    setting_type type;
    size_t offset;
    uint64_t min, max;
} setting_row;

#define DEFAULT_U32(value)  #value
#define DEFAULT_U64(value)  #value
#define DEFAULT_BOOL(value) ((value) ? "true" : "false")
#define DEFAULT_TEXT(value) value
#define ROW(section, key, field, type, def, min, max, help) \
    {#section "." #key,                                     \
     #type,                                                 \
     help,                                                  \
     DEFAULT_##type(def),                                   \
     TYPE_##type,                                           \
     offsetof(porch_settings, field),                       \
     min,                                                   \
     max},
static const setting_row rows[] = {PORCH_SETTINGS_LIST(ROW)};
#undef ROW

enum { ROWS = sizeof rows / sizeof rows[0], NAME_BYTES = 64, FILE_BYTES = 256 * 1024 };

/* A text row's greatest length leaves room for the terminating zero, and a U32's limits fit into it. */
#define FITS_TEXT(max) ((max) < PORCH_SETTINGS_TEXT_BYTES)
#define FITS_U32(max)  ((max) <= UINT32_MAX)
#define FITS_U64(max)  1
#define FITS_BOOL(max) ((max) == 1)
#define CHECK(section, key, field, type, def, min, max, help) \
    _Static_assert(FITS_##type((uint64_t)(max)), #section "." #key);
PORCH_SETTINGS_LIST(CHECK)
#undef CHECK

static const setting_row *row_of(porch_bytes name) {
    for (size_t i = 0; i < ROWS; i++)
        if (porch_bytes_eq_text(name, rows[i].name)) return &rows[i];
    return NULL;
}

/* ---- the nearest known name --------------------------------------------------------------------- */

/* Levenshtein distance; both texts are at most NAME_BYTES long. */
static size_t distance(const char *a, size_t alen, const char *b, size_t blen) {
    size_t line[NAME_BYTES + 1];
    for (size_t j = 0; j <= blen; j++)
        line[j] = j;
    for (size_t i = 1; i <= alen; i++) {
        size_t corner = line[0];
        line[0] = i;
        for (size_t j = 1; j <= blen; j++) {
            size_t above = line[j];
            size_t best = corner + (a[i - 1] != b[j - 1]);
            if (above + 1 < best) best = above + 1;
            if (line[j - 1] + 1 < best) best = line[j - 1] + 1;
            line[j] = best;
            corner = above;
        }
    }
    return line[blen];
}

/* A key of the right section or a section forgotten counts as nearer than chance: both forms are tried. */
static const char *nearest(porch_bytes name) {
    const char *text = (const char *)name.at;
    size_t len = name.len < NAME_BYTES ? name.len : NAME_BYTES;
    size_t best = SIZE_MAX;
    const char *found = rows[0].name;
    for (size_t i = 0; i < ROWS; i++) {
        const char *key = strchr(rows[i].name, '.') + 1;
        size_t whole = distance(text, len, rows[i].name, strlen(rows[i].name));
        size_t tail = distance(text, len, key, strlen(key)) + 1;
        size_t d = whole < tail ? whole : tail;
        if (d < best) {
            best = d;
            found = rows[i].name;
        }
    }
    return found;
}

/* ---- one value ---------------------------------------------------------------------------------- */

static porch_err set_number(const setting_row *row, porch_bytes value, porch_settings *s, porch_why *why) {
    uint64_t n = 0;
    porch_err e = porch_decimal_read(value, row->max, &n);
    if (e != PORCH_OK || n < row->min)
        return porch_fail(why, PORCH_ERR_CONFIG, "%s is a whole number from %llu to %llu, not '%.*s'",
                          row->name, (unsigned long long)row->min, (unsigned long long)row->max,
                          (int)(value.len < 40 ? value.len : 40), (const char *)value.at);
    void *at = (char *)s + row->offset;
    if (row->type == TYPE_U32) {
        *(uint32_t *)at = (uint32_t)n;
    } else {
        *(uint64_t *)at = n;
    }
    return PORCH_OK;
}

static porch_err set_bool(const setting_row *row, porch_bytes value, porch_settings *s, porch_why *why) {
    bool yes = porch_bytes_eq_text(value, "true");
    if (!yes && !porch_bytes_eq_text(value, "false"))
        return porch_fail(why, PORCH_ERR_CONFIG, "%s is true or false", row->name);
    *(bool *)((char *)s + row->offset) = yes;
    return PORCH_OK;
}

static bool printable(porch_bytes value) {
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] < 0x20 || value.at[i] == 0x7f) return false;
    return porch_utf8_valid(value);
}

static porch_err set_text(const setting_row *row, porch_bytes value, porch_settings *s, porch_why *why) {
    if (value.len < row->min || value.len > row->max)
        return porch_fail(why, PORCH_ERR_CONFIG, "%s is %llu to %llu bytes long, not %zu", row->name,
                          (unsigned long long)row->min, (unsigned long long)row->max, value.len);
    if (!printable(value))
        return porch_fail(why, PORCH_ERR_CONFIG, "%s holds a control character or is not UTF-8", row->name);
    char *at = (char *)s + row->offset;
    memset(at, 0, PORCH_SETTINGS_TEXT_BYTES);
    if (value.len > 0) memcpy(at, value.at, value.len);
    return PORCH_OK;
}

static porch_err set_row(const setting_row *row, porch_bytes value, porch_settings *s, porch_why *why) {
    switch (row->type) {
    case TYPE_U32:
    case TYPE_U64:
        return set_number(row, value, s, why);
    case TYPE_BOOL:
        return set_bool(row, value, s, why);
    case TYPE_TEXT:
        return set_text(row, value, s, why);
    }
    return PORCH_ERR_INTERNAL;
}

static porch_bytes trimmed(porch_bytes b) {
    while (b.len > 0 && (b.at[0] == ' ' || b.at[0] == '\t')) {
        b.at++;
        b.len--;
    }
    while (b.len > 0 && (b.at[b.len - 1] == ' ' || b.at[b.len - 1] == '\t'))
        b.len--;
    return b;
}

/* The row of that name, or NULL with a sentence that names the nearest. */
static const setting_row *known_row(porch_bytes name, porch_why *why) {
    const setting_row *row = row_of(name);
    if (row == NULL)
        (void)porch_fail(why, PORCH_ERR_CONFIG, "there is no setting '%.*s'; the nearest is %s",
                         (int)(name.len < 64 ? name.len : 64), (const char *)name.at, nearest(name));
    return row;
}

porch_err porch_settings_set(porch_settings *s, const char *name, const char *value, porch_why *why) {
    const setting_row *row = known_row(porch_bytes_of(name), why);
    return row == NULL ? PORCH_ERR_CONFIG : set_row(row, trimmed(porch_bytes_of(value)), s, why);
}

void porch_settings_default(porch_settings *ret) {
    memset(ret, 0, sizeof *ret);
    for (size_t i = 0; i < ROWS; i++)
        (void)set_row(&rows[i], porch_bytes_of(rows[i].default_text), ret, NULL);
}

/* ---- the file ----------------------------------------------------------------------------------- */

/* One line, without its end. `seen` marks rows that were given before. */
static porch_err take_line(porch_bytes line, porch_settings *s, bool *seen, porch_why *why) {
    line = trimmed(line);
    if (line.len == 0 || line.at[0] == '#') return PORCH_OK;
    const uint8_t *equals = memchr(line.at, '=', line.len);
    if (equals == NULL)
        return porch_fail(why, PORCH_ERR_CONFIG, "it has no '='; write section.key = value");
    size_t before = (size_t)(equals - line.at);
    porch_bytes name = trimmed((porch_bytes){line.at, before});
    porch_bytes value = trimmed((porch_bytes){equals + 1, line.len - before - 1});
    const setting_row *row = known_row(name, why);
    if (row == NULL) return PORCH_ERR_CONFIG;
    PORCH_TRY(set_row(row, value, s, why));
    size_t index = (size_t)(row - rows);
    if (seen[index]) return porch_fail(why, PORCH_ERR_CONFIG, "%s is given twice", row->name);
    seen[index] = true;
    return PORCH_OK;
}

porch_err porch_settings_parse(porch_bytes text, porch_settings *ret, porch_why *why) {
    porch_settings *s = malloc(sizeof *s);
    if (s == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the settings");
    porch_settings_default(s);
    bool seen[ROWS] = {false};
    porch_err e = PORCH_OK;
    for (unsigned number = 1; text.len > 0; number++) {
        const uint8_t *end = memchr(text.at, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.at);
        porch_bytes line = {text.at, len};
        if (len > 0 && line.at[len - 1] == '\r') line.len--;
        porch_why inner = {""};
        e = take_line(line, s, seen, &inner);
        if (e != PORCH_OK) {
            e = porch_fail(why, e, "line %u: %.230s", number, inner.text);
            goto out;
        }
        size_t step = end == NULL ? len : len + 1;
        text.at += step;
        text.len -= step;
    }
    *ret = *s;
out:
    free(s);
    return e;
}

porch_err porch_settings_load(const char *path, porch_settings *ret, porch_why *why) {
    uint8_t *text = NULL;
    size_t len = 0;
    PORCH_TRY(porch_file_read(path, FILE_BYTES, &text, &len, why));
    porch_why inner = {""};
    porch_err e = porch_settings_parse((porch_bytes){text, len}, ret, &inner);
    if (e != PORCH_OK) e = porch_fail(why, e, "%.80s, %.170s", path, inner.text);
    free(text);
    return e;
}

static void value_text(const setting_row *row, const porch_settings *s, char *out, size_t cap) {
    const void *at = (const char *)s + row->offset;
    switch (row->type) {
    case TYPE_U32:
        (void)snprintf(out, cap, "%u", *(const uint32_t *)at);
        break;
    case TYPE_U64:
        (void)snprintf(out, cap, "%llu", (unsigned long long)*(const uint64_t *)at);
        break;
    case TYPE_BOOL:
        (void)snprintf(out, cap, "%s", *(const bool *)at ? "true" : "false");
        break;
    case TYPE_TEXT:
        (void)snprintf(out, cap, "%s", (const char *)at);
        break;
    }
}

porch_err porch_settings_write(const char *path, const porch_settings *s, porch_why *why) {
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    if (f == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the settings");
    (void)fprintf(f, "# Settings of this hub: section.key = value. What is not here has its default.\n");
    for (size_t i = 0; i < ROWS; i++) {
        char value[PORCH_SETTINGS_TEXT_BYTES];
        value_text(&rows[i], s, value, sizeof value);
        if (strcmp(value, rows[i].default_text) == 0) continue;
        (void)fprintf(f, "\n# %s\n%s = %s\n", rows[i].help, rows[i].name, value);
    }
    if (fclose(f) != 0) {
        free(text);
        return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the settings");
    }
    porch_err e = porch_file_write_owned(path, (porch_bytes){(const uint8_t *)text, len}, 0600, why);
    free(text);
    return e;
}

/* Is this line `name = ...`? */
static bool is_line_of(porch_bytes line, const char *name) {
    size_t n = strlen(name), at = 0;
    while (at < line.len && (line.at[at] == ' ' || line.at[at] == '\t'))
        at++;
    if (line.len - at < n || memcmp(line.at + at, name, n) != 0) return false;
    for (at += n; at < line.len; at++)
        if (line.at[at] != ' ' && line.at[at] != '\t') return line.at[at] == '=';
    return false;
}

static void write_changed(FILE *f, porch_bytes text, const char *name, const char *value) {
    bool done = false;
    while (text.len > 0) {
        const uint8_t *end = memchr(text.at, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.at);
        bool mine = is_line_of((porch_bytes){text.at, len}, name);
        if (mine && !done) (void)fprintf(f, "%s = %s\n", name, value);
        if (!mine) (void)fprintf(f, "%.*s\n", (int)len, (const char *)text.at);
        done = done || mine;
        size_t step = end == NULL ? len : len + 1;
        text.at += step;
        text.len -= step;
    }
    if (!done) (void)fprintf(f, "%s = %s\n", name, value);
}

porch_err porch_settings_change(const char *path, const char *name, const char *value, porch_why *why) {
    uint8_t *before = NULL;
    char *text = NULL;
    size_t before_len = 0, len = 0;
    porch_settings *check = malloc(sizeof *check);
    FILE *f = open_memstream(&text, &len);
    porch_err e = check == NULL || f == NULL
                      ? porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the settings")
                      : porch_file_read(path, FILE_BYTES, &before, &before_len, why);
    if (e == PORCH_OK) write_changed(f, (porch_bytes){before, before_len}, name, value);
    if (f != NULL && fclose(f) != 0 && e == PORCH_OK)
        e = porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the settings");
    if (e == PORCH_OK) e = porch_settings_parse((porch_bytes){(const uint8_t *)text, len}, check, why);
    if (e == PORCH_OK)
        e = porch_file_write_owned(path, (porch_bytes){(const uint8_t *)text, len}, 0600, why);
    free(before);
    free(text);
    free(check);
    return e;
}

porch_err porch_settings_write_default(const char *path, porch_why *why) {
    porch_settings *s = malloc(sizeof *s);
    if (s == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the settings");
    porch_settings_default(s);
    porch_err e = porch_settings_write(path, s, why);
    free(s);
    return e;
}

bool porch_settings_row_at(size_t index, porch_settings_row *ret) {
    if (index >= ROWS) return false;
    const setting_row *r = &rows[index];
    *ret = (porch_settings_row){r->name, r->type_name, r->help, r->default_text, r->min, r->max};
    return true;
}
