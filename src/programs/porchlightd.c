/* porchlightd: the supervisor, and by re-execution the hub and the signer. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "cloud/api/hub.h"
#include "cloud/settings/manual.h"
#include "cloud/settings/settings.h"
#include "cloud/signer/signer.h"
#include "cloud/supervisor/supervisor.h"
#include "cloud/supervisor/supervisor_init.h"
#include "crypto/box.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, CONF_PATH_BYTES = 4096 };

/* Written once: `--help` and porchlightd(8) are made of these rows. */
static const porch_manual_row calls[] = {
    {"porchlightd DIR", "run the hub of DIR until SIGTERM"},
    {"porchlightd DIR --admin-only", "serve only DIR/run/admin.sock, and end with its last client"},
    {"porchlightd --settings", "every setting of hub.conf: default, range, meaning"},
    {"porchlightd --manual", "the manual page porchlightd(8) as roff source"},
    {"porchlightd --help", "this text"},
    {"porchlightd --version", "the version"},
};
static const porch_manual_row exits[] = {
    {"0", "stopped in order"},
    {"1", "failed; the log on standard error says why and what to do"},
    {"2", "the words or a setting are wrong"},
};
static const porch_manual_row signals[] = {
    {"SIGTERM, SIGINT",
     "no new connections, what is under way ends (at most supervisor.drain_ms), then exit; a "
     "second one ends it at once"},
    {"SIGHUP", "nothing: settings are read at start, certificates of a public name by themselves"},
};
static const porch_manual_row variables[] = {
    {"NOTIFY_SOCKET", "where systemd is told READY=1, WATCHDOG=1 and STOPPING=1"},
    {"WATCHDOG_USEC",
     "systemd's watchdog time; it is fed only while every shard turns and the store's writer "
     "ends its rounds"},
};
static const porch_manual_row files[] = {
    {"DIR/hub.conf", "settings"},
    {"DIR/hub.db", "everything but clips"},
    {"DIR/clips/", "encrypted clips"},
    {"DIR/updates/", "the update repository that devices fetch from"},
    {"DIR/tls/", "the hub's own server keys and certificates, the device root and the web CA"},
    {"DIR/signer/", "the signer's keys and journal"},
    {"DIR/OFFLINE/", "the root CA's key until 'porchlight ca export-root' moves it away"},
    {"DIR/run/admin.sock", "the command line's door"},
};
#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static int print_help(void) {
    for (size_t i = 0; i < COUNT(calls); i++)
        printf("%s %-32s %s\n", i == 0 ? "usage:" : "      ", calls[i].word, calls[i].text);
    printf("\nMake DIR with 'porchlight init DIR'. Once it serves, one line 'ready mqtt=PORT device=PORT "
           "https=PORT'\nstands on standard output; the log is on standard error.\n\nExit status:");
    for (size_t i = 0; i < COUNT(exits); i++)
        printf("%s\n  %s  %s", i == 0 ? "" : ",", exits[i].word, exits[i].text);
    return printf(".\n") < 0;
}

static int print_manual(void) {
    porch_manual_begin(stdout, "porchlightd", 8, "the hub of connected products");
    porch_manual_rows(stdout, "SYNOPSIS", calls, COUNT(calls));
    porch_manual_heading(stdout, "DESCRIPTION");
    porch_manual_text(stdout,
                      "The supervisor opens the ports and what else needs rights, starts hub, signer, "
                      "analyst and courier, each in a sandbox and, when started as root, as a user of "
                      "its own, restarts what ends, and stops all of it in order.");
    porch_manual_text(stdout,
                      "Make DIR with 'porchlight init DIR'. Once it serves, one line 'ready mqtt=PORT "
                      "device=PORT https=PORT' stands on standard output; the log is on standard "
                      "error, one line an event.");
    porch_manual_rows(stdout, "SIGNALS", signals, COUNT(signals));
    porch_manual_rows(stdout, "EXIT STATUS", exits, COUNT(exits));
    porch_manual_rows(stdout, "ENVIRONMENT", variables, COUNT(variables));
    porch_manual_rows(stdout, "FILES", files, COUNT(files));
    porch_manual_heading(stdout, "SEE ALSO");
    porch_manual_text(stdout, "porchlight(1), porchlight-hub.conf(5)");
    return fflush(stdout) != 0;
}

