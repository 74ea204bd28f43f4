/* The whole SDK against a hub in the same process: real sockets, real TLS, a folder on disk. The hub is
 * small: it acknowledges what it is told to, and keeps what it was sent. */
#include <porchlight/porchlight.h>

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cursor.h"
#include "base/text.h"
#include "crypto/sha256.h"
#include "crypto/tls.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/socket.h"
#include "wire/http1_chunk.h"
#include "wire/http1_request.h"
#include "wire/mqtt_packet.h"
#include "wire/upload.h"

#define DAY_MS UINT64_C(86400000)
enum { WAIT_SECONDS = 20, WAIT_MS = 20000, CLIPS = 8, PEM = 3 * PORCH_X509_PEM_BYTES };

/* --- certificates --- */

typedef struct {
    porch_key *key;
    uint8_t block[PEM];
    porch_buf pem;
} credential;

static credential root, other_root, hub_cert, misnamed_hub, foreign_hub, door, device_as_hub;

static void new_root(credential *c) {
    c->pem = PORCH_BUF_OF(c->block);
    assert_int_equal(porch_key_generate_p256(&c->key, NULL), PORCH_OK);
    assert_int_equal(porch_ca_make_root("R", c->key, porch_clock_ms() - DAY_MS, 2, &c->pem, NULL),
                     PORCH_OK);
}

static void new_leaf(credential *c, const credential *ca, porch_ca_request request) {
    porch_public_key public_key;
    c->pem = PORCH_BUF_OF(c->block);
    assert_int_equal(porch_key_generate_p256(&c->key, NULL), PORCH_OK);
    assert_int_equal(porch_key_public(c->key, &public_key, NULL), PORCH_OK);
    const porch_ca above = {porch_buf_bytes(&ca->pem), ca->key};
    request.not_before_ms = porch_clock_ms() - DAY_MS / 2;
    request.not_after_ms = porch_clock_ms() + DAY_MS;
    assert_int_equal(porch_ca_issue(&above, &public_key, &request, &c->pem, NULL), PORCH_OK);
}

static int make_credentials(void **state) {
    (void)state;
    const porch_ca_names here = {{"localhost"}, 1}, elsewhere = {{"elsewhere.example"}, 1};
    new_root(&root);
    new_root(&other_root);
    new_leaf(&hub_cert, &root, (porch_ca_request){.profile = PORCH_PROFILE_HUB_SERVER, .names = here});
    new_leaf(&misnamed_hub, &root,
             (porch_ca_request){.profile = PORCH_PROFILE_HUB_SERVER, .names = elsewhere});
    new_leaf(&foreign_hub, &other_root,
             (porch_ca_request){.profile = PORCH_PROFILE_HUB_SERVER, .names = here});
    new_leaf(&door, &root, (porch_ca_request){.profile = PORCH_PROFILE_DEVICE, .id = "front-door"});
    new_leaf(&device_as_hub, &root, (porch_ca_request){.profile = PORCH_PROFILE_DEVICE, .id = "hub"});
    return 0;
}

/* --- the hub --- */

typedef struct {
    char event[65];
    uint8_t bytes[8192];
    size_t len;
    bool begun;
    bool complete;
} hub_clip;

typedef struct hub_conn {
    struct hub_conn *next;
    struct test_hub *hub;
    pthread_t thread;
    int fd;
    bool https;
} hub_conn;

typedef struct test_hub {
    porch_tls_server *tls;
    int listen_fd[2]; /* MQTT, HTTPS */
    uint16_t port[2];
    int stop_pipe[2];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    hub_conn *conns;
    /* how it behaves */
    uint8_t connack;
    bool deaf;           /* acknowledges nothing */
    const char *desired; /* told to who subscribes to the twin's wish */
    unsigned places;     /* for unfinished clips; 0: no limit */
    /* what it saw */
    unsigned connects;
    char last_payload[128];
    unsigned publishes;
    unsigned reports;       /* of the twin */
    unsigned before_report; /* publishes that came before the first of them */
    hub_clip clips[CLIPS];
} test_hub;

typedef struct {
    hub_conn *c;
    porch_tls_conn *tls;
    uint8_t in[65536];
    size_t len;
} stream;

static void changed(test_hub *h) {
    (void)pthread_cond_broadcast(&h->changed);
}

/* Until the connection has something to do, or the hub stops. */
static bool wait_io(stream *s) {
    short events = porch_tls_wants_write(s->tls) ? POLLOUT : POLLIN;
    struct pollfd p[2] = {{.fd = s->c->fd, .events = events},
                          {.fd = s->c->hub->stop_pipe[0], .events = POLLIN}};
    while (poll(p, 2, -1) < 0 && errno == EINTR) {
    }
    return p[1].revents == 0;
}

static bool read_more(stream *s) {
    for (;;) {
        size_t got = 0;
        porch_err e = porch_tls_read(s->tls, s->in + s->len, sizeof s->in - s->len, &got);
        s->len += got;
        if (e == PORCH_OK) return true;
        if (e != PORCH_ERR_AGAIN || !wait_io(s)) return false;
    }
}

static void consume(stream *s, size_t n) {
    memmove(s->in, s->in + n, s->len - n);
    s->len -= n;
}

static bool write_all(stream *s, porch_bytes b) {
    while (b.len > 0) {
        size_t taken = 0;
        porch_err e = porch_tls_write(s->tls, b.at, b.len, &taken);
        b.at += taken;
        b.len -= taken;
        if (e == PORCH_ERR_AGAIN && !wait_io(s)) return false;
        if (e != PORCH_OK && e != PORCH_ERR_AGAIN) return false;
    }
    return true;
}

static bool write_packet(stream *s, const porch_mqtt_packet *p) {
    uint8_t raw[256];
    porch_buf b = PORCH_BUF_OF(raw);
    return porch_mqtt_packet_write(&b, PORCH_MQTT_V5, p) == PORCH_OK && write_all(s, porch_buf_bytes(&b));
}

