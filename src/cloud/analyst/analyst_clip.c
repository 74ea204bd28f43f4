/*   video ─frame─► enough time since the last look? ─► motion gate ─► people ─► do enough samples agree?
 *     └─packet─► index                                                              └─► PERSON
 *
 * The first word goes out at the moment of agreement; a clearly better picture may follow at the end. */
#include "cloud/analyst/analyst_clip.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cloud/analyst/analyst_agree.h"
#include "cloud/analyst/analyst_index.h"
#include "cloud/analyst/analyst_motion.h"
#include "cloud/analyst/analyst_people.h"
#include "cloud/analyst/analyst_picture.h"
#include "cloud/analyst/analyst_video.h"
#include "os/channel.h"

enum {
    SEND_WAIT_MS = 10000,
    BETTER_PERCENT = 120 /* a later picture is worth a second word from this score on */
};

typedef struct {
    const porch_analyst_start *start;
    int socket;
    porch_analyst_motion *motion;
    uint32_t motion_width, motion_height;
    porch_analyst_agree agree;
    uint32_t frames, samples;
    uint32_t last_sample_ms;
    uint32_t last_count;       /* how many the last look saw */
    bool told;                 /* PERSON went out */
    porch_analyst_person best; /* its picture looks into `picture` */
    bool best_is_new;          /* better than what was told */
    uint8_t picture[PORCH_ANALYST_PICTURE_MAX];
    uint8_t message[PORCH_ANALYST_MESSAGE_MAX];
} clip_work;

static porch_err say(clip_work *c, const porch_analyst_message *m) {
    porch_buf out = PORCH_BUF_OF(c->message);
    PORCH_TRY(porch_analyst_write(&out, m));
    return porch_channel_send(c->socket, porch_buf_bytes(&out), NULL, 0, SEND_WAIT_MS, NULL);
}

static uint16_t part(uint32_t at, uint32_t whole) {
    return (uint16_t)(at >= whole ? 10000u : (uint64_t)at * 10000u / whole);
}

static porch_analyst_box in_parts(porch_analyst_region r, const porch_analyst_grey *p) {
    uint16_t x = part(r.x, p->width), y = part(r.y, p->height);
    uint16_t x1 = part(r.x + r.w, p->width), y1 = part(r.y + r.h, p->height);
    return (porch_analyst_box){x, y, (uint16_t)(x1 - x), (uint16_t)(y1 - y)};
}

static porch_analyst_region around(const porch_analyst_region *r, size_t count) {
    porch_analyst_region all = r[0];
    for (size_t i = 1; i < count; i++) {
        uint32_t x1 = all.x + all.w > r[i].x + r[i].w ? all.x + all.w : r[i].x + r[i].w;
        uint32_t y1 = all.y + all.h > r[i].y + r[i].h ? all.y + all.h : r[i].y + r[i].h;
        all.x = all.x < r[i].x ? all.x : r[i].x;
        all.y = all.y < r[i].y ? all.y : r[i].y;
        all.w = x1 - all.x;
        all.h = y1 - all.y;
    }
    return all;
}

/* The gate is made for the size of the pictures; a stream may change it on the way. */
static porch_err fit_motion(clip_work *c, const porch_analyst_grey *p) {
    if (c->motion != NULL && c->motion_width == p->width && c->motion_height == p->height) return PORCH_OK;
    porch_analyst_motion_free(c->motion);
    c->motion = NULL;
    PORCH_TRY(porch_analyst_motion_new(p->width, p->height, &c->motion));
    c->motion_width = p->width;
    c->motion_height = p->height;
    return PORCH_OK;
}

static porch_err look(clip_work *c, const porch_analyst_grey *p, uint32_t at_ms, porch_analyst_sample *s) {
    porch_analyst_region regions[PORCH_ANALYST_REGIONS_MAX];
    porch_analyst_found found[PORCH_ANALYST_PEOPLE_MAX];
    size_t count = 0;
    memset(s, 0, sizeof *s);
    s->at_ms = at_ms;
    PORCH_TRY(fit_motion(c, p));
    size_t moved = porch_analyst_motion_look(c->motion, p, regions);
    if (moved == 0) return PORCH_OK;
    s->has_motion = true;
    s->motion = in_parts(around(regions, moved), p);
    PORCH_TRY(porch_analyst_people_find(p, regions, moved, c->start->person_score_milli / 1000.0, found,
                                        PORCH_ANALYST_PEOPLE_MAX, &count));
    for (size_t i = 0; i < count; i++) {
        double score = found[i].score < 1000 ? found[i].score : 1000;
        s->seen[s->count++] = (porch_analyst_seen){in_parts(found[i].box, p), (uint32_t)(score * 1000)};
    }
    return PORCH_OK;
}

static porch_err keep_best(clip_work *c, const AVFrame *frame, const porch_analyst_sample *s,
                           porch_analyst_seen seen, uint32_t agreeing) {
    if (c->told && (uint64_t)seen.score_milli * 100 < (uint64_t)c->best.seen.score_milli * BETTER_PERCENT)
        return PORCH_OK;
    porch_buf picture = PORCH_BUF_OF(c->picture);
    PORCH_TRY(porch_analyst_picture_jpeg(frame, &picture));
    c->best = (porch_analyst_person){.better = c->told,
                                     .at_ms = s->at_ms,
                                     .seen = seen,
                                     .agreeing = agreeing,
                                     .picture = porch_buf_bytes(&picture)};
    c->best_is_new = true;
    return PORCH_OK;
}

