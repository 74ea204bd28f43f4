/* Landlock for sandbox.c: confines this process to the profile's files. */
#ifndef PORCH_OS_SANDBOX_LANDLOCK_H
#define PORCH_OS_SANDBOX_LANDLOCK_H

#include "os/sandbox.h"

/* *version is the kernel's Landlock version, 0 when it has none (then nothing is confined). no_new_privs
 * must be set. NOT_FOUND when a folder of read_write is missing, IO when the kernel refuses. */
porch_err porch_sandbox_landlock(const porch_sandbox_profile *profile, int *version, porch_why *why);

#endif
