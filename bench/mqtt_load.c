/* mqtt_load: many MQTT 5.0 clients over mutual TLS in one thread, to measure a broker from outside.
 *
 *   mqtt_load FOLDER PORT fan-in|fan-out|pairs|connect|reconnect|idle [--name value]...
 *
 * FOLDER has ca.pem, cert.pem and key.pem, as `porchlight service add` writes them; --key URI takes a key
 * of a TPM (--tcti says how it is reached) or token instead. One JSON line goes to standard output.
 *
 *   fan-in    `clients` publishers, 1 subscriber          fan-out  1 publisher, `clients` subscribers
 *   pairs     `clients` publishers, a subscriber for each
 *   connect   full handshakes, counted at CONNACK: only then has the broker judged the client's chain
 *   reconnect the same by clients that resume with the ticket of the time before, where the broker gives
 * one idle      connects `clients`, each with `filters` subscriptions, says so, and holds them until
 * standard input ends
 *
 * The load is a closed loop: at most `window` deliveries are outstanding, so that a slow broker is not
 * asked for more than it passes on, and what is counted has arrived. What does not arrive for a second is
 * told as `lost`. With --topics each publisher goes round so many topics instead of one. With --rate the
 * publications a second are limited instead, which is how latency is measured. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/key_uri.h"
#include "crypto/random.h"
#include "crypto/tls.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/loop.h"
#include "os/socket.h"
#include "wire/mqtt_packet.h"

#define PAYLOAD_BYTES   128
#define IN_BYTES        32768 /* more than one record */
#define OUT_BYTES       32768
#define MOST_PACKET     4096
#define OPENING         16  /* handshakes under way at once */
#define QOS1_INFLIGHT   100 /* of one publisher */
#define UP_US           300000000ull
#define FILTERS_A_TIME  50 /* of one SUBSCRIBE of a quiet client */
#define STALL_US        1000000ull
#define LATENCY_BUCKETS 1024

typedef enum { DOWN, SHAKING, CONNECTING, SUBSCRIBING, UP } stage;

typedef struct {
    porch_loop_watch watch;
    porch_tls_conn *tls;
    porch_tls_client *own; /* keeps its session (reconnect) */
    int fd;
    stage stage;
    bool subscriber;
    unsigned number;
    unsigned filters;  /* subscribed to, of a quiet client */
    unsigned inflight; /* QoS 1 publications without PUBACK */
    uint16_t packet_id;
    uint8_t *in, *out;
    size_t in_len, out_at, out_len;
    uint8_t template[512]; /* its PUBLISH, with holes for packet identifier and time */
    size_t template_len;
    uint8_t next_topic; /* with --topics */
} client;

typedef struct {
    const char *folder, *kind, *prefix, *host;
    const char *key, *tcti; /* a key of a TPM or token instead of key.pem, and how that TPM is reached */
    unsigned port, qos, clients, seconds, window, batch, rate, filters, topics;
} options;

static options opt = {.prefix = "bench/load",
                      .host = "localhost",
                      .clients = 100,
                      .seconds = 2,
                      .window = 10000,
                      .batch = 16};
static porch_loop *loop;
static porch_tls_client *tls; /* for all; NULL when each resumes its own session */
static porch_tls_client_config config;
static client *all;
static unsigned all_count, publishers, fan = 1, up, opening, turn_of;
static char run_id[33];
static uint64_t sent, received, acked, lost, connected, resumed;
static uint64_t latency[LATENCY_BUCKETS];
static const porch_mqtt_properties none;

static _Noreturn void die(const char *what, const char *detail) {
    fprintf(stderr, "mqtt_load: %s%s%s\n", what, detail[0] ? ": " : "", detail);
    exit(1);
}

static void must(porch_err e, const char *what) {
    if (e != PORCH_OK) die(what, "");
}

/* Sixteen buckets a power of two: figures are right to 6 %. */
static unsigned bucket_of(uint64_t us) {
    if (us < 16) return (unsigned)us;
    unsigned high = 63u - (unsigned)__builtin_clzll(us);
    unsigned index = (high - 3) * 16 + (unsigned)((us >> (high - 4)) & 15);
    return index < LATENCY_BUCKETS ? index : LATENCY_BUCKETS - 1;
}

