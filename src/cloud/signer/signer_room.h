/* What the files of the signer process share; nobody outside the room includes it. */
#ifndef PORCH_CLOUD_SIGNER_ROOM_H
#define PORCH_CLOUD_SIGNER_ROOM_H

#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"
#include "cloud/settings/folders.h"
#include "cloud/settings/settings.h"
#include "cloud/signer/signer.h"
#include "cloud/signer/signer_ipc.h"
#include "cloud/signer/signer_update_ipc.h"
#include "crypto/keystore.h"

enum {
    PORCH_SIGNER_SEAL_KEY_BYTES = 32,
    PORCH_SIGNER_TOTP_SECRET_BYTES = 20, /* RFC 4226, 4: 160 bits */
    PORCH_SIGNER_TOTP_STEP_MS = 30000,
    PORCH_SIGNER_CLOCK_SLACK_MS = 120000, /* how far the hub's clock may be from the signer's */
};

/* Both clocks, read once a request: wall time stands in certificates; what passed since the machine was
 * started, asleep included, drives limits and tells how far wall time may have come. */
typedef struct {
    uint64_t wall_ms;
    uint64_t mono_ms;
} porch_signer_now;

/* ---- journal (signer_journal.c): append-only lines, on disk before an answer leaves -------------------
 */

typedef struct {
    int fd;      /* appends */
    int edit_fd; /* blanks names that are to be forgotten */
} porch_signer_journal;

/* Until when the signer has told the time, in which start of the machine, and how long after it. */
enum { PORCH_SIGNER_BOOT_TEXT = 40 };
typedef struct {
    uint64_t wall_ms, boot_ms; /* wall_ms 0: never */
    char boot[PORCH_SIGNER_BOOT_TEXT];
} porch_signer_told;

/* What the journal is replayed into, oldest first: each accepted second-factor step, and the last head of
 * the trust log. */
typedef void (*porch_signer_step_fn)(porch_bytes account, uint64_t step, void *ctx);
/* The update repository's versions that the signer has put its name to. */
enum { PORCH_SIGNER_UPDATE_REMEMBERED = PORCH_SIGNER_UPDATE_ROLES };
typedef struct {
    porch_key *snapshot, *timestamp;
    uint64_t snapshot_version, timestamp_version;
    size_t count;
    struct {
        char name[PORCH_SIGNER_UPDATE_NAME + 1];
        uint64_t version;
    } roles[PORCH_SIGNER_UPDATE_REMEMBERED];
} porch_signer_updates;

typedef struct {
    uint64_t seq;
    uint8_t hash[32];
    porch_signer_updates updates; /* its keys stay NULL */
    porch_signer_told told;       /* the greatest since an operator last confirmed the clock */
    porch_signer_told anchor;     /* the first of that start of the machine since then */
} porch_signer_head;

/* Opens (or makes, 0600) `journal` in the folder and replays it. A last line that was cut by a power loss
 * was never answered and is closed off; any other line that cannot be read is PORCH_ERR_STATE. */
porch_err porch_signer_journal_open(int dir_fd, porch_signer_step_fn step, void *ctx,
                                    porch_signer_head *head, porch_signer_journal *ret, porch_why *why);
porch_err porch_signer_journal_head(porch_signer_journal *j, uint64_t now_ms, uint64_t seq,
                                    const uint8_t hash[32], porch_why *why);
void porch_signer_journal_close(porch_signer_journal *j);
porch_err porch_signer_journal_issue(porch_signer_journal *j, uint64_t now_ms, const char *profile,
                                     porch_bytes name, const char *serial, uint64_t not_after_ms,
                                     porch_why *why);
porch_err porch_signer_journal_step(porch_signer_journal *j, uint64_t now_ms, porch_bytes account,
                                    uint64_t step, porch_why *why);
porch_err porch_signer_journal_vapid(porch_signer_journal *j, uint64_t now_ms, porch_bytes audience,
                                     uint64_t ends_ms, porch_why *why);

