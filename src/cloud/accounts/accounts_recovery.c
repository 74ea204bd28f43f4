#include "cloud/accounts/accounts_recovery.h"

#include <stdio.h>
#include <string.h>

#include "cloud/accounts/accounts_room.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "os/log.h"

enum { RAW_BYTES = 10, LETTERS = 16, GROUP = 4 };

/* ---- the code and its hash ---- */

static void hash_raw(const char *account, const uint8_t raw[RAW_BYTES], uint8_t hash[32]) {
    uint8_t text[PORCH_PERSON_ID_TEXT + RAW_BYTES] = {0};
    size_t len = strnlen(account, PORCH_PERSON_ID_TEXT - 1);
    memcpy(text, account, len);
    memcpy(text + PORCH_PERSON_ID_TEXT, raw, RAW_BYTES);
    porch_sha256((porch_bytes){text, sizeof text}, hash);
    porch_wipe(text, sizeof text);
}

/* 80 bits are 16 letters of base32 without rest. */
static void write_code(const uint8_t raw[RAW_BYTES], char text[PORCH_RECOVERY_CODE_TEXT]) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    size_t len = 0;
    for (unsigned i = 0; i < LETTERS; i++) {
        unsigned bit = i * 5, at = bit / 8, two = (unsigned)raw[at] << 8;
        if (at + 1 < RAW_BYTES) two |= raw[at + 1];
        if (i > 0 && i % GROUP == 0) text[len++] = '-';
        text[len++] = letters[(two >> (11 - bit % 8)) & 31];
    }
    text[len] = '\0';
}

static int value_of(uint8_t c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a';
    if (c >= '2' && c <= '7') return c - '2' + 26;
    return -1;
}

/* In any case, with or without hyphens and blanks: it may be typed from paper. */
static bool read_code(porch_bytes text, uint8_t raw[RAW_BYTES]) {
    size_t letters = 0;
    uint32_t bits = 0;
    unsigned have = 0;
    size_t out = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '-' || text.at[i] == ' ') continue;
        int value = value_of(text.at[i]);
        if (value < 0 || ++letters > LETTERS) return false;
        bits = (bits << 5) | (uint32_t)value;
        have += 5;
        if (have >= 8) {
            have -= 8;
            raw[out++] = (uint8_t)(bits >> have);
            bits &= (1U << have) - 1;
        }
    }
    return letters == LETTERS;
}

bool porch_accounts_recovery_hash(const char *account, porch_bytes code, uint8_t hash[32]) {
    uint8_t raw[RAW_BYTES] = {0};
    bool whole = read_code(code, raw);
    hash_raw(account, raw, hash);
    porch_wipe(raw, sizeof raw);
    return whole;
}

/* ---- rows ---- */

porch_err porch_accounts_recovery_make(porch_db *db, const char *account, uint64_t now_ms,
                                       porch_recovery_codes *ret, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "DELETE FROM recovery_code WHERE account = ?1", why);
    porch_db_bind_str(q, 1, account);
    PORCH_TRY(porch_db_execute(q, why));
    for (size_t i = 0; i < PORCH_RECOVERY_CODES; i++) {
        uint8_t raw[RAW_BYTES], hash[32];
        porch_random(raw, sizeof raw);
        write_code(raw, ret->text[i]);
        hash_raw(account, raw, hash);
        porch_wipe(raw, sizeof raw);
        q = porch_db_prepare(db, "INSERT INTO recovery_code (hash, account, made_ms) VALUES (?1, ?2, ?3)",
                             why);
        porch_db_bind_blob(q, 1, (porch_bytes){hash, sizeof hash});
        porch_db_bind_str(q, 2, account);
        porch_db_bind_i64(q, 3, (int64_t)now_ms);
        PORCH_TRY(porch_db_execute(q, why));
    }
    return PORCH_OK;
}

