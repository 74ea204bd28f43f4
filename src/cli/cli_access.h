/* The policy and its principals as the subcommands decide from them: fetched once, judged here. */
#ifndef PORCH_CLI_ACCESS_H
#define PORCH_CLI_ACCESS_H

#include "access/index.h"
#include "cli/cli_room.h"

/* The devices of the household that was asked about last. */
typedef struct {
    char household[80];
    void *block;
    const porch_access_set *devices;
} porch_cli_home;

typedef struct {
    json_t *answer; /* what the hub said: texts below look into it */
    porch_bytes text;
    uint64_t version;
    void *rows, *index_rows;
    porch_access_document document;
    porch_access_index index;
    porch_cli_home *home; /* NULL until a person was judged */
} porch_cli_policy;

/* Of the hub of this call. Free it after success. */
porch_err porch_cli_policy_fetch(const porch_cli *c, porch_cli_policy *ret, porch_why *why);
/* Of a text; `text` must stay. The sentence of a refusal begins with `name` (a file's; may be NULL). */
porch_err porch_cli_policy_of(porch_bytes text, const char *name, porch_cli_policy *ret, porch_why *why);
void porch_cli_policy_free(porch_cli_policy *p);
/* A whole file, or standard input for "-"; malloc'ed and zero-terminated. PORCH_ERR_LIMIT past 16 MiB. */
porch_err porch_cli_read_file(const char *path, char **ret, porch_why *why);

/* "device:front-door", "service:lights", "person:anna@example.org", or the bare name of one that is there
 * (PORCH_ERR_USAGE when two share it). Whom the hub has not is judged as one that could be added; what is
 * not known of it (product, household, role) then matches no group. Views into `answer` and `text`. */
porch_err porch_cli_principal(const porch_cli_policy *p, const char *text, porch_access_principal *ret,
                              bool *known, porch_why *why);
size_t porch_cli_principal_count(const porch_cli_policy *p);
/* The i-th principal that the hub has: devices, services, people. */
porch_access_principal porch_cli_principal_at(const porch_cli_policy *p, size_t i);

/* Is it a guest whose time is over? */
bool porch_cli_expired(const porch_cli_policy *p, const porch_access_principal *who);
/* Is it a device that the hub has, under quarantine? */
bool porch_cli_quarantined(const porch_cli_policy *p, const porch_access_principal *who);

/* Is it a device that the hub has, and lets in no more? */
bool porch_cli_revoked(const porch_cli_policy *p, const porch_access_principal *who);

/* What decides about one principal. */
typedef struct {
    bool allowed;
    bool quarantine;                  /* a statement allows it, the quarantine does not */
    bool revoked;                     /* it is a device whose certificate was revoked */
    bool kept;                        /* nothing that comes now, but what the person's household has kept */
    bool expired;                     /* a statement allows it, but the guest's time is over */
    const porch_access_group *group;  /* NULL: no statement decides */
    porch_access_statement statement; /* with its variables */
} porch_cli_verdict;
/* `action` is one bit; `topic` a name or (subscribe) a filter, maybe "$share/NAME/FILTER".
 * PORCH_ERR_MALFORMED: not a topic. */
porch_err porch_cli_judge(porch_cli_policy *p, const porch_access_principal *who, unsigned action,
                          const char *topic, porch_cli_verdict *ret, porch_why *why);
/* "allow publish d/${device.id}/+/#" */
typedef struct {
    char text[700];
} porch_cli_statement_text;
porch_cli_statement_text porch_cli_statement(const porch_access_statement *s);

#endif
