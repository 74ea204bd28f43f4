/* The real supervisor with children of straw: this program is hub, signer, analyst and courier in one, told
 * apart by its words as the real ones are. */
#include "cloud/supervisor/supervisor.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "cloud/supervisor/supervisor_backoff.h"
#include "cloud/supervisor/supervisor_init.h"
#include "cloud/supervisor/supervisor_tree.h"
#include "crypto/box.h"
#include "crypto/x509.h"
#include "os/channel.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"

enum { GUARD_SECONDS = 60 };

/* ---- children of straw --------------------------------------------------------------------------------
 */

static int straw_helper(void) {
    uint8_t block[64];
    porch_buf word = PORCH_BUF_OF(block);
    while (porch_channel_receive(PORCH_CHILD_SOCKET_FD, &word, NULL, 0, NULL, -1, NULL) == PORCH_OK) {
    }
    return 0;
}

static int straw_hub(void) {
    uint8_t block[64];
    porch_buf word = PORCH_BUF_OF(block);
    if (getenv("STRAW_HUB_FAILS")) return 3;
    if (porch_channel_send(PORCH_CHILD_SOCKET_FD, PORCH_LIT("ready"), NULL, 0, -1, NULL) != PORCH_OK)
        return 4;
    if (getenv("STRAW_HUB_LEAVES")) return 0;
    for (;;) {
        int fd = -1;
        size_t fds = 0;
        porch_err e = porch_channel_receive(PORCH_CHILD_SOCKET_FD, &word, &fd, 1, &fds, -1, NULL);
        if (e != PORCH_OK) return 0;
        if (porch_bytes_eq_text(porch_buf_bytes(&word), "drain") && !getenv("STRAW_HUB_STAYS")) return 0;
    }
}

static int straw(int argc, char **argv) {
    if (strstr(argv[0], "porchlight-")) return straw_helper();
    if (argc > 3 && strcmp(argv[3], "hub") == 0) return straw_hub();
    return straw_helper();
}

/* ---- a hub's directory and a supervisor of our own ------------------------------------------------------
 */

typedef struct {
    char top[64], dir[128], bin[128];
    pid_t pid;
    FILE *out, *err;
} house;

static void remove_tree(const char *path) {
    DIR *d = opendir(path);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        char inner[1024];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
        if (unlink(inner) != 0) remove_tree(inner);
    }
    if (d) closedir(d);
    (void)rmdir(path);
}

static void write_conf(const house *h, const char *more) {
    char path[256], text[1024];
    snprintf(path, sizeof path, "%s/hub.conf", h->dir);
    snprintf(text, sizeof text,
             "hub.bind = 127.0.0.1\nhub.mqtt_port = 0\nhub.device_port = 0\nhub.https_port = 0\n"
             "supervisor.restart_first_ms = 1\nsupervisor.restart_most_ms = 4\n%s",
             more);
    assert_int_equal(porch_file_write_atomic(path, porch_bytes_of(text), 0600, NULL), PORCH_OK);
}

static int build(void **state) {
    static const char *const helpers[] = {"porchlight-analyst", "porchlight-courier"};
    char own[512], link[256];
    static house the_house;
    house *h = &the_house;
    memset(h, 0, sizeof *h);
    snprintf(h->top, sizeof h->top, "/tmp/porch-supervisor-XXXXXX");
    if (!mkdtemp(h->top)) return -1;
    snprintf(h->dir, sizeof h->dir, "%.63s/hub", h->top);
    snprintf(h->bin, sizeof h->bin, "%.63s/libexec", h->top);
    ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
    if (n <= 0 || mkdir(h->bin, 0700) != 0) return -1;
    own[n] = '\0';
    for (size_t i = 0; i < 2; i++) {
        snprintf(link, sizeof link, "%s/%s", h->bin, helpers[i]);
        if (symlink(own, link) != 0) return -1;
    }
    if (porch_tree_make(h->dir, NULL) != PORCH_OK) return -1;
    for (size_t i = 0; i < 3; i++) { /* handed to the signer */
        static const char *const certs[] = {"issuing.pem", "web-ca.pem", "device-root.pem"};
        snprintf(link, sizeof link, "%.63s/hub/tls/%s", h->top, certs[i]);
        if (porch_file_write_atomic(link, PORCH_LIT("x"), 0644, NULL) != PORCH_OK) return -1;
    }
    write_conf(h, "");
    *state = h;
    alarm(GUARD_SECONDS); /* a test that hangs ends the program */
    return 0;
}

