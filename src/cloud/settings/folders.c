#include "cloud/settings/folders.h"

#include <string.h>

const porch_hub_folder porch_hub_folders[PORCH_HUB_FOLDERS] = {
    {"", NULL, 0600, false, false},       {"tls", ".key", 0644, false, false},
    {"signer", NULL, 0600, true, false},  {"clips", NULL, 0600, false, true},
    {"run", NULL, 0600, false, false},    {"OFFLINE", NULL, 0600, false, false},
    {"updates", NULL, 0600, false, true},
};

static bool ends_with(const char *text, const char *ending) {
    size_t n = strlen(text);
    size_t m = strlen(ending);
    return n >= m && strcmp(text + n - m, ending) == 0;
}

mode_t porch_hub_file_mode(const porch_hub_folder *folder, const char *name) {
    bool is_private = !folder->private_ending || ends_with(name, folder->private_ending);
    return is_private ? PORCH_HUB_PRIVATE_MODE : folder->other_files;
}

bool porch_hub_folder_listed(const char *name) {
    for (size_t i = 1; i < PORCH_HUB_FOLDERS; i++)
        if (strcmp(porch_hub_folders[i].name, name) == 0) return true;
    return false;
}
