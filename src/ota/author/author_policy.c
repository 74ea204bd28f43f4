#include "ota/author/author_policy.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "ota/client/policy.h"
#include "ota/client/tuf_json.h"

enum { MEMBERS = 256 };

/* "25%" and "0.5%" are hundreds and fifty of ten thousand; no rounding. */
static bool percent(porch_bytes text, uint64_t *ret) {
    size_t dot = 0;
    uint64_t whole = 0, part = 0;
    while (dot < text.len && text.at[dot] != '.')
        dot++;
    size_t digits = dot < text.len ? text.len - dot - 1 : 0;
    if (digits > 2 || (dot < text.len && digits == 0)) return false;
    if (porch_decimal_read((porch_bytes){text.at, dot}, 100, &whole) != PORCH_OK) return false;
    for (size_t i = 0; i < digits; i++) {
        uint8_t c = text.at[dot + 1 + i];
        if (c < '0' || c > '9') return false;
        part = part * 10 + (uint64_t)(c - '0');
    }
    *ret = whole * 100 + (digits == 1 ? part * 10 : part);
    return true;
}

static bool read_share(porch_bytes text, uint64_t *ret) {
    bool good = text.len > 0 && text.at[text.len - 1] == '%'
                    ? percent((porch_bytes){text.at, text.len - 1}, ret)
                    : porch_decimal_read(text, PORCH_POLICY_ALL, ret) == PORCH_OK;
    return good && *ret > 0 && *ret <= PORCH_POLICY_ALL;
}

porch_err porch_author_share_read(const char *text, uint32_t *ret, porch_why *why) {
    uint64_t share = 0;
    if (!read_share(porch_bytes_of(text), &share))
        return porch_fail(why, PORCH_ERR_USAGE,
                          "'%.40s' is no share: 1 to 10000 (of ten thousand), or 0.01%% to 100%%", text);
    *ret = (uint32_t)share;
    return PORCH_OK;
}

