/* Segments, records and the scan that finds the last whole one. See spool.h for the picture.
 *
 *   record: | 0xA7 | kind | 0 0 | body length u32 | sequence u64 | CRC-32C u32 | body |
 *
 * Order of effects that the power cut test leans on: a record is appended and synced before its number is
 * handed out; segments are removed oldest first. */
#include "device/spool.h"

#include "base/cursor.h"

#define RECORD_MARK 0xA7u
#define CRC_OFFSET  16u

typedef enum { RECORD_MESSAGE = 1, RECORD_ACKNOWLEDGED = 2 } record_kind;

typedef struct {
    uint8_t kind;
    uint32_t body_bytes;
    uint64_t sequence;
    uint32_t crc;
} record_header;

_Static_assert(PORCH_SPOOL_HEADER_BYTES == CRC_OFFSET + sizeof(uint32_t), "the CRC ends the header");

/* CRC-32C (Castagnoli), reflected, four bits at a time: 64 bytes of table suit a chip. */
static uint32_t crc32c(uint32_t crc, porch_bytes data) {
    static const uint32_t nibble[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    crc = ~crc;
    for (size_t i = 0; i < data.len; i++) {
        crc ^= data.at[i];
        crc = (crc >> 4) ^ nibble[crc & 15];
        crc = (crc >> 4) ^ nibble[crc & 15];
    }
    return ~crc;
}

static void header_write(uint8_t raw[PORCH_SPOOL_HEADER_BYTES], record_kind kind, uint64_t sequence,
                         const porch_bytes *parts, size_t count) {
    uint32_t body_bytes = 0;
    for (size_t i = 0; i < count; i++)
        body_bytes += (uint32_t)parts[i].len; /* append has checked the sum */
    porch_buf out = {raw, 0, PORCH_SPOOL_HEADER_BYTES};
    /* 20 bytes into a block of 20: these writes cannot fail. */
    (void)porch_write_u8(&out, RECORD_MARK);
    (void)porch_write_u8(&out, (uint8_t)kind);
    (void)porch_write_u16(&out, 0);
    (void)porch_write_u32(&out, body_bytes);
    (void)porch_write_u64(&out, sequence);
    uint32_t crc = crc32c(0, (porch_bytes){raw, CRC_OFFSET});
    for (size_t i = 0; i < count; i++)
        crc = crc32c(crc, parts[i]);
    (void)porch_write_u32(&out, crc);
}

static porch_err header_parse(porch_bytes raw, record_header *ret) {
    porch_reader r = porch_reader_of(raw);
    uint8_t mark = 0;
    uint16_t zero = 0;
    record_header h = {0};
    PORCH_TRY(porch_read_u8(&r, &mark));
    PORCH_TRY(porch_read_u8(&r, &h.kind));
    PORCH_TRY(porch_read_u16(&r, &zero));
    PORCH_TRY(porch_read_u32(&r, &h.body_bytes));
    PORCH_TRY(porch_read_u64(&r, &h.sequence));
    PORCH_TRY(porch_read_u32(&r, &h.crc));
    bool kind_fits = h.kind == RECORD_MESSAGE || (h.kind == RECORD_ACKNOWLEDGED && h.body_bytes == 0);
    if (mark != RECORD_MARK || zero != 0 || !kind_fits) return PORCH_ERR_MALFORMED;
    if (h.sequence == 0 || h.sequence == UINT64_MAX) return PORCH_ERR_MALFORMED;
    *ret = h;
    return PORCH_OK;
}

/* The header at `offset`, and that its body lies inside `end`. *raw_crc is the CRC over the header's part.
 */
static porch_err header_read(porch_spool *s, uint32_t segment, uint64_t offset, uint64_t end,
                             record_header *ret, uint32_t *raw_crc) {
    uint8_t raw[PORCH_SPOOL_HEADER_BYTES];
    if (offset > end || end - offset < sizeof raw) return PORCH_ERR_TRUNCATED;
    PORCH_TRY(s->storage.read(s->storage.ctx, segment, offset, raw, sizeof raw));
    record_header h;
    PORCH_TRY(header_parse((porch_bytes){raw, sizeof raw}, &h));
    if (end - offset - sizeof raw < h.body_bytes) return PORCH_ERR_TRUNCATED;
    *raw_crc = crc32c(0, (porch_bytes){raw, CRC_OFFSET});
    *ret = h;
    return PORCH_OK;
}

/* Checks a body in place, without a block as long as the body. */
static porch_err body_check(porch_spool *s, uint32_t segment, uint64_t offset, const record_header *h,
                            uint32_t crc) {
    uint8_t piece[256];
    uint32_t left = h->body_bytes;
    while (left > 0) {
        size_t n = left < sizeof piece ? left : sizeof piece;
        PORCH_TRY(s->storage.read(s->storage.ctx, segment, offset, piece, n));
        crc = crc32c(crc, (porch_bytes){piece, n});
        offset += n;
        left -= (uint32_t)n;
    }
    return crc == h->crc ? PORCH_OK : PORCH_ERR_MALFORMED;
}

static void note_record(porch_spool *s, porch_spool_segment *g, const record_header *h) {
    if (h->kind == RECORD_ACKNOWLEDGED) {
        if (h->sequence > s->acknowledged) s->acknowledged = h->sequence;
    } else {
        if (g->first == 0) g->first = h->sequence;
        if (h->sequence > g->last) g->last = h->sequence;
    }
    if (h->sequence >= s->next) s->next = h->sequence + 1;
}

/* Walks a segment to its last whole record. Damage ends the walk, and a stretch that cannot be read: what
 * follows must not be kept from the hub. Only a storage that has no time for us is an error. */
static porch_err segment_scan(porch_spool *s, porch_spool_segment *g) {
    porch_err e = s->storage.size(s->storage.ctx, g->number, &g->bytes);
    while (e == PORCH_OK && g->good < g->bytes) {
        record_header h;
        uint32_t crc = 0;
        e = header_read(s, g->number, g->good, g->bytes, &h, &crc);
        if (e == PORCH_OK) e = body_check(s, g->number, g->good + PORCH_SPOOL_HEADER_BYTES, &h, crc);
        if (e != PORCH_OK) break;
        note_record(s, g, &h);
        g->good += PORCH_SPOOL_HEADER_BYTES + (uint64_t)h.body_bytes;
    }
    if (e == PORCH_ERR_BUSY) return e;
    if (e != PORCH_OK) g->sealed = true;
    if (e != PORCH_ERR_IO) return PORCH_OK;
    g->unread = true;
    s->unreadable++;
    /* The numbers of what it may hold are spent: the next start may be able to read it. */
    s->next += s->config.segment_bytes / PORCH_SPOOL_HEADER_BYTES;
    return PORCH_OK;
}

/* A record rotted or cannot be read since the last walk: its lengths cannot be trusted, so the segment now
 * ends before it and what followed counts as neither stored nor pending. */
static porch_err segment_rescan(porch_spool *s, porch_spool_segment *g) {
    porch_spool_segment now = {.number = g->number, .sealed = true};
    PORCH_TRY(segment_scan(s, &now));
    s->total_bytes += now.bytes - g->bytes; /* unsigned: also right when the file has shrunk */
    *g = now;
    return PORCH_OK;
}

static void segment_forget(porch_spool *s, size_t i) {
    s->total_bytes -= s->segments[i].bytes;
    for (size_t k = i + 1; k < s->count; k++)
        s->segments[k - 1] = s->segments[k];
    s->count--;
}

/* Messages of a segment that nobody has acknowledged. */
static uint64_t segment_pending(const porch_spool *s, const porch_spool_segment *g) {
    if (g->last == 0 || g->last <= s->acknowledged) return 0;
    uint64_t from = g->first > s->acknowledged ? g->first : s->acknowledged + 1;
    return g->last - from + 1;
}

static porch_err drop_oldest(porch_spool *s, porch_spool_loss *loss) {
    const porch_spool_segment *g = &s->segments[0];
    uint64_t pending = segment_pending(s, g);
    porch_err e = s->storage.remove(s->storage.ctx, g->number);
    /* What is broken so far that it cannot go, either, is forgotten. */
    if (e != PORCH_OK && !g->unread) return e;
    if (pending > 0) {
        loss->messages += pending;
        loss->upto = g->last;
    }
    segment_forget(s, 0);
    return PORCH_OK;
}

/* May the unread part of the oldest segment go? The next start would not send it, either. */
static bool is_behind(const porch_spool *s) {
    if (!s->segments[0].unread) return true;
    for (size_t i = 1; i < s->count; i++)
        if (s->segments[i].first != 0) return s->segments[i].first <= s->acknowledged;
    return false;
}

/* Oldest first, so that a cut in between never leaves an older message behind a removed acknowledgement.
 * The newest stays while it has room: it is where the next record goes. */
static void remove_acknowledged(porch_spool *s) {
    while (s->count > 0) {
        const porch_spool_segment *g = &s->segments[0];
        bool newest = s->count == 1;
        if (segment_pending(s, g) > 0 || !is_behind(s)) return;
        if (newest && !g->sealed && g->bytes <= s->config.segment_bytes / 2) return;
        if (s->storage.remove(s->storage.ctx, g->number) != PORCH_OK && !g->unread)
            return; /* tried again with the next */
        segment_forget(s, 0);
    }
}

static void sort(uint32_t *numbers, size_t count) {
    for (size_t i = 1; i < count; i++) {
        uint32_t v = numbers[i];
        size_t k = i;
        for (; k > 0 && numbers[k - 1] > v; k--)
            numbers[k] = numbers[k - 1];
        numbers[k] = v;
    }
}

porch_err porch_spool_open(porch_spool *s, const porch_spool_storage *storage,
                           const porch_spool_config *config, porch_why *why) {
    if (config->segment_bytes < 2 * PORCH_SPOOL_HEADER_BYTES ||
        config->limit_bytes < 2 * (uint64_t)config->segment_bytes)
        return porch_fail(
            why, PORCH_ERR_USAGE,
            "the spool's limit must be at least two segments; raise it or shorten the segments");
    *s = (porch_spool){.storage = *storage, .config = *config, .next = 1, .next_segment = 1};
    uint32_t numbers[PORCH_SPOOL_SEGMENTS_MOST];
    size_t count = 0;
    porch_err e = storage->list(storage->ctx, numbers, PORCH_SPOOL_SEGMENTS_MOST, &count);
    if (e != PORCH_OK) return porch_fail(why, e, "the spool's storage cannot be listed");
    if (count > PORCH_SPOOL_SEGMENTS_MOST)
        return porch_fail(why, PORCH_ERR_LIMIT,
                          "the spool holds %zu segments, %d are the most; remove the oldest", count,
                          PORCH_SPOOL_SEGMENTS_MOST);
    sort(numbers, count);
    for (size_t i = 0; i < count; i++) {
        porch_spool_segment *g = &s->segments[s->count];
        *g = (porch_spool_segment){.number = numbers[i]};
        e = segment_scan(s, g);
        if (e != PORCH_OK)
            return porch_fail(why, e, "spool segment %u cannot be read", (unsigned)numbers[i]);
        if (numbers[i] >= s->next_segment && numbers[i] < UINT32_MAX) s->next_segment = numbers[i] + 1;
        if (g->good == 0 && !g->unread) {
            /* Cut before its first record was whole: it promises nothing. */
            if (storage->remove(storage->ctx, numbers[i]) == PORCH_OK) continue;
            g->sealed = g->unread = true;
        }
        s->total_bytes += g->bytes;
        s->count++;
    }
    remove_acknowledged(s);
    return PORCH_OK;
}

/* The segment that a record of `need` bytes goes to, in s->segments[s->count - 1]. */
static porch_err make_room(porch_spool *s, uint64_t need, porch_spool_loss *loss) {
    while (s->count > 0 && s->total_bytes + need > s->config.limit_bytes)
        PORCH_TRY(drop_oldest(s, loss));
    const porch_spool_segment *newest = s->count > 0 ? &s->segments[s->count - 1] : NULL;
    if (newest && !newest->sealed && newest->bytes + need <= s->config.segment_bytes) return PORCH_OK;
    if (s->next_segment == UINT32_MAX) return PORCH_ERR_LIMIT;
    if (s->count == PORCH_SPOOL_SEGMENTS_MOST) PORCH_TRY(drop_oldest(s, loss));
    s->segments[s->count++] = (porch_spool_segment){.number = s->next_segment++};
    return PORCH_OK;
}

/* After a failed write the segment's tail is unknown: whatever comes next goes elsewhere. One that was to
 * begin with that write promises nothing and goes: it may not even have been made. */
static void seal_newest(porch_spool *s) {
    porch_spool_segment *g = &s->segments[s->count - 1];
    uint64_t bytes = 0;
    if (g->good == 0 && s->storage.remove(s->storage.ctx, g->number) == PORCH_OK) {
        segment_forget(s, s->count - 1);
        return;
    }
    if (s->storage.size(s->storage.ctx, g->number, &bytes) != PORCH_OK) bytes = g->bytes;
    s->total_bytes += bytes - g->bytes;
    g->bytes = bytes;
    g->sealed = true;
}

porch_err porch_spool_append(porch_spool *s, const porch_bytes *parts, size_t count, uint64_t *ret_sequence,
                             porch_spool_loss *loss) {
    enum { PARTS_MOST = 6 };
    *loss = (porch_spool_loss){0};
    uint64_t need = PORCH_SPOOL_HEADER_BYTES;
    if (count > PARTS_MOST) return PORCH_ERR_USAGE;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > s->config.segment_bytes) return PORCH_ERR_LIMIT;
        need += parts[i].len;
    }
    if (need > s->config.segment_bytes) return PORCH_ERR_LIMIT;
    PORCH_TRY(make_room(s, need, loss));

    porch_spool_segment *g = &s->segments[s->count - 1];
    uint64_t sequence = s->next++; /* also spent when the write fails: a ghost of it may be on disk */
    uint8_t raw[PORCH_SPOOL_HEADER_BYTES];
    header_write(raw, RECORD_MESSAGE, sequence, parts, count);
    porch_bytes all[PARTS_MOST + 1] = {{raw, sizeof raw}};
    for (size_t i = 0; i < count; i++)
        all[i + 1] = parts[i];
    porch_err e = s->storage.append(s->storage.ctx, g->number, all, count + 1);
    if (e == PORCH_OK) e = s->storage.sync(s->storage.ctx, g->number);
    if (e != PORCH_OK) {
        seal_newest(s);
        return e;
    }
    g->bytes += need;
    g->good = g->bytes;
    if (g->first == 0) g->first = sequence;
    g->last = sequence;
    s->total_bytes += need;
    *ret_sequence = sequence;
    return PORCH_OK;
}

