#include "cli/cli_room.h"

static void show_added(const json_t *answer) {
    printf("Webhook %s is added. Its secret, shown this once:\n\n  %s\n\n"
           "Every request carries webhook-id, webhook-timestamp and webhook-signature (Standard Webhooks): "
           "verify\n"
           "the signature, refuse old timestamps, and act once for each webhook-id.\n",
           porch_cli_safe(porch_cli_member(answer, "id")).text,
           porch_cli_safe(porch_cli_member(answer, "secret")).text);
}

static int add(porch_cli *c) {
    return porch_cli_ask_and_show(c, "webhook.add", json_pack("{s:s}", "url", c->argument), show_added);
}

static void show_list(const json_t *answer) {
    const json_t *webhook;
    size_t i;
    const json_t *webhooks = json_object_get(answer, "webhooks");
    if (json_array_size(webhooks) == 0) {
        printf("No webhook yet. Add one: porchlight -C DIR webhook add https://HOST/PATH\n");
        return;
    }
    for (i = 0; (webhook = json_array_get(webhooks, i)) != NULL; i++) {
        const char *error = porch_cli_member(webhook, "last_error");
        printf(
            "%s  %s\n    delivered %llu, waiting %llu, given up %llu; last attempt %s, answer %llu%s%s\n",
            porch_cli_safe(porch_cli_member(webhook, "id")).text,
            porch_cli_safe(porch_cli_member(webhook, "url")).text,
            (unsigned long long)porch_cli_number(webhook, "delivered"),
            (unsigned long long)porch_cli_number(webhook, "waiting"),
            (unsigned long long)porch_cli_number(webhook, "given_up"),
            porch_cli_time(porch_cli_number(webhook, "last_at_ms")).text,
            (unsigned long long)porch_cli_number(webhook, "last_status"), error[0] ? ": " : "",
            porch_cli_safe(error).text);
    }
}

static int list(porch_cli *c) {
    return porch_cli_ask_and_show(c, "webhook.list", NULL, show_list);
}

static void show_removed(const json_t *answer) {
    (void)answer;
    printf("The webhook is removed; what waited for it is dropped.\n");
}

static int remove_webhook(porch_cli *c) {
    return porch_cli_ask_and_show(c, "webhook.remove", json_pack("{s:s}", "id", c->argument), show_removed);
}

const porch_cli_command porch_cli_webhook_commands[] = {
    {"webhook add", "URL", false, NULL,
     "send every notification to an https address, signed\n"
     "A receiver at a private address must stand in the setting courier.allow (HOST:PORT).",
     add},
    {"webhook list", NULL, false, NULL, "every webhook and how its deliveries go", list},
    {"webhook remove", "ID", false, NULL, "stop sending to it", remove_webhook},
    {0},
};
