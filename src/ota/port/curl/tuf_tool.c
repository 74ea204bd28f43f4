#include "ota/port/curl/tuf_tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/sha256.h"
#include "crypto/sha512.h"
#include "os/clock.h"
#include "os/file.h"
#include "ota/client/tuf_client.h"
#include "ota/client/tuf_name.h"
#include "ota/port/curl/tuf_http.h"
#include "ota/port/linux/agent.h"
#include "ota/port/linux/slot_files.h"
#include "ota/port/linux/tuf_folder.h"
#include "ota/port/linux/tuf_memory.h"

enum {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,
    TARGETS_MOST = 64,
    ROOT_BYTES = 512 * 1024,
    PATIENCE_S = 30,
    LEAST_BYTES_S = 64,
    PATH_BYTES = 4096,
    NAME_LENGTH_MOST = 256, /* of a file, with its zero */
    BUFFER_BYTES = 64 * 1024,
    FILE_MODE = 0644
};

static const char help[] =
    "usage: porchlight-tuf --metadata-dir DIR init ROOT\n"
    "       porchlight-tuf --metadata-dir DIR --metadata-url URL refresh\n"
    "       porchlight-tuf --metadata-dir DIR --metadata-url URL --target-name NAME... --target-dir DIR\n"
    "                      --target-base-url URL download\n"
    "       porchlight-tuf --metadata-dir DIR --metadata-url URL --target-base-url URL --slots DIR "
    "--product NAME\n"
    "                      --hardware REVISION update\n"
    "\n"
    "A client of The Update Framework (specification 1.0.34), the same core that devices update by.\n"
    "\n"
    "  init ROOT           trusts the root metadata in the file ROOT; nothing is asked of the network\n"
    "  refresh             brings root, timestamp, snapshot and targets up to date and keeps them in DIR\n"
    "  download            refreshes, then fetches each NAME into the target directory, unless it is there "
    "already;\n"
    "                      a file that is not what the metadata says never appears there\n"
    "  update              refreshes, and puts the newest release of the product for this hardware into "
    "the slot that does\n"
    "                      not run (porchlight-launch), where it is tried at the next start; one that was "
    "rolled back is\n"
    "                      not tried again\n"
    "  --id ID --schema N --battery PERCENT --powered SECONDS\n"
    "                      what a release's signed conditions may ask for, with update: the device's id; "
    "the "
    "version of its\n"
    "                      data; what is left of its battery (\"mains\": it has none); how long it has "
    "been "
    "on since it first\n"
    "                      saw the release (0). One that is asked for and not said is an error\n"
    "  --patience SECONDS  gives up a transfer that stays below 64 bytes/s for so long (30)\n"
    "\n"
    "  --ca FILE --cert FILE --key FILE\n"
    "                      for a repository that asks for a certificate, as a hub does on its port for "
    "devices: whom\n"
    "                      to trust for the server, our certificate and its key (PEM)\n"
    "\n"
    "Plain http:// is allowed here, for repositories on this machine; devices take https:// alone.\n"
    "\n"
    "exit: 0 done; 1 refused or failed, with the reason on standard error\n";

typedef struct {
    const char *metadata_dir, *metadata_url, *target_dir, *target_url, *command, *root;
    const char *patience;
    const char *slots, *product, *hardware;
    const char *id, *schema, *battery, *powered;
    const char *ca, *certificate, *key;
    const char *targets[TARGETS_MOST];
    size_t target_count;
} arguments;

typedef struct {
    arguments a;
    porch_tuf_folder folder;
    porch_tuf_http *http;
} tool;

/* ---- what the client core asks of us ---- */

static porch_err take_piece(void *ctx, porch_bytes piece, porch_why *why) {
    porch_buf *out = ctx;
    if (piece.len > out->cap - out->len)
        return porch_fail(why, PORCH_ERR_LIMIT,
                          "the repository sends more than the %zu bytes that may come", out->cap);
    memcpy(out->at + out->len, piece.at, piece.len);
    out->len += piece.len;
    return PORCH_OK;
}

static porch_err on_fetch(void *self, const char *name, porch_buf *out, porch_why *why) {
    tool *t = self;
    out->len = 0;
    return porch_tuf_http_get(t->http, t->a.metadata_url, name, take_piece, out, why);
}

static porch_err on_load(void *self, const char *name, porch_buf *out, porch_why *why) {
    return porch_tuf_folder_load(&((tool *)self)->folder, name, out, why);
}

