/* What the TLS side of one connection costs the hub, apart from everything else:
 *
 *   tls_edge full N      N full handshakes with client certificates, over a socket pair
 *   tls_edge resumed N   the same, resumed by ticket
 *   tls_edge idle N      N connections kept open and quiet
 *
 * A child plays the clients, so that processor time and heap of this process are the server's alone. Prints
 * one JSON line. Instructions, on a machine that is busy:
 *   valgrind --tool=callgrind --toggle-collect=serve_one build/release/bench/tls_edge full 200 */
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crypto/keystore.h"
#include "crypto/tls.h"
#include "crypto/x509.h"
#include "os/clock.h"

enum { PEM = 8192, DEVICES = 16, IDLE_MOST = 20000 };
#define DAY_MS ((uint64_t)86400000)

typedef struct {
    uint8_t text[PEM];
    size_t len;
} pem;

typedef struct {
    porch_key *key;
    pem chain;
} identity;

static porch_key *root_key, *issuing_key;
static pem root, issuing, authorities;
static identity hub, devices[DEVICES];

static void ok(porch_err e, const porch_why *why) {
    if (e == PORCH_OK) return;
    (void)fprintf(stderr, "tls_edge: %s: %s\n", porch_err_name(e), why != NULL ? why->text : "");
    exit(1);
}

static porch_bytes view(const pem *p) {
    return (porch_bytes){p->text, p->len};
}

static void issue(porch_profile profile, const char *id, identity *ret) {
    porch_why why = {""};
    porch_public_key pub;
    porch_ca issuer = {view(&issuing), issuing_key};
    porch_ca_request request = {.profile = profile};
    if (profile == PORCH_PROFILE_HUB_SERVER) {
        request.names.name[0] = "localhost";
        request.names.count = 1;
    } else {
        request.id = id;
    }
    request.not_before_ms = porch_clock_ms() - DAY_MS;
    request.not_after_ms = porch_clock_ms() + 90 * DAY_MS;
    ok(porch_key_generate_p256(&ret->key, &why), &why);
    ok(porch_key_public(ret->key, &pub, &why), &why);
    porch_buf b = PORCH_BUF_OF(ret->chain.text);
    ok(porch_ca_issue(&issuer, &pub, &request, &b, &why), &why);
    memcpy(b.at + b.len, issuing.text, issuing.len);
    ret->chain.len = b.len + issuing.len;
}

static void make_identities(void) {
    porch_why why = {""};
    porch_public_key pub;
    uint64_t from = porch_clock_ms() - 400 * DAY_MS;
    ok(porch_key_generate_p256(&root_key, &why), &why);
    ok(porch_key_generate_p256(&issuing_key, &why), &why);
    porch_buf b = PORCH_BUF_OF(root.text);
    ok(porch_ca_make_root("bench", root_key, from, 20, &b, &why), &why);
    root.len = b.len;
    ok(porch_key_public(issuing_key, &pub, &why), &why);
    porch_ca top = {view(&root), root_key};
    b = PORCH_BUF_OF(issuing.text);
    ok(porch_ca_make_issuing(&top, "bench", &pub, from, 10, &b, &why), &why);
    issuing.len = b.len;
    memcpy(authorities.text, root.text, root.len);
    memcpy(authorities.text + root.len, issuing.text, issuing.len);
    authorities.len = root.len + issuing.len;
    issue(PORCH_PROFILE_HUB_SERVER, NULL, &hub);
    for (int i = 0; i < DEVICES; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "cam-%d", i);
        issue(PORCH_PROFILE_DEVICE, id, &devices[i]);
    }
}

/* ---- clients: a process of their own ---- */

static void wait_for(int fd, const porch_tls_conn *c) {
    struct pollfd p = {fd, porch_tls_wants_write(c) ? POLLOUT : POLLIN, 0};
    (void)poll(&p, 1, -1);
}

static int take_fd(int line) {
    char byte, room[CMSG_SPACE(sizeof(int))];
    struct iovec io = {&byte, 1};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    if (recvmsg(line, &m, 0) <= 0) return -1;
    int fd;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    return fd;
}

