/* The device listener's clip routes: begin, ask where it stands, append, finish. */
#ifndef PORCH_CLOUD_API_DEVICE_CLIPS_H
#define PORCH_CLOUD_API_DEVICE_CLIPS_H

#include "cloud/listener/http.h"
#include "cloud/media/media.h"

/* Fills at most `cap` rows whose ctx is `m`, and returns how many there are. `m` may be NULL where the
 * table is only looked at. */
size_t porch_device_clips_routes(porch_media *m, porch_http_route *out, size_t cap);

#endif