static int clear(void **state) {
    house *h = *state;
    if (h->pid > 0) {
        kill(h->pid, SIGKILL);
        waitpid(h->pid, NULL, 0);
    }
    if (h->out) fclose(h->out);
    if (h->err) fclose(h->err);
    remove_tree(h->top);
    alarm(0);
    return 0;
}

static void start_for(house *h, bool admin_only, int ready_fd) {
    int out[2], err[2];
    assert_int_equal(pipe(out), 0);
    assert_int_equal(pipe(err), 0);
    h->pid = fork();
    assert_true(h->pid >= 0);
    if (h->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        close(out[0]), close(out[1]), close(err[0]), close(err[1]);
        porch_log_init("supervisor", PORCH_LOG_INFO);
        porch_supervisor_config config = {
            .dir = h->dir, .admin_only = admin_only, .ready_fd = ready_fd, .helper_folder = h->bin};
        _exit(porch_supervisor_run(&config));
    }
    close(out[1]);
    close(err[1]);
    h->out = fdopen(out[0], "r");
    h->err = fdopen(err[0], "r");
}

static void start(house *h, bool admin_only) {
    start_for(h, admin_only, -1);
}

/* The next log line that holds both texts; fails when the log ends first. */
static void await_log(const house *h, const char *a, const char *b, char line[1024]) {
    while (fgets(line, 1024, h->err))
        if (strstr(line, a) && strstr(line, b)) return;
    fail_msg("the log ended without '%s %s'", a, b);
}

static pid_t pid_of(const char *line) {
    const char *at = strstr(line, " pid=");
    uint64_t pid = 0;
    assert_non_null(at);
    porch_bytes digits = {(const uint8_t *)at + 5, strcspn(at + 5, " \n")};
    assert_int_equal(porch_decimal_read(digits, 4194304, &pid), PORCH_OK);
    return (pid_t)pid;
}

static void await_ready(const house *h) {
    char line[256];
    assert_non_null(fgets(line, sizeof line, h->out));
    assert_int_equal(strncmp(line, "ready mqtt=", 11), 0);
    assert_null(strstr(line, "=0"));
}

static int await_end(house *h) {
    int status = 0;
    char line[1024];
    while (fgets(line, sizeof line, h->err)) {
    }
    assert_int_equal(waitpid(h->pid, &status, 0), h->pid);
    h->pid = 0;
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* ---- the tests ------------------------------------------------------------------------------------------
 */

static void each_helper_that_is_killed_comes_back_and_the_hub_stays(void **state) {
    static const char *const roles[] = {"role=signer", "role=analyst", "role=courier"};
    house *h = *state;
    char line[1024];
    start(h, false);
    await_log(h, "helper.started", "role=hub", line);
    pid_t hub = pid_of(line);
    pid_t pids[3];
    for (int i = 0; i < 3; i++) {
        await_log(h, "helper.started", roles[i], line);
        pids[i] = pid_of(line);
    }
    await_ready(h);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kill(pids[i], SIGKILL), 0);
        await_log(h, "helper.ended", roles[i], line);
        assert_non_null(strstr(line, "killed by signal 9"));
        await_log(h, "helper.restarted", roles[i], line);
        assert_int_not_equal(pid_of(line), pids[i]);
    }
    assert_int_equal(kill(hub, 0), 0);
    kill(h->pid, SIGTERM);
    assert_int_equal(await_end(h), 0);
}

static void a_hub_that_is_killed_comes_back_with_all_its_helpers(void **state) {
    house *h = *state;
    char line[1024];
    start(h, false);
    await_log(h, "helper.started", "role=hub", line);
    for (int i = 0; i < 3; i++) {
        await_ready(h);
        assert_int_equal(kill(pid_of(line), SIGKILL), 0);
        await_log(h, "helper.restarted", "role=hub", line);
    }
    await_ready(h);
    kill(h->pid, SIGINT);
    assert_int_equal(await_end(h), 0);
}

