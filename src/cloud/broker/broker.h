/* The broker: MQTT 3.1.1 and 5.0 sessions of devices and services on the listener's shards.
 *
 *   publisher ─► its home shard: access, rate ─┬─ stored topic, QoS 1 ─► store lane ─► committed ─┐
 *                                              └─ any other ────────────────────────────────────┤
 *        PUBACK in arrival order ◄── routed ◄── each shard's subscription trie ◄────────────────┘
 *
 * The whole protocol but enhanced authentication, which is refused by its code. Sessions, QoS 2 state,
 * retained messages, wills and the cursors of shared subscriptions are in the store (note.h) and come back
 * after a crash (broker_load.c). */
#ifndef PORCH_CLOUD_BROKER_BROKER_H
#define PORCH_CLOUD_BROKER_BROKER_H

#include "base/bytes.h"
#include "base/error.h"
#include "cloud/listener/peer.h"
#include "crypto/x509.h"

struct porch_settings;
struct porch_registry;
struct porch_grants;
struct porch_store;
struct porch_db;
struct porch_conn_hooks;
typedef struct porch_broker porch_broker;

typedef struct {
    const struct porch_settings *settings; /* copied */
    struct porch_registry *registry;       /* told who is online; may be NULL in tests */
    struct porch_grants *grants;
    struct porch_store *store; /* NULL: nothing is stored (tests, benches) */
} porch_broker_config;

porch_err porch_broker_new(const porch_broker_config *config, porch_broker **ret, porch_why *why);
/* After the listener that served its hooks was stopped and the store closed (the store's writer wakes the
 * shards through the broker). NULL is fine. */
void porch_broker_free(porch_broker *b);
/* For porch_listener_config.mqtt, with the broker itself as mqtt_ctx. */
const struct porch_conn_hooks *porch_broker_hooks(void);
/* For porch_listener_config.admit, with the broker as admit_ctx: asks the registry. */
porch_err porch_broker_admit(void *ctx, const porch_tls_peer_info *tls, uint64_t now_ms,
                             porch_principal *ret, porch_why *why);

/* The hub's own word: routes to live subscribers of `topic` that may receive it. Any thread; copies;
 * never blocks on a client. BUSY when a shard's inbox is full, MALFORMED for what is no topic name.
 * Such topics begin with `$porchlight/`; nothing else is refused, nothing is stored. */
porch_err porch_broker_publish(porch_broker *b, porch_bytes topic, porch_bytes payload, uint8_t qos);

/* Cuts all live sessions of one principal on all shards (revoked, removed): 5.0 peers get DISCONNECT with
 * `reason_code` (0x87 not authorised, 0x98 administrative action). Any thread. */
void porch_broker_drop(porch_broker *b, porch_identity_kind kind, const char *name, uint8_t reason_code);

/* Cuts the connections of devices and services whose certificate the issuer at this place of the registry
 * signed; their sessions wait for them, who come back with a newer certificate. Any thread. */
void porch_broker_cut_issued(porch_broker *b, uint8_t issuer);
/* Ends the sessions of people that this sign-in opened: it is over. Any thread. */
void porch_broker_end_sign_in(porch_broker *b, const uint8_t sign_in[32]);
/* A household's devices changed: live sessions of all people fetch their policy anew. Any thread. */
void porch_broker_regrant_people(porch_broker *b);

/* Returns when every shard has carried out what it was told before this call (a drop, a regrant): a caller
 * that answers after it can say "from now on". False: a shard took longer than 10 s. Not on a shard. */
bool porch_broker_settle(porch_broker *b);

/* Membership or statements changed: live sessions of the principal (name NULL: of everybody) fetch their
 * policy anew; what they had subscribed is judged at delivery from then on. Any thread. */
void porch_broker_regrant(porch_broker *b, porch_identity_kind kind, const char *name);

/* What was deleted leaves memory: all that was said below d/DEVICE/, or the messages of these numbers.
 * Nobody is sent it any more, whether it was retained or waited for a session; what a client has half of is
 * told to its end without it. Rows are not touched: theirs go before, in the transaction that decides so
 * (porch_broker_forget_rows, porch_media_delete_rows). Any thread; it holds once porch_broker_settle has
 * returned, and after that what is said anew is as ever. False: no memory, which is logged. */
bool porch_broker_forget_device(porch_broker *b, const char *device);
bool porch_broker_forget_messages(porch_broker *b, const uint64_t *seqs, size_t count);
/* In a transaction: retained messages below d/DEVICE/ and the device's own sessions go, and no session that
 * is away is given later what was said there. */
porch_err porch_broker_forget_rows(struct porch_db *db, const char *device, porch_why *why);

/* Sum over the shards; each number only grows but `sessions` and `subscriptions`. */
typedef struct {
    uint64_t sessions;
    uint64_t subscriptions;
    uint64_t connects;
    uint64_t connects_refused;
    uint64_t taken_over;
    uint64_t messages_in;
    uint64_t messages_out;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t publishes_refused; /* not authorised: dropped, acknowledged where the protocol has no code */
    uint64_t subscribes_refused;
    uint64_t delivery_refused;  /* deny judged at delivery */
    uint64_t dropped_slow;      /* QoS 0 for a subscriber whose queue is full */
    uint64_t disconnected_slow; /* QoS 1 for a subscriber whose queue is full */
    uint64_t rate_limited;      /* pauses of a publisher past its rate */
    uint64_t protocol_errors;
    uint64_t stored;        /* acknowledged after their commit */
    uint64_t store_refused; /* the store was full or failed: 0x97 */
    uint64_t resumed;       /* connections that found their session again */
    uint64_t expired;       /* sessions whose client did not come back in time */
    uint64_t wills;         /* spoken */
    uint64_t dropped_full;  /* oldest messages of absent or slow clients' full queues */
    uint64_t silent;        /* connections ended: nothing was heard for 1.5 keep-alive times */
    uint64_t retained;      /* messages, now */
} porch_broker_counts;
void porch_broker_read_counts(const porch_broker *b, porch_broker_counts *ret);

#endif
