/* What this process gives up once its files are named: films and streams may be shaped by strangers, and
 * are decoded here, in the process that holds the device's key.
 *
 * Two fences, one call: Landlock (where the kernel has it) leaves FOLDER and the slots for reading and
 * writing, the source and the system's libraries and resolver files for reading; a system-call filter
 * refuses what a camera never does (starting programs, tracing, mounting, loading code into the kernel,
 * opening other kinds of sockets). What is left to somebody who takes the decoder over: this process's
 * memory, with its key, and its network. A decoder in a process of its own, as the hub's analyst is, would
 * be the next wall; it is not built here. */
#ifndef PORCH_CAMERA_SANDBOX_H
#define PORCH_CAMERA_SANDBOX_H

#include <stdbool.h>

/* For this thread and all that it starts later. `slots` and `source` may be NULL. *landlock says whether
 * the kernel has that fence. False, with a sentence, when the filter cannot be set: then do not go on. */
bool porch_camera_sandbox(const char *folder, const char *slots, const char *source, bool *landlock,
                          char why[256]);

#endif
