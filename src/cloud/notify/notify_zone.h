/* Local time in a household's zone, from the system's time zone files (TZif, RFC 8536), without touching
 * the process's own zone: any number of zones, any thread. */
#ifndef PORCH_CLOUD_NOTIFY_ZONE_H
#define PORCH_CLOUD_NOTIFY_ZONE_H

#include "base/bytes.h"
#include "base/error.h"

enum { PORCH_ZONE_FILE_MAX = 65536, PORCH_ZONE_TIME_BYTES = 33 };

/* Seconds east of UTC at `unix_s`, from a TZif file's bytes. PORCH_ERR_MALFORMED; *ret on success only. */
porch_err porch_zone_offset(porch_bytes tzif, int64_t unix_s, int32_t *ret);
/* The same from a POSIX TZ text such as "CET-1CEST,M3.5.0,M10.5.0/3" (IEEE 1003.1, 8.3; RFC 8536, 3.3.1).
 */
porch_err porch_zone_rule_offset(porch_bytes rule, int64_t unix_s, int32_t *ret);
/* Is this the form of an IANA zone name ("Europe/Berlin")? Nothing else becomes a path. */
bool porch_zone_name_valid(const char *name);
/* RFC 3339 with the zone's offset: "2026-01-31T09:15:00+01:00". False, and UTC ("...Z"), when the zone is
 * unknown or its file cannot be read. */
bool porch_zone_local(const char *name, uint64_t unix_ms, char out[PORCH_ZONE_TIME_BYTES]);
/* The local day "2026-05-03" as [*from_ms, *to_ms): 23 to 25 hours where clocks change, each moment in
 * exactly one day. An unknown zone counts as UTC. PORCH_ERR_MALFORMED: no date from 1970 to 9998. */
porch_err porch_zone_day(const char *name, porch_bytes date, uint64_t *from_ms, uint64_t *to_ms);

#endif
