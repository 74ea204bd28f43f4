#include "access/statement.h"

#include <string.h>

#include "base/text.h"

static const struct {
    const char *name;
    unsigned bit;
} actions[] = {{"publish", PORCH_ACCESS_PUBLISH},
               {"subscribe", PORCH_ACCESS_SUBSCRIBE},
               {"receive", PORCH_ACCESS_RECEIVE},
               {"read", PORCH_ACCESS_READ}};

#define ACTION_COUNT (sizeof actions / sizeof actions[0])

static unsigned bit_of(porch_bytes word) {
    for (size_t i = 0; i < ACTION_COUNT; i++) {
        if (porch_bytes_eq_text(word, actions[i].name)) return actions[i].bit;
    }
    return 0;
}

porch_err porch_access_actions_parse(porch_bytes text, unsigned *ret, porch_why *why) {
    unsigned bits = 0;
    for (bool more = true; more;) {
        const uint8_t *comma = text.len == 0 ? NULL : memchr(text.at, ',', text.len);
        more = comma != NULL;
        porch_bytes word = {text.at, more ? (size_t)(comma - text.at) : text.len};
        unsigned bit = bit_of(word);
        if (bit == 0)
            return porch_fail(why, PORCH_ERR_MALFORMED,
                              "'%.*s' is no action; there are publish, subscribe, receive and read",
                              (int)(word.len < 40 ? word.len : 40), (const char *)word.at);
        if ((bits & bit) != 0)
            return porch_fail(why, PORCH_ERR_MALFORMED, "the action '%.*s' stands twice", PORCH_FMT(word));
        bits |= bit;
        if (more) text = (porch_bytes){comma + 1, text.len - word.len - 1};
    }
    *ret = bits;
    return PORCH_OK;
}

porch_err porch_access_actions_write(porch_buf *b, unsigned bits) {
    size_t start = b->len;
    porch_err e = PORCH_OK;
    for (size_t i = 0; i < ACTION_COUNT && e == PORCH_OK; i++) {
        if ((bits & actions[i].bit) == 0) continue;
        if (b->len > start) e = porch_write_text(b, ",");
        if (e == PORCH_OK) e = porch_write_text(b, actions[i].name);
    }
    if (e != PORCH_OK) b->len = start;
    return e;
}

/* Plain data: one level or less, never a pattern, never the start of a reserved name. */
static bool is_plain(porch_bytes value) {
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.at[i];
        if (c < 0x20 || c == 0x7f || strchr("+#/$", c) != NULL) return false;
    }
    return value.len > 0 && porch_utf8_valid(value);
}

static const porch_access_variable *find(porch_bytes name, const porch_access_variable *variables,
                                         size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (porch_bytes_eq_text(name, variables[i].name)) return &variables[i];
    }
    return NULL;
}

/* Takes text up to the next "${NAME}": *literal is what stands before it, *name what is inside. */
static porch_err take_piece(porch_reader *r, porch_bytes *literal, porch_bytes *name, bool *has_name,
                            porch_why *why) {
    size_t n = 0;
    porch_bytes taken;
    while (n < r->rest.len && !(r->rest.at[n] == '$' && n + 1 < r->rest.len && r->rest.at[n + 1] == '{'))
        n++;
    PORCH_TRY(porch_read_bytes(r, n, literal));
    *has_name = !porch_reader_done(r);
    if (!*has_name) return PORCH_OK;
    PORCH_TRY(porch_read_bytes(r, 2, &taken));
    const uint8_t *end = r->rest.len == 0 ? NULL : memchr(r->rest.at, '}', r->rest.len);
    if (end == NULL) return porch_fail(why, PORCH_ERR_MALFORMED, "a '${' is not closed by '}'");
    PORCH_TRY(porch_read_bytes(r, (size_t)(end - r->rest.at), name));
    return porch_read_bytes(r, 1, &taken);
}

static porch_err put_value(porch_buf *out, porch_bytes name, const porch_access_variable *v,
                           porch_why *why) {
    int shown = (int)(name.len < 60 ? name.len : 60);
    if (v == NULL || v->value.len == 0)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "the variable ${%.*s} has no value here", shown,
                          (const char *)name.at);
    if (!is_plain(v->value))
        return porch_fail(why, PORCH_ERR_MALFORMED, "the value of ${%.*s} could act as a pattern", shown,
                          (const char *)name.at);
    return porch_write_bytes(out, v->value);
}

static porch_err expand(porch_bytes text, const porch_access_variable *variables, size_t count,
                        porch_buf *out, porch_why *why) {
    porch_reader r = porch_reader_of(text);
    bool has_name = true;
    while (has_name) {
        porch_bytes literal = {NULL, 0}, name = {NULL, 0};
        PORCH_TRY(take_piece(&r, &literal, &name, &has_name, why));
        PORCH_TRY(porch_write_bytes(out, literal));
        if (has_name) PORCH_TRY(put_value(out, name, find(name, variables, count), why));
    }
    return PORCH_OK;
}