static uint64_t bucket_us(unsigned index) {
    return index < 16 ? index : (uint64_t)(16 + index % 16) << (index / 16 - 1);
}

static uint64_t percentile(unsigned hundredths) {
    uint64_t total = 0, seen = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        total += latency[i];
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        if ((seen += latency[i]) * 100 >= total * hundredths && seen > 0) return bucket_us(i);
    return 0;
}

/* ---- one client ---- */

static void on_ready(void *ctx, uint32_t events);

static void flush(client *c) {
    while (c->out_at < c->out_len) {
        size_t taken, len = c->out_len - c->out_at;
        if (len > PORCH_TLS_RECORD_BYTES) len = PORCH_TLS_RECORD_BYTES;
        porch_err e = porch_tls_write(c->tls, c->out + c->out_at, len, &taken);
        if (e == PORCH_ERR_AGAIN) break;
        if (e != PORCH_OK) die("the broker closed a connection", porch_tls_error(c->tls));
        c->out_at += taken;
    }
    if (c->out_at == c->out_len) c->out_at = c->out_len = 0;
    must(porch_loop_mod(loop, &c->watch, c->out_len > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN), "epoll");
}

static porch_buf room(client *c) {
    return (porch_buf){c->out, c->out_len, OUT_BYTES};
}

static void send_connect(client *c) {
    char id[96];
    (void)snprintf(id, sizeof id, "bench/%.8s-%u-%llu", run_id, c->number, (unsigned long long)connected);
    porch_mqtt_connect packet = {.version = PORCH_MQTT_V5, .clean_start = true, .keep_alive_s = 600};
    packet.client_id = porch_bytes_of(id);
    porch_buf b = room(c);
    must(porch_mqtt_connect_write(&b, &packet), "writing CONNECT");
    c->out_len = b.len;
    c->stage = CONNECTING;
    flush(c);
}

/* Each run has a level of its own: what an earlier one left in the broker is not counted here. */
static void topic_of(const client *c, bool filter, char *out, size_t cap) {
    const char *last = opt.topics == 0 ? "" : filter ? "/+" : "/a"; /* the letter changes */
    if (strcmp(opt.kind, "pairs") == 0)
        (void)snprintf(out, cap, "%s/%.8s/%u%s", opt.prefix, run_id,
                       c->subscriber ? c->number - publishers : c->number, last);
    else if (filter)
        (void)snprintf(out, cap, "%s/%.8s/#", opt.prefix, run_id);
    else
        (void)snprintf(out, cap, "%s/%.8s/%u%s", opt.prefix, run_id, c->number, last);
}

static void send_subscribe(client *c) {
    char filter[128];
    uint8_t space[256];
    topic_of(c, true, filter, sizeof filter);
    porch_buf list = PORCH_BUF_OF(space), b = room(c);
    porch_mqtt_subscription one = {.text = porch_bytes_of(filter), .qos = (uint8_t)opt.qos};
    must(porch_mqtt_subscription_put(&list, PORCH_MQTT_V5, &one), "writing a filter");
    porch_mqtt_subscribe packet = {1, 1, porch_buf_bytes(&list), none};
    must(porch_mqtt_subscribe_write(&b, PORCH_MQTT_V5, &packet), "writing SUBSCRIBE");
    c->out_len = b.len;
    c->stage = SUBSCRIBING;
    flush(c);
}

/* The next filters of a quiet client, of its own level; every other one with a wildcard. */
static void send_filters(client *c) {
    static uint8_t space[FILTERS_A_TIME * 160];
    porch_buf list = PORCH_BUF_OF(space), b = room(c);
    unsigned first = c->filters,
             last = first + FILTERS_A_TIME < opt.filters ? first + FILTERS_A_TIME : opt.filters;
    for (; c->filters < last; c->filters++) {
        char filter[128];
        (void)snprintf(filter, sizeof filter, "%s/%.8s/%u/%u/%s", opt.prefix, run_id, c->number, c->filters,
                       c->filters % 2 == 0 ? "state" : "+");
        const porch_mqtt_subscription one = {.text = porch_bytes_of(filter)};
        must(porch_mqtt_subscription_put(&list, PORCH_MQTT_V5, &one), "writing a filter");
    }
    porch_mqtt_subscribe packet = {1, (uint16_t)(last - first), porch_buf_bytes(&list), none};
    must(porch_mqtt_subscribe_write(&b, PORCH_MQTT_V5, &packet), "writing SUBSCRIBE");
    c->out_len = b.len;
    c->stage = SUBSCRIBING;
    flush(c);
}

