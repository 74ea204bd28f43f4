/* The hub process from outside: started as the supervisor starts it, in a child with its own control
 * channel and admin socket, behind its real wall. */
#include "cloud/api/hub.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cloud/settings/settings.h"
#include "crypto/x509.h"
#include "os/channel.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/socket.h"

enum { ANSWER_BYTES = 4096, WAIT_MS = 30000 };

typedef struct {
    char dir[64];
    int control, signer; /* our ends */
    pid_t pid;
} lab;

static void path_in(const lab *l, const char *name, char out[256]) {
    (void)snprintf(out, 256, "%s/%s", l->dir, name);
}

/* What every hub has since it was made: the authority that issues. */
static bool make_issuer(const lab *l) {
    char path[256];
    uint8_t block[PORCH_X509_PEM_BYTES];
    porch_buf pem = PORCH_BUF_OF(block);
    porch_key *key = NULL;
    path_in(l, "tls/issuing.pem", path);
    bool made = porch_key_generate_p256(&key, NULL) == PORCH_OK &&
                porch_ca_make_root("issuing", key, porch_clock_ms() - 1000, 1, &pem, NULL) == PORCH_OK &&
                porch_file_write_atomic(path, porch_buf_bytes(&pem), 0644, NULL) == PORCH_OK;
    porch_key_free(key);
    return made;
}

static int make_lab(void **state) {
    static const char *const folders[] = {"clips", "tls", "run", "signer", "OFFLINE", "updates"};
    char path[256];
    porch_settings settings;
    lab *l = calloc(1, sizeof *l);
    l->control = l->signer = -1;
    (void)snprintf(l->dir, sizeof l->dir, "/tmp/porch-hub-XXXXXX");
    if (mkdtemp(l->dir) == NULL) goto fail;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        path_in(l, folders[i], path);
        if (mkdir(path, 0700) != 0) goto fail;
    }
    porch_settings_default(&settings);
    path_in(l, "hub.conf", path);
    if (porch_settings_write(path, &settings, NULL) != PORCH_OK || !make_issuer(l)) goto fail;
    *state = l;
    return 0;
