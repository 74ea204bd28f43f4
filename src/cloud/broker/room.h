/* What the files of this room share: the broker, its part on each shard, and sessions.
 *
 * A session lives on its home shard, hash(kind, name, client identifier), and is touched by that shard's
 * thread only. It may outlive its connection (MQTT 5.0, section 4.1); then it has a number and what it
 * needs to go on after a crash is written down by note.h before anybody relies on it. */
#ifndef PORCH_CLOUD_BROKER_ROOM_H
#define PORCH_CLOUD_BROKER_ROOM_H

#include <pthread.h>

#include "access/policy.h"
#include "access/statement.h"
#include "cloud/broker/acks.h"
#include "cloud/broker/alias.h"
#include "cloud/broker/broker.h"
#include "cloud/broker/deadline.h"
#include "cloud/broker/delivery.h"
#include "cloud/broker/flight.h"
#include "cloud/broker/interest.h"
#include "cloud/broker/memo.h"
#include "cloud/broker/message.h"
#include "cloud/broker/note.h"
#include "cloud/broker/rate.h"
#include "cloud/broker/received.h"
#include "cloud/broker/retained.h"
#include "cloud/broker/trie.h"
#include "cloud/broker/verdicts.h"
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
typedef struct porch_share porch_share;
typedef struct porch_forget_order porch_forget_order;

/* All sessions of one device or service: what they may do together. */
typedef struct porch_party {
    struct porch_party *next;
    porch_identity_kind kind;
    char name[65];
    uint32_t sessions; /* under the broker's lock */
    porch_rate messages, bytes;
} porch_party;

/* What a shard does once the store has answered a ticket. */
typedef enum {
    PORCH_PENDING_ROUTE,    /* route the message, acknowledge it */
    PORCH_PENDING_CONNACK,  /* welcome */
    PORCH_PENDING_ANSWER,   /* send the SUBACK or UNSUBACK that `block` holds */
    PORCH_PENDING_COMPLETE, /* PUBREL was taken: PUBCOMP */
    PORCH_PENDING_SEND,     /* a QoS 2 delivery may leave */
    PORCH_PENDING_RELEASE,  /* PUBREC was taken: PUBREL */
    PORCH_PENDING_AGAIN     /* nobody waits, but it must be written: `block` is a porch_unsaid */
} porch_pending_kind;

typedef struct {
    uint64_t ticket;
    porch_message *message;   /* ROUTE */
    porch_session *session;   /* NULL: nobody waits */
    void *block;              /* a pool block: ANSWER's bytes, CONNACK's properties, AGAIN's porch_unsaid */
    uint32_t link;            /* connection that waits: another one is not answered */
    uint32_t place;           /* of the acknowledgement; bytes in `block` */
    uint32_t retaining_bytes; /* by which a retained ROUTE adds to what is kept */
    uint16_t packet_id;
    uint8_t kind;
    bool follows : 1;   /* nothing of it is stored: it only keeps its place in the order */
    bool retaining : 1; /* a ROUTE that adds a topic to what is kept */
    bool will : 1;      /* a ROUTE of the session's will */
    bool forgotten : 1; /* a ROUTE to nobody: what it says was deleted meanwhile */
} porch_pending;

/* A note that the store refused or had no room for, to be written again: a pool block. */
typedef struct porch_unsaid {
    struct porch_unsaid *next;
    porch_session *session; /* whose life between two connections it tells of; NULL: it holds for ever */
    uint32_t link;          /* of that session then */
    uint32_t len;
    uint8_t note[];
} porch_unsaid;

typedef struct {
    char *filter; /* zero-terminated, a pool block; as the client sent it */
    size_t len;
    uint32_t identifier;
    uint8_t options; /* as the byte of SUBSCRIBE */
    bool kept;       /* all shards know that it is a lasting session's */
    bool joined;     /* the owner of the shared subscription knows of it */
    bool asked;      /* and was asked to, and has not said no */
    uint64_t share;  /* 0: not shared */
    uint64_t ask_ms; /* not before, after it could not be asked or has said no */
} porch_subscribed;

