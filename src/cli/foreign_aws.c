#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/foreign.h"
#include "wire/topic.h"

enum { TEXT_MOST = 512, NAME_MOST = 128, LEVELS_MOST = 8 };

/* Of one client: what variables stand for. */
typedef struct {
    const char *id, *thing;
} client;

typedef struct {
    const json_t *statements;
} policy;

/* ---- a resource, as AWS matches it: text, with '*' and '?' ------------------------------------------ */

/* '+' and '#' are letters like others here: that is the trap. Variables are replaced as text. */
static bool glob(const char *pattern, const char *text, const client *c) {
    static const struct {
        const char *name;
        bool thing;
    } variables[] = {{"${iot:ClientId}", false}, {"${iot:Connection.Thing.ThingName}", true}};
    for (; *pattern != '\0'; pattern++, text++) {
        if (*pattern == '*') {
            while (pattern[1] == '*')
                pattern++;
            if (pattern[1] == '\0') return true;
            for (; *text != '\0'; text++)
                if (glob(pattern + 1, text, c)) return true;
            return glob(pattern + 1, text, c);
        }
        for (size_t i = 0; i < 2; i++) {
            size_t n = strlen(variables[i].name);
            if (strncmp(pattern, variables[i].name, n) != 0) continue;
            const char *value = variables[i].thing ? c->thing : c->id;
            return value[0] != '\0' && strncmp(text, value, strlen(value)) == 0 &&
                   glob(pattern + n, text + strlen(value), c);
        }
        if (*text == '\0' || (*pattern != '?' && *pattern != *text)) return false;
    }
    return *text == '\0';
}

/* "arn:aws:iot:REGION:ACCOUNT:topicfilter/x/#" → "topicfilter/x/#"; "*" is everything. */
static const char *resource_of(const char *arn) {
    if (strncmp(arn, "arn:", 4) != 0) return arn;
    for (int colons = 0; *arn != '\0'; arn++)
        if (*arn == ':' && ++colons == 5) return arn + 1;
    return arn;
}

static const json_t *item(const json_t *one_or_many, size_t i) {
    return json_is_array(one_or_many) ? json_array_get(one_or_many, i) : i == 0 ? one_or_many : NULL;
}

static bool has_action(const json_t *statement, const char *action) {
    const json_t *actions = json_object_get(statement, "Action"), *one;
    for (size_t i = 0; (one = item(actions, i)) != NULL; i++) {
        const char *text = json_string_value(one);
        client nobody = {"", ""};
        if (text != NULL && (strcasecmp(text, action) == 0 || glob(text, action, &nobody))) return true;
    }
    return false;
}

static const char *matching(const json_t *statement, const char *resource, const client *c) {
    const json_t *resources = json_object_get(statement, "Resource"), *one;
    for (size_t i = 0; (one = item(resources, i)) != NULL; i++)
        if (json_is_string(one) && glob(resource_of(json_string_value(one)), resource, c))
            return json_string_value(one);
    return NULL;
}

static bool is_deny(const json_t *statement) {
    const char *effect = json_string_value(json_object_get(statement, "Effect"));
    return effect != NULL && strcmp(effect, "Deny") == 0;
}

/* The resource that allows it; NULL: none, or a Deny. */
static const char *lets(const policy *p, const char *action, const char *kind, const char *name,
                        const client *c) {
    char resource[TEXT_MOST + 32];
    const char *found = NULL;
    (void)snprintf(resource, sizeof resource, "%s/%s", kind, name);
    for (size_t i = 0; i < json_array_size(p->statements); i++) {
        const json_t *s = json_array_get(p->statements, i);
        const char *by = has_action(s, action) ? matching(s, resource, c) : NULL;
        if (by == NULL) continue;
        if (is_deny(s)) return NULL;
        if (found == NULL) found = by;
    }
    return found;
}

static bool connects(const policy *p, const client *c) {
    return lets(p, "iot:Connect", "client", c->id, c) != NULL;
}

/* ---- filters that bring a topic --------------------------------------------------------------------- */

