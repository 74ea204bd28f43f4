/* A small JSON object of text fields, as the bodies of the people's API are: parsed against a list of the
 * fields that the route knows, into views. Nothing else passes: other types, unknown or doubled names, a
 * missing field, a field too long, a zero byte, bytes after the object. */
#ifndef PORCH_CLOUD_API_JSON_H
#define PORCH_CLOUD_API_JSON_H

#include <jansson.h>

#include "base/bytes.h"
#include "base/error.h"

typedef struct {
    const char *name;
    size_t most; /* bytes of its UTF-8 text */
    bool required;
    porch_bytes *ret; /* a view into the parsed object; at == NULL when an optional field is absent */
} porch_json_field;

/* On success *root is the caller's to json_decref, after the views were used. MALFORMED with a sentence. */
porch_err porch_json_fields(porch_bytes body, const porch_json_field *fields, size_t count, json_t **root,
                            porch_why *why);

#endif