fail:
    free(l);
    return -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static int drop_lab(void **state) {
    lab *l = *state;
    if (l->control >= 0) (void)close(l->control);
    if (l->signer >= 0) (void)close(l->signer);
    (void)nftw(l->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(l);
    return 0;
}

/* Starts an admin-only hub in a child; with a signer's socket at which nobody answers. */
static void start(lab *l) {
    int control[2], signer[2], admin = -1;
    char path[256];
    assert_int_equal(porch_channel_pair(control, NULL), PORCH_OK);
    assert_int_equal(porch_channel_pair(signer, NULL), PORCH_OK);
    path_in(l, "run/admin.sock", path);
    assert_int_equal(porch_socket_listen_unix(path, 0600, 4, &admin, NULL), PORCH_OK);
    /* It waits in the channel, so that a hub that ends at once is no matter. */
    assert_int_equal(porch_channel_send(control[0], PORCH_LIT("signer"), &signer[1], 1, WAIT_MS, NULL),
                     PORCH_OK);
    l->pid = fork();
    assert_true(l->pid >= 0);
    if (l->pid == 0) {
        (void)close(control[0]);
        (void)close(signer[0]);
        (void)close(signer[1]);
        const porch_hub_start s = {.dir = l->dir,
                                   .control_fd = control[1],
                                   .listen_fd = {-1, -1, -1},
                                   .admin_fd = admin,
                                   .admin_only = true};
        _exit(porch_hub_run(&s));
    }
    (void)close(control[1]);
    (void)close(admin);
    l->control = control[0];
    l->signer = signer[0];
    (void)close(signer[1]);
}

static int exit_code(const lab *l) {
    int status = 0;
    assert_int_equal(waitpid(l->pid, &status, 0), l->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void await_ready(const lab *l) {
    uint8_t block[64];
    porch_buf word = PORCH_BUF_OF(block);
    assert_int_equal(porch_channel_receive(l->control, &word, NULL, 0, NULL, WAIT_MS, NULL), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&word), "ready"));
}

static int connect_admin(const lab *l) {
    char path[256];
    int fd = -1;
    path_in(l, "run/admin.sock", path);
    assert_int_equal(porch_socket_connect_unix(path, &fd, NULL), PORCH_OK);
    return fd;
}

static void ask_admin(int fd, const char *line, char answer[ANSWER_BYTES]) {
    size_t len = 0;
    assert_int_equal(write(fd, line, strlen(line)), strlen(line));
    do {
        assert_int_equal(porch_socket_wait(fd, POLLIN, WAIT_MS), PORCH_OK);
        ssize_t n = read(fd, answer + len, ANSWER_BYTES - 1 - len);
        assert_true(n > 0);
        len += (size_t)n;
    } while (answer[len - 1] != '\n');
    answer[len] = '\0';
}

static void an_admin_only_hub_serves_and_ends_with_its_last_client(void **state) {
    lab *l = *state;
    char answer[ANSWER_BYTES];
    start(l);
    await_ready(l);
    int fd = connect_admin(l);
    ask_admin(fd, "{\"do\":\"status\",\"args\":{}}\n", answer);
    assert_non_null(strstr(answer, "\"ok\":true"));
    assert_non_null(strstr(answer, "\"signer\":true"));
    ask_admin(fd, "{\"do\":\"user.list\",\"args\":{}}\n", answer);
    assert_non_null(strstr(answer, "\"users\":[]"));
    ask_admin(fd, "{\"do\":\"user.reset\",\"args\":{\"name\":\"nobody\"}}\n", answer);
    assert_non_null(strstr(answer, "NOT_FOUND"));
    ask_admin(fd, "{\"do\":\"setup-link\",\"args\":{}}\n", answer);
    assert_non_null(strstr(answer, "\"url\":\"https://localhost:8443/setup#"));
    ask_admin(fd, "{\"do\":\"setup-link\",\"args\":{\"x\":1}}\n", answer);
    assert_non_null(strstr(answer, "USAGE"));
    (void)close(fd);
    assert_int_equal(exit_code(l), 0);
}

static void a_word_from_the_supervisor_drains_it(void **state) {
    lab *l = *state;
    start(l);
    await_ready(l);
    assert_int_equal(porch_channel_send(l->control, PORCH_LIT("drain"), NULL, 0, WAIT_MS, NULL), PORCH_OK);
    assert_int_equal(exit_code(l), 0);
}

static void it_ends_in_order_when_the_supervisor_has_gone(void **state) {
    lab *l = *state;
    start(l);
    await_ready(l);
    (void)close(l->control);
    l->control = -1;
    assert_int_equal(exit_code(l), 0);
}

static void what_it_leaves_starts_again(void **state) {
    lab *l = *state;
    struct stat st;
    char path[256];
    for (int i = 0; i < 2; i++) {
        start(l);
        await_ready(l);
        assert_int_equal(porch_channel_send(l->control, PORCH_LIT("drain"), NULL, 0, WAIT_MS, NULL),
                         PORCH_OK);
        assert_int_equal(exit_code(l), 0);
        (void)close(l->control);
        (void)close(l->signer);
        l->control = l->signer = -1;
    }
    path_in(l, "hub.db", path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void settings_that_are_off_keep_it_from_starting(void **state) {
    lab *l = *state;
    char path[256];
    path_in(l, "hub.conf", path);
    assert_int_equal(porch_file_write_atomic(path, PORCH_LIT("hub.naem = x\n"), 0600, NULL), PORCH_OK);
    start(l);
    assert_int_equal(exit_code(l), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_lab, drop_lab)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_admin_only_hub_serves_and_ends_with_its_last_client),
        TEST(a_word_from_the_supervisor_drains_it),
        TEST(it_ends_in_order_when_the_supervisor_has_gone),
        TEST(what_it_leaves_starts_again),
        TEST(settings_that_are_off_keep_it_from_starting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