static void a_helper_that_is_not_there_is_tried_again_later_each_time_and_the_hub_serves(void **state) {
    house *h = *state;
    char line[1024], link[256];
    snprintf(link, sizeof link, "%s/porchlight-analyst", h->bin);
    assert_int_equal(unlink(link), 0);
    start(h, false);
    await_ready(h);
    for (int i = 0; i < 4; i++)
        await_log(h, "helper.start-failed", "role=analyst", line);
    kill(h->pid, SIGTERM);
    assert_int_equal(await_end(h), 0);
}

static void nothing_runs_after_the_supervisor_was_killed(void **state) {
    house *h = *state;
    char line[1024];
    start(h, false);
    await_log(h, "helper.started", "role=courier", line);
    await_ready(h);
    kill(h->pid, SIGKILL);
    /* Every child held the log's pipe: its end comes when the last of them is gone. */
    while (fgets(line, sizeof line, h->err)) {
    }
    assert_int_equal(waitpid(h->pid, NULL, 0), h->pid);
    h->pid = 0;
}

static void a_hub_that_does_not_drain_is_killed_in_bounded_time(void **state) {
    house *h = *state;
    char line[1024];
    write_conf(h, "supervisor.drain_ms = 100\n");
    setenv("STRAW_HUB_STAYS", "1", 1);
    start(h, false);
    unsetenv("STRAW_HUB_STAYS");
    await_ready(h);
    kill(h->pid, SIGTERM);
    await_log(h, "helper.killed", "role=hub", line);
    assert_int_equal(await_end(h), 0);
}

static void a_hub_that_cannot_start_even_once_ends_the_supervisor(void **state) {
    house *h = *state;
    setenv("STRAW_HUB_FAILS", "1", 1);
    start(h, false);
    unsetenv("STRAW_HUB_FAILS");
    assert_int_equal(await_end(h), 1);
}

static void with_admin_only_there_are_no_listeners_and_the_end_is_the_hubs(void **state) {
    house *h = *state;
    char line[1024];
    setenv("STRAW_HUB_LEAVES", "1", 1);
    start(h, true);
    unsetenv("STRAW_HUB_LEAVES");
    assert_null(fgets(line, sizeof line, h->out));
    assert_int_equal(await_end(h), 0);
}

static void a_hub_for_one_command_ends_when_that_has_gone_before_it_was_ready(void **state) {
    house *h = *state;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    close(ready[0]);
    start_for(h, true, ready[1]);
    close(ready[1]);
    assert_int_equal(await_end(h), 0);
}

static void a_second_supervisor_is_refused(void **state) {
    house *h = *state;
    house second = *h;
    char line[1024];
    start(h, false);
    await_ready(h);
    start(&second, false);
    await_log(&second, "supervisor.failed", "running", line);
    assert_int_equal(await_end(&second), 1);
    fclose(second.out);
    fclose(second.err);
    kill(h->pid, SIGTERM);
    assert_int_equal(await_end(h), 0);
}

static void a_mode_that_is_too_open_is_refused_with_the_command_that_mends_it(void **state) {
    static const struct {
        const char *name;
        mode_t wrong, right;
    } rows[] = {{"", 0755, 0700},
                {"signer", 0750, 0700},
                {"signer/seal.key", 0640, 0600},
                {"tls/web.key", 0644, 0600},
                {"hub.conf", 0644, 0600},
                {"OFFLINE/root.key", 0604, 0600},
                {"hub.db", 0660, 0600}};
    house *h = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char path[256];
        porch_why why = {""};
        snprintf(path, sizeof path, "%s%s%s", h->dir, rows[i].name[0] ? "/" : "", rows[i].name);
        if (access(path, F_OK) != 0)
            assert_int_equal(porch_file_write_atomic(path, PORCH_LIT("x"), 0600, NULL), PORCH_OK);
        assert_int_equal(porch_tree_check(h->dir, geteuid(), geteuid(), &why), PORCH_OK);
        assert_int_equal(chmod(path, rows[i].wrong), 0);
        assert_int_equal(porch_tree_check(h->dir, geteuid(), geteuid(), &why), PORCH_ERR_MODE);
        assert_non_null(strstr(why.text, "chmod"));
        assert_int_equal(chmod(path, rows[i].right), 0);
        assert_int_equal(porch_tree_check(h->dir, geteuid(), geteuid(), &why), PORCH_OK);
    }
}

