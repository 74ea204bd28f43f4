/* The log of decisions that change trust: verified, listed, exported. */
#include <stdio.h>
#include <string.h>

#include "cli/cli_room.h"

static void show_verified(const json_t *answer) {
    printf("The trust log is whole: %llu rows, the last of hash %s.\n",
           (unsigned long long)porch_cli_number(answer, "rows"), porch_cli_member(answer, "hash"));
    if (!json_is_true(json_object_get(answer, "signer")))
        printf("The signer was not asked (no hub runs): that rows were cut off the end is not excluded.\n");
    else
        printf("The signer vouches for all up to row %llu (%llu signed heads) by its key %s.\n",
               (unsigned long long)porch_cli_number(answer, "signed_rows"),
               (unsigned long long)porch_cli_number(answer, "heads"), porch_cli_member(answer, "key"));
}

static int verify(porch_cli *c) {
    return porch_cli_ask_and_show(c, "trust-log.verify", NULL, show_verified);
}

static void show_rows(const json_t *answer) {
    const json_t *row;
    size_t i;
    printf("%-8s %-20s %-22s %-24s %s\n", "ROW", "WHEN", "WHAT", "WHO", "ABOUT");
    for (i = 0; (row = json_array_get(json_object_get(answer, "rows"), i)) != NULL; i++)
        printf("%-8llu %-20s %-22s %-24s %s %s\n", (unsigned long long)porch_cli_number(row, "seq"),
               porch_cli_time(porch_cli_number(row, "at_ms")).text,
               porch_cli_safe(porch_cli_member(row, "kind")).text,
               porch_cli_safe(porch_cli_member(row, "who")).text,
               porch_cli_safe(porch_cli_member(row, "subject")).text,
               porch_cli_safe(porch_cli_member(row, "detail")).text);
}

static int list(porch_cli *c) {
    return porch_cli_ask_and_show(c, "trust-log.rows", json_pack("{s:b}", "newest", 1), show_rows);
}

static void print_lines(const json_t *array) {
    const json_t *one;
    size_t i;
    for (i = 0; (one = json_array_get(array, i)) != NULL; i++) {
        (void)json_dumpf(one, stdout, JSON_COMPACT);
        (void)putchar('\n');
    }
}

/* Page after page, each followed by the signed heads among its rows. */
static int export_all(porch_cli *c) {
    porch_why why = {""};
    porch_cli_hub *hub = NULL;
    char after[24] = "0";
    bool more = true;
    porch_err e = porch_cli_hub_open(c->dir, &hub, &why);
    while (e == PORCH_OK && more) {
        json_t *answer = NULL;
        e = porch_cli_hub_ask(hub, "trust-log.rows", json_pack("{s:s}", "after", after), &answer, &why);
        if (e != PORCH_OK) break;
        const json_t *rows = json_object_get(answer, "rows");
        size_t count = json_array_size(rows);
        more = count > 0;
        print_lines(rows);
        print_lines(json_object_get(answer, "heads"));
        if (more)
            (void)snprintf(after, sizeof after, "%llu",
                           (unsigned long long)porch_cli_number(json_array_get(rows, count - 1), "seq"));
        json_decref(answer);
    }
    porch_cli_hub_close(hub);
    if (e == PORCH_OK && fflush(stdout) != 0)
        e = porch_fail(&why, PORCH_ERR_IO, "the lines could not be written");
    return e == PORCH_OK ? PORCH_CLI_DONE : porch_cli_fail(e, &why);
}

const porch_cli_command porch_cli_trust_commands[] = {
    {"trust-log export", NULL, false, NULL,
     "every row and every signed head as JSON lines, for others to check", export_all},
    {"trust-log list", NULL, false, NULL, "the newest decisions that changed trust", list},
    {"trust-log verify", NULL, false, NULL,
     "whether any entry was removed, changed or reordered, and which one", verify},
    {0},
};
