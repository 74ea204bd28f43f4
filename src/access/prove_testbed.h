/* What the tests of proofs share: a world made of a text, and each question asked of it. */
#ifndef PORCH_ACCESS_PROVE_TESTBED_H
#define PORCH_ACCESS_PROVE_TESTBED_H

#include "access/prove.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
    porch_access_document document;
    porch_access_index index;
    porch_access_world world;
    uint64_t rows[8192];
} bench;

static inline void make(bench *b, const char *text) {
    porch_arena arena = porch_arena_of(b->rows, sizeof b->rows);
    porch_why why = {""};
    if (porch_access_document_parse(porch_bytes_of(text), &arena, &b->document, NULL, &why) != PORCH_OK)
        fail_msg("%s in\n%s", why.text, text);
    assert_int_equal(porch_access_index_make(&b->document, &arena, &b->index), PORCH_OK);
    assert_int_equal(porch_access_world_make(&b->document, &b->index, &arena, &b->world), PORCH_OK);
}

typedef struct {
    size_t count;
    char first[300];
} findings;

/* Each test says who takes part: a question about the world, whose findings go to `all`. */
static porch_access_question asked(const bench *b, findings *all);

static inline findings isolation(const char *text) {
    static bench b;
    findings all = {0, ""};
    porch_access_proof proof;
    make(&b, text);
    porch_access_question q = asked(&b, &all);
    porch_access_prove_isolation(&q, &proof);
    assert_int_equal(proof.undecided, 0);
    return all;
}

static inline void isolated(const char *text) {
    findings f = isolation(text);
    if (f.count != 0) fail_msg("%s\n%s", f.first, text);
}

static inline void broken(const char *text, const char *example) {
    findings f = isolation(text);
    if (strcmp(f.first, example) != 0) fail_msg("'%s' for\n%s", f.first, text);
}

static inline findings nobody_but(const char *text, const char *group, unsigned action,
                                  const char *filter) {
    static bench b;
    findings all = {0, ""};
    porch_access_proof proof;
    make(&b, text);
    porch_access_question q = asked(&b, &all);
    porch_access_prove_nobody(&q, porch_access_document_find(&b.document, porch_bytes_of(group)), action,
                              (porch_topic_filter){porch_bytes_of(filter)}, &proof);
    assert_int_equal(proof.undecided, 0);
    return all;
}

static inline findings newly(const char *before, const char *after) {
    static bench b, a;
    findings all = {0, ""};
    porch_access_proof proof;
    make(&b, before);
    make(&a, after);
    porch_access_question q = asked(&a, &all);
    porch_access_prove_newly(&q, &b.world, &proof);
    assert_int_equal(proof.undecided, 0);
    return all;
}

static uint32_t seed;
static inline uint32_t dice(uint32_t sides) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 10) % sides;
}

#endif
