/* A stream of frames: each that is read must be written back as the very bytes it was made of, the cuts
 * must add up, and every shorter piece of a good frame must ask for more. */
#include "wire/mqtt_frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds) abort();
}

static void written_again_it_is_the_same(porch_bytes in, const porch_mqtt_frame *f) {
    uint8_t header[PORCH_MQTT_HEADER_MOST];
    porch_buf b = PORCH_BUF_OF(header);
    must(porch_mqtt_frame_write_header(&b, f->type, f->flags, f->body.len) == PORCH_OK);
    must(b.len + f->body.len == f->bytes && f->bytes <= in.len);
    must(memcmp(header, in.at, b.len) == 0 && f->body.at == in.at + b.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    porch_bytes in = {data, size};
    for (;;) {
        porch_mqtt_frame f, g;
        porch_mqtt_fault fault = {0, NULL};
        porch_err e = porch_mqtt_frame_read(in, 4096, &fault, &f);
        if (e != PORCH_OK) {
            must((e == PORCH_ERR_TRUNCATED) == (fault.what == NULL));
            return 0;
        }
        written_again_it_is_the_same(in, &f);
        for (size_t cut = 0; cut < f.bytes; cut += 1 + cut / 8)
            must(porch_mqtt_frame_read((porch_bytes){in.at, cut}, 4096, NULL, &g) == PORCH_ERR_TRUNCATED);
        in = (porch_bytes){in.at + f.bytes, in.len - f.bytes};
    }
}
