/* porchlight-camera: a camera that sees motion, tells it at once and sends the clip while it is being
 * recorded.
 *
 *   decoder (a process of its own) ─► motion? ─► event with thumbnail ─────────────► hub
 *      └──────────────────────────► recorder: pre-roll, clip in fragments ───────► hub
 *
 *   hub ─► wish (privacy, zones to ignore) ─► kept by the SDK ─► this loop ─► report ─► hub
 *
 * Privacy closes the source itself: nothing is read, decoded or kept. It holds from the start, before any
 * connection.
 *
 * Written against include/porchlight and FFmpeg only: an example to build a product from. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libavutil/log.h>

#include <porchlight/porchlight.h>
#include <porchlight/update.h>

#include "decoder.h"
#include "motion.h"
#include "places.h"
#include "recorder.h"
#include "report.h"
#include "sandbox.h"
#include "source.h"
#include "thumbnail.h"
#include "wish.h"

enum {
    PRE_ROLL_MS = 2000,
    CLIP_MS = 10000,
    SETTLE_MS = 3000,
    FRAGMENT_MS = 200,     /* what the hub waits for before it can look; some 150 bytes of MP4 head each */
    STALL_MS = 10000,      /* a live source without a picture for so long is opened anew */
    AGAIN_FIRST_MS = 1000, /* the pause before that; doubles */
    AGAIN_MOST_MS = 30000,
    DECODER_MEMORY_MIB = 512, /* sixteen pictures of the largest size that is taken, and what reads them */
    HANG_MS = 60000, /* a decoder without a word for so long is ended; pauses in a film may be as long */
    DEATHS_MOST = 3, /* a film at which the decoder dies more often in a row is given up */
    HELD_MS = 30000, /* a source that gave pictures for so long begins with the short pause again */
    SOURCE_BYTES = 2048,
    FLUSH_AT_END_MS = 120000,
    FLUSH_WHEN_STOPPED_MS = 5000,
    TRIAL_SECONDS =
        180, /* a new version that has not shown a picture and reached the hub by then is over */
    ROLL_BACK_MS = 10000
};
#ifndef PORCH_CAMERA_VERSION
#define PORCH_CAMERA_VERSION "1.0"
#endif
enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2 };

static const char help[] =
    "usage: porchlight-camera FOLDER --source FILM|/dev/videoN|rtsp://HOST/PATH [--loop] [--json]\n"
    "       porchlight-camera FOLDER --source-from FILE [--json] [--slots DIR --hardware REVISION]\n"
    "\n"
    "Motion is published as an event with a picture; the clip follows while it is recorded: 2 s before the "
    "motion, cut at\n"
    "10 s, and a new event as long as it goes on.\n"
    "\n"
    "  FOLDER              what `porchlight device add` made: cert.pem, ca.pem, key.pem, device.conf\n"
    "  --source FILM       a video file, played at its own pace as if it were being filmed now\n"
    "  --source /dev/videoN   a camera of this machine\n"
    "  --source rtsp://... another camera; opened anew, with growing pauses, when it ends or stalls\n"
    "  --source-from FILE  reads the source from FILE's first line: a URL with a password does not belong "
    "on a\n"
    "                      command line, where every user of the machine can read it\n"
    "  --slots DIR         takes signed updates into DIR, from which porchlight-launch started this "
    "program; "
    "ends when another\n"
    "                      version is to be started\n"
    "  --hardware REVISION which releases are for this camera (rev-a)\n"
    "  --allow-file PATH   a file, or a folder with what is in it, that the camera may read and write as "
    "well, for a key\n"
    "                      whose token keeps files of its own (/var/lib/softhsm/tokens); up to eight "
    "times\n"
    "  --decoder-memory MIB   most memory of the process that takes the source's pictures apart (512)\n"
    "  --loop              a film begins again at its end\n"
    "  --json              the hops on standard output as one JSON object a line\n"
    "\n"
    "Privacy and zones to ignore are set in the hub's app and kept in FOLDER/state.\n"
    "\n"
    "exit: 0 the film is over (or SIGTERM came) and everything is acknowledged; 1 it is not, or something "
    "failed;\n"
    "2 usage. What is not acknowledged waits in FOLDER/state for the next run.\n";

