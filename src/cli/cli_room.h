/* What the subcommands share: their tables, their words, their line to the hub. */
#ifndef PORCH_CLI_ROOM_H
#define PORCH_CLI_ROOM_H

#include <jansson.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/error.h"
#include "cli/backup_key.h"
#include "cloud/seal/seal.h"
#include "crypto/x509.h"

enum {
    PORCH_CLI_DONE = 0,
    PORCH_CLI_REFUSED = 1,
    PORCH_CLI_USAGE = 2,
    PORCH_CLI_OPTIONS_MAX = 64, /* options given in one call */
    PORCH_CLI_PATH_BYTES = 4096,
    PORCH_CLI_ARGUMENTS_MAX = 3,
};

/* Where the Debian packages keep the hub. */
#define PORCH_CLI_STATE_DIR "/var/lib/porchlight"

/* ---- tables: one row a subcommand, one table a file ---------------------------------------------------
 */

typedef struct {
    const char *name;  /* "--product" */
    const char *value; /* what its value is called in help; NULL: it takes none */
    bool required;
    bool repeats;
    const char *help;
} porch_cli_option;

typedef struct porch_cli porch_cli;

typedef struct {
    const char *words;    /* "device add" */
    const char *argument; /* "ID", "WHO ACTION TOPIC", or NULL when there is none */
    bool argument_optional;
    const porch_cli_option *options; /* ends with an empty row; NULL for none */
    const char *help;                /* first line: what it does; then details */
    int (*run)(porch_cli *c);
} porch_cli_command; /* a table ends with an empty row */

/* ---- one call -------------------------------------------------------------------------------------------
 */

struct porch_cli {
    const porch_cli_command *command;
    const char *dir; /* of -C; NULL until porch_cli_find_dir when there is none */
    bool json;
    const char *argument; /* the first; NULL when not given */
    const char *arguments[PORCH_CLI_ARGUMENTS_MAX];
    size_t argument_count;
    struct {
        const char *name;
        const char *value;
    } given[PORCH_CLI_OPTIONS_MAX];
    size_t given_count;
};

/* The option's (last) value, or NULL. */
const char *porch_cli_text(const porch_cli *c, const char *option);
bool porch_cli_flag(const porch_cli *c, const char *option);
/* All values of a repeated option as a JSON array; new reference. */
json_t *porch_cli_list(const porch_cli *c, const char *option);

/* Parses argv against the tables into *ret; PORCH_ERR_USAGE with a sentence. PORCH_ERR_STATE: help was
 * asked for (ret->command may be NULL: of everything). */
porch_err porch_cli_parse(int argc, char **argv, const porch_cli_command *const *tables, porch_cli *ret,
                          porch_why *why);
/* -C's directory, $PORCHLIGHT_DIR, "." when a hub.conf is there, PORCH_CLI_STATE_DIR when that is there,
 * else ".". */
const char *porch_cli_find_dir(const char *of_c);
/* "device add ID --product NAME [--csr FILE]" */
void porch_cli_usage(FILE *to, const porch_cli_command *command);
void porch_cli_help_all(FILE *to, const porch_cli_command *const *tables);
void porch_cli_help_one(FILE *to, const porch_cli_command *command);
/* Edits (insert, delete, replace, swap of neighbours) between two words; for 'did you mean'. */
size_t porch_cli_distance(const char *a, const char *b);

/* ---- answers --------------------------------------------------------------------------------------------
 */

/* "porchlight: sentence" on standard error; the exit code that fits. */
int porch_cli_fail(porch_err e, const porch_why *why);
/* The object as one line when --json was given (then true), else false: print for people. */
bool porch_cli_json(const porch_cli *c, const json_t *value);
/* Has all that was printed left for standard output? What is shown once asks. */
bool porch_cli_shown(void);
/* A text member, or "" when it is missing; a number member or 0. */
const char *porch_cli_member(const json_t *object, const char *name);
uint64_t porch_cli_number(const json_t *object, const char *name);
/* "2026-01-31 08:15 UTC", or "never" for 0. */
typedef struct {
    char text[32];
} porch_cli_time_text;
porch_cli_time_text porch_cli_time(uint64_t ms);
/* Text of strangers without control bytes (they may be terminal sequences), cut at the buffer. */
typedef struct {
    char text[256];
} porch_cli_safe_text;
porch_cli_safe_text porch_cli_safe(const char *text);
/* The SHA-256 of DIR's web CA as people compare it, "AB:CD:..."; false when there is none to read. */
enum { PORCH_CLI_FINGERPRINT_BYTES = PORCH_X509_FINGERPRINT_TEXT_BYTES };
bool porch_cli_web_ca(const char *dir, char out[PORCH_CLI_FINGERPRINT_BYTES]);
/* A QR code in half blocks. */
void porch_cli_qr(FILE *to, const char *text);

/* ---- the hub (cli_hub.c) --------------------------------------------------------------------------------
 */

typedef struct porch_cli_hub porch_cli_hub;
/* Connects to the running hub, or starts porchlightd DIR --admin-only and waits until it serves. */
porch_err porch_cli_hub_open(const char *dir, porch_cli_hub **ret, porch_why *why);
/* One request; `args` is taken over. *ret is the result, a new reference. The hub's refusal comes back as
 * its error and sentence. Progress goes to standard error when that is a terminal. */
porch_err porch_cli_hub_ask(porch_cli_hub *hub, const char *command, json_t *args, json_t **ret,
                            porch_why *why);
