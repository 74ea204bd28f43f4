/* porchlight-device: the reference product on Linux, and the smallest example of the SDK.
 *
 *   run        keeps the connection, sends what waits in the folder, shows what the hub asks of the device
 *   publish    one message, acknowledged
 *   renew      a new certificate, in use when it ends
 *   subscribe  shows messages until it is stopped */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <porchlight/porchlight.h>
#include <porchlight/update_rauc.h>

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2 };
enum { PAYLOAD_MOST = 128 * 1024, TIMEOUT_SECONDS = 30, TIMEOUT_MOST = 86400 };

static const char help[] =
    "usage: porchlight-device FOLDER run [--json] [--slots DIR --version VERSION --hardware REVISION "
    "[--unhealthy WHY]\n"
    "           [--rauc BUS] [--tpm TCTI --floor-at INDEX]]\n"
    "       porchlight-device FOLDER publish TOPIC PAYLOAD [--qos 0|1] [--timeout SECONDS] [--json]\n"
    "       porchlight-device FOLDER subscribe FILTER [--count N] [--timeout SECONDS] [--json]\n"
    "       porchlight-device FOLDER renew [--timeout SECONDS] [--json]\n"
    "       porchlight-device FOLDER enrol HOST --ca FILE --key URI [--tpm TCTI] [--port N] [--mqtt-port "
    "N]\n"
    "           [--waiting keep|clear]\n"
    "       porchlight-device FOLDER secret set|get|remove NAME\n"
    "       porchlight-device FOLDER secret list\n"
    "       porchlight-device FOLDER make-key URI [--tpm TCTI]\n"
    "\n"
    "FOLDER is what `porchlight device add` or `porchlight service add` made: cert.pem, ca.pem, key.pem, "
    "device.conf.\n"
    "\n"
    "  run                 stays connected, sends messages and clips that wait in FOLDER/state, and prints "
    "commands\n"
    "                      and wished states that the hub sends to the device\n"
    "                      with --slots it takes signed updates into DIR, from which porchlight-launch "
    "started it; VERSION "
    "is\n"
    "                      what runs, REVISION which releases are for it, and --unhealthy fails a trial "
    "for the reason WHY. "
    "It\n"
    "                      ends when another version is to be started. With --rauc the slots are RAUC's, "
    "DIR is that of\n"
    "                      porchlight-rauc, BUS the address of the message bus or `system`, and the device "
    "is to start again\n"
    "                      when this ends. INDEX is the counter in the TPM that keeps the floor, too\n"
    "  publish             PAYLOAD - reads standard input. QoS 1 (default): kept on disk until the hub "
    "acknowledges it\n"
    "  subscribe           prints messages as TOPIC PAYLOAD, one a line\n"
    "  renew               asks the hub for a new certificate now, and ends when it is in use; run does so "
    "by "
    "itself\n"
    "  enrol               fetches the device's first certificate from the hub HOST with the claim token "
    "on the "
    "first line of\n"
    "                      standard input, for the key at URI, which is made when it is not there; a TPM's "
    "key "
    "is proved\n"
    "                      to be one; --ca FILE is the hub's device root, --port its port (8444). A device "
    "that was in\n"
    "                      another home may have that one's clips, messages and wish in FOLDER/state: "
    "--waiting clear\n"
    "                      removes them, --waiting keep takes them along, without either it does not "
    "enrol\n"
    "  secret              keeps small secrets (Wi-Fi, tokens) encrypted under a key that the key's store "
    "seals; set "
    "reads the\n"
    "                      secret from standard input to its end, get writes it to standard output\n"
    "  make-key            makes the device's private key at URI (tpm2:0x81000010, pkcs11:object=NAME;...) "
    "and "
    "writes its\n"
    "                      certificate request to FOLDER/request.pem, for `porchlight device add ID --csr "
    "request.pem\n"
    "                      --key URI`; --tpm TCTI says how the TPM is reached (device:/dev/tpmrm0)\n"
    "  --qos 0             sent once, not kept, not acknowledged\n"
    "  --count N           end after N messages\n"
    "  --timeout SECONDS   publish: give up waiting (30); subscribe: end after so long (0, the default: "
    "never)\n"
    "  --json              one JSON object a line on standard output\n"
    "\n"
    "exit: 0 done; 1 refused or failed, with the reason on standard error; 2 usage\n";

