/* A TPM for tests: Debian's swtpm in a folder of its own, on a Unix socket. It serves when tpm_start
 * returns (swtpm leaves for the background only then). */
#ifndef PORCH_CRYPTO_TPM_TESTING_H
#define PORCH_CRYPTO_TPM_TESTING_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

typedef struct {
    char folder[64];
    char tcti[96];
    pid_t pid;
} testing_tpm;

/* False when swtpm is not there or does not start. */
static inline bool tpm_start(testing_tpm *t) {
    char state[96], server[160], ctrl[160], pid_file[96], pid_word[112], text[32] = "";
    int status = 0;
    pid_t starter = 0;
    *t = (testing_tpm){.pid = 0};
    (void)snprintf(t->folder, sizeof t->folder, "/tmp/porch-tpm-XXXXXX");
    if (!mkdtemp(t->folder)) return false;
    (void)snprintf(t->tcti, sizeof t->tcti, "swtpm:path=%s/s", t->folder);
    (void)snprintf(state, sizeof state, "dir=%s", t->folder);
    (void)snprintf(server, sizeof server, "type=unixio,path=%s/s", t->folder);
    (void)snprintf(ctrl, sizeof ctrl, "type=unixio,path=%s/s.ctrl", t->folder);
    (void)snprintf(pid_file, sizeof pid_file, "%s/pid", t->folder);
    (void)snprintf(pid_word, sizeof pid_word, "file=%s", pid_file);
    char *const words[] = {"swtpm",
                           "socket",
                           "--tpm2",
                           "--tpmstate",
                           state,
                           "--server",
                           server,
                           "--ctrl",
                           ctrl,
                           "--flags",
                           "not-need-init,startup-clear",
                           "--daemon",
                           "--pid",
                           pid_word,
                           NULL};
    if (posix_spawnp(&starter, "swtpm", NULL, NULL, words, environ) != 0 ||
        waitpid(starter, &status, 0) != starter || status != 0)
        return false;
    int fd = open(pid_file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool good = read(fd, text, sizeof text - 1) > 0;
    close(fd);
    t->pid = (pid_t)strtol(text, NULL, 10);
    return good && t->pid > 1;
}

static inline void tpm_stop(testing_tpm *t) {
    static const char *const files[] = {"s", "s.ctrl", "pid", "tpm2-00.permall", ".lock"};
    if (t->pid > 1) (void)kill(t->pid, SIGTERM);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", t->folder, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(t->folder);
}

#endif