static void make_template(client *c) {
    char topic[128];
    uint8_t payload[PAYLOAD_BYTES];
    memset(payload, 'x', sizeof payload);
    topic_of(c, false, topic, sizeof topic);
    porch_mqtt_publish packet = {.topic = {porch_bytes_of(topic)},
                                 .payload = {payload, sizeof payload},
                                 .qos = (uint8_t)opt.qos,
                                 .packet_id = opt.qos ? 1 : 0};
    porch_buf b = PORCH_BUF_OF(c->template);
    must(porch_mqtt_publish_write(&b, PORCH_MQTT_V5, &packet), "writing PUBLISH");
    c->template_len = b.len;
}

/* The template's end: [topic's last letter] [packet identifier 2, QoS 1 only] [property length 1] [payload:
 * time 8, filler] */
static void put_publish(client *c, uint64_t now_us) {
    uint8_t *at = c->out + c->out_len, *payload = at + c->template_len - PAYLOAD_BYTES;
    memcpy(at, c->template, c->template_len);
    memcpy(payload, &now_us, sizeof now_us);
    if (opt.topics > 0) {
        payload[opt.qos ? -4 : -2] = (uint8_t)('a' + c->next_topic);
        c->next_topic = (uint8_t)((c->next_topic + 1u) % opt.topics);
    }
    if (opt.qos) {
        if (++c->packet_id == 0) c->packet_id = 1;
        payload[-3] = (uint8_t)(c->packet_id >> 8);
        payload[-2] = (uint8_t)c->packet_id;
        c->inflight++;
    }
    c->out_len += c->template_len;
    sent++;
}

static void open_client(client *c) {
    porch_why why = {""};
    if (porch_socket_connect_tcp("127.0.0.1", (uint16_t)opt.port, 5000, &c->fd, &why) != PORCH_OK)
        die("no connection", why.text);
    if (tls == NULL && c->own == NULL && porch_tls_client_new(&config, &c->own, &why) != PORCH_OK)
        die("TLS", why.text);
    must(porch_tls_connect(tls != NULL ? tls : c->own, c->fd, &c->tls), "no memory");
    c->in_len = c->out_at = c->out_len = 0;
    c->stage = SHAKING;
    opening++;
    must(porch_loop_add(loop, &c->watch, c->fd, EPOLLIN | EPOLLOUT, on_ready, c), "epoll");
}

static void close_client(client *c) {
    porch_loop_del(loop, &c->watch);
    porch_tls_shutdown(c->tls);
    porch_tls_free(c->tls);
    (void)close(c->fd);
    c->tls = NULL;
    c->stage = DOWN;
}

static bool storms(void) {
    return strstr(opt.kind, "connect") != NULL;
}

static void came_up(client *c) {
    opening--;
    connected++;
    c->stage = UP;
    up++;
    if (!storms()) return;
    porch_tls_peer_info peer;
    if (porch_tls_peer(c->tls, &peer) == PORCH_OK && peer.resumed) resumed++;
    porch_buf b = room(c);
    porch_mqtt_disconnect bye = {0};
    must(porch_mqtt_disconnect_write(&b, PORCH_MQTT_V5, &bye), "writing DISCONNECT");
    c->out_len = b.len;
    flush(c);
    close_client(c);
    up--;
}

static void on_publish(client *c, const porch_mqtt_frame *f, uint64_t now_us) {
    if (f->body.len < PAYLOAD_BYTES + 2) die("a delivery is too short", "");
    uint64_t then_us;
    memcpy(&then_us, f->body.at + f->body.len - PAYLOAD_BYTES, sizeof then_us);
    latency[bucket_of(now_us > then_us ? now_us - then_us : 0)]++;
    received++;
    if (received > sent * fan) die("there are more deliveries than publications", "");
    if ((f->flags >> 1 & 3) == 0) return;
    size_t id_at = 2 + ((size_t)f->body.at[0] << 8 | f->body.at[1]);
    if (id_at + 2 > f->body.len) die("a delivery is malformed", "");
    porch_buf b = room(c);
    porch_mqtt_ack ack = {.type = PORCH_MQTT_PUBACK,
                          .packet_id = (uint16_t)(f->body.at[id_at] << 8 | f->body.at[id_at + 1])};
    must(porch_mqtt_ack_write(&b, PORCH_MQTT_V5, &ack), "the broker does not take acknowledgements");
    c->out_len = b.len;
}

