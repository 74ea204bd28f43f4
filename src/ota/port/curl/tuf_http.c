#include "ota/port/curl/tuf_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

enum {
    URL_BYTES = 8192,
    STATUS_OK = 200,
    STATUS_UNKNOWN = 401,
    STATUS_FORBIDDEN = 403,
    STATUS_NOT_FOUND = 404
};

struct porch_tuf_http {
    CURL *curl;
    porch_tuf_http_config config;
};

porch_err porch_tuf_http_open(const porch_tuf_http_config *config, porch_tuf_http **ret, porch_why *why) {
    porch_tuf_http *h = calloc(1, sizeof *h);
    if (h == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(h);
        return porch_fail(why, PORCH_ERR_NO_SPACE, "libcurl cannot start");
    }
    h->config = *config;
    h->curl = curl_easy_init(); /* one handle: connections are used again */
    if (h->curl == NULL) {
        porch_tuf_http_close(h);
        return porch_fail(why, PORCH_ERR_NO_SPACE, "libcurl cannot start");
    }
    *ret = h;
    return PORCH_OK;
}

void porch_tuf_http_close(porch_tuf_http *h) {
    if (h == NULL) return;
    curl_easy_cleanup(h->curl);
    curl_global_cleanup();
    free(h);
}

typedef struct {
    CURL *curl;
    porch_tuf_http_take take;
    void *ctx;
    porch_err e;
    porch_why *why;
} transfer;

static size_t on_bytes(char *at, size_t size, size_t count, void *ctx) {
    transfer *t = ctx;
    long status = 0;
    size_t len = size * count;
    (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != STATUS_OK) return 0; /* an error's page is of no use to us */
    t->e = t->take(t->ctx, (porch_bytes){(const uint8_t *)at, len}, t->why);
    return t->e == PORCH_OK ? len : 0;
}

/* Who we are, and whom we trust. */
static bool set_certificates(const porch_tuf_http *h) {
    const porch_tuf_http_config *config = &h->config;
    return curl_easy_setopt(h->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           (config->ca == NULL || curl_easy_setopt(h->curl, CURLOPT_CAINFO, config->ca) == CURLE_OK) &&
           (config->certificate == NULL ||
            curl_easy_setopt(h->curl, CURLOPT_SSLCERT, config->certificate) == CURLE_OK) &&
           (config->key == NULL || curl_easy_setopt(h->curl, CURLOPT_SSLKEY, config->key) == CURLE_OK);
}

static bool set_up(porch_tuf_http *h, const char *url, transfer *t, char *reason) {
    CURL *c = h->curl;
    curl_easy_reset(c);
    return curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, h->config.plain_http ? "http,https" : "https") ==
               CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_USERAGENT, "porchlight-tuf") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)h->config.patience_s) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)h->config.patience_s) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)h->config.least_bytes_s) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, t) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_ERRORBUFFER, reason) == CURLE_OK && set_certificates(h);
}

porch_err porch_tuf_http_get(porch_tuf_http *h, const char *base, const char *path,
                             porch_tuf_http_take take, void *ctx, porch_why *why) {
    char url[URL_BYTES], reason[CURL_ERROR_SIZE] = "";
    transfer t = {.curl = h->curl, .take = take, .ctx = ctx, .why = why};
    long status = 0;
    size_t base_len = strlen(base);
    const char *slash = base_len > 0 && base[base_len - 1] == '/' ? "" : "/";
    int len = snprintf(url, sizeof url, "%s%s%s", base, slash, path);
    if (len < 0 || (size_t)len >= sizeof url)
        return porch_fail(why, PORCH_ERR_LIMIT, "an address is longer than %d bytes", URL_BYTES);
    if (!set_up(h, url, &t, reason))
        return porch_fail(why, PORCH_ERR_IO, "libcurl does not take the address");
    CURLcode rc = curl_easy_perform(h->curl);
    (void)curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, NULL);
    if (t.e != PORCH_OK) return t.e;
    if (status == STATUS_UNKNOWN || (status == STATUS_FORBIDDEN && h->config.certificate != NULL))
        return porch_fail(why, PORCH_ERR_AUTH,
                          "the repository refuses our certificate (HTTP status %ld) for %.160s", status,
                          path);
    if (status == STATUS_NOT_FOUND || status == STATUS_FORBIDDEN)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "the repository has no %.160s", path);
    if (rc == CURLE_OPERATION_TIMEDOUT)
        return porch_fail(why, PORCH_ERR_TIMEOUT, "%.120s comes slower than %u bytes/s for %u s", path,
                          h->config.least_bytes_s, h->config.patience_s);
    if (status != 0 && status != STATUS_OK)
        return porch_fail(why, PORCH_ERR_IO, "the repository answered %ld for %.160s", status, path);
    if (rc != CURLE_OK)
        return porch_fail(why, PORCH_ERR_IO, "%.120s: %s", path,
                          reason[0] ? reason : curl_easy_strerror(rc));
    return PORCH_OK;
}
