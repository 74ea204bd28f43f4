#include "cloud/api/admin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "cloud/registry/registry_testing.h"
#include "os/file.h"
#include "os/log.h"
#include "os/socket.h"

/* A hub's socket without the hub: store, registry, grants and a signer in this process. */
typedef struct {
    store_lab lab;
    porch_registry *registry;
    porch_grants *grants;
    porch_admin_world world;
    porch_admin *admin;
    char path[128];
    porch_why why;
    atomic_uint idles, drains;
    pthread_mutex_t lock;
    pthread_cond_t news;
} bench;

static porch_err echo_words(porch_admin_call *call) {
    static const char *const names[] = {"text", "steps", NULL};
    const char *text = NULL;
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "text", &text));
    if (porch_admin_flag(call, "steps")) porch_admin_progress(call, 0.5, "half");
    return json_object_set_new(call->result, "text", json_string(text)) == 0 ? PORCH_OK
                                                                             : PORCH_ERR_INTERNAL;
}

static const porch_admin_command test_commands[] = {{"test.echo", echo_words}, {NULL, NULL}};
static const porch_admin_command *const tables[] = {porch_admin_registry_commands,
                                                    porch_admin_grants_commands,
                                                    porch_admin_store_commands,
                                                    porch_admin_trust_commands,
                                                    test_commands,
                                                    NULL};

static void on_idle(void *ctx) {
    bench *b = ctx;
    pthread_mutex_lock(&b->lock);
    atomic_fetch_add(&b->idles, 1);
    pthread_cond_signal(&b->news);
    pthread_mutex_unlock(&b->lock);
}

static void on_drain(void *ctx) {
    atomic_fetch_add(&((bench *)ctx)->drains, 1);
}

static void write_root(const bench *b) {
    char path[128];
    porch_why why;
    (void)snprintf(path, sizeof path, "%s/tls", b->lab.dir);
    assert_int_equal(porch_dir_make(path, 0700, &why), PORCH_OK);
    (void)snprintf(path, sizeof path, "%s/tls/device-root.pem", b->lab.dir);
    assert_int_equal(
        porch_file_write_atomic(path, (porch_bytes){the_signer.cert, the_signer.cert_len}, 0600, &why),
        PORCH_OK);
}

static void start_server(bench *b, uid_t owner) {
    int fd = -1;
    (void)snprintf(b->path, sizeof b->path, "%s/admin.sock", b->lab.dir);
    if (porch_socket_listen_unix(b->path, 0600, 8, &fd, &b->why) != PORCH_OK) fail_msg("%s", b->why.text);
    porch_admin_config config = {.listen_fd = fd,
                                 .owner_uid = owner,
                                 .world = &b->world,
                                 .tables = tables,
                                 .on_idle = on_idle,
                                 .on_idle_ctx = b};
    if (porch_admin_start(&config, &b->admin, &b->why) != PORCH_OK) fail_msg("%s", b->why.text);
}

static int make_bench(void **state) {
    bench *b = calloc(1, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->news, NULL);
    signer_double_start();
    store_lab_make(&b->lab);
    (void)porch_settings_set(&b->lab.settings, "hub.name", "porch.example ::1", NULL);
    (void)porch_settings_set(&b->lab.settings, "admin.clients", "3", NULL);
    (void)porch_settings_set(&b->lab.settings, "admin.line_bytes", "8192", NULL);
    if (store_lab_open(&b->lab) != PORCH_OK) fail_msg("%s", b->lab.why.text);
    if (porch_registry_open(b->lab.store, &b->lab.settings, &b->registry, &b->why) != PORCH_OK)
        fail_msg("%s", b->why.text);
    if (porch_grants_open(b->lab.store, b->registry, &b->lab.settings, &b->grants, &b->why) != PORCH_OK)
        fail_msg("%s", b->why.text);
    b->world = (porch_admin_world){.dir = b->lab.dir,
                                   .settings = &b->lab.settings,
                                   .port = {1883, 0, 0},
                                   .store = b->lab.store,
                                   .registry = b->registry,
                                   .grants = b->grants,
                                   .signer = THE_SIGNER,
                                   .drain = on_drain,
                                   .drain_ctx = b};
    write_root(b);
    start_server(b, getuid());
    *state = b;
    return 0;
}

