/* Rollouts: whose turn it is to take a release, and what became of it.
 *
 *   operator ─► start ─► turns of all devices of the product: stage by stage, in the order of their cohorts
 *   tick     ─► some of those that are there are asked (rate, ramp) ─► after the commit:
 * d/ID/update/desired d/ID/update/status ─► in the message's transaction: the turn, the counts, the
 * device's story ─► too many failures: aborted by itself; a stage through: the next one, or approval
 *
 * All of it is rows; nothing is lost with the process. A rollout can only narrow: what a device may
 * install, and how early, is signed by the product team and judged by the device. The cohort of a device is
 * its place in the order, from 0 to 999,999 millionths: SHA-256(device id ‖ image hash), which the device
 * computes as well. */
#ifndef PORCH_CLOUD_ROLLOUT_ROLLOUT_H
#define PORCH_CLOUD_ROLLOUT_ROLLOUT_H

#include "cloud/settings/settings.h"
#include "cloud/store/store.h"
#include "wire/update_news.h"

typedef struct porch_rollouts porch_rollouts;

enum {
    PORCH_ROLLOUT_STAGES_MOST = 16,
    PORCH_ROLLOUT_ID_TEXT = 24,
    PORCH_ROLLOUT_STAGES_TEXT = 400,
    PORCH_ROLLOUT_ONE = 1000000
};

typedef struct {
    porch_store *store;
    const porch_settings *settings;
    /* Is the device connected now? On the writer thread: quick. */
    bool (*online)(void *ctx, const char *device);
    void *online_ctx;
    /* Can devices fetch what they are asked for? STATE when not: then everything rests. NULL: they can. */
    porch_err (*ready)(void *ctx, porch_why *why);
    void *ready_ctx;
} porch_rollouts_config;

/* Registers with the store: before the first shard runs. */
porch_err porch_rollouts_open(const porch_rollouts_config *config, porch_rollouts **ret, porch_why *why);
void porch_rollouts_close(porch_rollouts *r); /* after the store was closed; NULL is fine */

/* After a commit, on the writer thread: what a device is to be told on d/ID/update/desired; empty when only
 * its row on people's pages has changed. */
typedef void (*porch_rollout_tell_fn)(const char *device, porch_bytes desired, void *ctx);
void porch_rollouts_on_tell(porch_rollouts *r, porch_rollout_tell_fn fn, void *ctx);

/* From 0 to PORCH_ROLLOUT_ONE - 1. */
uint32_t porch_rollout_cohort(const char *device, const uint8_t sha256[32]);

/* "1,10,50,100": shares in percent, rising, at most three decimals; or "household=NAME" for a group that
 * goes first ("-": it was erased). The last one is 100. */
typedef struct {
    uint32_t share; /* millionths; 0: a household */
    char household[PORCH_ID_MOST + 1];
} porch_rollout_stage;
porch_err porch_rollout_stages_read(porch_bytes text, porch_rollout_stage *ret, size_t *count,
                                    porch_why *why);

typedef struct {
    const char *product, *version;
    const char *stages;
    uint32_t rate; /* devices asked in a minute; 0: no limit */
    uint32_t
        ramp; /* asked in a stage's first minute, then twice as many each minute up to rate; 0: no ramp */
    uint32_t errors;     /* percent of the asked that may fail; more abort the rollout */
    uint32_t deadline_s; /* a device that was asked and says nothing for so long has failed */
    uint32_t attempts;   /* for each device */
    uint32_t dwell_s;    /* a stage lasts at least so long */
    bool approve;        /* each next stage waits for a person */
} porch_rollout_spec;

/* Inside a porch_store_write. NOT_FOUND: no such release, or it was withdrawn; a household of a stage is
 * not there, or has no device of the product. EXISTS: another rollout of the product is under way; one that
 * mends something high or critical overtakes it. */
porch_err porch_rollout_start(porch_rollouts *r, porch_db *db, const porch_rollout_spec *spec,
                              const char *who, uint64_t now_ms, char id[PORCH_ROLLOUT_ID_TEXT],
                              porch_why *why);

typedef enum {
    PORCH_ROLLOUT_PAUSE,
    PORCH_ROLLOUT_RESUME,
    PORCH_ROLLOUT_ABORT,
    PORCH_ROLLOUT_APPROVE
} porch_rollout_act;
/* Inside a porch_store_write. NOT_FOUND; STATE when it is not in a state for that. */
porch_err porch_rollout_do(porch_rollouts *r, porch_db *db, const char *id, porch_rollout_act act,
                           const char *who, const char *reason, uint64_t now_ms, porch_why *why);

typedef struct {
    char id[PORCH_ROLLOUT_ID_TEXT], product[PORCH_ID_MOST + 1], version[PORCH_UPDATE_VERSION_MOST + 1];
    char state[16]; /* running, paused, done, aborted */
    char why[256];
    char stages[PORCH_ROLLOUT_STAGES_TEXT];
    uint32_t stage, stage_count;
    bool awaiting; /* approval of the next stage */
    uint64_t started_ms, ended_ms;
    uint64_t devices, asked, good, failed, away;
    uint64_t unfit; /* of other hardware; not among the asked */
} porch_rollout_view;
/* Inside a read; newest first; stops when fn answers false. */
porch_err porch_rollout_list(porch_db *db, bool (*fn)(const porch_rollout_view *, void *), void *ctx,
                             porch_why *why);

typedef struct {
    uint64_t at_ms, rollout, attempt;
    char running[PORCH_UPDATE_VERSION_MOST + 1], target[PORCH_UPDATE_VERSION_MOST + 1], state[16];
    char reason[PORCH_UPDATE_REASON_MOST + 1];
} porch_rollout_story;
/* The newest `most` entries of a device's story, newest first. */
porch_err porch_rollout_history(porch_db *db, const char *device, uint64_t most,
                                bool (*fn)(const porch_rollout_story *, void *), void *ctx, porch_why *why);

typedef struct {
    bool known; /* it has reported */
    char running[PORCH_UPDATE_VERSION_MOST + 1], target[PORCH_UPDATE_VERSION_MOST + 1], state[16];
    char reason[PORCH_UPDATE_REASON_MOST + 1];
    uint64_t floor, bytes, at_ms;
} porch_rollout_device;
porch_err porch_rollout_device_get(porch_db *db, const char *device, porch_rollout_device *ret,
                                   porch_why *why);

/* A household is erased, its devices' names stand in `erasure`: in a store write of the erasure. Its stages
 * stay in their rollouts as "household=-", which is nobody's name. */
porch_err porch_rollout_household_erase(porch_db *db, const char *household, porch_why *why);
/* Does this text of stages name the household? */
bool porch_rollout_names(porch_bytes text, const char *household);

/* What on_message does, for simulations: a status as stored. */
porch_err porch_rollout_heard(porch_rollouts *r, porch_db *db, const char *device,
                              const porch_update_status *status, uint64_t at_ms, porch_why *why);

#endif