/* `what` happened to an issuing key: "made", "signs". `key`: its public half's SHA-256 in hex. */
porch_err porch_signer_journal_issuer(porch_signer_journal *j, uint64_t now_ms, const char *key,
                                      const char *what, porch_why *why);
/* `kind`: "time", that it was told; "clock", that an operator confirmed it. */
porch_err porch_signer_journal_told(porch_signer_journal *j, const char *kind,
                                    const porch_signer_told *told, porch_why *why);
porch_err porch_signer_journal_role(porch_signer_journal *j, uint64_t now_ms, porch_bytes name,
                                    uint64_t version, porch_why *why);
porch_err porch_signer_journal_update(porch_signer_journal *j, uint64_t now_ms, uint64_t snapshot,
                                      uint64_t timestamp, porch_why *why);

/* `what`: "device:ID" or "account:ID". Each byte of that name becomes '-' in every line that is about it.
 */
porch_err porch_signer_journal_forget(porch_signer_journal *j, uint64_t now_ms, porch_bytes what,
                                      porch_why *why);

/* ---- rate (signer_rate.c) ------------------------------------------------------------------------------
 */

typedef struct {
    uint32_t per_minute;
    uint64_t units; /* 60,000 make one turn */
    uint64_t at_ms;
} porch_signer_rate;

porch_signer_rate porch_signer_rate_of(uint32_t per_minute, uint64_t now_ms);
/* True and one turn is spent, or false and *wait_ms is when the next comes. */
bool porch_signer_rate_take(porch_signer_rate *r, uint64_t now_ms, uint64_t *wait_ms);

/* ---- second factor's memory (signer_steps.c): per account the last accepted step, and wrong codes -------
 */

typedef struct {
    char account[65];
    uint64_t last_step;
    uint32_t wrong;         /* in a row */
    uint64_t wait_until_ms; /* monotonic */
} porch_signer_account;

typedef struct {
    porch_signer_account *rows; /* open addressing; an empty row has an empty name */
    size_t cap;                 /* power of two, at most half full */
    size_t count;
    size_t most;
} porch_signer_steps;

porch_err porch_signer_steps_init(porch_signer_steps *s, size_t most);
void porch_signer_steps_free(porch_signer_steps *s);
/* The account's row, made when missing; NULL when the table is at its limit or memory is out. The pointer
 * is valid until the next call. */
porch_signer_account *porch_signer_steps_find(porch_signer_steps *s, porch_bytes account);

/* ---- sealing (signer_seal.c) ---------------------------------------------------------------------------
 */

/* `kind` separates uses ("seal", "totp"): a box of one kind never opens as another. */
porch_err porch_signer_box_close(const uint8_t seal_key[PORCH_SIGNER_SEAL_KEY_BYTES], const char *kind,
                                 porch_bytes label, porch_bytes plain, porch_buf *out);
porch_err porch_signer_box_open(const uint8_t seal_key[PORCH_SIGNER_SEAL_KEY_BYTES], const char *kind,
                                porch_bytes label, porch_bytes sealed, porch_buf *out);
porch_err porch_signer_derive_clip(const uint8_t seal_key[PORCH_SIGNER_SEAL_KEY_BYTES], porch_bytes clip_id,
                                   uint8_t key[32]);

/* ---- the signer itself ---------------------------------------------------------------------------------
 */

typedef struct {
    porch_key *key;
    uint8_t *cert_pem;
    size_t cert_len;
} porch_signer_issuer;

/* The root below which every issuing certificate must be (signer_root.c). */
typedef struct {
    uint8_t *pem;
    size_t len;
    bool kept; /* it lies in DIR/signer */
} porch_signer_root;

