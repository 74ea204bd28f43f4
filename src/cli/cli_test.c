/* The subcommands against a hub of straw: a thread at DIR/run/admin.sock that keeps what it was asked and
 * answers with the line it was given. */
#include "cli/cli.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cli_room.h"
#include "crypto/x509.h"
#include "os/file.h"
#include "os/socket.h"

enum { GUARD_SECONDS = 60, LINE_BYTES = 16384, OUTPUT_BYTES = 16384 };

#define ENROLLED                                                                                         \
    "{\"ok\":true,\"result\":{\"cert\":\"CERT\\n\",\"ca\":\"CA\\n\",\"ends_ms\":1775001600000,\"hub\":{" \
    "\"id\":\"hub-1\","                                                                                  \
    "\"host\":\"localhost\",\"mqtt_port\":8883,\"device_port\":8444}}}\n"

typedef struct {
    char top[64], dir[96], folder[128];
    int listen_fd;
    pthread_t thread;
    const char *answer;
    int answers; /* how many a connection gets; 0 counts as one */
    char asked[LINE_BYTES];
    char out[OUTPUT_BYTES], err[OUTPUT_BYTES];
    bool turns_away; /* the next client, before it has asked */
    sem_t turned_away;
} house;

static bool read_line(int fd, char *into) {
    size_t len = 0;
    while (len + 1 < LINE_BYTES) {
        ssize_t n = recv(fd, into + len, LINE_BYTES - 1 - len, 0);
        if (n == 0) return false;
        if (n < 0 && porch_socket_wait(fd, POLLIN, -1) != PORCH_OK) return false;
        if (n <= 0) continue; /* what nobody has said is not touched: the test may look at it */
        len += (size_t)n;
        into[len] = '\0';
        if (strchr(into, '\n')) return true;
    }
    return false;
}

static void *hub_of_straw(void *ctx) {
    house *h = ctx;
    for (;;) {
        int fd = -1;
        if (porch_socket_wait(h->listen_fd, POLLIN, -1) != PORCH_OK) return NULL;
        porch_err e = porch_socket_accept(h->listen_fd, &fd);
        if (e == PORCH_ERR_AGAIN) continue;
        if (e != PORCH_OK) return NULL;
        if (h->turns_away) {
            h->turns_away = false;
            (void)!send(fd, h->answer, strlen(h->answer), MSG_NOSIGNAL);
            close(fd);
            (void)sem_post(&h->turned_away);
            continue;
        }
        bool stop = false;
        do {
            if (!read_line(fd, h->asked)) break;
            stop = strcmp(h->asked, "stop\n") == 0;
            if (!stop) (void)!send(fd, h->answer, strlen(h->answer), MSG_NOSIGNAL);
        } while (--h->answers > 0);
        close(fd);
        if (stop) return NULL;
    }
}

static void path_in(const house *h, const char *name, char out[256]) {
    snprintf(out, 256, "%s/%s", h->top, name);
}

static int arrive(void **state) {
    char path[256];
    static house the_house;
    house *h = &the_house;
    memset(h, 0, sizeof *h);
    snprintf(h->top, sizeof h->top, "/tmp/porch-cli-XXXXXX");
    if (!mkdtemp(h->top)) return -1;
    snprintf(h->dir, sizeof h->dir, "%.63s/hub", h->top);
    snprintf(h->folder, sizeof h->folder, "%.63s/out", h->top);
    if (mkdir(h->dir, 0700) != 0) return -1;
    path_in(h, "hub/run", path);
    if (mkdir(path, 0700) != 0) return -1;
    path_in(h, "hub/run/admin.sock", path);
    if (porch_socket_listen_unix(path, 0600, 4, &h->listen_fd, NULL) != PORCH_OK) return -1;
    pthread_create(&h->thread, NULL, hub_of_straw, h);
    *state = h;
    alarm(GUARD_SECONDS);
    return 0;
}

static int leave(void **state) {
    static const char *const files[] = {"out/key.pem", "out/cert.pem",
                                        "out/ca.pem",  "out/device.conf",
                                        "out",         "hub/OFFLINE/root.key",
                                        "hub/OFFLINE", "hub/run/admin.sock",
                                        "hub/run",     "hub",
                                        "root.key",    "request.pem"};
    house *h = *state;
    char socket_path[256];
    int fd = -1;
    path_in(h, "hub/run/admin.sock", socket_path);
    if (porch_socket_connect_unix(socket_path, &fd, NULL) != PORCH_OK ||
        send(fd, "stop\n", 5, MSG_NOSIGNAL) != 5)
        return -1;
    pthread_join(h->thread, NULL);
    close(fd);
    close(h->listen_fd);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[256];
        path_in(h, files[i], path);
        (void)remove(path);
    }
    int left = rmdir(h->top);
    alarm(0);
    return left; /* a command that leaves more than it should is found here */
}

