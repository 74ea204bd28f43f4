/* What the camera says while it works: one line a hop, with the hop's Unix time in milliseconds.
 *
 *   motion ─► event-published ─► event-acknowledged
 *         └─► clip-first-byte ─► clip-complete            ... ─► finished
 *
 * On standard output, as text or (--json) one object a line; warnings and the link's ups and downs on
 * standard error. Thread-safe. */
#ifndef PORCH_CAMERA_REPORT_H
#define PORCH_CAMERA_REPORT_H

#include <stdbool.h>

#include <porchlight/porchlight.h>
#include <porchlight/update.h>

void porch_camera_report_init(bool json);

void porch_camera_report_motion(const porch_motion *motion);
/* Publishes and reports as one step, so that the acknowledgement cannot be reported first. */
porch_device_result porch_camera_report_publish(porch_device *device, const porch_motion *motion,
                                                porch_device_why *why);
void porch_camera_report_finished(bool all_acknowledged);
/* The SDK's status callback; `ctx` is not used. */
void porch_camera_report_status(void *ctx, const porch_device_status *status);
/* What the camera does now: "running", "stopped" (privacy), "waiting" (for its source). */
void porch_camera_report_capture(const char *state, uint64_t wish);
/* Where an update stands; `running` is this program's version. */
void porch_camera_report_update(const porch_update_news *news, const char *running);
/* A sentence on standard error. */
void porch_camera_report_note(const char *level, const char *text);

#endif
