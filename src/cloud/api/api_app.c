#include "cloud/api/api_app.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cursor.h"
#include "base/text.h"
#include "cloud/api/api_world.h"
#include "crypto/sha256.h"
#include "os/file.h"

enum { PATH_BYTES = 512, DEPTH_MOST = 8 };

typedef struct {
    char *path; /* as asked for: "/assets/x.js" */
    porch_app_file file;
} entry;

struct porch_app {
    entry *entries;
    size_t count;
    uint64_t bytes, most_bytes;
};

typedef struct {
    const char *ending, *type;
} type_row;

static const type_row TYPES[] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".json", "application/json"},
    {".webmanifest", "application/manifest+json"},
    {".png", "image/png"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
    {".txt", "text/plain; charset=utf-8"},
};

static bool ends_with(const char *text, const char *ending) {
    size_t a = strlen(text), b = strlen(ending);
    return a >= b && strcmp(text + a - b, ending) == 0;
}

static const char *type_of(const char *path) {
    for (size_t i = 0; i < sizeof TYPES / sizeof TYPES[0]; i++)
        if (ends_with(path, TYPES[i].ending)) return TYPES[i].type;
    return "application/octet-stream";
}

static entry *find_entry(const porch_app *app, const char *path) {
    for (size_t i = 0; i < app->count; i++)
        if (strcmp(app->entries[i].path, path) == 0) return &app->entries[i];
    return NULL;
}

const porch_app_file *porch_app_find(const porch_app *app, const char *path) {
    if (app == NULL) return NULL;
    const entry *e = find_entry(app, strcmp(path, "/") == 0 ? "/index.html" : path);
    return e == NULL || e->file.bytes[PORCH_APP_PLAIN].at == NULL ? NULL : &e->file;
}

size_t porch_app_count(const porch_app *app) {
    size_t count = 0;
    for (size_t i = 0; i < app->count; i++)
        count += app->entries[i].file.bytes[PORCH_APP_PLAIN].at != NULL;
    return count;
}

static entry *entry_for(porch_app *app, const char *path) {
    entry *e = find_entry(app, path);
    if (e != NULL) return e;
    entry *more = realloc(app->entries, (app->count + 1) * sizeof *more);
    if (more == NULL) return NULL;
    app->entries = more;
    e = &more[app->count];
    *e = (entry){strdup(path), {.type = type_of(path), .immutable = strncmp(path, "/assets/", 8) == 0}};
    if (e->path == NULL) return NULL;
    app->count++;
    return e;
}

static porch_err load_file(porch_app *app, const char *disk, const char *path, porch_why *why) {
    char name[PATH_BYTES];
    uint8_t *bytes = NULL;
    size_t len = 0;
    uint8_t digest[32];
    porch_app_coding coding = ends_with(path, ".br")   ? PORCH_APP_BROTLI
                              : ends_with(path, ".gz") ? PORCH_APP_GZIP
                                                       : PORCH_APP_PLAIN;
    (void)snprintf(name, sizeof name, "%.*s", (int)(strlen(path) - (coding == PORCH_APP_PLAIN ? 0 : 3)),
                   path);
    porch_err e = porch_file_read(disk, (size_t)(app->most_bytes - app->bytes), &bytes, &len, why);
    if (e == PORCH_ERR_LIMIT)
        return porch_fail(why, e, "the app in people.app_dir is larger than people.app_bytes");
    PORCH_TRY(e);
    entry *at = entry_for(app, name);
    if (at == NULL) {
        free(bytes);
        return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the app's files");
    }
    app->bytes += len;
    at->file.bytes[coding] = (porch_bytes){bytes, len};
    porch_sha256(at->file.bytes[coding], digest);
    porch_buf tag = {(uint8_t *)at->file.etag[coding], 0, sizeof at->file.etag[coding] - 1};
    (void)porch_write_text(&tag, "\"");
    (void)porch_hex_write(&tag, (porch_bytes){digest, 16});
    (void)porch_write_text(&tag, "\"");
    at->file.etag[coding][tag.len] = '\0';
    return PORCH_OK;
}

static porch_err load_folder(porch_app *app, const char *disk, const char *path, int depth,
                             porch_why *why) {
    porch_err e = PORCH_OK;
    DIR *dir = opendir(disk);
    if (dir == NULL) return PORCH_OK; /* no app: the caller tells the operator */
    const struct dirent *d;
    while (e == PORCH_OK && (d = readdir(dir)) != NULL) {
        char below[PATH_BYTES], name[PATH_BYTES];
        struct stat st;
        if (d->d_name[0] == '.') continue;
        if (snprintf(below, sizeof below, "%s/%s", disk, d->d_name) >= (int)sizeof below ||
            snprintf(name, sizeof name, "%s/%s", path, d->d_name) >= (int)sizeof name)
            continue;
        if (lstat(below, &st) != 0) continue;
        if (S_ISREG(st.st_mode)) e = load_file(app, below, name, why);
        if (S_ISDIR(st.st_mode) && depth < DEPTH_MOST) e = load_folder(app, below, name, depth + 1, why);
    }
    (void)closedir(dir);
    return e;
}

