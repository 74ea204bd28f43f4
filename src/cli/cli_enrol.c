/* Devices that enrol by themselves: claim tokens, the authorities of factories, what a product asks for. */
#include <stdlib.h>

#include "cli/cli_room.h"
#include "os/file.h"

enum { PEM_MOST = 65536 };

/* ---- claim tokens ---- */

static const porch_cli_option claim_options[] = {
    {"--product", "NAME", true, false, "what it is, e.g. camera"},
    {"--household", "H", false, false, "the household it will belong to (default: home)"},
    {0},
};

static void show_claim(const json_t *answer) {
    printf("%s\nWith this, within its time, one device enrols once, as %s. It ends %s.\n",
           porch_cli_member(answer, "token"), porch_cli_safe(porch_cli_member(answer, "id")).text,
           porch_cli_time(porch_cli_number(answer, "ends_ms")).text);
}

static int claim(porch_cli *c) {
    json_t *args = json_pack("{s:s*, s:s, s:s*}", "id", c->argument, "product",
                             porch_cli_text(c, "--product"), "household", porch_cli_text(c, "--household"));
    return porch_cli_ask_and_show(c, "device.claim-token", args, show_claim);
}

/* ---- factories ---- */

static const porch_cli_option factory_options[] = {
    {"--file", "FILE", true, false,
     "PEM: the authority that signs its devices' certificates, then its issuers up to the root"},
    {"--product", "NAME", true, false, "what its devices are"},
    {"--household", "H", false, false, "where they belong when no claim token says so (default: home)"},
    {0},
};

static void show_factory(const json_t *answer) {
    printf("Devices with a certificate of %s may enrol from now on.\n",
           porch_cli_safe(porch_cli_member(answer, "name")).text);
}

/* The text of --file; NULL: it has complained, and *code is what to end with. */
static json_t *pem_of(porch_cli *c, int *code) {
    porch_why why = {""};
    uint8_t *pem = NULL;
    size_t len = 0;
    porch_err e = porch_file_read(porch_cli_text(c, "--file"), PEM_MOST, &pem, &len, &why);
    json_t *text = e == PORCH_OK ? json_stringn((const char *)pem, len) : NULL;
    free(pem);
    if (e == PORCH_OK && text == NULL)
        e = porch_fail(&why, PORCH_ERR_MALFORMED, "%s is no PEM text", porch_cli_text(c, "--file"));
    if (e != PORCH_OK) *code = porch_cli_fail(e, &why);
    return text;
}

static int factory_add(porch_cli *c) {
    int code = 0;
    json_t *text = pem_of(c, &code);
    if (text == NULL) return code;
    json_t *args = json_pack("{s:s, s:o, s:s, s:s*}", "name", c->argument, "pem", text, "product",
                             porch_cli_text(c, "--product"), "household", porch_cli_text(c, "--household"));
    return porch_cli_ask_and_show(c, "factory-ca.add", args, show_factory);
}

static void show_removed(const json_t *answer) {
    printf("%s vouches for nobody any more; devices that are enrolled stay so.\n",
           porch_cli_safe(porch_cli_member(answer, "name")).text);
}

static int factory_remove(porch_cli *c) {
    return porch_cli_ask_and_show(c, "factory-ca.remove", json_pack("{s:s}", "name", c->argument),
                                  show_removed);
}

static void show_factories(const json_t *answer) {
    const json_t *f;
    size_t i;
    printf("%-20s %-16s %-16s %-20s %s\n", "NAME", "PRODUCT", "HOUSEHOLD", "ADDED", "SHA-256");
    for (i = 0; (f = json_array_get(json_object_get(answer, "factories"), i)) != NULL; i++)
        printf("%-20s %-16s %-16s %-20s %s\n", porch_cli_safe(porch_cli_member(f, "name")).text,
               porch_cli_safe(porch_cli_member(f, "product")).text,
               porch_cli_safe(porch_cli_member(f, "household")).text,
               porch_cli_time(porch_cli_number(f, "added_ms")).text, porch_cli_member(f, "sha256"));
}

static int factory_list(porch_cli *c) {
    return porch_cli_ask_and_show(c, "factory-ca.list", NULL, show_factories);
}

/* ---- makers of TPMs ---- */

