/* Results of calls, and the news that a device hears while it runs. */
#ifndef PORCHLIGHT_STATUS_H
#define PORCHLIGHT_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whose turn it is. */
typedef enum {
    PORCH_DEVICE_OK = 0,
    PORCH_DEVICE_RETRY,   /* the same call may succeed later */
    PORCH_DEVICE_REFUSED, /* the call or the hub's answer; trying the same again will not help */
    PORCH_DEVICE_FAULT,   /* a limit, file or setting on this side; see the sentence */
} porch_device_result;

/* One sentence for a person: what happened and what to do. */
typedef struct {
    char text[256];
} porch_device_why;

typedef enum {
    PORCH_DEVICE_CONNECTED,    /* the MQTT session stands */
    PORCH_DEVICE_DISCONNECTED, /* it ended, or could not be made; `text` says why, `next_ms` when to expect
                                  the next attempt */
    PORCH_DEVICE_ACKNOWLEDGED, /* message `ticket` is the hub's now (durable there when its topic is stored)
                                */
    PORCH_DEVICE_MESSAGE_REFUSED, /* message `ticket` was refused with `code` and will not be sent again */
    PORCH_DEVICE_MESSAGE_DROPPED, /* the spool was full: messages up to `ticket` went, oldest first; `count`
                                     of them */
    PORCH_DEVICE_SUBSCRIBED,      /* `name` is the filter */
    PORCH_DEVICE_SUBSCRIBE_REFUSED, /* `name` is the filter, `code` the hub's */
    PORCH_DEVICE_CLIP_STARTED,      /* the first bytes of clip `name` went out */
    PORCH_DEVICE_CLIP_COMPLETE, /* the hub has all `bytes` of clip `name` and its hash agreed: `sha256` */
    PORCH_DEVICE_CLIP_REFUSED,  /* clip `name` was refused with `code` and removed */
    PORCH_DEVICE_CLIP_DROPPED,  /* room was needed for clips, and clip `name` went (see clip_bytes) */
    PORCH_DEVICE_CLIP_DELAYED,  /* the upload of clip `name` broke off and will be resumed; `text` says why
                                 */
    PORCH_DEVICE_WARNING,       /* `text` */
    PORCH_DEVICE_RENEWED,       /* a new certificate is on disk beside the old one, and is used from now on;
                                   `text`       says until when it holds */
    PORCH_DEVICE_RENEWAL_DELAYED, /* it could not be had; `text` says why, `next_ms` when it is tried again,
                                     `code` the HTTP status */
    PORCH_DEVICE_CERTIFICATE_IN_USE, /* the hub has seen the new certificate: the old one is dead and gone
                                      */
    PORCH_DEVICE_CLOCK_SET, /* the system's clock is wrong: from now on the SDK goes by the hub's signed
                               time; `text` says what it is */
} porch_device_news;

typedef struct {
    porch_device_news news;
    uint64_t at_ms;  /* Unix ms */
    uint64_t ticket; /* of porch_device_publish; 0 if none */
    uint64_t count;
    uint64_t bytes;
    uint64_t next_ms;   /* ms from now */
    int code;           /* MQTT reason code or HTTP status; 0 if none */
    const char *name;   /* event id of a clip, or topic filter; "" if none */
    const char *sha256; /* 64 lower-case hex digits; "" if none */
    const char *text;   /* a sentence; "" if none */
} porch_device_status;

/* "connected", "acknowledged"...: the news as one word for logs. */
__attribute__((visibility("default"))) const char *porch_device_news_name(porch_device_news news);

#endif
