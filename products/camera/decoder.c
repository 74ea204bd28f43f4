#include "decoder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <porchlight/device.h>

#include "decoder_wire.h"

enum { LOOK_MS = 100, ORDER_MS = 10000, AHEAD_MOST_MS = 60000 };

struct porch_camera_decoder {
    porch_camera_decoder_options options;
    bool live;
    int control;
    uint32_t orders; /* given so far */
    pid_t spawner, pid;
};

typedef struct {
    porch_camera_source base;
    porch_camera_decoder *d;
    int channel;
    uint8_t *shared;
    AVFrame *frame;
    bool any_frame;
    uint64_t first_ms, first_told_ms; /* of the first frame: by our steady clock, and as it was told */
    uint64_t last_ms;                 /* steady */
    bool (*cancelled)(void *ctx);
    void *ctx;
} remote;

/* ---- the spawner ---- */

porch_camera_decoder *porch_camera_decoder_start(const porch_camera_decoder_options *options,
                                                 char why[256]) {
    int pair[2];
    porch_camera_source_kind kind;
    if (!porch_camera_source_kind_of(options->what, &kind, why)) return NULL;
    porch_camera_decoder *d = calloc(1, sizeof *d);
    if (!d || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        (void)snprintf(why, 256, "the decoder cannot be started: %s", strerror(errno));
        free(d);
        return NULL;
    }
    d->options = *options;
    d->live = kind != PORCH_CAMERA_FILM;
    d->control = pair[0];
    d->spawner = fork();
    if (d->spawner == 0) porch_decoder_spawn(pair[1], options);
    (void)close(pair[1]);
    if (d->spawner > 0) return d;
    (void)snprintf(why, 256, "the decoder cannot be started: %s", strerror(errno));
    (void)close(pair[0]);
    free(d);
    return NULL;
}

void porch_camera_decoder_end(porch_camera_decoder *d) {
    if (!d) return;
    (void)close(d->control);
    (void)waitpid(d->spawner, NULL, 0);
    free(d);
}

pid_t porch_camera_decoder_pid(const porch_camera_decoder *d) {
    return d->pid;
}

/* The answer to the newest order; one to an order that was given up before is passed over. */
static bool hear_spawner(const porch_camera_decoder *d, porch_decoder_status *ret) {
    struct pollfd p = {.fd = d->control, .events = POLLIN};
    uint64_t until_ms = porch_camera_mono_ms() + ORDER_MS;
    do {
        while (poll(&p, 1, LOOK_MS) <= 0)
            if (porch_camera_mono_ms() > until_ms) return false;
        if (recv(d->control, ret, sizeof *ret, 0) != (ssize_t)sizeof *ret) return false;
    } while (ret->number != d->orders);
    return true;
}

/* One order and its answer. False: the spawner is gone. */
static bool order(porch_camera_decoder *d, porch_decoder_order what, const int fds[2],
                  porch_decoder_status *ret) {
    porch_decoder_letter letter = {++d->orders, what};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } data;
    struct iovec iov = {&letter, sizeof letter};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fds) {
        memset(&data, 0, sizeof data);
        m.msg_control = &data;
        m.msg_controllen = sizeof data;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(2 * sizeof(int));
        memcpy(CMSG_DATA(c), fds, 2 * sizeof(int));
    }
    return sendmsg(d->control, &m, MSG_NOSIGNAL) == (ssize_t)sizeof letter && hear_spawner(d, ret);
}

/* Ends the decoder; the sentence says how it had ended when it had. */
static void end_decoder(porch_camera_decoder *d, bool hung, char why[256]) {
    porch_decoder_status s = {0};
    d->pid = 0;
    bool known = order(d, PORCH_DECODER_END, NULL, &s);
    if (!why) return;
    if (hung)
        (void)snprintf(why, 256, "the decoder gave no sign for %u ms and was ended", d->options.hang_ms);
    else if (known && WIFSIGNALED(s.status))
        (void)snprintf(why, 256, "the decoder died of signal %d", WTERMSIG(s.status));
    else
        (void)snprintf(why, 256, "the decoder ended without a word");
}

