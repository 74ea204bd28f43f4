/* The other side of decoder.c: the spawner, and the decoder that it forks. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "decoder_wire.h"
#include "sandbox.h"

typedef struct {
    int channel;
    bool locked;
    porch_camera_source_kind kind;
    char why[256];
} decoder;

/* ---- the decoder ---- */

static void tell(const decoder *d, porch_decoder_told *t) {
    if (send(d->channel, t, sizeof *t, MSG_NOSIGNAL) != (ssize_t)sizeof *t) _exit(0); /* nobody is there */
}

static void tell_why(const decoder *d, porch_decoder_kind kind, const char *why) {
    porch_decoder_told t = {.kind = kind};
    (void)snprintf(t.why, sizeof t.why, "%s", why);
    tell(d, &t);
}

/* Has the camera gone, or thrown this channel away? */
static bool left_alone(void *ctx) {
    const decoder *d = ctx;
    char byte;
    return recv(d->channel, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* The source is open and nothing of it was read. */
static bool lock(void *ctx) {
    decoder *d = ctx;
    bool landlock = false;
    if (!d->locked) d->locked = porch_camera_sandbox_lock(d->kind == PORCH_CAMERA_V4L2, &landlock, d->why);
    return d->locked;
}

static void put_plane(uint8_t **at, const uint8_t *from, int stride, int width, int height) {
    for (int y = 0; y < height; y++) {
        memcpy(*at, from + (ptrdiff_t)y * stride, (size_t)width);
        *at += width;
    }
}

static void put_frame(uint8_t *shared, const AVFrame *f, int width, int height) {
    put_plane(&shared, f->data[0], f->linesize[0], width, height);
    for (int i = 1; i < 3; i++)
        put_plane(&shared, f->data[i], f->linesize[i], (width + 1) / 2, (height + 1) / 2);
}

static void answer(const decoder *d, porch_camera_source *s, uint8_t *shared) {
    porch_camera_frame f;
    char why[256] = "";
    porch_camera_next n = s->next(s, &f, why);
    porch_decoder_told t = {.kind = PORCH_DECODER_FRAME};
    if (n == PORCH_CAMERA_FRAME) {
        put_frame(shared, f.frame, s->width, s->height);
        t.at_ms = f.at_ms;
        tell(d, &t);
    } else if (n == PORCH_CAMERA_END) {
        tell_why(d, PORCH_DECODER_FILM_END, "");
    } else {
        tell_why(d, PORCH_DECODER_BROKEN, why);
    }
}

static void serve(decoder *d, porch_camera_source *s, uint8_t *shared) {
    porch_decoder_told t = {.kind = PORCH_DECODER_SOURCE,
                            .width = s->width,
                            .height = s->height,
                            .rate_num = s->rate.num,
                            .rate_den = s->rate.den};
    char byte;
    if ((int64_t)s->width * s->height > PORCH_DECODER_PIXELS_MOST) {
        tell_why(d, PORCH_DECODER_REFUSED, "the picture is too large");
        return;
    }
    tell(d, &t);
    while (recv(d->channel, &byte, 1, 0) == 1)
        answer(d, s, shared);
}

/* For a source whose name is looked up and whose connection is made before the decoder is locked: files of
 * the resolver, sockets. */
static bool fence(char why[256]) {
    static porch_camera_places places;
    static const porch_camera_wants wants = {.resolver = "/etc/resolv.conf"};
    bool landlock = false;
    return porch_camera_places_make(&wants, &places, why) && porch_camera_sandbox(&places, &landlock, why);
}

static void decode(int channel, int memory, const porch_camera_decoder_options *o) {
    decoder d = {.channel = channel};
    uint8_t *shared = mmap(NULL, PORCH_DECODER_SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    (void)close(memory);
    if (shared == MAP_FAILED || !porch_camera_source_kind_of(o->what, &d.kind, d.why)) return;
    if (d.kind == PORCH_CAMERA_RTSP && !fence(d.why)) {
        tell_why(&d, PORCH_DECODER_REFUSED, d.why);
        return;
    }
    const porch_camera_source_options options = {.what = o->what,
                                                 .loop = o->loop,
                                                 .stall_ms = o->stall_ms,
                                                 .cancelled = left_alone,
                                                 .cancelled_ctx = &d,
                                                 .ready = lock,
                                                 .ready_ctx = &d};
    char why[256] = "";
    porch_camera_source *s = o->open(&options, why);
    if (!s)
        tell_why(&d, PORCH_DECODER_REFUSED, d.why[0] != '\0' ? d.why : why);
    else if (!d.locked) /* never: a source that reads before it is locked is a mistake of ours */
        tell_why(&d, PORCH_DECODER_REFUSED, "the source did not let the decoder lock itself");
    else
        serve(&d, s, shared);
}

/* ---- the spawner ---- */

#if defined(PORCH_SANITIZE)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* The one descriptor that is kept besides is given; standard ones lead nowhere, so that nobody's words get
 * into the camera's output. */
static void close_rest(int keep) {
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3 && nowhere >= 0; fd++)
        (void)dup2(nowhere, fd);
    for (int fd = 3; fd < 1024; fd++)
        if (fd != keep) (void)close(fd);
}

static void limit(int what, rlim_t most) {
    const struct rlimit r = {most, most};
    (void)setrlimit((__rlimit_resource_t)what, &r);
}

static void be_quiet(void) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)signal(SIGINT, SIG_IGN); /* a terminal's Ctrl-C reaches all; the camera decides */
    (void)signal(SIGTERM, SIG_IGN);
    limit(RLIMIT_CORE, 0);
}

