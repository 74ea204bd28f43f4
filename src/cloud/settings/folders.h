/* The hub's directory: which folders it has and who may read what in them. The supervisor makes and checks
 * them by this table before it starts anything; `porchlight doctor` looks at them by the same one. */
#ifndef PORCH_CLOUD_SETTINGS_FOLDERS_H
#define PORCH_CLOUD_SETTINGS_FOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* A file in clips/ that says: this folder was restored from a backup, and has not been looked through yet.
 */
#define PORCH_HUB_RESTORED ".restored"

typedef struct {
    const char *name;           /* "" is DIR itself */
    const char *private_ending; /* files with this ending are 0600 at most, NULL: all are */
    mode_t other_files;         /* the widest mode of those without it */
    bool signers;               /* its owner is the signer's user, when there is one */
    bool many; /* files by the thousand, in folders of their own: their modes are not looked at */
} porch_hub_folder;

/* DIR itself comes first. */
enum { PORCH_HUB_FOLDERS = 7 };
extern const porch_hub_folder porch_hub_folders[PORCH_HUB_FOLDERS];

/* In DIR/signer: the certificate of the root that says who may issue. The signer goes by no other. */
#define PORCH_SIGNER_ROOT_FILE "root.pem"

enum { PORCH_HUB_FOLDER_MODE = 0700, PORCH_HUB_PRIVATE_MODE = 0600 };

/* The widest mode that a file of this name may have there. */
mode_t porch_hub_file_mode(const porch_hub_folder *folder, const char *name);
/* Whether an entry of DIR with this name is a folder of the table. */
bool porch_hub_folder_listed(const char *name);

#endif