typedef struct {
    const char *folder;
    const char *slots; /* NULL: no updates */
    const char *hardware;
    char source[SOURCE_BYTES];
    porch_camera_source_kind kind;
    uint32_t decoder_memory_mib;
    const char *allowed[PORCH_CAMERA_ALLOWED_MOST];
    bool loop;
    bool json;
} arguments;

typedef struct {
    const arguments *arguments;
    porch_device *device;
    porch_camera_wishes *wishes;
    porch_camera_decoder *decoder;
    porch_camera_wish wish; /* what holds now */
    bool token_fenced;      /* the key is in a token, whose files the fence may keep it from */
    /* what was reported last */
    const char *told_capture;
    uint64_t told_version;
    /* while the source is open; all NULL otherwise */
    porch_camera_source *source;
    porch_camera_motion *motion;
    porch_camera_recorder *recorder;
} camera;

static volatile sig_atomic_t stop;
static porch_camera_wishes *to_wake;

static void on_signal(int number) {
    int before = errno;
    stop = 1;
    if (to_wake) porch_camera_wishes_wake(to_wake);
    (void)signal(number, SIG_DFL); /* a second one ends at once */
    errno = before;
}

static int usage(const char *complaint, const char *what) {
    (void)fprintf(stderr, "porchlight-camera: %s%s; see porchlight-camera --help\n", complaint, what);
    return EXIT_USAGE;
}

static bool take_source(arguments *a, const char *what) {
    int n = snprintf(a->source, sizeof a->source, "%s", what);
    return n > 0 && n < (int)sizeof a->source;
}

static bool read_source(arguments *a, const char *path) {
    FILE *f = fopen(path, "re");
    bool got = f && fgets(a->source, (int)sizeof a->source, f) != NULL;
    if (f) (void)fclose(f);
    if (got) a->source[strcspn(a->source, "\r\n")] = '\0';
    return got && a->source[0] != '\0';
}

/* Overwrites user and password on the command line, which others can read. Between the start and here they
 * could. */
static void cover(char *word) {
    char *at = strstr(word, "://");
    if (!at) return;
    char *end = at + 3 + strcspn(at + 3, "/?#");
    for (char *c = end; c > at + 3; c--)
        if (c[-1] == '@') {
            memset(at + 3, '*', (size_t)(c - 1 - (at + 3)));
            return;
        }
}

static bool take_memory(arguments *a, const char *word) {
    char *end = NULL;
    errno = 0;
    unsigned long mib = strtoul(word, &end, 10);
    if (errno != 0 || end == word || *end != '\0' || mib < 64 || mib > 65536) return false;
    a->decoder_memory_mib = (uint32_t)mib;
    return true;
}

static bool take_allowed(arguments *a, const char *path) {
    for (size_t i = 0; i < PORCH_CAMERA_ALLOWED_MOST; i++)
        if (!a->allowed[i]) {
            a->allowed[i] = path;
            return true;
        }
    return false;
}

