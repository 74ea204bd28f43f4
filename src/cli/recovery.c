#include "cli/recovery.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "os/file.h"

enum { FILE_BYTES = 1024, PATH_BYTES = 4096 };

static void write_text(porch_recovery *r) {
    porch_buf out = {(uint8_t *)r->text, 0, PORCH_RECOVERY_TEXT_BYTES - 1};
    (void)porch_hex_write(&out, (porch_bytes){r->public_key, sizeof r->public_key});
    r->text[out.len] = '\n';
    r->text_len = out.len + 1;
}

porch_err porch_recovery_load(const char *dir, porch_recovery *ret, porch_why *why) {
    char path[PATH_BYTES];
    uint8_t *text = NULL;
    size_t len = 0;
    porch_recovery r = {0};
    PORCH_TRY(porch_path_join(dir, "recovery.pub", path, sizeof path));
    porch_err e = porch_file_read(path, FILE_BYTES, &text, &len, why);
    if (e == PORCH_ERR_NOT_FOUND) {
        r.fresh = true;
        e = porch_box_generate(r.secret, r.public_key, why);
    } else if (e == PORCH_OK) {
        porch_buf out = PORCH_BUF_OF(r.public_key);
        bool line = len > 0 && text[len - 1] == '\n';
        e = porch_hex_read(&out, (porch_bytes){text, line ? len - 1 : len});
        if (e != PORCH_OK || out.len != out.cap)
            e = porch_fail(why, PORCH_ERR_MALFORMED,
                           "%s is not a recovery key; remove it to make a new one", path);
    }
    free(text);
    if (e == PORCH_OK) {
        write_text(&r);
        *ret = r;
    }
    porch_wipe(&r, sizeof r);
    return e;
}

porch_err porch_recovery_remember(const char *dir, const porch_recovery *r, porch_why *why) {
    char path[PATH_BYTES];
    if (!r->fresh) return PORCH_OK;
    PORCH_TRY(porch_path_join(dir, "recovery.pub", path, sizeof path));
    return porch_file_write_owned(path, (porch_bytes){(const uint8_t *)r->text, r->text_len}, 0600, why);
}
