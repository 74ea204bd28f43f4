/* `porchlight ota rollout ...`, `ota history`, `ota audit`: what the hub does with published releases. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli_room.h"

static const porch_cli_option start_options[] = {
    {"--product", "NAME", true, false, "the product"},
    {"--version", "VERSION", true, false, "a release that is published here"},
    {"--stages", "LIST", false, false,
     "rising shares in percent up to 100, as 1,10,50,100 (the default); household=NAME may go first"},
    {"--rate", "NUMBER", false, false,
     "devices asked in a minute at most; 0, the default: as fast as it goes"},
    {"--ramp", "NUMBER", false, false,
     "asked in a stage's first minute, then twice as many each minute up to --rate"},
    {"--errors", "PERCENT", false, false, "of the asked that may fail (5); more end the rollout by itself"},
    {"--deadline", "SECONDS", false, false,
     "a device that was asked and says nothing for so long has failed (86400)"},
    {"--attempts", "NUMBER", false, false, "tries of each device (3)"},
    {"--dwell", "SECONDS", false, false, "a stage lasts at least so long (0)"},
    {"--approve", NULL, false, false, "each next stage waits for `ota rollout approve`"},
    {0},
};
static const porch_cli_option reason_options[] = {
    {"--reason", "TEXT", false, false, "why; it stands in the trust log"},
    {0},
};

static porch_err add_number(const porch_cli *c, json_t *args, const char *option, const char *name,
                            porch_why *why) {
    const char *text = porch_cli_text(c, option);
    uint64_t value = 0;
    if (text == NULL) return PORCH_OK;
    if (porch_decimal_read(porch_bytes_of(text), INT64_MAX, &value) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_USAGE, "%s is a whole number", option);
    return json_object_set_new(args, name, json_integer((json_int_t)value)) == 0 ? PORCH_OK
                                                                                 : PORCH_ERR_NO_SPACE;
}

static void show_id(const json_t *result) {
    (void)printf("%s\n", porch_cli_member(result, "id"));
}

static int start(porch_cli *c) {
    static const struct {
        const char *option, *name;
    } numbers[] = {{"--rate", "rate"},           {"--ramp", "ramp"},         {"--errors", "errors"},
                   {"--deadline", "deadline_s"}, {"--attempts", "attempts"}, {"--dwell", "dwell_s"}};
    json_t *args = json_pack("{s:s,s:s,s:b}", "product", porch_cli_text(c, "--product"), "version",
                             porch_cli_text(c, "--version"), "approve", porch_cli_flag(c, "--approve"));
    const char *stages = porch_cli_text(c, "--stages");
    porch_why why = {""};
    porch_err e = PORCH_OK;
    for (size_t i = 0; e == PORCH_OK && i < sizeof numbers / sizeof numbers[0]; i++)
        e = add_number(c, args, numbers[i].option, numbers[i].name, &why);
    if (stages != NULL) (void)json_object_set_new(args, "stages", json_string(stages));
    if (e == PORCH_OK) return porch_cli_ask_and_show(c, "ota.rollout.start", args, show_id);
    json_decref(args);
    return porch_cli_fail(e, &why);
}

static int act(const porch_cli *c, const char *command) {
    const char *reason = porch_cli_text(c, "--reason");
    json_t *args = json_pack("{s:s}", "id", c->argument);
    if (reason != NULL) (void)json_object_set_new(args, "reason", json_string(reason));
    return porch_cli_ask_and_show(c, command, args, show_id);
}

static int pause(porch_cli *c) {
    return act(c, "ota.rollout.pause");
}
static int resume(porch_cli *c) {
    return act(c, "ota.rollout.resume");
}
static int abort_it(porch_cli *c) {
    return act(c, "ota.rollout.abort");
}
static int approve(porch_cli *c) {
    return act(c, "ota.rollout.approve");
}

static void show_status(const json_t *result) {
    json_t *each;
    size_t i;
    json_array_foreach(json_object_get(result, "rollouts"), i, each) {
        (void)printf(
            "%-5s %s %s  %s, stage %llu of %llu (%s)%s\n", porch_cli_member(each, "id"),
            porch_cli_member(each, "product"), porch_cli_member(each, "version"),
            porch_cli_member(each, "state"), (unsigned long long)porch_cli_number(each, "stage") + 1,
            (unsigned long long)porch_cli_number(each, "stage_count"), porch_cli_member(each, "stages"),
            json_is_true(json_object_get(each, "awaiting_approval")) ? ", waits for approval" : "");
        (void)printf("      %llu devices, %llu asked, %llu good, %llu failed, %llu away, %llu of other "
                     "hardware; began %s\n",
                     (unsigned long long)porch_cli_number(each, "devices"),
                     (unsigned long long)porch_cli_number(each, "asked"),
                     (unsigned long long)porch_cli_number(each, "good"),
                     (unsigned long long)porch_cli_number(each, "failed"),
                     (unsigned long long)porch_cli_number(each, "away"),
                     (unsigned long long)porch_cli_number(each, "unfit"),
                     porch_cli_time(porch_cli_number(each, "started_ms")).text);
        if (porch_cli_member(each, "why")[0] != '\0')
            (void)printf("      %s\n", porch_cli_safe(porch_cli_member(each, "why")).text);
    }
}

static int status(porch_cli *c) {
    return porch_cli_ask_and_show(c, "ota.rollout.status", NULL, show_status);
}

static void show_history(const json_t *result) {
    json_t *each;
    size_t i;
    json_array_foreach(json_object_get(result, "history"), i, each)(void) printf(
        "%s  %-5s %-11s runs %s%s%s%s%s\n", porch_cli_time(porch_cli_number(each, "at_ms")).text,
        porch_cli_member(each, "rollout"), porch_cli_member(each, "state"),
        porch_cli_member(each, "running"), porch_cli_member(each, "target")[0] != '\0' ? ", wanted " : "",
        porch_cli_member(each, "target"), porch_cli_member(each, "reason")[0] != '\0' ? ": " : "",
        porch_cli_safe(porch_cli_member(each, "reason")).text);
}

static int history(porch_cli *c) {
    return porch_cli_ask_and_show(c, "ota.history", json_pack("{s:s}", "device", c->argument),
                                  show_history);
}

/* ---- audit ---- */

