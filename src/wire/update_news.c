#include "wire/update_news.h"

#include <string.h>

#include "base/text.h"

/* ---- words ---- */

static const struct {
    const char *word;
    bool ended;
} states[PORCH_UPDATE_STATES] = {
#define ROW(name, word, ended) {word, ended},
    PORCH_UPDATE_STATE_LIST(ROW)
#undef ROW
};

const char *porch_update_state_word(porch_update_state s) {
    return (unsigned)s < PORCH_UPDATE_STATES ? states[s].word : "unknown";
}

bool porch_update_state_ended(porch_update_state s) {
    return (unsigned)s < PORCH_UPDATE_STATES && states[s].ended;
}

bool porch_update_state_read(porch_bytes word, porch_update_state *ret) {
    for (unsigned i = 0; i < PORCH_UPDATE_STATES; i++) {
        if (!porch_bytes_eq_text(word, states[i].word)) continue;
        *ret = (porch_update_state)i;
        return true;
    }
    return false;
}

const char *porch_update_way_word(porch_update_way w) {
    return w == PORCH_UPDATE_WAY_DELTA ? "delta" : w == PORCH_UPDATE_WAY_FULL ? "full" : "";
}

bool porch_update_version_ok(porch_bytes text) {
    if (text.len == 0 || text.len > PORCH_UPDATE_VERSION_MOST || text.at[0] == '.') return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
              c == '-' || c == '_' || c == '+'))
            return false;
    }
    return true;
}

/* ---- reading ---- */

static void skip_blanks(porch_reader *r) {
    porch_bytes taken;
    while (r->rest.len > 0 && r->rest.at[0] != 0 && strchr(" \t\r\n", r->rest.at[0]) != NULL)
        (void)porch_read_bytes(r, 1, &taken);
}

/* The next byte after blanks, taken when it is `c`. */
static bool take(porch_reader *r, char c) {
    porch_bytes taken;
    skip_blanks(r);
    return r->rest.len > 0 && r->rest.at[0] == (uint8_t)c && porch_read_bytes(r, 1, &taken) == PORCH_OK;
}

/* A string without escapes and control characters. */
static porch_err take_text(porch_reader *r, size_t most, porch_bytes *ret) {
    porch_bytes text, quote;
    size_t n = 0;
    if (!take(r, '"')) return PORCH_ERR_MALFORMED;
    while (n < r->rest.len && r->rest.at[n] != '"') {
        if (r->rest.at[n] < 0x20 || r->rest.at[n] == 0x7f || r->rest.at[n] == '\\')
            return PORCH_ERR_MALFORMED;
        n++;
    }
    if (n == r->rest.len) return PORCH_ERR_MALFORMED;
    if (n > most) return PORCH_ERR_LIMIT;
    PORCH_TRY(porch_read_bytes(r, n, &text));
    PORCH_TRY(porch_read_bytes(r, 1, &quote));
    if (!porch_utf8_valid(text)) return PORCH_ERR_MALFORMED;
    *ret = text;
    return PORCH_OK;
}

static porch_err take_number(porch_reader *r, uint64_t most, uint64_t *ret) {
    porch_bytes digits;
    size_t n = 0;
    skip_blanks(r);
    while (n < r->rest.len && r->rest.at[n] >= '0' && r->rest.at[n] <= '9')
        n++;
    PORCH_TRY(porch_read_bytes(r, n, &digits));
    return porch_decimal_read(digits, most, ret);
}

static porch_err take_id(porch_reader *r, porch_id *ret) {
    porch_bytes text;
    PORCH_TRY(take_text(r, PORCH_ID_MOST, &text));
    return porch_id_parse(text, ret);
}

static porch_err take_version(porch_reader *r, porch_bytes *ret) {
    porch_bytes text;
    PORCH_TRY(take_text(r, PORCH_UPDATE_VERSION_MOST, &text));
    if (!porch_update_version_ok(text)) return PORCH_ERR_MALFORMED;
    *ret = text;
    return PORCH_OK;
}

static porch_err read_v(porch_reader *r, void *into) {
    uint64_t v = 0;
    (void)into;
    PORCH_TRY(take_number(r, PORCH_UPDATE_NUMBER_MOST, &v));
    return v == 1 ? PORCH_OK : PORCH_ERR_MALFORMED;
}

/* A member of a message: how it is read, and whether it must be there. */
typedef struct {
    const char *name;
    porch_err (*read)(porch_reader *r, void *into);
    bool required;
    const char *rule;
} member;