void porch_spool_acknowledge(porch_spool *s, uint64_t sequence) {
    if (sequence <= s->acknowledged || sequence >= s->next) return;
    s->acknowledged = sequence;
    remove_acknowledged(s);
    if (s->count == 0) return;
    porch_spool_segment *g = &s->segments[s->count - 1];
    bool fits = !g->sealed && g->bytes + PORCH_SPOOL_HEADER_BYTES <= s->config.segment_bytes &&
                s->total_bytes + PORCH_SPOOL_HEADER_BYTES <= s->config.limit_bytes;
    if (!fits) return; /* a restart then sends some messages twice */
    uint8_t raw[PORCH_SPOOL_HEADER_BYTES];
    header_write(raw, RECORD_ACKNOWLEDGED, sequence, NULL, 0);
    porch_bytes part = {raw, sizeof raw};
    if (s->storage.append(s->storage.ctx, g->number, &part, 1) != PORCH_OK) {
        seal_newest(s);
        return;
    }
    g->bytes += sizeof raw;
    g->good = g->bytes;
    s->total_bytes += sizeof raw;
}

porch_spool_cursor porch_spool_start(const porch_spool *s) {
    return (porch_spool_cursor){s->count > 0 ? s->segments[0].number : 0, 0};
}

/* The segment at or after the cursor; moves the cursor when its own is gone. */
static porch_spool_segment *cursor_segment(porch_spool *s, porch_spool_cursor *c) {
    for (size_t i = 0; i < s->count; i++) {
        porch_spool_segment *g = &s->segments[i];
        if (g->number < c->segment) continue;
        if (g->number > c->segment) *c = (porch_spool_cursor){g->number, 0};
        return g;
    }
    return NULL;
}

