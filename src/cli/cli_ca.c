#include "cli/cli_room.h"

#include <stdlib.h>
#include <unistd.h>

#include "os/file.h"

enum { KEY_MAX_BYTES = 16384 };

static const porch_cli_option options[] = {
    {"--out", "FILE", true, false, "where the root CA's key goes; best on a medium that you lock away"},
    {0},
};

/* Copies, syncs, and only then removes the original. */
static porch_err move_key(const char *from, const char *to, porch_why *why) {
    uint8_t *key = NULL;
    size_t len = 0;
    if (access(to, F_OK) == 0)
        return porch_fail(why, PORCH_ERR_EXISTS, "%s is there already; choose another FILE", to);
    PORCH_TRY(porch_file_read(from, KEY_MAX_BYTES, &key, &len, why));
    porch_err e = porch_file_write_atomic(to, (porch_bytes){key, len}, 0600, why);
    porch_wipe(key, len);
    free(key);
    if (e == PORCH_OK && unlink(from) != 0)
        e = porch_fail(why, PORCH_ERR_IO, "the key was copied, but %s could not be removed: do it by hand",
                       from);
    return e;
}

static int export_root(porch_cli *c) {
    porch_why why = {""};
    json_t *answer = NULL;
    char from[PORCH_CLI_PATH_BYTES];
    const char *to = porch_cli_text(c, "--out");
    porch_err e = porch_cli_ask(c, "ca.export-root", NULL, &answer, &why);
    if (e == PORCH_OK) e = porch_path_join(c->dir, "OFFLINE/root.key", from, sizeof from);
    if (e == PORCH_OK) e = move_key(from, to, &why);
    json_decref(answer);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    json_t *result = json_pack("{s:s}", "out", to);
    if (!porch_cli_json(c, result))
        printf("The root CA's key is now in %s and nowhere else. Lock it away: it is needed to replace the "
               "issuing CA.\n",
               to);
    json_decref(result);
    return PORCH_CLI_DONE;
}

const porch_cli_command porch_cli_ca_commands[] = {
    {"ca export-root", NULL, false, options, "move the root CA's key out of the hub's directory",
     export_root},
    {0},
};
