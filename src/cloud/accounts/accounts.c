#include "cloud/accounts/accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cloud/accounts/accounts_password.h"
#include "cloud/accounts/accounts_room.h"
#include "cloud/trust/trust.h"
#include "crypto/random.h"
#include "crypto/sha256.h"

/* Who waits here holds one of the hub's workers: half of them stay free, for clips and everybody's pages.
 */
static void set_gate(porch_accounts *a, const porch_settings *s) {
    const uint32_t half = s->http_workers > 1 ? s->http_workers / 2 : 1;
    a->working_max = s->people_password_workers < half ? s->people_password_workers : half;
    const uint32_t rest = half - a->working_max;
    a->waiting_max = s->people_password_waiting < rest ? s->people_password_waiting : rest;
}

porch_err porch_accounts_open(porch_store *store, const porch_settings *settings,
                              porch_signer_client *signer, porch_accounts **ret, porch_why *why) {
    porch_err e;
    uint8_t secret[32];
    porch_accounts *a = calloc(1, sizeof *a);
    if (a == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the accounts");
    a->store = store;
    a->signer = signer;
    a->setup_link_ms = (uint64_t)settings->people_setup_life_s * 1000;
    a->session_idle_ms = (uint64_t)settings->people_session_idle_s * 1000;
    a->session_life_ms = (uint64_t)settings->people_session_life_s * 1000;
    a->installed_idle_ms = (uint64_t)settings->people_installed_idle_s * 1000;
    a->installed_life_ms = (uint64_t)settings->people_installed_life_s * 1000;
    a->step_up_ms = (uint64_t)settings->people_step_up_s * 1000;
    a->alert_join_ms = (uint64_t)settings->people_alert_join_s * 1000;
    a->login_forget_ms = (uint64_t)settings->people_login_forget_s * 1000;
    a->alerts_max = settings->people_alerts;
    a->sessions_max = settings->people_sessions;
    a->login_free = settings->people_free_attempts_account;
    a->address_free = settings->people_free_attempts_address;
    set_gate(a, settings);
    (void)pthread_mutex_init(&a->throttle_lock, NULL);
    (void)pthread_mutex_init(&a->gate_lock, NULL);
    (void)pthread_mutex_init(&a->dummy_lock, NULL);
    (void)pthread_cond_init(&a->gate_open, NULL);
    a->throttle = porch_throttle_new(settings->people_login_delay_s, settings->people_login_forget_s);
    porch_random(secret, sizeof secret);
    e = a->throttle == NULL ? porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the sign-in throttle")
                            : PORCH_OK;
    if (e == PORCH_OK) e = porch_password_hash((porch_bytes){secret, sizeof secret}, a->dummy_password);
    porch_wipe(secret, sizeof secret);
    if (e == PORCH_OK) e = porch_accounts_throttle_load(a, why);
    if (e != PORCH_OK) {
        porch_accounts_close(a);
        return e;
    }
    *ret = a;
    return PORCH_OK;
}

void porch_accounts_close(porch_accounts *a) {
    if (a == NULL) return;
    porch_throttle_free(a->throttle);
    (void)pthread_mutex_destroy(&a->throttle_lock);
    (void)pthread_mutex_destroy(&a->gate_lock);
    (void)pthread_mutex_destroy(&a->dummy_lock);
    (void)pthread_cond_destroy(&a->gate_open);
    free(a);
}

porch_err porch_person_name_check(porch_bytes name, porch_why *why) {
    if (name.len == 0) return porch_fail(why, PORCH_ERR_MALFORMED, "the name is empty; choose one");
    if (name.len >= PORCH_PERSON_NAME_TEXT)
        return porch_fail(why, PORCH_ERR_MALFORMED, "the name is longer than %d bytes; shorten it",
                          PORCH_PERSON_NAME_TEXT - 1);
    if (!porch_utf8_valid(name))
        return porch_fail(why, PORCH_ERR_MALFORMED, "the name is not well-formed UTF-8 text");
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] < ' ' || name.at[i] == 0x7F || (name.at[i] == 0xC2 && name.at[i + 1] < 0xA0))
            return porch_fail(why, PORCH_ERR_MALFORMED,
                              "the name has a control character; use letters and digits");
    if (name.at[0] == ' ' || name.at[name.len - 1] == ' ')
        return porch_fail(why, PORCH_ERR_MALFORMED, "the name begins or ends with a space; take it away");
    return PORCH_OK;
}

void porch_accounts_name_key(porch_bytes name, char out[PORCH_PERSON_NAME_TEXT]) {
    size_t len = name.len < PORCH_PERSON_NAME_TEXT ? name.len : PORCH_PERSON_NAME_TEXT - 1;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = name.at[i];
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    out[len] = '\0';
}

/* ---- the gate ---- */

