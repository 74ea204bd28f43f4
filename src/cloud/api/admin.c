#include "cloud/api/admin.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "os/log.h"
#include "os/socket.h"

enum { CLIENTS_MOST = 64, SEND_MS = 10000 };

typedef struct porch_admin_client {
    porch_admin *admin;
    int fd; /* -1: the slot is free once its thread is joined */
    pthread_t thread;
    bool joinable;
} porch_admin_client;

struct porch_admin {
    porch_admin_config config;
    int stop_fd;
    atomic_bool stopping;
    pthread_t thread;
    bool thread_runs;
    bool awaits_first;    /* the accepting thread's: on_idle, should no client ever come */
    pthread_mutex_t lock; /* clients, active */
    porch_admin_client clients[CLIENTS_MOST];
    unsigned active;
};

/* ---- answers ------------------------------------------------------------------------------------ */

static bool send_all(int fd, const char *at, size_t len) {
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (porch_socket_wait(fd, POLLOUT, SEND_MS) != PORCH_OK) return false;
            continue;
        }
        if (n <= 0) return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* Sends one line and drops the object. */
static bool answer(int fd, json_t *object) {
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (text == NULL) return false;
    size_t len = strlen(text);
    text[len] = '\n'; /* in the terminating zero's place: the length travels beside it */
    bool sent = send_all(fd, text, len + 1);
    porch_wipe(text, len + 1); /* setup links and tokens go out here */
    free(text);
    return sent;
}

static bool answer_error(int fd, porch_err e, const porch_why *why) {
    const char *message = porch_why_text(why, e);
    if (!porch_utf8_valid(porch_bytes_of(message))) message = porch_err_text(e);
    return answer(fd,
                  json_pack("{s:b, s:s, s:s}", "ok", 0, "error", porch_err_name(e), "message", message));
}

void porch_admin_progress(porch_admin_call *call, double done, const char *text) {
    if (call->client == NULL) return;
    (void)answer(call->client->fd, json_pack("{s:f, s:s}", "progress", done, "text", text));
}

/* ---- arguments ---------------------------------------------------------------------------------- */

porch_err porch_admin_text_optional(porch_admin_call *call, const char *name, const char **ret) {
    const json_t *value = json_object_get(call->args, name);
    *ret = NULL;
    if (value == NULL || json_is_null(value)) return PORCH_OK;
    if (!json_is_string(value) || json_string_length(value) == 0)
        return porch_fail(call->why, PORCH_ERR_USAGE, "'%s' is a text", name);
    *ret = json_string_value(value);
    return PORCH_OK;
}

porch_err porch_admin_text(porch_admin_call *call, const char *name, const char **ret) {
    PORCH_TRY(porch_admin_text_optional(call, name, ret));
    return *ret != NULL ? PORCH_OK : porch_fail(call->why, PORCH_ERR_USAGE, "'%s' is missing", name);
}

bool porch_admin_flag(porch_admin_call *call, const char *name) {
    return json_is_true(json_object_get(call->args, name));
}

porch_err porch_admin_only(porch_admin_call *call, const char *const *names) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)call->args, key, value) {
        bool known = false;
        for (size_t i = 0; names[i] != NULL && !known; i++)
            known = strcmp(names[i], key) == 0;
        if (!known)
            return porch_fail(call->why, PORCH_ERR_USAGE, "this command has no argument '%.64s'", key);
    }
    return PORCH_OK;
}

/* ---- one request -------------------------------------------------------------------------------- */

static porch_admin_fn find_command(const porch_admin *a, const char *name) {
    for (const porch_admin_command *const *table = a->config.tables; *table != NULL; table++)
        for (const porch_admin_command *c = *table; c->name != NULL; c++)
            if (strcmp(c->name, name) == 0) return c->run;
    return NULL;
}

/* {"do":"...","args":{...}} and nothing else. */
static porch_err parse_request(porch_bytes line, json_t **ret, const char **command, porch_why *why) {
    json_error_t at;
    json_t *request = json_loadb((const char *)line.at, line.len, JSON_REJECT_DUPLICATES, &at);
    if (request == NULL)
        return porch_fail(why, PORCH_ERR_MALFORMED, "the request is not JSON: %.160s", at.text);
    *command = json_string_value(json_object_get(request, "do"));
    const json_t *args = json_object_get(request, "args");
    size_t expected = args == NULL ? 1 : 2;
    if (*command == NULL || json_object_size(request) != expected ||
        (args != NULL && !json_is_object(args))) {
        json_decref(request);
        return porch_fail(why, PORCH_ERR_MALFORMED, "a request is {\"do\":COMMAND,\"args\":{...}}");
    }
    *ret = request;
    return PORCH_OK;
}