typedef enum { DO_RUN, DO_PUBLISH, DO_SUBSCRIBE, DO_MAKE_KEY, DO_RENEW, DO_ENROL, DO_SECRET } verb;

typedef struct {
    const char *folder;
    verb verb;
    const char *topic; /* or filter, or key */
    const char *tpm, *ca, *key;
    const char *slots, *version, *hardware, *unhealthy, *rauc, *floor_at, *waiting;
    const char *payload;
    unsigned long qos, count, timeout_s, port, mqtt_port;
    bool has_timeout;
    bool json;
} arguments;

/* What the callbacks tell the main thread. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool json;
    bool connected;
    bool was_connected;
    bool refused; /* the hub said no: to the connection, the filter, or the message */
    bool settled; /* the message `ticket` was answered, or the new certificate is in use */
    bool renewed, renewal_failed;
    uint64_t ticket;
    unsigned long messages;
} news = {.lock = PTHREAD_MUTEX_INITIALIZER};

static volatile sig_atomic_t stop;

static void on_signal(int number) {
    (void)number;
    stop = 1;
}

static void complain(const char *text) {
    (void)fprintf(stderr, "porchlight-device: %s\n", text);
}

static int usage(const char *complaint, const char *what) {
    (void)fprintf(stderr, "porchlight-device: %s%s; see porchlight-device --help\n", complaint, what);
    return EXIT_USAGE;
}

/* --- words --- */

static bool number_of(const char *text, unsigned long most, unsigned long *ret) {
    char *end = NULL;
    errno = 0;
    if (text[0] < '0' || text[0] > '9') return false;
    unsigned long v = strtoul(text, &end, 10);
    if (errno != 0 || *end != 0 || v > most) return false;
    *ret = v;
    return true;
}

/* Where the value of such an option goes; NULL for other words. */
static const char **text_of(arguments *a, const char *word) {
    const struct {
        const char *name;
        const char **value;
    } texts[] = {{"--tpm", &a->tpm},
                 {"--ca", &a->ca},
                 {"--key", &a->key},
                 {"--slots", &a->slots},
                 {"--version", &a->version},
                 {"--hardware", &a->hardware},
                 {"--unhealthy", &a->unhealthy},
                 {"--rauc", &a->rauc},
                 {"--floor-at", &a->floor_at},
                 {"--waiting", &a->waiting}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(word, texts[i].name) == 0) return texts[i].value;
    return NULL;
}

static int parse_verb(arguments *a, const char *const *words, size_t count) {
    static const struct {
        const char *word;
        verb verb;
        size_t words;
    } verbs[] = {{"run", DO_RUN, 2},           {"publish", DO_PUBLISH, 4}, {"subscribe", DO_SUBSCRIBE, 3},
                 {"make-key", DO_MAKE_KEY, 3}, {"renew", DO_RENEW, 2},     {"enrol", DO_ENROL, 3},
                 {"secret", DO_SECRET, 4}};
    if (count < 2)
        return usage(count == 0 ? "FOLDER and a command are missing" : "the command is missing", "");
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(words[1], verbs[i].word) != 0) continue;
        bool list = verbs[i].verb == DO_SECRET && count > 2 && strcmp(words[2], "list") == 0;
        if (count != verbs[i].words - (list ? 1 : 0))
            return usage("wrong number of words for ", verbs[i].word);
        a->folder = words[0];
        a->verb = verbs[i].verb;
        a->topic = count > 2 ? words[2] : NULL;
        a->payload = count > 3 ? words[3] : NULL;
        return EXIT_DONE;
    }
    return usage("there is no command ", words[1]);
}