static porch_err on_store(void *self, const char *name, porch_bytes bytes, porch_why *why) {
    return porch_tuf_folder_store(&((tool *)self)->folder, name, bytes, why);
}

static porch_err on_drop(void *self, const char *name, porch_why *why) {
    return porch_tuf_folder_drop(&((tool *)self)->folder, name, why);
}

/* ---- targets ---- */

/* Both hashes at once, and how much came. */
typedef struct {
    porch_sha256_state *sha256;
    porch_sha512_state *sha512;
    uint64_t len;
} meter;

static meter meter_begin(void) {
    return (meter){porch_sha256_new(), porch_sha512_new(), 0};
}

static void meter_add(meter *m, porch_bytes b) {
    porch_sha256_update(m->sha256, b);
    porch_sha512_update(m->sha512, b);
    m->len += b.len;
}

/* Frees it, too. */
static bool meter_fits(meter *m, const porch_tuf_target *target) {
    uint8_t sha256[32], sha512[64];
    porch_sha256_finish(m->sha256, sha256);
    porch_sha512_finish(m->sha512, sha512);
    porch_sha256_free(m->sha256);
    porch_sha512_free(m->sha512);
    return m->len == target->length &&
           (!target->hashes.has_sha256 || memcmp(sha256, target->hashes.sha256, sizeof sha256) == 0) &&
           (!target->hashes.has_sha512 || memcmp(sha512, target->hashes.sha512, sizeof sha512) == 0);
}

static bool there_already(int dir_fd, const char *name, const porch_tuf_target *target) {
    uint8_t *block = malloc(BUFFER_BYTES);
    struct stat st;
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool candidate = block != NULL && fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                     (uint64_t)st.st_size == target->length;
    bool fits = false;
    if (candidate) {
        meter m = meter_begin();
        ssize_t got;
        while ((got = read(fd, block, BUFFER_BYTES)) > 0)
            meter_add(&m, (porch_bytes){block, (size_t)got});
        fits = meter_fits(&m, target) && got == 0;
    }
    if (fd >= 0) close(fd);
    free(block);
    return fits;
}

typedef struct {
    int fd;
    uint64_t most;
    meter meter;
} sink;

static porch_err take_target(void *ctx, porch_bytes piece, porch_why *why) {
    sink *s = ctx;
    if (piece.len > s->most - s->meter.len)
        return porch_fail(why, PORCH_ERR_LIMIT, "the target is longer than the %llu bytes that were signed",
                          (unsigned long long)s->most);
    meter_add(&s->meter, piece);
    while (piece.len > 0) {
        ssize_t wrote = write(s->fd, piece.at, piece.len);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return porch_fail(why, PORCH_ERR_IO, "write: %s", strerror(errno));
        piece.at += wrote;
        piece.len -= (size_t)wrote;
    }
    return PORCH_OK;
}

static porch_err fetch_target(tool *t, int dir_fd, const char *name, const char *path,
                              const porch_tuf_target *target, porch_why *why) {
    static const char temporary[] = ".porchlight-tuf.tmp";
    (void)unlinkat(dir_fd, temporary, 0);
    sink s = {.most = target->length};
    s.fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (s.fd < 0)
        return porch_fail(why, PORCH_ERR_IO, "create a file in %s: %s", t->a.target_dir, strerror(errno));
    s.meter = meter_begin();
    porch_err e = porch_tuf_http_get(t->http, t->a.target_url, path, take_target, &s, why);
    bool fits = meter_fits(&s.meter, target);
    if (e == PORCH_OK && !fits)
        e = porch_fail(why, PORCH_ERR_HASH, "the target has not the length and hash that were signed");
    if (e == PORCH_OK &&
        (fsync(s.fd) != 0 || renameat(dir_fd, temporary, dir_fd, name) != 0 || fsync(dir_fd) != 0))
        e = porch_fail(why, PORCH_ERR_IO, "keep %s: %s", name, strerror(errno));
    close(s.fd);
    if (e != PORCH_OK) (void)unlinkat(dir_fd, temporary, 0);
    return e;
}

