/* Answers: JSON for programs, words for people. */
#include "cli/cli_room.h"

#include <qrencode.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "os/file.h"

int porch_cli_fail(porch_err e, const porch_why *why) {
    fprintf(stderr, "porchlight: %s\n", porch_cli_safe(porch_why_text(why, e)).text);
    return e == PORCH_ERR_USAGE ? PORCH_CLI_USAGE : PORCH_CLI_REFUSED;
}

bool porch_cli_json(const porch_cli *c, const json_t *value) {
    if (!c->json) return false;
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII);
    if (text) puts(text);
    free(text);
    return true;
}

bool porch_cli_shown(void) {
    return fflush(stdout) == 0 && !ferror(stdout);
}

const char *porch_cli_member(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

uint64_t porch_cli_number(const json_t *object, const char *name) {
    json_int_t v = json_integer_value(json_object_get(object, name));
    return v > 0 ? (uint64_t)v : 0;
}

porch_cli_time_text porch_cli_time(uint64_t ms) {
    porch_cli_time_text out = {"never"};
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    if (ms != 0 && gmtime_r(&seconds, &parts))
        (void)strftime(out.text, sizeof out.text, "%Y-%m-%d %H:%M UTC", &parts);
    return out;
}

porch_cli_safe_text porch_cli_safe(const char *text) {
    porch_cli_safe_text out;
    size_t n = 0;
    for (; text[n] && n + 1 < sizeof out.text; n++) {
        unsigned char b = (unsigned char)text[n];
        out.text[n] = (char)(b < 0x20 || b == 0x7f ? '?' : b);
    }
    out.text[n] = '\0';
    return out;
}

bool porch_cli_web_ca(const char *dir, char out[PORCH_CLI_FINGERPRINT_BYTES]) {
    char path[PORCH_CLI_PATH_BYTES];
    porch_x509_info info;
    uint8_t *pem = NULL;
    size_t len = 0;
    bool found = porch_path_join(dir, "tls/web-ca.pem", path, sizeof path) == PORCH_OK &&
                 porch_file_read(path, PORCH_X509_INPUT_BYTES, &pem, &len, NULL) == PORCH_OK &&
                 porch_x509_read((porch_bytes){pem, len}, &info, NULL) == PORCH_OK;
    if (found) porch_x509_fingerprint_text(info.fingerprint, out);
    free(pem);
    return found;
}

static bool is_dark(const QRcode *code, int x, int y) {
    if (x < 0 || y < 0 || x >= code->width || y >= code->width) return false;
    return code->data[y * code->width + x] & 1;
}

/* Two modules a character, light on dark so that it reads on terminals of either kind; a quiet zone of two.
 */
void porch_cli_qr(FILE *to, const char *text) {
    QRcode *code = QRcode_encodeString(text, 0, QR_ECLEVEL_L, QR_MODE_8, 1);
    if (!code) return;
    for (int y = -2; y < code->width + 2; y += 2) {
        fputs("  ", to);
        for (int x = -2; x < code->width + 2; x++) {
            bool top = is_dark(code, x, y);
            bool bottom = is_dark(code, x, y + 1);
            fputs(top ? (bottom ? " " : "\u2584") : (bottom ? "\u2580" : "\u2588"), to);
        }
        fputc('\n', to);
    }
    QRcode_free(code);
}
