/* One table of messages, read and written side by side, so that the two cannot drift apart. */
#include "cloud/analyst/analyst_ipc.h"

#include <string.h>

#define PART_ONE 10000u

static porch_err read_flag(porch_reader *r, bool *ret) {
    uint8_t v;
    PORCH_TRY(porch_read_u8(r, &v));
    if (v > 1) return PORCH_ERR_MALFORMED;
    *ret = v == 1;
    return PORCH_OK;
}

static bool box_good(porch_analyst_box b) {
    return (uint32_t)b.x + b.w <= PART_ONE && (uint32_t)b.y + b.h <= PART_ONE;
}

static porch_err read_box(porch_reader *r, porch_analyst_box *ret) {
    porch_analyst_box b;
    PORCH_TRY(porch_read_u16(r, &b.x));
    PORCH_TRY(porch_read_u16(r, &b.y));
    PORCH_TRY(porch_read_u16(r, &b.w));
    PORCH_TRY(porch_read_u16(r, &b.h));
    if (!box_good(b)) return PORCH_ERR_MALFORMED;
    *ret = b;
    return PORCH_OK;
}

static porch_err write_box(porch_buf *out, porch_analyst_box b) {
    if (!box_good(b)) return PORCH_ERR_LIMIT;
    PORCH_TRY(porch_write_u16(out, b.x));
    PORCH_TRY(porch_write_u16(out, b.y));
    PORCH_TRY(porch_write_u16(out, b.w));
    return porch_write_u16(out, b.h);
}

static porch_err read_seen(porch_reader *r, porch_analyst_seen *ret) {
    PORCH_TRY(read_box(r, &ret->box));
    PORCH_TRY(porch_read_u32(r, &ret->score_milli));
    return ret->score_milli <= PORCH_ANALYST_SCORE_MAX ? PORCH_OK : PORCH_ERR_MALFORMED;
}

static porch_err write_seen(porch_buf *out, const porch_analyst_seen *s) {
    if (s->score_milli > PORCH_ANALYST_SCORE_MAX) return PORCH_ERR_LIMIT;
    PORCH_TRY(write_box(out, s->box));
    return porch_write_u32(out, s->score_milli);
}

static porch_err read_start(porch_reader *r, porch_analyst_message *m) {
    porch_analyst_start *s = &m->as.start;
    uint8_t version;
    PORCH_TRY(porch_read_u8(r, &version));
    if (version != PORCH_ANALYST_IPC_VERSION) return PORCH_ERR_MALFORMED;
    PORCH_TRY(porch_read_u64(r, &s->clip_bytes));
    uint32_t *const numbers[] = {&s->width_most,  &s->height_most,        &s->frames_most,
                                 &s->cpu_seconds, &s->wall_seconds,       &s->memory_mib,
                                 &s->sample_ms,   &s->person_score_milli, &s->agree};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        PORCH_TRY(porch_read_u32(r, numbers[i]));
    }
    return read_flag(r, &s->make_index);
}

static porch_err write_start(porch_buf *out, const porch_analyst_message *m) {
    const porch_analyst_start *s = &m->as.start;
    PORCH_TRY(porch_write_u8(out, PORCH_ANALYST_IPC_VERSION));
    PORCH_TRY(porch_write_u64(out, s->clip_bytes));
    const uint32_t numbers[] = {s->width_most,  s->height_most,        s->frames_most,
                                s->cpu_seconds, s->wall_seconds,       s->memory_mib,
                                s->sample_ms,   s->person_score_milli, s->agree};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        PORCH_TRY(porch_write_u32(out, numbers[i]));
    }
    return porch_write_u8(out, s->make_index);
}

static porch_err read_have(porch_reader *r, porch_analyst_message *m) {
    PORCH_TRY(porch_read_u64(r, &m->as.have.bytes));
    return read_flag(r, &m->as.have.complete);
}

static porch_err write_have(porch_buf *out, const porch_analyst_message *m) {
    PORCH_TRY(porch_write_u64(out, m->as.have.bytes));
    return porch_write_u8(out, m->as.have.complete);
}

