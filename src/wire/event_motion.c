#include "wire/event_motion.h"

#include <string.h>

#include "base/text.h"

/* A reader for this one schema, no general JSON: a flat object whose members are in the table below.
 * Numbers become ten-thousandths without floating point. */

typedef enum {
    MEMBER_V,
    MEMBER_ID,
    MEMBER_KIND,
    MEMBER_AT_MS,
    MEMBER_SCORE,
    MEMBER_BOX,
    MEMBER_CLIP,
    MEMBER_THUMBNAIL,
    MEMBER_COUNT
} member;

static porch_err read_v(porch_reader *r, porch_event_motion *e);
static porch_err read_id(porch_reader *r, porch_event_motion *e);
static porch_err read_kind(porch_reader *r, porch_event_motion *e);
static porch_err read_at_ms(porch_reader *r, porch_event_motion *e);
static porch_err read_score(porch_reader *r, porch_event_motion *e);
static porch_err read_box(porch_reader *r, porch_event_motion *e);
static porch_err read_clip(porch_reader *r, porch_event_motion *e);
static porch_err read_thumbnail(porch_reader *r, porch_event_motion *e);

static const struct {
    const char *name;
    porch_err (*read)(porch_reader *r, porch_event_motion *e);
    bool required;
    const char *rule;
} members[MEMBER_COUNT] = {
    [MEMBER_V] = {"v", read_v, true, "is 1"},
    [MEMBER_ID] = {"id", read_id, true, "is an id: a to z, 0 to 9 and '-', 1 to 64 long"},
    [MEMBER_KIND] = {"kind", read_kind, true, "is \"motion\""},
    [MEMBER_AT_MS] = {"at_ms", read_at_ms, true, "is Unix milliseconds, a whole number"},
    [MEMBER_SCORE] = {"score", read_score, true, "is a number from 0 to 1"},
    [MEMBER_BOX] = {"box", read_box, true, "is [x, y, width, height] inside the frame, each from 0 to 1"},
    [MEMBER_CLIP] = {"clip", read_clip, true, "is true or false"},
    [MEMBER_THUMBNAIL] = {"thumbnail", read_thumbnail, false, "is base64 of a JPEG of at most 32768 bytes"},
};

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blanks(porch_reader *r) {
    porch_bytes taken;
    while (r->rest.len > 0 && is_blank(r->rest.at[0]))
        porch_read_bytes(r, 1, &taken);
}

/* The next byte after blanks, taken when it is `c`. */
static bool take(porch_reader *r, char c) {
    porch_bytes taken;
    skip_blanks(r);
    return r->rest.len > 0 && r->rest.at[0] == (uint8_t)c && porch_read_bytes(r, 1, &taken) == PORCH_OK;
}

/* A string without escapes; what it may hold is for the caller to say. */
static porch_err take_string(porch_reader *r, porch_bytes *ret) {
    if (!take(r, '"')) return PORCH_ERR_MALFORMED;
    const uint8_t *end = r->rest.len == 0 ? NULL : memchr(r->rest.at, '"', r->rest.len);
    if (end == NULL) return PORCH_ERR_MALFORMED;
    porch_bytes text, quote;
    PORCH_TRY(porch_read_bytes(r, (size_t)(end - r->rest.at), &text));
    if (text.len > 0 && memchr(text.at, '\\', text.len) != NULL) return PORCH_ERR_MALFORMED;
    PORCH_TRY(porch_read_bytes(r, 1, &quote));
    *ret = text;
    return PORCH_OK;
}

/* The run of bytes that a number may be made of. */
static porch_bytes take_number_text(porch_reader *r) {
    porch_bytes text = {NULL, 0};
    skip_blanks(r);
    size_t n = 0;
    while (n < r->rest.len && r->rest.at[n] != 0 && strchr("+-.0123456789eE", r->rest.at[n]) != NULL)
        n++;
    porch_read_bytes(r, n, &text);
    return text;
}

static bool take_digit(porch_reader *r, unsigned *ret) {
    porch_bytes taken;
    if (r->rest.len == 0 || r->rest.at[0] < '0' || r->rest.at[0] > '9') return false;
    *ret = (unsigned)(r->rest.at[0] - '0');
    return porch_read_bytes(r, 1, &taken) == PORCH_OK;
}