#define MEMBERS_MOST 16

static porch_err read_member(porch_reader *r, const char *what, const member *members, size_t count,
                             void *into, unsigned *seen, porch_why *why) {
    porch_bytes name;
    size_t i = 0;
    if (take_text(r, 16, &name) != PORCH_OK || !take(r, ':'))
        return porch_fail(why, PORCH_ERR_MALFORMED, "%s: a member's name is missing or has an escape",
                          what);
    while (i < count && !porch_bytes_eq_text(name, members[i].name))
        i++;
    if (i == count)
        return porch_fail(why, PORCH_ERR_MALFORMED, "%s: a member that version 1 does not have", what);
    if ((*seen >> i & 1) != 0)
        return porch_fail(why, PORCH_ERR_MALFORMED, "%s: '%s' stands twice", what, members[i].name);
    *seen |= 1u << i;
    porch_err e = members[i].read(r, into);
    if (e == PORCH_OK) return e;
    return porch_fail(why, e == PORCH_ERR_LIMIT ? e : PORCH_ERR_MALFORMED, "%s: '%s' %s", what,
                      members[i].name, members[i].rule);
}

static porch_err read_object(porch_bytes json, const char *what, const member *members, size_t count,
                             void *into, unsigned *seen, porch_why *why) {
    porch_reader r = porch_reader_of(json);
    if (json.len > PORCH_UPDATE_NEWS_MOST)
        return porch_fail(why, PORCH_ERR_LIMIT, "%s: more than %u bytes", what, PORCH_UPDATE_NEWS_MOST);
    if (!take(&r, '{')) return porch_fail(why, PORCH_ERR_MALFORMED, "%s: not a JSON object", what);
    do {
        PORCH_TRY(read_member(&r, what, members, count, into, seen, why));
    } while (take(&r, ','));
    bool closed = take(&r, '}');
    skip_blanks(&r);
    if (!closed || !porch_reader_done(&r))
        return porch_fail(why, PORCH_ERR_MALFORMED, "%s: the object does not end where it should", what);
    for (size_t i = 0; i < count; i++)
        if (members[i].required && (*seen >> i & 1) == 0)
            return porch_fail(why, PORCH_ERR_MALFORMED, "%s: '%s' is missing; it %s", what, members[i].name,
                              members[i].rule);
    return PORCH_OK;
}

/* ---- desired ---- */

static porch_err read_d_rollout(porch_reader *r, void *into) {
    return take_id(r, &((porch_update_desired *)into)->rollout);
}
static porch_err read_d_product(porch_reader *r, void *into) {
    return take_id(r, &((porch_update_desired *)into)->product);
}
static porch_err read_d_version(porch_reader *r, void *into) {
    return take_version(r, &((porch_update_desired *)into)->version);
}
static porch_err read_d_sha256(porch_reader *r, void *into) {
    porch_update_desired *d = into;
    porch_bytes text;
    porch_buf out = PORCH_BUF_OF(d->sha256);
    PORCH_TRY(take_text(r, 2 * sizeof d->sha256, &text));
    if (text.len != 2 * sizeof d->sha256) return PORCH_ERR_MALFORMED;
    return porch_hex_read(&out, text);
}
static porch_err read_d_attempt(porch_reader *r, void *into) {
    porch_update_desired *d = into;
    PORCH_TRY(take_number(r, PORCH_UPDATE_ATTEMPT_MOST, &d->attempt));
    return d->attempt > 0 ? PORCH_OK : PORCH_ERR_MALFORMED;
}

static const member desired_members[] = {
    {"v", read_v, true, "is 1"},
    {"rollout", read_d_rollout, false, "is an id"},
    {"product", read_d_product, false, "is an id"},
    {"version", read_d_version, false, "is 1 to 64 letters, digits and '.-_+'"},
    {"sha256", read_d_sha256, false, "is 64 lower-case hex digits"},
    {"attempt", read_d_attempt, false, "is a whole number from 1 to 1000"},
};

#define DESIRED_COUNT (sizeof desired_members / sizeof desired_members[0])
_Static_assert(DESIRED_COUNT <= MEMBERS_MOST, "a bit for each member");

