/* Bytes of whole HTTP/2 connections against handlers of every kind (fuzzbed.h).
 *
 *   input:  flags, four bytes that seed the dice, the connection's bytes
 *   flags:  1: they begin behind preface and SETTINGS   2: the devices' listener   4: with a certificate
 *           8: the peer reads nothing
 *
 * What leaves must itself be sound frames: known types, no longer than agreed, nothing for a stream that
 * has ended. A mutator that knows frames keeps lengths right, so that the code behind nghttp2 is reached.
 */
#include "cloud/listener/fuzzbed.h"
#include "cloud/listener/http2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

enum { HEAD = 9, OPTIONS = 5, STREAMS_SEEN = 4096, FRAME_MOST = 16384 };
enum { T_DATA, T_HEADERS, T_PRIORITY, T_RST, T_SETTINGS, T_PUSH, T_PING, T_GOAWAY, T_WINDOW, T_MORE };

/* ---- what leaves ---- */

static struct {
    uint8_t head[HEAD];
    size_t head_got;
    uint32_t left;
    bool ended[STREAMS_SEEN];
} out;

static void check_frame(void) {
    uint32_t length = (uint32_t)out.head[0] << 16 | (uint32_t)out.head[1] << 8 | out.head[2];
    uint32_t id = (uint32_t)out.head[5] << 24 | (uint32_t)out.head[6] << 16 | (uint32_t)out.head[7] << 8 |
                  out.head[8];
    uint8_t type = out.head[3], flags = out.head[4];
    must(length <= FRAME_MOST && type <= T_MORE && type != T_PUSH && type != T_PRIORITY);
    must((type == T_DATA || type == T_HEADERS || type == T_RST) == (id != 0) || type == T_WINDOW ||
         type == T_MORE);
    if (id < STREAMS_SEEN && (type == T_DATA || type == T_HEADERS)) {
        must(!out.ended[id]);
        if ((flags & 1) != 0) out.ended[id] = true;
    }
    if (id < STREAMS_SEEN && type == T_RST) out.ended[id] = true;
    out.left = length;
}

static void on_output(porch_bytes b) {
    while (b.len > 0) {
        size_t skip = b.len < out.left ? b.len : out.left;
        out.left -= (uint32_t)skip;
        b = (porch_bytes){b.at + skip, b.len - skip};
        if (out.left > 0 || b.len == 0) return;
        out.head[out.head_got++] = b.at[0];
        b = (porch_bytes){b.at + 1, b.len - 1};
        if (out.head_got < HEAD) continue;
        out.head_got = 0;
        check_frame();
    }
}

/* 200 resets (http2.resets), 100 acknowledgements, an answer for each stream, some windows. */
static void on_turn(porch_shard *s) {
    if (s->conns == NULL || s->conns->hooks != &porch_http2_hooks || s->conns->user == NULL) return;
    const porch_http2_conn *h = s->conns->user;
    must(nghttp2_session_get_outbound_queue_size(h->session) < 512);
    must(h->stream_count <= 8 + 200);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t greeting[] =
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0";
    if (size < OPTIONS) return 0;
    porch_shard *s = bed_shard();
    uint8_t flags = data[0];
    memset(&out, 0, sizeof out);
    bed_seed = 0x9e3779b97f4a7c15;
    for (size_t i = 1; i < OPTIONS; i++)
        bed_seed = bed_seed * 257 + data[i];
    if (bed_seed == 0) bed_seed = 1;
    bed_peer.alpn = "h2";
    bed_peer.certificate = (flags & 4) != 0;
    bed_peer.deaf = (flags & 8) != 0;
    bed_peer.on_output = on_output;
    bed_peer.on_turn = on_turn;
    porch_bytes first = {greeting, (flags & 1) != 0 ? sizeof greeting - 1 : 0};
    bed_play(s, (flags & 2) != 0 ? PORCH_LISTEN_DEVICE : PORCH_LISTEN_PEOPLE, first,
             (porch_bytes){data + OPTIONS, size - OPTIONS});
    return 0;
}

/* ---- a mutator that knows frames ---- */

static uint32_t length_at(const uint8_t *at) {
    return (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
}

/* Where a frame picked at random begins and how long it is, head and all; false when there is none. */
static bool pick_frame(const uint8_t *data, size_t size, size_t *at, size_t *len) {
    size_t count = 0;
    for (size_t i = OPTIONS; i + HEAD <= size; count++) {
        size_t whole = HEAD + length_at(data + i);
        if (whole > size - i) break;
        if (dice((uint32_t)count + 1) == 0) {
            *at = i;
            *len = whole;
        }
        i += whole;
    }
    return count > 0;
}

static size_t mutate_payload(uint8_t *data, size_t size, size_t most, size_t at, size_t len) {
    static uint8_t piece[FRAME_MOST];
    size_t had = len - HEAD;
    if (had > sizeof piece || (had == 0 && most == size)) return LLVMFuzzerMutate(data, size, most);
    memcpy(piece, data + at + HEAD, had);
    size_t room = most - size + had < sizeof piece ? most - size + had : sizeof piece;
    size_t now = LLVMFuzzerMutate(piece, had, room);
    memmove(data + at + HEAD + now, data + at + len, size - at - len);
    memcpy(data + at + HEAD, piece, now);
    data[at] = (uint8_t)(now >> 16);
    data[at + 1] = (uint8_t)(now >> 8);
    data[at + 2] = (uint8_t)now;
    return size - had + now;
}

/* Another copy of the frame, for the stream two further on, right behind it. */
static size_t repeat(uint8_t *data, size_t size, size_t most, size_t at, size_t len) {
    if (len > most - size) return size;
    memmove(data + at + len, data + at, size - at);
    if (dice(2) == 0) data[at + len + HEAD - 1] += 2;
    return size + len;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    size_t at = 0, len = 0;
    bed_seed = seed * 0x9e3779b97f4a7c15ULL + 1;
    uint32_t kind = dice(8);
    if (kind < 3 || size < OPTIONS || !pick_frame(data, size, &at, &len))
        return LLVMFuzzerMutate(data, size, most);
    switch (kind) {
    case 3:
    case 4:
        return mutate_payload(data, size, most, at, len);
    case 5:
        return repeat(data, size, most, at, len);
    case 6:
        memmove(data + at, data + at + len, size - at - len);
        return size - len;
    default:
        (void)LLVMFuzzerMutate(data + at + 3, HEAD - 3, HEAD - 3); /* type, flags, stream */
        return size;
    }
}
