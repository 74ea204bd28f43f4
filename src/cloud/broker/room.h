/* What the files of this room share: the broker, its part on each shard, and sessions.
 *
 * A session lives on its home shard, hash(kind, name, client identifier), and is touched by that shard's
 * thread only. In this release a session is as long as its connection. */
#ifndef PORCH_CLOUD_BROKER_ROOM_H
#define PORCH_CLOUD_BROKER_ROOM_H

#include <pthread.h>

#include "access/policy.h"
#include "access/statement.h"
#include "cloud/broker/acks.h"
#include "cloud/broker/broker.h"
#include "cloud/broker/message.h"
#include "cloud/broker/rate.h"
#include "cloud/broker/trie.h"
#include "cloud/broker/window.h"
#include "cloud/grants/grants.h"
#include "cloud/listener/conn.h"
#include "cloud/registry/registry.h"
#include "cloud/settings/settings.h"
#include "cloud/store/store.h"
#include "wire/mqtt_connect.h"
#include "wire/mqtt_control.h"
#include "wire/mqtt_publish.h"
#include "wire/mqtt_subscribe.h"

enum {
    PORCH_BROKER_SHARDS_MOST = 256,
    PORCH_BROKER_STORED_MOST = 32,
    PORCH_BROKER_PARTY_BUCKETS = 1024,
    PORCH_BROKER_CLIENT_ID_BYTES = 256,
    PORCH_BROKER_CHOKE_BYTES = 65536 /* unread answers after which a client is not read from */
};

typedef struct porch_broker_shard porch_broker_shard;
typedef struct porch_session porch_session;

/* All sessions of one device or service: what they may do together. */
typedef struct porch_party {
    struct porch_party *next;
    porch_identity_kind kind;
    char name[65];
    uint32_t sessions; /* under the broker's lock */
    porch_rate messages, bytes;
} porch_party;

typedef struct {
    porch_message *message;
    uint8_t qos;
} porch_queued;

/* A stored message that waits for its commit. */
typedef struct {
    uint64_t ticket;
    porch_message *message; /* NULL: nothing to route any more */
    porch_session *session; /* NULL: nobody to acknowledge */
    uint32_t place;
} porch_pending;

typedef struct {
    char *filter; /* zero-terminated, a pool block */
    size_t len;
    uint8_t qos;
    bool no_local;
} porch_subscribed;

struct porch_session {
    porch_broker_shard *home;
    porch_conn *conn; /* NULL: over */
    porch_session *chain, *next_stalled, *next_dead;
    uint64_t hash;
    porch_registry_entry entry;
    porch_party *party;
    const porch_access_policy *policy;
    porch_mqtt_version version;
    bool problem_info; /* reason strings are welcome */
    bool ending, stalled, choked, taken_over, said_goodbye;
    char client_id[PORCH_BROKER_CLIENT_ID_BYTES];
    char address[64];

    uint64_t keep_alive_ms; /* 1.5 times what was agreed; 0: none */
    uint64_t last_in_ms, paused_until_ms, slow_logged_ms, rate_logged_ms;

    /* towards the client */
    uint32_t packet_most;
    porch_queued *queue; /* a ring in a pool block; grows up to broker.queue_messages */
    uint32_t queue_first, queue_count, queue_cap;
    size_t queue_bytes;
    uint64_t sent_messages, sent_bytes;          /* out of the queue so far */
    uint64_t mark_ms, mark_messages, mark_bytes; /* the same when its pace was last looked at */
    bool keeps_pace;
    porch_window window;
    uint16_t window_most;
    uint8_t *big; /* a packet larger than one record, being sent */
    size_t big_at, big_len;

    /* from the client */
    porch_acks acks;
    uint32_t pending_commits;
    uint16_t allowed_len; /* the last topic that it was allowed to publish to */
    uint8_t allowed[128];

    porch_subscribed *subscriptions;
    size_t subscription_count, subscription_cap;

    uint64_t round; /* see deliver.c */
    uint8_t round_qos;
    bool round_judge;
};

typedef struct {
    _Atomic uint64_t sessions, subscriptions, connects, connects_refused, taken_over, messages_in,
        messages_out;
    _Atomic uint64_t bytes_in, bytes_out, publishes_refused, subscribes_refused, delivery_refused,
        dropped_slow;
    _Atomic uint64_t disconnected_slow, rate_limited, protocol_errors, stored, store_refused;
} porch_broker_shard_counts;

static inline void porch_broker_count(_Atomic uint64_t *n, int64_t by) {
    atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + (uint64_t)by,
                          memory_order_relaxed);
}