/* EXIT_DONE when there is something to run, else the code to end with, -1 for help. */
static int parse(int argc, char **argv, arguments *a) {
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) return -1;
        if (strcmp(word, "--loop") == 0) {
            a->loop = true;
        } else if (strcmp(word, "--json") == 0) {
            a->json = true;
        } else if (strcmp(word, "--source") == 0) {
            if (++i >= argc) return usage("--source needs a film, a device or a URL", "");
            if (!take_source(a, argv[i])) return usage("the source is too long", "");
            cover(argv[i]);
        } else if (strcmp(word, "--slots") == 0 || strcmp(word, "--hardware") == 0) {
            if (++i >= argc) return usage("a value is missing after ", word);
            *(strcmp(word, "--slots") == 0 ? &a->slots : &a->hardware) = argv[i];
        } else if (strcmp(word, "--decoder-memory") == 0) {
            if (++i >= argc || !take_memory(a, argv[i]))
                return usage("--decoder-memory needs MiB from 64 to 65536", "");
        } else if (strcmp(word, "--allow-file") == 0) {
            if (++i >= argc || !take_allowed(a, argv[i]))
                return usage("--allow-file needs a path, and is taken eight times at most", "");
        } else if (strcmp(word, "--source-from") == 0) {
            if (++i >= argc) return usage("--source-from needs a file", "");
            if (!read_source(a, argv[i])) return usage("no source can be read from ", argv[i]);
        } else if (word[0] == '-') {
            return usage("there is no option ", word);
        } else if (a->folder) {
            return usage("one FOLDER is enough, not also ", word);
        } else {
            a->folder = word;
        }
    }
    if (!a->folder) return usage("the FOLDER is missing", "");
    if (a->source[0] == '\0') return usage("--source is missing", "");
    char why[256];
    if (porch_camera_source_kind_of(a->source, &a->kind, why)) return EXIT_DONE;
    return usage(why, "");
}

/* --- one motion: an event at once, then its clip --- */

static porch_motion motion_of(const porch_camera_sight *s, uint64_t since_ms) {
    porch_motion m = {.id = porch_event_id_new(), .at_ms = since_ms, .score = s->score};
    memcpy(m.box, s->box, sizeof m.box);
    return m;
}

static bool publish_event(camera *c, const porch_camera_frame *f, porch_motion *m) {
    AVPacket *jpeg = NULL;
    if (porch_camera_thumbnail(f->frame, PORCH_MOTION_THUMBNAIL_MOST, &jpeg)) {
        m->thumbnail = jpeg->data;
        m->thumbnail_bytes = (size_t)jpeg->size;
    }
    porch_camera_report_motion(m);
    porch_device_why why;
    porch_device_result r = porch_camera_report_publish(c->device, m, &why);
    av_packet_free(&jpeg);
    if (r != PORCH_DEVICE_OK) porch_camera_report_note("error", why.text);
    return r == PORCH_DEVICE_OK;
}

/* The event is told before the clip's first bytes are written, and promises it only when there is one. */
static void begin_event(camera *c, const porch_camera_frame *f, const porch_camera_sight *s,
                        uint64_t since_ms) {
    porch_motion m = motion_of(s, since_ms);
    char why[256], ignored[256];
    m.has_clip = porch_camera_recorder_open(c->recorder, c->device, &m.id, why);
    if (!m.has_clip) porch_camera_report_note("error", why);
    bool told = publish_event(c, f, &m);
    if (!m.has_clip) return;
    if (!told)
        (void)porch_camera_recorder_finish(c->recorder, ignored); /* a clip of nothing */
    else if (!porch_camera_recorder_begin(c->recorder, s->began, why))
        porch_camera_report_note("error", why);
}

static void finish_clip(camera *c) {
    char why[256];
    if (!porch_camera_recorder_finish(c->recorder, why)) porch_camera_report_note("error", why);
}

/* One frame through all of it. A clip that cannot be written is told and given up; the camera goes on. */
static bool take_frame(camera *c, const porch_camera_frame *f) {
    porch_camera_sight s =
        porch_camera_motion_look(c->motion, f->frame->data[0], (size_t)f->frame->linesize[0], f->steady_ms);
    bool open = porch_camera_recorder_is_open(c->recorder);
    bool cut = open && f->steady_ms - porch_camera_recorder_began_ms(c->recorder) >= CLIP_MS;
    if (open && (cut || !s.moving)) finish_clip(c);
    char why[256];
    if (!porch_camera_recorder_add(c->recorder, f->frame, f->steady_ms, cut, why)) {
        porch_camera_report_note("error", why);
        finish_clip(c);
        return false;
    }
    if (s.began) begin_event(c, f, &s, f->at_ms - (f->steady_ms - s.began_at_ms));
    if (cut && s.moving && !s.began) begin_event(c, f, &s, f->at_ms);
    return true;
}

