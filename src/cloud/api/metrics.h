/* What /metrics tells, as Prometheus reads it (text format 0.0.4).
 *
 *   the rooms' counts ─► porch_metrics (plain numbers) ─► porch_metrics_write ─► text
 *
 * Numbers only, no name of a person, device or household: whoever may read them learns how the hub fares
 * and nothing about who lives there. Each name ends as its kind asks: *_total only grows until a restart.
 */
#ifndef PORCH_CLOUD_API_METRICS_H
#define PORCH_CLOUD_API_METRICS_H

#include "cloud/broker/broker.h"
#include "cloud/listener/listener.h"
#include "cloud/media/media_analysis.h"
#include "cloud/media/media_feedback.h"
#include "cloud/registry/registry.h"
#include "cloud/store/store.h"

/* X(NAME, label): the certificates whose end is told. */
#define PORCH_METRICS_END_LIST(X) \
    X(ROOT, "root")               \
    X(ISSUING, "issuing")         \
    X(FORMER, "issuing-former")   \
    X(HUB, "hub")                 \
    X(PEOPLE, "people")           \
    X(WEB_CA, "web-ca")
#define PORCH_METRICS_END_ID(name, label) PORCH_METRICS_END_##name,
typedef enum { PORCH_METRICS_END_LIST(PORCH_METRICS_END_ID) PORCH_METRICS_ENDS } porch_metrics_end;
#undef PORCH_METRICS_END_ID
const char *porch_metrics_end_word(porch_metrics_end which);

typedef struct {
    uint64_t now_ms, started_ms;
    uint64_t ends_ms[PORCH_METRICS_ENDS]; /* 0: there is none */
    bool signer_attached, analyst_attached;
    porch_listener_counts listener;
    porch_broker_counts broker;
    porch_store_counts store;
    porch_media_analysis_counts analysis;
    porch_media_feedback_counts feedback;
    porch_registry_counts registry;
    uint64_t notifications; /* made since start */
    uint64_t webhooks, deliveries_waiting, deliveries_given_up;
    unsigned passwords_working, passwords_waiting;
} porch_metrics;

enum { PORCH_METRICS_MOST = 16384 };

/* Appends all of it. PORCH_ERR_NO_SPACE: PORCH_METRICS_MOST bytes always suffice. */
porch_err porch_metrics_write(const porch_metrics *m, porch_buf *out);

#endif