static porch_err download(tool *t, porch_tuf *client, int dir_fd, const char *target_name, porch_why *why) {
    char name[NAME_LENGTH_MOST], path[PATH_BYTES];
    porch_tuf_target target;
    porch_bytes plain = porch_bytes_of(target_name);
    if (!porch_tuf_quote(plain, true, name, sizeof name) || name[0] == '\0' || strcmp(name, ".") == 0 ||
        strcmp(name, "..") == 0)
        return porch_fail(why, PORCH_ERR_USAGE, "the target's name is no name for a file here");
    PORCH_TRY(porch_tuf_find(client, plain, &target, why));
    if (there_already(dir_fd, name, &target)) return PORCH_OK;
    if (porch_tuf_target_path(client, plain, &target, path, sizeof path) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_LIMIT, "the target's name is too long");
    return fetch_target(t, dir_fd, name, path, &target, why);
}

/* ---- commands ---- */

static porch_err init(tool *t, porch_tuf *client, porch_why *why) {
    uint8_t *root = NULL;
    size_t len = 0;
    PORCH_TRY(porch_file_read(t->a.root, ROOT_BYTES, &root, &len, why));
    porch_err e = porch_tuf_init(client, (porch_bytes){root, len}, why);
    free(root);
    return e;
}

static porch_err download_all(tool *t, porch_tuf *client, porch_why *why) {
    int dir_fd = open(t->a.target_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) return porch_fail(why, PORCH_ERR_IO, "open %s: %s", t->a.target_dir, strerror(errno));
    porch_err e = porch_tuf_refresh(client, why);
    for (size_t i = 0; e == PORCH_OK && i < t->a.target_count; i++)
        e = download(t, client, dir_fd, t->a.targets[i], why);
    close(dir_fd);
    return e;
}

/* What the slots hold, and what is to be done with the release. They are nobody's behind it: the network
 * may take its time, and the product wants to start and to confirm meanwhile. */
static porch_err look(const tool *t, const porch_agent_release *release, porch_agent_step *step,
                      uint64_t *floor, porch_why *why) {
    porch_slot_files files;
    porch_slots slots;
    PORCH_TRY(porch_slot_files_await(&files, t->a.slots, PORCH_SLOT_FILES_WAIT_S, &slots, why));
    porch_err e = porch_slots_open(&slots, why);
    if (e == PORCH_OK) *step = porch_agent_decide(&slots.now, release);
    if (e == PORCH_OK) *floor = slots.now.floor;
    if (e == PORCH_OK && *step == PORCH_AGENT_FAILED)
        e = porch_fail(why, PORCH_ERR_STATE, "%s was tried and rolled back: %s", release->path,
                       porch_slot_reason_text(slots.now.reason));
    porch_slot_files_close(&files);
    return e;
}

/* From beside the slots into the one that does not run. */
static porch_err put(const tool *t, const porch_agent_release *release, const char *file, porch_why *why) {
    porch_slot_files files;
    porch_slots slots;
    PORCH_TRY(porch_slot_files_await(&files, t->a.slots, PORCH_SLOT_FILES_WAIT_S, &slots, why));
    porch_err e = porch_slot_files_install(&files, &slots, file, &release->image, why);
    porch_slot_files_close(&files);
    return e;
}

/* Downloads the release beside the slots, under a lock of its own, and copies it over. */
static porch_err install(tool *t, const porch_agent_release *release, const char *path, porch_why *why) {
    static const char name[] = "incoming.image";
    char file[PATH_BYTES], lock[PATH_BYTES];
    int lock_fd = -1, dir_fd = -1;
    if (porch_path_join(t->a.slots, name, file, sizeof file) != PORCH_OK ||
        porch_path_join(t->a.slots, ".incoming.lock", lock, sizeof lock) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_USAGE, "the folder's name is too long");
    PORCH_TRY(porch_file_lock(lock, &lock_fd, why));
    dir_fd = open(t->a.slots, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    porch_err e =
        dir_fd >= 0 ? PORCH_OK : porch_fail(why, PORCH_ERR_IO, "open %s: %s", t->a.slots, strerror(errno));
    if (e == PORCH_OK && !there_already(dir_fd, name, &release->target))
        e = fetch_target(t, dir_fd, name, path, &release->target, why);
    if (e == PORCH_OK) e = put(t, release, file, why);
    if (e == PORCH_OK) (void)unlinkat(dir_fd, name, 0);
    if (dir_fd >= 0) close(dir_fd);
    close(lock_fd);
    return e;
}

static porch_err number(const char *text, const char *option, uint64_t most, uint64_t *ret,
                        porch_why *why) {
    if (text == NULL || porch_decimal_read(porch_bytes_of(text), most, ret) == PORCH_OK) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_USAGE, "%s is a number from 0 up", option);
}

