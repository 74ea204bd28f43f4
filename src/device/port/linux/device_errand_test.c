/* Errands against doors that behave badly: real sockets, real TLS, a folder on disk. A door takes one
 * connection after the other, waits for the first bytes, gives its answer and closes. */
#include <porchlight/porchlight.h>

#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cursor.h"
#include "base/text.h"
#include "crypto/tls.h"
#include "crypto/x509.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/socket.h"
#include "wire/signed_time.h"

#define DAY_MS UINT64_C(86400000)
enum { WAIT_MS = 60000, PEM = 3 * PORCH_X509_PEM_BYTES, MANY = 4 };

/* A fixed Ed25519 key for tests, as PKCS#8. */
static const char TIME_KEY[] =
    "-----BEGIN PRIVATE "
    "KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n"
    "-----END PRIVATE KEY-----\n";

typedef struct {
    porch_key *key;
    uint8_t block[PEM];
    porch_buf pem;
} credential;

static credential root, hub, misnamed, own;
static porch_key *time_key;

static void new_leaf(credential *c, porch_ca_request request) {
    porch_public_key public_key;
    c->pem = PORCH_BUF_OF(c->block);
    assert_int_equal(porch_key_generate_p256(&c->key, NULL), PORCH_OK);
    assert_int_equal(porch_key_public(c->key, &public_key, NULL), PORCH_OK);
    const porch_ca above = {porch_buf_bytes(&root.pem), root.key};
    request.not_before_ms = porch_clock_ms() - DAY_MS / 2;
    request.not_after_ms = porch_clock_ms() + 30 * DAY_MS;
    assert_int_equal(porch_ca_issue(&above, &public_key, &request, &c->pem, NULL), PORCH_OK);
}

static int make_credentials(void **state) {
    (void)state;
    root.pem = PORCH_BUF_OF(root.block);
    assert_int_equal(porch_key_generate_p256(&root.key, NULL), PORCH_OK);
    assert_int_equal(porch_ca_make_root("R", root.key, porch_clock_ms() - DAY_MS, 2, &root.pem, NULL),
                     PORCH_OK);
    new_leaf(&hub, (porch_ca_request){.profile = PORCH_PROFILE_HUB_SERVER, .names = {{"localhost"}, 1}});
    new_leaf(&misnamed,
             (porch_ca_request){.profile = PORCH_PROFILE_HUB_SERVER, .names = {{"elsewhere.example"}, 1}});
    new_leaf(&own, (porch_ca_request){.profile = PORCH_PROFILE_DEVICE, .id = "door"});
    assert_int_equal(porch_key_load_pem(porch_bytes_of(TIME_KEY), &time_key, NULL), PORCH_OK);
    return 0;
}

static int free_credentials(void **state) {
    (void)state;
    credential *const all[] = {&root, &hub, &misnamed, &own};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        porch_key_free(all[i]->key);
    porch_key_free(time_key);
    return 0;
}

/* ---- doors ---- */

static _Atomic uint64_t told_ahead_ms; /* the time that is told, by the machine's */

typedef struct {
    porch_tls_server *tls;
    const char *answer; /* NULL: the signed time */
    size_t answer_bytes;
    int fd, stop[2];
    uint16_t port;
    pthread_t thread;
} door;

static bool wait_io(const door *r, int fd, bool write) {
    struct pollfd p[2] = {{.fd = fd, .events = write ? POLLOUT : POLLIN},
                          {.fd = r->stop[0], .events = POLLIN}};
    while (poll(p, 2, -1) < 0 && errno == EINTR) {
    }
    return p[1].revents == 0;
}

/* On a door's own thread, where no test can fail. */
static void must(bool good) {
    if (!good) abort();
}

static porch_bytes tell_time(porch_bytes request, porch_buf *out) {
    static const char name[] = "nonce=";
    uint8_t text_block[PORCH_SIGNED_TIME_BYTES], raw[PORCH_SIGNATURE_MAX_BYTES];
    porch_buf text = PORCH_BUF_OF(text_block), signature = PORCH_BUF_OF(raw);
    porch_signed_time t = {.hub = "hub-1", .at_ms = porch_clock_ms() + atomic_load(&told_ahead_ms)};
    porch_buf nonce = PORCH_BUF_OF(t.nonce);
    const uint8_t *at = memmem(request.at, request.len, name, sizeof name - 1);
    must(at != NULL);
    must(porch_hex_read(&nonce, (porch_bytes){at + sizeof name - 1, 64}) == PORCH_OK);
    must(porch_signed_time_statement(&t, &text) == PORCH_OK);
    must(porch_key_sign(time_key, PORCH_SIGN_ED25519, porch_buf_bytes(&text), &signature, NULL) ==
         PORCH_OK);
    must(porch_signed_time_sign(porch_buf_bytes(&signature), &text) == PORCH_OK);
    must(porch_write_text(out, "HTTP/1.1 200 OK\r\nContent-Length: ") == PORCH_OK);
    must(porch_write_decimal(out, text.len) == PORCH_OK);
    must(porch_write_text(out, "\r\n\r\n") == PORCH_OK);
    must(porch_write_bytes(out, porch_buf_bytes(&text)) == PORCH_OK);
    return porch_buf_bytes(out);
}

