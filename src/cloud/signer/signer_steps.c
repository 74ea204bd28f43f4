/* Per account the last accepted step and the wrong codes: a hash table that only grows, up to a limit. Rows
 * are made for accounts whose sealed secret opened, so strangers cannot fill it. */
#include "cloud/signer/signer_room.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 64 };

porch_err porch_signer_steps_init(porch_signer_steps *s, size_t most) {
    *s = (porch_signer_steps){.cap = FIRST_CAP, .most = most};
    s->rows = calloc(s->cap, sizeof *s->rows);
    return s->rows ? PORCH_OK : PORCH_ERR_BUSY;
}

void porch_signer_steps_free(porch_signer_steps *s) {
    free(s->rows);
    *s = (porch_signer_steps){0};
}

/* FNV-1a: the names are the hub's own, nobody can choose them to collide. */
static size_t hash(porch_bytes name) {
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < name.len; i++)
        h = (h ^ name.at[i]) * 1099511628211u;
    return (size_t)(h ^ (h >> 32));
}

static porch_signer_account *slot_of(porch_signer_account *rows, size_t cap, porch_bytes name) {
    size_t i = hash(name) & (cap - 1);
    while (rows[i].account[0] && !porch_bytes_eq_text(name, rows[i].account))
        i = (i + 1) & (cap - 1);
    return &rows[i];
}

static bool grow(porch_signer_steps *s) {
    size_t cap = s->cap * 2;
    porch_signer_account *rows = calloc(cap, sizeof *rows);
    if (!rows) return false;
    for (size_t i = 0; i < s->cap; i++)
        if (s->rows[i].account[0]) *slot_of(rows, cap, porch_bytes_of(s->rows[i].account)) = s->rows[i];
    free(s->rows);
    s->rows = rows;
    s->cap = cap;
    return true;
}

porch_signer_account *porch_signer_steps_find(porch_signer_steps *s, porch_bytes account) {
    porch_signer_account *row = slot_of(s->rows, s->cap, account);
    if (row->account[0]) return row;
    if (account.len == 0 || s->count >= s->most) return NULL;
    if ((s->count + 1) * 2 > s->cap) {
        if (!grow(s)) return NULL;
        row = slot_of(s->rows, s->cap, account);
    }
    if (!porch_bytes_to_text(account, row->account, sizeof row->account)) return NULL;
    s->count++;
    return row;
}
