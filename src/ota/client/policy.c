#include "ota/client/policy.h"

#include <string.h>

#include "ota/client/tuf_json.h"

/* ---- reading ---- */

static porch_err read_stage(porch_bytes value, porch_policy *p, porch_why *why) {
    porch_policy_stage s = {0};
    uint64_t share = 0;
    porch_bytes unused;
    if (p->stages == PORCH_POLICY_STAGES_MOST)
        return porch_fail(why, PORCH_ERR_LIMIT, "a rollout has at most %d stages",
                          PORCH_POLICY_STAGES_MOST);
    if (!porch_tuf_json_number(value, "share", &share) || share == 0 || share > PORCH_POLICY_ALL ||
        (p->stages > 0 && share <= p->stage[p->stages - 1].share))
        return porch_fail(why, PORCH_ERR_MALFORMED, "a stage's share is 1 to 10000, and rises");
    if (porch_tuf_json_member(value, "dwell_s", &unused) &&
        !porch_tuf_json_number(value, "dwell_s", &s.dwell_s))
        return porch_fail(why, PORCH_ERR_MALFORMED, "a stage's dwell_s is a number of seconds");
    s.share = (uint32_t)share;
    p->stage[p->stages++] = s;
    return PORCH_OK;
}

/* A number that may be missing; at most `most`. */
static porch_err optional(porch_bytes object, const char *name, uint64_t most, bool *has, uint64_t *ret,
                          porch_why *why) {
    porch_bytes unused;
    *has = porch_tuf_json_member(object, name, &unused);
    if (!*has) return PORCH_OK;
    if (!porch_tuf_json_number(object, name, ret) || *ret > most)
        return porch_fail(why, PORCH_ERR_MALFORMED, "%s is a number up to %llu", name,
                          (unsigned long long)most);
    return PORCH_OK;
}

static porch_err read_window(porch_bytes rollout, porch_policy *p, porch_why *why) {
    porch_bytes window, unused;
    uint64_t from = 0, to = 0;
    p->has_window = porch_tuf_json_member(rollout, "window", &unused);
    if (!p->has_window) return PORCH_OK;
    if (!porch_tuf_json_object(rollout, "window", &window) ||
        !porch_tuf_json_number(window, "from_min", &from) ||
        !porch_tuf_json_number(window, "to_min", &to) || from >= PORCH_POLICY_DAY_MIN ||
        to >= PORCH_POLICY_DAY_MIN || from == to)
        return porch_fail(why, PORCH_ERR_MALFORMED, "a window is from_min to to_min, minutes of the day");
    p->from_min = (uint32_t)from;
    p->to_min = (uint32_t)to;
    return PORCH_OK;
}

static porch_err read_stages(porch_bytes rollout, porch_policy *p, porch_why *why) {
    porch_bytes stages, name, value;
    if (!porch_tuf_json_member(rollout, "stages", &value)) return PORCH_OK;
    if (!porch_tuf_json_array(rollout, "stages", &stages))
        return porch_fail(why, PORCH_ERR_MALFORMED, "stages is a list");
    porch_tuf_json_walk w = porch_tuf_json_open(stages);
    while (porch_tuf_json_next(&w, &name, &value))
        PORCH_TRY(read_stage(value, p, why));
    return p->stages > 0 ? PORCH_OK
                         : porch_fail(why, PORCH_ERR_MALFORMED, "a rollout of no stage reaches nobody");
}

porch_err porch_policy_read(porch_bytes custom, porch_policy *ret, porch_why *why) {
    porch_policy p = {0};
    porch_bytes rollout, unused;
    uint64_t battery = 0;
    bool has = false;
    if (custom.len == 0) {
        *ret = p;
        return PORCH_OK;
    }
    PORCH_TRY(optional(custom, "schema_least", UINT64_MAX, &has, &p.schema_least, why));
    if (porch_tuf_json_member(custom, "rollout", &unused)) {
        if (!porch_tuf_json_object(custom, "rollout", &rollout))
            return porch_fail(why, PORCH_ERR_MALFORMED, "rollout is an object");
        PORCH_TRY(read_stages(rollout, &p, why));
        PORCH_TRY(optional(rollout, "battery", 100, &has, &battery, why));
        p.battery = (uint32_t)battery;
        PORCH_TRY(read_window(rollout, &p, why));
        PORCH_TRY(optional(rollout, "bytes", UINT64_MAX, &p.has_bytes, &p.bytes, why));
    }
    *ret = p;
    return PORCH_OK;
}