static _Noreturn void refused(const char *what, uint8_t reason) {
    char code[8];
    (void)snprintf(code, sizeof code, "0x%02x", reason);
    die(what, code);
}

static void on_frame(client *c, const porch_mqtt_frame *f, uint64_t now_us) {
    const uint8_t *at = f->body.at;
    size_t len = f->body.len;
    switch (f->type) {
    case PORCH_MQTT_PUBLISH:
        on_publish(c, f, now_us);
        return;
    case PORCH_MQTT_PUBACK:
        if (len > 2 && at[2] >= 0x80) refused("a publication was refused", at[2]);
        if (c->inflight > 0) c->inflight--;
        acked++;
        return;
    case PORCH_MQTT_CONNACK:
        if (len < 2 || at[1] != 0) refused("CONNECT was refused", len < 2 ? 0xff : at[1]);
        if (c->subscriber)
            send_subscribe(c);
        else if (opt.filters > 0)
            send_filters(c);
        else
            came_up(c);
        return;
    case PORCH_MQTT_SUBACK:
        if (len < 3 || at[len - 1] > 2) refused("SUBSCRIBE was refused", len < 3 ? 0xff : at[len - 1]);
        if (c->filters < opt.filters)
            send_filters(c);
        else
            came_up(c);
        return;
    case PORCH_MQTT_DISCONNECT:
        refused("the broker ended a session", len > 0 ? at[0] : 0);
    default:
        die("an unexpected packet", porch_mqtt_type_name(f->type));
    }
}

static void read_frames(client *c) {
    while (c->stage != DOWN) {
        size_t got, at = 0;
        porch_err e = porch_tls_read(c->tls, c->in + c->in_len, IN_BYTES - c->in_len, &got);
        if (e == PORCH_ERR_AGAIN) break;
        if (e != PORCH_OK) die("the broker closed a connection", porch_tls_error(c->tls));
        c->in_len += got;
        uint64_t now_us = porch_clock_mono_us();
        porch_mqtt_frame f;
        while (c->stage != DOWN && (e = porch_mqtt_frame_read((porch_bytes){c->in + at, c->in_len - at},
                                                              MOST_PACKET, NULL, &f)) == PORCH_OK) {
            on_frame(c, &f, now_us);
            at += f.bytes;
        }
        if (e != PORCH_OK && e != PORCH_ERR_TRUNCATED) die("the broker's bytes are not MQTT", "");
        if (c->stage == DOWN) return;
        memmove(c->in, c->in + at, c->in_len - at);
        c->in_len -= at;
        if (c->out_len > 0) flush(c);
    }
}

static void on_ready(void *ctx, uint32_t events) {
    client *c = ctx;
    if (c->stage == SHAKING) {
        porch_why why = {""};
        porch_err e = porch_tls_handshake(c->tls, &why);
        if (e == PORCH_ERR_AGAIN) {
            uint32_t want = porch_tls_wants_write(c->tls) ? EPOLLIN | EPOLLOUT : EPOLLIN;
            must(porch_loop_mod(loop, &c->watch, want), "epoll");
            return;
        }
        if (e != PORCH_OK) die("a handshake failed", why.text);
        send_connect(c);
    }
    if (events & EPOLLOUT) flush(c);
    read_frames(c);
}

/* ---- all of them ---- */

static void make_clients(void) {
    bool in = strcmp(opt.kind, "fan-in") == 0, pairs = strcmp(opt.kind, "pairs") == 0;
    bool out = strcmp(opt.kind, "fan-out") == 0;
    publishers = out ? 1 : opt.clients;
    unsigned subscribers = in ? 1 : out || pairs ? opt.clients : 0;
    if (storms()) publishers = OPENING;
    if (out) fan = opt.clients;
    all_count = publishers + subscribers;
    all = calloc(all_count, sizeof *all);
    uint8_t *space = malloc((size_t)all_count * (IN_BYTES + OUT_BYTES));
    if (all == NULL || space == NULL) die("no memory", "");
    for (unsigned i = 0; i < all_count; i++) {
        client *c = &all[i];
        c->number = i;
        c->subscriber = i >= publishers;
        c->in = space + (size_t)i * (IN_BYTES + OUT_BYTES);
        c->out = c->in + IN_BYTES;
        make_template(c);
    }
}

