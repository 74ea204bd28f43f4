/* For programs that read the sources one by one and cannot see into base/error.c: what porch_fail answers
 * is what it was given, so a path on which it answers PORCH_OK is none. Included before each source by
 * analyzers.py, never by a build. */
#include "base/error.h"

static inline porch_err porch_fail_is(porch_err told, porch_err e) {
    (void)told;
    return e;
}
#define porch_fail(why, e, ...) porch_fail_is(porch_fail((why), (e), __VA_ARGS__), (e))