/* Issuing keys, the oldest first (signer_issuer.c). */
enum { PORCH_SIGNER_ISSUER_KEYS = 8 };
typedef struct {
    porch_key *key; /* NULL: its line is damaged */
    uint8_t hash[32];
    off_t at; /* its line in DIR/signer/issuers; of no length: it lies elsewhere */
    size_t len;
} porch_signer_issuer_key;
typedef struct {
    int fd, edit_fd; /* appends; overwrites */
    porch_signer_issuer_key of[PORCH_SIGNER_ISSUER_KEYS];
    size_t count, current;
    /* Those that should have gone at the start and could not: where they lie, not the keys themselves. */
    porch_signer_issuer_key kept[PORCH_SIGNER_ISSUER_KEYS];
    size_t kept_count;
} porch_signer_issuers;

/* Whether the clock is believed (signer_clock.c). */
typedef struct {
    porch_signer_told told, anchor; /* as in the journal, but for the last minutes of told */
    uint64_t journaled_ms, least_ms;
    char boot[PORCH_SIGNER_BOOT_TEXT];
    bool refused; /* it was said already */
} porch_signer_belief;

typedef struct {
    porch_settings settings;
    porch_signer_root root;
    porch_signer_issuers issuers;
    porch_signer_issuer issuing; /* its key is one of issuers */
    porch_signer_issuer web;
    uint8_t seal_key[PORCH_SIGNER_SEAL_KEY_BYTES];
    porch_signer_journal journal;
    porch_key *vapid;
    porch_key *trust; /* signs heads of the trust log */
    porch_key *time;  /* signs what time it is */
    porch_signer_rate time_rate;
    porch_signer_rate log_rate;
    uint64_t log_left_out; /* refusals since the last line about one */
    porch_signer_belief clock;
    uint64_t trust_seq;
    uint8_t trust_hash[32];
    porch_signer_updates updates;
    porch_signer_rate update_rate;
    porch_signer_rate vapid_rate;
    porch_signer_rate rates[PORCH_SIGNER_WEB_SERVER + 1];
    porch_signer_steps steps;
    bool ending; /* it must start anew before it answers: the process ends */
} porch_signer;

/* Loads keys, public certificates and journal. Free it also after an error. */
porch_err porch_signer_load(porch_signer *s, const porch_signer_files *files, porch_signer_now now,
                            porch_why *why);
void porch_signer_unload(porch_signer *s);
/* One message in, one answer out; never fails: what cannot be read is answered so. `out` must hold
 * PORCH_SIGNER_MESSAGE_MAX bytes. */
void porch_signer_serve(porch_signer *s, porch_bytes message, porch_signer_now now, porch_buf *out);

/* The ops (signer_issue.c, signer_totp.c, signer_vapid.c); `data` and `secret` receive what the answer
 * carries. */
porch_err porch_signer_do_issue(porch_signer *s, const porch_signer_request *r, porch_signer_now now,
                                porch_buf *data, porch_why *why);
porch_err porch_signer_do_totp_make(porch_signer *s, const porch_signer_request *r, porch_buf *data,
                                    porch_buf *secret, porch_why *why);
porch_err porch_signer_do_totp_check(porch_signer *s, const porch_signer_request *r, porch_signer_now now,
                                     porch_why *why);
/* The root's certificate as the signer keeps it, else as the hub has it; free it also after an error. */
porch_err porch_signer_root_load(porch_signer_root *ret, const porch_signer_files *files, porch_why *why);
/* Has the root signed this authority? As porch_x509_check_issuing. */
porch_err porch_signer_root_check(const porch_signer_root *root, porch_bytes issuing_pem, uint64_t at_ms,
                                  porch_why *why);
/* Writes it into DIR/signer when it does not lie there yet. */
porch_err porch_signer_root_keep(porch_signer_root *root, int dir_fd, porch_why *why);
void porch_signer_root_free(porch_signer_root *root);
/* Reads what there is and finds which key signs: the one that fits the first certificate of `cert_pem`,
 * which the root must have signed. Only then keys of before are dropped. `first_pem`: the key that `init`
 * made, empty when it is gone; `in_files`: it lies in the clear, else the caller takes it out of the vault
 * when *first_went. */
