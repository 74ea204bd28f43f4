/* Any bytes as device.conf: either refused with a sentence, or a conf whose every field keeps its promise.
 * The same bytes as what a hub tells: refused, or one line that a conf may have. */
#include "device/conf.h"

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "wire/id.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void tell(const porch_device_told *told) {
    static const char rest[] = "hub.host = a\nhub.mqtt_port = 1\nhub.device_port = 2\ndevice.id = d\n";
    uint8_t block[512];
    porch_buf b = PORCH_BUF_OF(block);
    porch_device_conf c;
    if (porch_write_text(&b, rest) != PORCH_OK) abort();
    size_t before = b.len;
    if (porch_device_conf_tell(told, &b, NULL) != PORCH_OK || b.len == before) return;
    if (porch_device_conf_parse(porch_buf_bytes(&b), &c, NULL) != PORCH_OK) abort();
    if (memchr(b.at + before, '\n', b.len - before) != b.at + b.len - 1) abort(); /* one line */
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    porch_device_conf c;
    porch_why why = {{0}};
    tell(&(porch_device_told){.hub_id = {at, len}});
    tell(&(porch_device_told){.product = {at, len}});
    tell(&(porch_device_told){.time_key = {at, len}});
    if (porch_device_conf_parse((porch_bytes){at, len}, &c, &why) != PORCH_OK) {
        if (why.text[0] == 0) abort();
        return 0;
    }
    porch_id id;
    if (porch_id_parse(porch_bytes_of(porch_device_conf_name(&c)), &id) != PORCH_OK) abort();
    if (c.host[0] == 0 || c.mqtt_port == 0 || c.device_port == 0) abort();
    if ((c.device_id[0] != 0) == (c.service[0] != 0)) abort();
    return 0;
}