static porch_err read_facts(const arguments *a, porch_agent_facts *ret, porch_why *why) {
    const uint64_t minute_ms = 60000;
    porch_agent_facts f = {.id = a->id,
                           .has_schema = a->schema != NULL,
                           .has_battery = a->battery != NULL,
                           .battery = -1,
                           .minute = (int)(porch_clock_ms() / minute_ms % PORCH_POLICY_DAY_MIN)};
    bool counts = a->battery != NULL && strcmp(a->battery, "mains") != 0;
    uint64_t battery = 0;
    PORCH_TRY(number(a->schema, "--schema", UINT64_MAX, &f.schema, why));
    PORCH_TRY(number(a->powered, "--powered", UINT64_MAX, &f.powered_s, why));
    if (counts) PORCH_TRY(number(a->battery, "--battery (or \"mains\")", 100, &battery, why));
    if (counts) f.battery = (int)battery;
    *ret = f;
    return PORCH_OK;
}

/* Is it this device's turn, by what was signed with the release? DENIED when it never is. */
static porch_err its_turn(tool *t, porch_tuf *client, const porch_agent_release *release, uint64_t floor,
                          bool *ret, porch_why *why) {
    porch_agent_facts facts;
    porch_policy_verdict verdict;
    uint32_t widened = 0;
    porch_why reason = {""};
    PORCH_TRY(read_facts(&t->a, &facts, why));
    if (release->policy.stages > 0) PORCH_TRY(porch_agent_widened(client, release, &widened, why));
    porch_err e = porch_agent_judge(release, &facts, widened, floor, &verdict, &reason);
    if (e != PORCH_OK) return porch_fail(why, e, "%s", reason.text);
    if (verdict == PORCH_POLICY_REFUSE)
        return porch_fail(why, PORCH_ERR_DENIED, "%s: %.150s", release->path, reason.text);
    *ret = verdict != PORCH_POLICY_WAIT;
    if (!*ret) (void)printf("waiting %s: %s\n", release->path, reason.text);
    return PORCH_OK;
}

static porch_err update(tool *t, porch_tuf *client, porch_why *why) {
    porch_agent_release release;
    porch_agent_step step = PORCH_AGENT_CURRENT;
    uint64_t floor = 0;
    bool turn = true;
    char path[PATH_BYTES];
    PORCH_TRY(porch_tuf_refresh(client, why));
    PORCH_TRY(porch_agent_choose(client, t->a.product, t->a.hardware, &release, why));
    if (porch_tuf_target_path(client, porch_bytes_of(release.path), &release.target, path, sizeof path) !=
        PORCH_OK)
        return porch_fail(why, PORCH_ERR_LIMIT, "the release's name is too long");
    PORCH_TRY(look(t, &release, &step, &floor, why));
    if (step == PORCH_AGENT_INSTALL) PORCH_TRY(its_turn(t, client, &release, floor, &turn, why));
    if (!turn) return PORCH_OK;
    if (step == PORCH_AGENT_INSTALL) PORCH_TRY(install(t, &release, path, why));
    (void)printf("%s %s\n", step == PORCH_AGENT_INSTALL ? "staged" : "current", release.path);
    return PORCH_OK;
}

static porch_err run(tool *t, porch_tuf *client, porch_why *why) {
    porch_tuf_http_config config = {.patience_s = PATIENCE_S,
                                    .least_bytes_s = LEAST_BYTES_S,
                                    .plain_http = true,
                                    .ca = t->a.ca,
                                    .certificate = t->a.certificate,
                                    .key = t->a.key};
    uint64_t patience = PATIENCE_S;
    if (t->a.patience != NULL &&
        (porch_decimal_read(porch_bytes_of(t->a.patience), 86400, &patience) != PORCH_OK || patience == 0))
        return porch_fail(why, PORCH_ERR_USAGE, "--patience is a number of seconds from 1 up");
    config.patience_s = (unsigned)patience;
    PORCH_TRY(porch_tuf_memory_make(client, why));
    if (strcmp(t->a.command, "init") == 0) return init(t, client, why);
    PORCH_TRY(porch_tuf_http_open(&config, &t->http, why));
    if (strcmp(t->a.command, "update") == 0) return update(t, client, why);
    return strcmp(t->a.command, "refresh") == 0 ? porch_tuf_refresh(client, why)
                                                : download_all(t, client, why);
}

