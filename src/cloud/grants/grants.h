/* Who may say and hear what: groups with members and statements, as stored; compiled for the shards.
 *
 *   group "devices"        members: every device    allow publish d/${device.id}/+/#, ...
 *   group "service-lights" members: service lights  allow publish,subscribe d/+/event/#   (service add
 * --allow)
 *
 * Permissions come from groups only. Deny wins. A service's default is nothing. Policies handed out are
 * immutable and shared by reference count; a change makes new ones and tells the observers, who re-judge
 * live sessions. Whoever may subscribe to a filter also receives below it. */
#ifndef PORCH_CLOUD_GRANTS_H
#define PORCH_CLOUD_GRANTS_H

#include "cloud/registry/registry.h"
#include "cloud/store/store.h"

typedef struct porch_grants porch_grants;
typedef struct porch_access_policy porch_access_policy;

/* The registry and the store must outlive it. */
porch_err porch_grants_open(porch_store *store, porch_registry *registry, const porch_settings *settings,
                            porch_grants **ret, porch_why *why);
void porch_grants_close(porch_grants *g);

/* The policy of an admitted principal; never NULL but for lack of memory (then refuse). Any thread, shards
 * too: no SQL. Give it back with porch_grants_policy_release. */
const porch_access_policy *porch_grants_policy(porch_grants *g, const porch_registry_entry *entry);
const porch_access_policy *porch_grants_policy_retain(const porch_access_policy *p);
void porch_grants_policy_release(const porch_access_policy *p);

/* ---- groups ------------------------------------------------------------------------------------- */

typedef struct {
    bool deny;
    unsigned actions; /* PORCH_ACCESS_* bits of access/ */
    char filter[512]; /* with its variables */
} porch_grants_statement;

/* "publish,subscribe:FILTER": words publish, subscribe, receive; or "read:metrics". The filter is a topic
 * filter in which
 * ${service.name} stands for the service's own name. PORCH_ERR_MALFORMED says what is wrong. */
porch_err porch_grants_statement_parse(const char *text, bool deny, porch_grants_statement *ret,
                                       porch_why *why);
/* The same text back, without allow/deny. `out` is zero-terminated. */
void porch_grants_statement_text(const porch_grants_statement *s, char *out, size_t cap);

/* Makes the group service-NAME with these statements in place of what it had. Inside the registry's
 * transaction (porch_registry_service_spec.also); afterwards call porch_grants_reload. */
porch_err porch_grants_service_write(porch_db *db, const char *service,
                                     const porch_grants_statement *statements, size_t count,
                                     porch_why *why);
porch_err porch_grants_service_erase(porch_db *db, const char *service, porch_why *why);
/* Reads groups from the database and hands them to whoever asks from now on; then tells observers. */
porch_err porch_grants_reload(porch_grants *g, porch_why *why);

/* Visits a group's statements in order; PORCH_ERR_NOT_FOUND when there is no such group. */
porch_err porch_grants_group(porch_grants *g, const char *group,
                             void (*fn)(const porch_grants_statement *, void *), void *ctx);
/* The name of the group and the text of the statement with that index in a policy of this entry, for the
 * operator's log: "service-lights: allow publish,subscribe:d/+/event/#". "" when there is none. */
void porch_grants_explain(porch_grants *g, const porch_registry_entry *entry, int statement, char *out,
                          size_t cap);

/* Called after a change on the thread that made it. Register before the first change. */
void porch_grants_on_change(porch_grants *g, void (*fn)(void *ctx), void *ctx);

#endif