/* ---- deciding ---- */

uint32_t porch_policy_cohort(const porch_verify_ops *crypto, porch_bytes id,
                             const uint8_t image_sha256[32]) {
    uint8_t block[64 + 32], hash[32];
    size_t n = id.len < 64 ? id.len : 64; /* no id is longer */
    memcpy(block, id.at, n);
    memcpy(block + n, image_sha256, 32);
    crypto->sha256((porch_bytes){block, n + 32}, hash);
    uint32_t first = (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 | (uint32_t)hash[2] << 8 | hash[3];
    return (uint32_t)((uint64_t)first * PORCH_POLICY_ALL >> 32);
}

/* The stage that holds; *spent is the time in it. */
static size_t stage_at(const porch_policy *p, uint64_t powered_s, uint64_t *spent) {
    size_t i = 0;
    while (i + 1 < p->stages && powered_s >= p->stage[i].dwell_s) {
        powered_s -= p->stage[i].dwell_s;
        i++;
    }
    *spent = powered_s;
    return i;
}

uint32_t porch_policy_share(const porch_policy *p, uint64_t powered_s) {
    uint64_t spent = 0;
    return p->stages == 0 ? PORCH_POLICY_ALL : p->stage[stage_at(p, powered_s, &spent)].share;
}

uint64_t porch_policy_stage_left(const porch_policy *p, uint64_t powered_s) {
    uint64_t spent = 0;
    size_t i = stage_at(p, powered_s, &spent);
    return i + 1 < p->stages ? p->stage[i].dwell_s - spent : 0;
}

static bool in_window(const porch_policy *p, int minute) {
    if (minute < 0) return false;
    uint32_t m = (uint32_t)minute;
    return p->from_min < p->to_min ? m >= p->from_min && m < p->to_min : m >= p->from_min || m < p->to_min;
}

static bool affords(const porch_policy *p, const porch_policy_facts *f, uint64_t bytes) {
    return !p->has_bytes || (f->fetched <= p->bytes && bytes <= p->bytes - f->fetched);
}

porch_policy_verdict porch_policy_decide(const porch_policy *p, const porch_policy_facts *f,
                                         porch_why *why) {
    uint32_t share = porch_policy_share(p, f->powered_s);
    if (f->widened > share) share = f->widened;
    bool by_delta = f->delta_bytes > 0 && affords(p, f, f->delta_bytes);
    const struct {
        bool fits;
        porch_policy_verdict then;
        const char *text;
    } table[] = {
        {f->counter < f->floor, PORCH_POLICY_REFUSE, "the release is older than this device's floor"},
        {f->schema < p->schema_least, PORCH_POLICY_REFUSE,
         "the release does not read data as old as this device's; a release between must come first"},
        {f->cohort >= share, PORCH_POLICY_WAIT, "the signed rollout has not reached this device yet"},
        {p->battery > 0 && f->battery >= 0 && f->battery < (int)p->battery, PORCH_POLICY_WAIT,
         "the battery is lower than the release asks for"},
        {p->has_window && !in_window(p, f->minute), PORCH_POLICY_WAIT,
         "it is not the release's time of the day"},
        {by_delta, PORCH_POLICY_DELTA, ""},
        {affords(p, f, f->full_bytes), PORCH_POLICY_FULL, ""},
        {true, PORCH_POLICY_REFUSE,
         "no delta can be used here, and the whole image is more than the release lets a device fetch"},
    };
    size_t i = 0;
    while (!table[i].fits)
        i++; /* the last row fits everything */
    (void)porch_fail(why, PORCH_OK, "%s", table[i].text);
    return table[i].then;
}
