#include "cloud/api/admin_issue.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cloud/signer/signer_client.h"
#include "os/file.h"

enum { PATH_BYTES = 4096, CA_BYTES_MOST = 65536 };

void porch_admin_hex(const uint8_t hash[32], char out[65]) {
    porch_buf b = {(uint8_t *)out, 0, 64};
    (void)porch_hex_write(&b, (porch_bytes){hash, 32});
    out[64] = '\0';
}

/* The device root, which is all that a device trusts. */
static porch_err read_root(porch_admin_call *call, json_t **ret) {
    char path[PATH_BYTES];
    uint8_t *pem = NULL;
    size_t len = 0;
    PORCH_TRY(porch_path_join(call->world->dir, "tls/device-root.pem", path, sizeof path));
    PORCH_TRY(porch_file_read(path, CA_BYTES_MOST, &pem, &len, call->why));
    *ret = json_stringn((const char *)pem, len);
    free(pem);
    return *ret != NULL ? PORCH_OK : porch_fail(call->why, PORCH_ERR_INTERNAL, "%s is not text", path);
}

/* The first of hub.name is what devices connect to. */
static json_t *hub_json(const porch_admin_world *w) {
    const char *names = w->settings->hub_name;
    size_t len = strcspn(names, " ");
    uint32_t mqtt = w->port[0] != 0 ? w->port[0] : w->settings->hub_mqtt_port;
    uint32_t device = w->port[1] != 0 ? w->port[1] : w->settings->hub_device_port;
    uint8_t key[32];
    char time_key[48] = "";
    porch_buf b = {(uint8_t *)time_key, 0, sizeof time_key - 1};
    if (w->signer != NULL && porch_signer_time_key(w->signer, key, NULL) == PORCH_OK)
        (void)porch_base64_write(&b, (porch_bytes){key, sizeof key}, false);
    time_key[b.len] = '\0';
    return json_pack("{s:o, s:i, s:i, s:s, s:s}", "host", json_stringn(names, len), "mqtt_port", (int)mqtt,
                     "device_port", (int)device, "id", w->settings->hub_id, "time_key", time_key);
}

porch_err porch_admin_issued(porch_admin_call *call, const char *name,
                             const porch_registry_issued *issued) {
    json_t *ca = NULL;
    PORCH_TRY(read_root(call, &ca));
    char fingerprint[65];
    porch_admin_hex(issued->fingerprint, fingerprint);
    json_t *o = json_pack("{s:s, s:s, s:o, s:I, s:I, s:s, s:s, s:o}", "id", name, "cert", issued->cert_pem,
                          "ca", ca, "starts_ms", (json_int_t)issued->starts_ms, "ends_ms",
                          (json_int_t)issued->ends_ms, "serial", issued->serial, "certificate_sha256",
                          fingerprint, "hub", hub_json(call->world));
    if (o == NULL) return porch_fail(call->why, PORCH_ERR_INTERNAL, "no memory for the answer");
    json_decref(call->result);
    call->result = o;
    return PORCH_OK;
}