/* --- updates --- */

static void on_update(void *ctx, const porch_update_news *news) {
    (void)ctx;
    porch_camera_report_update(news, PORCH_CAMERA_VERSION);
    if (!news->restart) return;
    stop = 1; /* whoever starts this program again starts the other version */
    if (to_wake) porch_camera_wishes_wake(to_wake);
}

/* A version on trial that cannot film is no version to keep: the one before it is started next. */
static void give_up_trial(camera *c, const char *why) {
    if (!porch_update_on_trial(c->device)) return;
    porch_update_unhealthy(c->device, why);
    while (!stop && porch_update_on_trial(c->device))
        porch_camera_wishes_wait(c->wishes, ROLL_BACK_MS);
}

/* --- what the hub wishes --- */

/* Tells the hub how things stand, when that is news. */
static void tell(camera *c, const char *capture) {
    porch_device_why why;
    if (c->told_capture && strcmp(c->told_capture, capture) == 0 && c->told_version == c->wish.version)
        return;
    const porch_twin_member members[] = {
        {.name = "privacy", .kind = PORCH_TWIN_BOOL, .on = c->wish.privacy},
        {.name = "ignore",
         .kind = PORCH_TWIN_LIST,
         .list = &c->wish.zones[0][0],
         .count = c->wish.zone_count * 4},
        {.name = "capture", .kind = PORCH_TWIN_TEXT, .text = capture},
    };
    c->told_capture = capture;
    c->told_version = c->wish.version;
    porch_camera_report_capture(capture, c->wish.version);
    if (porch_twin_report(c->device, c->wish.version, members, sizeof members / sizeof members[0], &why) !=
        PORCH_DEVICE_OK)
        porch_camera_report_note("error", why.text);
}

/* For whoever waits inside the source: stopped, or privacy is wished for. */
static bool cancelled(void *ctx) {
    const camera *c = ctx;
    return stop || porch_camera_wishes_private(c->wishes);
}

/* --- the source, and all that hangs on it --- */

static void close_source(camera *c) {
    if (c->recorder) {
        finish_clip(c);
        porch_camera_recorder_free(c->recorder); /* and the pre-roll with it */
    }
    porch_camera_motion_free(c->motion);
    if (c->source) c->source->close(c->source);
    c->source = NULL;
    c->motion = NULL;
    c->recorder = NULL;
}

static bool open_source(camera *c, bool *died, char why[256]) {
    c->source = porch_camera_decoder_open(c->decoder, cancelled, c, died, why);
    if (!c->source) return false;
    c->motion = porch_camera_motion_new(c->source->width, c->source->height, SETTLE_MS);
    if (!c->motion) {
        (void)snprintf(why, 256, "the picture is too small to look for motion in");
        return false;
    }
    porch_camera_motion_ignore(c->motion, c->wish.zones, c->wish.zone_count);
    const porch_camera_recorder_options recorder = {c->source->width, c->source->height, c->source->rate,
                                                    PRE_ROLL_MS, FRAGMENT_MS};
    c->recorder = porch_camera_recorder_new(&recorder, why);
    return c->recorder != NULL;
}

