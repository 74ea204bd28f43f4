/* One outgoing request. The order matters: parse the URL, resolve it, judge every address, and then let the
 * library connect to those addresses and no other.
 *
 *   URL ─► host, port ─► addresses ─► public or allowed? ─► CURLOPT_RESOLVE ─► socket opened: one of them?
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cloud/courier/courier_room.h"
#include "os/file.h"
#include "os/log.h"

enum {
    AUTHORITIES_MAX = 4194304,
    RESOLVE_BYTES = 2048,
    HEADER_LINE_BYTES = 2 * PORCH_COURIER_HEADER_MAX + 4
};

static const char *const system_authorities = "/etc/ssl/certs/ca-certificates.crt";

/* ---- prepared once
 * ----------------------------------------------------------------------------------------- */

static porch_err add_authorities(porch_courier *c, const char *path, porch_why *why) {
    uint8_t *pem = NULL;
    size_t len = 0;
    PORCH_TRY(porch_file_read(path, AUTHORITIES_MAX, &pem, &len, why));
    uint8_t *both = realloc(c->authorities, c->authorities_len + len + 1);
    if (both) {
        c->authorities = both;
        memcpy(both + c->authorities_len, pem, len);
        both[c->authorities_len + len] = '\n';
        c->authorities_len += len + 1;
    }
    free(pem);
    return both ? PORCH_OK : porch_fail(why, PORCH_ERR_BUSY, "out of memory");
}

/* The C library loads parts of name service at the first question; afterwards nothing may be loaded. By
 * default it asks each name server twice for 5 s, while everybody else's request waits for the one whose
 * name nobody answers for; what the operator has set in the environment stands. */
static void warm_up_names(void) {
    struct addrinfo *found = NULL;
    (void)setenv("RES_OPTIONS", "timeout:2 attempts:1", 0);
    if (getaddrinfo("localhost", "443", NULL, &found) == 0) freeaddrinfo(found);
}

porch_err porch_courier_prepare(porch_courier *c, const porch_courier_config *config, porch_why *why) {
    *c = (porch_courier){.config = *config};
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return porch_fail(why, PORCH_ERR_BUSY, "libcurl cannot start");
    warm_up_names();
    porch_err e = add_authorities(c, system_authorities, why);
    if (e != PORCH_OK)
        porch_log(PORCH_LOG_WARN, "courier.no-authorities", "file", system_authorities, "reason",
                  "no public receiver can be verified; install ca-certificates", NULL);
    if (config->ca_file && config->ca_file[0]) return add_authorities(c, config->ca_file, why);
    return PORCH_OK;
}

void porch_courier_forget(porch_courier *c) {
    free(c->authorities);
    curl_global_cleanup();
}

/* ---- where to
 * ---------------------------------------------------------------------------------------------- */

typedef struct {
    char host[PORCH_COURIER_HOST_BYTES]; /* an IPv6 address in brackets */
    uint16_t port;
    struct sockaddr_storage addresses[PORCH_COURIER_ADDRESSES_MAX];
    size_t count;
} target;

static porch_err part_of(CURLU *url, CURLUPart part, char *out, size_t cap, porch_why *why) {
    char *text = NULL;
    if (curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK || !text)
        return porch_fail(why, PORCH_ERR_MALFORMED, "the webhook's URL cannot be read");
    int n = snprintf(out, cap, "%s", text);
    curl_free(text);
    return n > 0 && (size_t)n < cap
               ? PORCH_OK
               : porch_fail(why, PORCH_ERR_MALFORMED, "the webhook's host name is too long");
}

static porch_err read_url(CURLU *url, const char *text, target *t, porch_why *why) {
    char scheme[16];
    char port[8];
    if (curl_url_set(url, CURLUPART_URL, text, CURLU_DISALLOW_USER) != CURLUE_OK)
        return porch_fail(why, PORCH_ERR_MALFORMED, "the webhook's URL cannot be read");
    PORCH_TRY(part_of(url, CURLUPART_SCHEME, scheme, sizeof scheme, why));
    if (strcmp(scheme, "https") != 0)
        return porch_fail(why, PORCH_ERR_DENIED, "only https addresses are asked");
    PORCH_TRY(part_of(url, CURLUPART_HOST, t->host, sizeof t->host, why));
    PORCH_TRY(part_of(url, CURLUPART_PORT, port, sizeof port, why));
    t->port = (uint16_t)strtoul(port, NULL, 10); /* checked by libcurl's parser */
    return PORCH_OK;
}

/* The host as name service takes it: without the brackets of an IPv6 address. */
static void bare_host(const target *t, char out[PORCH_COURIER_HOST_BYTES]) {
    size_t n = strlen(t->host);
    bool brackets = n > 2 && t->host[0] == '[' && t->host[n - 1] == ']';
    snprintf(out, PORCH_COURIER_HOST_BYTES, "%.*s", (int)(brackets ? n - 2 : n), t->host + brackets);
}