static bool take_char(porch_reader *r, char a, char b) {
    porch_bytes taken;
    return r->rest.len > 0 && (r->rest.at[0] == (uint8_t)a || r->rest.at[0] == (uint8_t)b) &&
           porch_read_bytes(r, 1, &taken) == PORCH_OK;
}

/* Digits of a JSON number and where its point is: value = 0.d1 d2 d3 ... * 10^point. */
typedef struct {
    uint8_t digits[8]; /* the first that are not leading zeros; more do not change a ten-thousandth */
    unsigned count;
    int point;
} decimal;

static void add_digit(decimal *d, unsigned digit, bool before_point) {
    if (d->count == 0 && digit == 0) { /* leading zeros only move the point */
        if (!before_point) d->point--;
        return;
    }
    if (before_point) d->point++;
    if (d->count < sizeof d->digits) d->digits[d->count++] = (uint8_t)digit;
}

#define NUMBER_MOST 40 /* characters; also keeps the point's arithmetic small */

static porch_err read_exponent(porch_reader *r, decimal *d) {
    unsigned digit;
    bool minus = take_char(r, '-', '-');
    if (!minus) take_char(r, '+', '+');
    int value = 0;
    if (!take_digit(r, &digit)) return PORCH_ERR_MALFORMED;
    do {
        value = value < 1000 ? value * 10 + (int)digit : value;
    } while (take_digit(r, &digit));
    d->point += minus ? -value : value;
    return PORCH_OK;
}

/* RFC 8259, section 6, without the minus sign: nothing here is negative. */
static porch_err read_decimal(porch_bytes text, decimal *ret) {
    porch_reader r = porch_reader_of(text);
    decimal d = {{0}, 0, 0};
    unsigned digit;
    if (text.len > NUMBER_MOST || !take_digit(&r, &digit)) return PORCH_ERR_MALFORMED;
    bool zero = digit == 0;
    add_digit(&d, digit, true);
    while (take_digit(&r, &digit)) {
        if (zero) return PORCH_ERR_MALFORMED;
        add_digit(&d, digit, true);
    }
    if (take_char(&r, '.', '.')) {
        if (!take_digit(&r, &digit)) return PORCH_ERR_MALFORMED;
        do {
            add_digit(&d, digit, false);
        } while (take_digit(&r, &digit));
    }
    if (take_char(&r, 'e', 'E')) PORCH_TRY(read_exponent(&r, &d));
    if (!porch_reader_done(&r)) return PORCH_ERR_MALFORMED;
    *ret = d;
    return PORCH_OK;
}

/* Nearest ten-thousandth of a number from 0 to 1. */
static porch_err take_e4(porch_reader *r, uint16_t *ret) {
    decimal d;
    PORCH_TRY(read_decimal(take_number_text(r), &d));
    if (d.count == 0) {
        *ret = 0;
        return PORCH_OK;
    }
    if (d.point > 1) return PORCH_ERR_LIMIT;
    uint32_t value = 0;
    int digits = d.point + 4; /* so many stand before the ten-thousandths' own point */
    if (digits < 0) {
        *ret = 0;
        return PORCH_OK;
    }
    for (int i = 0; i < digits; i++)
        value = value * 10 + (i < (int)d.count ? d.digits[i] : 0u);
    bool past_one = value >= PORCH_EVENT_ONE;
    for (unsigned i = (unsigned)digits; past_one && i < d.count; i++) {
        if (d.digits[i] != 0) return PORCH_ERR_LIMIT; /* 1.00001 */
    }
    if (digits < (int)d.count && d.digits[digits] >= 5) value++;
    if (value > PORCH_EVENT_ONE) return PORCH_ERR_LIMIT;
    *ret = (uint16_t)value;
    return PORCH_OK;
}

static porch_err read_v(porch_reader *r, porch_event_motion *e) {
    (void)e;
    return porch_bytes_eq_text(take_number_text(r), "1") ? PORCH_OK : PORCH_ERR_MALFORMED;
}