/* Frame after frame until the source ends or breaks, or something else is wished for. */
static porch_camera_next play(camera *c, char why[256]) {
    porch_camera_frame f;
    int failures = 0;
    for (;;) {
        if (porch_camera_wishes_take(c->wishes, &c->wish)) {
            if (c->wish.privacy) return PORCH_CAMERA_CANCELLED;
            porch_camera_motion_ignore(c->motion, c->wish.zones, c->wish.zone_count);
        }
        porch_camera_next n = c->source->next(c->source, &f, why);
        if (n != PORCH_CAMERA_FRAME) return n;
        tell(c, "running"); /* it is, from the first picture on */
        failures = take_frame(c, &f) ? 0 : failures + 1;
        if (failures == 0)
            porch_update_healthy(c->device); /* it films: all that this product can know of itself */
        if (failures <= 10) continue;
        (void)snprintf(why, 256, "the encoder takes no picture any more");
        return PORCH_CAMERA_BROKEN;
    }
}

/* The pause before a live source is opened anew: doubles, with up to a quarter of it by chance. */
static uint64_t pause_after(unsigned breaks) {
    uint64_t ms = AGAIN_FIRST_MS;
    for (unsigned i = 1; i < breaks && ms < AGAIN_MOST_MS; i++)
        ms *= 2;
    if (ms > AGAIN_MOST_MS) ms = AGAIN_MOST_MS;
    return ms + (uint64_t)random() % (ms / 4);
}

static int film(camera *c) {
    bool live = c->arguments->kind != PORCH_CAMERA_FILM;
    unsigned breaks = 0;
    while (!stop) {
        char why[256] = "", text[320];
        (void)porch_camera_wishes_take(c->wishes, &c->wish);
        if (c->wish.privacy) {
            tell(c, "stopped");
            porch_update_healthy(c->device); /* nothing is filmed because it is wished so */
            porch_camera_wishes_wait(c->wishes, UINT64_MAX);
            continue;
        }
        uint64_t began_ms = porch_camera_mono_ms();
        bool died = false;
        porch_camera_next n = open_source(c, &died, why) ? play(c, why) : PORCH_CAMERA_BROKEN;
        died = died || n == PORCH_CAMERA_DIED;
        close_source(c);
        if (n == PORCH_CAMERA_CANCELLED || cancelled(c)) continue;
        if (n == PORCH_CAMERA_BROKEN || n == PORCH_CAMERA_DIED) give_up_trial(c, why);
        if (stop) break;
        if (!live && (!died || breaks >= DEATHS_MOST)) {
            if (n != PORCH_CAMERA_END) porch_camera_report_note("error", why);
            return n == PORCH_CAMERA_END ? EXIT_DONE : EXIT_REFUSED;
        }
        breaks = porch_camera_mono_ms() - began_ms > HELD_MS ? 1 : breaks + 1;
        uint64_t pause_ms = pause_after(breaks);
        (void)snprintf(text, sizeof text, "%s; opened anew in %.1f s", why, (double)pause_ms / 1000);
        porch_camera_report_note("warning", text);
        tell(c, "waiting");
        porch_camera_wishes_wait(c->wishes, pause_ms);
    }
    return EXIT_DONE;
}

/* --- beginning and end --- */

static int open_camera(camera *c) {
    const porch_device_options device = {.folder = c->arguments->folder,
                                         .on_status = porch_camera_report_status};
    porch_device_why why;
    c->device = porch_device_open(&device, &why);
    if (!c->device) {
        porch_camera_report_note("error", why.text);
        if (c->token_fenced)
            porch_camera_report_note("warning", "files of a token outside FOLDER and the system's own are "
                                                "closed to the camera: name them with --allow-file PATH");
        return EXIT_REFUSED;
    }
    if (porch_device_is_service(c->device)) {
        porch_camera_report_note(
            "error", "this folder is a service's; a camera needs one of `porchlight device add`");
        return EXIT_REFUSED;
    }
    const porch_update_options update = {.slots = c->arguments->slots,
                                         .version = PORCH_CAMERA_VERSION,
                                         .hardware =
                                             c->arguments->hardware ? c->arguments->hardware : "rev-a",
                                         .trial_seconds = TRIAL_SECONDS,
                                         .on_update = on_update};
    if (porch_twin_open(c->device, porch_camera_wishes_hear, c->wishes, &why) == PORCH_DEVICE_OK &&
        (!c->arguments->slots || porch_update_open(c->device, &update, &why) == PORCH_DEVICE_OK))
        return EXIT_DONE;
    porch_camera_report_note("error", why.text);
    return EXIT_REFUSED;
}