/* EXIT_DONE when there is something to do, else the code to end with; -1 for help. */
static int parse(int argc, char **argv, arguments *a) {
    const struct {
        const char *name;
        unsigned long most;
        unsigned long *value;
    } numbers[] = {{"--qos", 1, &a->qos},
                   {"--count", 1000000000, &a->count},
                   {"--timeout", TIMEOUT_MOST, &a->timeout_s},
                   {"--port", 65535, &a->port},
                   {"--mqtt-port", 65535, &a->mqtt_port}};
    enum { NUMBERS = sizeof numbers / sizeof numbers[0] };
    const char *words[5];
    size_t count = 0;
    bool only_words = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        size_t n = 0;
        while (!only_words && n < NUMBERS && strcmp(word, numbers[n].name) != 0)
            n++;
        if (!only_words && n < NUMBERS) {
            if (++i >= argc || !number_of(argv[i], numbers[n].most, numbers[n].value))
                return usage("a number is missing or too large after ", word);
            if (n == 2) a->has_timeout = true;
        } else if (!only_words && strcmp(word, "--") == 0) {
            only_words = true;
        } else if (!only_words && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
            return -1;
        } else if (!only_words && strcmp(word, "--json") == 0) {
            a->json = true;
        } else if (!only_words && text_of(a, word) != NULL) {
            if (++i >= argc) return usage("a value is missing after ", word);
            *text_of(a, word) = argv[i];
        } else if (!only_words && word[0] == '-' && word[1] != 0) {
            return usage("there is no option ", word);
        } else if (count == sizeof words / sizeof words[0]) {
            return usage("too many words, from ", word);
        } else {
            words[count++] = word;
        }
    }
    return parse_verb(a, words, count);
}

/* --- printing --- */

static void print_json_text(const uint8_t *at, size_t len) {
    (void)putchar('"');
    for (size_t i = 0; i < len; i++) {
        if (at[i] == '"' || at[i] == '\\')
            (void)printf("\\%c", at[i]);
        else if (at[i] < 0x20 || at[i] == 0x7f)
            (void)printf("\\u%04x", at[i]);
        else
            (void)putchar(at[i]);
    }
    (void)putchar('"');
}

static void print_text_member(const char *name, const char *value) {
    (void)printf(",\"%s\":", name);
    print_json_text((const uint8_t *)value, strlen(value));
}

static void print_hex(const uint8_t *at, size_t len) {
    for (size_t i = 0; i < len; i++)
        (void)printf("%02x", at[i]);
}

/* Strict, so that a line of JSON always is one: no overlong form, no surrogate. */
static bool is_utf8(const uint8_t *at, size_t len) {
    for (size_t i = 0; i < len;) {
        size_t more = at[i] < 0x80                    ? 0
                      : at[i] >= 0xc2 && at[i] < 0xe0 ? 1
                      : at[i] >= 0xe0 && at[i] < 0xf0 ? 2
                                                      : 3;
        if (at[i] >= 0x80 && (at[i] < 0xc2 || at[i] > 0xf4)) return false;
        if (more >= len - i) return false;
        for (size_t k = 1; k <= more; k++)
            if ((at[i + k] & 0xc0) != 0x80) return false;
        if (at[i] == 0xe0 && at[i + 1] < 0xa0) return false;
        if (at[i] == 0xed && at[i + 1] > 0x9f) return false;
        if (at[i] == 0xf0 && at[i + 1] < 0x90) return false;
        if (at[i] == 0xf4 && at[i + 1] > 0x8f) return false;
        i += more + 1;
    }
    return true;
}

static void on_message(void *ctx, const porch_device_message *m) {
    (void)ctx;
    (void)pthread_mutex_lock(&news.lock);
    if (news.json) {
        (void)printf("{\"topic\":");
        print_json_text((const uint8_t *)m->topic, strlen(m->topic));
        if (is_utf8(m->payload, m->payload_bytes)) {
            (void)printf(",\"payload\":");
            print_json_text(m->payload, m->payload_bytes);
        } else {
            (void)printf(",\"payload_hex\":\"");
            print_hex(m->payload, m->payload_bytes);
            (void)putchar('"');
        }
        (void)printf(",\"qos\":%d,\"at_ms\":%" PRIu64 "}\n", m->qos, porch_device_now_ms());
    } else {
        (void)printf("%s ", m->topic);
        (void)fwrite(m->payload, 1, m->payload_bytes, stdout);
        (void)putchar('\n');
    }
    (void)fflush(stdout);
    news.messages++;
    (void)pthread_cond_broadcast(&news.changed);
    (void)pthread_mutex_unlock(&news.lock);
}

