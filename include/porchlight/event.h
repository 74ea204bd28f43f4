/* What a device saw: the motion event (topic d/ID/event/motion), published at least once. */
#ifndef PORCHLIGHT_EVENT_H
#define PORCHLIGHT_EVENT_H

#include <porchlight/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 32 lower-case hex digits from the operating system's random source, and a zero. */
typedef struct {
    char text[65];
} porch_event_id;

PORCH_DEVICE_API porch_event_id porch_event_id_new(void);

#define PORCH_MOTION_THUMBNAIL_MOST (32u * 1024u) /* bytes of JPEG */

typedef struct {
    porch_event_id id;        /* unique within the device; the clip carries the same */
    uint64_t at_ms;           /* Unix ms at which the first frame with motion was captured */
    double score;             /* 0..1: how much moved */
    double box[4];            /* x, y, width, height; 0..1 of the frame */
    bool has_clip;            /* a clip of this event follows */
    const uint8_t *thumbnail; /* JPEG, or NULL */
    size_t thumbnail_bytes;   /* at most PORCH_MOTION_THUMBNAIL_MOST */
} porch_motion;

/* As porch_device_publish. Only for devices: a service has no events of its own. */
PORCH_DEVICE_API porch_device_result porch_motion_publish(porch_device *device, const porch_motion *event,
                                                          uint64_t *ret_ticket, porch_device_why *why);

#ifdef __cplusplus
}
#endif

#endif
