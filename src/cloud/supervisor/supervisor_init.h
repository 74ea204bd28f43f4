/* init: a new hub's directory with its certificate authorities, sealing key and hub.conf. Asks nothing and
 * sets no default secret. */
#ifndef PORCH_CLOUD_SUPERVISOR_INIT_H
#define PORCH_CLOUD_SUPERVISOR_INIT_H

#include "base/bytes.h"
#include "base/error.h"
#include "cloud/settings/settings.h"

/* Makes DIR as `settings` say (names, ports, user, ...; hub.id is filled in). hub.conf is written last: a
 * directory that has one is whole. Started as root with hub.user set, everything is given to that user.
 * `recovery` is the public half of the recovery key (PORCH_BOX_PUBLIC_BYTES): needed with hub.seal tpm and
 * systemd, else it may be NULL and the first backup makes one. */
porch_err porch_init_run(const char *dir, porch_settings *settings, const uint8_t *recovery,
                         uint64_t now_ms, porch_why *why);
/* A new web CA for the names that hub.conf holds now, with a new key; the certificate of the old one goes.
 * Whatever trusted the old one must be told to trust this one. BUSY while a hub runs in DIR. What a cut in
 * the middle leaves is mended by the same call. */
porch_err porch_web_ca_renew(const char *dir, uint64_t now_ms, porch_why *why);

#endif
