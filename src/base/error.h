/* Errors are values. PORCH_OK is 0; every other value comes from error_list.h and has a class and a
 * sentence. Where a caller can say more than the sentence, a porch_why travels beside the value. */
#ifndef PORCH_BASE_ERROR_H
#define PORCH_BASE_ERROR_H

#include "base/error_list.h"

#define PORCH_ERROR_ENUM(name, class, text) PORCH_ERR_##name,
typedef enum { PORCH_OK = 0, PORCH_ERROR_LIST(PORCH_ERROR_ENUM) PORCH_ERR_COUNT } porch_err;
#undef PORCH_ERROR_ENUM

typedef enum { PORCH_CLASS_RETRY, PORCH_CLASS_PEER, PORCH_CLASS_OURS } porch_err_class;

/* Short name ("TRUNCATED"), class, and the sentence. Any value is safe to pass. */
const char *porch_err_name(porch_err e);
porch_err_class porch_err_class_of(porch_err e);
const char *porch_err_text(porch_err e);

/* The one guard word. Never in a function that owns something: owners leave by one door. */
#define PORCH_TRY(call)                                  \
    do {                                                 \
        porch_err porch_try_e = (call);                  \
        if (porch_try_e != PORCH_OK) return porch_try_e; \
    } while (0)

/* What happened, for a person: one sentence, no newline, never a secret. */
typedef struct {
    char text[256];
} porch_why;

/* Writes the sentence into `why` (may be NULL) and returns `e`: `return porch_fail(why, PORCH_ERR_IO,
 * ...)`. Longer sentences are cut. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
porch_err
porch_fail(porch_why *why, porch_err e, const char *format, ...);
/* The sentence in `why`, or the error's own when there is none. */
const char *porch_why_text(const porch_why *why, porch_err e);

#endif