/* Under the lock. */
static void print_status(const porch_device_status *s) {
    if (news.json) {
        (void)printf("{\"status\":\"%s\",\"at_ms\":%" PRIu64, porch_device_news_name(s->news), s->at_ms);
        if (s->code != 0) (void)printf(",\"code\":%d", s->code);
        if (s->name[0]) print_text_member("name", s->name);
        if (s->sha256[0]) (void)printf(",\"sha256\":\"%s\",\"bytes\":%" PRIu64, s->sha256, s->bytes);
        if (s->text[0]) print_text_member("text", s->text);
        (void)printf("}\n");
        (void)fflush(stdout);
        return;
    }
    (void)fprintf(stderr, "porchlight-device: %s%s%s%s%s", porch_device_news_name(s->news),
                  s->name[0] ? " " : "", s->name, s->text[0] ? ": " : "", s->text);
    if (s->code >= 0x80)
        (void)fprintf(stderr, s->code < 256 ? " (reason code 0x%02x)" : " (HTTP status %d)", s->code);
    if (s->next_ms > 0) (void)fprintf(stderr, "; again in %" PRIu64 " ms", s->next_ms);
    (void)fprintf(stderr, "\n");
}

static void on_status(void *ctx, const porch_device_status *s) {
    const arguments *a = ctx;
    (void)pthread_mutex_lock(&news.lock);
    bool quiet = s->news == PORCH_DEVICE_CONNECTED || s->news == PORCH_DEVICE_ACKNOWLEDGED ||
                 s->news == PORCH_DEVICE_SUBSCRIBED;
    if (a->verb == DO_RENEW) {
        if (s->news == PORCH_DEVICE_RENEWED) news.renewed = true;
        if (s->news == PORCH_DEVICE_CERTIFICATE_IN_USE && news.renewed) news.settled = true;
        if (s->news == PORCH_DEVICE_RENEWAL_DELAYED) news.renewal_failed = true;
    }
    if (a->verb == DO_RUN || !quiet || (news.json && s->news == PORCH_DEVICE_SUBSCRIBED)) print_status(s);
    if (s->news == PORCH_DEVICE_CONNECTED) news.connected = news.was_connected = true;
    if (s->news == PORCH_DEVICE_DISCONNECTED) {
        news.connected = false;
        if (!news.was_connected && s->code >= 0x80) news.refused = true;
    }
    if (s->news == PORCH_DEVICE_SUBSCRIBE_REFUSED) news.refused = true;
    bool ours = s->ticket != 0 && s->ticket == news.ticket;
    if (s->news == PORCH_DEVICE_ACKNOWLEDGED && ours) news.settled = true;
    if (s->news == PORCH_DEVICE_MESSAGE_REFUSED && ours) news.refused = news.settled = true;
    (void)pthread_cond_broadcast(&news.changed);
    (void)pthread_mutex_unlock(&news.lock);
}

/* --- waiting --- */

/* Waits for news, a signal or the deadline; the lock is held before and after. False when the deadline has
 * passed. */
static bool wait_for_news(const struct timespec *until) {
    struct timespec soon;
    (void)clock_gettime(CLOCK_MONOTONIC, &soon);
    if (until->tv_sec != 0 && soon.tv_sec >= until->tv_sec) return false;
    soon.tv_nsec += 200000000; /* a signal handler cannot wake a condition variable */
    if (soon.tv_nsec >= 1000000000) {
        soon.tv_nsec -= 1000000000;
        soon.tv_sec++;
    }
    (void)pthread_cond_timedwait(&news.changed, &news.lock, &soon);
    return true;
}

static struct timespec deadline(unsigned long seconds) {
    struct timespec t = {0};
    if (seconds == 0) return t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += (time_t)seconds;
    return t;
}