/* ---- one decoder ---- */

/* Words of somebody who may have been taken over: printable, and with an end. */
static void clean(char why[256]) {
    why[255] = '\0';
    for (char *c = why; *c != '\0'; c++)
        if (*c < 0x20 || *c > 0x7e) *c = '?';
}

/* FRAME: *t is an answer. CANCELLED; DIED with a sentence. */
static porch_camera_next hear(remote *r, porch_decoder_told *t, char why[256]) {
    uint64_t until_ms = porch_camera_mono_ms() + r->d->options.hang_ms;
    for (;;) {
        struct pollfd p = {.fd = r->channel, .events = POLLIN};
        if (r->cancelled && r->cancelled(r->ctx)) return PORCH_CAMERA_CANCELLED;
        if (poll(&p, 1, LOOK_MS) > 0) break;
        if (porch_camera_mono_ms() <= until_ms) continue;
        end_decoder(r->d, true, why);
        return PORCH_CAMERA_DIED;
    }
    if (recv(r->channel, t, sizeof *t, 0) == (ssize_t)sizeof *t) {
        clean(t->why);
        return PORCH_CAMERA_FRAME;
    }
    end_decoder(r->d, false, why);
    return PORCH_CAMERA_DIED;
}

static void get_plane(const uint8_t **at, uint8_t *to, int stride, int width, int height) {
    for (int y = 0; y < height; y++) {
        memcpy(to + (ptrdiff_t)y * stride, *at, (size_t)width);
        *at += width;
    }
}

/* A copy: whoever wrote the shared picture may go on writing it. */
static bool get_frame(remote *r, char why[256]) {
    const uint8_t *at = r->shared;
    int width = r->base.width, height = r->base.height;
    if (av_frame_make_writable(r->frame) < 0) {
        (void)snprintf(why, 256, "out of memory");
        return false;
    }
    get_plane(&at, r->frame->data[0], r->frame->linesize[0], width, height);
    for (int i = 1; i < 3; i++)
        get_plane(&at, r->frame->data[i], r->frame->linesize[i], (width + 1) / 2, (height + 1) / 2);
    return true;
}

/* Of what is told only the distances count, and only for a film, which has a pace of its own. They run on
 * and stay near our steady clock, whatever is told; the wall clock, which somebody may set between two
 * frames, says nothing but when that was. */
static void give_times(remote *r, uint64_t told_ms, porch_camera_frame *ret) {
    uint64_t mono_ms = porch_camera_mono_ms(), at_ms = mono_ms;
    if (!r->any_frame) {
        r->first_ms = mono_ms;
        r->first_told_ms = told_ms;
    }
    r->any_frame = true;
    if (!r->d->live) at_ms = r->first_ms + (told_ms - r->first_told_ms);
    if (at_ms > mono_ms + AHEAD_MOST_MS || at_ms + AHEAD_MOST_MS < mono_ms) at_ms = mono_ms;
    r->last_ms = at_ms > r->last_ms ? at_ms : r->last_ms + 1;
    ret->steady_ms = r->last_ms;
    ret->at_ms = porch_device_now_ms() - mono_ms + r->last_ms;
}

static porch_camera_next remote_next(porch_camera_source *s, porch_camera_frame *ret, char why[256]) {
    remote *r = (remote *)s;
    porch_decoder_told t;
    (void)send(r->channel, "n", 1, MSG_NOSIGNAL); /* one that is gone is noticed by hearing */
    porch_camera_next n = hear(r, &t, why);
    if (n != PORCH_CAMERA_FRAME) return n;
    if (t.kind == PORCH_DECODER_FILM_END) return PORCH_CAMERA_END;
    if (t.kind != PORCH_DECODER_FRAME) {
        (void)snprintf(why, 256, "%s", t.why[0] != '\0' ? t.why : "the decoder speaks of something else");
        return PORCH_CAMERA_BROKEN;
    }
    if (!get_frame(r, why)) return PORCH_CAMERA_BROKEN;
    ret->frame = r->frame;
    give_times(r, t.at_ms, ret);
    return PORCH_CAMERA_FRAME;
}

