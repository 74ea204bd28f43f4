/* What a phone needs to trust a hub without a public name, reachable before anybody has signed in: the web
 * CA itself, the same in a profile for iOS, and what the page /trust tells. Nothing here is secret, and
 * nothing here proves anything: who stands between the phone and the hub can answer as well, so the page
 * tells people to compare the fingerprint with what the hub's owner sees. */
#include "cloud/api/api_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/accounts/accounts_qr.h"
#include "cloud/api/api_profile.h"
#include "crypto/x509.h"

enum { URL_BYTES = 320 };

static bool offered(porch_http_exchange *x) {
    if (porch_api_of(x)->web_ca_pem.len > 0) return true;
    (void)porch_http_problem(x, 404, "not-found", "this hub uses a certificate of a public name");
    return false;
}

void porch_api_web_ca(porch_http_exchange *x) {
    if (!offered(x)) return;
    (void)porch_http_reply_header(x, "Content-Disposition",
                                  "attachment; filename=\"porchlight-web-ca.crt\"");
    (void)porch_http_reply(x, 200, "application/x-x509-ca-cert", porch_api_of(x)->web_ca_pem);
}

/* The first word of hub.name. */
static void first_name(const porch_settings *s, char out[256]) {
    (void)snprintf(out, 256, "%.*s", (int)strcspn(s->hub_name, " "), s->hub_name);
}

void porch_api_profile(porch_http_exchange *x) {
    const porch_api *api = porch_api_of(x);
    uint8_t der_block[PORCH_X509_PEM_BYTES], block[PORCH_PROFILE_BYTES];
    porch_buf der = PORCH_BUF_OF(der_block), profile = PORCH_BUF_OF(block);
    porch_x509_info info;
    porch_why why = {""};
    char name[256];
    if (!offered(x)) return;
    first_name(api->settings, name);
    porch_err e = porch_x509_read(api->web_ca_pem, &info, &why);
    if (e == PORCH_OK) e = porch_x509_der(api->web_ca_pem, &der, &why);
    if (e == PORCH_OK)
        e = porch_profile_write(&profile, api->settings->hub_id, name, porch_buf_bytes(&der),
                                info.fingerprint);
    if (e != PORCH_OK) {
        porch_api_refuse(x, e, &why);
        return;
    }
    (void)porch_http_reply_header(x, "Content-Disposition",
                                  "attachment; filename=\"porchlight.mobileconfig\"");
    (void)porch_http_reply_header(x, "Cache-Control", "no-store");
    (void)porch_http_reply(x, 200, "application/x-apple-aspen-config", porch_buf_bytes(&profile));
}

static bool is_here_only(const char *name, size_t len) {
    static const char *const loopback[] = {"localhost", "127.0.0.1", "::1", "[::1]"};
    for (size_t i = 0; i < sizeof loopback / sizeof loopback[0]; i++)
        if (strlen(loopback[i]) == len && strncasecmp(name, loopback[i], len) == 0) return true;
    return false;
}

/* A name under which a phone can reach the hub: the one this page was asked by, else the first of the hub's
 * that is not this machine's own. The port is that of the request. */
static bool phone_url(const porch_settings *s, const char *host, char out[URL_BYTES]) {
    size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    const char *port = len <= strlen(host) ? host + len : "";
    const char *at = s->hub_name;
    if (!is_here_only(host, len)) {
        (void)snprintf(out, URL_BYTES, "https://%s/trust", host);
        return true;
    }
    while (*at) {
        size_t n = strcspn(at, " ");
        bool six = memchr(at, ':', n) != NULL;
        if (n > 0 && !is_here_only(at, n)) {
            (void)snprintf(out, URL_BYTES, "https://%s%.*s%s%s/trust", six ? "[" : "", (int)n, at,
                           six ? "]" : "", port);
            return true;
        }
        at += n + (at[n] == ' ');
    }
    return false;
}

static json_t *names_of(const porch_settings *s, porch_bytes ca) {
    json_t *list = json_array();
    char name[256];
    const char *at = s->hub_name;
    while (*at) {
        size_t n = strcspn(at, " ");
        (void)snprintf(name, sizeof name, "%.*s", (int)n, at);
        if (n > 0 && n < sizeof name && porch_x509_permits(ca, name, NULL) == PORCH_OK)
            (void)json_array_append_new(list, json_string(name));
        at += n + (at[n] == ' ');
    }
    return list;
}

void porch_api_trust(porch_http_exchange *x) {
    const porch_api *api = porch_api_of(x);
    const char *host = porch_http_header(x, "Host");
    char print[PORCH_X509_FINGERPRINT_TEXT_BYTES], url[URL_BYTES];
    porch_x509_info info;
    porch_why why = {""};
    char *svg = NULL;
    if (api->web_ca_pem.len == 0) {
        porch_api_json(x, 200, json_pack("{s:b}", "public_name", 1));
        return;
    }
    porch_err e = porch_x509_read(api->web_ca_pem, &info, &why);
    if (e != PORCH_OK) {
        porch_api_refuse(x, e, &why);
        return;
    }
    porch_x509_fingerprint_text(info.fingerprint, print);
    bool reachable = host != NULL && phone_url(api->settings, host, url);
    if (reachable) (void)porch_qr_svg(url, &svg, NULL);
    porch_api_json(x, 200,
                   json_pack("{s:b, s:s, s:I, s:o, s:s?, s:s?}", "public_name", 0, "fingerprint", print,
                             "ends_ms", (json_int_t)info.not_after_ms, "names",
                             names_of(api->settings, api->web_ca_pem), "url", reachable ? url : NULL,
                             "qr_svg", svg));
    free(svg);
}