static int complain(const char *what, const char *which) {
    (void)fprintf(stderr, "porchlight-tuf: %s%s; see porchlight-tuf --help\n", what, which);
    return EXIT_REFUSED;
}

/* -1 when there is something to do, else the exit code. */
static int parse(int argc, char **argv, arguments *a) {
    const struct {
        const char *name;
        const char **value;
    } options[] = {{"--metadata-dir", &a->metadata_dir},
                   {"--metadata-url", &a->metadata_url},
                   {"--target-dir", &a->target_dir},
                   {"--target-base-url", &a->target_url},
                   {"--patience", &a->patience},
                   {"--slots", &a->slots},
                   {"--product", &a->product},
                   {"--hardware", &a->hardware},
                   {"--id", &a->id},
                   {"--schema", &a->schema},
                   {"--battery", &a->battery},
                   {"--powered", &a->powered},
                   {"--ca", &a->ca},
                   {"--cert", &a->certificate},
                   {"--key", &a->key}};
    const size_t count = sizeof options / sizeof options[0];
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        size_t n = 0;
        while (n < count && strcmp(word, options[n].name) != 0)
            n++;
        bool target = strcmp(word, "--target-name") == 0;
        if (strcmp(word, "--help") == 0) {
            (void)fputs(help, stdout);
            return EXIT_DONE;
        }
        if ((n < count || target) && ++i >= argc) return complain("a value is missing after ", word);
        if (n < count) {
            *options[n].value = argv[i];
        } else if (target) {
            if (a->target_count == TARGETS_MOST) return complain("too many targets, from ", argv[i]);
            a->targets[a->target_count++] = argv[i];
        } else if (word[0] == '-') {
            return complain("there is no option ", word);
        } else if (a->command == NULL) {
            a->command = word;
        } else if (a->root == NULL && strcmp(a->command, "init") == 0) {
            a->root = word;
        } else {
            return complain("a word too many: ", word);
        }
    }
    return -1;
}

static const char *missing(const arguments *a) {
    bool wants_init = a->command != NULL && strcmp(a->command, "init") == 0;
    bool wants_download = a->command != NULL && strcmp(a->command, "download") == 0;
    bool wants_update = a->command != NULL && strcmp(a->command, "update") == 0;
    if (a->command == NULL ||
        (!wants_init && !wants_download && !wants_update && strcmp(a->command, "refresh") != 0))
        return "a command: init, refresh, download or update";
    if (a->metadata_dir == NULL) return "--metadata-dir";
    if ((a->certificate == NULL) != (a->key == NULL)) return "--cert and --key belong together";
    if (wants_init) return a->root == NULL ? "the root's file" : NULL;
    if (a->metadata_url == NULL) return "--metadata-url";
    if (wants_update &&
        (a->slots == NULL || a->product == NULL || a->hardware == NULL || a->target_url == NULL))
        return "--slots, --product, --hardware or --target-base-url";
    if (!wants_download) return NULL;
    if (a->target_count == 0) return "--target-name";
    if (a->target_dir == NULL) return "--target-dir";
    return a->target_url == NULL ? "--target-base-url" : NULL;
}

int porch_tuf_tool_main(int argc, char **argv) {
    static const porch_tuf_port port = {on_fetch, on_load, on_store, on_drop, NULL};
    tool t = {0};
    int code = parse(argc, argv, &t.a);
    if (code >= 0) return code;
    const char *lacks = missing(&t.a);
    if (lacks != NULL) return complain("missing: ", lacks);
    porch_why why = {{0}};
    porch_tuf client = {
        .port = &port, .self = &t, .crypto = porch_verify_library(), .now_s = porch_clock_ms() / 1000};
    porch_err e = porch_tuf_folder_open(&t.folder, t.a.metadata_dir, &why);
    if (e == PORCH_OK) {
        e = run(&t, &client, &why);
        porch_tuf_http_close(t.http);
        porch_tuf_memory_free(&client);
        porch_tuf_folder_close(&t.folder);
    }
    if (e != PORCH_OK) (void)fprintf(stderr, "porchlight-tuf: %s\n", porch_why_text(&why, e));
    return e == PORCH_OK ? EXIT_DONE : EXIT_REFUSED;
}