static bool read_dwell(porch_bytes text, uint64_t *ret) {
    static const struct {
        char unit;
        uint64_t s;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    uint64_t factor = 1, n = 0;
    for (size_t i = 0; i < 4 && text.len > 0; i++)
        if (text.at[text.len - 1] == (uint8_t)units[i].unit) {
            factor = units[i].s;
            text.len--;
            break;
        }
    if (porch_decimal_read(text, 1000000000, &n) != PORCH_OK) return false;
    *ret = n * factor;
    return true;
}

static porch_err add_stage(json_t *stages, const char *text, bool last, porch_why *why) {
    const char *colon = strchr(text, ':');
    porch_bytes share_text =
        colon != NULL ? (porch_bytes){(const uint8_t *)text, (size_t)(colon - text)} : porch_bytes_of(text);
    uint64_t share = 0, dwell_s = 0;
    if (!read_share(share_text, &share) ||
        (colon != NULL && !read_dwell(porch_bytes_of(colon + 1), &dwell_s)))
        return porch_fail(why, PORCH_ERR_USAGE, "'%.40s' is no stage: SHARE or SHARE:DWELL, as in 1%%:24h",
                          text);
    if (!last && colon == NULL)
        return porch_fail(
            why, PORCH_ERR_USAGE,
            "stage '%.40s' needs a dwell (as in %.30s:24h): without one the next stage holds at once", text,
            text);
    json_t *stage = json_pack("{s:I}", "share", (json_int_t)share);
    if (colon != NULL && stage != NULL)
        json_object_set_new(stage, "dwell_s", json_integer((json_int_t)dwell_s));
    return json_array_append_new(stages, stage) == 0 ? PORCH_OK
                                                     : porch_fail(why, PORCH_ERR_NO_SPACE, "no memory");
}

static bool read_minute(porch_bytes text, json_int_t *ret) {
    uint64_t hour = 0, minute = 0;
    if (text.len != 5 || text.at[2] != ':' || text.at[0] < '0' || text.at[0] > '2' || text.at[1] < '0' ||
        text.at[1] > '9' || text.at[3] < '0' || text.at[3] > '5' || text.at[4] < '0' || text.at[4] > '9')
        return false;
    hour = (uint64_t)(text.at[0] - '0') * 10 + (uint64_t)(text.at[1] - '0');
    minute = (uint64_t)(text.at[3] - '0') * 10 + (uint64_t)(text.at[4] - '0');
    *ret = (json_int_t)hour * 60 + (json_int_t)minute;
    return hour < 24;
}

/* The device's own reader has the last word. */
static porch_err read_back(const json_t *rollout, porch_why *why) {
    uint8_t block[8192];
    uint32_t members[MEMBERS];
    porch_buf canonical = PORCH_BUF_OF(block);
    porch_policy p;
    json_t *custom = json_pack("{s:O}", "rollout", rollout);
    char *text = custom != NULL ? json_dumps(custom, JSON_COMPACT) : NULL;
    porch_err e =
        text != NULL ? porch_tuf_json_canonical(porch_bytes_of(text),
                                                (porch_tuf_json_scratch){members, MEMBERS}, &canonical, why)
                     : porch_fail(why, PORCH_ERR_NO_SPACE, "no memory");
    if (e == PORCH_OK) e = porch_policy_read(porch_buf_bytes(&canonical), &p, why);
    free(text);
    json_decref(custom);
    return e;
}

static porch_err fill(json_t *rollout, const json_t *stages, const char *battery, const char *window,
                      const char *bytes, porch_why *why) {
    json_t *each, *list = NULL;
    size_t i;
    uint64_t n = 0;
    if (json_array_size(stages) > 0) {
        list = json_array();
        json_object_set_new(rollout, "stages", list);
    }
    json_array_foreach(stages, i, each)
        PORCH_TRY(add_stage(list, json_string_value(each), i + 1 == json_array_size(stages), why));
    if (battery != NULL) {
        if (porch_decimal_read(porch_bytes_of(battery), 100, &n) != PORCH_OK)
            return porch_fail(why, PORCH_ERR_USAGE, "--min-battery is 0 to 100 percent");
        json_object_set_new(rollout, "battery", json_integer((json_int_t)n));
    }
    if (bytes != NULL) {
        if (porch_decimal_read(porch_bytes_of(bytes), 1000000000000, &n) != PORCH_OK)
            return porch_fail(why, PORCH_ERR_USAGE, "--byte-budget is a number of bytes");
        json_object_set_new(rollout, "bytes", json_integer((json_int_t)n));
    }
    if (window != NULL) {
        json_int_t from = 0, to = 0;
        porch_bytes text = porch_bytes_of(window);
        if (text.len != 11 || text.at[5] != '-' || !read_minute((porch_bytes){text.at, 5}, &from) ||
            !read_minute((porch_bytes){text.at + 6, 5}, &to))
            return porch_fail(why, PORCH_ERR_USAGE, "--window is HH:MM-HH:MM, in UTC");
        json_object_set_new(rollout, "window", json_pack("{s:I,s:I}", "from_min", from, "to_min", to));
    }
    return read_back(rollout, why);
}

porch_err porch_author_policy(const json_t *stages, const char *battery, const char *window,
                              const char *bytes, json_t **ret, porch_why *why) {
    *ret = NULL;
    if (json_array_size(stages) == 0 && battery == NULL && window == NULL && bytes == NULL) return PORCH_OK;
    json_t *rollout = json_object();
    porch_err e = rollout != NULL ? fill(rollout, stages, battery, window, bytes, why)
                                  : porch_fail(why, PORCH_ERR_NO_SPACE, "no memory");
    if (e != PORCH_OK) {
        json_decref(rollout);
        return e;
    }
    *ret = rollout;
    return PORCH_OK;
}
