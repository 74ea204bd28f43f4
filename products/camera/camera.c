/* porchlight-camera: a camera that sees motion, tells it at once and sends the clip while it is being
 * recorded.
 *
 *   source ─► motion? ─► event with thumbnail ─────────────► hub
 *      └────► recorder: pre-roll, clip in fragments ───────► hub
 *
 * Written against include/porchlight and FFmpeg only: an example to build a product from. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <libavutil/log.h>

#include <porchlight/porchlight.h>

#include "motion.h"
#include "recorder.h"
#include "report.h"
#include "source.h"
#include "thumbnail.h"

enum {
    PRE_ROLL_MS = 2000,
    CLIP_MS = 10000,
    SETTLE_MS = 3000,
    FRAGMENT_MS = 200, /* what the hub waits for before it can look; some 150 bytes of MP4 head each */
    FLUSH_AT_END_MS = 120000,
    FLUSH_WHEN_STOPPED_MS = 5000
};
enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2 };

static const char help[] =
    "usage: porchlight-camera FOLDER --source FILM [--loop] [--json]\n"
    "\n"
    "Plays FILM at its own pace as if it were being filmed now. Motion is published as an event with a "
    "picture; the clip\n"
    "follows while it is recorded: 2 s before the motion, cut at 10 s, and a new event as long as it goes "
    "on.\n"
    "\n"
    "  FOLDER         what `porchlight device add` made: cert.pem, ca.pem, key.pem, device.conf\n"
    "  --source FILM  a video file that FFmpeg can read\n"
    "  --loop         begin again at the film's end\n"
    "  --json         the hops on standard output as one JSON object a line\n"
    "\n"
    "exit: 0 the film is over (or SIGTERM came) and everything is acknowledged; 1 it is not, or something "
    "failed;\n"
    "2 usage. What is not acknowledged waits in FOLDER/state for the next run.\n";

typedef struct {
    const char *folder;
    const char *source;
    bool loop;
    bool json;
} arguments;

typedef struct {
    porch_device *device;
    porch_camera_source *source;
    porch_camera_motion *motion;
    porch_camera_recorder *recorder;
} camera;

static volatile sig_atomic_t stop;

static void on_signal(int number) {
    stop = 1;
    (void)signal(number, SIG_DFL); /* a second one ends at once */
}

static int usage(const char *complaint, const char *what) {
    (void)fprintf(stderr, "porchlight-camera: %s%s; see porchlight-camera --help\n", complaint, what);
    return EXIT_USAGE;
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
            if (++i >= argc) return usage("--source needs a film", "");
            a->source = argv[i];
        } else if (word[0] == '-') {
            return usage("there is no option ", word);
        } else if (a->folder) {
            return usage("one FOLDER is enough, not also ", word);
        } else {
            a->folder = word;
        }
    }
    if (!a->folder) return usage("the FOLDER is missing", "");
    if (!a->source) return usage("--source is missing", "");
    return EXIT_DONE;
}

/* --- one motion: an event at once, then its clip --- */

static bool begin_event(camera *c, const porch_camera_frame *f, const porch_camera_sight *s,
                        uint64_t since_ms) {
    porch_motion m = {.id = porch_event_id_new(), .at_ms = since_ms, .score = s->score, .has_clip = true};
    memcpy(m.box, s->box, sizeof m.box);
    AVPacket *jpeg = NULL;
    if (porch_camera_thumbnail(f->frame, PORCH_MOTION_THUMBNAIL_MOST, &jpeg)) {
        m.thumbnail = jpeg->data;
        m.thumbnail_bytes = (size_t)jpeg->size;
    }
    porch_camera_report_motion(&m);
    porch_device_why why;
    porch_device_result r = porch_camera_report_publish(c->device, &m, &why);
    av_packet_free(&jpeg);
    if (r != PORCH_DEVICE_OK) {
        porch_camera_report_note("error", why.text);
        return false;
    }
    char text[256];
    bool pre_roll = s->began;
    if (porch_camera_recorder_begin(c->recorder, c->device, &m.id, pre_roll, text)) return true;
    porch_camera_report_note("error", text);
    return false;
}

