/* A request head of any content as an exchange keeps it: the zeros that end each value destroy nothing that
 * is still needed, and path and method are what the parser said. */
#include "cloud/listener/http_exchange.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const porch_http1_limits limits = {4096, 1024, 32};
static porch_shard shard;

static void must(bool holds) {
    if (!holds) abort();
}

/* The same head, read where nothing is changed. */
static void compare(const porch_http_exchange *x, porch_bytes head) {
    porch_http1_header room[32];
    porch_http1_request q;
    must(porch_http1_request_read(head, &limits, (porch_http1_headers){room, 0, 32}, NULL, &q) == PORCH_OK);
    must(porch_bytes_eq(porch_bytes_of(x->path), q.path));
    must(porch_bytes_eq(porch_bytes_of(x->method), q.method));
    must(x->head_only == (strcmp(x->method, "HEAD") == 0));
    must(x->request.headers.count == q.headers.count);
    for (size_t i = 0; i < q.headers.count; i++) {
        porch_bytes value = x->headers[i].value;
        must(porch_bytes_eq(x->headers[i].name, room[i].name));
        must(porch_bytes_eq(value, room[i].value));
        must(value.at[value.len] == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    porch_bytes head = {data, size};
    porch_http1_fault fault = {0, NULL};
    porch_http_exchange *x = calloc(1, sizeof *x);
    if (x == NULL) return 0;
    x->shard = &shard;
    shard.exchanges++;
    if (porch_exchange_parse(x, head, &limits, &fault) == PORCH_OK)
        compare(x, head);
    else
        must(fault.status >= 400 && fault.status <= 505 && fault.what != NULL);
    porch_exchange_free(x);
    return 0;
}
