#include "cli/cli_room.h"

#include "base/text.h"

static void show_list(const json_t *answer) {
    const json_t *user;
    size_t i;
    const json_t *users = json_object_get(answer, "users");
    if (json_array_size(users) == 0) {
        printf("Nobody yet. Make the owner's account: porchlight -C DIR setup-link\n");
        return;
    }
    printf("%-24s %-10s %s\n", "NAME", "ROLE", "HOUSEHOLD");
    for (i = 0; (user = json_array_get(users, i)) != NULL; i++)
        printf("%-24s %-10s %s\n", porch_cli_safe(porch_cli_member(user, "name")).text,
               porch_cli_safe(porch_cli_member(user, "role")).text,
               porch_cli_safe(porch_cli_member(user, "household")).text);
}

static int list(porch_cli *c) {
    return porch_cli_ask_and_show(c, "user.list", NULL, show_list);
}

static void show_invitation(const json_t *answer) {
    const char *url = porch_cli_member(answer, "url");
    printf("%s\n\n", porch_cli_safe(url).text);
    porch_cli_qr(stdout, url);
    printf("\nWhoever opens it makes an account. It works once, for a limited time.\n");
}

static int invite(porch_cli *c) {
    const char *household = porch_cli_text(c, "--household"), *days = porch_cli_text(c, "--days");
    json_t *args = json_pack("{s:s}", "role", c->argument);
    uint64_t number = 0;
    if (household != NULL) (void)json_object_set_new(args, "household", json_string(household));
    if (days != NULL && porch_decimal_read(porch_bytes_of(days), 365, &number) != PORCH_OK) number = 0;
    if (days != NULL) (void)json_object_set_new(args, "days", json_integer((json_int_t)number));
    return porch_cli_ask_and_show(c, "user.invite", args, show_invitation);
}

static const porch_cli_option invite_options[] = {
    {"--household", "H", false, false, "the household; home when left out"},
    {"--days", "N", false, false, "how long a guest stays"},
    {0},
};

static void show_reset(const json_t *answer) {
    const char *url = porch_cli_member(answer, "url");
    printf("Password and second factor are reset, every session has ended.\n");
    if (!url[0]) return;
    printf("To choose new ones: %s\n\n", porch_cli_safe(url).text);
    porch_cli_qr(stdout, url);
}

static int reset(porch_cli *c) {
    return porch_cli_ask_and_show(c, "user.reset", json_pack("{s:s}", "name", c->argument), show_reset);
}

const porch_cli_command porch_cli_user_commands[] = {
    {"user invite", "ROLE", false, invite_options,
     "a link by which an adult, child or guest of a household makes an account\n"
     "Also its owner, where it has none.",
     invite},
    {"user list", NULL, false, NULL, "who may sign in", list},
    {"user reset", "NAME", false, NULL,
     "help a person who lost the second factor: a new link, all sessions end", reset},
    {0},
};