/* --- commands --- */

static int publish(porch_device *d, const arguments *a) {
    static uint8_t block[PAYLOAD_MOST];
    const void *payload = a->payload;
    size_t len = strlen(a->payload);
    porch_device_why why;
    if (strcmp(a->payload, "-") == 0) {
        len = fread(block, 1, sizeof block, stdin);
        payload = block;
        if (len == sizeof block) return complain("the payload is longer than 128 KiB"), EXIT_REFUSED;
    }
    struct timespec until = deadline(a->has_timeout ? a->timeout_s : TIMEOUT_SECONDS);
    (void)pthread_mutex_lock(&news.lock);
    bool in_time = true;
    porch_device_result r = PORCH_DEVICE_OK;
    if (a->qos == 0) {
        while (!news.connected && !news.refused && !stop && in_time)
            in_time = wait_for_news(&until);
        if (news.connected) r = porch_device_publish_now(d, a->topic, payload, len, &why);
        news.settled = news.connected;
    } else {
        r = porch_device_publish(d, a->topic, payload, len, &news.ticket, &why);
        while (r == PORCH_DEVICE_OK && !news.settled && !news.refused && !stop && in_time)
            in_time = wait_for_news(&until);
    }
    bool done = r == PORCH_DEVICE_OK && news.settled && !news.refused;
    bool refused = news.refused;
    (void)pthread_mutex_unlock(&news.lock);
    if (r != PORCH_DEVICE_OK) complain(why.text);
    if (done && a->qos == 0) done = porch_device_flush(d, 2000, &why) == PORCH_DEVICE_OK;
    if (!done && !refused && r == PORCH_DEVICE_OK)
        complain(a->qos == 0 ? "not sent in time"
                             : "not acknowledged in time; the message is kept and goes with the next run");
    if (done && a->json)
        (void)printf("{\"published\":true,\"acknowledged\":%s}\n", a->qos == 0 ? "false" : "true");
    return done ? EXIT_DONE : EXIT_REFUSED;
}

static int renew(porch_device *d, const arguments *a) {
    porch_device_why why;
    struct timespec until = deadline(a->has_timeout ? a->timeout_s : TIMEOUT_SECONDS);
    if (porch_device_renew(d, &why) != PORCH_DEVICE_OK) return complain(why.text), EXIT_REFUSED;
    (void)pthread_mutex_lock(&news.lock);
    bool in_time = true;
    while (!news.settled && !news.renewal_failed && !stop && in_time)
        in_time = wait_for_news(&until);
    bool done = news.settled, renewed = news.renewed, failed = news.renewal_failed;
    (void)pthread_mutex_unlock(&news.lock);
    if (!done && !failed)
        complain(renewed
                     ? "the certificate is renewed, but the hub has not been reached with it; the next run "
                       "does that"
                     : "the hub did not answer in time");
    return done ? EXIT_DONE : EXIT_REFUSED;
}

static int listen_on(porch_device *d, const char *const *filters, size_t count, const arguments *a) {
    porch_device_why why;
    for (size_t i = 0; i < count; i++) {
        if (porch_device_subscribe(d, filters[i], on_message, NULL, &why) == PORCH_DEVICE_OK) continue;
        complain(why.text);
        return EXIT_USAGE;
    }
    struct timespec until = deadline(a->timeout_s);
    bool in_time = true;
    (void)pthread_mutex_lock(&news.lock);
    while (!stop && in_time && (a->verb == DO_RUN || !news.refused) &&
           (a->count == 0 || news.messages < a->count))
        in_time = wait_for_news(&until);
    bool enough = a->count == 0 || news.messages >= a->count;
    bool refused = a->verb == DO_SUBSCRIBE && news.refused;
    (void)pthread_mutex_unlock(&news.lock);
    if (!enough && !refused && !stop)
        complain("the time is over and fewer messages came than --count asked for");
    return enough && !refused ? EXIT_DONE : EXIT_REFUSED;
}

