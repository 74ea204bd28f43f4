/* webhook.* and notification.list on the admin socket. */
#include <string.h>

#include "base/text.h"
#include "cloud/api/admin.h"
#include "cloud/notify/notify.h"

enum { LIST_DEFAULT = 50, LIST_MOST = 1000 };

static porch_err need_notify(porch_admin_call *call) {
    if (call->world->notify) return PORCH_OK;
    return porch_fail(call->why, PORCH_ERR_STATE, "this hub runs without notifications");
}

static json_t *webhook_json(const porch_notify_webhook *w) {
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "id", w->id, "url", w->url,
                     "created_ms", (json_int_t)w->created_ms, "delivered", (json_int_t)w->delivered,
                     "waiting", (json_int_t)w->waiting, "given_up", (json_int_t)w->given_up, "last_at_ms",
                     (json_int_t)w->last_at_ms, "last_status", (json_int_t)w->last_status, "last_error",
                     w->last_error);
}

static porch_err webhook_add(porch_admin_call *call) {
    static const char *const names[] = {"url", NULL};
    const char *url = NULL;
    char secret[PORCH_NOTIFY_SECRET_TEXT];
    porch_notify_webhook made;
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "url", &url));
    PORCH_TRY(need_notify(call));
    PORCH_TRY(porch_notify_webhook_add(call->world->notify, url, &made, secret, call->why));
    int rc = json_object_set_new(call->result, "id", json_string(made.id));
    rc |= json_object_set_new(call->result, "url", json_string(made.url));
    rc |= json_object_set_new(call->result, "secret", json_string(secret));
    porch_wipe(secret, sizeof secret);
    return rc == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
}

static bool add_webhook(const porch_notify_webhook *w, void *ctx) {
    return json_array_append_new(ctx, webhook_json(w)) == 0;
}

static porch_err webhook_list(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(need_notify(call));
    json_t *list = json_array();
    if (json_object_set_new(call->result, "webhooks", list) != 0) return PORCH_ERR_INTERNAL;
    return porch_notify_webhook_list(call->world->notify, add_webhook, list, call->why);
}

static porch_err webhook_remove(porch_admin_call *call) {
    static const char *const names[] = {"id", NULL};
    const char *id = NULL;
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "id", &id));
    PORCH_TRY(need_notify(call));
    return porch_notify_webhook_remove(call->world->notify, id, call->why);
}

/* ---- notification.list ---- */

typedef struct {
    json_t *list;
    uint32_t limit;
} list_job;

static bool add_notification(const porch_notify_item *item, void *ctx) {
    char block[4096];
    porch_buf text = PORCH_BUF_OF(block);
    if (porch_notify_item_json(item, NULL, &text) != PORCH_OK) return false;
    json_t *o = json_loadb(block, text.len, 0, NULL);
    if (o) (void)json_object_set_new(o, "seq", json_integer((json_int_t)item->seq));
    return o && json_array_insert_new(ctx, 0, o) == 0;
}

static porch_err read_notifications(porch_db *db, void *ctx, porch_why *why) {
    const list_job *job = ctx;
    return porch_notify_latest(db, job->limit, add_notification, job->list, why);
}

static porch_err notification_list(porch_admin_call *call) {
    static const char *const names[] = {"limit", NULL};
    const char *text = NULL;
    uint64_t limit = LIST_DEFAULT;
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text_optional(call, "limit", &text));
    if (text && (porch_decimal_read(porch_bytes_of(text), LIST_MOST, &limit) != PORCH_OK || limit == 0))
        return porch_fail(call->why, PORCH_ERR_USAGE, "limit is a number from 1 to %d", LIST_MOST);
    if (!call->world->store)
        return porch_fail(call->why, PORCH_ERR_STATE, "this hub runs without its store");
    list_job job = {json_array(), (uint32_t)limit};
    if (json_object_set_new(call->result, "notifications", job.list) != 0) return PORCH_ERR_INTERNAL;
    return porch_store_read(call->world->store, read_notifications, &job, call->why);
}

const porch_admin_command porch_admin_notify_commands[] = {
    {"webhook.add", webhook_add},
    {"webhook.list", webhook_list},
    {"webhook.remove", webhook_remove},
    {"notification.list", notification_list},
    {NULL, NULL},
};