static int drop_bench(void **state) {
    bench *b = *state;
    porch_admin_stop(b->admin);
    porch_grants_close(b->grants);
    porch_registry_close(b->registry);
    store_lab_remove(&b->lab);
    signer_double_end();
    pthread_cond_destroy(&b->news);
    pthread_mutex_destroy(&b->lock);
    free(b);
    return 0;
}

/* ---- a client ----------------------------------------------------------------------------------- */

static int connect_client(bench *b) {
    int fd = -1;
    if (porch_socket_connect_unix(b->path, &fd, &b->why) != PORCH_OK) fail_msg("%s", b->why.text);
    return fd;
}

static void send_text(int fd, const char *text, size_t len) {
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n < 0) {
            assert_int_equal(porch_socket_wait(fd, POLLOUT, 5000), PORCH_OK);
            continue;
        }
        text += n;
        len -= (size_t)n;
    }
}

/* One line as JSON; NULL at the end of the stream. */
static json_t *read_line(int fd) {
    static char line[65536];
    size_t len = 0;
    for (;;) {
        assert_int_equal(porch_socket_wait(fd, POLLIN, 5000), PORCH_OK);
        ssize_t n = recv(fd, line + len, 1, 0);
        if (n == 0) return NULL;
        if (n < 0) continue;
        if (line[len] == '\n') break;
        assert_in_range(++len, 1, sizeof line - 1);
    }
    json_t *o = json_loadb(line, len, 0, NULL);
    assert_non_null(o);
    return o;
}

static json_t *ask(int fd, const char *request) {
    send_text(fd, request, strlen(request));
    send_text(fd, "\n", 1);
    json_t *answer = read_line(fd);
    assert_non_null(answer);
    return answer;
}

static const char *text_of(const json_t *o, const char *name) {
    const char *text = json_string_value(json_object_get(o, name));
    return text != NULL ? text : "";
}

/* Waits until the server has let the client go, so that the next one finds its place free. */
static void end_client(int fd) {
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_null(read_line(fd));
    close(fd);
}

static void expect_error(bench *b, const char *request, const char *error, const char *word) {
    int fd = connect_client(b);
    json_t *answer = ask(fd, request);
    assert_true(json_is_false(json_object_get(answer, "ok")));
    assert_string_equal(text_of(answer, "error"), error);
    if (strstr(text_of(answer, "message"), word) == NULL)
        fail_msg("%s: %s", request, text_of(answer, "message"));
    json_decref(answer);
    end_client(fd);
}

/* The result of a command that must succeed; the caller drops it. */
static json_t *expect_result(bench *b, json_t *request) {
    char *text = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    int fd = connect_client(b);
    json_t *answer = ask(fd, text);
    if (!json_is_true(json_object_get(answer, "ok"))) fail_msg("%s: %s", text, text_of(answer, "message"));
    json_t *result = json_incref(json_object_get(answer, "result"));
    json_decref(answer);
    close(fd);
    free(text);
    return result;
}

/* ---- the protocol ------------------------------------------------------------------------------- */

static void many_requests_go_over_one_connection_in_order(void **state) {
    int fd = connect_client(*state);
    const char *both = "{\"do\":\"test.echo\",\"args\":{\"text\":\"one\"}}\n{\"do\":\"test.echo\",\"args\":"
                       "{\"text\":\"two\"}}\n";
    send_text(fd, both, 20);
    send_text(fd, both + 20, strlen(both) - 20);
    for (int i = 0; i < 2; i++) {
        json_t *answer = read_line(fd);
        assert_string_equal(text_of(json_object_get(answer, "result"), "text"), i == 0 ? "one" : "two");
        json_decref(answer);
    }
    close(fd);
}

static void progress_comes_before_the_answer(void **state) {
    int fd = connect_client(*state);
    json_t *line = ask(fd, "{\"do\":\"test.echo\",\"args\":{\"text\":\"x\",\"steps\":true}}");
    assert_true(json_real_value(json_object_get(line, "progress")) == 0.5);
    json_decref(line);
    line = read_line(fd);
    assert_true(json_is_true(json_object_get(line, "ok")));
    json_decref(line);
    close(fd);
}

