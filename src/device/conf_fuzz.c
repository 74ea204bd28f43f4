/* Any bytes as device.conf: either refused with a sentence, or a conf whose every field keeps its promise.
 */
#include "device/conf.h"

#include <stdlib.h>
#include <string.h>

#include "wire/id.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    porch_device_conf c;
    porch_why why = {{0}};
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
