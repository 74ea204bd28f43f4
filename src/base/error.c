#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

typedef struct {
    const char *name;
    porch_err_class class_of;
    const char *text;
} error_row;

#define ROW(name, class, text) {#name, PORCH_CLASS_##class, text},
static const error_row rows[] = {{"OK", PORCH_CLASS_RETRY, "it worked"}, PORCH_ERROR_LIST(ROW)};
#undef ROW

static const error_row *row_of(porch_err e) {
    static const error_row unknown = {"UNKNOWN", PORCH_CLASS_OURS,
                                      "an error without a name; please report it"};
    return (unsigned)e < sizeof rows / sizeof rows[0] ? &rows[e] : &unknown;
}

const char *porch_err_name(porch_err e) {
    return row_of(e)->name;
}

porch_err_class porch_err_class_of(porch_err e) {
    return row_of(e)->class_of;
}

const char *porch_err_text(porch_err e) {
    return row_of(e)->text;
}

porch_err porch_fail(porch_why *why, porch_err e, const char *format, ...) {
    if (why == NULL) return e;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
    return e;
}

const char *porch_why_text(const porch_why *why, porch_err e) {
    return (why != NULL && why->text[0] != '\0') ? why->text : porch_err_text(e);
}
