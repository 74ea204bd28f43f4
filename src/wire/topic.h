/* MQTT topic names and topic filters, and the four questions asked of them (MQTT 5.0, section 4.7).
 *
 *      filter    d/+/telemetry/#
 *                │ │     │     └─ the parent level and everything below it
 *                │ └─────┼─────── exactly one level, empty ones too
 *      name      d/cam-1/telemetry/heat/3
 *
 * A name is what is published: at least one byte, no wildcard. A filter is what is subscribed to or
 * granted: wildcards stand alone in their level, '#' only in the last. Both are UTF-8 without U+0000, at
 * most 65,535 bytes. A wildcard in the first level never matches a name that begins with '$'
 * (MQTT-4.7.2-1).
 *
 * The types are views into the caller's memory and only the parsers here make them. Nothing allocates and
 * nothing recurses; the questions take time linear in the texts. */
#ifndef PORCH_WIRE_TOPIC_H
#define PORCH_WIRE_TOPIC_H

#include "base/bytes.h"
#include "base/error.h"

typedef struct {
    porch_bytes text;
} porch_topic_name;

typedef struct {
    porch_bytes text;
} porch_topic_filter;

/* What the caller allows beyond the standard. A null pointer means the standard alone. */
typedef struct {
    size_t bytes_most;
    size_t levels_most;
} porch_topic_limits;

/* PORCH_ERR_MALFORMED: empty, not UTF-8, a zero, a wildcard (name), a misplaced wildcard (filter).
 * PORCH_ERR_LIMIT: well formed but longer or deeper than `limits`. *ret is untouched on errors. */
porch_err porch_topic_name_parse(porch_bytes text, const porch_topic_limits *limits, porch_topic_name *ret);
porch_err porch_topic_filter_parse(porch_bytes text, const porch_topic_limits *limits,
                                   porch_topic_filter *ret);

/* Levels of a name or filter: one more than its '/' characters. */
size_t porch_topic_levels(porch_bytes text);
/* True when the filter holds a wildcard. */
bool porch_topic_filter_is_pattern(porch_topic_filter filter);

/* Does `filter` match `name`? */
bool porch_topic_matches(porch_topic_filter filter, porch_topic_name name);
/* Does `outer` match every name that `inner` matches? Exact: neither too generous nor too strict. */
bool porch_topic_filter_contains(porch_topic_filter outer, porch_topic_filter inner);
/* Is there a name that both match? Exact. */
bool porch_topic_filter_overlaps(porch_topic_filter a, porch_topic_filter b);

/* Does the union of a set of filters match every name that `inner` matches? Exact: one filter may cover a
 * parent and another what lies below it ("a" and "a/+/#" together contain "a/#"). `last` (may be NULL) gets
 * the index of the filter that settled it, when the answer is yes. */
bool porch_topic_union_contains(const porch_topic_filter *filters, size_t count, porch_topic_filter inner,
                                size_t *last);

/* The same for a set that lies in another form. `next` gives its filters one after another: *at is 0 at
 * first; it moves *at behind the filter that it gives and is false at the end. `settled` gets the *at
 * behind the settling one. */
typedef bool (*porch_topic_next)(const void *set, size_t *at, porch_topic_filter *ret);
bool porch_topic_set_contains(porch_topic_next next, const void *set, porch_topic_filter inner,
                              size_t *settled);

/* Walks the levels of a name or filter: false when there are no more.
 *   porch_topic_level walk = porch_topic_level_first(name.text);
 *   while (porch_topic_level_next(&walk, &level)) ... */
typedef struct {
    porch_bytes rest;
    bool more;
} porch_topic_level;
porch_topic_level porch_topic_level_first(porch_bytes text);
bool porch_topic_level_next(porch_topic_level *walk, porch_bytes *ret);

#endif
