#include "cloud/media/media_clip.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cloud/media/media_file.h"
#include "cloud/media/media_room.h"
#include "cloud/settings/folders.h"
#include "os/log.h"

struct porch_media_clip {
    porch_media_file *file;
};

void porch_media_clip_path(const porch_media *m, const char *clip, bool indexed, char ret[PATH_MAX]) {
    int n = snprintf(ret, PATH_MAX, "%s/%s.%s", m->clips, clip, indexed ? "index" : "clip");
    if (n < 0 || n >= PATH_MAX) ret[0] = '\0';
}

static porch_err remove_file(const char *path, porch_why *why) {
    if (unlink(path) == 0 || errno == ENOENT) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_IO, "remove %.150s: %s", path, strerror(errno));
}

porch_err porch_media_clip_delete_files(const porch_media *m, const char *clip, porch_why *why) {
    char path[PATH_MAX], tail[PATH_MAX + 8];
    if (!porch_media_uid_good(clip)) return PORCH_OK;
    porch_media_clip_path(m, clip, true, path);
    porch_err index = remove_file(path, why);
    porch_media_clip_path(m, clip, false, path);
    (void)snprintf(tail, sizeof tail, "%s.tail", path);
    porch_err end = remove_file(tail, why), all = remove_file(path, why);
    return index != PORCH_OK ? index : end != PORCH_OK ? end : all;
}

porch_err porch_media_disk_has(const porch_media *m, uint64_t more, porch_why *why) {
    const uint64_t reserve = m->config.settings->media_disk_reserve_bytes;
    struct statvfs disk;
    if (reserve == 0 || statvfs(m->clips, &disk) != 0) return PORCH_OK; /* a write will tell */
    const uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free_bytes >= more && free_bytes - more >= reserve) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_FULL,
                      "the hub's disk has %llu bytes left: no clips are taken below %llu "
                      "(media.disk_reserve_bytes)",
                      (unsigned long long)free_bytes, (unsigned long long)reserve);
}

/* One of a write that the power cut off: no row knows of it, and a piece of a clip is in it. */
static bool is_temporary(const char *name) {
    size_t len = strlen(name);
    return name[0] == '.' && len > 4 && strcmp(name + len - 4, ".tmp") == 0;
}

/* Of a clip that the database does not know. */
static bool is_nobodys(porch_media *m, const char *name) {
    char id[PORCH_MEDIA_UID];
    porch_media_clip_info info = {0};
    if (strlen(name) < PORCH_MEDIA_UID || name[PORCH_MEDIA_UID - 1] != '.') return false;
    memcpy(id, name, PORCH_MEDIA_UID - 1);
    id[PORCH_MEDIA_UID - 1] = '\0';
    return porch_media_uid_good(id) && porch_media_clip_get(m, id, &info, NULL) == PORCH_ERR_NOT_FOUND;
}

/* OK: nothing of that kind is left. */
static porch_err sweep(porch_media *m, DIR *folder, bool restored, porch_why *why) {
    char path[PATH_MAX + 256];
    porch_err e = PORCH_OK;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (!is_temporary(entry->d_name) && !(restored && is_nobodys(m, entry->d_name))) continue;
        (void)snprintf(path, sizeof path, "%s/%s", m->clips, entry->d_name);
        porch_err one = remove_file(path, why);
        if (one != PORCH_OK) e = one;
    }
    return e;
}

porch_err porch_media_clips_sweep(porch_media *m, porch_why *why) {
    char mark[PATH_MAX + 16];
    porch_why own = {""};
    DIR *folder = opendir(m->clips);
    if (folder == NULL) return porch_fail(why, PORCH_ERR_IO, "open %.150s: %s", m->clips, strerror(errno));
    (void)snprintf(mark, sizeof mark, "%s/" PORCH_HUB_RESTORED, m->clips);
    bool restored = access(mark, F_OK) == 0;
    porch_err e = sweep(m, folder, restored, &own);
    (void)closedir(folder);
    if (e == PORCH_OK && restored) e = remove_file(mark, &own);
    if (e != PORCH_OK) /* the next start tries again */
        porch_log(PORCH_LOG_WARN, "clip.sweep_unfinished", "reason", porch_why_text(&own, e), NULL);
    return PORCH_OK;
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
