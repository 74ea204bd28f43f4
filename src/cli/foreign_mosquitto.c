#include "cli/foreign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/topic.h"

enum { RULES_MOST = 2000, TEXT_MOST = 512, NAME_MOST = 128, READ = 1, WRITE = 2 };

typedef struct {
    unsigned access; /* READ, WRITE; 0: deny */
    bool pattern;
    char filter[TEXT_MOST];
} rule;

typedef struct {
    rule *rules; /* of patterns, and of topic lines for everybody */
    size_t count;
} access_file;

/* ---- reading --------------------------------------------------------------------------------------- */

static char *word(char **rest) {
    *rest += strspn(*rest, " \t");
    char *at = *rest;
    *rest += strcspn(*rest, " \t");
    if (**rest != '\0') *(*rest)++ = '\0';
    return at;
}

static porch_err take_rule(access_file *f, char *rest, bool pattern, bool everybody, unsigned line,
                           porch_why *why) {
    static const struct {
        const char *word;
        unsigned access;
    } words[] = {{"read", READ}, {"write", WRITE}, {"readwrite", READ | WRITE}, {"deny", 0}};
    char *kept = rest + strspn(rest, " \t");
    unsigned access = READ | WRITE;
    size_t n = strcspn(kept, " \t");
    for (size_t i = 0; i < 4; i++)
        if (kept[n] != '\0' && strlen(words[i].word) == n && memcmp(kept, words[i].word, n) == 0) {
            access = words[i].access;
            kept += n + strspn(kept + n, " \t");
            break;
        }
    porch_topic_filter parsed;
    if (porch_topic_filter_parse(porch_bytes_of(kept), NULL, &parsed) != PORCH_OK ||
        strlen(kept) >= TEXT_MOST)
        return porch_fail(why, PORCH_ERR_MALFORMED, "line %u: expected a topic, found '%.60s'", line, kept);
    if (!pattern && !everybody) return PORCH_OK;
    if (f->count == RULES_MOST) return porch_fail(why, PORCH_ERR_LIMIT, "more than %d rules", RULES_MOST);
    rule *r = &f->rules[f->count++];
    r->access = access;
    r->pattern = pattern;
    (void)snprintf(r->filter, sizeof r->filter, "%s", kept);
    return PORCH_OK;
}

static porch_err read_file(char *text, access_file *f, porch_why *why) {
    bool everybody = true;
    unsigned number = 0;
    for (char *line; (line = strsep(&text, "\n")) != NULL;) {
        number++;
        line[strcspn(line, "\r")] = '\0';
        line += strspn(line, " \t");
        if (*line == '\0' || *line == '#') continue;
        char *rest = line, *kind = word(&rest);
        if (strcmp(kind, "user") == 0)
            everybody = false;
        else if (strcmp(kind, "topic") == 0 || strcmp(kind, "pattern") == 0)
            PORCH_TRY(take_rule(f, rest, kind[0] == 'p', everybody, number, why));
        else
            return porch_fail(why, PORCH_ERR_MALFORMED,
                              "line %u: expected user, topic or pattern, found '%.60s'", number, kind);
    }
    return PORCH_OK;
}

/* ---- what a client may do, as mosquitto does it ---------------------------------------------------- */

typedef struct {
    char id[NAME_MOST], user[NAME_MOST];
} client;

/* %c and %u are replaced as text; the result is matched as a filter. */
static bool expand(const char *pattern, const client *c, char out[TEXT_MOST]) {
    size_t n = 0;
    for (const char *at = pattern; *at != '\0'; at++) {
        const char *value = NULL;
        if (at[0] == '%' && (at[1] == 'c' || at[1] == 'u')) value = *++at == 'c' ? c->id : c->user;
        size_t len = value == NULL ? 1 : strlen(value);
        if (n + len >= TEXT_MOST) return false;
        memcpy(out + n, value == NULL ? at : value, len);
        n += len;
    }
    out[n] = '\0';
    return true;
}