static void what_is_not_a_request_is_refused_with_a_sentence(void **state) {
    bench *b = *state;
    expect_error(b, "", "MALFORMED", "not JSON");
    expect_error(b, "hello", "MALFORMED", "not JSON");
    expect_error(b, "[]", "MALFORMED", "a request is");
    expect_error(b, "{\"do\":5}", "MALFORMED", "a request is");
    expect_error(b, "{\"do\":\"test.echo\",\"args\":[]}", "MALFORMED", "a request is");
    expect_error(b, "{\"do\":\"test.echo\",\"more\":1}", "MALFORMED", "a request is");
    expect_error(b, "{\"do\":\"test.echo\",\"do\":\"test.echo\"}", "MALFORMED", "not JSON");
    expect_error(b, "{\"do\":\"no.such\"}", "UNSUPPORTED", "no.such");
    expect_error(b, "{\"do\":\"test.echo\"}", "USAGE", "'text' is missing");
    expect_error(b, "{\"do\":\"test.echo\",\"args\":{\"text\":\"\"}}", "USAGE", "'text'");
    expect_error(b, "{\"do\":\"test.echo\",\"args\":{\"txet\":\"\"}}", "USAGE", "'txet'");
}

static void a_line_without_end_is_cut_off_at_the_limit(void **state) {
    int fd = connect_client(*state);
    char block[8192];
    memset(block, ' ', sizeof block);
    send_text(fd, block, sizeof block);
    json_t *answer = read_line(fd);
    assert_string_equal(text_of(answer, "error"), "LIMIT");
    json_decref(answer);
    assert_null(read_line(fd));
    close(fd);
}

static void more_clients_than_allowed_are_told_so(void **state) {
    bench *b = *state;
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = connect_client(b);
        json_decref(ask(fds[i], "{\"do\":\"status\"}"));
    }
    int fd = connect_client(b);
    json_t *answer = read_line(fd);
    assert_string_equal(text_of(answer, "error"), "BUSY");
    json_decref(answer);
    close(fd);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

static void another_user_is_refused(void **state) {
    bench *b = *state;
    if (getuid() != 0) {
        print_message("skipped: only root can become another user\n");
        skip();
    }
    assert_int_equal(chmod(b->lab.dir, 0755), 0);
    assert_int_equal(chmod(b->path, 0777), 0);
    assert_int_equal(seteuid(65534), 0);
    int fd = connect_client(b);
    assert_int_equal(seteuid(0), 0);
    json_t *answer = read_line(fd);
    assert_string_equal(text_of(answer, "error"), "AUTH");
    json_decref(answer);
    assert_null(read_line(fd));
    close(fd);
}

