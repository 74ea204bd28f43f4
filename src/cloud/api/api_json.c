#include "cloud/api/api_json.h"

#include <string.h>

static const porch_json_field *field_of(const porch_json_field *fields, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].name, name) == 0) return &fields[i];
    return NULL;
}

static porch_err take_field(const porch_json_field *f, const json_t *value, porch_why *why) {
    if (!json_is_string(value))
        return porch_fail(why, PORCH_ERR_MALFORMED, "the field '%s' must be text", f->name);
    if (json_string_length(value) > f->most)
        return porch_fail(why, PORCH_ERR_MALFORMED, "the field '%s' is longer than %zu bytes", f->name,
                          f->most);
    *f->ret = (porch_bytes){(const uint8_t *)json_string_value(value), json_string_length(value)};
    return PORCH_OK;
}

static porch_err take_all(json_t *root, const porch_json_field *fields, size_t count, porch_why *why) {
    const char *name;
    json_t *value;
    if (!json_is_object(root))
        return porch_fail(why, PORCH_ERR_MALFORMED, "the body must be a JSON object");
    json_object_foreach(root, name, value) {
        const porch_json_field *f = field_of(fields, count, name);
        if (f == NULL)
            return porch_fail(why, PORCH_ERR_MALFORMED,
                              "the body has a field that this route does not know");
        PORCH_TRY(take_field(f, value, why));
    }
    for (size_t i = 0; i < count; i++)
        if (fields[i].required && fields[i].ret->at == NULL)
            return porch_fail(why, PORCH_ERR_MALFORMED, "the field '%s' is missing", fields[i].name);
    return PORCH_OK;
}

porch_err porch_json_fields(porch_bytes body, const porch_json_field *fields, size_t count, json_t **root,
                            porch_why *why) {
    json_error_t fault;
    for (size_t i = 0; i < count; i++)
        *fields[i].ret = (porch_bytes){NULL, 0};
    json_t *parsed =
        body.len == 0 ? NULL : json_loadb((const char *)body.at, body.len, JSON_REJECT_DUPLICATES, &fault);
    if (parsed == NULL)
        return porch_fail(why, PORCH_ERR_MALFORMED, "the body is not well-formed JSON with each name once");
    porch_err e = take_all(parsed, fields, count, why);
    if (e == PORCH_OK)
        *root = parsed;
    else {
        for (size_t i = 0; i < count; i++)
            *fields[i].ret = (porch_bytes){NULL, 0};
        json_decref(parsed);
    }
    return e;
}
