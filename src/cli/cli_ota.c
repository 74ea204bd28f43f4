/* `porchlight ota ...`: a product team signs releases where no hub can reach the keys. */
#include "cli/cli_ota.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli_room.h"
#include "os/clock.h"
#include "ota/author/author_policy.h"
#include "ota/client/tuf_role.h"
#include "wire/id.h"

#define OPTION_PASSPHRASE                                                                                  \
    {"--passphrase-file", "FILE", false, false, "the offline keys' passphrase; without it you are asked"}, \
    {                                                                                                      \
        "--tpm", "TCTI", false, false, "how a TPM is reached where a key lies in one (device:/dev/tpmrm0)" \
    }

#define OPTION_PRODUCT \
    { "--product", "NAME", true, false, "the product" }
#define OPTION_VERSION(what) \
    { "--version", "VERSION", true, false, what }
#define OPTION_ROLE(which) \
    { "--role", "ROLE", true, false, which }

static const porch_cli_option init_options[] = {
    {"--product", "NAME", true, true, "a product whose releases get a key of their own; repeatable"},
    {"--online-keys", "FILE", false, false,
     "the hub's keys for snapshot and timestamp, as `ota keys --out FILE` wrote them"},
    {"--threshold", "ROLE=N", false, true,
     "so many different keys must sign for the role; they are made here, one file each in FOLDER/keys: "
     "give "
     "each to its person; repeatable"},
    OPTION_PASSPHRASE,
    {0},
};
static const porch_cli_option threshold_options[] = {
    OPTION_ROLE("root, targets, rollout or a product"),
    {"--signatures", "N", true, false, "how many of its keys must sign"},
    OPTION_PASSPHRASE,
    {0},
};
static const porch_cli_option sign_options[] = {
    {"--drop", NULL, false, false, "drop the change: nothing of it comes into force"},
    {"--dry-run", NULL, false, false, "show what would be signed, and sign nothing"},
    OPTION_PASSPHRASE,
    {0},
};
static const porch_cli_option key_options[] = {
    OPTION_ROLE("root, targets, snapshot, timestamp or a product"),
    {"--key", "URI", false, false,
     "make it in a TPM or token (tpm2:0x8101..., pkcs11:...) and not in a file"},
    OPTION_PASSPHRASE,
    {0},
};
static const porch_cli_option revoke_key_options[] = {
    OPTION_ROLE("root, targets, snapshot, timestamp or a product"),
    {"--id", "KEYID", true, false, "the key, as `ota status` shows it"},
    OPTION_PASSPHRASE,
    {0},
};
static const porch_cli_option release_options[] = {
    OPTION_PRODUCT,
    OPTION_VERSION("its version"),
    {"--image", "FILE", true, false, "what devices install"},
    {"--hardware", "REVISION", true, true, "a hardware revision that it is for; repeatable"},
    {"--notes", "TEXT", false, false, "what people read about it"},
    {"--severity", "LEVEL", false, false, "none, low, medium, high or critical: of what it mends"},
    {"--supported-until", "DATE", false, false, "the end of security support, YYYY-MM-DD"},
    {"--raise-floor", NULL, false, false,
     "once it is confirmed on a device, no release before it runs there again"},
    {"--stage", "SHARE[:DWELL]", false, true,
     "who may install it: 1%:24h lets one device in a hundred, and 24 h later (of its own powered-on time) "
     "the "
     "next stage holds; repeatable, without it everybody at once"},
    {"--min-battery", "PERCENT", false, false, "a device on battery waits below that"},
    {"--window", "HH:MM-HH:MM", false, false, "the time of the day, UTC, in which devices install it"},
    {"--byte-budget", "BYTES", false, false,
     "what a device may fetch: a whole image beyond it is refused where no delta can be used"},
    {"--schema-least", "N", false, false, "the oldest version of a device's data that this release reads"},
    {"--delta-from", "VERSION", false, true,
     "a release that devices run now; repeatable, without it the newest three"},
    {"--delta-memory", "SIZE", false, false,
     "small for devices that have 16 KiB, large (the default) for Linux"},
    {"--no-delta", NULL, false, false, "make none"},
    {"--dry-run", NULL, false, false, "show what would be signed, and sign nothing"},
    OPTION_PASSPHRASE,
    {0},
};
static const porch_cli_option revoke_options[] = {
    OPTION_PRODUCT,
    OPTION_VERSION("the release that no device may install any more"),
    OPTION_PASSPHRASE,
    {0},
};
static const porch_cli_option online_options[] = {
    {"--keys", "FILE", true, false,
     "the hub's keys, as `porchlight -C DIR ota keys --out FILE` wrote them"},
    OPTION_PASSPHRASE,
    {0},
};
static const porch_cli_option time_options[] = {
    {"--key", "HEX", true, false, "the Ed25519 key, as `porchlight -C DIR ota keys` shows it as `time`"},
    OPTION_PASSPHRASE,
    {0},
};
static const porch_cli_option widen_options[] = {
    OPTION_PRODUCT,
    OPTION_VERSION("the release"),
    {"--share", "SHARE", true, false,
     "at least so many devices may install it: 25%, or 2500 of ten thousand"},
    OPTION_PASSPHRASE,
    {0},
};
static const porch_cli_option renew_options[] = {OPTION_PASSPHRASE, {0}};