/* ---- running a command
 * ------------------------------------------------------------------------------------ */

static int turn_aside(int fd) {
    int kept = dup(fd);
    int memory = memfd_create("output", MFD_CLOEXEC);
    dup2(memory, fd);
    close(memory);
    return kept;
}

static void turn_back(int fd, int kept, char *into) {
    lseek(fd, 0, SEEK_SET);
    ssize_t n = read(fd, into, OUTPUT_BYTES - 1);
    into[n > 0 ? n : 0] = '\0';
    dup2(kept, fd);
    close(kept);
}

/* `words` after `porchlight -C DIR`, NULL-terminated; the hub answers with `answer`. */
static int run(house *h, const char *answer, const char *const *words) {
    char *argv[32] = {"porchlight", "-C", h->dir};
    int argc = 3;
    for (; words[argc - 3]; argc++)
        argv[argc] = (char *)words[argc - 3];
    h->answer = answer;
    h->asked[0] = '\0';
    fflush(stdout);
    fflush(stderr);
    int out = turn_aside(STDOUT_FILENO), err = turn_aside(STDERR_FILENO);
    int code = porch_cli_main(argc, argv);
    fflush(stdout);
    fflush(stderr);
    turn_back(STDOUT_FILENO, out, h->out);
    turn_back(STDERR_FILENO, err, h->err);
    return code;
}

#define RUN(h, answer, ...) run(h, answer, (const char *const[]){__VA_ARGS__, NULL})

static json_t *asked(const house *h, const char *command) {
    json_t *o = json_loads(h->asked, 0, NULL);
    assert_non_null(o);
    assert_string_equal(porch_cli_member(o, "do"), command);
    json_t *args = json_incref(json_object_get(o, "args"));
    json_decref(o);
    return args;
}

