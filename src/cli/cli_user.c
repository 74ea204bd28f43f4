#include "cli/cli_room.h"

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
    {"user list", NULL, false, NULL, "who may sign in", list},
    {"user reset", "NAME", false, NULL,
     "help a person who lost the second factor: a new link, all sessions end", reset},
    {0},
};