static bool on_packet(stream *s, const porch_mqtt_packet *p) {
    test_hub *h = s->c->hub;
    porch_mqtt_packet answer = {0};
    const uint8_t granted = 1;
    (void)pthread_mutex_lock(&h->lock);
    bool deaf = h->deaf;
    if (p->type == PORCH_MQTT_CONNECT) {
        h->connects++;
        answer = (porch_mqtt_packet){.type = PORCH_MQTT_CONNACK, .connack = {.reason = h->connack}};
    }
    if (p->type == PORCH_MQTT_PUBLISH) {
        bool report = porch_bytes_eq_text(p->publish.topic.text, "d/front-door/state/reported");
        if (report && h->reports++ == 0) h->before_report = h->publishes;
        h->publishes++;
        (void)porch_bytes_to_text(p->publish.payload, h->last_payload, sizeof h->last_payload);
        if (!deaf && p->publish.qos == 1)
            answer =
                (porch_mqtt_packet){.type = PORCH_MQTT_PUBACK,
                                    .ack = {.type = PORCH_MQTT_PUBACK, .packet_id = p->publish.packet_id}};
    }
    if (p->type == PORCH_MQTT_SUBSCRIBE)
        answer = (porch_mqtt_packet){.type = PORCH_MQTT_SUBACK,
                                     .suback = {.type = PORCH_MQTT_SUBACK,
                                                .packet_id = p->subscribe.packet_id,
                                                .reasons = {&granted, 1}}};
    changed(h);
    (void)pthread_mutex_unlock(&h->lock);
    if (answer.type != 0 && !write_packet(s, &answer)) return false;
    if (p->type == PORCH_MQTT_SUBSCRIBE) {
        porch_mqtt_packet hello = {.type = PORCH_MQTT_PUBLISH,
                                   .publish = {.payload = PORCH_LIT("open"), .qos = 1, .packet_id = 7}};
        porch_bytes topic = PORCH_LIT("d/front-door/command/lock/request");
        if (h->desired) {
            topic = PORCH_LIT("d/front-door/state/desired");
            hello.publish.payload = porch_bytes_of(h->desired);
        }
        if (porch_topic_name_parse(topic, NULL, &hello.publish.topic) != PORCH_OK) return false;
        return write_packet(s, &hello);
    }
    return p->type != PORCH_MQTT_DISCONNECT;
}

static void serve_mqtt(stream *s) {
    for (;;) {
        porch_mqtt_frame frame;
        porch_mqtt_packet p;
        porch_err e = porch_mqtt_frame_read((porch_bytes){s->in, s->len}, sizeof s->in, NULL, &frame);
        if (e == PORCH_ERR_TRUNCATED && read_more(s)) continue;
        if (e != PORCH_OK) return;
        if (porch_mqtt_packet_read(&frame, PORCH_MQTT_V5, PORCH_MQTT_FROM_CLIENT, NULL, &p) != PORCH_OK)
            return;
        if (!on_packet(s, &p)) return;
        consume(s, frame.bytes);
    }
}

static hub_clip *clip_of(test_hub *h, porch_bytes event) {
    for (size_t i = 0; i < CLIPS; i++) {
        hub_clip *c = &h->clips[i];
        if (c->event[0] != 0 && porch_bytes_eq_text(event, c->event)) return c;
    }
    for (size_t i = 0; i < CLIPS; i++) {
        hub_clip *c = &h->clips[i];
        if (c->event[0] == 0 && porch_bytes_to_text(event, c->event, sizeof c->event)) return c;
    }
    return NULL;
}

/* Whether the clip is begun, or may be. Under the lock. */
static bool takes_clip(const test_hub *h, hub_clip *c) {
    unsigned taken = 0;
    for (size_t i = 0; i < CLIPS; i++)
        taken += h->clips[i].begun && !h->clips[i].complete;
    if (!c->begun && h->places > 0 && taken >= h->places) return false;
    c->begun = true;
    return true;
}

static void add_to_clip(test_hub *h, hub_clip *c, porch_bytes bytes) {
    (void)pthread_mutex_lock(&h->lock);
    size_t n = bytes.len < sizeof c->bytes - c->len ? bytes.len : sizeof c->bytes - c->len;
    if (n > 0) memcpy(c->bytes + c->len, bytes.at, n);
    c->len += n;
    changed(h);
    (void)pthread_mutex_unlock(&h->lock);
}

/* The body of a PATCH, as it comes. */
static bool take_body(stream *s, const porch_http1_request *q, hub_clip *c) {
    uint64_t left = q->body == PORCH_HTTP1_BODY_LENGTH ? q->body_bytes : 0;
    bool chunked = q->body == PORCH_HTTP1_BODY_CHUNKED;
    porch_http1_chunk chunk = {0};
    while (left > 0 || (chunked && !porch_http1_chunk_done(&chunk))) {
        if (s->len == 0 && !read_more(s)) return false;
        porch_bytes data = {s->in, s->len < left ? s->len : (size_t)left};
        size_t used = data.len;
        if (chunked &&
            porch_http1_chunk_read(&chunk, (porch_bytes){s->in, s->len}, &data, &used) != PORCH_OK)
            return false;
        add_to_clip(s->c->hub, c, data);
        left -= chunked ? 0 : used;
        consume(s, used);
    }
    return true;
}

static bool finish_clip(test_hub *h, hub_clip *c, const porch_http1_request *q) {
    const porch_http1_header *complete = porch_http1_header_find(&q->headers, PORCH_UPLOAD_COMPLETE_HEADER);
    const porch_http1_header *digest = porch_http1_header_find(&q->headers, PORCH_UPLOAD_DIGEST_HEADER);
    uint8_t told[32], real[32];
    if (!complete || !porch_bytes_eq_text(complete->value, "?1")) return true;
    if (!digest || porch_upload_digest_parse(digest->value, told) != PORCH_OK) return false;
    porch_sha256((porch_bytes){c->bytes, c->len}, real);
    (void)pthread_mutex_lock(&h->lock);
    c->complete = memcmp(told, real, sizeof real) == 0;
    bool ok = c->complete;
    changed(h);
    (void)pthread_mutex_unlock(&h->lock);
    return ok;
}

