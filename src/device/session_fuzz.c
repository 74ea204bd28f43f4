/* Any bytes from a hub: the session neither reads nor writes past its blocks, gives sane events, and ends
 * at most once. The input's first byte says in what bites the rest arrives. */
#include "device/session.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    static uint8_t in[1024], out[1024];
    static const uint8_t connack[] = {0x20, 3, 0, 0, 0};
    porch_session s;
    const porch_session_config config = {"front-door", 30, 20000, 4};
    porch_session_init(&s, &config, PORCH_BUF_OF(in), PORCH_BUF_OF(out));
    if (porch_session_start(&s, 1) != PORCH_OK) abort();
    if (len == 0) return 0;
    size_t bite = (at[0] & 0x7f) + 1u, taken = 0;
    if ((at[0] & 0x80) != 0) porch_session_take(&s, (porch_bytes){connack, sizeof connack}, 1, &taken);
    at++;
    len--;
    bool over = false;
    uint64_t now = 1;
    for (int idle = 0; idle < 2;) {
        porch_session_event e;
        while (porch_session_next(&s, now, &e)) {
            if (over) abort();
            over = e.kind == PORCH_SESSION_OVER;
            if (e.kind == PORCH_SESSION_MESSAGE && e.qos > 1) abort();
            if (e.kind == PORCH_SESSION_ACKNOWLEDGED && (e.ticket < 1 || e.ticket > 4)) abort();
            porch_topic_name topic;
            porch_topic_filter filter;
            if (e.kind != PORCH_SESSION_CONNECTED) continue;
            if (porch_topic_name_parse(PORCH_LIT("d/a/x"), NULL, &topic) != PORCH_OK) abort();
            if (porch_topic_filter_parse(PORCH_LIT("d/a/#"), NULL, &filter) != PORCH_OK) abort();
            for (uint64_t ticket = 1; ticket <= 3; ticket++)
                (void)porch_session_publish(&s, topic, PORCH_LIT("payload"), 1, ticket, now);
            (void)porch_session_subscribe(&s, filter, 4, now);
        }
        porch_session_sent(&s, porch_session_output(&s).len, now);
        porch_session_tick(&s, now += 1000);
        size_t n = bite < len ? bite : len;
        porch_session_take(&s, (porch_bytes){at, n}, now, &taken);
        at += taken;
        len -= taken;
        idle = taken == 0 ? idle + 1 : 0;
    }
    return 0;
}