static porch_cli_ota begin(const porch_cli *c) {
    return (porch_cli_ota){.folder = c->argument,
                           .tpm = porch_cli_text(c, "--tpm"),
                           .passphrase_file = porch_cli_text(c, "--passphrase-file")};
}

/* Ends a command: the reason, or {version, ...} for machines and a sentence for people. */
static int end(const porch_cli *c, porch_cli_ota *o, porch_err e, const porch_why *why,
               const char *sentence) {
    if (e == PORCH_OK) {
        char waiting[200];
        porch_cli_ota_waiting_text(o, waiting, sizeof waiting);
        json_t *result = json_pack("{s:s,s:O,s:s}", "folder", o->folder, "timestamp",
                                   json_object_get(o->repo.timestamp, "version"), "waiting", waiting);
        if (!porch_cli_json(c, result)) {
            if (o->waiting != NULL)
                (void)printf(
                    "It waits for signatures (%s): nothing has changed for devices. Bring the folder, "
                    "without keys/, to who\nsigns next: porchlight ota sign %s\n",
                    waiting, o->folder);
            else
                (void)printf("%s\n", sentence);
        }
        json_decref(result);
    }
    porch_cli_ota_free(o);
    return e == PORCH_OK ? PORCH_CLI_DONE : porch_cli_fail(e, why);
}

/* "targets=2": so many keys, and so many signatures. */
static porch_err add_threshold(porch_cli_ota *o, const char *text, porch_why *why) {
    char role[PORCH_ID_MOST + 1], id[65];
    const char *sign = strchr(text, '=');
    uint64_t n = 0;
    if (sign == NULL ||
        !porch_bytes_to_text((porch_bytes){(const uint8_t *)text, (size_t)(sign - text)}, role,
                             sizeof role) ||
        porch_decimal_read(porch_bytes_of(sign + 1), 16, &n) != PORCH_OK || n == 0)
        return porch_fail(why, PORCH_ERR_USAGE, "--threshold is a role and 1 to 16, as targets=2");
    for (uint64_t i = 1; i < n; i++)
        PORCH_TRY(porch_cli_ota_new_key(o, role, NULL, id, why));
    return porch_author_threshold(&o->repo, role, n, why);
}