static void finish_clip(camera *c) {
    char why[256];
    if (!porch_camera_recorder_finish(c->recorder, why)) porch_camera_report_note("error", why);
}

/* One frame through all of it. A clip that cannot be written is told and given up; the camera goes on. */
static bool take_frame(camera *c, const porch_camera_frame *f) {
    porch_camera_sight s =
        porch_camera_motion_look(c->motion, f->frame->data[0], (size_t)f->frame->linesize[0], f->at_ms);
    bool open = porch_camera_recorder_is_open(c->recorder);
    bool cut = open && f->at_ms - porch_camera_recorder_began_ms(c->recorder) >= CLIP_MS;
    if (open && (cut || !s.moving)) finish_clip(c);
    char why[256];
    if (!porch_camera_recorder_add(c->recorder, f->frame, f->at_ms, cut, why)) {
        porch_camera_report_note("error", why);
        finish_clip(c);
        return false;
    }
    if (s.began) (void)begin_event(c, f, &s, s.began_at_ms);
    if (cut && s.moving && !s.began) (void)begin_event(c, f, &s, f->at_ms);
    return true;
}

static int play(camera *c) {
    porch_camera_frame f;
    char why[256];
    int failures = 0;
    for (;;) {
        porch_camera_next n = c->source->next(c->source, &f, why);
        if (n == PORCH_CAMERA_END) break;
        if (n == PORCH_CAMERA_BROKEN) {
            porch_camera_report_note("error", why);
            finish_clip(c);
            return EXIT_REFUSED;
        }
        failures = take_frame(c, &f) ? 0 : failures + 1;
        if (failures > 10) return EXIT_REFUSED;
    }
    finish_clip(c);
    return EXIT_DONE;
}

static int open_camera(camera *c, const arguments *a) {
    char text[256];
    const porch_camera_source_options source = {a->source, a->loop, &stop};
    c->source = porch_camera_source_open(&source, text);
    if (!c->source) {
        porch_camera_report_note("error", text);
        return EXIT_REFUSED;
    }
    c->motion = porch_camera_motion_new(c->source->width, c->source->height, SETTLE_MS);
    if (!c->motion) {
        porch_camera_report_note("error", "the film is too small to look for motion in");
        return EXIT_REFUSED;
    }
    const porch_camera_recorder_options recorder = {c->source->width, c->source->height, c->source->rate,
                                                    PRE_ROLL_MS, FRAGMENT_MS};
    c->recorder = porch_camera_recorder_new(&recorder, text);
    if (!c->recorder) {
        porch_camera_report_note("error", text);
        return EXIT_REFUSED;
    }
    const porch_device_options device = {.folder = a->folder, .on_status = porch_camera_report_status};
    porch_device_why why;
    c->device = porch_device_open(&device, &why);
    if (!c->device) {
        porch_camera_report_note("error", why.text);
        return EXIT_REFUSED;
    }
    if (porch_device_is_service(c->device)) {
        porch_camera_report_note(
            "error", "this folder is a service's; a camera needs one of `porchlight device add`");
        return EXIT_REFUSED;
    }
    return EXIT_DONE;
}

int main(int argc, char **argv) {
    arguments a = {0};
    int code = parse(argc, argv, &a);
    if (code < 0) {
        (void)fputs(help, stdout);
        return EXIT_DONE;
    }
    if (code != EXIT_DONE) return code;
    porch_camera_report_init(a.json);
    av_log_set_level(AV_LOG_ERROR);
    const struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);

    camera c = {0};
    code = open_camera(&c, &a);
    if (code == EXIT_DONE) {
        code = play(&c);
        porch_device_why why;
        porch_device_result r =
            porch_device_flush(c.device, stop ? FLUSH_WHEN_STOPPED_MS : FLUSH_AT_END_MS, &why);
        if (r != PORCH_DEVICE_OK) {
            porch_camera_report_note("warning", why.text);
            code = EXIT_REFUSED;
        }
    }
    if (c.recorder) porch_camera_recorder_free(c.recorder);
    bool opened = c.device != NULL;
    porch_device_close(c.device);
    if (opened) porch_camera_report_finished(code == EXIT_DONE);
    porch_camera_motion_free(c.motion);
    if (c.source) c.source->close(c.source);
    return code;
}