static porch_err run_command(porch_admin_client *c, const char *command, json_t *request, json_t **result,
                             porch_why *why) {
    porch_admin_fn run = find_command(c->admin, command);
    if (run == NULL)
        return porch_fail(why, PORCH_ERR_UNSUPPORTED, "this hub has no command '%.64s'", command);
    json_t *no_args = json_object();
    json_t *args = json_object_get(request, "args");
    porch_admin_call call = {.world = c->admin->config.world,
                             .args = args != NULL ? args : no_args,
                             .result = json_object(),
                             .why = why,
                             .client = c};
    porch_err e = call.args == NULL || call.result == NULL ? PORCH_ERR_INTERNAL : run(&call);
    *result = call.result;
    json_decref(no_args);
    return e;
}

/* Runs one line; false when the client has gone. Commands that only look are not worth a log line. */
static bool serve_line(porch_admin_client *c, porch_bytes line) {
    porch_why why = {""};
    json_t *request = NULL, *result = NULL;
    const char *command = "-";
    porch_err e = parse_request(line, &request, &command, &why);
    if (e == PORCH_OK) e = run_command(c, command, request, &result, &why);
    if (e == PORCH_OK) {
        porch_log(PORCH_LOG_DEBUG, "admin.done", "do", command, NULL);
    } else {
        porch_log(PORCH_LOG_INFO, "admin.refused", "do", request != NULL ? command : "-", "error",
                  porch_err_name(e), "reason", porch_why_text(&why, e), NULL);
    }
    bool sent = e == PORCH_OK ? answer(c->fd, json_pack("{s:b, s:O}", "ok", 1, "result", result))
                              : answer_error(c->fd, e, &why);
    json_decref(result);
    json_decref(request);
    return sent;
}

/* ---- one client --------------------------------------------------------------------------------- */

/* Reads lines until the client goes, says too much or nothing for too long; *touched: bytes ever filled. */
static void read_lines(porch_admin_client *c, uint8_t *block, size_t cap, size_t *touched) {
    const porch_settings *settings = c->admin->config.world->settings;
    size_t filled = 0;
    while (!atomic_load(&c->admin->stopping)) {
        uint8_t *end = memchr(block, '\n', filled);
        if (end != NULL) {
            size_t len = (size_t)(end - block);
            if (!serve_line(c, (porch_bytes){block, len})) return;
            filled -= len + 1;
            memmove(block, end + 1, filled);
            continue;
        }
        if (filled == cap) {
            porch_why why;
            porch_err e = porch_fail(&why, PORCH_ERR_LIMIT,
                                     "a request is at most %zu bytes long (admin.line_bytes)", cap);
            (void)answer_error(c->fd, e, &why);
            return;
        }
        if (porch_socket_wait(c->fd, POLLIN, (int)settings->admin_idle_ms) != PORCH_OK) return;
        ssize_t n = recv(c->fd, block + filled, cap - filled, 0);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (n <= 0) return;
        filled += (size_t)n;
        if (filled > *touched) *touched = filled;
    }
}

/* Requests carry passphrases and tokens. */
static void serve_lines(porch_admin_client *c, uint8_t *block, size_t cap) {
    size_t touched = 0;
    read_lines(c, block, cap, &touched);
    porch_wipe(block, touched);
}

void porch_admin_serve(const porch_admin_config *config, int fd) {
    porch_admin *a = calloc(1, sizeof *a);
    size_t cap = config->world->settings->admin_line_bytes;
    uint8_t *block = malloc(cap);
    if (a != NULL && block != NULL) {
        porch_admin_client *c = &a->clients[0];
        a->config = *config;
        c->admin = a;
        c->fd = fd;
        serve_lines(c, block, cap);
    }
    free(block);
    free(a);
}

static void *client_main(void *arg) {
    porch_admin_client *c = arg;
    porch_admin *a = c->admin;
    size_t cap = a->config.world->settings->admin_line_bytes;
    uint8_t *block = malloc(cap);
    if (block != NULL) serve_lines(c, block, cap);
    free(block);
    pthread_mutex_lock(&a->lock);
    close(c->fd);
    c->fd = -1;
    bool last = --a->active == 0;
    pthread_mutex_unlock(&a->lock);
    if (last && a->config.on_idle != NULL && !atomic_load(&a->stopping))
        a->config.on_idle(a->config.on_idle_ctx);
    return NULL;
}

/* ---- accepting ---------------------------------------------------------------------------------- */

static bool may_enter(const porch_admin *a, int fd) {
    uid_t uid = (uid_t)-1;
    bool known = porch_socket_peer_uid(fd, &uid) == PORCH_OK;
    if (known && (uid == 0 || uid == a->config.owner_uid)) return true;
    porch_log(PORCH_LOG_WARN, "admin.refused", "do", "connect", "error", "AUTH", "reason",
              "not the directory's owner", "uid", known ? porch_log_number(uid).text : "unknown", NULL);
    porch_why why;
    porch_err e = porch_fail(&why, PORCH_ERR_AUTH, "only the hub's owner and root may use this socket");
    (void)answer_error(fd, e, &why);
    return false;
}

