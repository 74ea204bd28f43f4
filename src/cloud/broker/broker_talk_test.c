#include "cloud/broker/brokertalk.h"

#include <cmocka.h>

/* The same bytes on every machine: a finding plays again. */
static uint64_t seed;

static uint8_t die(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint8_t)(seed >> 56);
}

static void whole_conversations_keep_the_rules(void **state) {
    const char *only = getenv("PORCH_TEST_TALK"); /* the number of one that failed */
    uint64_t first = only == NULL ? 1 : strtoull(only, NULL, 10), last = only == NULL ? 60 : first;
    (void)state;
    porch_log_init("talk", getenv("PORCH_TEST_LOG") != NULL ? PORCH_LOG_DEBUG : PORCH_LOG_ERROR);
    for (uint64_t n = first; n <= last; n++) {
        static uint8_t text[1024];
        size_t len = 0;
        seed = n * 0x9e3779b97f4a7c15u;
        text[len++] = die();
        for (uint8_t i = 0; i < 5; i++) { /* everybody is there and has subscribed */
            text[len++] = (uint8_t)(i << 4);
            text[len++] = die() & 0x7d;
            text[len++] = die();
            text[len++] = (uint8_t)(i << 4 | 5);
            text[len++] = die() & 3;
            text[len++] = die() & 0x4b;
        }
        while (len < sizeof text) {
            uint8_t b = die();
            if ((b & 15) == 14 && die() > 8) continue; /* nonsense is rare */
            text[len++] = b;
        }
        if (getenv("PORCH_TEST_LOG") != NULL)
            (void)fprintf(stderr, "conversation %llu\n", (unsigned long long)n);
        talk_play((porch_bytes){text, len});
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_conversations_keep_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
