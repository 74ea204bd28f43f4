/* DIR on disk: what lies where and how closed it must be. One table, used to make it and to check it at
 * every start. */
#ifndef PORCH_CLOUD_SUPERVISOR_TREE_H
#define PORCH_CLOUD_SUPERVISOR_TREE_H

#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"
#include "cloud/supervisor/supervisor_users.h"

enum { PORCH_TREE_PATH_BYTES = 4096 };

/* Makes DIR (which must be missing or empty: PORCH_ERR_EXISTS) and its folders. */
porch_err porch_tree_make(const char *dir, porch_why *why);
/* Owner and mode of DIR and everything in it that must not be open; signer/ belongs to `signer`, all else
 * to `owner`. PORCH_ERR_MODE with the command that mends it; PORCH_ERR_NOT_FOUND when DIR is no hub's
 * directory. */
porch_err porch_tree_check(const char *dir, uid_t owner, uid_t signer, porch_why *why);
/* Makes the folder that a hub of an earlier version, or one restored from a backup, does not have yet; it
 * belongs to the hub's user. For a DIR that was checked. */
porch_err porch_tree_complete(const char *dir, porch_user hub, porch_why *why);
/* Gives signer/ to the signer's user and everything else in DIR to the hub's. */
porch_err porch_tree_give(const char *dir, porch_user hub, porch_user signer, porch_why *why);
/* True while the root CA's key still lies in DIR/OFFLINE. */
bool porch_tree_root_is_online(const char *dir);

#endif