/* A free slot, its old thread joined; NULL when all are taken. With the lock held. */
static porch_admin_client *free_slot(porch_admin *a) {
    unsigned most = a->config.world->settings->admin_clients;
    for (unsigned i = 0; i < most && i < CLIENTS_MOST; i++) {
        porch_admin_client *c = &a->clients[i];
        if (c->joinable && c->fd >= 0) continue; /* one that is just ending is waited for */
        if (c->joinable) pthread_join(c->thread, NULL);
        c->joinable = false;
        return c;
    }
    return NULL;
}

static void take_client(porch_admin *a, int fd) {
    a->awaits_first = false;
    pthread_mutex_lock(&a->lock);
    porch_admin_client *c = free_slot(a);
    if (c != NULL) {
        c->admin = a;
        c->fd = fd;
        a->active++;
        c->joinable = pthread_create(&c->thread, NULL, client_main, c) == 0;
        if (!c->joinable) {
            a->active--;
            c->fd = -1;
        }
    }
    bool taken = c != NULL && c->joinable;
    pthread_mutex_unlock(&a->lock);
    if (taken) return;
    porch_why why;
    porch_err e = porch_fail(&why, PORCH_ERR_BUSY, "as many clients as admin.clients allows are connected");
    (void)answer_error(fd, e, &why);
    close(fd);
}

/* Who started a hub for one command may have been ended before it came. */
static void give_up_first(porch_admin *a) {
    a->awaits_first = false;
    porch_log(PORCH_LOG_INFO, "admin.nobody-came", NULL);
    a->config.on_idle(a->config.on_idle_ctx);
}

static void *accept_main(void *arg) {
    porch_admin *a = arg;
    struct pollfd p[2] = {{.fd = a->config.listen_fd, .events = POLLIN},
                          {.fd = a->stop_fd, .events = POLLIN}};
    while (!atomic_load(&a->stopping)) {
        int n = poll(p, 2, a->awaits_first ? (int)a->config.world->settings->admin_idle_ms : -1);
        if ((n < 0 && errno != EINTR) || (n > 0 && p[1].revents != 0)) break;
        if (n == 0) {
            give_up_first(a);
            continue;
        }
        int fd = -1;
        porch_err e = porch_socket_accept(a->config.listen_fd, &fd);
        if (e == PORCH_ERR_BUSY) (void)poll(&p[1], 1, 100); /* out of descriptors: a moment's pause */
        if (e != PORCH_OK) continue;
        if (may_enter(a, fd)) {
            take_client(a, fd);
        } else {
            close(fd);
        }
    }
    return NULL;
}

/* ---- start and stop ----------------------------------------------------------------------------- */

porch_err porch_admin_start(const porch_admin_config *config, porch_admin **ret, porch_why *why) {
    porch_admin *a = calloc(1, sizeof *a);
    if (a == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the admin socket");
    a->config = *config;
    a->awaits_first = config->on_idle != NULL;
    for (size_t i = 0; i < CLIENTS_MOST; i++)
        a->clients[i].fd = -1;
    pthread_mutex_init(&a->lock, NULL);
    a->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    a->thread_runs = a->stop_fd >= 0 && pthread_create(&a->thread, NULL, accept_main, a) == 0;
    if (!a->thread_runs) {
        a->config.listen_fd = -1; /* stays the caller's */
        porch_admin_stop(a);
        return porch_fail(why, PORCH_ERR_INTERNAL, "no thread for the admin socket");
    }
    *ret = a;
    return PORCH_OK;
}

void porch_admin_stop(porch_admin *a) {
    if (a == NULL) return;
    atomic_store(&a->stopping, true);
    uint64_t one = 1;
    if (a->stop_fd >= 0 && write(a->stop_fd, &one, sizeof one) < 0)
        porch_log(PORCH_LOG_WARN, "admin.stop_late", NULL);
    if (a->thread_runs) pthread_join(a->thread, NULL);
    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < CLIENTS_MOST; i++)
        if (a->clients[i].fd >= 0)
            (void)shutdown(a->clients[i].fd, SHUT_RD); /* an answer may still leave */
    pthread_mutex_unlock(&a->lock);
    for (size_t i = 0; i < CLIENTS_MOST; i++)
        if (a->clients[i].joinable) pthread_join(a->clients[i].thread, NULL);
    if (a->config.listen_fd >= 0) close(a->config.listen_fd);
    if (a->stop_fd >= 0) close(a->stop_fd);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