static int init(porch_cli *c) {
    static const char *const roles[] = {"root", "targets", "snapshot", "timestamp"};
    porch_cli_ota o = begin(c);
    porch_why why = {""};
    char id[65];
    json_t *products = porch_cli_list(c, "--product"), *thresholds = porch_cli_list(c, "--threshold"),
           *each;
    size_t i;
    porch_err e = porch_cli_ota_make(&o, &why);
    const char *online = porch_cli_text(c, "--online-keys");
    for (i = 0; e == PORCH_OK && i < 4; i++) {
        if (i < 2 || online == NULL) e = porch_cli_ota_new_key(&o, roles[i], NULL, id, &why);
        porch_cli_ota_touch(&o, roles[i]);
    }
    if (e == PORCH_OK && online != NULL) e = porch_cli_ota_online_keys(&o, online, &why);
    json_array_insert_new(products, 0, json_string(PORCH_AUTHOR_ROLLOUT)); /* a role of the same kind */
    json_array_foreach(products, i, each) {
        const char *name = json_string_value(each);
        if (e == PORCH_OK) e = porch_author_product_add(&o.repo, name, &why);
        if (e == PORCH_OK) e = porch_cli_ota_new_key(&o, name, NULL, id, &why);
        porch_cli_ota_touch(&o, name);
    }
    json_array_foreach(thresholds, i, each) if (e == PORCH_OK) e =
        add_threshold(&o, json_string_value(each), &why);
    if (e == PORCH_OK) e = porch_cli_ota_commit(&o, &why);
    json_decref(thresholds);
    int code = end(
        c, &o, e, &why,
        "The repository is made. Put FOLDER/repository/metadata/1.root.json into your product, "
        "keep a copy of\n"
        "FOLDER/keys on a medium that you lock away, and serve FOLDER/repository (or `ota publish` it).");
    json_decref(products);
    return code;
}

/* Which metadata a change of a role's keys shows in. */
static void touch_trust(porch_cli_ota *o, const char *role) {
    bool top = json_object_get(json_object_get(o->repo.root, "roles"), role) != NULL;
    porch_cli_ota_touch(o, top ? "root" : "targets");
    if (strcmp(role, "root") != 0) porch_cli_ota_touch(o, role);
}

static int key_add(porch_cli *c) {
    porch_cli_ota o = begin(c);
    porch_why why = {""};
    char id[65] = "", sentence[256];
    const char *role = porch_cli_text(c, "--role");
    porch_err e = porch_cli_ota_load(&o, &why);
    if (e == PORCH_OK) e = porch_cli_ota_new_key(&o, role, porch_cli_text(c, "--key"), id, &why);
    if (e == PORCH_OK) {
        touch_trust(&o, role);
        e = porch_cli_ota_commit(&o, &why);
    }
    (void)snprintf(sentence, sizeof sentence, "%s may now be signed by %s, too.", role, id);
    return end(c, &o, e, &why, sentence);
}

static int key_revoke(porch_cli *c) {
    porch_cli_ota o = begin(c);
    porch_why why = {""};
    const char *role = porch_cli_text(c, "--role");
    porch_err e = porch_cli_ota_load(&o, &why);
    if (e == PORCH_OK) e = porch_author_key_remove(&o.repo, role, porch_cli_text(c, "--id"), &why);
    if (e == PORCH_OK) {
        touch_trust(&o, role);
        e = porch_cli_ota_commit(&o, &why);
    }
    return end(c, &o, e, &why,
               "The key is revoked: devices refuse what it signs from their next refresh on.");
}

static int threshold(porch_cli *c) {
    porch_cli_ota o = begin(c);
    porch_why why = {""};
    const char *role = porch_cli_text(c, "--role");
    uint64_t n = 0;
    porch_err e = porch_decimal_read(porch_bytes_of(porch_cli_text(c, "--signatures")), 16, &n);
    if (e != PORCH_OK) e = porch_fail(&why, PORCH_ERR_USAGE, "--signatures is 1 to 16");
    if (e == PORCH_OK) e = porch_cli_ota_load(&o, &why);
    if (e == PORCH_OK) e = porch_author_threshold(&o.repo, role, n, &why);
    if (e == PORCH_OK) {
        touch_trust(&o, role);
        e = porch_cli_ota_commit(&o, &why);
    }
    return end(c, &o, e, &why, "The role needs so many signatures from now on.");
}

/* What is about to be signed, whole: who signs next did not make it. */
static void show_waiting(const porch_cli_ota *o) {
    json_t *each;
    size_t i;
    json_array_foreach(o->waiting, i, each) {
        char *text = json_dumps(json_object_get(json_object_get(each, "document"), "signed"),
                                JSON_INDENT(2) | JSON_SORT_KEYS);
        (void)printf("%s\n%s\n", porch_cli_safe(porch_cli_member(each, "file")).text,
                     text != NULL ? text : "");
        free(text);
    }
}