static porch_err resolve(target *t, porch_why *why) {
    char host[PORCH_COURIER_HOST_BYTES];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    bare_host(t, host);
    int rc = getaddrinfo(host, NULL, &hints, &found);
    if (rc != 0) return porch_fail(why, PORCH_ERR_IO, "%s does not resolve: %s", t->host, gai_strerror(rc));
    for (const struct addrinfo *a = found; a && t->count < PORCH_COURIER_ADDRESSES_MAX; a = a->ai_next)
        if ((a->ai_family == AF_INET || a->ai_family == AF_INET6) &&
            a->ai_addrlen <= sizeof t->addresses[0])
            memcpy(&t->addresses[t->count++], a->ai_addr, a->ai_addrlen);
    freeaddrinfo(found);
    return t->count ? PORCH_OK : porch_fail(why, PORCH_ERR_IO, "%s has no internet address", t->host);
}

static void address_text(const struct sockaddr_storage *a, char out[INET6_ADDRSTRLEN]) {
    const void *at = a->ss_family == AF_INET ? (const void *)&((const struct sockaddr_in *)a)->sin_addr
                                             : (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr;
    if (!inet_ntop(a->ss_family, at, out, INET6_ADDRSTRLEN)) out[0] = '\0';
}

/* Every address must do: with one private among public ones, somebody plays with the name. */
static porch_err judge(const porch_courier *c, const target *t, porch_why *why) {
    if (porch_courier_allows(c->config.allow, t->host, t->port)) return PORCH_OK;
    for (size_t i = 0; i < t->count; i++) {
        char text[INET6_ADDRSTRLEN];
        if (porch_courier_is_public((const struct sockaddr *)&t->addresses[i])) continue;
        address_text(&t->addresses[i], text);
        return porch_fail(why, PORCH_ERR_DENIED,
                          "%.100s is at %s, which is not public; if that is meant, set courier.allow = "
                          "%.100s:%u in hub.conf",
                          t->host, text, t->host, t->port);
    }
    return PORCH_OK;
}

/* "+host:port:addr,addr" for CURLOPT_RESOLVE. */
static porch_err resolve_line(const target *t, char out[RESOLVE_BYTES], porch_why *why) {
    int n = snprintf(out, RESOLVE_BYTES, "%s:%u:", t->host, t->port);
    for (size_t i = 0; i < t->count && n > 0 && n < RESOLVE_BYTES; i++) {
        char text[INET6_ADDRSTRLEN];
        bool six = t->addresses[i].ss_family == AF_INET6;
        address_text(&t->addresses[i], text);
        n += snprintf(out + n, (size_t)(RESOLVE_BYTES - n), "%s%s%s%s", i ? "," : "", six ? "[" : "", text,
                      six ? "]" : "");
    }
    return n > 0 && n < RESOLVE_BYTES ? PORCH_OK
                                      : porch_fail(why, PORCH_ERR_INTERNAL, "too many addresses");
}

/* ---- libcurl's calls back
 * ---------------------------------------------------------------------------------- */

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr *b) {
    if (a->ss_family != b->sa_family) return false;
    if (a->ss_family == AF_INET)
        return memcmp(&((const struct sockaddr_in *)a)->sin_addr,
                      &((const struct sockaddr_in *)(const void *)b)->sin_addr, 4) == 0;
    return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr, 16) == 0;
}

/* The last door: a socket is opened for an address that was judged, or not at all. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *to) {
    const target *t = ctx;
    (void)purpose;
    for (size_t i = 0; i < t->count; i++)
        if (same_address(&t->addresses[i], &to->addr))
            return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
    return CURL_SOCKET_BAD;
}

typedef struct {
    size_t rest;
    bool cut;
} answer_meter;

/* The answer's body is only counted; past the limit the transfer is ended. */
static size_t take_answer(char *at, size_t size, size_t count, void *ctx) {
    answer_meter *m = ctx;
    size_t len = size * count;
    (void)at;
    if (len > m->rest) {
        m->cut = true;
        return 0;
    }
    m->rest -= len;
    return len;
}

/* ---- the request
 * ------------------------------------------------------------------------------------------- */

typedef struct {
    CURL *easy;
    CURLU *url;
    struct curl_slist *headers, *resolve;
    char error[CURL_ERROR_SIZE];
    char url_text[PORCH_COURIER_URL_MAX + 1];
    target target;
    answer_meter meter;
} call;

static bool append(struct curl_slist **list, const char *line) {
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer) *list = longer;
    return longer != NULL;
}