static void assert_file(const house *h, const char *name, mode_t mode, const char *content) {
    char path[256];
    struct stat st;
    uint8_t *bytes = NULL;
    size_t len = 0;
    path_in(h, name, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
    if (S_ISDIR(st.st_mode)) return;
    assert_int_equal(porch_file_read(path, LINE_BYTES, &bytes, &len, NULL), PORCH_OK);
    if (content) assert_string_equal((const char *)bytes, content);
    free(bytes);
}

/* ---- device and service
 * ------------------------------------------------------------------------------------ */

static void device_add_makes_the_key_here_and_sends_only_the_request(void **state) {
    house *h = *state;
    porch_public_key key;
    assert_int_equal(RUN(h, ENROLLED, "device", "add", "cam", "--product", "camera", "--out", h->folder),
                     0);
    json_t *args = asked(h, "device.add");
    assert_string_equal(porch_cli_member(args, "id"), "cam");
    assert_string_equal(porch_cli_member(args, "product"), "camera");
    assert_null(json_object_get(args, "household"));
    assert_int_equal(porch_csr_read(porch_bytes_of(porch_cli_member(args, "csr")), &key, NULL), PORCH_OK);
    assert_null(strstr(h->asked, "PRIVATE"));
    json_decref(args);
    assert_file(h, "out", 0700, NULL);
    assert_file(h, "out/key.pem", 0600, NULL);
    assert_file(h, "out/cert.pem", 0644, "CERT\n");
    assert_file(h, "out/ca.pem", 0644, "CA\n");
    assert_file(h, "out/device.conf", 0644,
                "hub.id = hub-1\nhub.host = localhost\nhub.mqtt_port = 8883\nhub.device_port = "
                "8444\ndevice.id = cam\n"
                "device.product = camera\nkey.uri = file:key.pem\nkey.file_for_development = true\n");
    assert_non_null(strstr(h->out, "ends 2026-04-01"));
    assert_non_null(strstr(h->out, "renew"));
}

static void a_renewal_keeps_what_the_hub_knows_and_says_so(void **state) {
    house *h = *state;
    /* One line answers both questions: device.show and then device.add. */
    const char *answer =
        "{\"ok\":true,\"result\":{\"product\":\"camera\",\"cert\":\"CERT\\n\",\"ca\":\"CA\\n\",\"ends_ms\":"
        "1775001600000,"
        "\"hub\":{\"id\":\"hub-1\",\"host\":\"localhost\",\"mqtt_port\":8883,\"device_port\":8444}}}\n";
    h->answers = 2;
    assert_int_equal(RUN(h, answer, "device", "add", "cam", "--renew", "--out", h->folder), 0);
    json_t *args = asked(h, "device.add");
    assert_true(json_is_true(json_object_get(args, "renew")));
    assert_string_equal(porch_cli_member(args, "product"), "camera");
    json_decref(args);
    assert_file(h, "out/key.pem", 0600, NULL);
    assert_int_equal(RUN(h, ENROLLED, "device", "add", "cam", "--out", h->folder), 2);
    assert_non_null(strstr(h->err, "--product"));
}

static void a_refused_device_leaves_nothing_behind(void **state) {
    house *h = *state;
    const char *refusal =
        "{\"ok\":false,\"error\":\"EXISTS\",\"message\":\"there is a device cam already\"}\n";
    assert_int_equal(RUN(h, refusal, "device", "add", "cam", "--product", "camera", "--out", h->folder), 1);
    assert_string_equal(h->err, "porchlight: there is a device cam already\n");
    assert_int_equal(access(h->folder, F_OK), -1);
}

static void a_folder_with_a_key_is_never_written_over(void **state) {
    house *h = *state;
    char path[256];
    path_in(h, "out/key.pem", path);
    assert_int_equal(mkdir(h->folder, 0700), 0);
    assert_int_equal(porch_file_write_atomic(path, PORCH_LIT("the only key"), 0600, NULL), PORCH_OK);
    assert_int_equal(RUN(h, ENROLLED, "device", "add", "cam", "--product", "camera", "--out", h->folder),
                     1);
    assert_string_equal(h->asked, "");
    assert_file(h, "out/key.pem", 0600, "the only key");
}

static void with_a_request_of_its_own_no_key_is_made(void **state) {
    house *h = *state;
    char path[256], key[256];
    path_in(h, "request.pem", path);
    path_in(h, "out/key.pem", key);
    assert_int_equal(porch_file_write_atomic(path, PORCH_LIT("REQUEST"), 0600, NULL), PORCH_OK);
    assert_int_equal(RUN(h, ENROLLED, "device", "add", "cam", "--product", "camera", "--out", h->folder,
                         "--csr", path, "--json"),
                     0);
    json_t *args = asked(h, "device.add");
    assert_string_equal(porch_cli_member(args, "csr"), "REQUEST");
    json_decref(args);
    assert_int_equal(access(key, F_OK), -1);
    json_t *out = json_loads(h->out, 0, NULL);
    assert_int_equal(porch_cli_number(out, "ends_ms"), 1775001600000);
    json_decref(out);
}

static void an_answer_that_would_spoil_device_conf_is_refused(void **state) {
    house *h = *state;
    const char *answer = "{\"ok\":true,\"result\":{\"cert\":\"C\",\"ca\":\"C\",\"hub\":{\"id\":\"h\","
                         "\"host\":\"x\\ndevice.id = other\"}}}\n";
    assert_int_equal(RUN(h, answer, "device", "add", "cam", "--product", "camera", "--out", h->folder), 1);
}

static void service_add_sends_what_is_allowed_and_denied(void **state) {
    house *h = *state;
    assert_int_equal(RUN(h, ENROLLED, "service", "add", "history", "--out", h->folder, "--allow",
                         "subscribe:d/#", "--allow", "publish:d/x/y", "--deny", "subscribe:d/x/#",
                         "--client-ids", "any"),
                     0);
    json_t *args = asked(h, "service.add");
    assert_int_equal(json_array_size(json_object_get(args, "allow")), 2);
    assert_int_equal(json_array_size(json_object_get(args, "deny")), 1);
    assert_string_equal(porch_cli_member(args, "client_ids"), "any");
    json_decref(args);
    assert_file(h, "out/device.conf", 0644,
                "hub.id = hub-1\nhub.host = localhost\nhub.mqtt_port = 8883\nhub.device_port = "
                "8444\nservice.name = history\nkey.uri = file:key.pem\nkey.file_for_development = true\n");
    assert_non_null(strstr(h->out, "service-history"));
}

/* ---- the rest
 * ------------------------------------------------------------------------------------------------ */

static void each_subcommand_asks_its_command_and_shows_the_answer(void **state) {
    static const struct {
        const char *words[4], *answer, *command, *shown;
    } rows[] = {
        {{"device", "list"},
         "{\"ok\":true,\"result\":{\"devices\":[{\"id\":\"cam\",\"product\":\"camera\",\"online\":true}]}}"
         "\n",
         "device.list",
         "cam"},
        {{"device", "list"}, "{\"ok\":true,\"result\":{\"devices\":[]}}\n", "device.list", "device add"},
        {{"device", "show", "cam"},
         "{\"ok\":true,\"result\":{\"id\":\"cam\",\"added_ms\":1775001600000}}\n",
         "device.show",
         "2026-04-01"},
        {{"device", "revoke", "cam"}, "{\"ok\":true,\"result\":{}}\n", "device.revoke", "revoked"},
        {{"device", "remove", "cam"}, "{\"ok\":true,\"result\":{}}\n", "device.remove", "removed"},
        {{"service", "list"},
         "{\"ok\":true,\"result\":{\"services\":[{\"name\":\"history\"}]}}\n",
         "service.list",
         "history"},
        {{"service", "remove", "history"}, "{\"ok\":true,\"result\":{}}\n", "service.remove", "removed"},
        {{"household", "add", "next-door"},
         "{\"ok\":true,\"result\":{\"id\":\"next-door\"}}\n",
         "household.add",
         "next-door"},
        {{"household", "list"},
         "{\"ok\":true,\"result\":{\"households\":[{\"id\":\"home\",\"timezone\":\"UTC\"}]}}\n",
         "household.list",
         "UTC"},
        {{"setup-link"},
         "{\"ok\":true,\"result\":{\"url\":\"https://localhost:8443/setup#T\"}}\n",
         "setup-link",
         "https://localhost:8443/setup#T"},
        {{"user", "list"},
         "{\"ok\":true,\"result\":{\"users\":[{\"name\":\"robin\",\"role\":\"owner\"}]}}\n",
         "user.list",
         "owner"},
        {{"user", "reset", "robin"},
         "{\"ok\":true,\"result\":{\"url\":\"https://x/setup#R\"}}\n",
         "user.reset",
         "https://x/setup#R"},
        {{"webhook", "add", "https://x/"},
         "{\"ok\":true,\"result\":{\"id\":\"1\",\"secret\":\"whsec_S\"}}\n",
         "webhook.add",
         "whsec_S"},
        {{"webhook", "list"},
         "{\"ok\":true,\"result\":{\"webhooks\":[{\"id\":\"1\",\"url\":\"https://x/\",\"waiting\":3}]}}\n",
         "webhook.list",
         "waiting 3"},
        {{"webhook", "remove", "1"}, "{\"ok\":true,\"result\":{}}\n", "webhook.remove", "removed"},
        {{"notification", "list"},
         "{\"ok\":true,\"result\":{\"notifications\":[{\"at\":\"T\",\"why\":\"a person\"}]}}\n",
         "notification.list",
         "a person"},
        {{"status"}, "{\"ok\":true,\"result\":{\"ports\":{\"mqtt\":8883}}}\n", "status", "8883"},
    };
    house *h = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(run(h, rows[i].answer, rows[i].words), 0);
        json_decref(asked(h, rows[i].command));
        if (!strstr(h->out, rows[i].shown)) fail_msg("%s showed: %s", rows[i].command, h->out);
        const char *json_words[6] = {"--json"};
        for (size_t n = 0; rows[i].words[n]; n++)
            json_words[n + 1] = rows[i].words[n];
        assert_int_equal(run(h, rows[i].answer, json_words), 0);
        json_t *out = json_loads(h->out, 0, NULL);
        if (!json_is_object(out)) fail_msg("%s --json printed: %s", rows[i].command, h->out);
        json_decref(out);
    }
}