struct porch_broker_shard {
    porch_broker *broker;
    unsigned index;
    pthread_mutex_t lock; /* for `shard` alone: others ask whether it still runs */
    porch_shard *shard;
    porch_pool *pool;
    porch_trie *trie;
    porch_session **buckets; /* sessions by key */
    size_t bucket_count, session_count;
    porch_session **targets; /* scratch of deliver.c, one for each session */
    size_t target_cap;
    uint64_t round;
    uint32_t hold_ms; /* the last route_here met a subscriber that is behind but keeps pace */
    porch_store_lane *lane;
    porch_pending *pending; /* a ring, in ticket order */
    uint32_t pending_first, pending_count, pending_cap;
    uint64_t committed; /* tickets answered and not yet worked through */
    porch_err commit_result;
    porch_session *stalled, *dead;
    _Atomic uint32_t outside; /* messages of other threads in the inbox */
    porch_broker_shard_counts counts;
};

struct porch_broker {
    porch_broker_config config;
    porch_settings settings;
    uint64_t seed;
    pthread_mutex_t lock; /* parties */
    porch_party *parties[PORCH_BROKER_PARTY_BUCKETS];
    porch_topic_filter stored[PORCH_BROKER_STORED_MOST];
    size_t stored_count;
    unsigned shard_count; /* as started so far */
    porch_broker_shard shards[PORCH_BROKER_SHARDS_MOST];
};

/* Parcels between shards. */
enum {
    PORCH_PARCEL_MESSAGE = 1,
    PORCH_PARCEL_HOLD = 2 /* `word`: hash of a publisher's session that is to pause for `number` ms */
};

/* What a handler did with its packet. STALL: not now, offer it again. */
typedef enum { PORCH_TAKEN, PORCH_STALL } porch_taken;

/* broker_connect.c */
porch_taken porch_broker_on_connect(porch_broker_shard *b, porch_conn *c, const porch_mqtt_frame *frame);

/* broker_session.c */
porch_session *porch_session_new(porch_broker_shard *b, porch_conn *c, const porch_registry_entry *entry,
                                 const char *client_id);
void porch_session_free(porch_session *s);
porch_session *porch_session_find(porch_broker_shard *b, porch_identity_kind kind, const char *name,
                                  const char *client_id);
uint64_t porch_session_hash(const porch_broker *broker, porch_identity_kind kind, const char *name,
                            const char *client_id);
/* The connection is gone: leaves the map, the trie and the party; freed later. */
void porch_session_end(porch_session *s);
/* Sends DISCONNECT (5.0) and closes; counts and logs unless what is NULL. */
void porch_session_disconnect(porch_session *s, uint8_t reason, const char *what);
void porch_session_fault(porch_session *s, const porch_mqtt_frame *frame, const porch_mqtt_fault *fault);
void porch_session_regrant(porch_session *s);
void porch_session_arm(porch_session *s);
void porch_session_on_timer(porch_session *s);
/* Reads on, unless something else still holds it back. */
void porch_session_listen(porch_session *s);
/* One line for the operator; detail is a topic, a filter or NULL. */
void porch_session_log(porch_session *s, const char *event, const char *packet, const char *detail_key,
                       porch_bytes detail, const char *reason);
/* Sends acknowledgements that may leave now. */
void porch_session_send_acks(porch_session *s);

/* broker_publish.c */
porch_taken porch_broker_on_publish(porch_session *s, const porch_mqtt_frame *frame);
porch_taken porch_broker_on_puback(porch_session *s, const porch_mqtt_frame *frame);
/* Commits that the store has answered; routes and acknowledges. */
void porch_broker_take_commits(porch_broker_shard *b);

/* broker_subscribe.c */
porch_taken porch_broker_on_subscribe(porch_session *s, const porch_mqtt_frame *frame);
porch_taken porch_broker_on_unsubscribe(porch_session *s, const porch_mqtt_frame *frame);

/* broker_deliver.c */
/* True when each other shard's ring takes one more message. */
bool porch_broker_can_route(const porch_broker_shard *b);
/* To this shard's subscribers and to the other shards. */
void porch_broker_route(porch_broker_shard *b, porch_message *m, const porch_session *publisher);
/* A publisher whose messages pile up at a subscriber that keeps pace is read a moment later. */
void porch_session_hold(porch_session *s, uint32_t hold_ms);
void porch_broker_hold(porch_broker_shard *b, uint64_t publisher, uint32_t hold_ms);
/* To this shard's subscribers only. */
void porch_broker_route_here(porch_broker_shard *b, porch_message *m, const porch_session *publisher);
void porch_session_fill(porch_session *s, porch_buf *out);
void porch_session_drop_queue(porch_session *s);
/* One whole packet of another kind, behind a message that is on its way. A client that leaves too much
 * unread is not read from either. False: the connection was cut. */
bool porch_session_put(porch_session *s, porch_bytes packet);

#endif
