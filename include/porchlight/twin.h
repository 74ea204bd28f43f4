/* A device's twin: what it should be, and what it is.
 *
 *   hub ──desired, version 7──► kept on disk ──► your function ──► you apply it
 *   hub ◄──reported, version 7─────────────────────────────────── porch_twin_report
 *
 * The hub's wish has a version that only grows. It is on disk before your function hears of it, and is told
 * again at every start before any connection: what a person wished for (privacy, say) holds from the first
 * moment. A report names the newest version that the device fulfils; until it arrives the hub shows the
 * wish as pending. After each connection the SDK sends the last report again, and the hub answers with its
 * wish when that is another.
 *
 * The documents are d/ID/state/desired and d/ID/state/reported, see the protocol. One twin a device. */
#ifndef PORCHLIGHT_TWIN_H
#define PORCHLIGHT_TWIN_H

#include <porchlight/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A wish; valid during the call it is given to. */
typedef struct porch_twin_desired porch_twin_desired;

/* 0 when the hub has never wished for anything; then no member is there. */
PORCH_DEVICE_API uint64_t porch_twin_version(const porch_twin_desired *desired);
/* False, and *ret untouched, when there is no such member or it is of another kind. */
PORCH_DEVICE_API bool porch_twin_bool(const porch_twin_desired *desired, const char *name, bool *ret);
PORCH_DEVICE_API bool porch_twin_number(const porch_twin_desired *desired, const char *name, int64_t *ret);
/* Zero-terminated into `out`; false also when it does not fit. */
PORCH_DEVICE_API bool porch_twin_text(const porch_twin_desired *desired, const char *name, char *out,
                                      size_t cap);
/* Whole numbers of 32 bits; false also when there are more than `most`, or one that does not fit. */
PORCH_DEVICE_API bool porch_twin_list(const porch_twin_desired *desired, const char *name, int32_t *out,
                                      size_t most, size_t *ret_count);

typedef void (*porch_twin_fn)(void *ctx, const porch_twin_desired *desired);

/* Tells `fn` what is kept from earlier runs before it returns (on this thread), and from then on each newer
 * wish (on the SDK's thread: be quick). Only for devices; once. */
PORCH_DEVICE_API porch_device_result porch_twin_open(porch_device *device, porch_twin_fn fn, void *ctx,
                                                     porch_device_why *why);

typedef enum { PORCH_TWIN_BOOL, PORCH_TWIN_NUMBER, PORCH_TWIN_TEXT, PORCH_TWIN_LIST } porch_twin_kind;

/* One member of a report; what its kind does not use is ignored. Names are of a-z, 0-9, '_' and '-'. */
typedef struct {
    const char *name;
    porch_twin_kind kind;
    bool on;
    int64_t number;
    const char *text;
    const int32_t *list;
    size_t count;
} porch_twin_member;

/* Reports what the device is now: all of it, each time. `version` is that of the newest wish that is
 * fulfilled. Published at least once, as porch_device_publish. */
PORCH_DEVICE_API porch_device_result porch_twin_report(porch_device *device, uint64_t version,
                                                       const porch_twin_member *members, size_t count,
                                                       porch_device_why *why);

#ifdef __cplusplus
}
#endif

#endif