static int sign(porch_cli *c) {
    porch_cli_ota o = begin(c);
    porch_why why = {""};
    bool drop = porch_cli_flag(c, "--drop"), dry = porch_cli_flag(c, "--dry-run");
    o.may_wait = true;
    o.dropping = drop;
    porch_err e = porch_cli_ota_load(&o, &why);
    if (e == PORCH_OK && o.waiting == NULL)
        e = porch_fail(&why, PORCH_ERR_STATE, "nothing waits for signatures here");
    if (e == PORCH_OK && drop) {
        e = porch_cli_ota_drop_waiting(&o, &why);
        return end(c, &o, e, &why, "The change is dropped.");
    }
    if (e == PORCH_OK && !c->json) show_waiting(&o);
    if (e == PORCH_OK) e = porch_cli_ota_check_images(&o, &why);
    if (e == PORCH_OK && !dry) e = porch_cli_ota_sign_waiting(&o, &why);
    return end(c, &o, e, &why, "Enough have signed: the change is in force in the folder.");
}

static int online_keys(porch_cli *c) {
    porch_cli_ota o = begin(c);
    porch_why why = {""};
    porch_err e = porch_cli_ota_load(&o, &why);
    if (e == PORCH_OK) e = porch_cli_ota_online_keys(&o, porch_cli_text(c, "--keys"), &why);
    if (e == PORCH_OK) {
        touch_trust(&o, "snapshot");
        touch_trust(&o, "timestamp");
        e = porch_cli_ota_commit(&o, &why);
    }
    return end(c, &o, e, &why,
               "The hub signs snapshot and timestamp from now on: `ota publish` brings it the rest.");
}

static int time_key(porch_cli *c) {
    porch_cli_ota o = begin(c);
    porch_why why = {""};
    porch_err e = porch_cli_ota_load(&o, &why);
    if (e == PORCH_OK) e = porch_cli_ota_time_key(&o, porch_cli_text(c, "--key"), &why);
    if (e == PORCH_OK) {
        porch_cli_ota_touch(&o, "root");
        e = porch_cli_ota_commit(&o, &why);
    }
    return end(c, &o, e, &why,
               "Devices take no update any more without a word of that key on what is newest.");
}

/* A new key, and all the old ones of the role out. */
static int rotate(porch_cli *c) {
    porch_cli_ota o = begin(c);
    porch_why why = {""};
    char id[65];
    const char *role = porch_cli_text(c, "--role");
    json_t *unused = NULL, *old = NULL, *each;
    size_t i;
    porch_err e = porch_cli_ota_load(&o, &why);
    if (e == PORCH_OK) {
        old = json_deep_copy(json_object_get(porch_author_trust(&o.repo, role, &unused), "keyids"));
        e = porch_cli_ota_new_key(&o, role, porch_cli_text(c, "--key"), id, &why);
    }
    json_array_foreach(old, i, each) if (e == PORCH_OK) e =
        porch_author_key_remove(&o.repo, role, json_string_value(each), &why);
    if (e == PORCH_OK) {
        touch_trust(&o, role);
        e = porch_cli_ota_commit(&o, &why);
    }
    json_decref(old);
    return end(c, &o, e, &why, "The role has a new key, and its old ones are revoked.");
}

static porch_err add_policy(const porch_cli *c, json_t *custom, porch_why *why) {
    json_t *stages = porch_cli_list(c, "--stage"), *rollout = NULL;
    const char *schema = porch_cli_text(c, "--schema-least");
    uint64_t n = 0;
    porch_err e =
        porch_author_policy(stages, porch_cli_text(c, "--min-battery"), porch_cli_text(c, "--window"),
                            porch_cli_text(c, "--byte-budget"), &rollout, why);
    if (rollout != NULL) json_object_set_new(custom, "rollout", rollout);
    if (e == PORCH_OK && schema != NULL) {
        if (porch_decimal_read(porch_bytes_of(schema), 1000000000, &n) != PORCH_OK)
            e = porch_fail(why, PORCH_ERR_USAGE, "--schema-least is a number");
        json_object_set_new(custom, "schema_least", json_integer((json_int_t)n));
    }
    json_decref(stages);
    return e;
}

