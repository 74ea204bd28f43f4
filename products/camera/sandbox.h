/* What the camera's two processes give up once their files are named.
 *
 * The camera itself (key, network, no decoding): Landlock (where the kernel has it) leaves the files of a
 * list (places.h); a system-call filter refuses what a camera never does (starting programs, tracing,
 * mounting, loading code into the kernel, opening other kinds of sockets).
 *
 * The decoder, which takes apart what strangers may have shaped: no file, no new descriptor of any kind, no
 * other process; of the system calls only those in a list. It keeps what is open: the source, and a channel
 * to the camera. */
#ifndef PORCH_CAMERA_SANDBOX_H
#define PORCH_CAMERA_SANDBOX_H

#include <stdbool.h>

#include "places.h"

/* For this thread and all that it starts later. *landlock says whether the kernel has that fence. False,
 * with a sentence, when it or the filter cannot be set: then do not go on. */
bool porch_camera_sandbox(const porch_camera_places *places, bool *landlock, char why[256]);

/* The decoder's, for good: called when its source is open and unread. `device`: it goes on asking a V4L2
 * driver. As above. */
bool porch_camera_sandbox_lock(bool device, bool *landlock, char why[256]);

#endif
