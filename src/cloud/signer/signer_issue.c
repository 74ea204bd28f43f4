/* Certificates: four profiles, and nothing that is not one of them. */
#include "cloud/signer/signer_room.h"

#include <string.h>

#include "base/cursor.h"
#include "crypto/identity.h"
#include "crypto/x509.h"

enum {
    DAY_MS = 86400000,
    SERVER_DAYS = 90,
    /* Devices' clocks may be a little slow: a certificate holds from shortly before it was asked for. */
    BACKDATE_MS = 300000,
    CHAIN_PEM_MAX = PORCH_SIGNER_PEM_MAX,
};

static const struct {
    const char *name;
    porch_profile profile;
    bool server; /* names are hosts of hub.conf; else one id */
    bool by_web_ca;
} profiles[] = {
    [PORCH_SIGNER_DEVICE] = {"device", PORCH_PROFILE_DEVICE, false, false},
    [PORCH_SIGNER_SERVICE] = {"service", PORCH_PROFILE_SERVICE, false, false},
    [PORCH_SIGNER_HUB_SERVER] = {"hub-server", PORCH_PROFILE_HUB_SERVER, true, false},
    [PORCH_SIGNER_WEB_SERVER] = {"web-server", PORCH_PROFILE_WEB_SERVER, true, true},
};

/* Is `name` one of the words of the setting hub.name? */
static bool is_own_name(const porch_settings *settings, porch_bytes name) {
    const char *at = settings->hub_name;
    while (*at) {
        size_t n = strcspn(at, " ");
        if (n > 0 && porch_bytes_eq(name, (porch_bytes){(const uint8_t *)at, n})) return true;
        at += n + (at[n] == ' ');
    }
    return false;
}

/* Texts of the request's names, zero-terminated. */
typedef struct {
    char text[PORCH_SIGNER_NAMES_MAX][PORCH_SIGNER_NAME_MAX + 1];
} name_texts;

static porch_err server_names(const porch_signer *s, const porch_signer_request *r, name_texts *texts,
                              porch_ca_names *ret, porch_why *why) {
    for (size_t i = 0; i < r->names_count; i++) {
        if (!is_own_name(&s->settings, r->names[i]))
            return porch_fail(why, PORCH_ERR_DENIED,
                              "%.*s is not among this hub's names; add it to hub.name in hub.conf",
                              PORCH_FMT(r->names[i]));
        if (!porch_bytes_to_text(r->names[i], texts->text[i], sizeof texts->text[i]))
            return PORCH_ERR_MALFORMED;
        ret->name[i] = texts->text[i];
    }
    ret->count = r->names_count;
    return PORCH_OK;
}

static porch_err client_name(const porch_signer_request *r, porch_profile profile, porch_identity *ret,
                             porch_why *why) {
    porch_identity_kind kind =
        profile == PORCH_PROFILE_DEVICE ? PORCH_IDENTITY_DEVICE : PORCH_IDENTITY_SERVICE;
    if (r->names_count == 1 && porch_identity_make(kind, r->names[0], ret) == PORCH_OK) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_MALFORMED,
                      "a %s has one name: lower-case letters, digits and '-', beginning with a letter or "
                      "digit, 1 to 64 long",
                      porch_identity_kind_text(kind));
}

static porch_err life_days(const porch_signer *s, bool server, uint32_t asked, uint32_t *ret,
                           porch_why *why) {
    uint32_t most = server ? SERVER_DAYS : s->settings.hub_certificate_days;
    if (asked > most)
        return porch_fail(why, PORCH_ERR_LIMIT, "a certificate of this kind is valid for at most %u days%s",
                          most, server ? "" : " (hub.certificate_days)");
    *ret = asked ? asked : most;
    return PORCH_OK;
}

static porch_err take_turn(porch_signer *s, porch_signer_profile profile, uint64_t mono_ms,
                           porch_why *why) {
    uint64_t wait_ms = 0;
    if (porch_signer_rate_take(&s->rates[profile], mono_ms, &wait_ms)) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_BUSY,
                      "too many %s certificates at once; try again in %llu ms (signer.*_issues_per_minute)",
                      profiles[profile].name, (unsigned long long)wait_ms);
}

static porch_err sign(const porch_signer_issuer *issuer, porch_bytes csr, const porch_ca_request *request,
                      porch_buf *out, porch_why *why) {
    porch_public_key subject;
    PORCH_TRY(porch_csr_read(csr, &subject, why));
    porch_ca ca = {{issuer->cert_pem, issuer->cert_len}, issuer->key};
    return porch_ca_issue(&ca, &subject, request, out, why);
}

porch_err porch_signer_do_issue(porch_signer *s, const porch_signer_request *r, porch_signer_now now,
                                porch_buf *data, porch_why *why) {
    bool server = profiles[r->profile].server;
    const porch_signer_issuer *issuer = profiles[r->profile].by_web_ca ? &s->web : &s->issuing;
    porch_ca_request request = {.profile = profiles[r->profile].profile};
    porch_identity identity = {0};
    name_texts texts;
    uint32_t days = 0;
    if (server) {
        PORCH_TRY(server_names(s, r, &texts, &request.names, why));
    } else {
        PORCH_TRY(client_name(r, request.profile, &identity, why));
        request.id = identity.name;
    }
    PORCH_TRY(life_days(s, server, r->days, &days, why));
    /* A device believes that the time at which its certificate begins has been. */
    if (!server) PORCH_TRY(porch_signer_clock_tell(s, now, why));
    PORCH_TRY(take_turn(s, r->profile, now.mono_ms, why));
    request.not_before_ms = now.wall_ms - BACKDATE_MS;
    request.not_after_ms = now.wall_ms + (uint64_t)days * DAY_MS;

    porch_buf out = *data;
    porch_x509_info info;
    PORCH_TRY(sign(issuer, r->data, &request, &out, why));
    PORCH_TRY(porch_x509_read((porch_bytes){data->at + data->len, out.len - data->len}, &info, why));
    if (!profiles[r->profile].by_web_ca)
        PORCH_TRY(porch_write_bytes(&out, (porch_bytes){issuer->cert_pem, issuer->cert_len}));
    PORCH_TRY(porch_signer_journal_issue(&s->journal, now.wall_ms, profiles[r->profile].name, r->names[0],
                                         info.serial, info.not_after_ms, why));
    *data = out;
    return PORCH_OK;
}