static const porch_cli_option tpm_options[] = {
    {"--file", "FILE", true, false,
     "PEM: the authority that signs its TPMs' endorsement certificates, then its issuers"},
    {0},
};

static void show_tpm_ca(const json_t *answer) {
    printf("Devices may prove from now on that their key lives in a TPM of %s.\n",
           porch_cli_safe(porch_cli_member(answer, "name")).text);
}

static int tpm_add(porch_cli *c) {
    int code = 0;
    json_t *text = pem_of(c, &code);
    if (text == NULL) return code;
    return porch_cli_ask_and_show(c, "tpm-ca.add",
                                  json_pack("{s:s, s:o}", "name", c->argument, "pem", text), show_tpm_ca);
}

static void show_tpm_removed(const json_t *answer) {
    printf("%s vouches for no TPM any more; devices that are enrolled stay so.\n",
           porch_cli_safe(porch_cli_member(answer, "name")).text);
}

static int tpm_remove(porch_cli *c) {
    return porch_cli_ask_and_show(c, "tpm-ca.remove", json_pack("{s:s}", "name", c->argument),
                                  show_tpm_removed);
}

static void show_tpm_cas(const json_t *answer) {
    const json_t *m;
    size_t i;
    printf("%-20s %-20s %s\n", "NAME", "ADDED", "SUBJECT");
    for (i = 0; (m = json_array_get(json_object_get(answer, "makers"), i)) != NULL; i++)
        printf("%-20s %-20s %s\n", porch_cli_safe(porch_cli_member(m, "name")).text,
               porch_cli_time(porch_cli_number(m, "added_ms")).text,
               porch_cli_safe(porch_cli_member(m, "subject")).text);
}

static int tpm_list(porch_cli *c) {
    return porch_cli_ask_and_show(c, "tpm-ca.list", NULL, show_tpm_cas);
}

/* ---- products ---- */

static const porch_cli_option product_options[] = {
    {"--channel-binding", "required|optional", false, false,
     "whether its devices bind their requests to the connection (RFC 9266)"},
    {"--hardware-keys", "required|optional", false, false,
     "whether its devices must prove that their key lives in a TPM of a maker that was imported (tpm-ca "
     "add)"},
    {0},
};

static void show_product(const json_t *answer) {
    printf("%s: channel binding %s, hardware keys %s.\n",
           porch_cli_safe(porch_cli_member(answer, "product")).text,
           porch_cli_member(answer, "channel-binding"), porch_cli_member(answer, "hardware-keys"));
}

static int product_set(porch_cli *c) {
    json_t *args = json_pack("{s:s, s:s*, s:s*}", "product", c->argument, "channel-binding",
                             porch_cli_text(c, "--channel-binding"), "hardware-keys",
                             porch_cli_text(c, "--hardware-keys"));
    return porch_cli_ask_and_show(c, "product.set", args, show_product);
}

static int product_show(porch_cli *c) {
    return porch_cli_ask_and_show(c, "product.show", json_pack("{s:s}", "product", c->argument),
                                  show_product);
}

const porch_cli_command porch_cli_enrol_commands[] = {
    {"device claim-token", "ID", true, claim_options,
     "make a token with which a device enrols itself, once, by EST\n"
     "The device posts its certificate request to https://HUB:8444/.well-known/est/simpleenroll with the "
     "token "
     "as the password of HTTP Basic authentication. ID becomes its name; without one the hub makes one up.",
     claim},
    {"factory-ca add", "NAME", false, factory_options,
     "let devices enrol that a factory's authority vouches for", factory_add},
    {"factory-ca list", NULL, false, NULL, "every such authority", factory_list},
    {"factory-ca remove", "NAME", false, NULL, "believe it no more; enrolled devices stay", factory_remove},
    {"tpm-ca add", "NAME", false, tpm_options, "believe a maker of TPMs", tpm_add},
    {"tpm-ca list", NULL, false, NULL, "every such maker", tpm_list},
    {"tpm-ca remove", "NAME", false, NULL, "believe it no more; enrolled devices stay", tpm_remove},
    {"product set", "NAME", false, product_options, "what a product asks of its devices' enrolments",
     product_set},
    {"product show", "NAME", false, NULL, "what it asks for", product_show},
    {0},
};
