/* The web app's files, read once at start and served from memory.
 *
 * Files below assets/ carry a hash in their name and never change: browsers keep them for ever. All others
 * are asked about each time (ETag). Each may have a .br and .gz beside it, chosen by Accept-Encoding. A
 * page that is no file (a route inside the app) gets index.html. */
#ifndef PORCH_CLOUD_API_APP_H
#define PORCH_CLOUD_API_APP_H

#include "base/bytes.h"
#include "base/error.h"

typedef struct porch_app porch_app;

typedef enum { PORCH_APP_PLAIN, PORCH_APP_GZIP, PORCH_APP_BROTLI, PORCH_APP_CODINGS } porch_app_coding;

typedef struct {
    const char *type;                     /* content type */
    porch_bytes bytes[PORCH_APP_CODINGS]; /* at NULL where there is no such variant */
    char etag[PORCH_APP_CODINGS][40];     /* with quotes */
    bool immutable;
} porch_app_file;

/* Reads every file below `folder` (no links, no dot files), at most `most_bytes` in all. LIMIT, IO. A
 * folder that is not there gives an app without files. */
porch_err porch_app_load(const char *folder, uint64_t most_bytes, porch_app **ret, porch_why *why);
void porch_app_free(porch_app *app);
/* `path` begins with '/'; "/" is /index.html. NULL when there is none. */
const porch_app_file *porch_app_find(const porch_app *app, const char *path);
size_t porch_app_count(const porch_app *app);

/* The best variant that the file has and the header (NULL: absent) accepts. */
porch_app_coding porch_app_choose(const porch_app_file *file, const char *accept_encoding);

#endif