typedef struct {
    const char *dir;
    const char *role; /* NULL: the supervisor */
    bool admin_only;
    bool init, renew_web_ca;
    int ready_fd;
    bool has_recovery;
    uint8_t recovery[PORCH_BOX_PUBLIC_BYTES];
    porch_settings settings; /* of init's words */
} words;

static int usage(const char *sentence, const char *word) {
    fprintf(stderr, "porchlightd: %s%s%s; see porchlightd --help\n", sentence, word ? ": " : "",
            word ? word : "");
    return EXIT_USAGE;
}

static int print_settings(void) {
    porch_settings_row row;
    for (size_t i = 0; porch_settings_row_at(i, &row); i++) {
        bool text = strcmp(row.type, "TEXT") == 0;
        printf("%s = %s\n    %s", row.name, row.default_text, row.help);
        if (text)
            printf(" (text of %llu to %llu bytes)\n", (unsigned long long)row.min,
                   (unsigned long long)row.max);
        else
            printf(" (%s, %llu to %llu)\n", strcmp(row.type, "BOOL") == 0 ? "true or false" : "a number",
                   (unsigned long long)row.min, (unsigned long long)row.max);
    }
    return EXIT_DONE;
}

/* Descriptor 5, 6, 7 bound by the supervisor: their ports, as the kernel knows them. */
static uint16_t port_of(int fd) {
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0) return 0;
    if (address.ss_family == AF_INET) return ntohs(((const struct sockaddr_in *)&address)->sin_port);
    if (address.ss_family == AF_INET6) return ntohs(((const struct sockaddr_in6 *)&address)->sin6_port);
    return 0;
}

static int run_hub(const words *w) {
    porch_hub_start start = {.dir = w->dir,
                             .control_fd = PORCH_CHILD_SOCKET_FD,
                             .admin_fd = PORCH_CHILD_ADMIN_FD,
                             .admin_only = w->admin_only};
    porch_log_init("hub", PORCH_LOG_INFO);
    if (w->admin_only) {
        char path[CONF_PATH_BYTES];
        porch_settings settings;
        porch_settings_default(&settings);
        if (porch_path_join(w->dir, "hub.conf", path, sizeof path) == PORCH_OK)
            (void)porch_settings_load(path, &settings, NULL); /* told by the supervisor and the hub */
        start.port[0] = (uint16_t)settings.hub_mqtt_port;
        start.port[1] = (uint16_t)settings.hub_device_port;
        start.port[2] = (uint16_t)settings.hub_https_port;
    }
    for (int i = 0; i < 3; i++) {
        start.listen_fd[i] = w->admin_only ? -1 : PORCH_CHILD_LISTEN_FD + i;
        if (!w->admin_only) start.port[i] = port_of(start.listen_fd[i]);
    }
    return porch_hub_run(&start);
}