static porch_err add_deltas(const porch_cli *c, porch_cli_ota *o, porch_why *why) {
    const char *size = porch_cli_text(c, "--delta-memory");
    bool small = size != NULL && strcmp(size, "small") == 0;
    if (size != NULL && !small && strcmp(size, "large") != 0)
        return porch_fail(why, PORCH_ERR_USAGE, "--delta-memory is small or large");
    if (porch_cli_flag(c, "--no-delta")) return PORCH_OK;
    json_t *from = porch_cli_list(c, "--delta-from");
    const porch_cli_ota_delta d = {.product = porch_cli_text(c, "--product"),
                                   .version = porch_cli_text(c, "--version"),
                                   .from = from,
                                   .size = small ? PORCH_AUTHOR_DELTA_SMALL : PORCH_AUTHOR_DELTA_LARGE,
                                   .dry = porch_cli_flag(c, "--dry-run"),
                                   .quiet = c->json};
    porch_err e = porch_cli_ota_deltas(o, &d, why);
    json_decref(from);
    return e;
}

static porch_err read_custom(const porch_cli *c, json_t **ret, porch_why *why) {
    static const char *const levels[] = {"none", "low", "medium", "high", "critical"};
    const char *severity = porch_cli_text(c, "--severity"), *until = porch_cli_text(c, "--supported-until");
    char time[64];
    uint64_t unused = 0;
    bool known = severity == NULL;
    for (size_t i = 0; i < 5 && !known; i++)
        known = strcmp(severity, levels[i]) == 0;
    if (!known)
        return porch_fail(why, PORCH_ERR_USAGE, "--severity is none, low, medium, high or critical");
    (void)snprintf(time, sizeof time, "%.20sT00:00:00Z", until != NULL ? until : "2000-01-01");
    if (porch_tuf_time_read(porch_bytes_of(time), &unused) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_USAGE, "--supported-until is a day as YYYY-MM-DD");
    json_t *custom = json_pack("{s:s,s:s,s:o,s:I}", "product", porch_cli_text(c, "--product"), "version",
                               porch_cli_text(c, "--version"), "hardware", porch_cli_list(c, "--hardware"),
                               "released_s", (json_int_t)(porch_clock_ms() / 1000));
    const struct {
        const char *name, *value;
    } rows[] = {
        {"notes", porch_cli_text(c, "--notes")}, {"severity", severity}, {"supported_until", until}};
    for (size_t i = 0; i < 3; i++)
        if (rows[i].value != NULL) json_object_set_new(custom, rows[i].name, json_string(rows[i].value));
    *ret = custom;
    if (custom == NULL) return porch_fail(why, PORCH_ERR_USAGE, "the release's words are not valid UTF-8");
    return add_policy(c, custom, why);
}

static int release(porch_cli *c) {
    porch_cli_ota o = begin(c);
    porch_why why = {""};
    const char *product = porch_cli_text(c, "--product"), *version = porch_cli_text(c, "--version");
    char sha256[65] = "", sentence[400] = "";
    uint64_t length = 0;
    json_t *custom = NULL;
    porch_err e = read_custom(c, &custom, &why);
    if (e == PORCH_OK) e = porch_cli_ota_load(&o, &why);
    if (e == PORCH_OK) {
        uint64_t counter = porch_author_highest(&o.repo, product, "counter");
        if (counter == 0 || porch_cli_flag(c, "--raise-floor")) counter++;
        json_object_set_new(custom, "counter", json_integer((json_int_t)counter));
        json_object_set_new(custom, "serial",
                            json_integer((json_int_t)porch_author_highest(&o.repo, product, "serial") + 1));
    }
    /* Refused before anything is copied, when product or version cannot be released. Without the numbers,
     * which nothing has taken yet. */
    if (e == PORCH_OK) e = porch_author_release(&o.repo, product, version, 0, "", NULL, &why);
    if (e == PORCH_OK) e = porch_author_withdraw(&o.repo, product, version, &why);
    if (e == PORCH_OK)
        e = porch_cli_ota_image(&o, porch_cli_text(c, "--image"), product, version, &length, sha256, &why);
    if (e == PORCH_OK) e = porch_author_release(&o.repo, product, version, length, sha256, custom, &why);
    if (e == PORCH_OK && !c->json) {
        char *text = json_dumps(custom, JSON_INDENT(2) | JSON_SORT_KEYS);
        (void)printf("%s/%s/image\n  length %llu\n  sha256 %s\n%s\n", product, version,
                     (unsigned long long)length, sha256, text != NULL ? text : "");
        free(text);
    }
    if (e == PORCH_OK) e = add_deltas(c, &o, &why);
    bool dry = porch_cli_flag(c, "--dry-run");
    if (e == PORCH_OK && !dry) e = porch_cli_ota_manifest(&o, product, version, &why);
    if (e == PORCH_OK && !dry) {
        porch_cli_ota_touch(&o, product);
        e = porch_cli_ota_commit(&o, &why);
    }
    (void)snprintf(sentence, sizeof sentence, dry ? "Nothing was signed." : "%s %s is released.", product,
                   version);
    json_decref(custom);
    return end(c, &o, e, &why, sentence);
}

