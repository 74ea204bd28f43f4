#include "cli/cli_room.h"

#include <stdlib.h>

/* Members as they come: the hub's rooms each add their own. */
static void show_object(const json_t *object, int depth) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value) {
        if (json_is_object(value)) {
            printf("%*s%s\n", depth * 2, "", name);
            show_object(value, depth + 1);
        } else if (json_is_string(value)) {
            printf("%*s%-24s %s\n", depth * 2, "", name, porch_cli_safe(json_string_value(value)).text);
        } else {
            char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
            printf("%*s%-24s %s\n", depth * 2, "", name, text ? porch_cli_safe(text).text : "");
            free(text);
        }
    }
}

static void show(const json_t *answer) {
    show_object(answer, 0);
}

static int run(porch_cli *c) {
    return porch_cli_ask_and_show(c, "status", NULL, show);
}

static void show_clock(const json_t *answer) {
    const char *reason = porch_cli_member(answer, "reason");
    if (reason[0] == '\0')
        printf("The signer believes the hub's clock and tells devices the time.\n");
    else
        printf("The signer does not believe the hub's clock: %s.\n", porch_cli_safe(reason).text);
}

static int look_at_clock(porch_cli *c) {
    return porch_cli_ask_and_show(c, "clock", NULL, show_clock);
}

static int confirm_clock(porch_cli *c) {
    return porch_cli_ask_and_show(c, "clock", json_pack("{s:b}", "confirm", 1), show_clock);
}

const porch_cli_command porch_cli_status_commands[] = {
    {"status", NULL, false, NULL, "what the hub does: ports, devices, messages, disk", run},
    {"clock", NULL, false, NULL, "whether the signer believes the hub's clock, which it tells devices",
     look_at_clock},
    {"clock confirm", NULL, false, NULL,
     "the hub's clock is right, though it jumped: have it told to devices\n"
     "Look first (date). Devices never go back behind a time that they were told.",
     confirm_clock},
    {0},
};
