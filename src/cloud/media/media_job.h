/* One clip under analysis: the memory that uploads fill, and what the scheduler knows of it. Shared by
 * media_feed.c (the uploads' side) and media_analysis.c (the scheduler's side) only.
 *
 * A job is in the list for as long as the analysis wants it. One that the scheduler lets go of while an
 * upload still holds it leaves the list with its memory at once; what remains is a stub that takes nothing
 * any more, and goes when the upload gives it back. */
#ifndef PORCH_CLOUD_MEDIA_MEDIA_JOB_H
#define PORCH_CLOUD_MEDIA_MEDIA_JOB_H

#include "cloud/media/media_file.h"
#include "cloud/media/media_room.h"

enum {
    PORCH_MEDIA_JOBS_MOST = 256, /* in the list */
    PORCH_MEDIA_LIVE_MOST = 64   /* of these; each has a descriptor and a mapping */
};

struct media_feed {
    media_feed *next;
    media_analysis *analysis;
    char clip[PORCH_MEDIA_UID];
    char event[PORCH_MEDIA_UID];
    porch_media_owner owner;
    uint64_t created_ms; /* when the device began the clip */
    bool live;           /* bytes come from an upload; else all were there from the start */
    int memfd;
    uint64_t size; /* of the memfd; it has pages where bytes were written only */

    /* under analysis.lock */
    uint8_t *map; /* the whole memfd, written by whoever holds the feed; NULL: a stub */
    bool held;    /* by an upload */
    bool complete, cancelled;
    uint64_t have;
    uint64_t used_bytes; /* of media.analysis_memory_bytes; more than `have` while somebody writes them */
    uint64_t last_byte_mono_ms;
    uint64_t first_byte_ms;

    /* the scheduler's thread only */
    int socket;          /* -1: not with the analyst */
    uint64_t generation; /* of the analyst that has it */
    bool begun;          /* the child has spoken: it is past what it could be refused for */
    uint32_t persons;    /* that it has told of */
    bool done;           /* nothing more is wanted from the analyst */
    uint64_t told;
    bool told_complete;
    uint64_t started_mono_ms, not_before_mono_ms;
    uint32_t attempts; /* as the database counts them */
    uint32_t restarts; /* times that the whole analyst went away */
    uint64_t first_frame_ms;
    porch_media_file *index;
    uint64_t index_bytes;
    bool index_bad;
};

struct media_analysis {
    porch_media *media;
    pthread_t thread;
    bool running;
    int wake_fd;
    pthread_mutex_t lock;
    bool stop;                          /* under lock */
    bool look_backlog;                  /* under lock */
    media_feed *jobs;                   /* under lock; only the thread removes */
    porch_media_analysis_counts counts; /* under lock */
    /* the thread only */
    uint64_t backlog_not_before_mono_ms;
    uint64_t backlog_passed_over_mono_ms; /* since when one waits and none is looked at; 0: not so */
    uint8_t message[PORCH_ANALYST_MESSAGE_MAX];
};

/* A job of at most `size` bytes at the end of the list; NULL when there is no room for it. A live one's
 * bytes are counted as they arrive, another's at once. Called with the lock held. */
media_feed *porch_media_job_add(media_analysis *a, const porch_media_clip_info *clip, uint64_t size,
                                bool live);
/* Out of the list and away, or a stub while an upload holds it. Nobody writes to it. The thread only, lock
 * held. */
void porch_media_job_remove(media_analysis *a, media_feed *job);
void porch_media_analysis_poke(media_analysis *a);

/* ---- media_result.c: what the analyst says, into the database. The thread only; may block. ---- */
porch_err porch_media_result_person(porch_media *m, media_feed *job, const porch_analyst_person *person,
                                    porch_why *why);
void porch_media_result_index_piece(porch_media *m, media_feed *job, const porch_analyst_indexed *piece);
/* Closes the copy; true when it is whole and durable in its place. */
bool porch_media_result_index_finish(porch_media *m, media_feed *job, uint64_t announced);
void porch_media_result_index_drop(porch_media *m, media_feed *job);
porch_err porch_media_result_done(porch_media *m, const media_feed *job, uint64_t indexed_bytes,
                                  porch_why *why);
/* Counts an attempt; with `final` the clip's analysis is given up. */
porch_err porch_media_result_failed(porch_media *m, const char *clip, bool final, const char *reason,
                                    porch_why *why);

#endif
