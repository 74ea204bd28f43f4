/* What the files of rollouts share. Everything here runs on the store's writer thread. */
#ifndef PORCH_CLOUD_ROLLOUT_ROLLOUT_ROOM_H
#define PORCH_CLOUD_ROLLOUT_ROLLOUT_ROOM_H

#include "cloud/rollout/rollout.h"

enum { PORCH_ROLLOUT_ACTIVE_MOST = 64, PORCH_ROLLOUT_TELL_MOST = 4096, PORCH_ROLLOUT_TELL_BYTES = 400 };
enum { TURN_WAITS = 0, TURN_ASKED = 1, TURN_GOOD = 2, TURN_FAILED = 3, TURN_AWAY = 4, TURN_UNFIT = 5 };

/* One that devices may still be told about: running, paused or done, the newest of its product. */
typedef struct {
    int64_t number;
    char id[PORCH_ROLLOUT_ID_TEXT];
    porch_id product;
    char version[PORCH_UPDATE_VERSION_MOST + 1];
    uint8_t sha256[32];
    bool running, paused, done;
    size_t stage_count;
    porch_rollout_stage stages[PORCH_ROLLOUT_STAGES_MOST];
    uint32_t stage, rate, ramp, errors, deadline_s, attempts, dwell_s;
    bool approve, awaiting, whole;
    uint64_t stage_ms;
    char filled[PORCH_ID_MOST + 1];
    uint64_t devices, asked, good, failed;
} porch_rollout_row;

#define PORCH_ROLLOUT_ERASED "-" /* in the place of a household's name; no name is so */

/* A device's turn in one rollout. */
typedef struct {
    bool there;
    int state;
    uint32_t stage, cohort;
    uint64_t attempt;
} porch_rollout_turn;

/* What the hub knows of a device before the report. */
typedef struct {
    char product[PORCH_ID_MOST + 1], household[PORCH_ID_MOST + 1];
    bool known;     /* it has reported before */
    bool changed;   /* its story goes on */
    int64_t newest; /* its newest entry; 0: none */
    uint64_t entries;
} porch_rollout_word;

typedef struct {
    char device[PORCH_ID_MOST + 1];
    size_t len;
    uint8_t desired[PORCH_ROLLOUT_TELL_BYTES];
} porch_rollout_said;

/* How many may be asked now: fills with the rate, kept in memory alone. */
typedef struct {
    int64_t number;
    uint64_t at_ms;
    uint64_t units; /* 60,000 make one device */
} porch_rollout_allowance;

struct porch_rollouts {
    porch_rollouts_config config;
    porch_rollout_tell_fn tell;
    void *tell_ctx;
    porch_rollout_allowance allowance[PORCH_ROLLOUT_ACTIVE_MOST];
    porch_store_news *news; /* of porch_rollout_said */
};

/* NOT_FOUND: there is no such device, or it was revoked. */
porch_err porch_rollout_word_get(porch_db *db, const char *device, const porch_update_status *s,
                                 porch_rollout_word *ret, porch_why *why);
/* The device's newest word, and an entry of its story when something has changed. At most twice `most`
 * entries are kept; `most` are shown. */
porch_err porch_rollout_word_put(porch_db *db, const char *device, const porch_rollout_word *word,
                                 const porch_update_status *s, uint64_t at_ms, uint64_t most,
                                 porch_why *why);
/* STATE while there is nothing that devices could fetch. */
porch_err porch_rollout_ready(const porch_rollouts *r, porch_why *why);
/* The active rollout of a product. NOT_FOUND. */
porch_err porch_rollout_of_product(porch_db *db, const char *product, porch_rollout_row *ret,
                                   porch_why *why);
porch_err porch_rollout_by_number(porch_db *db, int64_t number, porch_rollout_row *ret, porch_why *why);
/* The first stage whose turn includes the device. */
uint32_t porch_rollout_stage_of(const porch_rollout_row *row, uint32_t cohort, const char *household);
/* Takes one from the allowance, when there is one. */
bool porch_rollout_may_ask(porch_rollouts *r, const porch_rollout_row *row, uint64_t now_ms);
/* Marks the turn as asked, one attempt more, and puts the word for the device aside until the commit. */
porch_err porch_rollout_ask(porch_rollouts *r, porch_db *db, const porch_rollout_row *row,
                            const char *device, const porch_rollout_turn *t, uint64_t now_ms,
                            porch_why *why);
/* The turn is of another state, and its stage counts it there. */
porch_err porch_rollout_turn_set(porch_db *db, const porch_rollout_row *row, const char *device,
                                 const porch_rollout_turn *t, int state, const char *reason,
                                 uint64_t now_ms, porch_why *why);
/* One attempt more as soon as the allowance lets it. */
porch_err porch_rollout_ask_again(porch_rollouts *r, porch_db *db, const porch_rollout_row *row,
                                  const char *device, const porch_rollout_turn *t, uint64_t now_ms,
                                  porch_why *why);
/* What a stage counts: turns that were dealt out to it, ended, away. */
porch_err porch_rollout_stage_count(porch_db *db, int64_t number, uint32_t stage, int64_t turns, int ended,
                                    int away, porch_why *why);
/* Puts a word aside: the wish, or "nothing to do" with row NULL. */
void porch_rollout_say(porch_rollouts *r, const porch_rollout_row *row, const char *device,
                       uint64_t attempt);
porch_err porch_rollout_turn_end(porch_db *db, const porch_rollout_row *row, const char *device,
                                 const porch_rollout_turn *t, int state, const char *reason,
                                 uint64_t now_ms, porch_why *why);
/* Some more of those that are to hear of an abort, a pause or its end. */
porch_err porch_rollout_recall(porch_rollouts *r, porch_db *db, porch_why *why);
/* Some turns of a rollout that is long over. */
porch_err porch_rollout_sweep(const porch_rollouts *r, porch_db *db, uint64_t now_ms, porch_why *why);
porch_err porch_rollout_tick(porch_db *db, uint64_t now_ms, void *rollouts, porch_why *why);
porch_err porch_rollout_end(porch_rollouts *r, porch_db *db, const porch_rollout_row *row,
                            const char *state, const char *who, const char *reason, uint64_t now_ms,
                            porch_why *why);

#endif