static int revoke(porch_cli *c) {
    porch_cli_ota o = begin(c);
    porch_why why = {""};
    const char *product = porch_cli_text(c, "--product");
    porch_err e = porch_cli_ota_load(&o, &why);
    if (e == PORCH_OK) e = porch_author_withdraw(&o.repo, product, porch_cli_text(c, "--version"), &why);
    if (e == PORCH_OK) {
        porch_cli_ota_touch(&o, product);
        e = porch_cli_ota_commit(&o, &why);
    }
    return end(c, &o, e, &why, "The release is withdrawn: no device installs it from its next refresh on.");
}

static int widen(porch_cli *c) {
    porch_cli_ota o = begin(c);
    porch_why why = {""};
    uint32_t share = 0;
    porch_err e = porch_author_share_read(porch_cli_text(c, "--share"), &share, &why);
    if (e == PORCH_OK) e = porch_cli_ota_load(&o, &why);
    if (e == PORCH_OK)
        e = porch_cli_ota_widen(&o, porch_cli_text(c, "--product"), porch_cli_text(c, "--version"), share,
                                &why);
    if (e == PORCH_OK) {
        porch_cli_ota_touch(&o, PORCH_AUTHOR_ROLLOUT);
        e = porch_cli_ota_commit(&o, &why);
    }
    return end(c, &o, e, &why, "The rollout is wider: devices see it at their next refresh.");
}

static int renew(porch_cli *c) {
    porch_cli_ota o = begin(c);
    porch_why why = {""};
    porch_err e = porch_cli_ota_load(&o, &why);
    if (e == PORCH_OK) e = porch_cli_ota_commit(&o, &why);
    return end(c, &o, e, &why, "Snapshot and timestamp are signed anew.");
}

static void add_status(const porch_cli_ota *o, json_t *roles, const char *role) {
    json_t *unused = NULL, *content = porch_author_role(&o->repo, role);
    const json_t *trust = porch_author_trust(&o->repo, role, &unused);
    json_array_append_new(roles, json_pack("{s:s,s:O,s:O,s:O,s:O}", "role", role, "version",
                                           json_object_get(content, "version"), "expires",
                                           json_object_get(content, "expires"), "threshold",
                                           json_object_get(trust, "threshold"), "keys",
                                           json_object_get(trust, "keyids")));
}

/* Not a delta to one, and not what the role `rollout` says of one. */
static bool is_image(const char *path) {
    const char *last = strrchr(path, '/');
    return last != NULL && strcmp(last, "/image") == 0;
}

static json_t *status_of(const porch_cli_ota *o) {
    static const char *const tops[] = {"root", "targets", "snapshot", "timestamp"};
    json_t *roles = json_array(), *releases = json_array(), *content, *target;
    const char *name, *path;
    for (size_t i = 0; i < 4; i++)
        add_status(o, roles, tops[i]);
    json_object_foreach(o->repo.products, name, content) {
        add_status(o, roles, name);
        json_object_foreach(json_object_get(content, "targets"), path, target) if (is_image(path))
            json_array_append_new(releases, json_pack("{s:s,s:O,s:O}", "target", path, "length",
                                                      json_object_get(target, "length"), "custom",
                                                      json_object_get(target, "custom")));
    }
    return json_pack("{s:o,s:o}", "roles", roles, "releases", releases);
}