/* One request whose head is in `head`. */
static bool on_request(stream *s, porch_bytes head) {
    static const porch_http1_limits limits = {8192, 1024, 32};
    test_hub *h = s->c->hub;
    porch_http1_header room[32] = {0};
    porch_http1_request q;
    char text[256], event[65] = "";
    if (porch_http1_request_read(head, &limits, (porch_http1_headers){room, 0, 32}, NULL, &q) != PORCH_OK)
        return false;
    porch_bytes name = {q.path.at + 20,
                        q.path.len > 20 ? q.path.len - 20 : 0}; /* after /api/v1/device/clip/ */
    const porch_http1_header *header = porch_http1_header_find(&q.headers, PORCH_UPLOAD_EVENT_HEADER);
    if (header) name = header->value;
    (void)pthread_mutex_lock(&h->lock);
    hub_clip *c = clip_of(h, name);
    size_t len = c ? c->len : 0;
    bool complete = c && c->complete;
    bool post = porch_bytes_eq_text(q.method, "POST");
    bool full = c && post && !takes_clip(h, c);
    (void)pthread_mutex_unlock(&h->lock);
    if (!c || !porch_bytes_to_text(name, event, sizeof event)) return false;
    if (full)
        (void)snprintf(text, sizeof text, "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n");
    else if (post)
        (void)snprintf(text, sizeof text,
                       "HTTP/1.1 %s\r\nLocation: /api/v1/device/clip/%s\r\nContent-Length: 0\r\n\r\n",
                       len > 0 ? "200 OK" : "201 Created", event);
    else if (porch_bytes_eq_text(q.method, "HEAD"))
        (void)snprintf(text, sizeof text,
                       "HTTP/1.1 200 OK\r\nUpload-Offset: %zu\r\nUpload-Complete: ?%d\r\n\r\n", len,
                       complete);
    else if (take_body(s, &q, c) && finish_clip(h, c, &q))
        (void)snprintf(text, sizeof text, "HTTP/1.1 204 No Content\r\n\r\n");
    else
        return false;
    return write_all(s, porch_bytes_of(text));
}

static void serve_https(stream *s) {
    static const porch_http1_limits limits = {8192, 1024, 32};
    for (;;) {
        uint8_t head[8192];
        size_t scanned = 0, n = 0;
        porch_err e = porch_http1_head_find((porch_bytes){s->in, s->len}, &limits, &scanned, &n, NULL);
        if (e == PORCH_ERR_TRUNCATED && read_more(s)) continue;
        if (e != PORCH_OK) return;
        memcpy(head, s->in, n);
        consume(s, n);
        if (!on_request(s, (porch_bytes){head, n})) return;
    }
}

static void *serve(void *ctx) {
    stream *s = calloc(1, sizeof *s);
    s->c = ctx;
    if (porch_tls_accept(s->c->hub->tls, s->c->fd, &s->tls) == PORCH_OK) {
        porch_err e;
        while ((e = porch_tls_handshake(s->tls, NULL)) == PORCH_ERR_AGAIN && wait_io(s)) {
        }
        if (e == PORCH_OK && s->c->https) serve_https(s);
        if (e == PORCH_OK && !s->c->https) serve_mqtt(s);
        porch_tls_free(s->tls);
    }
    (void)close(s->c->fd);
    free(s);
    return NULL;
}

static void *accept_all(void *ctx) {
    test_hub *h = ctx;
    for (;;) {
        struct pollfd p[3] = {{.fd = h->listen_fd[0], .events = POLLIN},
                              {.fd = h->listen_fd[1], .events = POLLIN},
                              {.fd = h->stop_pipe[0], .events = POLLIN}};
        (void)poll(p, 3, -1);
        if (p[2].revents != 0) return NULL;
        for (int i = 0; i < 2; i++) {
            int fd = -1;
            if (porch_socket_accept(h->listen_fd[i], &fd) != PORCH_OK) continue;
            hub_conn *c = calloc(1, sizeof *c);
            *c = (hub_conn){.next = h->conns, .hub = h, .fd = fd, .https = i == 1};
            h->conns = c;
            (void)pthread_create(&c->thread, NULL, serve, c);
        }
    }
}

/* `ports`: 0 for any. */
static void hub_start(test_hub *h, const credential *who, const uint16_t ports[2]) {
    porch_why why = {{0}};
    const porch_tls_server_config config = {.chain_pem = porch_buf_bytes(&who->pem),
                                            .key = who->key,
                                            .client_ca_pem = porch_buf_bytes(&root.pem),
                                            .client_mode = PORCH_TLS_CLIENT_REQUIRE,
                                            .session_context = PORCH_LIT("test")};
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&h->changed, &attributes);
    (void)pthread_mutex_init(&h->lock, NULL);
    assert_int_equal(porch_tls_server_new(&config, &h->tls, &why), PORCH_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(porch_socket_listen_tcp("127.0.0.1", ports ? ports[i] : 0, 16, &h->listen_fd[i],
                                                 &h->port[i], &why),
                         PORCH_OK);
    assert_int_equal(pipe(h->stop_pipe), 0);
    assert_int_equal(pthread_create(&h->thread, NULL, accept_all, h), 0);
}

static void hub_stop(test_hub *h) {
    assert_int_equal(write(h->stop_pipe[1], "x", 1), 1);
    (void)pthread_join(h->thread, NULL);
    while (h->conns) {
        hub_conn *c = h->conns;
        h->conns = c->next;
        (void)pthread_join(c->thread, NULL);
        free(c);
    }
    for (int i = 0; i < 2; i++) {
        (void)close(h->listen_fd[i]);
        (void)close(h->stop_pipe[i]);
    }
    porch_tls_server_unref(h->tls);
}

/* --- the device's folder, and what it hears --- */

static char folder[64];