static void talk(const door *r, porch_tls_conn *c, int fd) {
    uint8_t in[8192], block[2048];
    size_t got = 0, taken = 0;
    porch_buf out = PORCH_BUF_OF(block);
    porch_err e;
    while ((e = porch_tls_handshake(c, NULL)) == PORCH_ERR_AGAIN &&
           wait_io(r, fd, porch_tls_wants_write(c)))
        ;
    if (e != PORCH_OK) return;
    while ((e = porch_tls_read(c, in, sizeof in, &got)) == PORCH_ERR_AGAIN && wait_io(r, fd, false))
        ;
    if (e != PORCH_OK) return;
    const porch_bytes answer = r->answer != NULL
                                   ? (porch_bytes){(const uint8_t *)r->answer, r->answer_bytes}
                                   : tell_time((porch_bytes){in, got}, &out);
    (void)porch_tls_write(c, answer.at, answer.len, &taken);
    porch_tls_shutdown(c);
    /* until the other side has gone, too, so that nothing is lost */
    while ((e = porch_tls_read(c, in, sizeof in, &got)) == PORCH_OK ||
           (e == PORCH_ERR_AGAIN && wait_io(r, fd, false)))
        ;
}

static void *serve(void *ctx) {
    const door *r = ctx;
    while (wait_io(r, r->fd, false)) {
        int fd = -1;
        porch_tls_conn *c = NULL;
        if (porch_socket_accept(r->fd, &fd) != PORCH_OK) continue;
        if (porch_tls_accept(r->tls, fd, &c) == PORCH_OK) talk(r, c, fd);
        porch_tls_free(c);
        (void)close(fd);
    }
    return NULL;
}

static void door_open(door *r, const credential *who, const char *answer, size_t answer_bytes) {
    const porch_tls_server_config config = {.chain_pem = porch_buf_bytes(&who->pem),
                                            .key = who->key,
                                            .client_ca_pem = porch_buf_bytes(&root.pem),
                                            .client_mode = PORCH_TLS_CLIENT_REQUIRE,
                                            .session_context = PORCH_LIT("test")};
    *r = (door){.answer = answer, .answer_bytes = answer_bytes};
    assert_int_equal(porch_tls_server_new(&config, &r->tls, NULL), PORCH_OK);
    assert_int_equal(porch_socket_listen_tcp("127.0.0.1", 0, 16, &r->fd, &r->port, NULL), PORCH_OK);
    assert_int_equal(pipe(r->stop), 0);
    assert_int_equal(pthread_create(&r->thread, NULL, serve, r), 0);
}

static void door_close(door *r) {
    assert_int_equal(write(r->stop[1], "x", 1), 1);
    (void)pthread_join(r->thread, NULL);
    (void)close(r->fd);
    for (int i = 0; i < 2; i++)
        (void)close(r->stop[i]);
    porch_tls_server_unref(r->tls);
}

/* ---- the device ---- */

static char folder[64];

static void put(const char *name, porch_bytes bytes) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(porch_file_write_atomic(path, bytes, 0600, NULL), PORCH_OK);
}

static void put_state(const char *name, const char *text) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s/state", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "state/%s", name);
    put(path, porch_bytes_of(text));
}

static void make_folder(uint16_t mqtt, uint16_t device) {
    char conf[512];
    uint8_t pem[PORCH_KEY_PEM_BYTES], text[64];
    porch_buf key = PORCH_BUF_OF(pem), time = {text, 0, sizeof text - 1};
    porch_public_key known;
    assert_int_equal(porch_key_public(time_key, &known, NULL), PORCH_OK);
    assert_int_equal(porch_base64_write(&time, (porch_bytes){known.der + known.len - 32, 32}, false),
                     PORCH_OK);
    text[time.len] = '\0';
    (void)snprintf(folder, sizeof folder, "/tmp/porchlight-errand-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(conf, sizeof conf,
                   "hub.host = localhost\nhub.mqtt_port = %u\nhub.device_port = %u\ndevice.id = door\n"
                   "hub.time_key = %s\nkey.file_for_development = true\n",
                   (unsigned)mqtt, (unsigned)device, (const char *)text);
    put("device.conf", porch_bytes_of(conf));
    put("ca.pem", porch_buf_bytes(&root.pem));
    put("cert.pem", porch_buf_bytes(&own.pem));
    assert_int_equal(porch_key_pem(own.key, &key, NULL), PORCH_OK);
    put("key.pem", porch_buf_bytes(&key));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk) {
    (void)st, (void)kind, (void)walk;
    return remove(path);
}

