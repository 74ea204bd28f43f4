#include "cloud/api/metrics.h"

#include <stdio.h>

#include "base/cursor.h"

#define COUNTER "counter"
#define GAUGE   "gauge"

typedef struct {
    const char *name, *type, *help;
    uint64_t value;
} row;

static porch_err write_head(porch_buf *out, const char *name, const char *type, const char *help) {
    char line[400];
    (void)snprintf(line, sizeof line, "# HELP porchlight_%s %s\n# TYPE porchlight_%s %s\n", name, help,
                   name, type);
    return porch_write_text(out, line);
}

/* `labels` is "" or "{...}". */
static porch_err write_value(porch_buf *out, const char *name, const char *labels, uint64_t value) {
    char line[200];
    (void)snprintf(line, sizeof line, "porchlight_%s%s %llu\n", name, labels, (unsigned long long)value);
    return porch_write_text(out, line);
}

static porch_err write_rows(porch_buf *out, const row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        PORCH_TRY(write_head(out, rows[i].name, rows[i].type, rows[i].help));
        PORCH_TRY(write_value(out, rows[i].name, "", rows[i].value));
    }
    return PORCH_OK;
}

#define WRITE_ROWS(out, rows) write_rows(out, rows, sizeof(rows) / sizeof(rows)[0])

static porch_err write_process(const porch_metrics *m, porch_buf *out) {
    char labels[80];
    PORCH_TRY(write_head(out, "build_info", GAUGE, "The version that runs; always 1."));
    (void)snprintf(labels, sizeof labels, "{version=\"%s\",schema=\"%d\"}", PORCH_VERSION,
                   porch_store_schema());
    PORCH_TRY(write_value(out, "build_info", labels, 1));
    const row rows[] = {
        {"start_time_seconds", GAUGE, "When the hub process started, Unix time.", m->started_ms / 1000},
        {"uptime_seconds", GAUGE, "Since the hub process started.",
         m->now_ms > m->started_ms ? (m->now_ms - m->started_ms) / 1000 : 0},
        {"signer_up", GAUGE, "1 while the signer answers; without it nothing is issued or unsealed.",
         m->signer_attached},
        {"analyst_up", GAUGE, "1 while the analyst answers; without it clips wait.", m->analyst_attached},
    };
    return WRITE_ROWS(out, rows);
}

static porch_err write_doors(porch_buf *out, const char *name, const char *type, const char *help,
                             const uint64_t values[PORCH_LISTEN_ROLES]) {
    static const char *const doors[PORCH_LISTEN_ROLES] = {"{door=\"mqtt\"}", "{door=\"device\"}",
                                                          "{door=\"people\"}"};
    PORCH_TRY(write_head(out, name, type, help));
    for (unsigned i = 0; i < PORCH_LISTEN_ROLES; i++)
        PORCH_TRY(write_value(out, name, doors[i], values[i]));
    return PORCH_OK;
}

static porch_err write_listener(const porch_listener_counts *l, porch_buf *out) {
    const row rows[] = {
        {"tls_handshakes_total", COUNTER, "TLS handshakes that succeeded.", l->handshakes},
        {"tls_handshakes_resumed_total", COUNTER, "Of these, resumed ones.", l->handshakes_resumed},
        {"tls_handshakes_failed_total", COUNTER, "TLS handshakes that failed.", l->handshakes_failed},
        {"plaintext_refused_total", COUNTER, "Connections that spoke no TLS.", l->plaintext_refused},
        {"connections_over_limit_total", COUNTER,
         "Connections refused: too many in all or from one address.", l->over_limit},
        {"identities_refused_total", COUNTER,
         "Certificates refused after the handshake: expired, not yet valid, revoked, unknown.",
         l->identity_refused},
        {"timeouts_total", COUNTER, "Connections closed for slowness.", l->timeouts},
        {"http_requests_total", COUNTER, "HTTP requests.", l->requests},
        {"http_requests_open", GAUGE, "HTTP requests that are open, live streams and slow bodies included.",
         l->requests_open},
        {"http_requests_over_limit_total", COUNTER, "HTTP requests answered 503: too many were open.",
         l->requests_over_limit},
        {"http_requests_refused_total", COUNTER, "HTTP requests answered 4xx or 5xx.", l->requests_refused},
        {"live_streams", GAUGE, "Live streams that are open.", l->streams},
        {"live_streams_too_slow_total", COUNTER, "Live streams closed because their reader was too slow.",
         l->streams_too_slow},
        {"websockets", GAUGE, "WebSockets that carry MQTT.", l->websockets},
        {"websockets_refused_total", COUNTER, "WebSockets ended for broken frames, limits or silence.",
         l->websockets_refused},
    };
    PORCH_TRY(write_doors(out, "connections_accepted_total", COUNTER, "Connections accepted at each door.",
                          l->accepted));
    PORCH_TRY(write_doors(out, "connections", GAUGE, "Connections open at each door.", l->open));
    return WRITE_ROWS(out, rows);
}