static void put(const char *name, porch_bytes bytes, mode_t mode) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(porch_file_write_atomic(path, bytes, mode, NULL), PORCH_OK);
}

static void make_folder(const uint16_t ports[2], const char *id) {
    char conf[256];
    uint8_t pem[PORCH_KEY_PEM_BYTES];
    porch_buf key = PORCH_BUF_OF(pem);
    (void)snprintf(folder, sizeof folder, "/tmp/porchlight-device-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(conf, sizeof conf,
                   "hub.host = localhost\nhub.mqtt_port = %u\nhub.device_port = %u\ndevice.id = %s\n"
                   "key.file_for_development = true\n",
                   (unsigned)ports[0], (unsigned)ports[1], id);
    put("device.conf", porch_bytes_of(conf), 0600);
    put("ca.pem", porch_buf_bytes(&root.pem), 0644);
    put("cert.pem", porch_buf_bytes(&door.pem), 0644);
    assert_int_equal(porch_key_pem(door.key, &key, NULL), PORCH_OK);
    put("key.pem", porch_buf_bytes(&key), 0600);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk) {
    (void)st;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void remove_folder(void) {
    (void)nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned seen[PORCH_DEVICE_CLOCK_SET + 1];
    char text[PORCH_DEVICE_CLOCK_SET + 1][256];
    char sha256[65];
    char warnings[1024]; /* one a line */
    int code;
    char payload[64];
    uint64_t wish; /* version of the twin's last wish */
    unsigned wishes;
    bool privacy;
} heard;

static void listen_anew(void) {
    pthread_condattr_t attributes;
    memset(&heard, 0, sizeof heard);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&heard.lock, NULL);
    (void)pthread_cond_init(&heard.changed, &attributes);
}

static void on_status(void *ctx, const porch_device_status *s) {
    (void)ctx;
    (void)pthread_mutex_lock(&heard.lock);
    heard.seen[s->news]++;
    (void)snprintf(heard.text[s->news], sizeof heard.text[0], "%s", s->text);
    size_t n = strlen(heard.warnings);
    if (s->news == PORCH_DEVICE_WARNING)
        (void)snprintf(heard.warnings + n, sizeof heard.warnings - n, "%s\n", s->text);
    if (s->sha256[0] != 0) (void)snprintf(heard.sha256, sizeof heard.sha256, "%s", s->sha256);
    if (s->code != 0) heard.code = s->code;
    (void)pthread_cond_broadcast(&heard.changed);
    (void)pthread_mutex_unlock(&heard.lock);
}

static void on_message(void *ctx, const porch_device_message *m) {
    (void)ctx;
    (void)pthread_mutex_lock(&heard.lock);
    size_t n = m->payload_bytes < sizeof heard.payload - 1 ? m->payload_bytes : sizeof heard.payload - 1;
    memcpy(heard.payload, m->payload, n);
    (void)pthread_cond_broadcast(&heard.changed);
    (void)pthread_mutex_unlock(&heard.lock);
}

static struct timespec in_time(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += WAIT_SECONDS;
    return t;
}

static bool hears(porch_device_news news) {
    struct timespec until = in_time();
    int r = 0;
    (void)pthread_mutex_lock(&heard.lock);
    while (heard.seen[news] == 0 && r == 0)
        r = pthread_cond_timedwait(&heard.changed, &heard.lock, &until);
    bool yes = heard.seen[news] > 0;
    (void)pthread_mutex_unlock(&heard.lock);
    return yes;
}

static porch_device *open_device(void) {
    const porch_device_options options = {
        .folder = folder, .on_status = on_status, .back_off_most_ms = 300};
    porch_device_why why = {{0}};
    porch_device *d = porch_device_open(&options, &why);
    if (!d) (void)fprintf(stderr, "%s\n", why.text);
    return d;
}

static bool open_fails(const char *because) {
    const porch_device_options options = {.folder = folder};
    porch_device_why why = {{0}};
    porch_device *d = porch_device_open(&options, &why);
    bool right = !d && strstr(why.text, because) != NULL;
    if (!right) (void)fprintf(stderr, "got: %s\n", why.text);
    porch_device_close(d);
    return right;
}

static porch_device_result say(porch_device *d, const char *payload) {
    return porch_device_publish(d, "d/front-door/telemetry/t", payload, strlen(payload), NULL, NULL);
}

/* --- the twin --- */

/* As a product does: applies it, and reports. */
static void on_wish(void *ctx, const porch_twin_desired *wish) {
    (void)ctx;
    (void)pthread_mutex_lock(&heard.lock);
    heard.wishes++;
    heard.wish = porch_twin_version(wish);
    heard.privacy = false;
    (void)porch_twin_bool(wish, "privacy", &heard.privacy);
    (void)pthread_cond_broadcast(&heard.changed);
    (void)pthread_mutex_unlock(&heard.lock);
}

static bool hears_wish(uint64_t version) {
    struct timespec until = in_time();
    int r = 0;
    (void)pthread_mutex_lock(&heard.lock);
    while (heard.wish != version && r == 0)
        r = pthread_cond_timedwait(&heard.changed, &heard.lock, &until);
    bool yes = heard.wish == version;
    (void)pthread_mutex_unlock(&heard.lock);
    return yes;
}

static porch_device *open_twin(void) {
    porch_device_why why = {{0}};
    listen_anew();
    porch_device *d = open_device();
    assert_non_null(d);
    if (porch_twin_open(d, on_wish, NULL, &why) != PORCH_DEVICE_OK) fail_msg("%s", why.text);
    return d;
}