porch_err porch_spool_next(porch_spool *s, porch_spool_cursor *cursor, porch_buf block,
                           porch_spool_record *ret) {
    porch_spool_segment *g;
    while ((g = cursor_segment(s, cursor)) != NULL) {
        if (cursor->offset >= g->good || g->last <= s->acknowledged) {
            if (g == &s->segments[s->count - 1]) {
                if (cursor->offset < g->good) cursor->offset = g->good;
                break;
            }
            *cursor = (porch_spool_cursor){g->number + 1, 0};
            continue;
        }
        record_header h;
        uint32_t crc = 0;
        porch_err e = header_read(s, g->number, cursor->offset, g->good, &h, &crc);
        uint64_t body_at = cursor->offset + PORCH_SPOOL_HEADER_BYTES;
        bool wanted = e == PORCH_OK && h.kind == RECORD_MESSAGE && h.sequence > s->acknowledged;
        if (wanted) {
            if (h.body_bytes > block.cap) return PORCH_ERR_NO_SPACE;
            if (h.body_bytes > 0)
                e = s->storage.read(s->storage.ctx, g->number, body_at, block.at, h.body_bytes);
            if (e == PORCH_OK && crc32c(crc, (porch_bytes){block.at, h.body_bytes}) != h.crc)
                e = PORCH_ERR_MALFORMED;
        }
        if (e == PORCH_ERR_BUSY) return e;
        if (e != PORCH_OK) {
            PORCH_TRY(segment_rescan(s, g));
            if (g->good > cursor->offset) return PORCH_ERR_IO; /* it can be read after all */
            cursor->offset = g->good;
            continue;
        }
        cursor->offset = body_at + h.body_bytes;
        if (!wanted) continue;
        *ret = (porch_spool_record){h.sequence, {block.at, h.body_bytes}};
        return PORCH_OK;
    }
    return PORCH_ERR_NOT_FOUND;
}

uint64_t porch_spool_pending(const porch_spool *s) {
    uint64_t sum = 0;
    for (size_t i = 0; i < s->count; i++)
        sum += segment_pending(s, &s->segments[i]);
    return sum;
}