static void show_status(const json_t *status) {
    json_t *each, *key;
    size_t i, k;
    json_array_foreach(json_object_get(status, "roles"), i, each) {
        (void)printf("%-16s version %-6llu good until %s, %llu signature(s) of:\n",
                     porch_cli_member(each, "role"), (unsigned long long)porch_cli_number(each, "version"),
                     porch_cli_member(each, "expires"),
                     (unsigned long long)porch_cli_number(each, "threshold"));
        json_array_foreach(json_object_get(each, "keys"), k, key)(void)
            printf("    %s\n", json_string_value(key));
    }
    if (porch_cli_member(status, "waiting")[0] != '\0')
        (void)printf("waiting for signatures: %s (porchlight ota sign)\n",
                     porch_cli_member(status, "waiting"));
    json_array_foreach(json_object_get(status, "releases"), i, each)(void)
        printf("release %s, %llu bytes\n", porch_cli_safe(porch_cli_member(each, "target")).text,
               (unsigned long long)porch_cli_number(each, "length"));
}

/* What is in force, and beside it who is still to sign what waits. */
static int status(porch_cli *c) {
    if (c->argument == NULL) return porch_cli_ota_hub_status(c);
    porch_cli_ota o = begin(c), next = begin(c);
    porch_why why = {""};
    char waiting[200];
    o.in_force = true;
    next.may_wait = true;
    porch_err e = porch_cli_ota_load(&o, &why);
    if (e == PORCH_OK) e = porch_cli_ota_load(&next, &why);
    if (e == PORCH_OK) {
        json_t *result = status_of(&o);
        porch_cli_ota_waiting_text(&next, waiting, sizeof waiting);
        (void)json_object_set_new(result, "waiting", json_string(waiting));
        if (!porch_cli_json(c, result)) show_status(result);
        json_decref(result);
    }
    porch_cli_ota_free(&o);
    porch_cli_ota_free(&next);
    return e == PORCH_OK ? PORCH_CLI_DONE : porch_cli_fail(e, &why);
}

const porch_cli_command porch_cli_ota_commands[] = {
    {"ota init", "FOLDER", false, init_options,
     "makes an update repository: keys, root, and a role for each product\n"
     "The keys of root, targets and products are locked by a passphrase; devices trust the root, "
     "1.root.json.",
     init},
    {"ota key add", "FOLDER", false, key_options, "makes one more key for a role of an update repository",
     key_add},
    {"ota key revoke", "FOLDER", false, revoke_key_options, "takes a key away from a role", key_revoke},
    {"ota threshold", "FOLDER", false, threshold_options,
     "says how many different keys must sign for a role", threshold},
    {"ota sign", "FOLDER", false, sign_options,
     "shows a change that waits for signatures, and adds yours\n"
     "Roles may need several people's signatures; the folder travels between them without keys/.",
     sign},
    {"ota online-keys", "FOLDER", false, online_options,
     "lets a hub sign snapshot and timestamp, and nobody else", online_keys},
    {"ota time-key", "FOLDER", false, time_options,
     "names the key that vouches for time and newest timestamp\n"
     "`ota online-keys` and `ota init --online-keys` name the hub's; this is for another or a new one.",
     time_key},
    {"ota rotate", "FOLDER", false, key_options, "gives a role a new key and revokes its old ones", rotate},
    {"ota release", "FOLDER", false, release_options, "shows what will be signed, and signs a release",
     release},
    {"ota revoke", "FOLDER", false, revoke_options, "withdraws a release", revoke},
    {"ota widen", "FOLDER", false, widen_options,
     "lets more devices install a release, at once\n"
     "Signed by the role `rollout`, whose key the hub never holds; the hub can only be slower than what is "
     "signed.",
     widen},
    {"ota renew", "FOLDER", false, renew_options, "signs snapshot and timestamp anew, before they expire",
     renew},
    {"ota status", "FOLDER", true, NULL,
     "lists roles, keys, ends of validity and releases\n"
     "Without FOLDER: what the hub in DIR serves, and whether it is whole.",
     status},
    {0},
};
