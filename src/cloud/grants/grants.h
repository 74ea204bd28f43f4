/* Who may say and hear what: groups with members and statements, kept as one text with its history;
 * compiled for the shards.
 *
 *   text (newest row of access_policy) ──► model ──► one automaton for each set of groups ──► policies
 *
 * Permissions come from groups only. Deny wins. A service's default is nothing. Policies handed out are
 * immutable: a principal's values beside an automaton that everybody with the same groups shares. A change
 * writes a new version, makes a new model and tells the observers, who re-judge live sessions. Whoever may
 * subscribe to a filter also receives below it. */
#ifndef PORCH_CLOUD_GRANTS_H
#define PORCH_CLOUD_GRANTS_H

#include "access/policy.h"
#include "cloud/registry/registry.h"
#include "cloud/store/store.h"

typedef struct porch_grants porch_grants;

/* The registry and the store must outlive it. */
porch_err porch_grants_open(porch_store *store, porch_registry *registry, const porch_settings *settings,
                            porch_grants **ret, porch_why *why);
void porch_grants_close(porch_grants *g);

/* The policy of an admitted principal; NULL when there is none to give (then refuse): no memory, too many
 * statements, or a deny whose meaning for it is not known; the log says which. Any thread, shards too: no
 * SQL. Give it back with porch_grants_policy_release. */
const porch_access_policy *porch_grants_policy(porch_grants *g, const porch_registry_entry *entry);
/* A person's policy about what their household keeps of `device`: ${household.device} is that device, which
 * may have left since. Whose it is the caller has judged. NULL also for who is no person. */
const porch_access_policy *porch_grants_policy_about(porch_grants *g, const porch_registry_entry *entry,
                                                     const char *device);
const porch_access_policy *porch_grants_policy_retain(const porch_access_policy *p);
void porch_grants_policy_release(const porch_access_policy *p);

/* A device was added, moved or removed: policies of people that are made from now on know it. Then ask for
 * those of live sessions again. Any thread. */
void porch_grants_devices_changed(porch_grants *g);

/* ---- the text (grants_text.c) --------------------------------------------------------------------- */

/* The text in force, canonical, and its version. malloc'ed; NULL without memory. */
char *porch_grants_text(porch_grants *g, uint64_t *version);

typedef struct {
    porch_bytes text;
    uint64_t base;    /* the version it was made from; another one in force: PORCH_ERR_STATE. 0: any */
    const char *who;  /* for history and trust log: "operator" */
    const char *note; /* why; may be NULL */
} porch_grants_change;
/* Checks, stores as a new version, puts in force and tells observers; when it returns they have been told.
 * *version is the new one, or the one in force where nothing changes. Blocks; any thread but shards. */
porch_err porch_grants_apply(porch_grants *g, const porch_grants_change *change, uint64_t *version,
                             porch_why *why);

typedef struct {
    uint64_t version, at_ms, bytes;
    char who[96], note[256];
} porch_grants_version;
/* Newest first; fn answers false to end. */
porch_err porch_grants_history(porch_grants *g, bool (*fn)(const porch_grants_version *, void *), void *ctx,
                               porch_why *why);
/* The text of a version as it was; malloc'ed. NOT_FOUND: never was, or too long ago (grants.versions). */
porch_err porch_grants_version_text(porch_grants *g, uint64_t version, char **ret, porch_why *why);

/* ---- groups ------------------------------------------------------------------------------------- */

typedef struct {
    bool deny;
    unsigned actions; /* PORCH_ACCESS_* bits of access/ */
    char filter[512]; /* with its variables */
} porch_grants_statement;

/* "publish,subscribe:FILTER": words publish, subscribe, receive; or "read:metrics". The filter is a topic
 * filter in which ${service.name} stands for the service's own name. PORCH_ERR_MALFORMED says what is
 * wrong. */
porch_err porch_grants_statement_parse(const char *text, bool deny, porch_grants_statement *ret,
                                       porch_why *why);
/* The same text back, without allow/deny. `out` is zero-terminated. */
void porch_grants_statement_text(const porch_grants_statement *s, char *out, size_t cap);

/* Makes the group service-NAME with these statements in place of what it had, as a new version of the text.
 * Inside the registry's transaction (porch_registry_service_spec.also); afterwards call
 * porch_grants_reload. grants.versions newest texts stay. PORCH_ERR_LIMIT: the policy would be longer than
 * grants.policy_bytes, or hold too much to be in force; then nothing may be kept of the service either. */
porch_err porch_grants_service_write(porch_db *db, const char *service,
                                     const porch_grants_statement *statements, size_t count,
                                     const porch_settings *settings, porch_why *why);
porch_err porch_grants_service_erase(porch_db *db, const char *service, const porch_settings *settings,
                                     porch_why *why);
/* Takes a household and its devices (those of the table erasure) out of every version. Inside a write. */
porch_err porch_grants_household_erase(porch_db *db, const char *household, porch_why *why);
/* Reads the newest text from the database and puts it in force; then tells observers. */
porch_err porch_grants_reload(porch_grants *g, porch_why *why);

/* Visits a group's statements in order; PORCH_ERR_NOT_FOUND when there is no such group. */
porch_err porch_grants_group(porch_grants *g, const char *group,
                             void (*fn)(const porch_grants_statement *, void *), void *ctx);
/* Group and text of the statement with that index in this policy: "service-lights: allow
 * publish,subscribe:d/+/event/#". "" when there is none. */
void porch_grants_explain(const porch_access_policy *policy, int statement, char *out, size_t cap);

/* ---- denials (grants_denials.c) ------------------------------------------------------------------- */

typedef struct {
    porch_principal_kind kind;
    char name[PORCH_REGISTRY_NAME_BYTES];
    unsigned action;   /* one bit */
    char topic[256];   /* cut */
    char decided[400]; /* "GROUP: deny ..."; "": no statement allows it */
    char grant[320];   /* the smallest one, as "allow publish d/x/y"; "": a deny would have to go */
    uint64_t count, first_ms, last_ms;
} porch_grants_denial;

/* Keeps in mind that `decision` refused this, `times` times, and writes the sentence for the operator's
 * log. False: it need not be logged, since the like of it was shortly before. The policy is one of
 * porch_grants_policy. Any thread, shards too. */
bool porch_grants_denied(porch_grants *g, const porch_registry_entry *who,
                         const porch_access_policy *policy, porch_access_decision decision, unsigned action,
                         porch_bytes topic, uint32_t times, porch_why *why);
/* The newest first; fn answers false to end; it must be short. */
void porch_grants_denials(porch_grants *g, bool (*fn)(const porch_grants_denial *, void *), void *ctx);

/* Called after a change on the thread that made it. Register before the first change. */
void porch_grants_on_change(porch_grants *g, void (*fn)(void *ctx), void *ctx);

#endif