static bool matches(const rule *r, const client *c, const char *topic) {
    char filter[TEXT_MOST];
    if (!r->pattern) (void)snprintf(filter, sizeof filter, "%s", r->filter);
    if (r->pattern && !expand(r->filter, c, filter)) return false;
    return porch_topic_matches((porch_topic_filter){porch_bytes_of(filter)},
                               (porch_topic_name){porch_bytes_of(topic)});
}

/* The rule that lets the client; NULL: none, or a deny does not. */
static const rule *lets(const access_file *f, const client *c, unsigned access, const char *topic) {
    const rule *found = NULL;
    for (size_t i = 0; i < f->count; i++) {
        const rule *r = &f->rules[i];
        if (!matches(r, c, topic)) continue;
        if (r->access == 0) return NULL;
        if ((r->access & access) != 0 && found == NULL) found = r;
    }
    return found;
}

/* ---- the search ------------------------------------------------------------------------------------ */

/* Not what mosquitto refuses as dangerous, and something. */
static bool is_name(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (text[i] == '+' || text[i] == '#') return false;
    return len > 0 && len < NAME_MOST;
}

static bool found_one(const access_file *f, const client *attacker, const client *victim, const rule *owner,
                      const char *topic, porch_foreign_answer *ret) {
    for (unsigned access = READ; access <= WRITE; access *= 2) {
        const rule *r = lets(f, attacker, access, topic);
        if (r == NULL || !r->pattern) continue;
        ret->found = true;
        (void)snprintf(ret->text, sizeof ret->text,
                       "client identifier '%s' (user name '%s') may %s the topic '%s',\n"
                       "which belongs to client identifier '%s' (user name '%s').\n"
                       "  its own by:     pattern %s\n  reached by:     pattern %s\n"
                       "  message:        mosquitto_pub -i '%s' -u '%s' -t '%s' -m secret\n"
                       "  reached with:   %s -i '%s' -u '%s' -t '%s'%s",
                       attacker->id, attacker->user, access == READ ? "read" : "write", topic, victim->id,
                       victim->user, owner->filter, r->filter, victim->id, victim->user, topic,
                       access == READ ? "mosquitto_sub" : "mosquitto_pub", attacker->id, attacker->user,
                       topic, access == READ ? "" : " -m forged");
        return true;
    }
    return false;
}

static bool whole_levels(const char *topic, size_t len, size_t from, size_t to) {
    return (from == 0 || topic[from - 1] == '/') && (to == len || topic[to] == '/');
}

static bool is_new(const client *attacker, const client *victim) {
    /* Sharing a name with the victim is no trick: a user's clients may share the user's topics. */
    return strcmp(attacker->id, victim->id) != 0 && strcmp(attacker->user, victim->user) != 0;
}

/* Identifier and user name from two different places: whole levels each. */
static bool try_second(const access_file *f, const client *victim, const rule *owner, const char *topic,
                       const char *id, porch_foreign_answer *ret) {
    size_t len = strlen(topic);
    for (size_t from = 0; from < len; from++)
        for (size_t to = from + 1; to <= len; to++) {
            client attacker = {"", ""};
            if (!whole_levels(topic, len, from, to) || !is_name(topic + from, to - from)) continue;
            (void)snprintf(attacker.id, sizeof attacker.id, "%s", id);
            (void)snprintf(attacker.user, sizeof attacker.user, "%.*s", (int)(to - from), topic + from);
            if (is_new(&attacker, victim) && found_one(f, &attacker, victim, owner, topic, ret))
                return true;
        }
    return false;
}

