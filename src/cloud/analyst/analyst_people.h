/* People in a region of a grey picture: OpenCV's HOG detector behind a C face. */
#ifndef PORCH_CLOUD_ANALYST_ANALYST_PEOPLE_H
#define PORCH_CLOUD_ANALYST_ANALYST_PEOPLE_H

#include "cloud/analyst/analyst_motion.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    porch_analyst_region box;
    double score; /* the support vector machine's distance, above the threshold given */
} porch_analyst_found;

/* Loads the detector and limits OpenCV to the calling thread. Once a process, before the first look: what
 * is made here is shared by all forked children. */
porch_err porch_analyst_people_prepare(void);

/* Looks at `regions` (tight boxes of motion; grown and scaled here so that a person of the region's height
 * fits the detector's 64x128 window). Fills up to `cap` in falling order of score; *count how many.
 * INTERNAL when the library throws. */
porch_err porch_analyst_people_find(const porch_analyst_grey *picture, const porch_analyst_region *regions,
                                    size_t regions_count, double least_score, porch_analyst_found *ret,
                                    size_t cap, size_t *count);

#ifdef __cplusplus
}
#endif

#endif