static void remove_folder(void) {
    (void)nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned seen[PORCH_DEVICE_CLOCK_SET + 1];
    char text[256];      /* of the last delayed renewal */
    uint64_t paused_ms;  /* promised in all, before the last attempt */
    uint64_t promise_ms; /* after it */
    uint64_t longest_ms; /* of those promises */
    uint64_t began_ms;
    int code;   /* the hub's last reason */
    bool early; /* an attempt came before the pauses were over */
} ears;

static ears heard;

static void on_status(void *ctx, const porch_device_status *s) {
    (void)ctx;
    (void)pthread_mutex_lock(&heard.lock);
    heard.seen[s->news]++;
    if (s->news == PORCH_DEVICE_RENEWAL_DELAYED)
        (void)snprintf(heard.text, sizeof heard.text, "%s", s->text);
    if (s->news == PORCH_DEVICE_DISCONNECTED) {
        heard.paused_ms += heard.promise_ms;
        heard.promise_ms = s->next_ms;
        if (s->next_ms > heard.longest_ms) heard.longest_ms = s->next_ms;
        if (s->code != 0) heard.code = s->code;
        heard.early = heard.early || porch_clock_mono_ms() < heard.began_ms + heard.paused_ms;
    }
    (void)pthread_cond_broadcast(&heard.changed);
    (void)pthread_mutex_unlock(&heard.lock);
}

static porch_device *open_device(void) {
    const porch_device_options options = {.folder = folder, .on_status = on_status};
    heard = (ears){.lock = PTHREAD_MUTEX_INITIALIZER, .began_ms = porch_clock_mono_ms()};
    (void)pthread_cond_init(&heard.changed, NULL);
    porch_device *d = porch_device_open(&options, NULL);
    assert_non_null(d);
    return d;
}

static void wait_for(porch_device_news news, unsigned times) {
    (void)pthread_mutex_lock(&heard.lock);
    while (heard.seen[news] < times)
        (void)pthread_cond_wait(&heard.changed, &heard.lock); /* the runner's patience ends it */
    (void)pthread_mutex_unlock(&heard.lock);
}

static void wait_for_code(int code) {
    (void)pthread_mutex_lock(&heard.lock);
    while (heard.code != code)
        (void)pthread_cond_wait(&heard.changed, &heard.lock);
    (void)pthread_mutex_unlock(&heard.lock);
}

/* ---- tests ---- */

static const char REFUSAL[] = {0x20, 3, 0, (char)0x87, 0}; /* CONNACK: not authorized */
static const char NO_TIME[] = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";

/* The system's clock is before the floor, so a hub whose certificate has ended since might stand there. */
static void where_the_floor_is_all_that_is_known_no_hub_is_talked_to_before_it_told_the_time(void **state) {
    (void)state;
    char floor[32];
    door mqtt, device;
    door_open(&mqtt, &hub, REFUSAL, sizeof REFUSAL);
    door_open(&device, &hub, NO_TIME, sizeof NO_TIME - 1);
    make_folder(mqtt.port, device.port);
    (void)snprintf(floor, sizeof floor, "%llu\n", (unsigned long long)(porch_clock_ms() + 10 * DAY_MS));
    put_state("time", floor);
    porch_device *d = open_device();
    wait_for(PORCH_DEVICE_RENEWAL_DELAYED, 1);
    wait_for(PORCH_DEVICE_DISCONNECTED, 2);
    assert_int_equal(heard.code, 0);
    porch_device_close(d);
    door_close(&device);
    remove_folder();
    atomic_store(&told_ahead_ms, 11 * DAY_MS);
    door_open(&device, &hub, NULL, 0);
    make_folder(mqtt.port, device.port);
    put_state("time", floor);
    d = open_device();
    wait_for(PORCH_DEVICE_CLOCK_SET, 1);
    wait_for_code(0x87);
    porch_device_close(d);
    door_close(&device);
    door_close(&mqtt);
    remove_folder();
    atomic_store(&told_ahead_ms, 0);
}