static void a_wish_is_kept_told_before_any_connection_and_reported(void **state) {
    (void)state;
    test_hub h = {.desired = "{\"v\":1,\"version\":3,\"state\":{\"privacy\":true}}"};
    hub_start(&h, &hub_cert, NULL);
    make_folder(h.port, "front-door");
    porch_device *d = open_twin();
    assert_int_equal(heard.wishes, 1); /* at once: nothing is kept yet */
    assert_int_equal(heard.wish, 0);
    assert_true(hears_wish(3));
    assert_true(heard.privacy);
    assert_int_equal(porch_device_flush(d, WAIT_MS, NULL), PORCH_DEVICE_OK);
    assert_string_equal(h.last_payload,
                        "{\"v\":1,\"version\":0,\"state\":{}}"); /* what the SDK says by itself */
    const porch_twin_member m = {.name = "privacy", .kind = PORCH_TWIN_BOOL, .on = true};
    assert_int_equal(porch_twin_report(d, 3, &m, 1, NULL), PORCH_DEVICE_OK);
    assert_int_equal(porch_device_flush(d, WAIT_MS, NULL), PORCH_DEVICE_OK);
    assert_string_equal(h.last_payload, "{\"v\":1,\"version\":3,\"state\":{\"privacy\":true}}");
    assert_int_equal(porch_twin_open(d, on_wish, NULL, NULL), PORCH_DEVICE_REFUSED);
    porch_device_close(d);
    hub_stop(&h);

    d = open_twin(); /* the hub is away */
    assert_int_equal(heard.wishes, 1);
    assert_int_equal(heard.wish, 3);
    assert_true(heard.privacy);
    porch_device_close(d);
    remove_folder();
}

/* Only the hub's answer to a report tells of a wish for privacy that was missed. */
static void a_report_does_not_wait_behind_the_spool(void **state) {
    (void)state;
    test_hub gone = {0}, h = {.deaf = true};
    uint16_t ports[2];
    hub_start(&gone, &hub_cert, NULL);
    memcpy(ports, gone.port, sizeof ports);
    hub_stop(&gone);
    make_folder(ports, "front-door");
    porch_device *d = open_twin();
    for (int i = 0; i < 40; i++) /* more than may fly at once */
        assert_int_equal(say(d, "while the hub was away"), PORCH_DEVICE_OK);
    hub_start(&h, &hub_cert, ports);
    struct timespec until = in_time();
    int r = 0;
    (void)pthread_mutex_lock(&h.lock);
    while (h.reports == 0 && r == 0)
        r = pthread_cond_timedwait(&h.changed, &h.lock, &until);
    unsigned reports = h.reports, before = h.before_report;
    (void)pthread_mutex_unlock(&h.lock);
    assert_int_equal(reports, 1); /* the one for the spool waits there */
    assert_int_equal(before, 0);
    porch_device_close(d);
    hub_stop(&h);
    remove_folder();
}

static void a_damaged_wish_is_no_wish_to_guess_at(void **state) {
    (void)state;
    test_hub h = {0};
    porch_device_why why = {{0}};
    hub_start(&h, &hub_cert, NULL);
    make_folder(h.port, "front-door");
    porch_device_close(open_twin());
    put("state/twin", PORCH_LIT("{\"v\":1,\"version\":3,\"sta"), 0600);
    listen_anew();
    porch_device *d = open_device();
    assert_int_equal(porch_twin_open(d, on_wish, NULL, &why), PORCH_DEVICE_REFUSED);
    assert_non_null(strstr(why.text, "state/twin"));
    assert_int_equal(heard.wishes, 0);
    assert_int_equal(porch_twin_report(d, 1, NULL, 0, &why), PORCH_DEVICE_REFUSED);
    porch_device_close(d);
    hub_stop(&h);
    remove_folder();
}

/* --- messages --- */

static void a_message_is_acknowledged_and_commands_arrive(void **state) {
    (void)state;
    test_hub h = {0};
    hub_start(&h, &hub_cert, NULL);
    make_folder(h.port, "front-door");
    listen_anew();
    porch_device *d = open_device();
    assert_non_null(d);
    assert_string_equal(porch_device_id(d), "front-door");
    assert_int_equal(porch_device_subscribe(d, "d/front-door/command/+/request", on_message, NULL, NULL),
                     PORCH_DEVICE_OK);
    assert_int_equal(say(d, "21.5"), PORCH_DEVICE_OK);
    assert_int_equal(porch_device_flush(d, WAIT_MS, NULL), PORCH_DEVICE_OK);
    assert_true(hears(PORCH_DEVICE_ACKNOWLEDGED));
    assert_true(hears(PORCH_DEVICE_SUBSCRIBED));
    assert_true(hears(PORCH_DEVICE_WARNING));
    assert_non_null(strstr(heard.text[PORCH_DEVICE_WARNING], "key.pem"));
    struct timespec until = in_time();
    (void)pthread_mutex_lock(&heard.lock);
    while (heard.payload[0] == 0 && pthread_cond_timedwait(&heard.changed, &heard.lock, &until) == 0) {
    }
    (void)pthread_mutex_unlock(&heard.lock);
    assert_string_equal(heard.payload, "open");
    porch_device_close(d);
    assert_string_equal(h.last_payload, "21.5");
    hub_stop(&h);
    remove_folder();
}

static void what_was_said_while_the_hub_was_away_arrives_after_a_restart_of_both(void **state) {
    (void)state;
    test_hub h = {.deaf = true}, later = {0};
    uint16_t ports[2];
    hub_start(&h, &hub_cert, NULL);
    memcpy(ports, h.port, sizeof ports);
    make_folder(ports, "front-door");
    listen_anew();
    porch_device *d = open_device();
    assert_non_null(d);
    assert_int_equal(say(d, "kept"), PORCH_DEVICE_OK);
    assert_true(hears(PORCH_DEVICE_CONNECTED));
    hub_stop(&h);
    assert_int_equal(porch_device_flush(d, 1, NULL), PORCH_DEVICE_RETRY);
    porch_device_close(d);
    listen_anew();
    d = open_device();
    assert_non_null(d);
    assert_true(hears(PORCH_DEVICE_DISCONNECTED));
    hub_start(&later, &hub_cert, ports);
    assert_int_equal(porch_device_flush(d, WAIT_MS, NULL), PORCH_DEVICE_OK);
    porch_device_close(d);
    assert_string_equal(later.last_payload, "kept");
    hub_stop(&later);
    remove_folder();
}