/* A filter by which this client receives the topic: the topic itself, '+' in some levels, or '#' behind
 * some. */
static bool subscribes(const policy *p, const client *c, const char *topic, char filter[TEXT_MOST]) {
    char copy[TEXT_MOST];
    const char *levels[LEVELS_MOST];
    size_t count = 0;
    (void)snprintf(copy, sizeof copy, "%s", topic);
    char *rest = copy;
    for (char *level; (level = strsep(&rest, "/")) != NULL;) {
        if (count == LEVELS_MOST) return false;
        levels[count++] = level;
    }
    for (size_t keep = count + 1; keep-- > 0;)               /* levels before '#'; count: no '#' */
        for (unsigned wild = 0; wild < 1u << keep; wild++) { /* which of them are '+' */
            size_t n = 0;
            for (size_t i = 0; i < keep; i++)
                n += (size_t)snprintf(filter + n, TEXT_MOST - n, "%s%s", i == 0 ? "" : "/",
                                      (wild >> i & 1u) != 0 ? "+" : levels[i]);
            if (keep < count) (void)snprintf(filter + n, TEXT_MOST - n, "%s#", keep == 0 ? "" : "/");
            if (lets(p, "iot:Subscribe", "topicfilter", filter, c) != NULL) return true;
        }
    return false;
}

static void to_topic(const char *text, size_t more, char out[TEXT_MOST]) {
    size_t n = 0;
    for (const char *at = text; *at != '\0' && n + 2 < TEXT_MOST; at++) {
        if (*at == '#' || *at == '*') {
            for (size_t i = 0; i < more && n + 2 < TEXT_MOST; i++)
                n += (size_t)snprintf(out + n, TEXT_MOST - n, i == 0 ? "x" : "/x");
        } else {
            out[n++] = *at == '+' || *at == '?' ? 'x' : *at;
        }
    }
    if (n > 0 && out[n - 1] == '/') n--;
    out[n] = '\0';
}

/* ---- first question: a Deny of a subscription ------------------------------------------------------- */

static bool deny_is_passed(const policy *p, porch_foreign_answer *ret) {
    const client c = {"dev1", "dev1"};
    for (size_t i = 0; i < json_array_size(p->statements); i++) {
        const json_t *s = json_array_get(p->statements, i), *one;
        if (!is_deny(s) || !has_action(s, "iot:Subscribe")) continue;
        for (size_t k = 0; (one = item(json_object_get(s, "Resource"), k)) != NULL; k++) {
            const char *resource =
                resource_of(json_string_value(one) == NULL ? "" : json_string_value(one));
            if (strncmp(resource, "topicfilter/", 12) != 0) continue;
            for (size_t more = 1; more <= 3; more++) {
                char topic[TEXT_MOST], filter[TEXT_MOST];
                to_topic(resource + 12, more, topic);
                if (topic[0] == '\0' || lets(p, "iot:Receive", "topic", topic, &c) == NULL ||
                    !subscribes(p, &c, topic, filter))
                    continue;
                ret->found = true;
                (void)snprintf(ret->text, sizeof ret->text,
                               "the Deny of iot:Subscribe on '%s' does not hold:\n"
                               "  client '%s' subscribes to '%s', which is allowed, and receives '%s'.\n"
                               "  The wildcards of MQTT are plain letters in a policy; deny iot:Receive on "
                               "topic/... as well.",
                               json_string_value(one), c.id, filter, topic);
                return true;
            }
        }
    }
    return false;
}

/* ---- second question: a variable that leads to another ---------------------------------------------- */

static bool reached(const policy *p, const client *a, const client *victim, const char *topic,
                    porch_foreign_answer *ret) {
    char filter[TEXT_MOST];
    if (!connects(p, a)) return false;
    const char *by = lets(p, "iot:Publish", "topic", topic, a);
    bool hears = lets(p, "iot:Receive", "topic", topic, a) != NULL && subscribes(p, a, topic, filter);
    if (by == NULL && !hears) return false;
    ret->found = true;
    (void)snprintf(ret->text, sizeof ret->text,
                   "client '%s' reaches the topic '%s', which belongs to client '%s':\n  %s '%s'", a->id,
                   topic, victim->id, hears ? "it subscribes to" : "it publishes to",
                   hears ? filter : topic);
    return true;
}

