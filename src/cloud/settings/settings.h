/* hub.conf and every limit, on one page.
 *
 *   # comment
 *   section.key = value
 *
 * settings_list.h holds the rows; this file makes the struct, the parser, the writer and the help out of
 * them. A settings value is plain data: load it once at start, hand it around as const. */
#ifndef PORCH_CLOUD_SETTINGS_H
#define PORCH_CLOUD_SETTINGS_H

#include "base/bytes.h"
#include "base/error.h"
#include "cloud/settings/settings_list.h"

enum { PORCH_SETTINGS_TEXT_BYTES = 1024 };

#define PORCH_SETTINGS_FIELD_U32(field)  uint32_t field;
#define PORCH_SETTINGS_FIELD_U64(field)  uint64_t field;
#define PORCH_SETTINGS_FIELD_BOOL(field) bool field;
#define PORCH_SETTINGS_FIELD_TEXT(field) char field[PORCH_SETTINGS_TEXT_BYTES];
#define PORCH_SETTINGS_FIELD(section, key, field, type, def, min, max, help) \
    PORCH_SETTINGS_FIELD_##type(field)
typedef struct porch_settings {
    PORCH_SETTINGS_LIST(PORCH_SETTINGS_FIELD)
} porch_settings;
#undef PORCH_SETTINGS_FIELD

/* One row of the list, for help and documentation. Static memory. */
typedef struct {
    const char *name; /* "section.key" */
    const char *type; /* "U32", "U64", "TEXT", "BOOL" */
    const char *help;
    const char *default_text; /* the default as hub.conf would write it */
    uint64_t min, max;
} porch_settings_row;

/* Every row at its default. */
void porch_settings_default(porch_settings *ret);
/* Defaults, then the file over them. PORCH_ERR_CONFIG names the line and what is wrong (an unknown key
 * with the nearest known one, a value out of its range, a key given twice); PORCH_ERR_IO when the file
 * cannot be read. *ret is written on success only. */
porch_err porch_settings_load(const char *path, porch_settings *ret, porch_why *why);
/* The same for text that is already in memory. */
porch_err porch_settings_parse(porch_bytes text, porch_settings *ret, porch_why *why);
/* Sets one row by its name, as if hub.conf had that line. */
porch_err porch_settings_set(porch_settings *s, const char *name, const char *value, porch_why *why);
/* Writes a hub.conf (mode 0600, atomically): rows that differ from the default as lines, with their help
 * as comments. What was written loads to an equal value. */
porch_err porch_settings_write(const char *path, const porch_settings *s, porch_why *why);
/* Sets one row in a hub.conf that is there, whose other lines stay as they are. */
porch_err porch_settings_change(const char *path, const char *name, const char *value, porch_why *why);
/* A hub.conf with nothing but defaults. */
porch_err porch_settings_write_default(const char *path, porch_why *why);
/* Row by index; false past the last. */
bool porch_settings_row_at(size_t index, porch_settings_row *ret);

#endif