/* Retained messages on their way to a new subscriber. */
typedef struct porch_replay {
    struct porch_replay *next;
    porch_retained_walk walk;
    uint32_t identifier;
    uint8_t qos;
    size_t len;
    uint8_t filter[];
} porch_replay;

typedef struct {
    porch_message *message;
    uint32_t delay_s;
} porch_will;

struct porch_session {
    porch_broker_shard *home;
    porch_conn *conn; /* NULL: none now */
    porch_session *chain, *next_stalled, *next_dead;
    porch_session *next_lasting, *prev_lasting;
    uint64_t hash;
    uint64_t number;   /* in the store; 0: nothing of it is written down */
    uint64_t replaces; /* the number of the one before it, whose end its CONNECT writes down; or 0 */
    porch_registry_entry entry;
    porch_party *party;
    const porch_access_policy *policy;
    uint64_t asker; /* stands for the policy in what is remembered of it (broker_judge.c) */
    porch_mqtt_version version;
    uint32_t link;     /* counts its connections */
    bool problem_info; /* reason strings are welcome */
    bool ending, stalled, choked, taken_over, said_goodbye;
    bool welcomed;    /* CONNACK has left */
    bool will_anyway; /* it said goodbye and wants its will spoken all the same */
    bool over;        /* ended; memory stays until the store has answered */
    bool written;     /* the store has a row of it */
    bool will_said;   /* the will is in the lane, and is kept until the store has answered */
    char client_id[PORCH_BROKER_CLIENT_ID_BYTES];
    char address[64];

    /* its life without a connection */
    uint32_t expiry_s;   /* UINT32_MAX: for ever; 0: ends with its connection */
    uint64_t ended_ms;   /* wall clock */
    uint64_t expires_ms; /* monotonic; UINT64_MAX: never */
    porch_will will;     /* message NULL: none */
    uint64_t will_due_ms;
    porch_deadline deadline;

    uint64_t keep_alive_ms; /* 1.5 times what was agreed; 0: none */
    uint64_t last_in_ms, paused_until_ms, slow_logged_ms, rate_logged_ms;

    /* towards the client */
    uint32_t packet_most;
    porch_delivery *queue; /* a ring in a pool block; grows up to broker.queue_messages */
    uint32_t queue_first, queue_count, queue_cap;
    size_t queue_bytes;
    uint64_t sent_messages, sent_bytes;          /* out of the queue so far */
    uint64_t mark_ms, mark_messages, mark_bytes; /* the same when its pace was last looked at */
    bool keeps_pace;
    bool rejudge; /* permissions changed while something waited */
    porch_flight flight;
    uint32_t resends; /* in flight, to be sent on this connection */
    uint16_t window_most;
    porch_alias alias_out;
    uint8_t *big; /* a packet larger than one record, being sent */
    size_t big_at, big_len;
    porch_replay *replays;

    /* from the client */
    porch_acks acks;
    uint32_t pubacks; /* PUBACKs among them */
    porch_received received;
    porch_alias alias_in;
    uint64_t retaining, retaining_bytes; /* what it has on its way that adds to what is retained */
    uint32_t pending_commits;            /* of any kind: its memory must stay */
    uint32_t pending_publishes;          /* of QoS 1 and 2: what is published behind them waits its turn */
    uint32_t pending_fleeting;           /* of QoS 0 */
    uint64_t denied_ms;                  /* when deliveries that it may not have were put down last */
    uint32_t denied;                     /* since then */

    porch_subscribed *subscriptions;
    size_t subscription_count, subscription_cap;

    /* how far it has had what is kept for it */
    uint64_t cursor_saved;
    uint64_t cursor_saved_ms; /* monotonic */
    bool cursor_moved;        /* something was acknowledged since */

    uint64_t round; /* see broker_deliver.c */
    uint32_t round_identifiers;
    uint8_t round_qos;
    bool round_judge, round_retain;
};

