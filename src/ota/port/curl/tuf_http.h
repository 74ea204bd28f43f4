/* Files of an update repository over HTTP, by libcurl: whole or piece by piece, never longer than asked,
 * never slower than a named pace. No redirect is followed, no name or password sent. */
#ifndef PORCH_OTA_PORT_CURL_TUF_HTTP_H
#define PORCH_OTA_PORT_CURL_TUF_HTTP_H

#include "base/bytes.h"
#include "base/error.h"

typedef struct porch_tuf_http porch_tuf_http;

typedef struct {
    unsigned patience_s;    /* so long a transfer may stay below the pace, or connecting take */
    unsigned least_bytes_s; /* the pace */
    bool plain_http;        /* http:// too: for a repository on this machine, in tests */
    /* Files in PEM, for a repository that asks who we are: whom to trust for the server (NULL: the system's
     * authorities), our certificate with its chain, its key. A 403 is then a refusal and no "not there". */
    const char *ca, *certificate, *key;
} porch_tuf_http_config;

porch_err porch_tuf_http_open(const porch_tuf_http_config *config, porch_tuf_http **ret, porch_why *why);
void porch_tuf_http_close(porch_tuf_http *h); /* NULL is fine */

/* Takes a piece; an error ends the transfer and is what porch_tuf_http_get returns. */
typedef porch_err (*porch_tuf_http_take)(void *ctx, porch_bytes piece, porch_why *why);

/* The file at base + "/" + path, where base may end in '/' already. NOT_FOUND when the server says 404 or,
 * to nobody in particular, 403 (stores of files that hide what they hold do); AUTH when it refuses our
 * certificate; TIMEOUT below the pace, IO for every other answer but 200. */
porch_err porch_tuf_http_get(porch_tuf_http *h, const char *base, const char *path,
                             porch_tuf_http_take take, void *ctx, porch_why *why);

#endif
