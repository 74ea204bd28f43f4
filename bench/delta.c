/* Makes or applies one delta between two files, for bench/ota.py to time and to look at its memory.
 *   delta make OLD NEW DELTA large|small      delta apply OLD DELTA NEW
 *   delta peak COMMAND...    runs it; its peak resident size in KiB is the last line on standard error.
 * (Whoever starts a program from a larger one sees the larger one's size.) */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/sha256.h"
#include "os/file.h"
#include "ota/author/author_delta.h"
#include "ota/client/delta.h"

enum { IMAGE_MOST = 1 << 30 };

static porch_why why;

static int complain(porch_err e) {
    (void)fprintf(stderr, "delta: %s\n", porch_why_text(&why, e));
    return 1;
}

static int make(char **words) {
    uint8_t *old = NULL, *fresh = NULL;
    size_t old_len = 0, fresh_len = 0;
    porch_buf patch = {0};
    porch_err e = porch_file_read(words[0], IMAGE_MOST, &old, &old_len, &why);
    if (e == PORCH_OK) e = porch_file_read(words[1], IMAGE_MOST, &fresh, &fresh_len, &why);
    if (e == PORCH_OK)
        e = porch_author_delta((porch_bytes){old, old_len}, (porch_bytes){fresh, fresh_len},
                               strcmp(words[3], "small") == 0 ? PORCH_AUTHOR_DELTA_SMALL
                                                              : PORCH_AUTHOR_DELTA_LARGE,
                               &patch, NULL, NULL, &why);
    if (e == PORCH_OK) e = porch_file_write_atomic(words[2], porch_buf_bytes(&patch), 0644, &why);
    free(patch.at);
    free(old);
    free(fresh);
    return e == PORCH_OK ? 0 : complain(e);
}

typedef struct {
    int old, patch, fresh, journal;
} files;

static porch_err read_all(int fd, uint64_t at, uint8_t *out, size_t len) {
    return pread(fd, out, len, (off_t)at) == (ssize_t)len ? PORCH_OK : PORCH_ERR_IO;
}
static porch_err on_patch(void *self, uint64_t at, uint8_t *out, size_t len) {
    return read_all(((files *)self)->patch, at, out, len);
}
static porch_err on_old(void *self, uint64_t at, uint8_t *out, size_t len) {
    return read_all(((files *)self)->old, at, out, len);
}
static porch_err on_new(void *self, uint64_t at, uint8_t *out, size_t len) {
    return read_all(((files *)self)->fresh, at, out, len);
}
static porch_err on_write(void *self, uint64_t at, porch_bytes block) {
    return pwrite(((files *)self)->fresh, block.at, block.len, (off_t)at) == (ssize_t)block.len
               ? PORCH_OK
               : PORCH_ERR_IO;
}
static porch_err on_read_journal(void *self, unsigned copy, uint8_t *out, size_t len) {
    (void)self, (void)copy, (void)out, (void)len;
    return PORCH_ERR_NOT_FOUND;
}
static porch_err on_write_journal(void *self, unsigned copy, porch_bytes record) {
    (void)copy;
    return pwrite(((files *)self)->journal, record.at, record.len, 0) == (ssize_t)record.len ? PORCH_OK
                                                                                             : PORCH_ERR_IO;
}

static int apply(char **words) {
    static const porch_delta_port port = {on_patch, on_old,          on_new,
                                          on_write, on_read_journal, on_write_journal};
    uint8_t head[PORCH_DELTA_HEAD_BYTES];
    porch_delta_head h;
    uint64_t from = 0;
    bool done = false;
    files f = {open(words[0], O_RDONLY), open(words[1], O_RDONLY),
               open(words[2], O_RDWR | O_CREAT | O_TRUNC, 0644), -1};
    FILE *journal = tmpfile();
    if (f.old < 0 || f.patch < 0 || f.fresh < 0 || journal == NULL ||
        read_all(f.patch, 0, head, sizeof head) != PORCH_OK)
        return complain(PORCH_ERR_IO);
    f.journal = fileno(journal);
    porch_err e = porch_delta_head_read((porch_bytes){head, sizeof head}, &h, &why);
    if (e != PORCH_OK) return complain(e);
    bool small = h.slot_bits <= 11;
    porch_delta d = {.port = &port,
                     .self = &f,
                     .crypto = porch_verify_library(),
                     .patch_length = (uint64_t)lseek(f.patch, 0, SEEK_END),
                     .block_bytes = small ? 4096 : 256 * 1024,
                     .checkpoint_blocks = 16};
    d.memory_most = (uint32_t)porch_delta_memory_bytes(h.slot_bits, d.block_bytes);
    d.memory = malloc(d.memory_most);
    porch_slot_image old = {.length = h.old_length}, fresh = {.length = h.new_length};
    memcpy(old.sha256, h.old_sha256, 32);
    memcpy(fresh.sha256, h.new_sha256, 32);
    e = porch_delta_open(&d, &old, &fresh, false, &from, &why);
    while (e == PORCH_OK && !done)
        e = porch_delta_step(&d, &done, &why);
    (void)printf("%zu\n", sizeof d + d.memory_most); /* what the applier itself takes */
    free(d.memory);
    return e == PORCH_OK ? 0 : complain(e);
}

static int peak(char **words) {
    extern char **environ;
    struct rusage usage;
    pid_t child = 0;
    int status = 0;
    if (posix_spawnp(&child, words[0], NULL, NULL, words, environ) != 0 ||
        wait4(child, &status, 0, &usage) != child)
        return complain(PORCH_ERR_IO);
    (void)fprintf(stderr, "\n%ld\n", usage.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "peak") == 0) return peak(argv + 2);
    if (argc == 6 && strcmp(argv[1], "make") == 0) return make(argv + 2);
    if (argc == 5 && strcmp(argv[1], "apply") == 0) return apply(argv + 2);
    (void)fprintf(stderr, "usage: delta make OLD NEW DELTA large|small | apply OLD DELTA NEW\n");
    return 2;
}
