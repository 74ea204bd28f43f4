/* A message that is accepted is written again, and what was written is read as the same message. */
#include "wire/update_news.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds) abort();
}

static void desired(porch_bytes json) {
    uint8_t block[PORCH_UPDATE_NEWS_MOST], second[PORCH_UPDATE_NEWS_MOST];
    porch_buf b = PORCH_BUF_OF(block), c = PORCH_BUF_OF(second);
    porch_update_desired d, again;
    porch_why why = {""};
    if (porch_update_desired_read(json, &d, &why) != PORCH_OK) {
        must(why.text[0] != '\0');
        return;
    }
    must(porch_update_desired_write(&b, &d) == PORCH_OK);
    must(porch_update_desired_read(porch_buf_bytes(&b), &again, NULL) == PORCH_OK);
    must(again.any == d.any && again.attempt == d.attempt && porch_bytes_eq(again.version, d.version));
    must(porch_update_desired_write(&c, &again) == PORCH_OK);
    must(porch_bytes_eq(porch_buf_bytes(&b), porch_buf_bytes(&c)));
}

static void status(porch_bytes json) {
    uint8_t block[PORCH_UPDATE_NEWS_MOST], second[PORCH_UPDATE_NEWS_MOST];
    porch_buf b = PORCH_BUF_OF(block), c = PORCH_BUF_OF(second);
    porch_update_status s, again;
    porch_why why = {""};
    if (porch_update_status_read(json, &s, &why) != PORCH_OK) {
        must(why.text[0] != '\0');
        return;
    }
    must(porch_update_status_write(&b, &s) == PORCH_OK);
    must(porch_update_status_read(porch_buf_bytes(&b), &again, NULL) == PORCH_OK);
    must(again.state == s.state && again.floor == s.floor && again.way == s.way);
    must(porch_bytes_eq(again.reason, s.reason) && porch_bytes_eq(again.running, s.running));
    must(porch_update_status_write(&c, &again) == PORCH_OK);
    must(porch_bytes_eq(porch_buf_bytes(&b), porch_buf_bytes(&c)));
    s.reason = json; /* any bytes at all */
    b.len = 0;
    must(porch_update_status_write(&b, &s) == PORCH_OK);
    must(porch_update_status_read(porch_buf_bytes(&b), &again, NULL) == PORCH_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    desired((porch_bytes){data, size});
    status((porch_bytes){data, size});
    return 0;
}
