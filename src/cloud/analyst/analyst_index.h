/* A copy of the clip with its index in front: browsers seek in it at once, which they cannot in fragments.
 *
 * Packets are kept as they pass by, unchanged, and written into one plain MP4 whose space for the index is
 * left free at the beginning. All in memory, within the clip's limit. */
#ifndef PORCH_CLOUD_ANALYST_ANALYST_INDEX_H
#define PORCH_CLOUD_ANALYST_ANALYST_INDEX_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "base/bytes.h"
#include "base/error.h"

typedef struct porch_analyst_index porch_analyst_index;

/* `bytes_most` bounds the packets kept and the copy; `frames_most` the index. */
porch_err porch_analyst_index_new(uint64_t bytes_most, uint32_t frames_most, porch_analyst_index **ret);
/* A tap (analyst_video.h): ctx is the index. What goes wrong shows in finish. */
void porch_analyst_index_packet(const AVPacket *packet, const AVStream *stream, void *ctx);
/* Writes the copy; *ret looks into the index object. MEDIA or LIMIT: there is no copy, the clip's original
 * must do. */
porch_err porch_analyst_index_finish(porch_analyst_index *x, porch_bytes *ret);
void porch_analyst_index_free(porch_analyst_index *x);

#endif
