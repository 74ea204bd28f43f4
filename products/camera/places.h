/* The files that stay open to the camera once its fence stands: a list, made before it is entered. */
#ifndef PORCH_CAMERA_PLACES_H
#define PORCH_CAMERA_PLACES_H

#include <stdbool.h>
#include <stddef.h>

#include <porchlight/key.h>

enum { PORCH_CAMERA_ALLOWED_MOST = 8, PORCH_CAMERA_PLACES_MOST = 32, PORCH_CAMERA_PLACE_BYTES = 4096 };

typedef struct {
    char path[PORCH_CAMERA_PLACE_BYTES]; /* a file, or a folder with all that is in it */
    bool write;                          /* and, in a folder, make and remove */
} porch_camera_place;

typedef struct {
    size_t count;
    porch_camera_place at[PORCH_CAMERA_PLACES_MOST];
} porch_camera_places;

typedef struct {
    const char *folder;                             /* FOLDER; may be NULL */
    const char *slots;                              /* may be NULL */
    const porch_device_key_places *key;             /* where the device's key lies; may be NULL */
    const char *allowed[PORCH_CAMERA_ALLOWED_MOST]; /* --allow-file; up to the first NULL */
    const char *resolver;                           /* /etc/resolv.conf */
} porch_camera_wants;

/* All of them, and what every program needs of the system. False, with a sentence: one of `allowed` is not
 * there, or a path is too long. */
bool porch_camera_places_make(const porch_camera_wants *wants, porch_camera_places *ret, char why[256]);

#endif
