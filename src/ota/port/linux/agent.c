#include "ota/port/linux/agent.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "ota/client/tuf_name.h"

static bool for_hardware(porch_bytes custom, const char *hardware) {
    porch_bytes list, name, value, inner;
    if (!porch_tuf_json_array(custom, "hardware", &list)) return false;
    porch_tuf_json_walk w = porch_tuf_json_open(list);
    while (porch_tuf_json_next(&w, &name, &value))
        if (porch_tuf_json_string(value, &inner) && porch_tuf_json_equals(inner, porch_bytes_of(hardware)))
            return true;
    return false;
}

/* Fills *ret when the target is a release for this device; what is not is passed over, whatever it is. */
static bool is_release(porch_bytes content, porch_bytes inner_path, const char *product,
                       const char *hardware, porch_agent_release *ret) {
    porch_agent_release r = {0};
    char pattern[PORCH_AGENT_PATH_BYTES];
    porch_why unused;
    porch_bytes named;
    int len = snprintf(pattern, sizeof pattern, "%s/*/image", product);
    if (len < 0 || (size_t)len >= sizeof pattern ||
        !porch_tuf_json_copy(inner_path, r.path, sizeof r.path) ||
        !porch_tuf_pattern_matches(porch_bytes_of(pattern), porch_bytes_of(r.path)) ||
        porch_tuf_target_read(content, porch_bytes_of(r.path), &r.target, &unused) != PORCH_OK ||
        !r.target.hashes.has_sha256 || !porch_tuf_json_plain(r.target.custom, "product", &named) ||
        !porch_bytes_eq_text(named, product) || !for_hardware(r.target.custom, hardware) ||
        !porch_tuf_json_number(r.target.custom, "serial", &r.serial) ||
        !porch_tuf_json_number(r.target.custom, "counter", &r.image.counter) ||
        porch_policy_read(r.target.custom, &r.policy, &unused) != PORCH_OK)
        return false;
    r.image.length = r.target.length;
    memcpy(r.image.sha256, r.target.hashes.sha256, sizeof r.image.sha256);
    r.target.custom = (porch_bytes){0};
    *ret = r;
    return true;
}

porch_err porch_agent_choose(porch_tuf *t, const char *product, const char *hardware,
                             porch_agent_release *ret, porch_why *why) {
    char path[PORCH_AGENT_PATH_BYTES];
    porch_bytes content, targets, name, value;
    bool found = false;
    int len = snprintf(path, sizeof path, "%s/-/image", product);
    if (len < 0 || (size_t)len >= sizeof path)
        return porch_fail(why, PORCH_ERR_USAGE, "the product's name is too long");
    PORCH_TRY(porch_tuf_find_role(t, porch_bytes_of(path), &content, why));
    if (porch_tuf_json_object(content, "targets", &targets)) {
        porch_tuf_json_walk w = porch_tuf_json_open(targets);
        while (porch_tuf_json_next(&w, &name, &value)) {
            porch_agent_release r;
            if (!is_release(content, name, product, hardware, &r) || (found && r.serial <= ret->serial))
                continue;
            *ret = r;
            found = true;
        }
    }
    return found ? PORCH_OK
                 : porch_fail(why, PORCH_ERR_NOT_FOUND, "no release of %.64s is signed for hardware %.64s",
                              product, hardware);
}

porch_err porch_agent_widened(porch_tuf *t, const porch_agent_release *release, uint32_t *ret,
                              porch_why *why) {
    char name[PORCH_AGENT_PATH_BYTES + 8], hex[65] = "";
    porch_buf out = {(uint8_t *)hex, 0, 64};
    porch_tuf_target target;
    porch_bytes image;
    uint64_t share = 0;
    size_t len = strlen(release->path) - (sizeof "/image" - 1);
    *ret = 0;
    (void)porch_hex_write(&out, (porch_bytes){release->image.sha256, 32});
    (void)snprintf(name, sizeof name, "rollout/%.*s", (int)len, release->path);
    porch_err e = porch_tuf_find(t, porch_bytes_of(name), &target, why);
    if (e == PORCH_ERR_NOT_FOUND) return PORCH_OK;
    if (e == PORCH_OK && porch_tuf_json_plain(target.custom, "sha256", &image) &&
        porch_bytes_eq_text(image, hex) && porch_tuf_json_number(target.custom, "share", &share) &&
        share <= PORCH_POLICY_ALL)
        *ret = (uint32_t)share;
    return e;
}

static porch_err untold(const porch_agent_release *r, const porch_agent_facts *f, porch_why *why) {
    const char *option = r->policy.stages > 0 && f->id == NULL          ? "--id"
                         : r->policy.schema_least > 0 && !f->has_schema ? "--schema"
                         : r->policy.battery > 0 && !f->has_battery     ? "--battery"
                                                                        : NULL;
    return option == NULL ? PORCH_OK
                          : porch_fail(why, PORCH_ERR_USAGE,
                                       "%.200s is signed for some devices only or for some time; say %s",
                                       r->path, option);
}

porch_err porch_agent_judge(const porch_agent_release *release, const porch_agent_facts *facts,
                            uint32_t widened, uint64_t floor, porch_policy_verdict *ret, porch_why *why) {
    porch_policy_facts f = {.powered_s = facts->powered_s,
                            .widened = widened,
                            .battery = facts->battery,
                            .minute = facts->minute,
                            .schema = facts->schema,
                            .counter = release->image.counter,
                            .floor = floor,
                            .full_bytes = release->image.length};
    PORCH_TRY(untold(release, facts, why));
    if (facts->id != NULL)
        f.cohort =
            porch_policy_cohort(porch_verify_library(), porch_bytes_of(facts->id), release->image.sha256);
    *ret = porch_policy_decide(&release->policy, &f, why);
    return PORCH_OK;
}

porch_agent_step porch_agent_decide(const porch_slot_record *slots, const porch_agent_release *release) {
    unsigned other = 1u - slots->active;
    const uint8_t *wanted = release->image.sha256;
    if (memcmp(slots->image[slots->active].sha256, wanted, 32) == 0) return PORCH_AGENT_CURRENT;
    if (memcmp(slots->image[other].sha256, wanted, 32) != 0) return PORCH_AGENT_INSTALL;
    if (slots->other == PORCH_SLOT_STAGED || slots->other == PORCH_SLOT_TRIAL) return PORCH_AGENT_CURRENT;
    return slots->other == PORCH_SLOT_ROLLED_BACK ? PORCH_AGENT_FAILED : PORCH_AGENT_INSTALL;
}