static void a_missing_directory_is_told_with_the_command_that_makes_one(void **state) {
    porch_why why = {""};
    (void)state;
    assert_int_equal(porch_tree_check("/tmp/porch-no-such-hub", geteuid(), geteuid(), &why),
                     PORCH_ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, "porchlight init"));
}

static void the_signers_folder_has_an_owner_of_its_own(void **state) {
    house *h = *state;
    porch_why why = {""};
    uid_t other = geteuid() + 1;
    assert_int_equal(porch_tree_check(h->dir, geteuid(), other, &why), PORCH_ERR_MODE);
    assert_non_null(strstr(why.text, "chown -R "));
    assert_non_null(strstr(why.text, "/signer"));
    assert_int_equal(porch_tree_check(h->dir, other, geteuid(), &why), PORCH_ERR_MODE);
    assert_null(strstr(why.text, "/signer"));
    if (geteuid() != 0) return; /* only root gives files away */
    assert_int_equal(
        porch_tree_give(h->dir, (porch_user){70001, 70001, 0}, (porch_user){70002, 70002, 0}, &why),
        PORCH_OK);
    assert_int_equal(porch_tree_check(h->dir, 70001, 70002, &why), PORCH_OK);
    assert_int_equal(porch_tree_check(h->dir, 70001, 70001, &why), PORCH_ERR_MODE);
    char path[256];
    (void)snprintf(path, sizeof path, "%s/.hub.conf.12.0.tmp",
                   h->dir); /* of a power cut under root's hands */
    assert_int_equal(porch_file_write_atomic(path, PORCH_LIT(""), 0600, &why), PORCH_OK);
    assert_int_equal(porch_tree_check(h->dir, 70001, 70002, &why), PORCH_OK);
    assert_int_equal(unlink(path), 0);
}

static void users_that_are_missing_are_told_with_the_command_that_makes_them(void **state) {
    porch_settings settings;
    porch_users users = {.separate = false};
    porch_why why = {""};
    char command[PORCH_USERS_COMMAND_BYTES];
    (void)state;
    assert_false(porch_users_mend(&users, "/d", command));
    snprintf(users.missing[PORCH_CHILD_SIGNER], PORCH_USERS_NAME_BYTES, "a-signer");
    snprintf(users.missing[PORCH_CHILD_COURIER], PORCH_USERS_NAME_BYTES, "a-courier");
    assert_true(porch_users_mend(&users, "/d", command));
    assert_string_equal(command, "useradd --system a-signer && useradd --system a-courier && "
                                 "chown -R a-signer /d/signer");
    assert_int_equal(porch_users_named("porch-no-such-user", &users.of[0], &why), PORCH_ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, "useradd --system porch-no-such-user"));
    porch_settings_default(&settings);
    assert_int_equal(porch_settings_set(&settings, "hub.analyst_user", "porch-no-such-user", &why),
                     PORCH_OK);
    /* Settings of users are root's business: another starter stays who it is. */
    assert_int_equal(porch_users_find(&settings, &users, &why),
                     geteuid() == 0 ? PORCH_ERR_NOT_FOUND : PORCH_OK);
    porch_settings_default(&settings);
    assert_int_equal(porch_users_find(&settings, &users, &why), PORCH_OK);
    assert_false(users.separate);
    for (int i = 0; i < PORCH_CHILD_COUNT; i++)
        assert_int_equal(users.of[i].uid, geteuid());
}