porch_err porch_accounts_gate_enter(porch_accounts *a, porch_why *why) {
    porch_err e = PORCH_OK;
    (void)pthread_mutex_lock(&a->gate_lock);
    if (a->working >= a->working_max && a->waiting >= a->waiting_max) {
        e = porch_fail(why, PORCH_ERR_BUSY, "too many passwords are being checked; try again shortly");
    } else {
        a->waiting++;
        while (a->working >= a->working_max)
            (void)pthread_cond_wait(&a->gate_open, &a->gate_lock);
        a->waiting--;
        a->working++;
    }
    (void)pthread_mutex_unlock(&a->gate_lock);
    return e;
}

void porch_accounts_gate_leave(porch_accounts *a) {
    (void)pthread_mutex_lock(&a->gate_lock);
    a->working--;
    (void)pthread_cond_signal(&a->gate_open);
    (void)pthread_mutex_unlock(&a->gate_lock);
}

void porch_accounts_load(porch_accounts *a, unsigned *working, unsigned *waiting) {
    (void)pthread_mutex_lock(&a->gate_lock);
    *working = a->working;
    *waiting = a->waiting;
    (void)pthread_mutex_unlock(&a->gate_lock);
}

porch_err porch_accounts_password_check(porch_accounts *a, porch_bytes password, porch_bytes name,
                                        porch_password_verdict *ret, porch_why *why) {
    PORCH_TRY(porch_accounts_gate_enter(a, why));
    porch_err e = porch_password_judge(password, name, ret, why);
    porch_accounts_gate_leave(a);
    return e;
}

porch_err porch_accounts_password_hash(porch_accounts *a, porch_bytes password, porch_bytes name,
                                       char out[PORCH_PASSWORD_HASH_BYTES], porch_why *why) {
    porch_password_verdict v;
    PORCH_TRY(porch_accounts_gate_enter(a, why));
    porch_err e = porch_password_judge(password, name, &v, why);
    if (e == PORCH_OK && !v.ok)
        e = porch_fail(why, PORCH_ERR_USAGE, "%s",
                       v.tip_count > 0 ? v.tips[0] : "choose a stronger password");
    if (e == PORCH_OK) e = porch_password_hash(password, out);
    porch_accounts_gate_leave(a);
    return e;
}

/* ---- the throttle, under its lock ---- */

uint32_t porch_accounts_throttle_begin(porch_accounts *a, const porch_throttle_subject *subjects,
                                       size_t count, uint64_t now_ms) {
    (void)pthread_mutex_lock(&a->throttle_lock);
    uint32_t wait_s = porch_throttle_begin(a->throttle, subjects, count, now_ms);
    (void)pthread_mutex_unlock(&a->throttle_lock);
    return wait_s;
}

void porch_accounts_throttle_undo(porch_accounts *a, const porch_throttle_subject *subjects, size_t count) {
    (void)pthread_mutex_lock(&a->throttle_lock);
    for (size_t i = 0; i < count; i++)
        porch_throttle_forgive(a->throttle, subjects[i].key);
    (void)pthread_mutex_unlock(&a->throttle_lock);
}

void porch_accounts_throttle_good(porch_accounts *a, const porch_throttle_subject *subjects, size_t count) {
    (void)pthread_mutex_lock(&a->throttle_lock);
    porch_throttle_clear(a->throttle, subjects[0].key);
    for (size_t i = 1; i < count; i++)
        porch_throttle_forgive(a->throttle, subjects[i].key);
    (void)pthread_mutex_unlock(&a->throttle_lock);
}

/* ---- rows ---- */

porch_err porch_accounts_person_from(porch_db_query *q, porch_person *ret) {
    porch_person p = {0};
    if (!porch_bytes_to_text(porch_db_text(q, 0), p.id, sizeof p.id) ||
        !porch_bytes_to_text(porch_db_text(q, 1), p.name, sizeof p.name) ||
        porch_role_parse(porch_db_text(q, 2), &p.role) != PORCH_OK ||
        !porch_bytes_to_text(porch_db_text(q, 3), p.household, sizeof p.household))
        return PORCH_ERR_DATABASE;
    p.created_ms = (uint64_t)porch_db_i64(q, 4);
    p.last_login_ms = (uint64_t)porch_db_i64(q, 5);
    p.awaiting_reset = porch_db_i64(q, 6) != 0;
    p.expires_ms = (uint64_t)porch_db_i64(q, 7);
    *ret = p;
    return PORCH_OK;
}

bool porch_accounts_expired(const porch_person *p, uint64_t now_ms) {
    return p->expires_ms != 0 && now_ms >= p->expires_ms;
}