porch_err porch_access_filter_expand(porch_bytes filter_template, const porch_access_variable *variables,
                                     size_t count, const porch_topic_limits *limits, porch_buf *out,
                                     porch_topic_filter *ret, porch_why *why) {
    size_t start = out->len;
    porch_err e = expand(filter_template, variables, count, out, why);
    if (e == PORCH_OK) {
        e = porch_topic_filter_parse((porch_bytes){out->at + start, out->len - start}, limits, ret);
        if (e != PORCH_OK)
            porch_fail(why, e, "the topic filter is empty, too long or has a misplaced wildcard");
    }
    if (e != PORCH_OK) out->len = start;
    return e;
}

static porch_err split(porch_bytes text, unsigned *bits, porch_bytes *filter, porch_why *why) {
    const uint8_t *colon = text.len == 0 ? NULL : memchr(text.at, ':', text.len);
    if (colon == NULL)
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "a statement is ACTIONS:FILTER, as in subscribe:d/+/telemetry/#");
    size_t n = (size_t)(colon - text.at);
    PORCH_TRY(porch_access_actions_parse((porch_bytes){text.at, n}, bits, why));
    *filter = (porch_bytes){colon + 1, text.len - n - 1};
    if ((*bits & PORCH_ACCESS_READ) != 0 &&
        (*bits != PORCH_ACCESS_READ || !porch_bytes_eq_text(*filter, PORCH_ACCESS_METRICS)))
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "'read' stands alone and is about the hub's API: read:" PORCH_ACCESS_METRICS);
    return PORCH_OK;
}

porch_err porch_access_template_check(porch_bytes text, const porch_access_variable *known,
                                      size_t known_count, const porch_topic_limits *limits,
                                      porch_why *why) {
    unsigned bits;
    porch_bytes filter = {NULL, 0}, literal = {NULL, 0}, name = {NULL, 0};
    uint8_t sample[1024];
    porch_buf out = PORCH_BUF_OF(sample);
    porch_topic_filter parsed;
    PORCH_TRY(split(text, &bits, &filter, why));
    porch_reader r = porch_reader_of(filter);
    for (bool has_name = true; has_name;) { /* every variable stands for "x" here */
        PORCH_TRY(take_piece(&r, &literal, &name, &has_name, why));
        if (has_name && find(name, known, known_count) == NULL)
            return porch_fail(why, PORCH_ERR_MALFORMED, "there is no variable ${%.*s}",
                              (int)(name.len < 60 ? name.len : 60), (const char *)name.at);
        if (porch_write_bytes(&out, literal) != PORCH_OK ||
            (has_name && porch_write_u8(&out, 'x') != PORCH_OK))
            return porch_fail(why, PORCH_ERR_LIMIT, "the topic filter is longer than %zu bytes",
                              sizeof sample);
    }
    porch_err e = porch_topic_filter_parse(porch_buf_bytes(&out), limits, &parsed);
    return e == PORCH_OK
               ? PORCH_OK
               : porch_fail(why, e, "the topic filter is empty, too long or has a misplaced wildcard");
}

porch_err porch_access_statement_parse(porch_bytes text, porch_access_effect effect,
                                       const porch_access_variable *variables, size_t count,
                                       const porch_topic_limits *limits, porch_buf *out,
                                       porch_access_statement *ret, porch_why *why) {
    porch_access_statement s = {.effect = effect};
    porch_bytes filter = {NULL, 0};
    PORCH_TRY(split(text, &s.actions, &filter, why));
    PORCH_TRY(porch_access_filter_expand(filter, variables, count, limits, out, &s.filter, why));
    *ret = s;
    return PORCH_OK;
}

porch_err porch_access_statement_write(porch_buf *b, const porch_access_statement *statement) {
    size_t start = b->len;
    porch_err e = porch_write_text(b, statement->effect == PORCH_ACCESS_DENY ? "deny " : "allow ");
    if (e == PORCH_OK) e = porch_access_actions_write(b, statement->actions);
    if (e == PORCH_OK) e = porch_write_text(b, ":");
    if (e == PORCH_OK) e = porch_write_bytes(b, statement->filter.text);
    if (e != PORCH_OK) b->len = start;
    return e;
}

static const char *name_of(unsigned action) {
    for (size_t i = 0; i < ACTION_COUNT; i++) {
        if (actions[i].bit == action) return actions[i].name;
    }
    return "?";
}

void porch_access_explain(const porch_access_policy *policy, porch_access_decision decision,
                          unsigned action, porch_bytes topic, porch_why *ret) {
    porch_access_statement s;
    char text[160];
    porch_buf b = {(uint8_t *)text, 0, sizeof text};
    bool has_statement =
        decision.statement >= 0 && porch_access_policy_statement(policy, (size_t)decision.statement, &s);
    if (!has_statement) {
        /* The smallest grant that would allow it: the topic itself. */
        porch_fail(ret, PORCH_ERR_DENIED, "no statement allows it; grant %s:%.*s", name_of(action),
                   PORCH_FMT(topic));
        return;
    }
    if (porch_access_statement_write(&b, &s) != PORCH_OK) porch_write_text(&b, "a long statement");
    porch_fail(ret, PORCH_ERR_DENIED,
               decision.allowed ? "'%.*s' allows it" : "'%.*s' forbids it; change that statement",
               (int)b.len, text);
}