static void bring_up(void) {
    uint64_t end = porch_clock_mono_us() + UP_US;
    for (unsigned next = 0; up < all_count;) {
        while (next < all_count && opening < OPENING)
            open_client(&all[next++]);
        must(porch_loop_turn(loop, 100), "epoll");
        if (porch_clock_mono_us() > end) die("not all clients came up within five minutes", "");
    }
}

/* Gives each publisher its turn until the window is full or nobody can take more. */
static void pump(uint64_t now_us, uint64_t allowed) {
    unsigned idle = 0;
    while (idle < publishers && (sent + 1) * fan <= received + lost + opt.window && sent < allowed) {
        client *c = &all[turn_of++ % publishers];
        unsigned n = 0;
        idle++;
        if (c->out_len > 0) continue; /* the socket is full */
        for (; n < opt.batch && (sent + 1) * fan <= received + lost + opt.window && sent < allowed; n++) {
            if (opt.qos && c->inflight >= QOS1_INFLIGHT) break;
            if (c->out_len + c->template_len > OUT_BYTES) break;
            put_publish(c, now_us);
        }
        if (n > 0) idle = 0;
        if (n > 0) flush(c);
    }
}

/* Runs the load for some time. */
static void drive(uint64_t run_us) {
    static uint64_t last_received, last_progress_us;
    uint64_t start = porch_clock_mono_us(), sent_before = sent;
    last_progress_us = start;
    for (uint64_t now = start; now < start + run_us; now = porch_clock_mono_us()) {
        uint64_t allowed = opt.rate ? sent_before + (now - start) * opt.rate / 1000000 : UINT64_MAX;
        pump(now, allowed);
        must(porch_loop_turn(loop, opt.rate ? 1 : 50), "epoll");
        if (received != last_received) {
            last_received = received;
            last_progress_us = now;
        } else if (sent * fan > received + lost && now > last_progress_us + STALL_US) {
            lost = sent * fan - received;
            last_progress_us = now;
        }
    }
}

/* Lets the broker finish, so that the next run finds it at rest. */
static void drain(void) {
    uint64_t end = porch_clock_mono_us() + 2 * STALL_US;
    while (received + lost < sent * fan && porch_clock_mono_us() < end)
        must(porch_loop_turn(loop, 50), "epoll");
}

static void storm(uint64_t run_us) {
    uint64_t start = porch_clock_mono_us();
    while (porch_clock_mono_us() < start + run_us) {
        for (unsigned i = 0; i < all_count; i++)
            if (all[i].stage == DOWN) open_client(&all[i]);
        must(porch_loop_turn(loop, 50), "epoll");
    }
}

static void measure(void (*run)(uint64_t)) {
    run(500000); /* warm up */
    uint64_t received_0 = received, acked_0 = acked, connected_0 = connected, resumed_0 = resumed;
    memset(latency, 0, sizeof latency);
    uint64_t start = porch_clock_mono_us();
    run((uint64_t)opt.seconds * 1000000);
    double s = (double)(porch_clock_mono_us() - start) / 1e6;
    printf("{\"case\": \"%s\", \"qos\": %u, \"clients\": %u, \"seconds\": %.3f, \"delivered_s\": %.0f, "
           "\"acknowledged_s\": %.0f, \"connected_s\": %.1f, \"resumed_s\": %.1f, \"delivered\": %llu, "
           "\"acknowledged\": %llu, \"connected\": %llu, \"lost\": %llu, \"p50_us\": %llu, \"p99_us\": "
           "%llu}\n",
           opt.kind, opt.qos, opt.clients, s, (double)(received - received_0) / s,
           (double)(acked - acked_0) / s, (double)(connected - connected_0) / s,
           (double)(resumed - resumed_0) / s, (unsigned long long)received, (unsigned long long)acked,
           (unsigned long long)connected, (unsigned long long)lost, (unsigned long long)percentile(50),
           (unsigned long long)percentile(99));
}