/* Every text inside the topic could be the attacker's client identifier; its thing's name holds no '/'. */
static bool try_names(const policy *p, const client *victim, const char *topic, porch_foreign_answer *ret) {
    size_t len = strlen(topic);
    for (size_t from = 0; from < len; from++)
        for (size_t to = from + 1; to <= len && to - from < NAME_MOST; to++) {
            char name[NAME_MOST];
            (void)snprintf(name, sizeof name, "%.*s", (int)(to - from), topic + from);
            bool is_thing = strpbrk(name, "/ ") == NULL;
            const client tries[2] = {{name, "stranger"}, {"stranger", name}};
            for (int i = 0; i < (is_thing ? 2 : 1); i++) {
                client a = tries[i];
                if (is_thing && i == 0) a.thing = name; /* a client that is its thing */
                if (strcmp(a.id, victim->id) == 0 || strcmp(a.thing, victim->thing) == 0) continue;
                if (reached(p, &a, victim, topic, ret)) return true;
            }
        }
    return false;
}

static bool replace(const char *text, const client *c, char out[TEXT_MOST]) {
    size_t n = 0;
    bool any = false;
    while (*text != '\0' && n + NAME_MOST < TEXT_MOST) {
        bool id = strncmp(text, "${iot:ClientId}", 15) == 0;
        bool thing = strncmp(text, "${iot:Connection.Thing.ThingName}", 33) == 0;
        if (id || thing) {
            n += (size_t)snprintf(out + n, TEXT_MOST - n, "%s", id ? c->id : c->thing);
            text += id ? 15 : 33;
            any = true;
        } else {
            out[n++] = *text++;
        }
    }
    out[n] = '\0';
    return any;
}

static bool variable_leads_away(const policy *p, porch_foreign_answer *ret) {
    const client victim = {"dev1", "dev1"};
    for (size_t i = 0; i < json_array_size(p->statements); i++) {
        const json_t *s = json_array_get(p->statements, i), *one;
        if (is_deny(s)) continue;
        for (size_t k = 0; (one = item(json_object_get(s, "Resource"), k)) != NULL; k++) {
            const char *resource =
                resource_of(json_string_value(one) == NULL ? "" : json_string_value(one));
            char expanded[TEXT_MOST], topic[TEXT_MOST];
            if (strncmp(resource, "topic/", 6) != 0 || !replace(resource + 6, &victim, expanded)) continue;
            for (size_t more = 0; more <= 3; more++) {
                to_topic(expanded, more, topic);
                if (topic[0] != '\0' && try_names(p, &victim, topic, ret)) return true;
            }
        }
    }
    return false;
}

porch_err porch_foreign_aws(porch_bytes text, porch_foreign_answer *ret, porch_why *why) {
    json_error_t error;
    json_t *root = json_loadb((const char *)text.at, text.len, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        return porch_fail(why, PORCH_ERR_MALFORMED, "line %d, column %d: %.150s", error.line, error.column,
                          error.text);
    json_t *statements = json_object_get(root, "Statement");
    json_t *many = json_is_object(statements) ? json_pack("[O]", statements) : json_incref(statements);
    porch_err e = PORCH_OK;
    if (!json_is_array(many))
        e = porch_fail(why, PORCH_ERR_MALFORMED, "an AWS IoT policy has a list of Statement");
    porch_foreign_answer answer = {false, ""};
    const policy p = {many};
    if (e == PORCH_OK && !deny_is_passed(&p, &answer) && !variable_leads_away(&p, &answer))
        (void)snprintf(
            answer.text, sizeof answer.text,
            "no Deny of a subscription is passed by another filter, and no client reaches what a variable "
            "gives to another,\namong names made of the policy's own texts and fresh ones. Conditions are "
            "not read; NotAction and NotResource neither.");
    json_decref(many);
    json_decref(root);
    if (e == PORCH_OK) *ret = answer;
    return e;
}
