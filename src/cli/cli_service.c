#include "cli/cli_room.h"

#include <string.h>

static const porch_cli_option add_options[] = {
    {"--out", "FOLDER", true, false, "where its certificate, key and device.conf go"},
    {"--allow", "'ACTIONS:FILTER'", false, true, "e.g. 'subscribe:d/+/event/#' or 'publish,subscribe:d/#'"},
    {"--deny", "'ACTIONS:FILTER'", false, true, "what it must never do, whatever is allowed"},
    {"--client-ids", "any", false, false, "let it connect with any MQTT client identifier"},
    {"--csr", "FILE", false, false, "the service's own certificate request"},
    {"--renew", NULL, false, false,
     "a new key and certificate for a service that exists; what it may do is kept, and the old one holds "
     "until the new one is used"},
    {0},
};

static json_t *add_arguments(const porch_cli *c, const char *csr) {
    json_t *args = json_pack("{s:s, s:s, s:o, s:o, s:s*}", "name", c->argument, "csr", csr, "allow",
                             porch_cli_list(c, "--allow"), "deny", porch_cli_list(c, "--deny"),
                             "client_ids", porch_cli_text(c, "--client-ids"));
    if (args && porch_cli_flag(c, "--renew")) (void)json_object_set_new(args, "renew", json_true());
    return args;
}

static void show_added(const porch_cli *c, const json_t *answer) {
    printf("%s is enrolled; its folder is %s, its permissions are the group service-%s.\n"
           "Its certificate ends %s. To renew it by hand before that:\n"
           "  porchlight -C %s service add %s --renew --out NEW-FOLDER\n",
           c->argument, porch_cli_text(c, "--out"), c->argument,
           porch_cli_time(porch_cli_number(answer, "ends_ms")).text, c->dir, c->argument);
    if (porch_cli_flag(c, "--renew")) {
        printf(
            "From the first use of the new certificate on, nobody comes in with an older one: if several "
            "clients\nspeak as %s, copy this folder to all of them before the first of them goes by it.\n",
            c->argument);
        return;
    }
    if (!porch_cli_flag(c, "--allow")) printf("Nothing is allowed to it yet: add it with --allow.\n");
}

static int add(porch_cli *c) {
    porch_why why = {""};
    porch_cli_folder folder;
    json_t *answer = NULL;
    porch_err e =
        porch_cli_folder_begin(porch_cli_text(c, "--out"), porch_cli_text(c, "--csr"), &folder, &why);
    if (e == PORCH_OK) e = porch_cli_ask(c, "service.add", add_arguments(c, folder.csr_pem), &answer, &why);
    if (e != PORCH_OK)
        porch_cli_folder_undo(&folder);
    else
        e = porch_cli_folder_finish(&folder, "service", c->argument, NULL, answer, &why);
    porch_cli_folder_free(&folder);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    if (!porch_cli_json(c, answer)) show_added(c, answer);
    json_decref(answer);
    return PORCH_CLI_DONE;
}

static void show_list(const json_t *answer) {
    const json_t *service;
    size_t i;
    const json_t *services = json_object_get(answer, "services");
    if (json_array_size(services) == 0) {
        printf("No service yet. Add one: porchlight -C DIR service add NAME --out FOLDER --allow "
               "'subscribe:d/+/event/#'\n");
        return;
    }
    printf("%-24s %-20s %s\n", "NAME", "ADDED", "CERTIFICATE ENDS");
    for (i = 0; (service = json_array_get(services, i)) != NULL; i++)
        printf("%-24s %-20s %s\n", porch_cli_safe(porch_cli_member(service, "name")).text,
               porch_cli_time(porch_cli_number(service, "added_ms")).text,
               porch_cli_time(porch_cli_number(service, "certificate_ends_ms")).text);
}

static int list(porch_cli *c) {
    return porch_cli_ask_and_show(c, "service.list", NULL, show_list);
}

static int remove_service(porch_cli *c) {
    porch_why why = {""};
    json_t *answer = NULL;
    porch_err e =
        porch_cli_ask(c, "service.remove", json_pack("{s:s}", "name", c->argument), &answer, &why);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    if (!porch_cli_json(c, answer))
        printf("%s is removed: its certificate is refused from now on.\n",
               porch_cli_safe(c->argument).text);
    json_decref(answer);
    return PORCH_CLI_DONE;
}

const porch_cli_command porch_cli_service_commands[] = {
    {"service add", "NAME", false, add_options,
     "enrol an integration: certificate, key and what it may do\n"
     "Its permissions make the group service-NAME. Actions are publish and subscribe; 'read:metrics' opens "
     "/metrics.",
     add},
    {"service list", NULL, false, NULL, "every service and when its certificate ends", list},
    {"service remove", "NAME", false, NULL, "refuse its certificate, end its sessions, forget its group",
     remove_service},
    {0},
};
