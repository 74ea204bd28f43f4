/* device.conf: where the hub is and who this device is. Text in, a checked struct out; no heap, no OS.
 *
 *   # a comment
 *   hub.host = hub.example
 *   device.id = front-door
 *
 * One `section.key = value` a line, each key at most once. It holds no secret (it says where the private
 * key lies, not what it is) and nothing that could loosen trust: whom to believe is ca.pem's business
 * alone, and an unknown key is an error that names the nearest known one, so that a wish such as
 * `hub.verify = no` is refused instead of ignored. */
#ifndef PORCH_DEVICE_CONF_H
#define PORCH_DEVICE_CONF_H

#include "base/bytes.h"
#include "base/error.h"

#define PORCH_DEVICE_CONF_BYTES_MOST 16384

/* X(key, field, reader, needed, help). A device needs device.*, a service service.*; never both. */
#define PORCH_DEVICE_CONF_KEYS(X)                                                                        \
    X("hub.id", hub_id, read_id, false, "the hub's own name")                                            \
    X("hub.host", host, read_host, true, "DNS name or IP address, as the hub's certificate has it")      \
    X("hub.mqtt_port", mqtt_port, read_port, true, "port of MQTT over TLS")                              \
    X("hub.device_port", device_port, read_port, true, "port of the device HTTPS listener")              \
    X("hub.time_key", time_key, read_key, false, "by which the hub's time is known: base64 of 32 bytes") \
    X("device.id", device_id, read_id, false, "this device")                                             \
    X("device.product", product, read_id, false, "what this device is")                                  \
    X("service.name", service, read_id, false, "this service, when it is no device")                     \
    X("key.uri", key_uri, read_text, false, "where the private key lies; file:key.pem when missing")     \
    X("key.tpm", key_tpm, read_text, false, "how the TPM of tpm2: is reached, as tpm2-tss names it")     \
    X("key.file_for_development", key_file_for_development, read_true, false,                            \
      "true: the private key may be a file. A warning at each start; never in what is sold")

typedef struct {
    bool there;
    uint8_t at[32];
} porch_device_conf_key;

typedef struct {
    char hub_id[65];
    porch_device_conf_key time_key; /* Ed25519; wire/signed_time.h */
    char host[254];
    uint16_t mqtt_port;
    uint16_t device_port;
    char device_id[65]; /* "" for a service */
    char product[65];
    char service[65];  /* "" for a device */
    char key_uri[512]; /* "": file:key.pem; crypto/key_uri.h */
    char key_tpm[256]; /* "": /dev/tpmrm0 */
    bool key_file_for_development;
} porch_device_conf;

/* PORCH_ERR_CONFIG, with the line's number and what to write instead. */
porch_err porch_device_conf_parse(porch_bytes text, porch_device_conf *ret, porch_why *why);
/* What enrolment's answer says of the hub and of the device; empty where it says nothing. */
typedef struct {
    porch_bytes hub_id, product, time_key;
} porch_device_told;
/* Appends its lines to a conf. Each value is held to what its key takes, so that none is more than a value:
 * MALFORMED, with the hub named as who said it. NO_SPACE. */
porch_err porch_device_conf_tell(const porch_device_told *told, porch_buf *conf, porch_why *why);
/* The device's id or the service's name. */
const char *porch_device_conf_name(const porch_device_conf *conf);

#endif