/* Ends the line; a hub that was started for it is waited for. NULL is fine. */
void porch_cli_hub_close(porch_cli_hub *hub);
/* open, ask, close. */
porch_err porch_cli_ask(const porch_cli *c, const char *command, json_t *args, json_t **ret,
                        porch_why *why);
/* The most usual subcommand: ask; print JSON, or hand the result to `show`. */
int porch_cli_ask_and_show(const porch_cli *c, const char *command, json_t *args,
                           void (*show)(const json_t *));
/* Runs porchlightd with these words (NULL-terminated) to its end; its standard error's last line becomes
 * the sentence. */
porch_err porch_cli_run_daemon(const char *const *words, porch_why *why);
/* Returns `e`, with why a daemon failed as the sentence: of what it wrote into this file the last line that
 * is an error, else the last line. */
porch_err porch_cli_daemon_failure(int log_fd, porch_err e, porch_why *why);
/* An answer line of the hub: *ret is the result (new reference), or NULL for a line of progress, whose part
 * and text are then in *progress and *text (static for the call's line). */
typedef struct {
    json_t *result; /* new reference; NULL unless the line was the final good one */
    bool is_progress;
    double done;
    char text[128];
} porch_cli_reply;
porch_err porch_cli_reply_read(porch_bytes line, porch_cli_reply *ret, porch_why *why);

/* ---- a device's or service's folder (cli_folder.c)
 * ------------------------------------------------------- */

/* Key and certificate request made here, or the request of --csr: the hub never sees the key. */
typedef struct {
    const char *path;
    bool made_folder;
    bool made_key;
    char *csr_pem;                 /* malloc'ed */
    const char *key_uri, *key_tpm; /* of a key that was made elsewhere, for device.conf; may be NULL */
} porch_cli_folder;
porch_err porch_cli_folder_begin(const char *path, const char *csr_file, porch_cli_folder *ret,
                                 porch_why *why);
/* cert.pem, ca.pem, device.conf from the hub's answer. `kind` is "device" or "service". */
porch_err porch_cli_folder_finish(const porch_cli_folder *f, const char *kind, const char *name,
                                  const char *product, const json_t *answer, porch_why *why);
/* Takes back what begin wrote, after a refusal. */
void porch_cli_folder_undo(const porch_cli_folder *f);
void porch_cli_folder_free(porch_cli_folder *f);

/* porchlight(1) as roff, and the completion script for bash, of these tables. */
void porch_cli_manual(FILE *to, const porch_cli_command *const *tables);
void porch_cli_completion(FILE *to, const porch_cli_command *const *tables);

extern const porch_cli_command *const porch_cli_tables[]; /* all of them; ends with NULL */
/* ---- the keys' seal (cli_seal.c)
 * --------------------------------------------------------------------------
 */

typedef struct {
    const char *kind;               /* NULL: as hub.conf says */
    const char *tpm;                /* NULL: as hub.conf says */
    const uint8_t *recovery_secret; /* opens a vault of another machine; NULL: its own seal does */
} porch_cli_seal_wish;
typedef struct {
    porch_seal_kind from, to;
    char recovery_key[PORCH_BACKUP_KEY_TEXT]; /* of a fresh one, else ""; wipe it */
} porch_cli_seal_done;

/* Shows what was done, and a fresh recovery key; not PORCH_OK: nobody has seen it. */
typedef porch_err (*porch_cli_seal_show)(const void *ctx, const porch_cli_seal_done *done, porch_why *why);

/* Seals the keys of DIR, where no hub runs, as wished. After an error they lie as before or `seal`
 * completes it. `show` (NULL: nobody) is called once they are sealed; only then is the public half of a
 * fresh recovery key remembered, so that nothing is ever encrypted to a key that nobody has. */
porch_err porch_cli_reseal(const char *dir, const porch_cli_seal_wish *wish, porch_cli_seal_show show,
                           const void *ctx, porch_cli_seal_done *ret, porch_why *why);
/* How they lie, and the recovery key of a vault. */
porch_err porch_cli_seal_look(const char *dir, porch_seal_kind *kind,
                              uint8_t recovery[PORCH_BOX_PUBLIC_BYTES], porch_why *why);

extern const porch_cli_command porch_cli_seal_commands[];
extern const porch_cli_command porch_cli_init_commands[];
extern const porch_cli_command porch_cli_device_commands[];
extern const porch_cli_command porch_cli_enrol_commands[];
extern const porch_cli_command porch_cli_trust_commands[];
extern const porch_cli_command porch_cli_service_commands[];
extern const porch_cli_command porch_cli_policy_commands[];
extern const porch_cli_command porch_cli_can_commands[];
extern const porch_cli_command porch_cli_prove_commands[];
extern const porch_cli_command porch_cli_household_commands[];
extern const porch_cli_command porch_cli_setup_link_commands[];
extern const porch_cli_command porch_cli_user_commands[];
extern const porch_cli_command porch_cli_ca_commands[];
extern const porch_cli_command porch_cli_issuer_commands[];
extern const porch_cli_command porch_cli_webhook_commands[];
extern const porch_cli_command porch_cli_notification_commands[];
extern const porch_cli_command porch_cli_status_commands[];
extern const porch_cli_command porch_cli_doctor_commands[];
extern const porch_cli_command porch_cli_backup_commands[];
extern const porch_cli_command porch_cli_manual_commands[];
extern const porch_cli_command porch_cli_ota_commands[];
extern const porch_cli_command porch_cli_ota_publish_commands[];
extern const porch_cli_command porch_cli_ota_rollout_commands[];

#endif