/* Every text inside the topic that begins and ends at any place could be the attacker's name. */
static bool try_names(const access_file *f, const client *victim, const rule *owner, const char *topic,
                      porch_foreign_answer *ret) {
    size_t len = strlen(topic);
    for (size_t from = 0; from < len; from++)
        for (size_t to = from + 1; to <= len; to++) {
            if (!is_name(topic + from, to - from)) continue;
            client attacker = {"", ""};
            for (int as = 0; as < 3; as++) { /* its identifier, its user name, both */
                (void)snprintf(attacker.id, sizeof attacker.id, "%.*s", as == 1 ? 8 : (int)(to - from),
                               as == 1 ? "stranger" : topic + from);
                (void)snprintf(attacker.user, sizeof attacker.user, "%.*s", as == 0 ? 8 : (int)(to - from),
                               as == 0 ? "stranger" : topic + from);
                if (!is_new(&attacker, victim)) continue;
                if (found_one(f, &attacker, victim, owner, topic, ret)) return true;
            }
            if (whole_levels(topic, len, from, to) && try_second(f, victim, owner, topic, attacker.id, ret))
                return true;
        }
    return false;
}

/* A topic of the victim under the pattern: '+' becomes x, '#' becomes `more` levels. */
static bool instance(const char *filter, size_t more, char out[TEXT_MOST]) {
    size_t n = 0;
    for (const char *at = filter; *at != '\0'; at++) {
        if (*at == '#') {
            if (more == 0 && n > 0) n--; /* the parent itself: without its slash */
            for (size_t i = 0; i < more && n + 2 < TEXT_MOST; i++)
                n += (size_t)snprintf(out + n, TEXT_MOST - n, i == 0 ? "x" : "/x");
            break;
        }
        if (n + 2 >= TEXT_MOST) return false;
        out[n++] = *at == '+' ? 'x' : *at;
    }
    out[n] = '\0';
    return n > 0;
}

static size_t deepest(const access_file *f) {
    size_t most = 0;
    for (size_t i = 0; i < f->count; i++) {
        size_t levels = porch_topic_levels(porch_bytes_of(f->rules[i].filter));
        if (levels > most) most = levels;
    }
    return most;
}

static bool search(const access_file *f, porch_foreign_answer *ret) {
    static const client victims[] = {{"dev1", "user1"}, {"dev1/x", "user1/x"}, {"x/dev1", "x/user1"}};
    size_t most = deepest(f) + 1;
    for (size_t v = 0; v < 3; v++)
        for (size_t i = 0; i < f->count; i++) {
            const rule *owner = &f->rules[i];
            char filter[TEXT_MOST], topic[TEXT_MOST];
            bool own = owner->pattern && owner->access != 0 &&
                       (strstr(owner->filter, "%c") != NULL || strstr(owner->filter, "%u") != NULL);
            if (!own || !expand(owner->filter, &victims[v], filter)) continue;
            bool rest = strchr(filter, '#') != NULL;
            for (size_t more = 0; more <= (rest ? most : 0); more++) {
                if (!instance(filter, more, topic) ||
                    lets(f, &victims[v], owner->access & READ ? READ : WRITE, topic) == NULL)
                    continue;
                if (try_names(f, &victims[v], owner, topic, ret)) return true;
            }
        }
    return false;
}

porch_err porch_foreign_mosquitto(porch_bytes text, porch_foreign_answer *ret, porch_why *why) {
    char *copy = malloc(text.len + 1);
    access_file f = {calloc(RULES_MOST, sizeof *f.rules), 0};
    porch_err e = copy == NULL || f.rules == NULL ? PORCH_ERR_INTERNAL : PORCH_OK;
    if (e == PORCH_OK && !porch_bytes_to_text(text, copy, text.len + 1))
        e = porch_fail(why, PORCH_ERR_MALFORMED, "the file holds a zero byte");
    if (e == PORCH_OK) e = read_file(copy, &f, why);
    if (e == PORCH_OK) {
        porch_foreign_answer answer = {false, ""};
        if (!search(&f, &answer))
            (void)snprintf(
                answer.text, sizeof answer.text,
                "no client reaches what a pattern gives to another, among names made of the file's own "
                "levels and fresh ones;\nusers with a section of their own are taken for integrations");
        *ret = answer;
    }
    free(copy);
    free(f.rules);
    return e;
}