static porch_err read_first_frame(porch_reader *r, porch_analyst_message *m) {
    PORCH_TRY(porch_read_u32(r, &m->as.first_frame.width));
    return porch_read_u32(r, &m->as.first_frame.height);
}

static porch_err write_first_frame(porch_buf *out, const porch_analyst_message *m) {
    PORCH_TRY(porch_write_u32(out, m->as.first_frame.width));
    return porch_write_u32(out, m->as.first_frame.height);
}

static porch_err read_sample(porch_reader *r, porch_analyst_message *m) {
    porch_analyst_sample *s = &m->as.sample;
    PORCH_TRY(porch_read_u32(r, &s->at_ms));
    PORCH_TRY(read_flag(r, &s->has_motion));
    PORCH_TRY(read_box(r, &s->motion));
    PORCH_TRY(porch_read_u32(r, &s->count));
    if (s->count > PORCH_ANALYST_PEOPLE_MAX) return PORCH_ERR_MALFORMED;
    for (uint32_t i = 0; i < s->count; i++)
        PORCH_TRY(read_seen(r, &s->seen[i]));
    return PORCH_OK;
}

static porch_err write_sample(porch_buf *out, const porch_analyst_message *m) {
    const porch_analyst_sample *s = &m->as.sample;
    if (s->count > PORCH_ANALYST_PEOPLE_MAX) return PORCH_ERR_LIMIT;
    PORCH_TRY(porch_write_u32(out, s->at_ms));
    PORCH_TRY(porch_write_u8(out, s->has_motion));
    PORCH_TRY(write_box(out, s->motion));
    PORCH_TRY(porch_write_u32(out, s->count));
    for (uint32_t i = 0; i < s->count; i++)
        PORCH_TRY(write_seen(out, &s->seen[i]));
    return PORCH_OK;
}

/* Begins and ends as a JPEG does (ITU-T T.81, B.2.1): enough for something that is only ever served as
 * image/jpeg with nosniff. */
static bool picture_good(porch_bytes p) {
    return p.len >= 4 && p.len <= PORCH_ANALYST_PICTURE_MAX && p.at[0] == 0xff && p.at[1] == 0xd8 &&
           p.at[p.len - 2] == 0xff && p.at[p.len - 1] == 0xd9;
}

static porch_err read_person(porch_reader *r, porch_analyst_message *m) {
    porch_analyst_person *p = &m->as.person;
    PORCH_TRY(read_flag(r, &p->better));
    PORCH_TRY(porch_read_u32(r, &p->at_ms));
    PORCH_TRY(read_seen(r, &p->seen));
    PORCH_TRY(porch_read_u32(r, &p->agreeing));
    PORCH_TRY(porch_read_block32(r, &p->picture));
    return p->agreeing <= 5 && picture_good(p->picture) ? PORCH_OK : PORCH_ERR_MALFORMED;
}

static porch_err write_person(porch_buf *out, const porch_analyst_message *m) {
    const porch_analyst_person *p = &m->as.person;
    if (p->agreeing > 5 || !picture_good(p->picture)) return PORCH_ERR_LIMIT;
    PORCH_TRY(porch_write_u8(out, p->better));
    PORCH_TRY(porch_write_u32(out, p->at_ms));
    PORCH_TRY(write_seen(out, &p->seen));
    PORCH_TRY(porch_write_u32(out, p->agreeing));
    return porch_write_block32(out, p->picture);
}

static porch_err read_indexed(porch_reader *r, porch_analyst_message *m) {
    PORCH_TRY(porch_read_u64(r, &m->as.indexed.offset));
    PORCH_TRY(porch_read_block32(r, &m->as.indexed.piece));
    size_t n = m->as.indexed.piece.len;
    return n > 0 && n <= PORCH_ANALYST_INDEX_PIECE_MAX ? PORCH_OK : PORCH_ERR_MALFORMED;
}

