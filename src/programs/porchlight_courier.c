/* porchlight-courier: started by the supervisor with its socket to the hub as descriptor 3. Its words come
 * from hub.conf, which it cannot read itself. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cloud/courier/courier.h"
#include "os/log.h"

enum { SOCKET_FD = 3, EXIT_USAGE = 2, DEFAULT_TIMEOUT_MS = 10000, DEFAULT_ANSWER_BYTES = 65536 };

static bool take(porch_courier_config *config, const char *word, const char *value) {
    uint64_t number = 0;
    if (strcmp(word, "--allow") == 0) {
        config->allow = value;
        return true;
    }
    if (strcmp(word, "--ca-file") == 0) {
        config->ca_file = value;
        return true;
    }
    if (porch_decimal_read(porch_bytes_of(value), UINT32_MAX, &number) != PORCH_OK) return false;
    if (strcmp(word, "--timeout-ms") == 0)
        config->timeout_ms = (uint32_t)number;
    else if (strcmp(word, "--answer-bytes") == 0)
        config->answer_max = (uint32_t)number;
    else
        return false;
    return true;
}

int main(int argc, char **argv) {
    porch_courier_config config = {.timeout_ms = DEFAULT_TIMEOUT_MS, .answer_max = DEFAULT_ANSWER_BYTES};
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    porch_log_init("courier", PORCH_LOG_INFO);
    for (int i = 1; i < argc; i += 2)
        if (i + 1 >= argc || !take(&config, argv[i], argv[i + 1])) {
            fprintf(stderr, "porchlight-courier is started by porchlightd, not by hand\n");
            return EXIT_USAGE;
        }
    return porch_courier_run(SOCKET_FD, &config);
}