porch_err porch_accounts_recovery_good(porch_db *db, const uint8_t hash[32], bool *ret, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db, "SELECT 1 FROM recovery_code WHERE hash = ?1 AND spent_ms = 0", why);
    porch_db_bind_blob(q, 1, (porch_bytes){hash, 32});
    porch_err e = porch_db_step(q, why);
    porch_db_finish(q);
    *ret = e == PORCH_OK;
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_accounts_recovery_spend(porch_db *db, const uint8_t hash[32], uint64_t now_ms,
                                        porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db, "UPDATE recovery_code SET spent_ms = ?2 WHERE hash = ?1 AND spent_ms = 0", why);
    porch_db_bind_blob(q, 1, (porch_bytes){hash, 32});
    porch_db_bind_i64(q, 2, (int64_t)now_ms);
    PORCH_TRY(porch_db_execute(q, why));
    return porch_db_changes(db) == 1 ? PORCH_OK : PORCH_ERR_AUTH;
}

typedef struct {
    const char *account;
    unsigned left;
    uint64_t made_ms;
} left_job;

static porch_err count_left(porch_db *db, void *ctx, porch_why *why) {
    left_job *job = ctx;
    porch_db_query *q = porch_db_prepare(db,
                                         "SELECT coalesce(sum(spent_ms = 0), 0), coalesce(max(made_ms), 0) "
                                         "FROM recovery_code WHERE account = ?1",
                                         why);
    porch_db_bind_str(q, 1, job->account);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        job->left = (unsigned)porch_db_i64(q, 0);
        job->made_ms = (uint64_t)porch_db_i64(q, 1);
    }
    porch_db_finish(q);
    return e;
}

porch_err porch_recovery_left(porch_accounts *a, const porch_person *person, unsigned *left,
                              uint64_t *made_ms, porch_why *why) {
    left_job job = {person->id, 0, 0};
    PORCH_TRY(porch_store_read(a->store, count_left, &job, why));
    *left = job.left;
    *made_ms = job.made_ms;
    return PORCH_OK;
}

/* ---- new ones ---- */

typedef struct {
    porch_accounts *a;
    const porch_user_session *session;
    const porch_sign_in_from *from;
    uint64_t now_ms;
    porch_recovery_codes codes;
    porch_alert alert;
} renew_job;

static porch_err renew(porch_db *db, void *ctx, porch_why *why) {
    renew_job *job = ctx;
    const porch_person *p = &job->session->person;
    const porch_alert_facts facts = {PORCH_ALERT_RECOVERY_CODES, p->id, job->session->id, job->from};
    PORCH_TRY(porch_accounts_session_there(db, job->session, why));
    PORCH_TRY(porch_accounts_recovery_make(db, p->id, job->now_ms, &job->codes, why));
    PORCH_TRY(porch_accounts_alert_make(job->a, db, &facts, job->now_ms, &job->alert, why));
    return porch_accounts_trust(db, "user.recovery-codes", NULL, p->name, job->from->address, why);
}

porch_err porch_recovery_renew(porch_accounts *a, const porch_user_session *session, porch_bytes password,
                               const porch_sign_in_from *from, uint64_t now_ms, porch_recovery_codes *ret,
                               uint32_t *retry_after_s, porch_why *why) {
    renew_job job = {.a = a, .session = session, .from = from, .now_ms = now_ms};
    char phc[PORCH_PASSWORD_HASH_BYTES];
    *retry_after_s = 0;
    PORCH_TRY(porch_step_up_demand(a, session, PORCH_STEP_UP_AUTHENTICATOR, now_ms, why));
    porch_err e = porch_accounts_password_again(a, &session->person, password, from->address,
                                                "recovery-codes", now_ms, phc, retry_after_s, why);
    porch_wipe(phc, sizeof phc);
    PORCH_TRY(e);
    e = porch_store_write(a->store, renew, &job, why);
    if (e == PORCH_OK) {
        *ret = job.codes;
        porch_log(PORCH_LOG_INFO, "recovery.renewed", "name", session->person.name, "peer", from->address,
                  NULL);
        porch_accounts_tell_alert(a, &job.alert);
    }
    porch_wipe(&job.codes, sizeof job.codes);
    return e;
}