static void on_update(void *ctx, const porch_update_news *u) {
    (void)ctx;
    (void)pthread_mutex_lock(&news.lock);
    if (news.json) /* versions need no escapes; a reason may */
        (void)printf("{\"update\":\"%s\",\"version\":\"%s\"}\n", u->state, u->version);
    else
        (void)printf("update %s %s %s\n", u->state, u->version, u->reason);
    (void)fflush(stdout);
    if (news.json && u->reason[0]) complain(u->reason);
    if (u->restart) stop = 1; /* whoever starts this program again starts the other version */
    (void)pthread_cond_broadcast(&news.changed);
    (void)pthread_mutex_unlock(&news.lock);
}

static bool floor_of(const arguments *a, porch_update_options *options) {
    char *end = NULL;
    if (a->floor_at == NULL) return true; /* a TPM alone has the device's key */
    errno = 0;
    unsigned long index = strtoul(a->floor_at, &end, 16);
    if (a->tpm == NULL || strncmp(a->floor_at, "0x", 2) != 0 || *end != 0 || errno != 0 ||
        index > UINT32_MAX)
        return false;
    options->tpm = a->tpm;
    options->floor_at = (uint32_t)index;
    return true;
}

static bool open_updates(porch_device *d, const arguments *a) {
    porch_update_options options = {
        .slots = a->slots, .version = a->version, .hardware = a->hardware, .on_update = on_update};
    porch_device_why why;
    if (a->rauc != NULL) options.back_end = porch_update_rauc();
    if (a->rauc != NULL && strcmp(a->rauc, "system") != 0) options.bus = a->rauc;
    if (!floor_of(a, &options)) {
        complain("--floor-at is 0x and eight hex digits, with --tpm");
        return false;
    }
    if (porch_update_open(d, &options, &why) != PORCH_DEVICE_OK) {
        complain(why.text);
        return false;
    }
    if (a->unhealthy)
        porch_update_unhealthy(d, a->unhealthy);
    else
        porch_update_healthy(d); /* this product has nothing to check but that it runs */
    return true;
}

static int run(porch_device *d, const arguments *a) {
    if (porch_device_is_service(d)) return listen_on(d, NULL, 0, a);
    if (a->slots && !open_updates(d, a)) return EXIT_REFUSED;
    char commands[128], wishes[128];
    (void)snprintf(commands, sizeof commands, "d/%s/command/+/request", porch_device_id(d));
    (void)snprintf(wishes, sizeof wishes, "d/%s/state/desired", porch_device_id(d));
    const char *filters[] = {commands, wishes};
    return listen_on(d, filters, 2, a);
}

/* The request must not be there yet: it may belong to a key that is in use. */
static int make_key(const arguments *a) {
    char path[4096], request[PORCH_DEVICE_REQUEST_MOST];
    porch_device_why why;
    (void)mkdir(a->folder, 0700); /* one that is there is fine; any other trouble is open's to tell */
    int n = snprintf(path, sizeof path, "%s/request.pem", a->folder);
    int fd =
        n > 0 && (size_t)n < sizeof path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644) : -1;
    if (fd < 0) {
        (void)fprintf(stderr, "porchlight-device: %s: %s\n", path, strerror(errno));
        return EXIT_REFUSED;
    }
    bool made = porch_device_key_make(a->topic, a->tpm, request, sizeof request, &why) == PORCH_DEVICE_OK;
    if (!made) complain(why.text);
    bool written =
        made && write(fd, request, strlen(request)) == (ssize_t)strlen(request) && fsync(fd) == 0;
    if (made && !written) complain("the key is made, but its request could not be written");
    (void)close(fd);
    if (!written) (void)unlink(path);
    if (written) (void)printf("%s\n", path);
    return written ? EXIT_DONE : EXIT_REFUSED;
}

static bool waiting_of(const arguments *a, porch_device_waiting *ret) {
    if (a->waiting == NULL) return true;
    if (strcmp(a->waiting, "keep") == 0) return *ret = PORCH_DEVICE_WAITING_KEEP, true;
    if (strcmp(a->waiting, "clear") == 0) return *ret = PORCH_DEVICE_WAITING_CLEAR, true;
    return false;
}

