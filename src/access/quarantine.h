/* What a device under quarantine may still say and hear, whatever its groups allow.
 *
 *   says     d/ID/log/#   d/ID/state/reported   d/ID/update/#       diagnostics, how the update goes
 *   hears    d/ID/update/#                                          the signed update, which it verifies
 * itself
 *
 * It takes away and never adds: a policy is asked besides. The hub's broker and the questions of the
 * command line both ask here, so that an answer is what happens. */
#ifndef PORCH_ACCESS_QUARANTINE_H
#define PORCH_ACCESS_QUARANTINE_H

#include "access/policy.h"

/* `action` is one bit; `topic` a name or (subscribe) a filter without "$share/". */
bool porch_access_quarantine_lets(porch_bytes device, unsigned action, porch_bytes topic);

#endif
