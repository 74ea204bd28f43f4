#include "cli/cli_room.h"

#include <string.h>
#include <unistd.h>

#include "crypto/key_uri.h"

static const porch_cli_option add_options[] = {
    {"--product", "NAME", false, false, "what it is, e.g. camera; needed unless --renew is given"},
    {"--out", "FOLDER", true, false, "where its certificate, key and device.conf go"},
    {"--household", "H", false, false, "the household it belongs to (default: home)"},
    {"--csr", "FILE", false, false, "the device's own certificate request: its key then never leaves it"},
    {"--key", "URI", false, false,
     "with --csr: where that key lies on the device, as tpm2:0x81000010 or pkcs11:..."},
    {"--tpm", "TCTI", false, false,
     "with --key tpm2:...: how the device reaches its TPM (default: device:/dev/tpmrm0)"},
    {"--renew", NULL, false, false,
     "a new key and certificate for a device that exists; the old one holds until the new one is used"},
    {0},
};

static void show_added(const porch_cli *c, const json_t *answer) {
    const char *folder = porch_cli_text(c, "--out");
    printf(
        "%s is enrolled; its folder is %s.\n"
        "Its certificate ends %s. To renew it by hand before that, copy the folder that this makes to it:\n"
        "  porchlight -C %s device add %s --renew --out NEW-FOLDER\n",
        c->argument, folder, porch_cli_time(porch_cli_number(answer, "ends_ms")).text, c->dir, c->argument);
    if (porch_cli_number(json_object_get(answer, "hub"), "mqtt_port") == 0)
        printf("The hub chooses its ports when it starts: run it, and put them into %s/device.conf.\n",
               folder);
}

/* The product of a device that exists, for its new device.conf; new reference in *shown. */
static porch_err product_of(const porch_cli *c, porch_cli_hub *hub, json_t **shown, const char **product,
                            porch_why *why) {
    *product = porch_cli_text(c, "--product");
    if (!porch_cli_flag(c, "--renew")) return PORCH_OK;
    PORCH_TRY(porch_cli_hub_ask(hub, "device.show", json_pack("{s:s}", "id", c->argument), shown, why));
    *product = porch_cli_member(*shown, "product");
    return PORCH_OK;
}

static json_t *add_arguments(const porch_cli *c, const char *product, const char *csr) {
    json_t *args = json_pack("{s:s, s:s, s:s*, s:s}", "id", c->argument, "product", product, "household",
                             porch_cli_text(c, "--household"), "csr", csr);
    if (args && porch_cli_flag(c, "--renew")) (void)json_object_set_new(args, "renew", json_true());
    return args;
}

static porch_err enrol(const porch_cli *c, porch_cli_hub *hub, porch_cli_folder *folder, json_t **answer,
                       porch_why *why) {
    const char *product = NULL;
    json_t *shown = NULL;
    porch_err e = product_of(c, hub, &shown, &product, why);
    if (e == PORCH_OK)
        e = porch_cli_folder_begin(porch_cli_text(c, "--out"), porch_cli_text(c, "--csr"), folder, why);
    folder->key_uri = porch_cli_text(c, "--key");
    folder->key_tpm = porch_cli_text(c, "--tpm");
    if (e == PORCH_OK)
        e = porch_cli_hub_ask(hub, "device.add", add_arguments(c, product, folder->csr_pem), answer, why);
    /* From here on the certificate is out; its key must not be lost. */
    if (e == PORCH_OK)
        e = porch_cli_folder_finish(folder, "device", c->argument, product, *answer, why);
    else
        porch_cli_folder_undo(folder);
    json_decref(shown);
    return e;
}

static porch_err check_key(const porch_cli *c, porch_why *why) {
    porch_key_uri uri;
    const char *key = porch_cli_text(c, "--key");
    if ((key || porch_cli_flag(c, "--tpm")) && !porch_cli_flag(c, "--csr"))
        return porch_fail(why, PORCH_ERR_USAGE,
                          "--key and --tpm go with --csr: without it the key is made here");
    if (!key) return PORCH_OK;
    porch_err e = porch_key_uri_parse(porch_bytes_of(key), &uri, why);
    return e == PORCH_OK ? e : PORCH_ERR_USAGE;
}

static int add(porch_cli *c) {
    porch_why why = {""};
    porch_cli_folder folder = {0};
    porch_cli_hub *hub = NULL;
    json_t *answer = NULL;
    if (!porch_cli_flag(c, "--renew") && !porch_cli_flag(c, "--product"))
        return porch_cli_fail(
            porch_fail(&why, PORCH_ERR_USAGE, "'device add' needs --product NAME, or --renew"), &why);
    porch_err e = check_key(c, &why);
    if (e == PORCH_OK) e = porch_cli_hub_open(c->dir, &hub, &why);
    if (e == PORCH_OK) e = enrol(c, hub, &folder, &answer, &why);
    porch_cli_hub_close(hub);
    porch_cli_folder_free(&folder);
    if (e == PORCH_OK && !porch_cli_json(c, answer)) show_added(c, answer);
    json_decref(answer);
    return e == PORCH_OK ? PORCH_CLI_DONE : porch_cli_fail(e, &why);
}

static const char *state_of(const json_t *device) {
    const char *state = porch_cli_member(device, "state");
    if (state[0]) return state;
    return porch_cli_number(device, "revoked_ms") ? "revoked" : "active";
}

