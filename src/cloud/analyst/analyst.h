/* The analyst process: looks at clips that strangers may have shaped, and says where people are.
 *
 *   hub ──START + memfd + clip socket──► analyst ──fork──► one child per clip
 *    └──────────── HAVE n bytes / results, on the clip socket ──────────┘
 *
 * The process itself never looks at a clip: it loads the libraries once, enters its sandbox (no files,
 * no network, nothing but the sockets it was given) and forks. A child lives for one clip, within CPU
 * and memory limits; what kills it kills that clip's analysis and nothing else. */
#ifndef PORCH_CLOUD_ANALYST_ANALYST_H
#define PORCH_CLOUD_ANALYST_ANALYST_H

#include "base/error.h"

/* Serves until the hub closes `socket_fd` (0), or the sandbox cannot be entered (1): the exit code. */
int porch_analyst_run(int socket_fd);

#endif
