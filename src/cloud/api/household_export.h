/* All of a household's data in one archive, made while it is sent.
 *
 *   POST .../export  (owner, fresh second factor) ─► a ticket: one download, within two minutes
 *   GET  .../export/TICKET ─► README, schema, JSON files, then pictures and clips ─► the browser
 *   GET  .../export ─► how far it is, or how it ended
 *
 * One at a time for each household. Nothing of it touches the disk and no more than a page of events and
 * one piece of a clip is in memory; what is deleted meanwhile is left out and counted, and so is what the
 * policy does not let the one who ordered it see (api_sight.h), asked anew for each page of events. */
#ifndef PORCH_CLOUD_API_HOUSEHOLD_EXPORT_H
#define PORCH_CLOUD_API_HOUSEHOLD_EXPORT_H

#include "cloud/api/api_world.h"

typedef struct porch_exports porch_exports;
typedef struct porch_export porch_export;

porch_err porch_exports_new(porch_api *api, porch_exports **ret, porch_why *why);
/* After the listener was stopped. NULL is allowed. */
void porch_exports_free(porch_exports *all);

typedef enum {
    PORCH_EXPORT_NONE,    /* none was ordered since the hub's start, or what it was to hold was erased */
    PORCH_EXPORT_ORDERED, /* waits to be fetched */
    PORCH_EXPORT_LAPSED,  /* nobody fetched it in time */
    PORCH_EXPORT_RUNNING,
    PORCH_EXPORT_WHOLE, /* all of it was sent */
    PORCH_EXPORT_BROKEN /* it ended before that */
} porch_export_stage;

/* Of the household's last one. */
typedef struct {
    porch_export_stage stage;
    uint64_t events, events_done; /* pictures and clips are counted with their event */
    uint64_t bytes_sent;
} porch_export_state;

/* A ticket (an id) for one download of the person's household, in place of one that waits or is over. STATE
 * while one of the household is running. */
porch_err porch_export_order(porch_exports *all, const porch_person *person, const uint8_t session[32],
                             uint64_t now_ms, char ticket[33], porch_why *why);
/* Takes the ticket. NOT_FOUND: unknown, used, too old or of another sign-in. */
porch_err porch_export_open(porch_exports *all, const char *household, const uint8_t session[32],
                            const char *ticket, uint64_t now_ms, porch_export **ret, porch_why *why);
/* The next bytes; *got == 0: the archive is whole. CLOSED when it was ended by porch_exports_end. */
porch_err porch_export_read(porch_export *x, uint8_t *at, size_t cap, size_t *got, porch_why *why);
/* It was sent whole if it was read until *got == 0. NULL is allowed. */
void porch_export_close(porch_export *x);
void porch_export_look(porch_exports *all, const char *household, uint64_t now_ms, porch_export_state *ret);
/* The household, or a device of it, is being erased: no order is left, and a running download breaks off.
 * NULL is allowed: nothing is exported. */
void porch_exports_end(porch_exports *all, const char *household);
/* A sign-in was ended: so are its order and its download, which somebody else may have begun. */
void porch_exports_end_sign_in(porch_exports *all, const uint8_t session[32]);

extern const char porch_export_readme[];
extern const char porch_export_schema[];

#endif
