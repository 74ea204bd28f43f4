/* GET /metrics on the device listener, for services whose group says read:metrics. */
#include <stdlib.h>
#include <string.h>

#include "access/policy.h"
#include "access/statement.h"
#include "cloud/api/api_world.h"
#include "cloud/api/metrics.h"
#include "cloud/grants/grants.h"
#include "os/log.h"

static porch_err may_read(porch_grants *grants, const porch_principal *who, porch_why *why) {
    porch_topic_name resource;
    if (who->kind != PORCH_IDENTITY_SERVICE)
        return porch_fail(why, PORCH_ERR_DENIED, "only services read metrics; add one with --allow read:%s",
                          PORCH_ACCESS_METRICS);
    PORCH_TRY(porch_topic_name_parse(PORCH_LIT(PORCH_ACCESS_METRICS), NULL, &resource));
    porch_registry_entry entry = {.kind = who->kind};
    memcpy(entry.name, who->name, sizeof entry.name);
    const porch_access_policy *policy = porch_grants_policy(grants, &entry);
    if (policy == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the policy");
    porch_access_decision d = porch_access_can_read(policy, resource);
    if (!d.allowed) porch_access_explain(policy, d, PORCH_ACCESS_READ, resource.text, why);
    porch_grants_policy_release(policy);
    return d.allowed ? PORCH_OK : PORCH_ERR_DENIED;
}

static void answer(porch_http_exchange *x, const porch_api *api) {
    porch_metrics m = {0};
    porch_buf out = {malloc(PORCH_METRICS_MOST), 0, PORCH_METRICS_MOST};
    api->measure(&m, api->measure_ctx);
    if (out.at == NULL || porch_metrics_write(&m, &out) != PORCH_OK)
        (void)porch_http_problem(x, 500, "internal", "the hub could not write its metrics");
    else
        (void)porch_http_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", porch_buf_bytes(&out));
    free(out.at);
}

void porch_api_metrics(porch_http_exchange *x) {
    const porch_api *api = porch_api_of(x);
    const porch_principal *who = &porch_http_peer(x)->principal;
    porch_why why = {""};
    porch_err e = may_read(api->grants, who, &why);
    if (e == PORCH_OK) {
        answer(x, api);
        return;
    }
    porch_log(PORCH_LOG_WARN, "metrics.refused", "kind", porch_principal_kind_name(who->kind), "name",
              who->name, "reason", porch_why_text(&why, e), NULL);
    /* The statement is for the operator; the peer learns what kind of grant is missing. */
    if (e == PORCH_ERR_DENIED)
        (void)porch_http_problem(x, 403, "not-granted", "this needs a service with the grant read:metrics");
    else
        (void)porch_http_problem(x, 500, "internal", "the hub could not judge this; its log says why");
}