porch_err porch_signer_issuers_load(porch_signer *s, const porch_signer_files *files, porch_bytes first_pem,
                                    bool in_files, porch_bytes cert_pem, bool *first_went, porch_why *why);
/* The vault was written without the key that `init` made. */
void porch_signer_issuers_first_gone(porch_signer_issuers *all);
void porch_signer_issuers_unload(porch_signer *s);
porch_err porch_signer_do_issuer_next(porch_signer *s, porch_signer_now now, porch_buf *data,
                                      porch_why *why);
porch_err porch_signer_do_issuer_use(porch_signer *s, const porch_signer_request *r, porch_signer_now now,
                                     porch_why *why);
/* Sets s->ending when the key is still there: the next start drops it, and is asked again. */
porch_err porch_signer_do_issuer_forget(porch_signer *s, const porch_signer_request *r,
                                        porch_signer_now now, porch_why *why);
/* An Ed25519 key of one use, derived from the sealing key. */
porch_err porch_signer_derive_key(const uint8_t seal_key[PORCH_SIGNER_SEAL_KEY_BYTES], porch_bytes use,
                                  porch_key **ret, porch_why *why);
/* Update repository (signer_update.c). ROLLBACK for a version below the one remembered. */
porch_err porch_signer_update_keys(const uint8_t seal_key[PORCH_SIGNER_SEAL_KEY_BYTES],
                                   porch_signer_updates *u, porch_why *why);
porch_err porch_signer_update_remember(porch_signer_updates *u, porch_bytes name, uint64_t version);
porch_err porch_signer_do_update_keys(porch_signer *s, porch_buf *data, porch_why *why);
porch_err porch_signer_do_update_sign(porch_signer *s, const porch_signer_request *r, porch_signer_now now,
                                      porch_buf *data, porch_why *why);
porch_err porch_signer_trust_key(const uint8_t seal_key[PORCH_SIGNER_SEAL_KEY_BYTES], porch_key **ret,
                                 porch_why *why);
/* At start, with what the journal holds; `boot` names this start of the machine, "-" when nobody knows. The
 * clock of a hub's very first start is believed and noted. */
porch_err porch_signer_clock_start(porch_signer *s, const porch_signer_head *head, const char *boot,
                                   porch_signer_now now, porch_why *why);
/* OK, and the time is noted as told; BUSY with the reason when the clock cannot be right. */
porch_err porch_signer_clock_tell(porch_signer *s, porch_signer_now now, porch_why *why);
porch_err porch_signer_do_clock(porch_signer *s, const porch_signer_request *r, porch_signer_now now,
                                porch_buf *data, porch_why *why);
porch_err porch_signer_do_time(porch_signer *s, const porch_signer_request *r, porch_signer_now now,
                               porch_buf *data, porch_why *why);
porch_err porch_signer_do_time_key(porch_signer *s, porch_buf *data, porch_why *why);
porch_err porch_signer_do_trust_head(porch_signer *s, const porch_signer_request *r, porch_signer_now now,
                                     porch_buf *data, porch_why *why);
/* Makes the VAPID key of a hub whose keys lie in files: DIR/signer/vapid.key. */
porch_err porch_signer_vapid_make(int signer_dir_fd, porch_key **ret, porch_why *why);
porch_err porch_signer_do_vapid_key(porch_signer *s, porch_buf *data, porch_why *why);
porch_err porch_signer_do_vapid_token(porch_signer *s, const porch_signer_request *r, porch_signer_now now,
                                      porch_buf *data, porch_why *why);
/* PORCH_ERR_MALFORMED unless the text is an id: accounts, labels, clips. */
porch_err porch_signer_check_id(porch_bytes text, const char *what, porch_why *why);

#endif