static void make_state_folder(const char *name) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s/state/%s", folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void what_cannot_be_read_on_disk_is_told_and_the_device_goes_on(void **state) {
    (void)state;
    test_hub h = {0};
    hub_start(&h, &hub_cert, NULL);
    make_folder(h.port, "front-door");
    make_state_folder("");
    make_state_folder("spool");
    make_state_folder("clips");
    make_state_folder("clips/00000001-x.mp4");
    make_state_folder("spool/00000001.spool"); /* reads as a broken sector does: EISDIR, and not EIO */
    listen_anew();
    porch_device *d = open_device();
    assert_non_null(d);
    assert_int_equal(say(d, "all the same"), PORCH_DEVICE_OK);
    assert_int_equal(porch_device_flush(d, WAIT_MS, NULL), PORCH_DEVICE_OK);
    porch_device_close(d);
    assert_string_equal(h.last_payload, "all the same");
    assert_non_null(strstr(heard.warnings, "state/spool"));
    assert_non_null(strstr(heard.warnings, "state/clips"));
    hub_stop(&h);
    remove_folder();
}

static void a_refused_device_hears_the_hubs_reason(void **state) {
    (void)state;
    test_hub h = {.connack = PORCH_MQTT_RC_NOT_AUTHORIZED};
    hub_start(&h, &hub_cert, NULL);
    make_folder(h.port, "front-door");
    listen_anew();
    porch_device *d = open_device();
    assert_true(hears(PORCH_DEVICE_DISCONNECTED));
    assert_int_equal(heard.code, PORCH_MQTT_RC_NOT_AUTHORIZED);
    assert_int_equal(porch_device_publish_now(d, "d/front-door/x", "y", 1, NULL), PORCH_DEVICE_RETRY);
    porch_device_close(d);
    hub_stop(&h);
    remove_folder();
}

/* --- whom the device believes --- */

static void a_hub_that_cannot_prove_itself_gets_nothing(void **state) {
    (void)state;
    const credential *const impostors[] = {&foreign_hub, &misnamed_hub, &device_as_hub};
    for (size_t i = 0; i < 3; i++) {
        test_hub h = {0};
        hub_start(&h, impostors[i], NULL);
        make_folder(h.port, "front-door");
        listen_anew();
        porch_device *d = open_device();
        assert_non_null(d);
        assert_int_equal(say(d, "secret"), PORCH_DEVICE_OK);
        assert_true(hears(PORCH_DEVICE_DISCONNECTED));
        assert_true(heard.text[PORCH_DEVICE_DISCONNECTED][0] != 0);
        assert_int_equal(heard.seen[PORCH_DEVICE_CONNECTED], 0);
        porch_device_close(d);
        hub_stop(&h);
        assert_int_equal(h.connects, 0);
        assert_int_equal(h.publishes, 0);
        remove_folder();
    }
}

static void a_folder_that_does_not_hold_together_is_refused(void **state) {
    (void)state;
    const uint16_t ports[2] = {1, 2};
    char path[128];
    make_folder(ports, "back-door");
    assert_true(open_fails("cert.pem is of device 'front-door'"));
    remove_folder();
    make_folder(ports, "front-door");
    (void)snprintf(path, sizeof path, "%s/key.pem", folder);
    assert_int_equal(chmod(path, 0644), 0);
    assert_true(open_fails("chmod"));
    assert_int_equal(unlink(path), 0);
    assert_true(open_fails("key.pem"));
    put("key.pem", PORCH_LIT("no key"), 0600);
    assert_true(open_fails(""));
    remove_folder();
    make_folder(ports, "front-door");
    put("device.conf",
        PORCH_LIT("hub.host = localhost\nhub.mqtt_port = 1\nhub.device_port = 2\ndevice.id = front-door\n"),
        0600);
    assert_true(open_fails("key.file_for_development"));
    remove_folder();
}

static void a_folder_serves_one_process_at_a_time(void **state) {
    (void)state;
    const uint16_t ports[2] = {1, 2};
    make_folder(ports, "front-door");
    listen_anew();
    porch_device *d = open_device();
    assert_non_null(d);
    assert_true(open_fails("another process"));
    porch_device_close(d);
    d = open_device();
    assert_non_null(d);
    porch_device_close(d);
    remove_folder();
}

/* --- clips --- */

/* Two pieces of a film: a header with a fragment, and another fragment. */
static porch_bytes piece(uint8_t block[512], bool with_header) {
    porch_buf b = {block, 0, 512};
    static const struct {
        const char *type;
        uint32_t body;
    } boxes[] = {{"ftyp", 8}, {"moov", 40}, {"moof", 16}, {"mdat", 200}};
    for (size_t i = with_header ? 0 : 2; i < 4; i++) {
        assert_int_equal(porch_write_u32(&b, boxes[i].body + 8), PORCH_OK);
        assert_int_equal(porch_write_text(&b, boxes[i].type), PORCH_OK);
        for (uint32_t k = 0; k < boxes[i].body; k++)
            assert_int_equal(porch_write_u8(&b, (uint8_t)(k * 7)), PORCH_OK);
    }
    return porch_buf_bytes(&b);
}

static bool hub_gets(test_hub *h, size_t bytes, bool complete) {
    struct timespec until = in_time();
    int r = 0;
    (void)pthread_mutex_lock(&h->lock);
    while ((h->clips[0].len < bytes || h->clips[0].complete != complete) && r == 0)
        r = pthread_cond_timedwait(&h->changed, &h->lock, &until);
    bool yes = h->clips[0].len == bytes && h->clips[0].complete == complete;
    (void)pthread_mutex_unlock(&h->lock);
    return yes;
}

