/* Words of which manual pages are made, in roff (man(7)): a page is written once, in the table that also
 * makes `--help`, and printed by the program that it belongs to. Text goes in as people read it; what roff
 * would take for an order (a backslash, a dot at a line's beginning) is escaped here.
 *
 *   begin ─► heading ─► text | item | example ─► ... */
#ifndef PORCH_CLOUD_SETTINGS_MANUAL_H
#define PORCH_CLOUD_SETTINGS_MANUAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Title and NAME section. */
void porch_manual_begin(FILE *to, const char *name, unsigned section, const char *what);
void porch_manual_heading(FILE *to, const char *text);
/* A heading below a heading. */
void porch_manual_part(FILE *to, const char *text);
/* A paragraph; single line ends are spaces. */
void porch_manual_text(FILE *to, const char *text);
/* A word in bold with what it means behind it; `value` (may be NULL) follows in italics. */
void porch_manual_item(FILE *to, const char *word, const char *value, const char *text);
/* Lines as they are. */
void porch_manual_example(FILE *to, const char *text);

/* A section of words and meanings (files, environment, exit status), in its order. */
typedef struct {
    const char *word, *text;
} porch_manual_row;
void porch_manual_rows(FILE *to, const char *heading, const porch_manual_row *rows, size_t count);

/* porchlight-hub.conf(5): every setting with default, range and meaning. */
void porch_manual_settings(FILE *to);

#endif
