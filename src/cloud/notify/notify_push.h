/* Push messages (RFC 8030): what a phone shows while the page is closed.
 *
 *   browser ─► subscription (endpoint, keys)          person found ─► one delivery row a subscription,
 *                                                     unless snoozed, in quiet hours or cooling down
 *                                                     alert about the account ─► one row a subscription
 *   delivery ─► RFC 8291 body + VAPID token ─► courier ─► push service ─► browser
 *
 * An endpoint comes from a browser and is treated as hostile: https, a public name, port 443, unless
 * courier.allow names HOST:PORT; the courier judges every address behind the name again. Deliveries are
 * retried until push.ttl_s is over (test messages are not); a subscription that its service calls gone
 * (404, 410) is dropped. People take turns: a message of who was served longest ago goes first, within one
 * person one to a browser that took the last, and after a failure all of a person's messages rest, so that
 * one whose services do not answer holds up nobody else.
 *
 * What a message tells of a camera is judged by the policy when it leaves, like a message of the broker's,
 * and so is whether the browser is muted and its person may still sign in.
 *
 * A subscription belongs to the sign-in that made it. One that is ended (not one that ends by its age)
 * leaves it muted: nothing of the home goes there any more, alerts about the account do, because the person
 * may need them just then. Ending all others mutes also what those subscribed that ended by their age.
 * Signing in there and subscribing again ends that. */
#ifndef PORCH_CLOUD_NOTIFY_PUSH_H
#define PORCH_CLOUD_NOTIFY_PUSH_H

#include "cloud/notify/notify.h"

enum {
    PORCH_PUSH_SUBSCRIPTIONS_MOST = 64,
    PORCH_PUSH_SNOOZES_MOST = 64,
    PORCH_PUSH_ORIGIN_TEXT = 129,
    PORCH_PUSH_DAY_MINUTES = 1440,
};

/* The key that browsers subscribe with: the signer's VAPID key. */
porch_err porch_push_key(porch_notify *n, uint8_t key[PORCH_SIGNER_VAPID_KEY_BYTES], porch_why *why);

/* Checks an endpoint and gives the origin that a VAPID token for it names. `allow` is courier.allow.
 * PORCH_ERR_USAGE with a sentence. */
porch_err porch_push_endpoint_check(porch_bytes endpoint, const char *allow,
                                    char origin[PORCH_PUSH_ORIGIN_TEXT], porch_why *why);

/* Adds a browser of `account` under its sign-in `session`, or finds it again by endpoint and keys (then a
 * browser that another person used on the same device becomes this one's, without what still waits for the
 * other). `p256dh` and `auth` are base64url as browsers give them. PORCH_ERR_USAGE: not to be used;
 * PORCH_ERR_EXISTS: known with other keys; PORCH_ERR_LIMIT: push.subscriptions, push.origins;
 * PORCH_ERR_AUTH: the sign-in was ended;
 * PORCH_ERR_NOT_FOUND: `was` is no endpoint of this account's. */
porch_err porch_push_subscribe(porch_notify *n, const char *account, const char *session,
                               porch_bytes endpoint, porch_bytes was, porch_bytes p256dh, porch_bytes auth,
                               char id[33], bool *made, porch_why *why);
/* The browsers of the account that the sign-in `session` subscribed are muted; with "" all of them but
 * those of `except` ("": all). Inside the write that ends the sign-ins. */
porch_err porch_push_mute(porch_db *db, const char *account, const char *session, const char *except,
                          porch_why *why);
/* PORCH_ERR_NOT_FOUND also for one of somebody else. */
porch_err porch_push_unsubscribe(porch_notify *n, const char *account, const char *id, porch_why *why);
/* Sends a test message to each of the account's browsers. PORCH_ERR_NOT_FOUND without one; PORCH_ERR_LIMIT
 * within push.test_wait_s of the last. */
porch_err porch_push_test(porch_notify *n, const char *account, uint32_t *queued, porch_why *why);

/* Inside the write that stores an alert about an account: one delivery for each of its browsers, whatever
 * was snoozed and at any hour. */
porch_err porch_push_queue_alert(porch_notify *n, porch_db *db, const char *account, const char *alert,
                                 uint64_t now_ms, porch_why *why);

/* No push about this camera to this person for `minutes`: 15, 30 or 60; 0 ends it. *until_ms is 0 then. */
porch_err porch_push_snooze(porch_notify *n, const char *account, const char *device, uint32_t minutes,
                            uint64_t *until_ms, porch_why *why);
/* "22:30" into 1350; false for anything else. */
bool porch_push_time_read(porch_bytes text, uint32_t *minute);
/* Minutes of the day in the household's zone, from `begins` until before `ends`, over midnight when ends is
 * less. Both equal: no quiet hours. */
porch_err porch_push_quiet(porch_notify *n, const char *account, uint32_t begins, uint32_t ends,
                           porch_why *why);

typedef struct {
    char id[33];
    char origin[PORCH_PUSH_ORIGIN_TEXT];
    bool muted;
    uint64_t created_ms, delivered, last_at_ms;
    uint32_t last_status; /* 0: no answer, or nothing sent yet */
} porch_push_subscription;

/* All that a person set and has; about 16 KiB. */
typedef struct {
    porch_push_subscription subscriptions[PORCH_PUSH_SUBSCRIPTIONS_MOST];
    size_t subscriptions_count;
    struct {
        char device[65];
        uint64_t until_ms;
    } snoozes[PORCH_PUSH_SNOOZES_MOST]; /* those still running */
    size_t snoozes_count;
    bool quiet;
    uint32_t quiet_begins, quiet_ends;
} porch_push_view;
porch_err porch_push_read(porch_notify *n, const char *account, porch_push_view *ret, porch_why *why);

#endif
