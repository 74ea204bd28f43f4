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

const porch_cli_command porch_cli_status_commands[] = {
    {"status", NULL, false, NULL, "what the hub does: ports, devices, messages, disk", run},
    {0},
};
