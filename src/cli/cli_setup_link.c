#include "cli/cli_room.h"

static void show(const json_t *answer) {
    const char *url = porch_cli_member(answer, "url");
    printf("%s\n\n", porch_cli_safe(url).text);
    porch_cli_qr(stdout, url);
    printf("\nWhoever opens it makes the owner's account. It works once, for a limited time.\n");
}

static int run(porch_cli *c) {
    return porch_cli_ask_and_show(c, "setup-link", NULL, show);
}

const porch_cli_command porch_cli_setup_link_commands[] = {
    {"setup-link", NULL, false, NULL,
     "make a new link by which the owner's account is made\n"
     "Links made before stop working. There is none once an owner exists.",
     run},
    {0},
};