static void the_signer_gets_the_group_of_the_tpm_and_init_tells_when_that_is_not_enough(void **state) {
    house *h = *state;
    char tpm[128], dir[160], tcti[160];
    porch_settings settings;
    porch_users users;
    porch_why why = {""};
    if (geteuid() != 0) skip(); /* only root changes users */
    (void)snprintf(tpm, sizeof tpm, "%s/tpmrm0", h->top);
    (void)snprintf(tcti, sizeof tcti, "device:%s", tpm);
    (void)snprintf(dir, sizeof dir, "%s/sealed", h->top);
    assert_int_equal(porch_file_write_atomic(tpm, PORCH_LIT("none"), 0600, &why), PORCH_OK);
    assert_int_equal(chown(tpm, 0, 4321), 0);
    assert_int_equal(chmod(h->top, 0711), 0);
    porch_settings_default(&settings);
    assert_int_equal(porch_settings_set(&settings, "hub.signer_user", "nobody", &why), PORCH_OK);
    assert_int_equal(porch_settings_set(&settings, "hub.tpm", tcti, &why), PORCH_OK);
    assert_int_equal(chmod(tpm, 0660), 0);
    assert_int_equal(porch_users_find(&settings, &users, &why), PORCH_OK);
    assert_int_equal(users.of[PORCH_CHILD_SIGNER].also, 0); /* hub.seal = file */
    assert_int_equal(porch_settings_set(&settings, "hub.seal", "tpm", &why), PORCH_OK);
    assert_int_equal(porch_users_find(&settings, &users, &why), PORCH_OK);
    for (int i = 0; i < PORCH_CHILD_COUNT; i++)
        assert_int_equal(users.of[i].also, i == PORCH_CHILD_SIGNER ? 4321 : 0);
    assert_int_equal(chmod(tpm, 0600), 0);
    const uint8_t recovery[PORCH_BOX_PUBLIC_BYTES] = {9};
    assert_int_equal(porch_init_run(dir, &settings, recovery, porch_clock_ms(), &why), PORCH_ERR_DENIED);
    assert_non_null(strstr(why.text, tpm));
    assert_non_null(strstr(why.text, "tpm-udev"));
    assert_int_not_equal(access(dir, F_OK), 0);
    assert_int_equal(chmod(tpm, 0660), 0);
    why.text[0] = '\0'; /* now it is the TPM itself that is not there */
    assert_int_not_equal(porch_init_run(dir, &settings, recovery, porch_clock_ms(), &why), PORCH_OK);
    assert_null(strstr(why.text, "tpm-udev"));
    assert_int_equal(unlink(tpm), 0);
}

static void init_makes_authorities_that_fit_and_refuses_a_second_time(void **state) {
    house *h = *state;
    char dir[160], path[256];
    uint8_t *root = NULL, *issuing = NULL, *kept = NULL;
    size_t root_len = 0, issuing_len = 0, kept_len = 0;
    porch_settings settings;
    porch_why why = {""};
    snprintf(dir, sizeof dir, "%s/new", h->top);
    porch_settings_default(&settings);
    assert_int_equal(porch_init_run(dir, &settings, NULL, porch_clock_ms(), &why), PORCH_OK);
    assert_int_equal(porch_tree_check(dir, geteuid(), geteuid(), &why), PORCH_OK);
    assert_true(porch_tree_root_is_online(dir));
    snprintf(path, sizeof path, "%s/tls/device-root.pem", dir);
    assert_int_equal(porch_file_read(path, 16384, &root, &root_len, &why), PORCH_OK);
    snprintf(path, sizeof path, "%s/tls/issuing.pem", dir);
    assert_int_equal(porch_file_read(path, 16384, &issuing, &issuing_len, &why), PORCH_OK);
    porch_x509_info info;
    assert_int_equal(porch_x509_read((porch_bytes){issuing, issuing_len}, &info, &why), PORCH_OK);
    assert_true(info.is_ca);
    snprintf(path, sizeof path, "%s/signer/root.pem", dir); /* what the signer judges issuers by */
    assert_int_equal(porch_file_read(path, 16384, &kept, &kept_len, &why), PORCH_OK);
    assert_true(porch_bytes_eq((porch_bytes){kept, kept_len}, (porch_bytes){root, root_len}));
    free(kept);
    free(root);
    free(issuing);
    snprintf(path, sizeof path, "%s/hub.conf", dir);
    assert_int_equal(porch_settings_load(path, &settings, &why), PORCH_OK);
    assert_int_equal(strncmp(settings.hub_id, "hub-", 4), 0);
    assert_int_equal(porch_init_run(dir, &settings, NULL, porch_clock_ms(), &why), PORCH_ERR_EXISTS);
    assert_non_null(strstr(why.text, "holds a hub already"));
}