static void show_list(const json_t *answer) {
    const json_t *device;
    size_t i;
    const json_t *devices = json_object_get(answer, "devices");
    if (json_array_size(devices) == 0) {
        printf("No device yet. Enrol one: porchlight -C DIR device add ID --product NAME --out FOLDER\n");
        return;
    }
    printf("%-24s %-16s %-16s %-8s %-7s %-20s %s\n", "ID", "PRODUCT", "HOUSEHOLD", "STATE", "ONLINE",
           "LAST SEEN", "CERTIFICATE ENDS");
    for (i = 0; (device = json_array_get(devices, i)) != NULL; i++)
        printf("%-24s %-16s %-16s %-8s %-7s %-20s %s\n",
               porch_cli_safe(porch_cli_member(device, "id")).text,
               porch_cli_safe(porch_cli_member(device, "product")).text,
               porch_cli_safe(porch_cli_member(device, "household")).text, state_of(device),
               json_is_true(json_object_get(device, "online")) ? "yes" : "no",
               porch_cli_time(porch_cli_number(device, "last_seen_ms")).text,
               porch_cli_time(porch_cli_number(device, "certificate_ends_ms")).text);
}

static int list(porch_cli *c) {
    return porch_cli_ask_and_show(c, "device.list", NULL, show_list);
}

/* Every member, one a line. */
static void show_members(const json_t *answer) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)answer, name, value) {
        if (json_is_string(value))
            printf("%-22s %s\n", name, porch_cli_safe(json_string_value(value)).text);
        else if (json_is_integer(value) && strlen(name) > 3 && strcmp(name + strlen(name) - 3, "_ms") == 0)
            printf("%-22.*s %s\n", (int)(strlen(name) - 3), name,
                   porch_cli_time(porch_cli_number(answer, name)).text);
        else if (json_is_integer(value))
            printf("%-22s %llu\n", name, (unsigned long long)porch_cli_number(answer, name));
        else if (json_is_boolean(value))
            printf("%-22s %s\n", name, json_is_true(value) ? "yes" : "no");
    }
}

static void show_device(const json_t *answer) {
    const json_t *device = json_object_get(answer, "device");
    show_members(json_is_object(device) ? device : answer);
}

static int show(porch_cli *c) {
    return porch_cli_ask_and_show(c, "device.show", json_pack("{s:s}", "id", c->argument), show_device);
}

static int change(porch_cli *c, const char *command, const char *done) {
    porch_why why = {""};
    json_t *answer = NULL;
    porch_err e = porch_cli_ask(c, command, json_pack("{s:s}", "id", c->argument), &answer, &why);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    if (!porch_cli_json(c, answer)) printf("%s %s.\n", porch_cli_safe(c->argument).text, done);
    json_decref(answer);
    return PORCH_CLI_DONE;
}

static int revoke_device(porch_cli *c) {
    return change(c, "device.revoke",
                  "is revoked: its sessions end and its certificate is refused from now on");
}

static int quarantine(porch_cli *c) {
    return change(c, "device.quarantine",
                  "is under quarantine: diagnostics and the signed update only, from now on");
}

static int readmit(porch_cli *c) {
    return change(c, "device.readmit", "is let in as before");
}

static int remove_device(porch_cli *c) {
    return change(c, "device.remove",
                  "is removed: its certificate stays refused; its events and clips stay");
}

static void show_released(const json_t *answer) {
    printf("%s is released: its data is gone, its credentials are dead, and it can be claimed anew. "
           "Backups that were "
           "made before still hold its data.\n",
           porch_cli_safe(porch_cli_member(answer, "id")).text);
}

/* Its id once more, from standard input, which may be a pipe. */
static int release(porch_cli *c) {
    char line[128];
    if (isatty(STDIN_FILENO) == 1)
        fprintf(stderr,
                "This deletes the clips, events and notifications of %s for ever and ends its way in. Type "
                "its id to "
                "go on: ",
                porch_cli_safe(c->argument).text);
    bool meant = fgets(line, sizeof line, stdin) != NULL;
    if (meant) line[strcspn(line, "\r\n")] = '\0';
    if (!meant || strcmp(line, c->argument) != 0) {
        fprintf(stderr, "porchlight: nothing was released: the id was not typed as it is\n");
        return 1;
    }
    return porch_cli_ask_and_show(c, "device.release",
                                  json_pack("{s:s, s:s}", "id", c->argument, "confirm", c->argument),
                                  show_released);
}

const porch_cli_command porch_cli_device_commands[] = {
    {"device add", "ID", false, add_options,
     "enrol a device: cert.pem, ca.pem, key.pem and device.conf into a folder\n"
     "ID: lower-case letters, digits and '-', beginning with a letter or digit, 1 to 64 long. The key is "
     "made\n"
     "here and never sent; with --csr it stays where the request was made.",
     add},
    {"device list", NULL, false, NULL,
     "every device with its state, when it was seen and when its certificate ends", list},
    {"device show", "ID", false, NULL, "all that is known of one device", show},
    {"device revoke", "ID", false, NULL, "refuse its certificate from now on and end its sessions",
     revoke_device},
    {"device quarantine", "ID", false, NULL,
     "keep its link for diagnostics and the signed update only; nothing else comes through", quarantine},
    {"device readmit", "ID", false, NULL, "end its quarantine", readmit},
    {"device release", "ID", false, NULL,
     "give it away: delete its data, end its credentials, let it be claimed anew\n"
     "Asks for its id once more, on standard input.",
     release},
    {"device remove", "ID", false, NULL, "revoke it and forget it; the id may be used again with a new key",
     remove_device},
    {0},
};
