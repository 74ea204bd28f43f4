/* Statements as people write them: "publish,subscribe:d/${device.id}/#".
 *
 *      ACTION[,ACTION]...:FILTER       actions: publish, subscribe, receive
 *      read:RESOURCE                   of the hub's API; there is one resource: metrics
 *
 * Variables stand for one whole value inside a level: ${device.id}, ${device.product}, ${household.id},
 * ${service.name},
 * ... They are plain data: a value that holds a wildcard, '/' or '$', or is empty, is refused, so that no
 * name can act as a pattern. A variable without a value makes the statement not apply
 * (PORCH_ERR_NOT_FOUND): it is never left out. */
#ifndef PORCH_ACCESS_STATEMENT_H
#define PORCH_ACCESS_STATEMENT_H

#include "access/policy.h"
#include "base/cursor.h"

/* The API's resource that `read` may be about: what /metrics tells. */
#define PORCH_ACCESS_METRICS "metrics"

typedef struct porch_access_variable {
    const char *name; /* "device.id" */
    porch_bytes value;
} porch_access_variable;

/* "publish,subscribe" → bits. PORCH_ERR_MALFORMED: empty, unknown or twice; `why` (may be NULL) names the
 * word. */
porch_err porch_access_actions_parse(porch_bytes text, unsigned *ret, porch_why *why);
/* The canonical text of a set of actions, in the order publish,subscribe,receive,read. */
porch_err porch_access_actions_write(porch_buf *b, unsigned actions);

/* Checks a template: actions, filter grammar, every variable's name in `known` (values do not matter). For
 * the moment a grant is saved. `limits` as for topics. */
porch_err porch_access_template_check(porch_bytes text, const porch_access_variable *known,
                                      size_t known_count, const porch_topic_limits *limits, porch_why *why);
/* Expands a filter with ${...} into `out` (appended) and parses the result. */
porch_err porch_access_filter_expand(porch_bytes filter_template, const porch_access_variable *variables,
                                     size_t count, const porch_topic_limits *limits, porch_buf *out,
                                     porch_topic_filter *ret, porch_why *why);
/* Parses "ACTIONS:FILTER" and expands; the expanded text lives in `out`. */
porch_err porch_access_statement_parse(porch_bytes text, porch_access_effect effect,
                                       const porch_access_variable *variables, size_t count,
                                       const porch_topic_limits *limits, porch_buf *out,
                                       porch_access_statement *ret, porch_why *why);
/* "allow publish,subscribe:d/cam-1/#". */
porch_err porch_access_statement_write(porch_buf *b, const porch_access_statement *statement);

/* For the operator's log after a refusal: which statement decided and the smallest grant that would allow
 * it, as "no statement allows it; grant subscribe:d/cam-1/#" or "deny publish:x/# forbids it; change that
 * statement". Cut to what fits. `action` is one bit; `topic` the name or filter that was judged. */
void porch_access_explain(const porch_access_policy *policy, porch_access_decision decision,
                          unsigned action, porch_bytes topic, porch_why *ret);

#endif
