#include "cloud/media/media_clip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cloud/media/media_file.h"
#include "cloud/media/media_room.h"

struct porch_media_clip {
    porch_media_file *file;
};

void porch_media_clip_path(const porch_media *m, const char *clip, bool indexed, char ret[PATH_MAX]) {
    int n = snprintf(ret, PATH_MAX, "%s/%s.%s", m->clips, clip, indexed ? "index" : "clip");
    if (n < 0 || n >= PATH_MAX) ret[0] = '\0';
}

void porch_media_clip_delete_files(const porch_media *m, const char *clip) {
    char path[PATH_MAX];
    if (!porch_media_uid_good(clip)) return;
    porch_media_clip_path(m, clip, true, path);
    (void)unlink(path);
    porch_media_clip_path(m, clip, false, path);
    porch_media_file_drop_tail(path);
    (void)unlink(path);
}

porch_err porch_media_clip_open(porch_media *m, const char *clip, bool indexed, porch_media_clip **ret,
                                porch_why *why) {
    porch_media_clip_info info = {0};
    char path[PATH_MAX];
    uint8_t key[32];
    PORCH_TRY(porch_media_clip_get(m, clip, &info, why));
    if (info.state != PORCH_MEDIA_CLIP_COMPLETE) {
        return porch_fail(why, PORCH_ERR_STATE,
                          "the clip is still recording; ask again when it is complete");
    }
    indexed = indexed && info.indexed_bytes > 0;
    uint64_t bytes = indexed ? info.indexed_bytes : info.bytes;
    porch_media_clip *c = calloc(1, sizeof *c);
    if (c == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for a clip");
    porch_err e = porch_signer_clip_key(m->config.signer, info.id, key, why);
    if (e == PORCH_OK) {
        porch_media_clip_path(m, info.id, indexed, path);
        e = porch_media_file_open(path, indexed ? PORCH_MEDIA_FILE_INDEXED : PORCH_MEDIA_FILE_ORIGINAL,
                                  info.id, key, &c->file, why);
    }
    porch_wipe(key, sizeof key);
    /* The size in the database holds the file to the generation that was finished. */
    if (e == PORCH_OK && porch_media_file_bytes(c->file) != bytes) {
        e = porch_fail(why, PORCH_ERR_SIGNATURE, "the clip's file is not the one that was finished");
    }
    if (e != PORCH_OK) {
        porch_media_clip_close(c);
        return e;
    }
    *ret = c;
    return PORCH_OK;
}

uint64_t porch_media_clip_bytes(const porch_media_clip *c) {
    return porch_media_file_bytes(c->file);
}

porch_err porch_media_clip_read(porch_media_clip *c, uint64_t offset, uint8_t *at, size_t cap, size_t *got,
                                porch_why *why) {
    return porch_media_file_read(c->file, offset, at, cap, got, why);
}

void porch_media_clip_close(porch_media_clip *c) {
    if (c == NULL) return;
    porch_media_file_close(c->file);
    free(c);
}