static inline bool porch_session_lasts(const porch_session *s) {
    return s->expiry_s > 0;
}
static inline bool porch_session_online(const porch_session *s) {
    return s->conn != NULL && !s->ending;
}

typedef struct {
    _Atomic uint64_t sessions, subscriptions, connects, connects_refused, taken_over, messages_in,
        messages_out;
    _Atomic uint64_t bytes_in, bytes_out, publishes_refused, subscribes_refused, delivery_refused,
        dropped_slow;
    _Atomic uint64_t disconnected_slow, rate_limited, protocol_errors, stored, store_refused;
    _Atomic uint64_t resumed, expired, wills, dropped_full, silent;
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
    bool stopping; /* its sessions go with the hub */
    porch_pool *pool;
    porch_trie *trie;
    porch_interest interest; /* what of the trie other shards see */
    porch_memo *memo;        /* what was found out about topics */
    porch_verdicts *verdicts;
    porch_trie *kept; /* filters of all shards' lasting sessions: what must be stored for them */
    porch_retained *retained;
    porch_session **buckets; /* sessions by key */
    size_t bucket_count, session_count;
    porch_session **targets; /* scratch of broker_deliver.c, one for each session */
    size_t target_cap;
    uint64_t round;
    uint32_t hold_ms; /* the last route_here met a subscriber that is behind but keeps pace */
    porch_session *lasting;
    porch_share *shares; /* that this shard owns */
    porch_deadlines deadlines;
    uint32_t replays;       /* open ones */
    uint32_t expired_notes; /* of retained messages, in this turn */
    porch_conn *taking;     /* whose packets are worked off; NULL: nobody's */
    porch_store_lane *lane;
    porch_unsaid *unsaid, *unsaid_last; /* oldest first */
    uint32_t unsaid_count;
    porch_pending *pending; /* a ring, in ticket order */
    uint32_t pending_first, pending_count, pending_cap;
    porch_store_answer answer; /* the last from the store; its tickets may not all be worked through */
    bool loading;
    uint64_t turns; /* since settled_next was read */
    uint64_t tick_due_ms;
    uint64_t settled; /* every message up to this number has been routed here */
    uint64_t settled_next;
    porch_session *stalled, *dead;
    porch_forget_order *forgets; /* obeyed once, to be looked at again */
    _Atomic uint32_t outside;    /* messages of other threads in the inbox */
    _Atomic uint64_t routed;     /* this shard's own messages up to this number have left for all others */
    _Atomic uint64_t retained_count;
    _Atomic uint64_t had; /* its lasting sessions have had everything up to this number */
    porch_broker_shard_counts counts;
};

struct porch_broker {
    porch_broker_config config;
    porch_settings settings;
    uint64_t seed;
    pthread_mutex_t lock; /* parties, tickets, obeyed */
    pthread_cond_t stamped;
    uint64_t tickets; /* of those who wait until all shards have obeyed, the last one given */
    uint64_t obeyed[PORCH_BROKER_SHARDS_MOST]; /* the newest ticket that each shard has obeyed */
    porch_party *parties[PORCH_BROKER_PARTY_BUCKETS];
    porch_topic_filter stored[PORCH_BROKER_STORED_MOST + 1]; /* one is always there */
    size_t stored_count;
    bool exact_suback;                           /* access.suback_refusal */
    unsigned shard_count;                        /* as started so far */
    _Atomic uint64_t numbers;                    /* of sessions, the last one given */
    _Atomic uint64_t seqs;                       /* of retained messages where there is no store */
    _Atomic uint64_t retaining, retaining_bytes; /* as a session's, of all */
    _Atomic uint32_t keep_all; /* changes of `kept` under way: until all shards know, everything is kept */
    porch_broker_shard shards[PORCH_BROKER_SHARDS_MOST];
};

/* Parcels between shards. */
enum {
    PORCH_PARCEL_MESSAGE = 1,
    PORCH_PARCEL_HOLD = 2,    /* `word`: hash of a publisher's session that is to pause for `number` ms */
    PORCH_PARCEL_RETAINED = 3 /* a message that is also to be kept as its topic's retained one */
};