/* The token never stands on the command line, where others can read it. */
static int enrol(const arguments *a) {
    char token[256];
    porch_device_why why;
    porch_device_waiting waiting = PORCH_DEVICE_WAITING_REFUSE;
    if (a->ca == NULL || a->key == NULL) return usage("enrol needs --ca FILE and --key URI", "");
    if (!waiting_of(a, &waiting)) return usage("--waiting keep or clear; not ", a->waiting);
    if (fgets(token, sizeof token, stdin) == NULL)
        return complain("the claim token is missing on standard input"), EXIT_REFUSED;
    token[strcspn(token, "\r\n")] = '\0';
    const porch_device_enrolment in = {.folder = a->folder,
                                       .host = a->topic,
                                       .device_port = (uint16_t)a->port,
                                       .mqtt_port = (uint16_t)a->mqtt_port,
                                       .ca_file = a->ca,
                                       .token = token,
                                       .key_uri = a->key,
                                       .tpm = a->tpm,
                                       .waiting = waiting};
    bool done = porch_device_enrol(&in, &why) == PORCH_DEVICE_OK;
    if (!done) complain(why.text);
    if (done) (void)printf("%s\n", a->folder);
    return done ? EXIT_DONE : EXIT_REFUSED;
}

static bool print_name(void *ctx, const char *name) {
    (void)ctx;
    return puts(name) >= 0;
}

static int secret(const arguments *a) {
    static uint8_t block[PORCH_DEVICE_SECRET_MOST + 1];
    porch_device_why why;
    size_t len = 0;
    bool to_set = strcmp(a->topic, "set") == 0, to_get = strcmp(a->topic, "get") == 0,
         to_list = strcmp(a->topic, "list") == 0, to_remove = strcmp(a->topic, "remove") == 0;
    if (!to_set && !to_get && !to_list && !to_remove)
        return usage("secret set, get, list or remove; not ", a->topic);
    porch_secrets *s = porch_secrets_open(a->folder, &why);
    porch_device_result r = s != NULL ? PORCH_DEVICE_OK : PORCH_DEVICE_FAULT;
    if (s != NULL && to_set) {
        len = fread(block, 1, sizeof block, stdin);
        r = porch_secret_set(s, a->payload, block, len, &why);
    } else if (s != NULL && to_get) {
        r = porch_secret_get(s, a->payload, block, sizeof block, &len, &why);
        if (r == PORCH_DEVICE_OK) (void)fwrite(block, 1, len, stdout);
    } else if (s != NULL && to_list) {
        r = porch_secret_list(s, print_name, NULL, &why);
    } else if (s != NULL) {
        r = porch_secret_remove(s, a->payload, &why);
    }
    porch_secrets_close(s);
    explicit_bzero(block, sizeof block);
    if (r != PORCH_DEVICE_OK) complain(why.text);
    return r == PORCH_DEVICE_OK ? EXIT_DONE : EXIT_REFUSED;
}

static void init_news(bool json) {
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&news.changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    news.json = json;
}

int main(int argc, char **argv) {
    arguments a = {.qos = 1};
    int code = parse(argc, argv, &a);
    if (code < 0) {
        (void)fputs(help, stdout);
        return EXIT_DONE;
    }
    if (code != EXIT_DONE) return code;
    if (a.verb == DO_MAKE_KEY) return make_key(&a);
    if (a.verb == DO_ENROL) return enrol(&a);
    if (a.verb == DO_SECRET) return secret(&a);
    const struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    init_news(a.json);

    const porch_device_options options = {.folder = a.folder, .on_status = on_status, .on_status_ctx = &a};
    porch_device_why why;
    porch_device *d = porch_device_open(&options, &why);
    if (!d) {
        complain(why.text);
        return EXIT_REFUSED;
    }
    if (a.verb == DO_PUBLISH)
        code = publish(d, &a);
    else if (a.verb == DO_RENEW)
        code = renew(d, &a);
    else if (a.verb == DO_SUBSCRIBE)
        code = listen_on(d, &a.topic, 1, &a);
    else
        code = run(d, &a);
    porch_device_close(d);
    return code;
}