static porch_err read_id(porch_reader *r, porch_event_motion *e) {
    porch_bytes text;
    PORCH_TRY(take_string(r, &text));
    return porch_id_parse(text, &e->id);
}

static porch_err read_kind(porch_reader *r, porch_event_motion *e) {
    (void)e;
    porch_bytes text;
    PORCH_TRY(take_string(r, &text));
    return porch_bytes_eq_text(text, "motion") ? PORCH_OK : PORCH_ERR_MALFORMED;
}

static porch_err read_at_ms(porch_reader *r, porch_event_motion *e) {
    return porch_decimal_read(take_number_text(r), PORCH_EVENT_AT_MS_MOST, &e->at_ms);
}

static porch_err read_score(porch_reader *r, porch_event_motion *e) {
    return take_e4(r, &e->score_e4);
}

/* Two roundings may carry a side one ten-thousandth over the border; that much is taken back. */
static porch_err settle(uint16_t start, uint16_t *extent) {
    uint32_t end = (uint32_t)start + *extent;
    if (end > PORCH_EVENT_ONE + 1) return PORCH_ERR_LIMIT;
    if (end > PORCH_EVENT_ONE) *extent = (uint16_t)(*extent - 1);
    return PORCH_OK;
}

static porch_err read_box(porch_reader *r, porch_event_motion *e) {
    if (!take(r, '[')) return PORCH_ERR_MALFORMED;
    for (size_t i = 0; i < 4; i++) {
        if (i > 0 && !take(r, ',')) return PORCH_ERR_MALFORMED;
        PORCH_TRY(take_e4(r, &e->box_e4[i]));
    }
    if (!take(r, ']')) return PORCH_ERR_MALFORMED;
    PORCH_TRY(settle(e->box_e4[0], &e->box_e4[2]));
    return settle(e->box_e4[1], &e->box_e4[3]);
}

static porch_err read_clip(porch_reader *r, porch_event_motion *e) {
    porch_bytes taken;
    skip_blanks(r);
    e->clip = porch_bytes_starts(r->rest, PORCH_LIT("true"));
    if (!e->clip && !porch_bytes_starts(r->rest, PORCH_LIT("false"))) return PORCH_ERR_MALFORMED;
    return porch_read_bytes(r, e->clip ? 4 : 5, &taken);
}

static bool is_base64_byte(uint8_t c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

/* Checks without decoding, but for the last group: only there can padding or stray bits be. */
static porch_err read_thumbnail(porch_reader *r, porch_event_motion *e) {
    porch_bytes text;
    uint8_t last[3];
    porch_buf out = PORCH_BUF_OF(last);
    PORCH_TRY(take_string(r, &text));
    if (text.len > PORCH_EVENT_THUMBNAIL_TEXT) return PORCH_ERR_LIMIT;
    if (text.len == 0 || text.len % 4 != 0) return PORCH_ERR_MALFORMED;
    for (size_t i = 0; i < text.len - 4; i++) {
        if (!is_base64_byte(text.at[i])) return PORCH_ERR_MALFORMED;
    }
    PORCH_TRY(porch_base64_read(&out, (porch_bytes){text.at + text.len - 4, 4}, false));
    if (text.len / 4 * 3 - 3 + out.len > PORCH_EVENT_THUMBNAIL_MOST) return PORCH_ERR_LIMIT;
    e->thumbnail = text;
    return PORCH_OK;
}

static member member_of(porch_bytes name) {
    unsigned i = 0;
    while (i < MEMBER_COUNT && !porch_bytes_eq_text(name, members[i].name))
        i++;
    return (member)i;
}

static porch_err read_member(porch_reader *r, porch_event_motion *e, unsigned *seen, porch_why *why) {
    porch_bytes name;
    if (take_string(r, &name) != PORCH_OK || !take(r, ':'))
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "motion event: a member's name is missing or has an escape");
    member m = member_of(name);
    if (m == MEMBER_COUNT)
        return porch_fail(why, PORCH_ERR_MALFORMED, "motion event: a member that version 1 does not have");
    if ((*seen >> m & 1) != 0)
        return porch_fail(why, PORCH_ERR_MALFORMED, "motion event: '%s' stands twice", members[m].name);
    *seen |= 1u << m;
    porch_err bad = members[m].read(r, e);
    return bad == PORCH_OK
               ? PORCH_OK
               : porch_fail(why, bad, "motion event: '%s' %s", members[m].name, members[m].rule);
}

