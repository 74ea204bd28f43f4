/* The decoder in a process of its own: what strangers may have shaped is taken apart where there is no key,
 * no file and no network.
 *
 *   camera (key, network) ── open, end ──► spawner ── fork ──► decoder: source, FFmpeg
 *        └──────────── one frame, please ───────────────────────►│
 *        ◄──────────── what it is; the picture in shared memory ──┘
 *
 * The spawner is forked before the key is read and before any thread is there; it reads nothing from
 * outside and forks one decoder at a time, which opens the source (a film's or a device's descriptor, an
 * RTSP connection), locks itself (sandbox.h) and only then reads the first byte. Nothing that it says is
 * trusted: sizes, times and sentences are checked, pictures copied. One that dies or hangs is told, and
 * ended; the caller opens another. */
#ifndef PORCH_CAMERA_DECODER_H
#define PORCH_CAMERA_DECODER_H

#include <sys/types.h>

#include "source.h"

typedef struct porch_camera_decoder porch_camera_decoder;
typedef porch_camera_source *(*porch_camera_open_fn)(const porch_camera_source_options *options,
                                                     char why[256]);

typedef struct {
    const char *what; /* the source; stays */
    bool loop;
    uint32_t stall_ms; /* see source.h */
    uint32_t hang_ms;  /* a decoder that answers nothing for so long is ended; a film may pause so long */
    uint32_t
        memory_mib; /* most memory of a decoder; 0: no limit. Without sanitizers, whose own is much more */
    porch_camera_open_fn open; /* porch_camera_source_open; runs in the decoder */
} porch_camera_decoder_options;

/* Forks the spawner: call it first of all. NULL with a sentence. */
porch_camera_decoder *porch_camera_decoder_start(const porch_camera_decoder_options *options,
                                                 char why[256]);
/* Ends decoder and spawner. NULL is fine. */
void porch_camera_decoder_end(porch_camera_decoder *d);

/* Opens the source in a new decoder. One at a time. `next` gives PORCH_CAMERA_DIED when the decoder is
 * gone. NULL with a sentence; *died (may be NULL) tells whether it died rather than refused. */
porch_camera_source *porch_camera_decoder_open(porch_camera_decoder *d, bool (*cancelled)(void *ctx),
                                               void *ctx, bool *died, char why[256]);
/* The decoder that lives, 0: none. For status and tests. */
pid_t porch_camera_decoder_pid(const porch_camera_decoder *d);

#endif