static void hold(void) {
    printf("{\"case\": \"idle\", \"clients\": %u}\n", all_count);
    (void)fflush(stdout);
    char end;
    while (read(STDIN_FILENO, &end, 1) > 0 || errno == EINTR)
        errno = 0;
}

/* ---- options ---- */

static porch_bytes file_of(const char *name) {
    char path[1024];
    uint8_t *at;
    size_t len;
    porch_why why = {""};
    (void)snprintf(path, sizeof path, "%s/%s", opt.folder, name);
    if (porch_file_read(path, 1 << 20, &at, &len, &why) != PORCH_OK) die(path, why.text);
    return (porch_bytes){at, len};
}

static unsigned number_of(const char *text, const char *name) {
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value > 100000000) die(name, "is not a number");
    return (unsigned)value;
}

static void read_options(int argc, char **argv) {
    static const struct {
        const char *name;
        unsigned *at;
        unsigned least, most;
    } numbers[] = {{"--qos", &opt.qos, 0, 1},
                   {"--clients", &opt.clients, 1, 10000},
                   {"--seconds", &opt.seconds, 1, 600},
                   {"--window", &opt.window, 1, 1000000},
                   {"--batch", &opt.batch, 1, 200},
                   {"--rate", &opt.rate, 0, 1000000},
                   {"--filters", &opt.filters, 0, 1000000},
                   {"--topics", &opt.topics, 0, 26}};
    static const char *const kinds = " fan-in fan-out pairs connect reconnect idle ";
    if (argc < 4 || argc % 2 != 0)
        die("usage", "mqtt_load FOLDER PORT fan-in|fan-out|pairs|connect|idle [--name value]...");
    opt.folder = argv[1];
    opt.port = number_of(argv[2], "PORT");
    opt.kind = argv[3];
    if (strstr(kinds, opt.kind) == NULL) die("no such case", opt.kind);
    for (int i = 4; i < argc; i += 2) {
        bool known = true;
        if (strcmp(argv[i], "--topic") == 0)
            opt.prefix = argv[i + 1];
        else if (strcmp(argv[i], "--key") == 0)
            opt.key = argv[i + 1];
        else if (strcmp(argv[i], "--tcti") == 0)
            opt.tcti = argv[i + 1];
        else
            known = false;
        for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
            if (strcmp(argv[i], numbers[k].name) != 0) continue;
            known = true;
            *numbers[k].at = number_of(argv[i + 1], argv[i]);
            if (*numbers[k].at < numbers[k].least || *numbers[k].at > numbers[k].most)
                die("out of range", argv[i]);
        }
        if (!known) die("unknown option", argv[i]);
    }
    if (strlen(opt.prefix) > 64) die("--topic", "is too long");
    if (opt.filters > 0 && strcmp(opt.kind, "idle") != 0) die("--filters", "is for idle clients");
}

static porch_err open_key(porch_key **ret, porch_why *why) {
    porch_key_uri uri;
    if (opt.key == NULL) return porch_key_load_pem(file_of("key.pem"), ret, why);
    PORCH_TRY(porch_key_uri_parse(porch_bytes_of(opt.key), &uri, why));
    return porch_key_uri_open(&uri, opt.tcti, ret, why);
}

int main(int argc, char **argv) {
    porch_why why = {""};
    porch_key *key;
    (void)signal(SIGPIPE, SIG_IGN);
    read_options(argc, argv);
    porch_random_id(run_id);
    if (open_key(&key, &why) != PORCH_OK) die("the key", why.text);
    config = (porch_tls_client_config){
        .ca_pem = file_of("ca.pem"), .chain_pem = file_of("cert.pem"), .key = key, .name = opt.host};
    config.resume = strcmp(opt.kind, "reconnect") == 0;
    if (!config.resume && porch_tls_client_new(&config, &tls, &why) != PORCH_OK) die("TLS", why.text);
    must(porch_loop_new(&loop, &why), "epoll");
    make_clients();
    if (storms()) {
        measure(storm);
        return 0;
    }
    bring_up();
    if (strcmp(opt.kind, "idle") == 0) {
        hold();
    } else {
        measure(drive);
        drain();
    }
    return 0;
}
