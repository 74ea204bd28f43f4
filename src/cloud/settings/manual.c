#include "cloud/settings/manual.h"

#include <ctype.h>
#include <string.h>

#include "cloud/settings/settings.h"

/* One text on one output line, `fold`: line ends become spaces. */
static void put(FILE *to, const char *text, bool fold) {
    bool at_start = true;
    for (const char *c = text; *c; c++) {
        if (at_start && (*c == '.' || *c == '\'')) fputs("\\&", to);
        at_start = *c == '\n' && !fold;
        if (*c == '\\')
            fputs("\\e", to);
        else if (*c == '-')
            fputs("\\-", to);
        else if (*c == '\n' && fold)
            fputc(' ', to);
        else
            fputc(*c, to);
    }
    fputc('\n', to);
}

static void put_upper(FILE *to, const char *text) {
    for (const char *c = text; *c; c++)
        fputc(toupper((unsigned char)*c), to);
}

void porch_manual_begin(FILE *to, const char *name, unsigned section, const char *what) {
    fputs(".TH ", to);
    put_upper(to, name);
    fprintf(to, " %u \"\" \"Porchlight %s\" \"Porchlight\"\n.SH NAME\n", section, PORCH_VERSION);
    fprintf(to, "%s \\- ", name);
    put(to, what, true);
}

void porch_manual_heading(FILE *to, const char *text) {
    fputs(".SH ", to);
    put(to, text, true);
}

void porch_manual_part(FILE *to, const char *text) {
    fputs(".SS ", to);
    put(to, text, true);
}

void porch_manual_text(FILE *to, const char *text) {
    fputs(".PP\n", to);
    put(to, text, true);
}

void porch_manual_item(FILE *to, const char *word, const char *value, const char *text) {
    fprintf(to, ".TP\n\\fB");
    for (const char *c = word; *c; c++)
        fputs(*c == '-' ? "\\-" : (char[]){*c, '\0'}, to);
    fputs("\\fR", to);
    if (value) fprintf(to, " \\fI%s\\fR", value);
    fputc('\n', to);
    put(to, text, true);
}

void porch_manual_example(FILE *to, const char *text) {
    fputs(".PP\n.nf\n.RS\n", to);
    put(to, text, false);
    fputs(".RE\n.fi\n", to);
}

void porch_manual_rows(FILE *to, const char *heading, const porch_manual_row *rows, size_t count) {
    porch_manual_heading(to, heading);
    for (size_t i = 0; i < count; i++)
        porch_manual_item(to, rows[i].word, NULL, rows[i].text);
}

/* ---- porchlight-hub.conf(5) ---- */

static void put_setting(FILE *to, const porch_settings_row *row) {
    char text[2048];
    const char *kind = strcmp(row->type, "BOOL") == 0   ? "true or false"
                       : strcmp(row->type, "TEXT") == 0 ? "text, length"
                                                        : "a number,";
    if (strcmp(row->type, "BOOL") == 0)
        (void)snprintf(text, sizeof text, "%s. Default: %s (%s).", row->help, row->default_text, kind);
    else
        (void)snprintf(text, sizeof text, "%s. Default: %s (%s %llu to %llu).", row->help,
                       row->default_text[0] ? row->default_text : "empty", kind,
                       (unsigned long long)row->min, (unsigned long long)row->max);
    porch_manual_item(to, row->name, NULL, text);
}

void porch_manual_settings(FILE *to) {
    static const porch_manual_row files[] = {
        {"DIR/hub.conf", "the file itself; mode 0600, the hub's user owns it"},
    };
    porch_settings_row row;
    char section[32] = "";
    porch_manual_begin(to, "porchlight-hub.conf", 5, "settings and limits of a Porchlight hub");
    porch_manual_heading(to, "DESCRIPTION");
    porch_manual_text(to,
                      "hub.conf lies in the hub's directory and holds only what differs from the "
                      "defaults, one setting a line; a line that begins with # is a comment. It is read "
                      "when the hub starts. An unknown key is refused with the nearest known one, a "
                      "value outside its range with the range.");
    porch_manual_example(to, "section.key = value");
    for (size_t i = 0; porch_settings_row_at(i, &row); i++) {
        size_t n = strcspn(row.name, ".");
        if (strlen(section) != n || strncmp(section, row.name, n) != 0) {
            (void)snprintf(section, sizeof section, "%.*s", (int)n, row.name);
            porch_manual_heading(to, section);
        }
        put_setting(to, &row);
    }
    porch_manual_rows(to, "FILES", files, sizeof files / sizeof *files);
    porch_manual_heading(to, "SEE ALSO");
    porch_manual_text(to, "porchlightd(8), porchlight(1)");
}