static porch_err write_indexed(porch_buf *out, const porch_analyst_message *m) {
    size_t n = m->as.indexed.piece.len;
    if (n == 0 || n > PORCH_ANALYST_INDEX_PIECE_MAX) return PORCH_ERR_LIMIT;
    PORCH_TRY(porch_write_u64(out, m->as.indexed.offset));
    return porch_write_block32(out, m->as.indexed.piece);
}

static porch_err read_end(porch_reader *r, porch_analyst_message *m) {
    porch_analyst_end *e = &m->as.end;
    uint8_t result;
    porch_bytes why;
    PORCH_TRY(porch_read_u8(r, &result));
    if (result >= PORCH_ERR_COUNT) return PORCH_ERR_MALFORMED;
    e->result = (porch_err)result;
    PORCH_TRY(porch_read_u32(r, &e->frames));
    PORCH_TRY(porch_read_u32(r, &e->samples));
    PORCH_TRY(porch_read_u32(r, &e->cpu_ms));
    PORCH_TRY(porch_read_u64(r, &e->indexed_bytes));
    PORCH_TRY(porch_read_block16(r, &why));
    return porch_bytes_to_text(why, e->why, sizeof e->why) ? PORCH_OK : PORCH_ERR_MALFORMED;
}

static porch_err write_end(porch_buf *out, const porch_analyst_message *m) {
    const porch_analyst_end *e = &m->as.end;
    PORCH_TRY(porch_write_u8(out, (uint8_t)e->result));
    PORCH_TRY(porch_write_u32(out, e->frames));
    PORCH_TRY(porch_write_u32(out, e->samples));
    PORCH_TRY(porch_write_u32(out, e->cpu_ms));
    PORCH_TRY(porch_write_u64(out, e->indexed_bytes));
    return porch_write_block16(out, (porch_bytes){(const uint8_t *)e->why, strnlen(e->why, sizeof e->why)});
}

/* Its type is all that there is. */
static porch_err read_begun(porch_reader *r, porch_analyst_message *m) {
    (void)r;
    (void)m;
    return PORCH_OK;
}

static porch_err write_begun(porch_buf *out, const porch_analyst_message *m) {
    (void)out;
    (void)m;
    return PORCH_OK;
}

static const struct {
    porch_err (*read)(porch_reader *r, porch_analyst_message *m);
    porch_err (*write)(porch_buf *out, const porch_analyst_message *m);
} messages[] = {
    [PORCH_ANALYST_START] = {read_start, write_start},
    [PORCH_ANALYST_HAVE] = {read_have, write_have},
    [PORCH_ANALYST_FIRST_FRAME] = {read_first_frame, write_first_frame},
    [PORCH_ANALYST_SAMPLE] = {read_sample, write_sample},
    [PORCH_ANALYST_PERSON] = {read_person, write_person},
    [PORCH_ANALYST_INDEXED] = {read_indexed, write_indexed},
    [PORCH_ANALYST_END] = {read_end, write_end},
    [PORCH_ANALYST_BEGUN] = {read_begun, write_begun},
};
enum { MESSAGES = sizeof messages / sizeof messages[0] };

porch_err porch_analyst_read(porch_bytes in, porch_analyst_message *ret) {
    porch_reader r = porch_reader_of(in);
    porch_analyst_message m;
    uint8_t type;
    memset(&m, 0, sizeof m);
    if (porch_read_u8(&r, &type) != PORCH_OK || type >= MESSAGES || messages[type].read == NULL) {
        return PORCH_ERR_MALFORMED;
    }
    m.type = (porch_analyst_type)type;
    if (messages[type].read(&r, &m) != PORCH_OK || !porch_reader_done(&r)) return PORCH_ERR_MALFORMED;
    *ret = m;
    return PORCH_OK;
}

porch_err porch_analyst_write(porch_buf *out, const porch_analyst_message *message) {
    unsigned type = (unsigned)message->type;
    if (type >= MESSAGES || messages[type].write == NULL) return PORCH_ERR_LIMIT;
    size_t before = out->len;
    porch_err e = porch_write_u8(out, (uint8_t)type);
    if (e == PORCH_OK) e = messages[type].write(out, message);
    if (e != PORCH_OK) out->len = before;
    return e;
}
