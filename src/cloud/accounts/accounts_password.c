#include "cloud/accounts/accounts_password.h"

#include <stdio.h>
#include <string.h>
#include <zxcvbn.h>

#include "base/text.h"

/* zxcvbn's time grows faster than the length; what stands past this adds strength that nobody needs
 * counted. */
enum { ESTIMATED_BYTES = 100, LEAST_CHARACTERS = 12, NAME_WORDS = 6, NAME_BYTES = 64 };
static const double LEAST_LOG10 = 10.0;
static const double LOG10_OF_2 = 0.30102999566398120;

static bool is_capital(uint32_t c) {
    return (c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7) || (c >= 0x391 && c <= 0x3A9) ||
           (c >= 0x400 && c <= 0x42F);
}

static bool is_symbol(uint32_t c) {
    return (c > ' ' && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') || (c > 'z' && c < 0x7F) ||
           (c >= 0xA1 && c <= 0xBF) || (c >= 0x2010 && c <= 0x2BFF) || c >= 0x1F000;
}

/* The next code point of text that is known to be well-formed UTF-8. */
static uint32_t next_character(porch_bytes text, size_t *at) {
    uint8_t first = text.at[(*at)++];
    unsigned more = first < 0x80 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    uint32_t c = more == 0 ? first : (uint32_t)first & (0x3Fu >> more);
    while (more-- > 0)
        c = (c << 6) | (text.at[(*at)++] & 0x3Fu);
    return c;
}

static porch_err look_at_characters(porch_bytes password, porch_password_verdict *v, porch_why *why) {
    size_t count = 0;
    for (size_t at = 0; at < password.len; count++) {
        uint32_t c = next_character(password, &at);
        if (c < ' ' || (c >= 0x7F && c < 0xA0))
            return porch_fail(why, PORCH_ERR_MALFORMED,
                              "the password has a control character; type it instead of pasting it");
        v->capital = v->capital || is_capital(c);
        v->symbol = v->symbol || is_symbol(c);
    }
    v->long_enough = count >= LEAST_CHARACTERS;
    return PORCH_OK;
}

static void tip(porch_password_verdict *v, const char *sentence) {
    if (v->tip_count < PORCH_PASSWORD_TIPS)
        (void)snprintf(v->tips[v->tip_count++], sizeof v->tips[0], "%s", sentence);
}

/* The weakness that explains most of the password: the kind of match that covers the most characters. */
static int worst_kind(const ZxcMatch_t *match) {
    int covered[MULTIPLE_MATCH] = {0};
    for (; match != NULL; match = match->Next) {
        int kind = (int)match->Type & (MULTIPLE_MATCH - 1);
        /* Look-alikes of the person's name are still the name; single characters are no word. */
        if (kind == USER_LEET_MATCH) kind = USER_MATCH;
        /* What stands there several times over is a repetition, whatever it repeats. */
        if (((int)match->Type & MULTIPLE_MATCH) != 0) kind = REPEATS_MATCH;
        if (match->Length > 1) covered[kind] += match->Length;
    }
    /* The name is the first thing tried: it wins over longer matches. */
    if (covered[USER_MATCH] > 2) return USER_MATCH;
    int worst = NON_MATCH;
    for (int kind = DICTIONARY_MATCH; kind < MULTIPLE_MATCH; kind++)
        if (covered[kind] > covered[worst]) worst = kind;
    return worst;
}

static const char *tip_for(int kind) {
    switch (kind) {
    case USER_MATCH:
        return "It holds your name or ours, which a guesser tries first. Leave them out.";
    case DICT_LEET_MATCH:
        return "Look-alikes such as @ for a or 0 for o are tried by every guesser. Add an unrelated word "
               "instead.";
    case DICTIONARY_MATCH:
        return "Most of it is a word or password that stands on every guesser's list. Join four unrelated "
               "words.";
    case REPEATS_MATCH:
        return "Repeating letters or words adds length but hardly any guesses. Say each thing once.";
    case SEQUENCE_MATCH:
        return "Runs such as abcd or 6789 are tried early. Break them up with something unrelated.";
    case SPATIAL_MATCH:
        return "Neighbouring keys make a pattern that guessers know. Use words instead of keyboard paths.";
    case DATE_MATCH:
    case YEAR_MATCH:
        return "Dates and years are few: all of a century are tried in an instant. Leave them out.";
    default:
        return "It can be guessed too fast. Add one or two unrelated words.";
    }
}

/* The words of a name, lower-cased: a guesser knows them. */
static void name_words(porch_bytes name, char out[NAME_WORDS][NAME_BYTES + 1], const char *words[]) {
    size_t count = 0;
    size_t at = 0;
    words[count++] = "porchlight";
    while (at < name.len && count <= NAME_WORDS) {
        size_t len = 0;
        while (at < name.len && (name.at[at] == ' ' || name.at[at] == '.' || name.at[at] == '@'))
            at++;
        while (at < name.len && name.at[at] != ' ' && name.at[at] != '.' && name.at[at] != '@') {
            uint8_t c = name.at[at++];
            if (len < NAME_BYTES) out[count - 1][len++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        }
        out[count - 1][len] = '\0';
        if (len > 1) {
            words[count] = out[count - 1];
            count++;
        }
    }
    words[count] = NULL;
}

static void estimate(porch_bytes password, porch_bytes name, porch_password_verdict *v, int *kind) {
    char text[ESTIMATED_BYTES + 1];
    size_t len = password.len < ESTIMATED_BYTES ? password.len : ESTIMATED_BYTES;
    if (len > 0) memcpy(text, password.at, len);
    text[len] = '\0';
    char own[NAME_WORDS][NAME_BYTES + 1];
    const char *words[NAME_WORDS + 2];
    name_words(name, own, words);
    ZxcMatch_t *matches = NULL;
    v->guesses_log10 = ZxcvbnMatch(text, words, &matches) * LOG10_OF_2;
    *kind = worst_kind(matches);
    ZxcvbnFreeInfo(matches);
    porch_wipe(text, sizeof text);
}

porch_err porch_password_judge(porch_bytes password, porch_bytes name, porch_password_verdict *ret,
                               porch_why *why) {
    porch_password_verdict v = {0};
    int kind = NON_MATCH;
    if (password.len > PORCH_PASSWORD_MAX)
        return porch_fail(why, PORCH_ERR_LIMIT, "the password is longer than %d bytes; shorten it",
                          PORCH_PASSWORD_MAX);
    if (!porch_utf8_valid(password))
        return porch_fail(why, PORCH_ERR_MALFORMED, "the password is not well-formed UTF-8 text");
    PORCH_TRY(look_at_characters(password, &v, why));
    estimate(password, name, &v, &kind);
    v.strong = v.guesses_log10 >= LEAST_LOG10;
    v.ok = v.long_enough && v.capital && v.symbol && v.strong;
    if (!v.long_enough)
        tip(&v, "Use at least 12 characters: a few unrelated words are long and still easy to remember.");
    if (!v.capital) tip(&v, "Add a capital letter, better inside a word than at its beginning.");
    if (!v.symbol) tip(&v, "Add a symbol such as - or ! between two words.");
    if (!v.strong) {
        tip(&v, tip_for(kind));
        if (v.guesses_log10 < LEAST_LOG10 / 2)
            tip(&v, "A computer would find it in a moment. Think of four things in different rooms.");
    }
    *ret = v;
    return PORCH_OK;
}
