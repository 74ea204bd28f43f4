/* Encodes without pause, keeps the last seconds, and writes clips that can be watched while they grow.
 *
 *   frame ─► H.264 ─┬► pre-roll: packets of the last 2 s, beginning with a key frame
 *                   └► clip: fragmented MP4; each fragment goes to the SDK as soon as it is whole
 */
#ifndef PORCH_CAMERA_RECORDER_H
#define PORCH_CAMERA_RECORDER_H

#include <stdbool.h>
#include <stdint.h>

#include <libavutil/frame.h>

#include <porchlight/porchlight.h>

typedef struct porch_camera_recorder porch_camera_recorder;

typedef struct {
    int width, height;
    AVRational rate;
    uint64_t pre_roll_ms;
    uint64_t fragment_ms;
} porch_camera_recorder_options;

porch_camera_recorder *porch_camera_recorder_new(const porch_camera_recorder_options *options,
                                                 char why[256]);
/* A clip that is open is finished first. */
void porch_camera_recorder_free(porch_camera_recorder *r);

/* Encodes one frame; into the clip, too, when one is open. `at_ms` is when, by a clock that nobody sets.
 * `key`: make it one that a clip can begin with. */
bool porch_camera_recorder_add(porch_camera_recorder *r, AVFrame *frame, uint64_t at_ms, bool key,
                               char why[256]);

/* Opens the clip of an event, empty: takes but a moment, and then the event may say that one follows.
 * Finished as it is, it leaves nothing. */
bool porch_camera_recorder_open(porch_camera_recorder *r, porch_device *device, const porch_event_id *event,
                                char why[256]);
/* Begins it. With pre-roll with what is kept, the last frame added included; without, that frame must have
 * been a key frame and the clip begins with it. All of it is sent at once. A clip that cannot be begun is
 * finished. */
bool porch_camera_recorder_begin(porch_camera_recorder *r, bool pre_roll, char why[256]);
bool porch_camera_recorder_is_open(const porch_camera_recorder *r);
/* Capture time of the open clip's first frame. */
uint64_t porch_camera_recorder_began_ms(const porch_camera_recorder *r);
bool porch_camera_recorder_finish(porch_camera_recorder *r, char why[256]);

#endif