static porch_err make_lists(call *k, const porch_courier_message *m, porch_why *why) {
    char line[HEADER_LINE_BYTES > RESOLVE_BYTES ? HEADER_LINE_BYTES : RESOLVE_BYTES];
    PORCH_TRY(resolve_line(&k->target, line, why));
    bool ok = append(&k->resolve, line) && append(&k->headers, "Expect:");
    for (size_t i = 0; i < m->headers_count && ok; i++) {
        int n = snprintf(line, sizeof line, "%.*s: %.*s", PORCH_FMT(m->header_names[i]),
                         PORCH_FMT(m->header_values[i]));
        ok = n > 0 && (size_t)n < sizeof line && append(&k->headers, line);
    }
    return ok ? PORCH_OK : porch_fail(why, PORCH_ERR_BUSY, "out of memory");
}

static long timeout_of(const porch_courier *c, const porch_courier_message *m) {
    uint32_t ms =
        m->timeout_ms && m->timeout_ms < c->config.timeout_ms ? m->timeout_ms : c->config.timeout_ms;
    return (long)ms;
}

/* Every option must take: one that does not could be the one that keeps the wall up. */
static porch_err set_options(const porch_courier *c, const porch_courier_message *m, call *k,
                             porch_why *why) {
    CURL *h = k->easy;
    struct curl_blob authorities = {c->authorities, c->authorities_len, CURL_BLOB_NOCOPY};
    bool ok = true;
#define SET(option, value) ok = ok && curl_easy_setopt(h, option, value) == CURLE_OK
    SET(CURLOPT_ERRORBUFFER, k->error);
    SET(CURLOPT_CURLU, k->url);
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_RESOLVE, k->resolve);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, &k->target);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_CAINFO, NULL);
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_CAINFO_BLOB, &authorities);
    SET(CURLOPT_TIMEOUT_MS, timeout_of(c, m));
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)m->body.len);
    SET(CURLOPT_POSTFIELDS, (const char *)m->body.at);
    SET(CURLOPT_HTTPHEADER, k->headers);
    SET(CURLOPT_WRITEFUNCTION, take_answer);
    SET(CURLOPT_WRITEDATA, &k->meter);
    SET(CURLOPT_FORBID_REUSE, 1L);
#undef SET
    return ok ? PORCH_OK : porch_fail(why, PORCH_ERR_INTERNAL, "libcurl refused an option");
}

/* Whether the receiver has said what became of the request. A final status counts however the transfer
 * ended behind it (the body never came, was cut short or by us): who has taken a message must not be sent
 * it again. One that only begins an answer (1xx) counts when the transfer ended well. */
static bool has_answered(CURLcode code, const call *k, long answered) {
    bool whole = code == CURLE_OK || (code == CURLE_WRITE_ERROR && k->meter.cut);
    return answered >= (whole ? 100 : 200) && answered <= 599;
}

static porch_err result_of(CURLcode code, const call *k, uint16_t *status, porch_why *why) {
    long answered = 0;
    (void)curl_easy_getinfo(k->easy, CURLINFO_RESPONSE_CODE, &answered);
    if (has_answered(code, k, answered)) {
        *status = (uint16_t)answered;
        return PORCH_OK;
    }
    const char *text = k->error[0] ? k->error : curl_easy_strerror(code);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return porch_fail(why, PORCH_ERR_TIMEOUT, "%s did not answer in time", k->target.host);
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return porch_fail(why, PORCH_ERR_AUTH, "%s: %s", k->target.host, text);
    return porch_fail(why, PORCH_ERR_IO, "%s: %s", k->target.host, text);
}

static porch_err perform(const porch_courier *c, const porch_courier_message *m, call *k, uint16_t *status,
                         porch_why *why) {
    if (!k->easy || !k->url) return porch_fail(why, PORCH_ERR_BUSY, "out of memory");
    if (!porch_bytes_to_text(m->url, k->url_text, sizeof k->url_text)) return PORCH_ERR_MALFORMED;
    PORCH_TRY(read_url(k->url, k->url_text, &k->target, why));
    PORCH_TRY(resolve(&k->target, why));
    PORCH_TRY(judge(c, &k->target, why));
    PORCH_TRY(make_lists(k, m, why));
    k->meter.rest = c->config.answer_max;
    PORCH_TRY(set_options(c, m, k, why));
    return result_of(curl_easy_perform(k->easy), k, status, why);
}

porch_err porch_courier_perform(const porch_courier *c, const porch_courier_message *m, uint16_t *status,
                                porch_why *why) {
    call *k = calloc(1, sizeof *k);
    if (!k) return porch_fail(why, PORCH_ERR_BUSY, "out of memory");
    k->easy = curl_easy_init();
    k->url = curl_url();
    porch_err e = perform(c, m, k, status, why);
    curl_easy_cleanup(k->easy);
    curl_url_cleanup(k->url);
    curl_slist_free_all(k->headers);
    curl_slist_free_all(k->resolve);
    free(k);
    return e;
}