/* What a handler did with its packet. STALL: not now, offer it again. */
typedef enum { PORCH_TAKEN, PORCH_STALL } porch_taken;

/* broker_connect.c */
porch_taken porch_broker_on_connect(porch_broker_shard *b, porch_conn *c, const porch_mqtt_frame *frame);
/* The store has the session: `properties` are CONNACK's. */
void porch_session_welcome(porch_session *s, bool present, porch_bytes properties);

/* broker_session.c */
porch_session *porch_session_new(porch_broker_shard *b, const porch_registry_entry *entry,
                                 const char *client_id);
porch_session *porch_session_find(porch_broker_shard *b, porch_identity_kind kind, const char *name,
                                  const char *client_id);
porch_session *porch_session_by_hash(porch_broker_shard *b, uint64_t hash);
uint64_t porch_session_hash(const porch_broker *broker, porch_identity_kind kind, const char *name,
                            const char *client_id);
/* A new connection for it; the one it had is gone. */
void porch_session_attach(porch_session *s, porch_conn *c);
/* The connection is gone: the session ends, or waits for its client. */
void porch_session_detach(porch_session *s);
/* Leaves the map, the trie and the party, and the store when `forget`; freed later. */
void porch_session_end(porch_session *s, bool forget);
void porch_session_free(porch_session *s);
/* False: no room now. */
bool porch_session_speak_will(porch_session *s);
void porch_session_drop_will(porch_session *s);
/* The store has answered: it is spoken, or is to be spoken again. */
void porch_session_will_settled(porch_session *s, bool ok);
/* By its expiry and its will; without a connection. */
void porch_session_set_deadline(porch_session *s);
/* Sessions whose time is over, wills whose time has come. */
void porch_broker_take_deadlines(porch_broker_shard *b);
/* Sends DISCONNECT (5.0) and closes; counts and logs unless what is NULL. */
void porch_session_disconnect(porch_session *s, uint8_t reason, const char *what);
void porch_session_fault(porch_session *s, const porch_mqtt_frame *frame, const porch_mqtt_fault *fault);
void porch_session_regrant(porch_session *s);

/* ---- the policy's answers (broker_judge.c) ---- */
/* Its policy is another one: nothing remembered of the old one counts any more. */
void porch_session_judge_anew(porch_session *s);
/* May it publish or receive (`action`) this topic? `id` is the topic's in the memo of the session's shard;
 * 0: none. */
porch_access_decision porch_session_decide(porch_session *s, unsigned action, porch_bytes topic,
                                           uint64_t id);

/* ---- quarantine (broker_quarantine.c): asked beside the policy ---- */
#define PORCH_QUARANTINE_SAYS                                                                              \
    "the device is under quarantine: diagnostics and the signed update only; 'device readmit' lets it in " \
    "again"
bool porch_quarantine_lets_publish(const porch_registry_entry *e, porch_bytes topic);
/* A subscription's filter, or the topic of a message that is about to be delivered. */
bool porch_quarantine_lets_hear(const porch_registry_entry *e, porch_bytes filter_or_topic);
void porch_session_arm(porch_session *s);
void porch_session_on_timer(porch_session *s);
/* Reads on, unless something else still holds it back. */
void porch_session_listen(porch_session *s);
/* One line for the operator; detail is a topic, a filter or NULL. */
void porch_session_log(porch_session *s, const char *event, const char *packet, const char *detail_key,
                       porch_bytes detail, const char *reason);

/* broker_publish.c */
/* Something to be published: by a client, by its will, or by the hub. */
typedef struct {
    porch_bytes topic, payload;
    const porch_mqtt_properties *properties; /* NULL: none */
    porch_bytes note;                        /* more to be written with it */
    uint8_t qos;
    bool retain;
    bool will;
} porch_publication;