porch_err porch_accounts_row_by_key(porch_db *db, const char *name_key, porch_account_row *ret,
                                    porch_why *why) {
    porch_account_row row = {0};
    porch_db_query *q = porch_db_prepare(
        db,
        "SELECT " PORCH_ACCOUNT_COLUMNS
        ", account.password, account.totp, account.totp_id FROM account WHERE name_key = ?1",
        why);
    porch_db_bind_str(q, 1, name_key);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) e = porch_accounts_person_from(q, &row.person);
    if (e == PORCH_OK) {
        porch_bytes sealed = porch_db_blob(q, PORCH_ACCOUNT_COLUMN_COUNT + 1);
        if (!porch_bytes_to_text(porch_db_text(q, PORCH_ACCOUNT_COLUMN_COUNT), row.password,
                                 sizeof row.password) ||
            !porch_bytes_to_text(porch_db_text(q, PORCH_ACCOUNT_COLUMN_COUNT + 2), row.totp_id,
                                 sizeof row.totp_id) ||
            sealed.len > sizeof row.totp) {
            e = porch_fail(why, PORCH_ERR_DATABASE, "the account's row is damaged; restore a backup");
        } else {
            if (sealed.len > 0) memcpy(row.totp, sealed.at, sealed.len);
            row.totp_len = sealed.len;
            *ret = row;
        }
    }
    porch_db_finish(q);
    return e;
}

typedef struct {
    porch_person_each_fn fn;
    void *ctx;
} list_job;

static porch_err list_people(porch_db *db, void *ctx, porch_why *why) {
    list_job *job = ctx;
    porch_person p;
    porch_db_query *q =
        porch_db_prepare(db, "SELECT " PORCH_ACCOUNT_COLUMNS " FROM account ORDER BY name_key", why);
    porch_err e = porch_db_step(q, why);
    for (; e == PORCH_OK; e = porch_db_step(q, why)) {
        e = porch_accounts_person_from(q, &p);
        if (e != PORCH_OK || !job->fn(&p, job->ctx)) break;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_accounts_list(porch_accounts *a, porch_person_each_fn fn, void *ctx, porch_why *why) {
    list_job job = {fn, ctx};
    return porch_store_read(a->store, list_people, &job, why);
}

typedef struct {
    char key[PORCH_PERSON_NAME_TEXT];
    porch_account_row row;
} find_job;

static porch_err find_person(porch_db *db, void *ctx, porch_why *why) {
    find_job *job = ctx;
    return porch_accounts_row_by_key(db, job->key, &job->row, why);
}

porch_err porch_accounts_find(porch_accounts *a, const char *name, porch_person *ret, porch_why *why) {
    find_job job;
    PORCH_TRY(porch_person_name_check(porch_bytes_of(name), why));
    porch_accounts_name_key(porch_bytes_of(name), job.key);
    porch_err e = porch_store_read(a->store, find_person, &job, why);
    if (e == PORCH_OK) *ret = job.row.person;
    if (e == PORCH_ERR_NOT_FOUND)
        e = porch_fail(why, e, "nobody by that name has an account; 'porchlight user list' shows who has");
    porch_wipe(&job, sizeof job);
    return e;
}

/* ---- tokens and trust ---- */

void porch_accounts_token_make(char text[PORCH_SESSION_TOKEN_TEXT], uint8_t hash[32]) {
    uint8_t raw[32];
    porch_buf out = {(uint8_t *)text, 0, PORCH_SESSION_TOKEN_TEXT - 1};
    porch_random(raw, sizeof raw);
    (void)porch_base64_write(&out, (porch_bytes){raw, sizeof raw}, true);
    text[out.len] = '\0';
    porch_sha256((porch_bytes){raw, sizeof raw}, hash);
    porch_wipe(raw, sizeof raw);
}

porch_err porch_accounts_token_hash(porch_bytes text, uint8_t hash[32]) {
    uint8_t raw[33];
    porch_buf out = PORCH_BUF_OF(raw);
    if (text.len != PORCH_SESSION_TOKEN_TEXT - 1 || porch_base64_read(&out, text, true) != PORCH_OK ||
        out.len != 32)
        return PORCH_ERR_AUTH;
    porch_sha256(porch_buf_bytes(&out), hash);
    porch_wipe(raw, sizeof raw);
    return PORCH_OK;
}

porch_err porch_accounts_trust(porch_db *db, const char *kind, const char *who, const char *name,
                               const char *address, porch_why *why) {
    char detail[128] = "{}";
    char subject[PORCH_PERSON_NAME_TEXT + 8];
    /* An address is digits, dots, colons and letters: it needs no escaping. */
    if (address != NULL && strspn(address, "0123456789abcdefABCDEF.:%unkowix") == strlen(address))
        (void)snprintf(detail, sizeof detail, "{\"address\":\"%.64s\"}", address);
    (void)snprintf(subject, sizeof subject, "user:%s", name);
    return porch_trust_append(db, kind, who == NULL ? subject : who, subject, detail, why);
}