static void an_answer_that_ends_with_its_connection_is_not_judged(void **state) {
    (void)state;
    static const char answer[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nporchlight time 1\n";
    door mqtt, device;
    door_open(&mqtt, &hub, REFUSAL, sizeof REFUSAL);
    door_open(&device, &hub, answer, sizeof answer - 1);
    make_folder(mqtt.port, device.port);
    porch_device *d = open_device();
    wait_for(PORCH_DEVICE_RENEWAL_DELAYED, 1);
    assert_non_null(strstr(heard.text, "closed the connection with its answer"));
    porch_device_close(d);
    door_close(&device);
    door_close(&mqtt);
    remove_folder();
}

/* A listener whose queue is full: who dials waits, until somebody accepts. */
static int full_listener(uint16_t *port, int fillers[MANY]) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    for (int i = 0; i < MANY; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (connect(fillers[i], (struct sockaddr *)&a, sizeof a) != 0) assert_int_equal(errno, EINPROGRESS);
    }
    *port = ntohs(a.sin_port);
    return fd;
}

/* Accepts until somebody says something. */
static void hear_a_word(int listener) {
    struct pollfd p[64] = {{.fd = listener, .events = POLLIN}};
    nfds_t count = 1;
    bool word = false;
    while (!word && count < 64 && poll(p, count, WAIT_MS) > 0) {
        for (nfds_t i = 1; i < count; i++) {
            char byte;
            if (p[i].revents == 0) continue;
            word = word || recv(p[i].fd, &byte, 1, MSG_PEEK) > 0;
            p[i].events = 0; /* gone */
        }
        if (p[0].revents != 0)
            p[count++] = (struct pollfd){.fd = accept(listener, NULL, NULL), .events = POLLIN};
    }
    for (nfds_t i = 1; i < count; i++)
        (void)close(p[i].fd);
    assert_true(word);
}

static void an_errand_that_dials_while_the_certificates_change_uses_the_new_ones(void **state) {
    (void)state;
    door mqtt;
    uint16_t port = 0;
    int fillers[MANY], listener = full_listener(&port, fillers);
    door_open(&mqtt, &hub, REFUSAL, sizeof REFUSAL);
    make_folder(mqtt.port, port);
    put("cert.next.pem", porch_buf_bytes(&own.pem));
    porch_device *d = open_device();
    wait_for(PORCH_DEVICE_DISCONNECTED, 2); /* refused with each of the two */
    hear_a_word(listener);
    porch_device_close(d);
    door_close(&mqtt);
    for (int i = 0; i < MANY; i++)
        (void)close(fillers[i]);
    (void)close(listener);
    remove_folder();
}

/* Pauses are drawn from a span of 250 ms at first, which doubles: past that span it has grown. That none of
 * so many would be drawn from there has a chance of one in many millions. */
static void the_pauses_grow_while_both_certificates_are_refused(void **state) {
    (void)state;
    enum { FIRST_SPAN_MS = 250, ATTEMPTS = 9 };
    door mqtt, device;
    door_open(&mqtt, &hub, REFUSAL, sizeof REFUSAL);
    door_open(&device, &hub, NO_TIME, sizeof NO_TIME - 1);
    make_folder(mqtt.port, device.port);
    put("cert.next.pem", porch_buf_bytes(&own.pem));
    porch_device *d = open_device();
    (void)pthread_mutex_lock(&heard.lock);
    while (heard.longest_ms <= FIRST_SPAN_MS && heard.seen[PORCH_DEVICE_DISCONNECTED] < ATTEMPTS)
        (void)pthread_cond_wait(&heard.changed, &heard.lock);
    uint64_t longest_ms = heard.longest_ms;
    (void)pthread_mutex_unlock(&heard.lock);
    assert_true(longest_ms > FIRST_SPAN_MS);
    assert_false(heard.early);
    porch_device_close(d);
    door_close(&device);
    door_close(&mqtt);
    remove_folder();
}

static void a_right_clock_does_not_shorten_the_pauses_of_a_hub_that_cannot_prove_itself(void **state) {
    (void)state;
    door mqtt, device;
    door_open(&mqtt, &misnamed, REFUSAL, sizeof REFUSAL);
    door_open(&device, &hub, NULL, 0);
    make_folder(mqtt.port, device.port);
    porch_device *d = open_device();
    wait_for(PORCH_DEVICE_DISCONNECTED, 5);
    assert_false(heard.early);
    assert_int_equal(heard.seen[PORCH_DEVICE_CLOCK_SET], 0);
    porch_device_close(d);
    door_close(&device);
    door_close(&mqtt);
    remove_folder();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_that_ends_with_its_connection_is_not_judged),
        cmocka_unit_test(an_errand_that_dials_while_the_certificates_change_uses_the_new_ones),
        cmocka_unit_test(where_the_floor_is_all_that_is_known_no_hub_is_talked_to_before_it_told_the_time),
        cmocka_unit_test(the_pauses_grow_while_both_certificates_are_refused),
        cmocka_unit_test(a_right_clock_does_not_shorten_the_pauses_of_a_hub_that_cannot_prove_itself),
    };
    return cmocka_run_group_tests(tests, make_credentials, free_credentials);
}