static void give_fd(int line, int fd) {
    char byte = 0, room[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec io = {&byte, 1};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    if (sendmsg(line, &m, 0) != 1) exit(1);
}

/* Connects over each descriptor that comes, sends a byte, reads the answer (and with it the ticket). */
static void play_clients(int line, bool resume, bool keep) {
    porch_tls_client *clients[DEVICES];
    porch_why why = {""};
    for (int i = 0; i < DEVICES; i++) {
        porch_tls_client_config config = {.ca_pem = view(&root),
                                          .chain_pem = view(&devices[i].chain),
                                          .key = devices[i].key,
                                          .name = "localhost",
                                          .resume = resume};
        ok(porch_tls_client_new(&config, &clients[i], &why), &why);
    }
    for (int n = 0, fd; (fd = take_fd(line)) >= 0; n++) {
        porch_tls_conn *c;
        uint8_t byte = 'x';
        size_t got;
        porch_err e;
        ok(porch_tls_connect(clients[n % DEVICES], fd, &c), NULL);
        while ((e = porch_tls_handshake(c, &why)) == PORCH_ERR_AGAIN)
            wait_for(fd, c);
        ok(e, &why);
        ok(porch_tls_write(c, &byte, 1, &got), NULL);
        while ((e = porch_tls_read(c, &byte, 1, &got)) == PORCH_ERR_AGAIN)
            wait_for(fd, c);
        ok(e, NULL);
        if (keep) continue;
        porch_tls_shutdown(c);
        porch_tls_free(c);
        (void)close(fd);
    }
    exit(0);
}

/* ---- the server: what is measured ---- */

static uint64_t cpu_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* One step of what a shard does for a connection; true when the client's byte is answered. */
__attribute__((noinline)) static bool serve_one(porch_tls_server *server, int fd, porch_tls_conn **c,
                                                porch_tls_peer_info *peer, bool *up) {
    porch_why why = {""};
    if (*c == NULL) ok(porch_tls_accept(server, fd, c), NULL);
    if (!*up) {
        porch_err e = porch_tls_handshake(*c, &why);
        if (e == PORCH_ERR_AGAIN) return false;
        ok(e, &why);
        ok(porch_tls_peer(*c, peer), NULL);
        *up = true;
    }
    uint8_t byte;
    size_t got;
    porch_err e = porch_tls_read(*c, &byte, 1, &got);
    if (e == PORCH_ERR_AGAIN) return false;
    ok(e, NULL);
    ok(porch_tls_write(*c, &byte, 1, &got), NULL);
    porch_tls_idle(*c);
    return true;
}

__attribute__((noinline)) static void end_one(porch_tls_conn *c) {
    porch_tls_shutdown(c);
    porch_tls_free(c);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    bool resumed = strcmp(argv[1], "resumed") == 0, idle = strcmp(argv[1], "idle") == 0;
    int count = (int)strtol(argv[2], NULL, 10), warm = DEVICES * 2, line[2];
    if (count < 1 || count > IDLE_MOST) return 2;
    make_identities();
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, line) != 0) return 1;
    pid_t child = fork();
    if (child == 0) {
        (void)close(line[0]);
        play_clients(line[1], resumed, idle);
    }
    (void)close(line[1]);
    porch_why why = {""};
    porch_tls_server *server;
    porch_tls_server_config config = {.chain_pem = view(&hub.chain),
                                      .key = hub.key,
                                      .client_ca_pem = view(&authorities),
                                      .client_mode = PORCH_TLS_CLIENT_REQUIRE,
                                      .alpn = {"mqtt"},
                                      .ticket_lifetime_s = 3600,
                                      .sessions_most = 4096,
                                      .session_context = PORCH_LIT("bench")};
    ok(porch_tls_server_new(&config, &server, &why), &why);
    uint64_t spent = 0, from_heap = 0, resumptions = 0;
    for (int n = 0; n < warm + count; n++) {
        int pair[2];
        porch_tls_conn *c = NULL;
        porch_tls_peer_info peer;
        bool up = false;
        if (n == warm) {
            spent = 0;
            from_heap = mallinfo2().uordblks + mallinfo2().hblkhd;
        }
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return 1;
        give_fd(line[0], pair[1]);
        (void)close(pair[1]);
        for (;;) {
            struct pollfd p = {pair[0], POLLIN, 0};
            (void)poll(&p, 1, -1);
            uint64_t begun = cpu_ns();
            bool done = serve_one(server, pair[0], &c, &peer, &up);
            spent += cpu_ns() - begun;
            if (done) break;
        }
        if (n >= warm && peer.resumed) resumptions++;
        if (idle) continue;
        uint64_t begun = cpu_ns();
        end_one(c);
        spent += cpu_ns() - begun;
        (void)close(pair[0]);
    }
    size_t heap = mallinfo2().uordblks + mallinfo2().hblkhd - from_heap;
    (void)printf(
        "{\"what\":\"%s\",\"count\":%d,\"resumed\":%llu,\"cpu_us_each\":%.1f,\"heap_bytes_each\":%.0f}\n",
        argv[1], count, (unsigned long long)resumptions, (double)spent / count / 1000.0,
        idle ? (double)heap / count : 0.0);
    (void)close(line[0]);
    (void)waitpid(child, NULL, 0);
    return 0;
}