static void a_clip_is_at_the_hub_while_it_is_still_recorded(void **state) {
    (void)state;
    test_hub h = {0};
    uint8_t one[512], two[512];
    char sha256[65];
    uint64_t bytes = 0;
    hub_start(&h, &hub_cert, NULL);
    make_folder(h.port, "front-door");
    listen_anew();
    porch_device *d = open_device();
    porch_event_id event = porch_event_id_new();
    porch_clip *clip = porch_clip_begin(d, &event, NULL);
    assert_non_null(clip);
    porch_bytes a = piece(one, true), b = piece(two, false);
    assert_int_equal(porch_clip_append(clip, a.at, a.len, NULL), PORCH_DEVICE_OK);
    assert_true(hub_gets(&h, a.len, false));
    assert_true(hears(PORCH_DEVICE_CLIP_STARTED));
    assert_int_equal(porch_clip_append(clip, b.at, b.len, NULL), PORCH_DEVICE_OK);
    assert_true(hub_gets(&h, a.len + b.len, false));
    assert_int_equal(porch_clip_finish(clip, &bytes, sha256, NULL), PORCH_DEVICE_OK);
    assert_int_equal(bytes, a.len + b.len);
    assert_true(hears(PORCH_DEVICE_CLIP_COMPLETE));
    assert_true(hub_gets(&h, a.len + b.len, true));
    assert_string_equal(h.clips[0].event, event.text);
    assert_string_equal(heard.sha256, sha256);
    assert_int_equal(porch_device_flush(d, WAIT_MS, NULL), PORCH_DEVICE_OK);
    porch_device_close(d);
    hub_stop(&h);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/state/clips", folder);
    assert_int_equal(rmdir(path), 0); /* empty: the clip is gone from disk */
    remove_folder();
}

static void a_clip_that_a_killed_process_left_is_ended_and_completed(void **state) {
    (void)state;
    test_hub h = {0};
    uint8_t block[512];
    hub_start(&h, &hub_cert, NULL);
    make_folder(h.port, "front-door");
    porch_bytes whole = piece(block, true);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/state", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/state/clips", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    uint8_t torn[600];
    memcpy(torn, whole.at, whole.len);
    static const uint8_t begun[] = {0, 0, 0, 0x40, 'm', 'o', 'o', 'f', 1, 2};
    memcpy(torn + whole.len, begun, sizeof begun);
    put("state/clips/00000003-event-9.mp4", (porch_bytes){torn, whole.len + 10}, 0600);
    listen_anew();
    porch_device *d = open_device();
    assert_true(hears(PORCH_DEVICE_CLIP_COMPLETE));
    assert_true(hub_gets(&h, whole.len, true));
    assert_string_equal(h.clips[0].event, "event-9");
    porch_device_close(d);
    hub_stop(&h);
    remove_folder();
}