enum { NEAR_DAYS = 30 };

static void show_releases(const json_t *result) {
    json_t *each;
    size_t i;
    (void)printf("Releases\n");
    json_array_foreach(json_object_get(result, "releases"), i, each)(void) printf(
        "  %s %s  %s, signed by %s (%.16s)%s\n", porch_cli_member(each, "product"),
        porch_cli_member(each, "version"), porch_cli_time(porch_cli_number(each, "released_ms")).text,
        porch_cli_member(each, "role"), porch_cli_member(each, "signers"),
        porch_cli_number(each, "withdrawn_ms") > 0 ? ", withdrawn" : "");
    (void)printf("Roles\n");
    json_array_foreach(json_object_get(result, "roles"), i, each) {
        long long days = (long long)json_integer_value(json_object_get(each, "days_left"));
        (void)printf("  %-16s version %llu, %lld days left%s\n", porch_cli_member(each, "role"),
                     (unsigned long long)porch_cli_number(each, "version"), days,
                     days < NEAR_DAYS ? "  SIGN IT ANEW" : "");
    }
}

static void show_audit(const json_t *result) {
    json_t *each;
    size_t i;
    show_releases(result);
    (void)printf("Below the security floor: %zu\n",
                 json_array_size(json_object_get(result, "below_floor")));
    json_array_foreach(json_object_get(result, "below_floor"), i, each)(void)
        printf("  %s (%s) runs %s, floor %llu of %llu\n", porch_cli_member(each, "device"),
               porch_cli_member(each, "product"),
               porch_cli_member(each, "running")[0] != '\0' ? porch_cli_member(each, "running")
                                                            : "what it has not said",
               (unsigned long long)porch_cli_number(each, "floor"),
               (unsigned long long)porch_cli_number(each, "wanted"));
    (void)printf("Vulnerabilities mended\n");
    json_array_foreach(json_object_get(result, "fixed"), i, each)(void)
        printf("  %s %s (%s): %llu days ago, on %llu of %llu devices\n", porch_cli_member(each, "product"),
               porch_cli_member(each, "version"), porch_cli_member(each, "severity"),
               (unsigned long long)porch_cli_number(each, "days"),
               (unsigned long long)porch_cli_number(each, "fixed"),
               (unsigned long long)porch_cli_number(each, "devices"));
}

static int audit(porch_cli *c) {
    return porch_cli_ask_and_show(c, "ota.audit", NULL, show_audit);
}

const porch_cli_command porch_cli_ota_rollout_commands[] = {
    {"ota rollout start", NULL, false, start_options,
     "offers a published release to the product's devices, stage by stage\n"
     "What a device may install, and how early, is signed by the product team: the hub can only narrow it.",
     start},
    {"ota rollout pause", "ID", false, reason_options, "holds a rollout: devices are told to rest", pause},
    {"ota rollout resume", "ID", false, reason_options, "goes on with a rollout that is held", resume},
    {"ota rollout abort", "ID", false, reason_options, "ends a rollout for good", abort_it},
    {"ota rollout approve", "ID", false, reason_options,
     "lets a rollout that waits for it go to its next stage", approve},
    {"ota rollout status", NULL, false, NULL, "lists rollouts, the newest first", status},
    {"ota history", "DEVICE", false, NULL, "tells a device's updates, with the reason of each failure",
     history},
    {"ota audit", NULL, false, NULL,
     "lists releases and who signed them, keys near their end, devices below the security floor,\n"
     "and how far each mended vulnerability has spread",
     audit},
    {0},
};