porch_err porch_event_motion_read(porch_bytes json, porch_event_motion *ret, porch_why *why) {
    porch_reader r = porch_reader_of(json);
    porch_event_motion e = {0};
    unsigned seen = 0;
    if (!take(&r, '{')) return porch_fail(why, PORCH_ERR_MALFORMED, "motion event: not a JSON object");
    do {
        PORCH_TRY(read_member(&r, &e, &seen, why));
    } while (take(&r, ','));
    bool closed = take(&r, '}');
    skip_blanks(&r);
    if (!closed || !porch_reader_done(&r))
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "motion event: the object does not end where it should");
    for (unsigned i = 0; i < MEMBER_COUNT; i++) {
        if (members[i].required && (seen >> i & 1) == 0)
            return porch_fail(why, PORCH_ERR_MALFORMED, "motion event: '%s' is missing; it %s",
                              members[i].name, members[i].rule);
    }
    *ret = e;
    return PORCH_OK;
}

/* Shortest decimal of a ten-thousandth: 0, 1, 0.5, 0.0123. */
static porch_err write_e4(porch_buf *b, uint16_t e4) {
    if (e4 == 0) return porch_write_text(b, "0");
    if (e4 == PORCH_EVENT_ONE) return porch_write_text(b, "1");
    uint8_t text[6] = {'0', '.'};
    for (unsigned i = 0, unit = 1000; i < 4; i++, unit /= 10)
        text[2 + i] = (uint8_t)('0' + e4 / unit % 10);
    size_t len = sizeof text;
    while (text[len - 1] == '0')
        len--;
    return porch_write_bytes(b, (porch_bytes){text, len});
}

static porch_err judge(const porch_event_motion *e, porch_bytes jpeg) {
    porch_id id;
    PORCH_TRY(porch_id_parse(porch_bytes_of(e->id.text), &id));
    const uint16_t *box = e->box_e4;
    bool inside =
        (uint32_t)box[0] + box[2] <= PORCH_EVENT_ONE && (uint32_t)box[1] + box[3] <= PORCH_EVENT_ONE;
    bool good = inside && e->score_e4 <= PORCH_EVENT_ONE && e->at_ms <= PORCH_EVENT_AT_MS_MOST;
    return good && jpeg.len <= PORCH_EVENT_THUMBNAIL_MOST ? PORCH_OK : PORCH_ERR_LIMIT;
}

static porch_err write_event(porch_buf *b, const porch_event_motion *e, porch_bytes jpeg) {
    PORCH_TRY(judge(e, jpeg));
    PORCH_TRY(porch_write_text(b, "{\"v\":1,\"id\":\""));
    PORCH_TRY(porch_write_text(b, e->id.text));
    PORCH_TRY(porch_write_text(b, "\",\"kind\":\"motion\",\"at_ms\":"));
    PORCH_TRY(porch_write_decimal(b, e->at_ms));
    PORCH_TRY(porch_write_text(b, ",\"score\":"));
    PORCH_TRY(write_e4(b, e->score_e4));
    for (size_t i = 0; i < 4; i++) {
        PORCH_TRY(porch_write_text(b, i == 0 ? ",\"box\":[" : ","));
        PORCH_TRY(write_e4(b, e->box_e4[i]));
    }
    PORCH_TRY(porch_write_text(b, e->clip ? "],\"clip\":true" : "],\"clip\":false"));
    if (jpeg.len > 0) {
        PORCH_TRY(porch_write_text(b, ",\"thumbnail\":\""));
        PORCH_TRY(porch_base64_write(b, jpeg, false));
        PORCH_TRY(porch_write_text(b, "\""));
    }
    return porch_write_text(b, "}");
}

porch_err porch_event_motion_write(porch_buf *b, const porch_event_motion *event, porch_bytes jpeg) {
    size_t start = b->len;
    porch_err e = write_event(b, event, jpeg);
    if (e != PORCH_OK) b->len = start;
    return e;
}