/* The descriptors that execve kept open must not reach anything a role might start. */
static void guard_descriptors(void) {
    for (int fd = PORCH_CHILD_SOCKET_FD; fd <= PORCH_CHILD_SIGNER_CREDENTIAL_FD; fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int run_role(const words *w) {
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    guard_descriptors();
    if (strcmp(w->role, "hub") == 0) return run_hub(w);
    if (strcmp(w->role, "signer") == 0) {
        bool credential = fcntl(PORCH_CHILD_SIGNER_CREDENTIAL_FD, F_GETFD) >= 0;
        porch_log_init("signer", PORCH_LOG_INFO);
        return porch_signer_run(
            PORCH_CHILD_SOCKET_FD,
            &(porch_signer_files){.dir_fd = PORCH_CHILD_SIGNER_DIR_FD,
                                  .conf_fd = PORCH_CHILD_SIGNER_CONF_FD,
                                  .issuing_fd = PORCH_CHILD_SIGNER_ISSUING_FD,
                                  .web_fd = PORCH_CHILD_SIGNER_WEB_FD,
                                  .root_fd = PORCH_CHILD_SIGNER_ROOT_FD,
                                  .credential_fd = credential ? PORCH_CHILD_SIGNER_CREDENTIAL_FD : -1});
    }
    return usage("there is no such role", w->role);
}

static int run_init(words *w) {
    porch_why why = {""};
    porch_err e = w->renew_web_ca
                      ? porch_web_ca_renew(w->dir, porch_clock_ms(), &why)
                      : porch_init_run(w->dir, &w->settings, w->has_recovery ? w->recovery : NULL,
                                       porch_clock_ms(), &why);
    if (e == PORCH_OK) return EXIT_DONE;
    /* One line, read by the command line that started this. */
    fprintf(stderr, "%s\n", porch_why_text(&why, e));
    return e == PORCH_ERR_USAGE || e == PORCH_ERR_CONFIG ? EXIT_USAGE : EXIT_REFUSED;
}

static bool take_setting(words *w, const char *assignment) {
    char name[64];
    porch_why why = {""};
    const char *equals = strchr(assignment, '=');
    if (!equals ||
        !porch_bytes_to_text((porch_bytes){(const uint8_t *)assignment, (size_t)(equals - assignment)},
                             name, sizeof name))
        return false;
    porch_err e = porch_settings_set(&w->settings, name, equals + 1, &why);
    if (e != PORCH_OK) fprintf(stderr, "%s\n", porch_why_text(&why, e));
    return e == PORCH_OK;
}

/* The public half of the recovery key, in hex. */
static bool take_recovery(words *w, const char *text) {
    porch_buf out = PORCH_BUF_OF(w->recovery);
    w->has_recovery = porch_hex_read(&out, porch_bytes_of(text)) == PORCH_OK && out.len == out.cap;
    return w->has_recovery;
}

static bool take_ready_fd(words *w, const char *text) {
    uint64_t fd = 0;
    struct stat st;
    if (porch_decimal_read(porch_bytes_of(text), INT_MAX, &fd) != PORCH_OK || fd < 3 ||
        fstat((int)fd, &st) != 0)
        return false;
    w->ready_fd = (int)fd;
    return fcntl(w->ready_fd, F_SETFD, FD_CLOEXEC) == 0;
}

/* Words with a value; true when `word` was one, and *ok tells whether its value was good. */
static bool take_pair(words *w, const char *word, const char *value, bool *ok) {
    if (strcmp(word, "--role") == 0)
        w->role = value, *ok = value != NULL;
    else if (strcmp(word, "--set") == 0)
        *ok = value && take_setting(w, value);
    else if (strcmp(word, "--ready-fd") == 0)
        *ok = value && take_ready_fd(w, value);
    else if (strcmp(word, "--recovery") == 0)
        *ok = value && take_recovery(w, value);
    else
        return false;
    return true;
}

static int parse(int argc, char **argv, words *w) {
    porch_settings_default(&w->settings);
    w->ready_fd = -1;
    for (int i = 1; i < argc; i++) {
        bool ok = true;
        if (take_pair(w, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &ok)) {
            if (!ok) return usage("the value does not fit", argv[i]);
            i++;
        } else if (strcmp(argv[i], "--admin-only") == 0) {
            w->admin_only = true;
        } else if (strcmp(argv[i], "--init") == 0) {
            w->init = true;
        } else if (strcmp(argv[i], "--renew-web-ca") == 0) {
            w->init = w->renew_web_ca = true;
        } else if (argv[i][0] == '-') {
            return usage("there is no such option", argv[i]);
        } else if (w->dir) {
            return usage("one directory at a time", argv[i]);
        } else {
            w->dir = argv[i];
        }
    }
    return w->dir ? EXIT_DONE : usage("which directory?", NULL);
}

int main(int argc, char **argv) {
    static words w;
    umask(077);
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) return print_help();
    if (argc == 2 && strcmp(argv[1], "--manual") == 0) return print_manual();
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return printf("porchlightd %s\n", PORCH_VERSION) < 0;
    if (argc == 2 && strcmp(argv[1], "--settings") == 0) return print_settings();
    int code = parse(argc, argv, &w);
    if (code != EXIT_DONE) return code;
    if (w.role) return run_role(&w);
    if (w.init) return run_init(&w);
    porch_log_init("supervisor", PORCH_LOG_INFO);
    porch_supervisor_config config = {.dir = w.dir, .admin_only = w.admin_only, .ready_fd = w.ready_fd};
    return porch_supervisor_run(&config);
}
