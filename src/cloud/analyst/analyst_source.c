#include "cloud/analyst/analyst_source.h"

#include <errno.h>
#include <unistd.h>

#include "os/channel.h"

void porch_analyst_source_init(porch_analyst_source *s, int memfd, int socket, uint64_t size) {
    *s = (porch_analyst_source){.memfd = memfd, .socket = socket, .size = size, .broken = PORCH_OK};
}

/* Takes one HAVE. What it says may only grow, and never past the memfd. */
static porch_err take_word(porch_analyst_source *s) {
    uint8_t block[32];
    porch_buf in = PORCH_BUF_OF(block);
    porch_analyst_message m;
    porch_err e = porch_channel_receive(s->socket, &in, NULL, 0, NULL, -1, NULL);
    if (e != PORCH_OK) return PORCH_ERR_CLOSED;
    PORCH_TRY(porch_analyst_read(porch_buf_bytes(&in), &m));
    if (m.type != PORCH_ANALYST_HAVE || m.as.have.bytes < s->have || m.as.have.bytes > s->size) {
        return PORCH_ERR_MALFORMED;
    }
    s->have = m.as.have.bytes;
    s->complete = m.as.have.complete;
    return PORCH_OK;
}

porch_err porch_analyst_source_read(porch_analyst_source *s, uint8_t *at, size_t cap, size_t *got) {
    while (s->broken == PORCH_OK && s->at >= s->have && !s->complete)
        s->broken = take_word(s);
    if (s->broken != PORCH_OK) return s->broken;
    if (s->at >= s->have) return PORCH_ERR_NOT_FOUND;
    uint64_t rest = s->have - s->at;
    size_t want = rest < cap ? (size_t)rest : cap;
    ssize_t n;
    do {
        n = pread(s->memfd, at, want, (off_t)s->at);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) return s->broken = PORCH_ERR_IO;
    s->at += (uint64_t)n;
    *got = (size_t)n;
    return PORCH_OK;
}