/* The power went between the clip's last bytes and its end: the hub has them all, as a film's last box. */
static void a_clip_of_which_the_hub_has_the_last_box_is_completed(void **state) {
    (void)state;
    static const uint8_t last_box[] = {0, 0, 0, 12, 'm', 'f', 'r', 'a', 1, 2, 3, 4};
    test_hub h = {0};
    uint8_t block[512], file[600];
    char path[128];
    porch_bytes whole = piece(block, true);
    memcpy(file, whole.at, whole.len);
    memcpy(file + whole.len, last_box, sizeof last_box);
    size_t bytes = whole.len + sizeof last_box;
    (void)snprintf(h.clips[0].event, sizeof h.clips[0].event, "event-9");
    memcpy(h.clips[0].bytes, file, bytes);
    h.clips[0].len = bytes;
    h.clips[0].begun = true;
    hub_start(&h, &hub_cert, NULL);
    make_folder(h.port, "front-door");
    (void)snprintf(path, sizeof path, "%s/state", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/state/clips", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    put("state/clips/00000003-event-9.mp4", (porch_bytes){file, bytes}, 0600);
    listen_anew();
    porch_device *d = open_device();
    assert_true(hears(PORCH_DEVICE_CLIP_COMPLETE));
    assert_true(hub_gets(&h, bytes, true));
    porch_device_close(d);
    hub_stop(&h);
    remove_folder();
}

static void a_clip_recorded_while_the_hub_is_away_is_sent_when_it_is_back(void **state) {
    (void)state;
    test_hub h = {0}, back = {0};
    uint16_t ports[2];
    uint8_t block[512];
    hub_start(&h, &hub_cert, NULL);
    memcpy(ports, h.port, sizeof ports);
    hub_stop(&h);
    make_folder(ports, "front-door");
    listen_anew();
    porch_device *d = open_device();
    porch_event_id event = porch_event_id_new();
    porch_clip *clip = porch_clip_begin(d, &event, NULL);
    porch_bytes a = piece(block, true);
    assert_int_equal(porch_clip_append(clip, a.at, a.len, NULL), PORCH_DEVICE_OK);
    assert_true(hears(PORCH_DEVICE_CLIP_DELAYED));
    assert_int_equal(porch_clip_finish(clip, NULL, NULL, NULL), PORCH_DEVICE_OK);
    hub_start(&back, &hub_cert, ports);
    assert_true(hears(PORCH_DEVICE_CLIP_COMPLETE));
    assert_true(hub_gets(&back, a.len, true));
    porch_device_close(d);
    hub_stop(&back);
    remove_folder();
}

static bool hub_completes(test_hub *h, unsigned clips) {
    struct timespec until = in_time();
    unsigned complete = 0;
    int r = 0;
    (void)pthread_mutex_lock(&h->lock);
    while (r == 0) {
        complete = 0;
        for (size_t i = 0; i < CLIPS; i++)
            complete += h->clips[i].complete;
        if (complete == clips) break;
        r = pthread_cond_timedwait(&h->changed, &h->lock, &until);
    }
    (void)pthread_mutex_unlock(&h->lock);
    return complete == clips;
}

/* The clip that an earlier run had begun is not the oldest of those that it left. */
static void a_hub_without_a_place_for_another_clip_gets_one_that_it_has_begun(void **state) {
    (void)state;
    test_hub h = {.places = 1};
    uint8_t block[512];
    porch_bytes whole = piece(block, true);
    (void)snprintf(h.clips[0].event, sizeof h.clips[0].event, "event-9");
    memcpy(h.clips[0].bytes, whole.at, 100);
    h.clips[0].len = 100;
    h.clips[0].begun = true;
    hub_start(&h, &hub_cert, NULL);
    make_folder(h.port, "front-door");
    make_state_folder("");
    make_state_folder("clips");
    put("state/clips/00000003-event-3.mp4", whole, 0600);
    put("state/clips/00000004-event-4.mp4", whole, 0600);
    put("state/clips/00000005-event-9.mp4", whole, 0600);
    listen_anew();
    porch_device *d = open_device();
    assert_true(hub_completes(&h, 3)); /* and then has room for the others */
    assert_int_equal(porch_device_flush(d, WAIT_MS, NULL), PORCH_DEVICE_OK);
    porch_device_close(d);
    hub_stop(&h);
    remove_folder();
}

/* The same with what this run knows: the clip that waits was refused, the one that was cut was begun. */
static void a_clip_that_was_cut_takes_its_place_up_again_before_others_are_begun(void **state) {
    (void)state;
    test_hub h = {.places = 1}, back = {.places = 1};
    uint16_t ports[2];
    uint8_t one[512], two[512];
    porch_event_id older = porch_event_id_new(), event = porch_event_id_new();
    porch_bytes a = piece(one, true), b = piece(two, false);
    hub_start(&h, &hub_cert, NULL);
    memcpy(ports, h.port, sizeof ports);
    make_folder(ports, "front-door");
    listen_anew();
    porch_device *d = open_device();
    porch_clip *refused = porch_clip_begin(d, &older, NULL), *clip = porch_clip_begin(d, &event, NULL);
    assert_int_equal(porch_clip_append(clip, a.at, a.len, NULL), PORCH_DEVICE_OK);
    assert_true(hub_gets(&h, a.len, false));
    assert_int_equal(porch_clip_append(refused, a.at, a.len, NULL), PORCH_DEVICE_OK);
    assert_int_equal(porch_clip_finish(refused, NULL, NULL, NULL), PORCH_DEVICE_OK);
    assert_true(hears(PORCH_DEVICE_CLIP_DELAYED));
    assert_int_equal(heard.code, 429);
    hub_stop(&h);
    assert_int_equal(porch_clip_append(clip, b.at, b.len, NULL), PORCH_DEVICE_OK);
    assert_int_equal(porch_clip_finish(clip, NULL, NULL, NULL), PORCH_DEVICE_OK);
    memcpy(back.clips, h.clips, sizeof back.clips);
    hub_start(&back, &hub_cert, ports);
    assert_true(hub_completes(&back, 2));
    porch_device_close(d);
    hub_stop(&back);
    remove_folder();
}

/* A port of the clips that takes connections and never says a word. The first one's end is waited for. */
static void a_clip_that_ends_while_its_connection_is_made_takes_the_connection_along(void **state) {
    (void)state;
    uint16_t ports[2] = {1, 0};
    uint8_t block[512];
    int listening = -1, fd = -1;
    assert_int_equal(porch_socket_listen_tcp("127.0.0.1", 0, 16, &listening, &ports[1], NULL), PORCH_OK);
    make_folder(ports, "front-door");
    listen_anew();
    porch_device *d = open_device();
    assert_non_null(d);
    porch_event_id event = porch_event_id_new();
    porch_clip *clip = porch_clip_begin(d, &event, NULL);
    porch_bytes a = piece(block, true);
    assert_int_equal(porch_clip_append(clip, a.at, a.len, NULL), PORCH_DEVICE_OK);
    assert_int_equal(porch_socket_wait(listening, POLLIN, WAIT_MS), PORCH_OK);
    assert_int_equal(porch_socket_accept(listening, &fd), PORCH_OK);
    assert_int_equal(porch_socket_wait(fd, POLLIN, WAIT_MS), PORCH_OK); /* its hello */
    assert_int_equal(porch_clip_finish(clip, NULL, NULL, NULL), PORCH_DEVICE_OK);
    ssize_t n = 1;
    while (n > 0 && porch_socket_wait(fd, POLLIN, WAIT_MS) == PORCH_OK)
        n = recv(fd, block, sizeof block, 0);
    assert_int_equal(n, 0); /* closed by the device: nothing is left that its thread would wake up for */
    porch_device_close(d);
    (void)close(fd);
    (void)close(listening);
    remove_folder();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_acknowledged_and_commands_arrive),
        cmocka_unit_test(what_was_said_while_the_hub_was_away_arrives_after_a_restart_of_both),
        cmocka_unit_test(what_cannot_be_read_on_disk_is_told_and_the_device_goes_on),
        cmocka_unit_test(a_refused_device_hears_the_hubs_reason),
        cmocka_unit_test(a_hub_that_cannot_prove_itself_gets_nothing),
        cmocka_unit_test(a_folder_that_does_not_hold_together_is_refused),
        cmocka_unit_test(a_folder_serves_one_process_at_a_time),
        cmocka_unit_test(a_wish_is_kept_told_before_any_connection_and_reported),
        cmocka_unit_test(a_report_does_not_wait_behind_the_spool),
        cmocka_unit_test(a_damaged_wish_is_no_wish_to_guess_at),
        cmocka_unit_test(a_clip_is_at_the_hub_while_it_is_still_recorded),
        cmocka_unit_test(a_clip_that_a_killed_process_left_is_ended_and_completed),
        cmocka_unit_test(a_clip_of_which_the_hub_has_the_last_box_is_completed),
        cmocka_unit_test(a_clip_recorded_while_the_hub_is_away_is_sent_when_it_is_back),
        cmocka_unit_test(a_hub_without_a_place_for_another_clip_gets_one_that_it_has_begun),
        cmocka_unit_test(a_clip_that_was_cut_takes_its_place_up_again_before_others_are_begun),
        cmocka_unit_test(a_clip_that_ends_while_its_connection_is_made_takes_the_connection_along),
    };
    return cmocka_run_group_tests(tests, make_credentials, NULL);
}