porch_taken porch_broker_on_publish(porch_session *s, const porch_mqtt_frame *frame);
/* Stores and routes; nobody is acknowledged. `publisher` may be NULL: the hub. STALL: no room now. */
porch_taken porch_broker_speak(porch_broker_shard *b, porch_session *publisher, const porch_publication *p);

/* broker_acks.c: acknowledgements in both directions, QoS 1 and 2 */
porch_taken porch_broker_on_puback(porch_session *s, const porch_mqtt_frame *frame);
porch_taken porch_broker_on_pubrec(porch_session *s, const porch_mqtt_frame *frame);
porch_taken porch_broker_on_pubrel(porch_session *s, const porch_mqtt_frame *frame);
porch_taken porch_broker_on_pubcomp(porch_session *s, const porch_mqtt_frame *frame);
/* Room for the next acknowledgement? */
bool porch_session_make_acks(porch_session *s);
/* Its place in the order; the room was seen before. */
uint32_t porch_session_expect_ack(porch_session *s, porch_mqtt_type type, uint16_t packet_id);
void porch_session_acknowledge(porch_session *s, uint32_t place, uint8_t reason);
/* What is due of them leaves. */
void porch_session_send_acks(porch_session *s);
/* How many publications of QoS 1 and 2 the client has under way. */
uint32_t porch_session_unacknowledged(const porch_session *s);
/* A delivery under way is done with, though its client has not acknowledged it. */
void porch_session_give_up(porch_session *s, porch_flying *one);
/* Its row in mqtt_flight is not needed any more; nothing when it has none. */
void porch_session_write_done(porch_session *s, const porch_flying *one);
void porch_session_sent_saved(porch_session *s, uint16_t packet_id, bool ok);
void porch_session_release_saved(porch_session *s, uint16_t packet_id, bool ok);
void porch_session_completed_saved(porch_session *s, uint16_t packet_id, bool ok);
/* While loading: this message was under way with that identifier, or is done with; see mqtt_flight. */
void porch_session_resume_flight(porch_session *s, uint64_t seq, uint16_t packet_id, uint8_t state);
/* While loading, after all messages: whatever was sent with this identifier is not sent again, and the
 * client may hold it still: PUBREL frees it. False without memory. */
bool porch_session_resume_release(porch_session *s, int64_t row, uint16_t packet_id, uint8_t state);
/* Marks what was under way on the old connection for the new one. */
void porch_session_resend(porch_session *s);

/* broker_pending.c: what waits for the store */
/* Appends the note (and message) to the lane; the ticket's answer will do what `p` says. p->session, link
 * and ticket are filled in here. BUSY: no room now. LIMIT: never. */
porch_err porch_broker_write(porch_broker_shard *b, const porch_store_message *m, porch_session *s,
                             porch_pending *p);
/* Would so many records with so many bytes in all be taken now, each with something that waits for it? OK,
 * BUSY or LIMIT (never). For what must not begin unless it can be written down. */
porch_err porch_broker_room(porch_broker_shard *b, uint32_t records, size_t bytes);
/* A note of a session that nobody waits for. When the lane is full it is not written: it must be one that
 * the next tick repeats or that does no harm when it is missing. */
void porch_session_note(porch_session *s, const porch_buf *note);
/* The same for a note that must not be missing, since a client was told so: refused, or without room, it is
 * written again by a later tick. It tells of `s` until its next connection or its end; NULL: for ever. */
void porch_broker_note_surely(porch_broker_shard *b, porch_session *s, const porch_buf *note);
/* Once a second: some of those. */
void porch_broker_say_unsaid(porch_broker_shard *b);
/* What waits for its commit and is named is acknowledged as ever and goes to nobody. */
void porch_broker_forget_pending(porch_broker_shard *b, const porch_forget_order *o);
/* A note that something waits for. False: no room now. */
bool porch_session_note_then(porch_session *s, const porch_buf *note, porch_pending *p);
/* Does `p` once everything written so far is answered. False: no room now. */
bool porch_broker_follow(porch_broker_shard *b, porch_session *s, porch_pending *p);
void porch_broker_take_commits(porch_broker_shard *b);
void porch_broker_drop_pending(porch_broker_shard *b);

