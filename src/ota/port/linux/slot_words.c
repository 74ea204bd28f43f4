#include "ota/port/linux/slot_words.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "crypto/tpm.h"
#include "ota/port/linux/slot_files.h"

enum { OPTIONS = 6 };

static int usage(const porch_slot_program *p, const char *complaint, const char *what) {
    (void)fprintf(stderr, "%s: %s%s; see %s --help\n", p->program, complaint, what, p->program);
    return PORCH_SLOT_WORDS_USAGE;
}

/* What was said, as a whole. */
static int judge(const porch_slot_program *p, porch_slot_words *w) {
    if (w->folder == NULL) return usage(p, "FOLDER is missing", "");
    if (w->command == NULL && !p->starts) return usage(p, "FOLDER and a command are needed", "");
    if ((w->tpm == NULL) != (w->floor_at == NULL))
        return usage(p, "--tpm and --floor-at belong together", "");
    return w->floor_at == NULL || porch_slot_files_index_read(w->floor_at, &w->floor_index)
               ? -1
               : usage(p, "an index is 0x and eight hex digits, not ", w->floor_at);
}

int porch_slot_words_read(const porch_slot_program *p, int argc, char **argv, porch_slot_words *ret) {
    const struct {
        const char *name;
        const char **value;
    } options[OPTIONS] = {{p->image, &ret->image},        {"--counter", &ret->counter},
                          {"--sha256", &ret->sha256},     {"--tpm", &ret->tpm},
                          {"--floor-at", &ret->floor_at}, {"--bus", &ret->bus}};
    const size_t count = p->has_bus ? OPTIONS : OPTIONS - 1;
    for (int i = 1; i < argc; i++) {
        size_t n = 0;
        while (n < count && strcmp(argv[i], options[n].name) != 0)
            n++;
        if (strcmp(argv[i], "--help") == 0) {
            (void)fputs(p->help, stdout);
            return PORCH_SLOT_WORDS_DONE;
        }
        if (p->starts && strcmp(argv[i], "--") == 0) {
            ret->rest = argv + i;
            break;
        }
        if (n < count) {
            if (++i >= argc) return usage(p, "a value is missing after ", argv[i - 1]);
            *options[n].value = argv[i];
        } else if (argv[i][0] == '-') {
            return usage(p, "there is no option ", argv[i]);
        } else if (ret->folder == NULL) {
            ret->folder = argv[i];
        } else if (ret->command == NULL) {
            ret->command = argv[i];
        } else {
            return usage(p, "a word too many: ", argv[i]);
        }
    }
    return judge(p, ret);
}

porch_err porch_slot_words_image(const porch_slot_program *p, const porch_slot_words *w, bool install,
                                 porch_slot_image *ret, porch_why *why) {
    uint8_t hash[32];
    porch_buf wanted = PORCH_BUF_OF(hash);
    uint64_t counter = 0;
    if (w->image == NULL || w->counter == NULL || (install && w->sha256 == NULL) ||
        porch_decimal_read(porch_bytes_of(w->counter), UINT64_MAX, &counter) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_USAGE, "%s FILE, --counter N%s are needed", p->image,
                          install ? " and --sha256 HEX, what was signed," : "");
    PORCH_TRY(porch_slot_files_measure(w->image, counter, ret, why));
    if (w->sha256 == NULL) return PORCH_OK;
    if (porch_hex_read(&wanted, porch_bytes_of(w->sha256)) != PORCH_OK || wanted.len != sizeof hash)
        return porch_fail(why, PORCH_ERR_USAGE, "--sha256 is 64 lower-case hex digits");
    return memcmp(hash, ret->sha256, sizeof hash) == 0
               ? PORCH_OK
               : porch_fail(why, PORCH_ERR_HASH, "%.200s has not the hash that was signed", w->image);
}

porch_err porch_slot_words_make_floor(const porch_slot_words *w, uint64_t counter, porch_why *why) {
    uint64_t kept = 0;
    if (w->tpm == NULL || porch_tpm_floor_read(w->tpm, w->floor_index, &kept, why) == PORCH_OK)
        return PORCH_OK;
    return porch_tpm_floor_make(w->tpm, w->floor_index, counter, why);
}