static void await_idle(bench *b) {
    pthread_mutex_lock(&b->lock);
    while (atomic_load(&b->idles) == 0)
        pthread_cond_wait(&b->news, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

static void the_last_client_that_goes_is_noticed(void **state) {
    bench *b = *state;
    int one = connect_client(b), two = connect_client(b);
    json_decref(ask(one, "{\"do\":\"status\"}"));
    json_decref(ask(two, "{\"do\":\"status\"}"));
    close(one);
    json_decref(ask(two, "{\"do\":\"status\"}"));
    assert_int_equal(atomic_load(&b->idles), 0);
    close(two);
    await_idle(b);
}

static void a_hub_that_no_client_comes_to_is_idle_after_a_while(void **state) {
    bench *b = *state;
    porch_admin_stop(b->admin);
    b->lab.settings.admin_idle_ms = 1;
    start_server(b, getuid());
    await_idle(b);
}

static void stopping_ends_clients_that_wait(void **state) {
    bench *b = *state;
    int fd = connect_client(b);
    json_decref(ask(fd, "{\"do\":\"status\"}"));
    porch_admin_stop(b->admin);
    b->admin = NULL;
    assert_null(read_line(fd));
    close(fd);
}

/* ---- the commands ------------------------------------------------------------------------------- */

static void a_device_is_added_shown_revoked_and_removed(void **state) {
    bench *b = *state;
    char csr[2048];
    make_csr(csr, sizeof csr);
    json_t *r = expect_result(b, json_pack("{s:s, s:{s:s, s:s, s:s}}", "do", "device.add", "args", "id",
                                           "cam-1", "product", "cam", "csr", csr));
    assert_non_null(strstr(text_of(r, "cert"), "BEGIN CERTIFICATE"));
    assert_memory_equal(text_of(r, "ca"), the_signer.cert, the_signer.cert_len);
    const json_t *hub = json_object_get(r, "hub");
    assert_string_equal(text_of(hub, "host"), "porch.example");
    assert_int_equal(json_integer_value(json_object_get(hub, "mqtt_port")), 1883);
    assert_int_equal(json_integer_value(json_object_get(hub, "device_port")), 8444);
    json_decref(r);
    expect_error(b, "{\"do\":\"device.add\",\"args\":{\"id\":\"cam-2\",\"product\":\"cam\"}}", "USAGE",
                 "'csr'");
    expect_error(b, "{\"do\":\"device.show\",\"args\":{\"id\":\"cam-2\"}}", "NOT_FOUND", "cam-2");
    r = expect_result(b, json_pack("{s:s, s:{s:s}}", "do", "device.show", "args", "id", "cam-1"));
    assert_string_equal(text_of(r, "state"), "enrolled");
    json_decref(r);
    json_decref(
        expect_result(b, json_pack("{s:s, s:{s:s}}", "do", "device.revoke", "args", "id", "cam-1")));
    r = expect_result(b, json_pack("{s:s}", "do", "device.list"));
    assert_string_equal(text_of(json_array_get(json_object_get(r, "devices"), 0), "state"), "revoked");
    json_decref(r);
    json_decref(
        expect_result(b, json_pack("{s:s, s:{s:s}}", "do", "device.remove", "args", "id", "cam-1")));
    r = expect_result(b, json_pack("{s:s}", "do", "device.list"));
    assert_int_equal(json_array_size(json_object_get(r, "devices")), 0);
    json_decref(r);
}

static void a_service_gets_its_group_and_loses_it_when_removed(void **state) {
    bench *b = *state;
    char csr[2048];
    make_csr(csr, sizeof csr);
    json_t *r =
        expect_result(b, json_pack("{s:s, s:{s:s, s:s, s:[s], s:[s], s:s}}", "do", "service.add", "args",
                                   "name", "lights", "csr", csr, "allow", "subscribe:d/+/event/#", "deny",
                                   "receive:d/secret/#", "client_ids", "any"));
    assert_string_equal(text_of(r, "group"), "service-lights");
    assert_string_equal(json_string_value(json_array_get(json_object_get(r, "allow"), 0)),
                        "subscribe:d/+/event/#");
    json_decref(r);
    r = expect_result(b, json_pack("{s:s}", "do", "service.list"));
    const json_t *first = json_array_get(json_object_get(r, "services"), 0);
    assert_string_equal(text_of(first, "client_ids"), "any");
    assert_string_equal(json_string_value(json_array_get(json_object_get(first, "deny"), 0)),
                        "receive:d/secret/#");
    json_decref(r);
    json_decref(
        expect_result(b, json_pack("{s:s, s:{s:s}}", "do", "service.remove", "args", "name", "lights")));
    assert_int_equal(porch_grants_group(b->grants, "service-lights", NULL, NULL), PORCH_ERR_NOT_FOUND);
}

static void a_wrong_statement_registers_no_service(void **state) {
    bench *b = *state;
    char csr[2048];
    make_csr(csr, sizeof csr);
    json_t *request = json_pack("{s:s, s:{s:s, s:s, s:[s]}}", "do", "service.add", "args", "name", "lights",
                                "csr", csr, "allow", "subscribe:d/#/x");
    char *text = json_dumps(request, JSON_COMPACT);
    expect_error(b, text, "MALFORMED", "");
    free(text);
    json_decref(request);
    porch_registry_service s;
    assert_int_equal(porch_registry_service_get(b->registry, "lights", &s), PORCH_ERR_NOT_FOUND);
}

/* Each by itself is well meant; all of them cannot be in force. */
static void statements_that_cannot_be_in_force_register_no_service(void **state) {
    bench *b = *state;
    char csr[2048];
    make_csr(csr, sizeof csr);
    json_t *allow = json_array();
    for (int i = 0; i < 33; i++) {
        char one[64];
        (void)snprintf(one, sizeof one, "publish:x%d-${service.name}", i);
        (void)json_array_append_new(allow, json_string(one));
    }
    json_t *request = json_pack("{s:s, s:{s:s, s:s, s:o}}", "do", "service.add", "args", "name", "lights",
                                "csr", csr, "allow", allow);
    char *text = json_dumps(request, JSON_COMPACT);
    expect_error(b, text, "LIMIT", "different levels with variables");
    free(text);
    json_decref(request);
    porch_registry_service s;
    assert_int_equal(porch_registry_service_get(b->registry, "lights", &s), PORCH_ERR_NOT_FOUND);
    json_t *r = expect_result(b, json_pack("{s:s}", "do", "service.list"));
    assert_int_equal(json_array_size(json_object_get(r, "services")), 0);
    json_decref(r);
}

static void households_are_added_and_listed(void **state) {
    bench *b = *state;
    json_t *r = expect_result(b, json_pack("{s:s, s:{s:s, s:s}}", "do", "household.add", "args", "name",
                                           "Lake house", "timezone", "Europe/Berlin"));
    assert_string_equal(text_of(r, "id"), "lake-house");
    json_decref(r);
    r = expect_result(b, json_pack("{s:s}", "do", "household.list"));
    assert_int_equal(json_array_size(json_object_get(r, "households")), 2);
    json_decref(r);
}

static void the_hub_as_a_whole_answers(void **state) {
    bench *b = *state;
    json_t *r = expect_result(b, json_pack("{s:s}", "do", "ca.export-root"));
    assert_non_null(strstr(text_of(r, "path"), "OFFLINE/root.key"));
    json_decref(r);
    r = expect_result(b, json_pack("{s:s}", "do", "trust-log.verify"));
    assert_int_equal(json_integer_value(json_object_get(r, "rows")), 1);
    json_decref(r);
    json_decref(expect_result(b, json_pack("{s:s}", "do", "drain")));
    assert_int_equal(atomic_load(&b->drains), 1);
}

static void a_backup_copy_opens_as_a_store_and_replaces_the_one_before(void **state) {
    bench *b = *state;
    char path[160];
    porch_why why;
    (void)snprintf(path, sizeof path, "%s/run", b->lab.dir);
    assert_int_equal(porch_dir_make(path, 0700, &why), PORCH_OK);
    for (int round = 0; round < 2; round++) {
        int fd = connect_client(b);
        json_t *line = ask(fd, "{\"do\":\"backup\"}");
        while (json_object_get(line, "progress") != NULL) {
            json_decref(line);
            line = read_line(fd);
        }
        const char *copy = text_of(json_object_get(line, "result"), "db");
        store_lab other;
        store_lab_make(&other);
        (void)snprintf(path, sizeof path, "%s/hub.db", other.dir);
        assert_int_equal(rename(copy, path), 0);
        if (round == 0) assert_int_equal(link(path, copy), 0); /* one that was left over */
        assert_int_equal(store_lab_open(&other), PORCH_OK);
        store_lab_remove(&other);
        json_decref(line);
        close(fd);
    }
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, make_bench, drop_bench)

int main(void) {
    porch_log_init("test", PORCH_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        WITH_BENCH(many_requests_go_over_one_connection_in_order),
        WITH_BENCH(progress_comes_before_the_answer),
        WITH_BENCH(what_is_not_a_request_is_refused_with_a_sentence),
        WITH_BENCH(a_line_without_end_is_cut_off_at_the_limit),
        WITH_BENCH(more_clients_than_allowed_are_told_so),
        WITH_BENCH(another_user_is_refused),
        WITH_BENCH(the_last_client_that_goes_is_noticed),
        WITH_BENCH(a_hub_that_no_client_comes_to_is_idle_after_a_while),
        WITH_BENCH(stopping_ends_clients_that_wait),
        WITH_BENCH(a_device_is_added_shown_revoked_and_removed),
        WITH_BENCH(a_service_gets_its_group_and_loses_it_when_removed),
        WITH_BENCH(a_wrong_statement_registers_no_service),
        WITH_BENCH(statements_that_cannot_be_in_force_register_no_service),
        WITH_BENCH(households_are_added_and_listed),
        WITH_BENCH(the_hub_as_a_whole_answers),
        WITH_BENCH(a_backup_copy_opens_as_a_store_and_replaces_the_one_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