/* broker_keep.c: sessions that outlive their connection, in the store */
/* Is there a lasting session that this topic is for, on whatever shard? */
bool porch_broker_keeps(porch_broker_shard *b, porch_topic_name topic, porch_memo_topic *row);
/* A lasting session subscribed (+1) or no longer does (-1): tells all shards. */
void porch_broker_kept_filter(porch_broker_shard *b, porch_bytes filter, int by);
void porch_broker_kept_here(porch_broker_shard *b, unsigned owner, porch_bytes filter, int by);
void porch_session_begin_lasting(porch_session *s);
void porch_session_end_lasting(porch_session *s);
/* A delivery is done with; `seq` is its message's number when that counts for a cursor, else 0. */
void porch_session_had(porch_session *s, const porch_delivery *d, uint64_t seq);
/* Writes `before`, then the session's row when it has a number. False: no room now. */
bool porch_session_save(porch_session *s, bool connected, porch_buf *before, porch_pending *p);
/* This shard's own messages up to this number have left for all others. */
void porch_broker_say_routed(porch_broker_shard *b, uint64_t seq);
/* Once a second: cursors, what the store may let go. */
void porch_broker_keep_tick(porch_broker_shard *b);
porch_err porch_broker_load(porch_broker_shard *b, porch_why *why);

/* broker_subscribe.c */
porch_taken porch_broker_on_subscribe(porch_session *s, const porch_mqtt_frame *frame);
porch_taken porch_broker_on_unsubscribe(porch_session *s, const porch_mqtt_frame *frame);
/* Adds to list and trie, or changes what is there; NULL without memory. */
porch_subscribed *porch_session_subscribe(porch_session *s, porch_bytes text, porch_bytes group,
                                          porch_topic_filter filter, uint8_t options, uint32_t identifier);
void porch_session_unsubscribe_all(porch_session *s);

/* broker_share.c */
uint64_t porch_share_id(const porch_broker *broker, porch_bytes text);
/* On a member's home shard. Asks the owner to let it in, unless it was asked: to be called until `joined`.
 */
void porch_share_ask(porch_session *s, porch_subscribed *one);
void porch_share_leave(porch_session *s, const porch_subscribed *one);
/* Its client came or went: said to the owners of all its shared subscriptions. */
void porch_share_tell(porch_session *s, bool online);
/* A delivery is done with, or goes to another member (which takes what it holds). */
void porch_share_done(porch_session *s, const porch_delivery *d, uint64_t seq);
void porch_share_back(porch_session *s, porch_delivery *d);
/* On the owner's shard. */
void porch_share_take(porch_broker_shard *b, porch_share *share, porch_message *m);
bool porch_share_load_member(porch_broker_shard *b, porch_bytes text, uint64_t session, uint64_t cursor);
/* Writes cursors; the least of them and `had`. */
uint64_t porch_share_keep_tick(porch_broker_shard *b, uint64_t had);
uint64_t porch_share_least_cursor(const porch_broker_shard *b, uint64_t least);
void porch_share_forget_all(porch_broker_shard *b);
/* What waits for a member and is named goes. */
void porch_share_forget(porch_broker_shard *b, const porch_forget_order *o);

/* broker_forget.c: what was deleted */
/* Is this message one of those? */
bool porch_forget_names(const porch_forget_order *o, const porch_message *m);
/* Once a second: the second look of those that are ready for it. */
void porch_broker_forget_again(porch_broker_shard *b);
void porch_broker_drop_forgets(porch_broker_shard *b);

/* broker_retain.c */
/* Keeps, replaces or clears: on this shard. */
void porch_broker_retain_here(porch_broker_shard *b, porch_message *m);
/* PORCH_OK, or LIMIT when a limit would be passed; what waits for its commit counts. `s` is the
 * publisher's, NULL where there is none yet. */
