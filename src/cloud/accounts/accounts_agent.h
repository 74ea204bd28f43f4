/* Which browser on which system: a few words for a person who looks at the own sign-ins.
 *
 * User-Agent (RFC 9110, 10.1.5) is a claim that anybody may make, so it decides nothing. It is looked
 * through for a handful of known names, and only words of ours come out: nothing that a stranger wrote is
 * stored or shown. Pure. */
#ifndef PORCH_CLOUD_ACCOUNTS_AGENT_H
#define PORCH_CLOUD_ACCOUNTS_AGENT_H

#include "base/bytes.h"

enum {
    PORCH_AGENT_TEXT = 48,      /* with the terminating zero */
    PORCH_AGENT_LOOKED_AT = 512 /* bytes of the header; the rest is not read */
};

/* "Firefox on Android", "a browser on Windows", "Chrome", "an unknown program". */
void porch_agent_read(porch_bytes header, char ret[PORCH_AGENT_TEXT]);

#endif