porch_err porch_update_desired_read(porch_bytes json, porch_update_desired *ret, porch_why *why) {
    porch_update_desired d = {.any = true};
    const unsigned all = (1u << DESIRED_COUNT) - 1;
    unsigned seen = 0;
    PORCH_TRY(read_object(json, "update wish", desired_members, DESIRED_COUNT, &d, &seen, why));
    if (seen == 1) d = (porch_update_desired){.any = false};
    if (seen != 1 && seen != all)
        return porch_fail(
            why, PORCH_ERR_MALFORMED,
            "update wish: rollout, product, version, sha256 and attempt stand together or not at "
            "all");
    *ret = d;
    return PORCH_OK;
}

static porch_err write_text_member(porch_buf *b, const char *name, porch_bytes text) {
    PORCH_TRY(porch_write_text(b, ",\""));
    PORCH_TRY(porch_write_text(b, name));
    PORCH_TRY(porch_write_text(b, "\":\""));
    PORCH_TRY(porch_write_bytes(b, text));
    return porch_write_text(b, "\"");
}

static porch_err write_number_member(porch_buf *b, const char *name, uint64_t number) {
    PORCH_TRY(porch_write_text(b, ",\""));
    PORCH_TRY(porch_write_text(b, name));
    PORCH_TRY(porch_write_text(b, "\":"));
    return porch_write_decimal(b, number);
}

static bool id_ok(const porch_id *id) {
    porch_id again;
    return porch_id_parse(porch_bytes_of(id->text), &again) == PORCH_OK;
}

static porch_err write_desired(porch_buf *b, const porch_update_desired *d) {
    PORCH_TRY(porch_write_text(b, "{\"v\":1"));
    if (d->any) {
        if (!id_ok(&d->rollout) || !id_ok(&d->product) || !porch_update_version_ok(d->version) ||
            d->attempt == 0 || d->attempt > PORCH_UPDATE_ATTEMPT_MOST)
            return PORCH_ERR_USAGE;
        PORCH_TRY(write_text_member(b, "rollout", porch_id_bytes(&d->rollout)));
        PORCH_TRY(write_text_member(b, "product", porch_id_bytes(&d->product)));
        PORCH_TRY(write_text_member(b, "version", d->version));
        PORCH_TRY(porch_write_text(b, ",\"sha256\":\""));
        PORCH_TRY(porch_hex_write(b, (porch_bytes){d->sha256, sizeof d->sha256}));
        PORCH_TRY(porch_write_text(b, "\""));
        PORCH_TRY(write_number_member(b, "attempt", d->attempt));
    }
    return porch_write_text(b, "}");
}

porch_err porch_update_desired_write(porch_buf *b, const porch_update_desired *d) {
    size_t start = b->len;
    porch_err e = write_desired(b, d);
    if (e != PORCH_OK) b->len = start;
    return e;
}

/* ---- status ---- */

static porch_err read_s_rollout(porch_reader *r, void *into) {
    porch_update_status *s = into;
    s->has_rollout = true;
    return take_id(r, &s->rollout);
}
static porch_err read_s_running(porch_reader *r, void *into) {
    return take_version(r, &((porch_update_status *)into)->running);
}
static porch_err read_s_target(porch_reader *r, void *into) {
    return take_version(r, &((porch_update_status *)into)->target);
}
static porch_err read_s_attempt(porch_reader *r, void *into) {
    return take_number(r, PORCH_UPDATE_ATTEMPT_MOST, &((porch_update_status *)into)->attempt);
}
static porch_err read_s_state(porch_reader *r, void *into) {
    porch_bytes word;
    PORCH_TRY(take_text(r, 16, &word));
    return porch_update_state_read(word, &((porch_update_status *)into)->state) ? PORCH_OK
                                                                                : PORCH_ERR_MALFORMED;
}
static porch_err read_s_reason(porch_reader *r, void *into) {
    return take_text(r, PORCH_UPDATE_REASON_MOST, &((porch_update_status *)into)->reason);
}
static porch_err read_s_floor(porch_reader *r, void *into) {
    return take_number(r, PORCH_UPDATE_NUMBER_MOST, &((porch_update_status *)into)->floor);
}
static porch_err read_s_bytes(porch_reader *r, void *into) {
    return take_number(r, PORCH_UPDATE_NUMBER_MOST, &((porch_update_status *)into)->bytes);
}
static porch_err read_s_way(porch_reader *r, void *into) {
    porch_update_status *s = into;
    porch_bytes word;
    PORCH_TRY(take_text(r, 16, &word));
    s->way = porch_bytes_eq_text(word, "delta")  ? PORCH_UPDATE_WAY_DELTA
             : porch_bytes_eq_text(word, "full") ? PORCH_UPDATE_WAY_FULL
                                                 : PORCH_UPDATE_WAY_UNSAID;
    return s->way != PORCH_UPDATE_WAY_UNSAID ? PORCH_OK : PORCH_ERR_MALFORMED;
}

