/* A hub for one replay: made in /tmp, served by the real daemon on loopback, ended and removed with all
 * that lies beside it. It has no household but the first and nobody in it; who plays is added with the
 * commands that an operator would use, run to their end. Blocks; the hub dies with the command that started
 * it. */
#ifndef PORCH_CLI_PROVE_REPLAY_HUB_H
#define PORCH_CLI_PROVE_REPLAY_HUB_H

#include "cli/cli_room.h"

enum { PORCH_REPLAY_STEP_MS = 60000, PORCH_REPLAY_PATH_BYTES = 128 };

typedef struct {
    char programs[PORCH_CLI_PATH_BYTES]; /* where the running program and its siblings are */
    char top[64];
    char dir[80];        /* the hub's directory, below top */
    int daemon;          /* its pidfd, -1: none */
    uint16_t https_port; /* where people are served */
    porch_why *why;      /* of every call below */
} porch_replay_hub;

/* Makes and starts it. Close it after an error, too. */
porch_err porch_replay_hub_open(porch_replay_hub *h, porch_why *why);
void porch_replay_hub_close(porch_replay_hub *h);
/* Below the hub's neighbours, in the folder that goes with it. */
void porch_replay_hub_path(const porch_replay_hub *h, const char *name, char out[PORCH_REPLAY_PATH_BYTES]);
/* Puts the text in force. */
porch_err porch_replay_hub_apply(porch_replay_hub *h, porch_bytes policy);

/* Starts a program with these words (they end with NULL); wait for *pidfd and close it. */
porch_err porch_replay_hub_spawn(porch_replay_hub *h, const char *program, const char *const *words,
                                 int *pidfd);
/* Runs it to its end; *code is its exit status, 128 when a signal ended it. */
porch_err porch_replay_hub_run(porch_replay_hub *h, const char *program, const char *const *words,
                               int *code);
/* `porchlight` with these words, which must succeed. */
porch_err porch_replay_hub_must(porch_replay_hub *h, const char *const *words);

/* The people's port in the line with which the daemon says that it serves; 0: it is no such line. */
uint16_t porch_replay_https_port(const char *line);

#endif
