/* What a client may write to the admin socket: the real door, commands, registry, grants and store; only
 * the signer is this process. Each line must be answered by one line of JSON (progress aside), and the
 * store's log of decisions must stay sound. After a while everything begins anew, so that a finding does
 * not hang on what came long before. */
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloud/api/admin.h"
#include "cloud/registry/registry_testing.h"
#include "os/file.h"
#include "os/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* The store's writer lives on while leaks are looked for, and its random generator hangs on the thread's
 * own data, where the sanitizer does not look: one for each thread, given back by OpenSSL when it ends. */
const char *__lsan_default_suppressions(void) {
    return "leak:CRYPTO_zalloc\nleak:CRYPTO_strdup\nleak:CRYPTO_strndup\n";
}

enum { MOST = 2048, RUNS_EACH = 2000, SEND_BYTES = 1 << 20 };

static store_lab lab;
static porch_registry *registry;
static porch_grants *grants;
static porch_admin_world world;
static unsigned runs, drained;
static const porch_admin_command *const tables[] = {porch_admin_registry_commands,
                                                    porch_admin_enrol_commands,
                                                    porch_admin_trust_commands,
                                                    porch_admin_grants_commands,
                                                    porch_admin_policy_commands,
                                                    porch_admin_store_commands,
                                                    NULL};

static void must(bool holds) {
    if (!holds) abort();
}

static void on_drain(void *ctx) {
    (void)ctx;
    drained++;
}

static void end(void) {
    porch_grants_close(grants);
    porch_registry_close(registry);
    store_lab_remove(&lab);
    signer_double_end();
}

static void make_folder(const char *name) {
    char path[128];
    porch_why why = {""};
    (void)snprintf(path, sizeof path, "%s/%s", lab.dir, name);
    must(porch_dir_make(path, 0700, &why) == PORCH_OK);
}

static void begin(void) {
    char path[128];
    porch_why why = {""};
    porch_log_init("fuzz", PORCH_LOG_ERROR);
    signer_double_start();
    store_lab_make(&lab);
    (void)porch_settings_set(&lab.settings, "hub.name", "porch.example ::1", NULL);
    (void)porch_settings_set(&lab.settings, "admin.line_bytes", "1024", NULL);
    must(store_lab_open(&lab) == PORCH_OK);
    must(porch_registry_open(lab.store, &lab.settings, &registry, &why) == PORCH_OK);
    must(porch_grants_open(lab.store, registry, &lab.settings, &grants, &why) == PORCH_OK);
    make_folder("tls");
    make_folder("run");
    (void)snprintf(path, sizeof path, "%s/tls/device-root.pem", lab.dir);
    must(porch_file_write_atomic(path, (porch_bytes){the_signer.cert, the_signer.cert_len}, 0600, &why) ==
         PORCH_OK);
    world = (porch_admin_world){.dir = lab.dir,
                                .settings = &lab.settings,
                                .port = {8883, 8444, 8443},
                                .store = lab.store,
                                .registry = registry,
                                .grants = grants,
                                .signer = THE_SIGNER,
                                .drain = on_drain};
}

/* One line for each line of input, each an object with "ok" or "progress". */
static void check_answers(const char *text, size_t len, size_t lines_in) {
    size_t answers = 0;
    while (len > 0) {
        const char *stop = memchr(text, '\n', len);
        must(stop != NULL);
        json_t *o = json_loadb(text, (size_t)(stop - text), JSON_REJECT_DUPLICATES, NULL);
        must(json_is_object(o));
        bool whole = json_is_boolean(json_object_get(o, "ok"));
        must(whole || json_is_number(json_object_get(o, "progress")));
        if (whole) answers++;
        json_decref(o);
        len -= (size_t)(stop - text) + 1;
        text = stop + 1;
    }
    must(answers <= lines_in + 1); /* one more: a line that is too long */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char answers[SEND_BYTES];
    int fd[2], most = SEND_BYTES;
    if (size > MOST) return 0;
    if (runs == 0 && lab.store == NULL) (void)atexit(end);
    if (runs == RUNS_EACH) {
        end();
        lab.store = NULL;
        runs = 0;
    }
    if (runs++ == 0) begin();
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    (void)setsockopt(fd[1], SOL_SOCKET, SO_SNDBUFFORCE, &most, sizeof most);
    must(send(fd[0], data, size, 0) == (ssize_t)size);
    (void)shutdown(fd[0], SHUT_WR);
    porch_admin_config config = {.listen_fd = -1, .owner_uid = getuid(), .world = &world, .tables = tables};
    porch_admin_serve(&config, fd[1]);
    close(fd[1]);
    size_t len = 0, lines = 0;
    for (ssize_t n; (n = recv(fd[0], answers + len, sizeof answers - len, 0)) > 0;)
        len += (size_t)n;
    close(fd[0]);
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    check_answers(answers, len, lines);
    return 0;
}