static porch_err say_best(clip_work *c) {
    if (!c->best_is_new) return PORCH_OK;
    c->best_is_new = false;
    c->told = true;
    return say(c, &(porch_analyst_message){.type = PORCH_ANALYST_PERSON, .as.person = c->best});
}

/* The first look only teaches, and a sighting waits to be confirmed: in both cases the next look comes at
 * half the time, for somebody waits for the news. */
static uint32_t pause_ms(const clip_work *c) {
    bool eager = !c->told && (c->samples <= 1 || c->last_count > 0);
    return eager ? c->start->sample_ms / 2 : c->start->sample_ms;
}

static porch_err take_frame(clip_work *c, const AVFrame *frame, uint32_t at_ms) {
    if (c->frames++ == 0) {
        porch_analyst_message m = {.type = PORCH_ANALYST_FIRST_FRAME,
                                   .as.first_frame = {(uint32_t)frame->width, (uint32_t)frame->height}};
        PORCH_TRY(say(c, &m));
    } else if (at_ms < c->last_sample_ms + pause_ms(c) && at_ms >= c->last_sample_ms) {
        return PORCH_OK;
    }
    porch_analyst_grey grey;
    porch_analyst_message m = {.type = PORCH_ANALYST_SAMPLE};
    porch_analyst_seen seen;
    uint32_t agreeing;
    PORCH_TRY(porch_analyst_picture_grey(frame, &grey));
    PORCH_TRY(look(c, &grey, at_ms, &m.as.sample));
    c->samples++;
    c->last_sample_ms = at_ms;
    c->last_count = m.as.sample.count;
    if (porch_analyst_agree_take(&c->agree, &m.as.sample, &seen, &agreeing)) {
        PORCH_TRY(keep_best(c, frame, &m.as.sample, seen, agreeing));
        if (!c->told) PORCH_TRY(say_best(c));
    }
    return say(c, &m);
}

static porch_err watch(clip_work *c, porch_analyst_source *source, porch_analyst_index *index,
                       porch_why *why) {
    porch_analyst_video *video = NULL;
    porch_analyst_tap tap = {index != NULL ? porch_analyst_index_packet : NULL, index};
    porch_err e = porch_analyst_video_open(source, c->start, tap, &video, why);
    while (e == PORCH_OK) {
        const AVFrame *frame;
        uint32_t at_ms;
        e = porch_analyst_video_next(video, &frame, &at_ms, why);
        if (e == PORCH_OK) e = take_frame(c, frame, at_ms);
    }
    porch_analyst_video_free(video);
    if (e != PORCH_ERR_NOT_FOUND) return e;
    return say_best(c);
}

/* A clip that cannot be indexed is still analysed: its original plays, it only seeks less well. */
static uint64_t send_index(clip_work *c, porch_analyst_index *index) {
    porch_bytes copy;
    if (index == NULL || porch_analyst_index_finish(index, &copy) != PORCH_OK) return 0;
    for (size_t at = 0; at < copy.len;) {
        size_t n =
            copy.len - at < PORCH_ANALYST_INDEX_PIECE_MAX ? copy.len - at : PORCH_ANALYST_INDEX_PIECE_MAX;
        porch_analyst_message m = {.type = PORCH_ANALYST_INDEXED, .as.indexed = {at, {copy.at + at, n}}};
        if (say(c, &m) != PORCH_OK) return 0;
        at += n;
    }
    return copy.len;
}

static uint32_t cpu_ms(void) {
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) != 0) return 0;
    return (uint32_t)((u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
                      (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000);
}

porch_err porch_analyst_clip_run(const porch_analyst_start *start, int memfd, int clip_socket) {
    porch_analyst_message end = {.type = PORCH_ANALYST_END};
    porch_analyst_source source;
    porch_analyst_index *index = NULL;
    porch_why why = {""};
    clip_work *c = calloc(1, sizeof *c);
    if (c == NULL) return PORCH_ERR_NO_SPACE;
    c->start = start;
    c->socket = clip_socket;
    porch_analyst_agree_init(&c->agree, start->agree);
    porch_analyst_source_init(&source, memfd, clip_socket, start->clip_bytes);
    if (start->make_index) (void)porch_analyst_index_new(start->clip_bytes, start->frames_most, &index);

    porch_err e = watch(c, &source, index, &why);
    if (e == PORCH_OK) end.as.end.indexed_bytes = send_index(c, index);
    end.as.end.result = e;
    end.as.end.frames = c->frames;
    end.as.end.samples = c->samples;
    end.as.end.cpu_ms = cpu_ms();
    if (e != PORCH_OK) {
        (void)porch_bytes_to_text(porch_bytes_of(porch_why_text(&why, e)), end.as.end.why,
                                  sizeof end.as.end.why);
    }
    porch_err said = say(c, &end);
    porch_analyst_index_free(index);
    porch_analyst_motion_free(c->motion);
    free(c);
    return said;
}
