/* One line of the hub's answer, parsed strictly. The hub is ours, its texts may come from strangers. */
#include "cli/cli_room.h"

#include <string.h>

enum { LEVELS_MOST = 16 };

/* jansson bounds depth at 2048; an answer that needs more than a few levels is none of ours. */
static bool too_deep(porch_bytes line) {
    size_t depth = 0;
    bool in_text = false;
    for (size_t i = 0; i < line.len; i++) {
        uint8_t c = line.at[i];
        if (in_text && c == '\\')
            i++;
        else if (c == '"')
            in_text = !in_text;
        else if (!in_text && (c == '{' || c == '['))
            depth++;
        else if (!in_text && (c == '}' || c == ']') && depth > 0)
            depth--;
        if (depth > LEVELS_MOST) return true;
    }
    return false;
}

static porch_err error_by_name(const char *name) {
    for (int e = PORCH_OK + 1; e < PORCH_ERR_COUNT; e++)
        if (strcmp(porch_err_name((porch_err)e), name) == 0) return (porch_err)e;
    return PORCH_ERR_INTERNAL;
}

static porch_err read_progress(const json_t *o, porch_cli_reply *ret) {
    const json_t *done = json_object_get(o, "progress");
    if (!json_is_number(done)) return PORCH_ERR_MALFORMED;
    double part = json_number_value(done);
    *ret = (porch_cli_reply){.is_progress = true, .done = part < 0 ? 0 : part > 1 ? 1 : part};
    snprintf(ret->text, sizeof ret->text, "%s", porch_cli_member(o, "text"));
    return PORCH_OK;
}

static porch_err read_final(const json_t *o, porch_cli_reply *ret, porch_why *why) {
    json_t *result = json_object_get(o, "result");
    if (json_is_true(json_object_get(o, "ok"))) {
        if (!json_is_object(result) && !json_is_array(result)) return PORCH_ERR_MALFORMED;
        *ret = (porch_cli_reply){.result = json_incref(result)};
        return PORCH_OK;
    }
    const char *name = json_string_value(json_object_get(o, "error"));
    if (!json_is_false(json_object_get(o, "ok")) || !name) return PORCH_ERR_MALFORMED;
    porch_err e = error_by_name(name);
    const char *message = porch_cli_member(o, "message");
    return porch_fail(why, e, "%s", message[0] ? message : porch_err_text(e));
}

porch_err porch_cli_reply_read(porch_bytes line, porch_cli_reply *ret, porch_why *why) {
    if (too_deep(line)) return porch_fail(why, PORCH_ERR_MALFORMED, "the hub's answer is nested too deep");
    json_t *o = json_loadb((const char *)line.at, line.len, JSON_REJECT_DUPLICATES, NULL);
    porch_err e = PORCH_ERR_MALFORMED;
    if (json_is_object(o))
        e = json_object_get(o, "progress") ? read_progress(o, ret) : read_final(o, ret, why);
    json_decref(o);
    if (e == PORCH_ERR_MALFORMED && (!why || !why->text[0]))
        return porch_fail(
            why, e, "the hub's answer cannot be read; are porchlight and porchlightd of one version?");
    return e;
}