static const member status_members[] = {
    {"v", read_v, true, "is 1"},
    {"rollout", read_s_rollout, false, "is an id"},
    {"running", read_s_running, true, "is 1 to 64 letters, digits and '.-_+'"},
    {"target", read_s_target, false, "is 1 to 64 letters, digits and '.-_+'"},
    {"attempt", read_s_attempt, false, "is a whole number from 0 to 1000"},
    {"state", read_s_state, true,
     "is waiting, downloading, staged, trial, good, rolled-back, refused or failed"},
    {"reason", read_s_reason, false, "is text of at most 200 bytes without escapes"},
    {"floor", read_s_floor, false, "is a whole number"},
    {"bytes", read_s_bytes, false, "is a whole number"},
    {"way", read_s_way, false, "is delta or full"},
};

#define STATUS_COUNT (sizeof status_members / sizeof status_members[0])
_Static_assert(STATUS_COUNT <= MEMBERS_MOST, "a bit for each member");

porch_err porch_update_status_read(porch_bytes json, porch_update_status *ret, porch_why *why) {
    porch_update_status s = {.has_rollout = false};
    unsigned seen = 0;
    PORCH_TRY(read_object(json, "update status", status_members, STATUS_COUNT, &s, &seen, why));
    *ret = s;
    return PORCH_OK;
}

/* Words for a person, made fit: quotes and backslashes become ', control characters blanks, bytes that are
 * no UTF-8 question marks; cut where a character ends. */
static porch_err write_reason(porch_buf *b, porch_bytes reason) {
    size_t len = reason.len < PORCH_UPDATE_REASON_MOST ? reason.len : PORCH_UPDATE_REASON_MOST;
    while (len > 0 && len < reason.len && (reason.at[len] & 0xc0) == 0x80)
        len--;
    bool sound = porch_utf8_valid((porch_bytes){reason.at, len});
    PORCH_TRY(porch_write_text(b, ",\"reason\":\""));
    for (size_t i = 0; i < len; i++) {
        uint8_t c = reason.at[i];
        if (c == '"' || c == '\\') c = '\'';
        if (c < 0x20 || c == 0x7f) c = ' ';
        if (c >= 0x80 && !sound) c = '?';
        PORCH_TRY(porch_write_u8(b, c));
    }
    return porch_write_text(b, "\"");
}

static bool status_ok(const porch_update_status *s) {
    return (!s->has_rollout || id_ok(&s->rollout)) && porch_update_version_ok(s->running) &&
           (s->target.len == 0 || porch_update_version_ok(s->target)) &&
           s->attempt <= PORCH_UPDATE_ATTEMPT_MOST && (unsigned)s->state < PORCH_UPDATE_STATES &&
           s->floor <= PORCH_UPDATE_NUMBER_MOST && s->bytes <= PORCH_UPDATE_NUMBER_MOST;
}

static porch_err write_status(porch_buf *b, const porch_update_status *s) {
    if (!status_ok(s)) return PORCH_ERR_USAGE;
    PORCH_TRY(porch_write_text(b, "{\"v\":1"));
    if (s->has_rollout) PORCH_TRY(write_text_member(b, "rollout", porch_id_bytes(&s->rollout)));
    PORCH_TRY(write_text_member(b, "running", s->running));
    if (s->target.len > 0) PORCH_TRY(write_text_member(b, "target", s->target));
    if (s->attempt > 0) PORCH_TRY(write_number_member(b, "attempt", s->attempt));
    PORCH_TRY(write_text_member(b, "state", porch_bytes_of(porch_update_state_word(s->state))));
    if (s->reason.len > 0) PORCH_TRY(write_reason(b, s->reason));
    PORCH_TRY(write_number_member(b, "floor", s->floor));
    PORCH_TRY(write_number_member(b, "bytes", s->bytes));
    if (s->way != PORCH_UPDATE_WAY_UNSAID)
        PORCH_TRY(write_text_member(b, "way", porch_bytes_of(porch_update_way_word(s->way))));
    return porch_write_text(b, "}");
}

porch_err porch_update_status_write(porch_buf *b, const porch_update_status *s) {
    size_t start = b->len;
    porch_err e = write_status(b, s);
    if (e != PORCH_OK) b->len = start;
    return e;
}
