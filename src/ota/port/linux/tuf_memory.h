/* The memory that a TUF client takes on Linux, and with it the sizes that a repository may reach: some 20
 * MiB, while an update is looked for. */
#ifndef PORCH_OTA_PORT_LINUX_TUF_MEMORY_H
#define PORCH_OTA_PORT_LINUX_TUF_MEMORY_H

#include "ota/client/tuf_client.h"

/* Fills limits and memory. NO_SPACE; porch_tuf_memory_free is right after either. */
porch_err porch_tuf_memory_make(porch_tuf *t, porch_why *why);
void porch_tuf_memory_free(porch_tuf *t);

#endif