static void remote_close(porch_camera_source *s) {
    remote *r = (remote *)s;
    if (r->channel >= 0) (void)close(r->channel);
    if (r->d->pid != 0) end_decoder(r->d, false, NULL);
    if (r->shared) (void)munmap(r->shared, PORCH_DECODER_SHARED_BYTES);
    av_frame_free(&r->frame);
    free(r);
}

/* Memory of a fixed size that the decoder can neither cut short under us nor let grow. */
static int make_memory(void) {
    int fd = memfd_create("porchlight-frame", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return -1;
    if (ftruncate(fd, PORCH_DECODER_SHARED_BYTES) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static bool start_decoder(remote *r, char why[256]) {
    int pair[2], memory = make_memory();
    porch_decoder_status s = {0};
    if (memory < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        (void)snprintf(why, 256, "no memory or socket for the decoder: %s", strerror(errno));
        if (memory >= 0) (void)close(memory);
        return false;
    }
    r->channel = pair[0];
    void *at = mmap(NULL, PORCH_DECODER_SHARED_BYTES, PROT_READ, MAP_SHARED, memory, 0);
    if (at != MAP_FAILED) r->shared = at;
    const int fds[2] = {pair[1], memory};
    bool good = r->shared && order(r->d, PORCH_DECODER_OPEN, fds, &s) && s.pid > 0;
    (void)close(pair[1]);
    (void)close(memory);
    r->d->pid = good ? s.pid : 0;
    if (!good) (void)snprintf(why, 256, "the process that starts decoders is gone or cannot start one");
    return good;
}

static bool take_source(remote *r, const porch_decoder_told *t, char why[256]) {
    if (t->kind != PORCH_DECODER_SOURCE) {
        (void)snprintf(why, 256, "%s", t->why[0] != '\0' ? t->why : "the decoder speaks of something else");
        return false;
    }
    if (t->width < PORCH_DECODER_SIDE_LEAST || t->width > PORCH_DECODER_SIDE_MOST ||
        t->height < PORCH_DECODER_SIDE_LEAST || t->height > PORCH_DECODER_SIDE_MOST ||
        (int64_t)t->width * t->height > PORCH_DECODER_PIXELS_MOST) {
        (void)snprintf(why, 256, "the decoder tells of a picture that cannot be");
        return false;
    }
    bool rated = t->rate_num > 0 && t->rate_den > 0 && t->rate_num / t->rate_den <= 240;
    r->base.width = t->width;
    r->base.height = t->height;
    r->base.rate = rated ? (AVRational){t->rate_num, t->rate_den} : (AVRational){10, 1};
    r->frame = av_frame_alloc();
    if (r->frame) {
        r->frame->format = AV_PIX_FMT_YUV420P;
        r->frame->width = t->width;
        r->frame->height = t->height;
    }
    if (r->frame && av_frame_get_buffer(r->frame, 0) >= 0) return true;
    (void)snprintf(why, 256, "out of memory");
    return false;
}

porch_camera_source *porch_camera_decoder_open(porch_camera_decoder *d, bool (*cancelled)(void *ctx),
                                               void *ctx, bool *died, char why[256]) {
    porch_decoder_told t;
    if (died) *died = false;
    remote *r = calloc(1, sizeof *r);
    if (!r) {
        (void)snprintf(why, 256, "out of memory");
        return NULL;
    }
    *r = (remote){.base = {.next = remote_next, .close = remote_close},
                  .d = d,
                  .channel = -1,
                  .cancelled = cancelled,
                  .ctx = ctx};
    if (start_decoder(r, why)) {
        porch_camera_next n = hear(r, &t, why);
        if (n == PORCH_CAMERA_FRAME && take_source(r, &t, why)) return &r->base;
        if (n == PORCH_CAMERA_CANCELLED) (void)snprintf(why, 256, "cancelled");
        if (died) *died = n == PORCH_CAMERA_DIED;
    }
    remote_close(&r->base);
    return NULL;
}