/* A folder whose device.conf cannot be read names no key; opening the device says why. */
static bool find_places(const arguments *a, bool *in_token, porch_camera_places *ret, char why[256]) {
    static porch_device_key_places key;
    porch_device_why unread;
    porch_camera_wants wants = {.folder = a->folder, .slots = a->slots, .resolver = "/etc/resolv.conf"};
    memcpy(wants.allowed, a->allowed, sizeof wants.allowed);
    if (porch_device_key_find(a->folder, &key, &unread) == PORCH_DEVICE_OK) wants.key = &key;
    *in_token = wants.key && key.in_token;
    return porch_camera_places_make(&wants, ret, why);
}

static bool give_up_rights(camera *c) {
    static porch_camera_places places;
    char why[256];
    bool landlock = false, in_token = false;
    if (!find_places(c->arguments, &in_token, &places, why) ||
        !porch_camera_sandbox(&places, &landlock, why)) {
        porch_camera_report_note("error", why);
        return false;
    }
    c->token_fenced = landlock && in_token;
    if (!landlock)
        porch_camera_report_note("warning", "this kernel has no Landlock: files of this user are guarded "
                                            "by the filter of system calls alone");
    return true;
}

static int run(camera *c) {
    int code = open_camera(c);
    if (code == EXIT_DONE) {
        code = film(c);
        porch_device_why why;
        porch_device_result r =
            porch_device_flush(c->device, stop ? FLUSH_WHEN_STOPPED_MS : FLUSH_AT_END_MS, &why);
        if (r != PORCH_DEVICE_OK) {
            porch_camera_report_note("warning", why.text);
            code = EXIT_REFUSED;
        }
    }
    bool opened = c->device != NULL;
    porch_device_close(c->device);
    if (opened) porch_camera_report_finished(code == EXIT_DONE);
    return code;
}

/* Before the key is read and before any thread: the decoder's process knows neither. */
static porch_camera_decoder *start_decoder(const arguments *a) {
    char why[256] = "";
    const porch_camera_decoder_options options = {.what = a->source,
                                                  .loop = a->loop,
                                                  .stall_ms = STALL_MS,
                                                  .hang_ms = HANG_MS,
                                                  .memory_mib = a->decoder_memory_mib,
                                                  .open = porch_camera_source_open};
    porch_camera_decoder *d = porch_camera_decoder_start(&options, why);
    if (!d) porch_camera_report_note("error", why);
    return d;
}

int main(int argc, char **argv) {
    arguments a = {.decoder_memory_mib = DECODER_MEMORY_MIB};
    int code = parse(argc, argv, &a);
    if (code < 0) {
        (void)fputs(help, stdout);
        return EXIT_DONE;
    }
    if (code != EXIT_DONE) return code;
    porch_camera_report_init(a.json);
    av_log_set_level(
        AV_LOG_QUIET); /* its lines may hold a URL with its password; our own say what is needed */
    camera c = {.arguments = &a, .decoder = start_decoder(&a)};
    if (c.decoder) c.wishes = porch_camera_wishes_new();
    if (!c.wishes) {
        porch_camera_decoder_end(c.decoder);
        return EXIT_REFUSED;
    }
    to_wake = c.wishes;
    srandom((unsigned)(porch_device_now_ms() ^ (uint64_t)getpid()));
    const struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    code = give_up_rights(&c) ? run(&c) : EXIT_REFUSED;
    to_wake = NULL;
    porch_camera_wishes_free(c.wishes);
    porch_camera_decoder_end(c.decoder);
    return code;
}
