/* Ids: the names of devices, services, products, households, events and clips.
 *
 * Lower-case letters, digits and '-', beginning with a letter or digit, 1 to 64 long. Nothing in that
 * alphabet means anything to a topic filter, a path, a query or a log line, so a name can never act as a
 * pattern. Every door parses; inside, only a porch_id travels. */
#ifndef PORCH_WIRE_ID_H
#define PORCH_WIRE_ID_H

#include "base/bytes.h"
#include "base/error.h"

#define PORCH_ID_MOST 64

/* Only porch_id_parse makes one. Zero-terminated, never empty. */
typedef struct {
    char text[PORCH_ID_MOST + 1];
} porch_id;

/* PORCH_ERR_MALFORMED when the grammar is broken (emptiness and length included); *ret is untouched then.
 * The unused end of ret->text is zero, so two equal ids are equal in every byte. */
porch_err porch_id_parse(porch_bytes text, porch_id *ret);
bool porch_id_eq(const porch_id *a, const porch_id *b);
/* View of the text, as long as `id` lives. */
porch_bytes porch_id_bytes(const porch_id *id);

#endif