static porch_err write_broker(const porch_broker_counts *b, porch_buf *out) {
    const row rows[] = {
        {"mqtt_sessions", GAUGE, "MQTT sessions.", b->sessions},
        {"mqtt_subscriptions", GAUGE, "MQTT subscriptions.", b->subscriptions},
        {"mqtt_connects_total", COUNTER, "MQTT connects accepted.", b->connects},
        {"mqtt_connects_refused_total", COUNTER, "MQTT connects refused.", b->connects_refused},
        {"mqtt_sessions_taken_over_total", COUNTER, "Sessions taken over by a newer connection.",
         b->taken_over},
        {"mqtt_messages_received_total", COUNTER, "Messages published to the hub.", b->messages_in},
        {"mqtt_messages_sent_total", COUNTER, "Messages delivered to subscribers.", b->messages_out},
        {"mqtt_received_bytes_total", COUNTER, "MQTT bytes received.", b->bytes_in},
        {"mqtt_sent_bytes_total", COUNTER, "MQTT bytes sent.", b->bytes_out},
        {"mqtt_publishes_refused_total", COUNTER, "Publishes that no grant allows.", b->publishes_refused},
        {"mqtt_subscribes_refused_total", COUNTER, "Subscriptions that no grant allows.",
         b->subscribes_refused},
        {"mqtt_deliveries_refused_total", COUNTER, "Deliveries that a deny cut out.", b->delivery_refused},
        {"mqtt_dropped_slow_total", COUNTER, "QoS 0 messages dropped for slow subscribers.",
         b->dropped_slow},
        {"mqtt_disconnected_slow_total", COUNTER, "Subscribers disconnected because they were too slow.",
         b->disconnected_slow},
        {"mqtt_sessions_resumed_total", COUNTER, "Connections that found their session again.", b->resumed},
        {"mqtt_sessions_expired_total", COUNTER, "Sessions whose client did not come back in time.",
         b->expired},
        {"mqtt_wills_total", COUNTER, "Wills spoken.", b->wills},
        {"mqtt_dropped_full_total", COUNTER, "Oldest messages dropped from sessions that keep too much.",
         b->dropped_full},
        {"mqtt_retained_messages", GAUGE, "Retained messages.", b->retained},
        {"mqtt_rate_limited_total", COUNTER, "Pauses of publishers past their rate.", b->rate_limited},
        {"mqtt_keep_alive_ended_total", COUNTER, "Connections ended for silence: 1.5 keep-alive times.",
         b->silent},
        {"mqtt_protocol_errors_total", COUNTER, "Peers that broke the protocol.", b->protocol_errors},
        {"mqtt_stored_total", COUNTER, "Messages acknowledged after their commit.", b->stored},
        {"mqtt_store_refused_total", COUNTER, "Messages refused because the store was full or failed.",
         b->store_refused},
    };
    return WRITE_ROWS(out, rows);
}

static porch_err write_kept(const porch_metrics *m, porch_buf *out) {
    const row rows[] = {
        {"store_up", GAUGE, "1 while the disk takes what the store writes.", m->store.state == PORCH_OK},
        {"store_messages_total", COUNTER, "Messages stored since start.", m->store.messages},
        {"store_batches_total", COUNTER, "Transactions committed since start.", m->store.batches},
        {"store_batches_lost_total", COUNTER, "Transactions that the disk refused.", m->store.lost_batches},
        {"clips_waiting", GAUGE, "Clips that wait for analysis.", m->analysis.waiting},
        {"clips_running", GAUGE, "Clips under analysis.", m->analysis.running},
        {"clips_analysed_total", COUNTER, "Clips analysed.", m->analysis.done},
        {"clips_failed_total", COUNTER, "Clips that could not be analysed.", m->analysis.failed},
        {"persons_total", COUNTER, "Persons found.", m->analysis.persons},
        {"feedback_not_a_person", GAUGE, "Events of which people say that they show no person.",
         m->feedback.said},
        {"persons_held_back", GAUGE,
         "Persons on record that nobody was told of, since people said so of that spot.",
         m->feedback.held_back},
        {"notifications_total", COUNTER, "Notifications made.", m->notifications},
        {"webhooks", GAUGE, "Webhooks there are.", m->webhooks},
        {"webhook_deliveries_waiting", GAUGE, "Webhook deliveries still to be made.",
         m->deliveries_waiting},
        {"webhook_deliveries_given_up", GAUGE,
         "Webhook deliveries on record that were given up; less when a webhook is removed.",
         m->deliveries_given_up},
        {"devices", GAUGE, "Devices enrolled.", m->registry.devices},
        {"devices_online", GAUGE, "Devices connected.", m->registry.devices_online},
        {"services", GAUGE, "Services enrolled.", m->registry.services},
        {"households", GAUGE, "Households.", m->registry.households},
        {"password_checks_running", GAUGE, "Password hashes being computed.", m->passwords_working},
        {"password_checks_waiting", GAUGE, "Password hashes that wait for their turn.",
         m->passwords_waiting},
    };
    return WRITE_ROWS(out, rows);
}

const char *porch_metrics_end_word(porch_metrics_end which) {
#define WORD(name, label) [PORCH_METRICS_END_##name] = (label),
    static const char *const words[PORCH_METRICS_ENDS] = {PORCH_METRICS_END_LIST(WORD)};
#undef WORD
    return words[which];
}

static porch_err write_ends(const porch_metrics *m, porch_buf *out) {
    static const char name[] = "certificate_ends_seconds";
    char labels[48];
    PORCH_TRY(write_head(out, name, GAUGE,
                         "When a certificate ends, Unix time; of former issuers the first on which "
                         "something hangs."));
    for (int i = 0; i < PORCH_METRICS_ENDS; i++) {
        if (m->ends_ms[i] == 0) continue;
        (void)snprintf(labels, sizeof labels, "{certificate=\"%s\"}",
                       porch_metrics_end_word((porch_metrics_end)i));
        PORCH_TRY(write_value(out, name, labels, m->ends_ms[i] / 1000));
    }
    return PORCH_OK;
}

porch_err porch_metrics_write(const porch_metrics *m, porch_buf *out) {
    PORCH_TRY(write_process(m, out));
    PORCH_TRY(write_ends(m, out));
    PORCH_TRY(write_listener(&m->listener, out));
    PORCH_TRY(write_broker(&m->broker, out));
    return write_kept(m, out);
}
