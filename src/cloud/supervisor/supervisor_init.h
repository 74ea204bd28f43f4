/* init: a new hub's directory with its certificate authorities, sealing key and hub.conf. Asks nothing and
 * sets no default secret. */
#ifndef PORCH_CLOUD_SUPERVISOR_INIT_H
#define PORCH_CLOUD_SUPERVISOR_INIT_H

#include "base/bytes.h"
#include "base/error.h"
#include "cloud/settings/settings.h"

/* Makes DIR as `settings` say (names, ports, user, ...; hub.id is filled in). hub.conf is written last: a
 * directory that has one is whole. Started as root with hub.user set, everything is given to that user. */
porch_err porch_init_run(const char *dir, porch_settings *settings, uint64_t now_ms, porch_why *why);

#endif