porch_err porch_app_load(const char *folder, uint64_t most_bytes, porch_app **ret, porch_why *why) {
    porch_app *app = calloc(1, sizeof *app);
    if (app == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the app");
    app->most_bytes = most_bytes;
    porch_err e = load_folder(app, folder, "", 0, why);
    if (e == PORCH_OK)
        *ret = app;
    else
        porch_app_free(app);
    return e;
}

void porch_app_free(porch_app *app) {
    if (app == NULL) return;
    for (size_t i = 0; i < app->count; i++) {
        free(app->entries[i].path);
        for (int c = 0; c < PORCH_APP_CODINGS; c++)
            free((void *)app->entries[i].file.bytes[c].at);
    }
    free(app->entries);
    free(app);
}

/* ---- Accept-Encoding (RFC 9110, 12.5.3) ---- */

static porch_bytes trim(porch_bytes b) {
    while (b.len > 0 && (b.at[0] == ' ' || b.at[0] == '\t'))
        b = (porch_bytes){b.at + 1, b.len - 1};
    while (b.len > 0 && (b.at[b.len - 1] == ' ' || b.at[b.len - 1] == '\t'))
        b.len--;
    return b;
}

static porch_bytes cut(porch_bytes *rest, uint8_t at) {
    size_t n = 0;
    while (n < rest->len && rest->at[n] != at)
        n++;
    porch_bytes piece = {rest->at, n};
    size_t skip = n < rest->len ? n + 1 : n;
    *rest = (porch_bytes){rest->at + skip, rest->len - skip};
    return trim(piece);
}

/* "q=0", "q=0.0" and so on refuse. */
static bool refused(porch_bytes parameter) {
    if (parameter.len < 3 || (parameter.at[0] | 0x20) != 'q' || parameter.at[1] != '=') return false;
    for (size_t i = 2; i < parameter.len; i++)
        if (parameter.at[i] != '0' && parameter.at[i] != '.') return false;
    return true;
}

static bool accepts(const char *header, const char *coding) {
    porch_bytes rest = porch_bytes_of(header);
    while (rest.len > 0) {
        porch_bytes element = cut(&rest, ',');
        porch_bytes name = cut(&element, ';');
        if (porch_bytes_eq_nocase(name, porch_bytes_of(coding))) return !refused(trim(element));
    }
    return false;
}

porch_app_coding porch_app_choose(const porch_app_file *file, const char *accept_encoding) {
    if (file->bytes[PORCH_APP_BROTLI].at != NULL && accepts(accept_encoding, "br")) return PORCH_APP_BROTLI;
    if (file->bytes[PORCH_APP_GZIP].at != NULL && accepts(accept_encoding, "gzip")) return PORCH_APP_GZIP;
    return PORCH_APP_PLAIN;
}

/* ---- the route of everything that is not the API ---- */

static void send_file(porch_http_exchange *x, const porch_app_file *file) {
    static const char *const names[] = {NULL, "gzip", "br"};
    porch_app_coding coding = porch_app_choose(file, porch_http_header(x, "Accept-Encoding"));
    const char *known = porch_http_header(x, "If-None-Match");
    (void)porch_http_reply_header(x, "Cache-Control",
                                  file->immutable ? "public, max-age=31536000, immutable" : "no-cache");
    (void)porch_http_reply_header(x, "Vary", "Accept-Encoding");
    (void)porch_http_reply_header(x, "ETag", file->etag[coding]);
    if (known != NULL && strcmp(known, file->etag[coding]) == 0) {
        (void)porch_http_reply(x, 304, NULL, PORCH_LIT(""));
        return;
    }
    if (names[coding] != NULL) (void)porch_http_reply_header(x, "Content-Encoding", names[coding]);
    (void)porch_http_reply_lasting(x, 200, file->type, file->bytes[coding]);
}

void porch_api_file(porch_http_exchange *x) {
    const porch_app *app = porch_api_of(x)->app;
    const char *path = porch_http_path(x);
    const char *accept = porch_http_header(x, "Accept");
    const porch_app_file *file = porch_app_find(app, path);
    if (file == NULL && accept != NULL && strstr(accept, "text/html") != NULL)
        file = porch_app_find(app, "/");
    if (file != NULL)
        send_file(x, file);
    else if (porch_app_find(app, "/") == NULL)
        (void)porch_http_problem(
            x, 404, "no-app", "the web app is not installed; the setting people.app_dir names its folder");
    else
        (void)porch_http_problem(x, 404, "not-found", "there is nothing at this path");
}