static void init_refuses_what_it_cannot_do_and_leaves_nothing(void **state) {
    static const struct {
        const char *setting, *value;
        porch_err error;
    } rows[] = {{"hub.seal", "pkcs11", PORCH_ERR_UNSUPPORTED},
                {"hub.seal", "tpm", PORCH_ERR_USAGE},
                {"hub.https_cert", "/tmp/porch-no-such.pem", PORCH_ERR_USAGE},
                {"hub.user", "porch-no-such-user", PORCH_ERR_NOT_FOUND}};
    house *h = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char dir[160];
        porch_settings settings;
        porch_why why = {""};
        snprintf(dir, sizeof dir, "%s/refused", h->top);
        porch_settings_default(&settings);
        assert_int_equal(porch_settings_set(&settings, rows[i].setting, rows[i].value, &why), PORCH_OK);
        assert_int_equal(porch_init_run(dir, &settings, NULL, porch_clock_ms(), &why), rows[i].error);
        assert_int_equal(access(dir, F_OK), -1);
    }
}

static void the_wait_doubles_with_each_end_in_a_row_and_a_long_life_resets_it(void **state) {
    (void)state;
    porch_backoff b = {100, 1000, 60000, 0};
    const uint32_t waits[] = {100, 200, 400, 800, 1000, 1000};
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
        assert_int_equal(porch_backoff_next(&b, 5), waits[i]);
    assert_int_equal(porch_backoff_next(&b, 60000), 100);
    assert_int_equal(porch_backoff_next(&b, 59999), 200);
    b = (porch_backoff){4000000000u, UINT32_MAX, 60000, 30};
    assert_int_equal(porch_backoff_next(&b, 0), UINT32_MAX);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_helper_that_is_killed_comes_back_and_the_hub_stays, build,
                                        clear),
        cmocka_unit_test_setup_teardown(a_hub_that_is_killed_comes_back_with_all_its_helpers, build, clear),
        cmocka_unit_test_setup_teardown(
            a_helper_that_is_not_there_is_tried_again_later_each_time_and_the_hub_serves, build, clear),
        cmocka_unit_test_setup_teardown(nothing_runs_after_the_supervisor_was_killed, build, clear),
        cmocka_unit_test_setup_teardown(a_hub_that_does_not_drain_is_killed_in_bounded_time, build, clear),
        cmocka_unit_test_setup_teardown(a_hub_that_cannot_start_even_once_ends_the_supervisor, build,
                                        clear),
        cmocka_unit_test_setup_teardown(with_admin_only_there_are_no_listeners_and_the_end_is_the_hubs,
                                        build, clear),
        cmocka_unit_test_setup_teardown(a_hub_for_one_command_ends_when_that_has_gone_before_it_was_ready,
                                        build, clear),
        cmocka_unit_test_setup_teardown(a_second_supervisor_is_refused, build, clear),
        cmocka_unit_test_setup_teardown(a_mode_that_is_too_open_is_refused_with_the_command_that_mends_it,
                                        build, clear),
        cmocka_unit_test_setup_teardown(the_signers_folder_has_an_owner_of_its_own, build, clear),
        cmocka_unit_test(users_that_are_missing_are_told_with_the_command_that_makes_them),
        cmocka_unit_test(a_missing_directory_is_told_with_the_command_that_makes_one),
        cmocka_unit_test_setup_teardown(init_makes_authorities_that_fit_and_refuses_a_second_time, build,
                                        clear),
        cmocka_unit_test_setup_teardown(
            the_signer_gets_the_group_of_the_tpm_and_init_tells_when_that_is_not_enough, build, clear),
        cmocka_unit_test_setup_teardown(init_refuses_what_it_cannot_do_and_leaves_nothing, build, clear),
        cmocka_unit_test(the_wait_doubles_with_each_end_in_a_row_and_a_long_life_resets_it),
    };
    if (argc > 1 || strstr(argv[0], "porchlight-")) return straw(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