porch_err porch_broker_may_retain(porch_broker_shard *b, const porch_session *s, porch_bytes topic,
                                  porch_bytes payload);
/* What a retained publication adds, noted in its pending ROUTE; counted from begin to end. */
void porch_broker_measure_retaining(porch_broker_shard *b, porch_pending *p);
void porch_broker_begin_retaining(porch_broker_shard *b, porch_session *s, const porch_pending *p);
void porch_broker_end_retaining(porch_broker_shard *b, porch_session *s, const porch_pending *p);
/* Once a second: lets some of the expired ones go. */
void porch_broker_expire_retained(porch_broker_shard *b);
/* The retained messages of this filter go to the session, a few at a time. False without memory. */
bool porch_session_replay(porch_session *s, porch_topic_filter filter, uint8_t qos, uint32_t identifier);
void porch_session_end_replays(porch_session *s);
/* Those of this filter bring nothing more (MQTT-3.10.4-2). */
void porch_session_end_replay(porch_session *s, porch_bytes filter);
void porch_broker_take_replays(porch_broker_shard *b);

/* broker_deliver.c: who hears it */
/* A filter came into this shard's trie (+1) or left it (-1): what is counted, and what other shards see. */
void porch_broker_hears(porch_broker_shard *b, porch_topic_filter filter, int by);
/* True when each other shard's ring takes one more message. */
bool porch_broker_can_route(const porch_broker_shard *b);
/* To this shard's subscribers and to the other shards. */
void porch_broker_route(porch_broker_shard *b, porch_message *m, porch_session *publisher);
/* To this shard's subscribers only. */
void porch_broker_route_here(porch_broker_shard *b, porch_message *m, const porch_session *publisher);
bool porch_session_may_receive(porch_session *s, porch_bytes topic);

/* broker_queue.c: what waits for a client */
/* Into the session's queue; takes over what `d` points to but the message, which it references. False: it
 * was not taken. */
bool porch_session_deliver(porch_session *s, const porch_delivery *d);
/* A publisher whose messages pile up at a subscriber that keeps pace is read a moment later. */
void porch_session_hold(porch_session *s, uint32_t hold_ms);
void porch_broker_hold(porch_broker_shard *b, uint64_t publisher, uint32_t hold_ms);
/* What the client says it cannot read is passed over as if it had been delivered (MQTT-3.1.2-24, -25). */
bool porch_session_too_large(porch_session *s, const porch_delivery *d);
/* The first one is not needed any more: expired, no longer permitted, or in the way of newer ones. */
void porch_session_skip_first(porch_session *s);
/* The queue's room and place at its front again, for one that could not be sent. */
bool porch_session_put_back(porch_session *s, const porch_delivery *d);
/* The first one out (its message's reference is the caller's then), and one in at the end. */
bool porch_session_take_first(porch_session *s, porch_delivery *ret);
bool porch_session_put_last(porch_session *s, const porch_delivery *d);
/* Takes the last one out, when it is of this message; its message's reference is the caller's then. */
bool porch_session_take_last(porch_session *s, uint64_t seq, porch_delivery *ret);
size_t porch_session_queue_count(const porch_session *s);
porch_delivery *porch_session_queue_at(porch_session *s, uint32_t i);
/* A client that was idle does not keep the queue of its busiest moment. */
void porch_session_rest_queue(porch_session *s);
void porch_session_drop_queue(porch_session *s);
/* Gives back what a delivery holds. */
void porch_delivery_release(porch_broker_shard *b, porch_delivery *d);

/* broker_fill.c: onto the wire */
void porch_session_fill(porch_session *s, porch_buf *out);
/* One whole packet of another kind, behind a message that is on its way. A client that leaves too much
 * unread is not read from either. False: the connection was cut. */
bool porch_session_put(porch_session *s, porch_bytes packet);
/* The same for acknowledgements, which nothing has to wait for. */
bool porch_session_put_behind(porch_session *s, porch_bytes packet);

#endif
