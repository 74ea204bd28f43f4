/* What was refused, in memory: one row for each (who, action, topic) with the statement that decided, the
 * smallest grant that would allow it, and how often. A delivery that a deny held back is one row for its
 * statement, whatever the topic: wide subscriptions meet denies all the time.
 *
 * At most grants.denials rows; the one that was quiet longest gives way. Counting never stops; logging does
 * when one row repeats: its first LOGGED_AT_ONCE are told, then one line in LOG_EVERY_MS, with the number
 * of those not told. */
#ifndef PORCH_CLOUD_GRANTS_DENIALS_H
#define PORCH_CLOUD_GRANTS_DENIALS_H

#include "cloud/grants/grants.h"

typedef struct grants_denials grants_denials;

/* NULL without memory. */
grants_denials *porch_grants_denials_new(uint32_t most);
void porch_grants_denials_free(grants_denials *d);
/* Counts row->count more like `row` (its times are not looked at). True: log it; *untold is how many calls
 * like it were not logged since the last time. Any thread; one short lock. */
bool porch_grants_denials_add(grants_denials *d, const porch_grants_denial *row, uint64_t now_ms,
                              uint32_t *untold);
/* The newest first; fn answers false to end. */
void porch_grants_denials_visit(grants_denials *d, bool (*fn)(const porch_grants_denial *, void *),
                                void *ctx);

#endif