static void the_root_key_is_moved_and_never_written_over(void **state) {
    house *h = *state;
    char offline[256], from[256], to[256];
    path_in(h, "hub/OFFLINE", offline);
    path_in(h, "hub/OFFLINE/root.key", from);
    path_in(h, "root.key", to);
    assert_int_equal(mkdir(offline, 0700), 0);
    assert_int_equal(porch_file_write_atomic(from, PORCH_LIT("KEY"), 0600, NULL), PORCH_OK);
    assert_int_equal(
        RUN(h, "{\"ok\":true,\"result\":{\"path\":\"x\"}}\n", "ca", "export-root", "--out", to), 0);
    assert_file(h, "root.key", 0600, "KEY");
    assert_int_equal(access(from, F_OK), -1);
    assert_int_equal(porch_file_write_atomic(from, PORCH_LIT("OTHER"), 0600, NULL), PORCH_OK);
    assert_int_equal(
        RUN(h, "{\"ok\":true,\"result\":{\"path\":\"x\"}}\n", "ca", "export-root", "--out", to), 1);
    assert_file(h, "root.key", 0600, "KEY");
    assert_int_equal(access(from, F_OK), 0);
}

static void refusals_and_wrong_words_have_their_own_exit_codes(void **state) {
    house *h = *state;
    assert_int_equal(RUN(h, "{\"ok\":false,\"error\":\"NOT_FOUND\",\"message\":\"no such device\"}\n",
                         "device", "show", "x"),
                     1);
    assert_string_equal(h->err, "porchlight: no such device\n");
    assert_int_equal(
        RUN(h, "{\"ok\":false,\"error\":\"USAGE\",\"message\":\"words\"}\n", "device", "show", "x"), 2);
    assert_int_equal(RUN(h, "nonsense\n", "device", "list"), 1);
    assert_int_equal(RUN(h, "", "device", "list"), 1);
    assert_non_null(strstr(h->err, "ended before it answered"));
    assert_int_equal(RUN(h, "", "devise", "list"), 2);
    assert_non_null(strstr(h->err, "device list"));
    assert_string_equal(h->asked, "");
}

