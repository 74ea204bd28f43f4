/* Bytes of whole HTTP/1.1 connections against handlers of every kind (fuzzbed.h).
 *
 *   input:  flags, four bytes that seed the dice, the connection's bytes
 *   flags:  2: the devices' listener   4: with a certificate
 *
 * What leaves must begin with a status line of ours. */
#include "cloud/listener/fuzzbed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPTIONS = 5 };

static size_t seen;

static void on_output(porch_bytes b) {
    static const char begin[] = "HTTP/1.1 ";
    for (size_t i = 0; i < b.len && seen < sizeof begin - 1; i++)
        must(b.at[i] == (uint8_t)begin[seen++]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < OPTIONS) return 0;
    porch_shard *s = bed_shard();
    seen = 0;
    bed_seed = 0x9e3779b97f4a7c15;
    for (size_t i = 1; i < OPTIONS; i++)
        bed_seed = bed_seed * 257 + data[i];
    if (bed_seed == 0) bed_seed = 1;
    bed_peer.alpn = "http/1.1";
    bed_peer.certificate = (data[0] & 4) != 0;
    bed_peer.on_output = on_output;
    bed_play(s, (data[0] & 2) != 0 ? PORCH_LISTEN_DEVICE : PORCH_LISTEN_PEOPLE, (porch_bytes){NULL, 0},
             (porch_bytes){data + OPTIONS, size - OPTIONS});
    return 0;
}