/* The order, and the two descriptors of OPEN. False: the camera has gone. */
static bool take_order(int control, porch_decoder_letter *ret, int fds[2]) {
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } control_data;
    struct iovec iov = {ret, sizeof *ret};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control_data,
                       .msg_controllen = sizeof control_data};
    fds[0] = fds[1] = -1;
    ssize_t n;
    do
        n = recvmsg(control, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof *ret) return false;
    const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c != NULL && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(2 * sizeof(int)))
        memcpy(fds, CMSG_DATA(c), 2 * sizeof(int));
    return true;
}

static int end_child(pid_t *child) {
    int status = 0;
    if (*child == 0) return 0;
    if (waitpid(*child, &status, WNOHANG) == 0) { /* it lives */
        (void)kill(*child, SIGKILL);
        (void)waitpid(*child, &status, 0);
    }
    *child = 0;
    return status;
}

static pid_t fork_decoder(int control, int fds[2], const porch_camera_decoder_options *o) {
    pid_t spawner = getpid(), child = fork();
    if (child != 0) return child;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != spawner) _exit(0);
    (void)close(control);
    /* What a film may make it allocate: an allocation beyond that fails, and is told. */
    if (!SANITIZED && o->memory_mib > 0) limit(RLIMIT_DATA, (rlim_t)o->memory_mib << 20);
    decode(fds[0], fds[1], o);
    _exit(0);
}

void porch_decoder_spawn(int control, const porch_camera_decoder_options *o) {
    pid_t child = 0;
    porch_decoder_letter letter;
    int fds[2];
    be_quiet();
    close_rest(control);
    while (take_order(control, &letter, fds)) {
        porch_decoder_status status = {.number = letter.number, .status = end_child(&child)};
        if (letter.order == PORCH_DECODER_OPEN && fds[0] >= 0) {
            child = fork_decoder(control, fds, o);
            if (child < 0) child = 0;
            status.pid = child;
        }
        for (int i = 0; i < 2; i++)
            if (fds[i] >= 0) (void)close(fds[i]);
        if (send(control, &status, sizeof status, MSG_NOSIGNAL) != (ssize_t)sizeof status) break;
    }
    (void)end_child(&child);
    _exit(0);
}