static void progress_comes_before_the_answer(void **state) {
    house *h = *state;
    assert_int_equal(
        RUN(h, "{\"progress\":0.5,\"text\":\"half\"}\n{\"ok\":true,\"result\":{\"devices\":[]}}\n",
            "--json", "device", "list"),
        0);
    assert_string_equal(h->out, "{\"devices\":[]}\n");
}

static void a_hub_that_turns_the_client_away_is_quoted(void **state) {
    house *h = *state;
    porch_cli_hub *hub = NULL;
    json_t *result = NULL;
    porch_why why = {""};
    char dir[256];
    path_in(h, "hub", dir);
    assert_int_equal(sem_init(&h->turned_away, 0, 0), 0);
    h->turns_away = true;
    h->answer = "{\"ok\":false,\"error\":\"BUSY\",\"message\":\"the house is full\"}\n";
    assert_int_equal(porch_cli_hub_open(dir, &hub, &why), PORCH_OK);
    assert_int_equal(sem_wait(&h->turned_away), 0);
    assert_int_equal(porch_cli_hub_ask(hub, "status", NULL, &result, &why), PORCH_ERR_BUSY);
    assert_string_equal(why.text, "the house is full");
    porch_cli_hub_close(hub);
    assert_int_equal(sem_destroy(&h->turned_away), 0);
}

static void an_answer_of_strangers_cannot_move_the_cursor(void **state) {
    house *h = *state;
    assert_int_equal(
        RUN(h, "{\"ok\":true,\"result\":{\"devices\":[{\"id\":\"a\\u001b[2J\"}]}}\n", "device", "list"), 0);
    assert_null(strchr(h->out, 033));
}

#define IN_HOUSE(test) cmocka_unit_test_setup_teardown(test, arrive, leave)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_HOUSE(device_add_makes_the_key_here_and_sends_only_the_request),
        IN_HOUSE(a_renewal_keeps_what_the_hub_knows_and_says_so),
        IN_HOUSE(a_refused_device_leaves_nothing_behind),
        IN_HOUSE(a_folder_with_a_key_is_never_written_over),
        IN_HOUSE(with_a_request_of_its_own_no_key_is_made),
        IN_HOUSE(an_answer_that_would_spoil_device_conf_is_refused),
        IN_HOUSE(service_add_sends_what_is_allowed_and_denied),
        IN_HOUSE(each_subcommand_asks_its_command_and_shows_the_answer),
        IN_HOUSE(the_root_key_is_moved_and_never_written_over),
        IN_HOUSE(refusals_and_wrong_words_have_their_own_exit_codes),
        IN_HOUSE(progress_comes_before_the_answer),
        IN_HOUSE(a_hub_that_turns_the_client_away_is_quoted),
        IN_HOUSE(an_answer_of_strangers_cannot_move_the_cursor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
