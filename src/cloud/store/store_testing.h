/* What tests over a real store share: a directory of their own and a store in it. Included by tests only.
 */
#ifndef PORCH_CLOUD_STORE_TESTING_H
#define PORCH_CLOUD_STORE_TESTING_H

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cloud/store/store.h"

typedef struct {
    char dir[64];
    porch_settings settings;
    porch_store *store;
    porch_why why;
} store_lab;

static int store_lab_unlink(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

/* A fresh directory, not opened yet. */
static inline void store_lab_make(store_lab *lab) {
    memset(lab, 0, sizeof *lab);
    const char *base = getenv("TMPDIR");
    (void)snprintf(lab->dir, sizeof lab->dir, "%.40s/porch-store-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(lab->dir) == NULL) abort();
    porch_settings_default(&lab->settings);
}

static inline porch_err store_lab_open(store_lab *lab) {
    lab->why.text[0] = '\0';
    return porch_store_open(lab->dir, &lab->settings, &lab->store, &lab->why);
}

static inline void store_lab_close(store_lab *lab) {
    porch_store_close(lab->store);
    lab->store = NULL;
}

static inline void store_lab_remove(store_lab *lab) {
    store_lab_close(lab);
    (void)nftw(lab->dir, store_lab_unlink, 8, FTW_DEPTH | FTW_PHYS);
}

/* Without a disk no file of this process takes a byte: what a transaction does goes well, its commit fails.
 */
static inline void store_lab_disk(bool there) {
    struct rlimit limit;
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || getrlimit(RLIMIT_FSIZE, &limit) != 0) abort();
    limit.rlim_cur = there ? limit.rlim_max : 0;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) abort();
}

#endif
